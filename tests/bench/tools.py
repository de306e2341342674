"""The programs that load and receive: Postfix's smtp-source and smtp-sink, our own source and sink (source.c, sink.c)."""
import os
import re
import resource
import struct
import subprocess
import threading
import time
from pathlib import Path

from tests.harness.package import TOOLS
from tests.harness.port import free_port
from tests.harness.postfix import LIBRARIES, tool
from tests.harness.smtp import SMTPClient

HERE = Path(__file__).resolve().parent
STALL = 60                  # seconds without progress end a run
ALL_SINK_ADDRESSES = ("0.0.0.0",)


def files():
    """Descriptors that server and sink may have each; raised as far as we may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for most in (int(Path("/proc/sys/fs/nr_open").read_text()), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
            return most
        except (ValueError, OSError):
            continue                # root alone may go beyond
    return soft


class BenchError(Exception):
    """A run that cannot be counted."""


def compiled(name):
    """Path of source or sink, compiled where it is older than what it is made of."""
    program = TOOLS / name
    made_of = [HERE / f"{name}.c", HERE / "wire.h"]
    if not program.exists() or program.stat().st_mtime < max(path.stat().st_mtime for path in made_of):
        TOOLS.mkdir(parents=True, exist_ok=True)
        new = program.with_suffix(f".{os.getpid()}")
        subprocess.run(["gcc", "-O2", "-Wall", "-o", new, made_of[0], "-lssl", "-lcrypto"], check=True)
        new.rename(program)
    return str(program)


class PlainSink:
    """smtp-sink, counting."""

    def __init__(self, folder):
        self.port, self.path = free_port(), Path(folder, "sink.out")
        command = [tool("smtp-sink"), "-c", "-m", "2000", f"127.0.0.1:{self.port}", "1024"]
        if os.getuid() == 0:
            command[1:1] = ["-u", "root"]
        self.process = start(command, self.port, stdout=open(self.path, "wb"), env={**os.environ, **LIBRARIES})

    def count(self):
        with open(self.path, "rb") as f:
            f.seek(max(0, os.path.getsize(self.path) - 200))
            found = re.findall(rb"mesg=(\d+)", f.read())
        return int(found[-1]) if found else 0

    def stop(self):
        self.process.kill()
        self.process.wait()


class Sink:
    """Our own: with TLS where it gets a certificate and key, on every address of loopback, deferring one message in `defer`."""

    def __init__(self, folder, certificate=None, defer=0):
        self.port, self.path = free_port(ALL_SINK_ADDRESSES), Path(folder, "counts")
        command = [compiled("sink")]
        if certificate:
            command += ["-t", *certificate]
        if defer:
            command += ["-d", str(defer)]
        self.process = start([*command, self.path, f"0.0.0.0:{self.port}"], self.port)

    def counts(self):
        """Messages, connections so far, connections now."""
        return struct.unpack("<3Q", self.path.read_bytes())

    def count(self):
        return self.counts()[0]

    def stop(self):
        self.process.kill()
        self.process.wait()


def start(command, port, **more):
    """A program that listens on the port, once it does."""
    process = subprocess.Popen(command, **{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **more})
    wanted = f":{port:04X} 00000000:0000 0A"
    end = time.monotonic() + 10
    while wanted not in Path("/proc/net/tcp").read_text():
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            raise BenchError(f"{command[0]} does not listen")
        time.sleep(0.01)
    return process


def wait_count(count, wanted, what):
    """Until count() has come to wanted; BenchError after STALL seconds without one more."""
    last, since = -1, time.monotonic()
    while (now := count()) < wanted:
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > STALL:
            raise BenchError(f"only {now} of {wanted} {what}")
        time.sleep(0.02)


def run_source(command, **more):
    """Seconds that a load program took."""
    begin = time.monotonic()
    if subprocess.run(command, stdout=subprocess.DEVNULL, **more).returncode:
        raise BenchError(f"{Path(command[0]).name} was refused")
    return time.monotonic() - begin


def plain_source(port, sessions, count, size, kept=True, recipients=1):
    """smtp-source's run; seconds it took."""
    command = plain_command(port, sessions, count, size, recipients, *["-d"] * kept)
    return run_source(command, env={**os.environ, **LIBRARIES})


def plain_command(port, sessions, count, size, recipients, *flags):
    return [tool("smtp-source"), "-s", str(sessions), "-m", str(count), "-l", str(size), "-M", "client.bench.test",
            "-f", "s@bench.test", "-t", "r@example.test", "-r", str(recipients), *flags, f"127.0.0.1:{port}"]


class EndlessSource(threading.Thread):
    """smtp-source until it is stopped; where its sessions are sent away it begins anew."""

    def __init__(self, port, sessions, size=4096):
        super().__init__(daemon=True)
        self.command = plain_command(port, sessions, 1 << 30, size, 1, "-d")
        self.process, self.over = None, threading.Event()

    def run(self):
        while not self.over.is_set():
            self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **LIBRARIES})
            self.process.wait()

    def stop(self):
        self.over.set()
        self.process.kill()
        self.join()


def source(port, sessions, count, size, *flags):
    """Our own source's run; seconds it took."""
    return run_source([compiled("source"), "-s", str(sessions), "-m", str(count), "-l", str(size), *map(str, flags), f"127.0.0.1:{port}"])


def device_written(folder):
    """Bytes that the folder's device has written; a process's own count is of whole page-cache folios."""
    os.sync()
    device = os.stat(folder).st_dev
    try:
        return int(Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat").read_text().split()[6]) * 512
    except FileNotFoundError:
        raise BenchError(f"{folder} is on no disk; name a folder on one by EC_BENCH_DIR") from None


class Probe(threading.Thread):
    """One more client, a message at a time; keeps how long each 250 took."""

    def __init__(self, port, size=4096):
        super().__init__(daemon=True)
        self.port, self.size, self.stopping, self.ms, self.failure = port, min(size, 4096), False, [], None

    def run(self):
        try:
            self.send()
        except (OSError, AssertionError) as failure:
            self.failure = failure

    def send(self):
        body = b"Subject: probe\r\n\r\n" + (b"x" * 76 + b"\r\n") * (self.size // 78)
        with SMTPClient("127.0.0.1", self.port, timeout=60) as c:
            while not self.stopping:
                c.command("MAIL FROM:<probe@bench.test>")
                if c.read_reply() == 421:       # there is a new configuration
                    c.close()
                    c.connect()
                    continue
                for line in ("RCPT TO:<probe@example.test>", "DATA"):
                    c.command(line)
                    c.read_reply()
                begin = time.perf_counter()
                c.send(body + b".\r\n")
                c.expect("250 *")
                self.ms.append((time.perf_counter() - begin) * 1000)
                time.sleep(0.002)

    def stop(self):
        """Stops it; answers the milliseconds, sorted."""
        self.stopping = True
        self.join()
        if self.failure:
            raise BenchError(f"the client that takes times: {self.failure}")
        return sorted(self.ms) or [0.0]


def percentile(ordered, hundredths):
    return ordered[min(len(ordered) - 1, len(ordered) * hundredths // 100)]
