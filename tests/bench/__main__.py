"""What a message costs, as a table.

    python -m tests.bench [--rows NAME,...] [--runs N] [--quick] [--json FILE]

Starts the server itself, drives it with smtp-source into smtp-sink (Postfix's, from its Debian package, unpacked under
build/tools), and prints for every row the median of the runs with its range: rate, CPU per message, accept latency seen
by one more client, bytes written per byte accepted, memory.  Run it with nothing else running.
"""
import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

from tests.harness.smtp import SMTPClient

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "build" / "tools"
STALL = 60                  # seconds without progress end a run
TICK = os.sysconf("SC_CLK_TCK")

CONFIG = """
ESMTP_Listener {{ Listen "127.0.0.1:{port}" {{ }} }}
Control_Listener {{ Listen "{folder}/2025" {{ }} }}
EventLoop "default" {{ concurrency = {loops} }}
spoolbase = "{folder}/spool"
pidfile = "{folder}/pid"
relay_hosts = ( 127.0.0.0/8 )
gateway = "127.0.0.1:{sink}"
ec_logger {{
  mainlog = "{folder}/mainlog.ec"
  rejectlog = "{folder}/rejectlog.ec"
  paniclog = "{folder}/paniclog.ec"
}}
bounce_logger {{ bouncelog = "{folder}/bouncelog.ec" }}
"""


class Row(NamedTuple):
    name: str
    what: str
    sessions: int
    count: int              # messages
    size: int               # bytes of a body
    loops: int = 1
    kept: bool = True       # many messages per connection
    recipients: int = 1


ROWS = [
    Row("s20", "4 KiB, 20 sessions", 20, 60000, 4096),
    Row("s100", "4 KiB, 100 sessions", 100, 100000, 4096),
    Row("s500", "4 KiB, 500 sessions", 500, 60000, 4096),
    Row("loops2", "4 KiB, 100 sessions, 2 loops", 100, 100000, 4096, loops=2),
    Row("single", "4 KiB, one connection each", 100, 30000, 4096, kept=False),
    Row("k100", "100 KiB, 20 sessions", 20, 6000, 102400),
    Row("rcpt1000", "4 KiB, 1,000 recipients", 4, 60, 4096, recipients=1000),
    Row("mb100", "100 MB, 20 sessions", 20, 20, 104857600),
]


def tool(name):
    """Path of one of Postfix's load programs; its package is unpacked, not installed."""
    path = TOOLS / "usr" / "sbin" / name
    if not path.exists():
        TOOLS.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "-qq", "postfix"], cwd=TOOLS, check=True)
        subprocess.run(["dpkg", "-x", str(next(TOOLS.glob("postfix_*.deb"))), str(TOOLS)], check=True)
    return str(path)


def environment():
    return {**os.environ, "LD_LIBRARY_PATH": str(TOOLS / "usr" / "lib" / "postfix")}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Sink:
    """smtp-sink, counting."""

    def __init__(self, folder):
        self.port, self.path = free_port(), Path(folder, "sink.out")
        command = [tool("smtp-sink"), "-c", "-m", "2000", f"127.0.0.1:{self.port}", "1024"]
        if os.getuid() == 0:
            command[1:1] = ["-u", "root"]
        self.process = subprocess.Popen(command, stdout=open(self.path, "wb"), stderr=subprocess.DEVNULL, env=environment())

    def count(self):
        with open(self.path, "rb") as f:
            f.seek(max(0, os.path.getsize(self.path) - 200))
            found = re.findall(rb"mesg=(\d+)", f.read())
        return int(found[-1]) if found else 0

    def wait(self, count):
        """Until it has so many; False after STALL seconds without one more."""
        last, since = -1, time.monotonic()
        while (now := self.count()) < count:
            if now != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > STALL:
                return False
            time.sleep(0.02)
        return True

    def stop(self):
        self.process.kill()
        self.process.wait()


class Server:
    """The server on a fresh folder."""

    def __init__(self, folder, sink_port, loops):
        self.port = free_port()
        config = Path(folder, "ecelerity.conf")
        config.write_text(CONFIG.format(folder=folder, port=self.port, sink=sink_port, loops=loops))
        self.process = subprocess.Popen([sys.executable, "-m", "pymomentum.server", "-c", str(config)], cwd=ROOT,
                                        stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline().strip() != "ready":
            raise SystemExit("bench: the server did not start")

    def cpu(self):
        """(user, system) seconds of all its threads."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) / TICK, int(fields[12]) / TICK

    def memory(self):
        """(now, highest) resident bytes."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return tuple(int(re.search(rf"^{name}:\s+(\d+)", text, re.M).group(1)) * 1024 for name in ("VmRSS", "VmHWM"))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def device_written(folder):
    """Bytes that the folder's device has written; a process's own count is of whole page-cache folios."""
    os.sync()
    device = os.stat(folder).st_dev
    return int(Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat").read_text().split()[6]) * 512


class Probe(threading.Thread):
    """One more client, a message at a time; keeps how long each 250 took."""

    def __init__(self, port, size):
        super().__init__(daemon=True)
        self.port, self.size, self.stopping, self.ms = port, min(size, 4096), False, []

    def run(self):
        body = b"Subject: probe\r\n\r\n" + (b"x" * 76 + b"\r\n") * (self.size // 78)
        with SMTPClient("127.0.0.1", self.port) as c:
            c.ehlo()
            while not self.stopping:
                for line in ("MAIL FROM:<probe@bench.test>", "RCPT TO:<probe@example.test>", "DATA"):
                    c.command(line)
                    c.read_reply()
                begin = time.perf_counter()
                c.send(body + b".\r\n")
                c.read_reply()
                self.ms.append((time.perf_counter() - begin) * 1000)
                time.sleep(0.002)


def send(row, port):
    """smtp-source's run; seconds it took."""
    command = [tool("smtp-source"), "-s", str(row.sessions), "-m", str(row.count), "-l", str(row.size), "-M", "client.bench.test",
               "-f", "s@bench.test", "-t", "r@example.test", "-r", str(row.recipients)]
    if row.kept:
        command.append("-d")
    begin = time.monotonic()
    subprocess.run([*command, f"127.0.0.1:{port}"], check=True, env=environment(), stdout=subprocess.DEVNULL)
    return time.monotonic() - begin


def direct(row):
    """smtp-source straight into smtp-sink: what the tools themselves can do."""
    with tempfile.TemporaryDirectory(prefix="ec-bench-") as folder:
        sink = Sink(folder)
        time.sleep(0.3)
        try:
            return row.count / send(row, sink.port)
        finally:
            sink.stop()


def measure(row):
    folder = tempfile.mkdtemp(prefix="ec-bench-", dir=os.environ.get("EC_BENCH_DIR"))
    sink = Sink(folder)
    server = Server(folder, sink.port, row.loops)
    try:
        idle = server.memory()[0]
        probe = Probe(server.port, row.size)
        if row.size < 1 << 20:
            probe.start()
        written = device_written(folder)
        user, system, begin = *server.cpu(), time.monotonic()
        accept = send(row, server.port)
        probe.stopping = True
        if probe.is_alive():
            probe.join()
        # batches of recipients with the same content are one message at the sink
        per_message = -(-row.recipients // 100)
        if not sink.wait(row.count * per_message + len(probe.ms)):
            raise SystemExit(f"bench: row {row.name}: only {sink.count()} messages reached the sink")
        seconds = time.monotonic() - begin
        time.sleep(0.3)
        after_user, after_system = server.cpu()
        units = row.count * row.recipients + len(probe.ms)
        ms = sorted(probe.ms) or [0]
        return {
            "accept": row.count / accept, "rate": row.count / seconds, "user": (after_user - user) * 1e6 / units,
            "system": (after_system - system) * 1e6 / units, "p50": ms[len(ms) // 2], "p99": ms[min(len(ms) - 1, len(ms) * 99 // 100)],
            "written": (device_written(folder) - written) / (row.count * row.size), "memory": (server.memory()[1] - idle) / 1e6,
        }
    finally:
        server.stop()
        sink.stop()
        shutil.rmtree(folder, ignore_errors=True)


def figure(runs, key, form):
    values = [run[key] for run in runs]
    return f"{statistics.median(values):{form}} [{min(values):{form}}..{max(values):{form}}]"


def show(row, runs, tools):
    cpu = [{"cpu": run["user"] + run["system"]} for run in runs]
    print(f"{row.what}")
    print(f"    relay/s {figure(runs, 'rate', '.0f')}   accept/s {figure(runs, 'accept', '.0f')}   tools alone {tools:.0f}/s, "
          f"ratio {statistics.median(run['rate'] for run in runs) / tools:.2f}")
    print(f"    CPU us/message {figure(cpu, 'cpu', '.1f')} = user {figure(runs, 'user', '.1f')} + system {figure(runs, 'system', '.1f')}")
    print(f"    250 after ms p50 {figure(runs, 'p50', '.1f')} p99 {figure(runs, 'p99', '.1f')}   written/accepted "
          f"{figure(runs, 'written', '.2f')}   memory above idle MB {figure(runs, 'memory', '.0f')}", flush=True)


def main():
    parser = argparse.ArgumentParser(prog="build.sh bench", description="What a message costs.")
    parser.add_argument("--rows", help="names, by commas: " + " ".join(row.name for row in ROWS))
    parser.add_argument("--runs", type=int, default=5, help="of each row (default %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the messages")
    parser.add_argument("--json", metavar="FILE", help="all figures of all runs, one JSON line a row")
    options = parser.parse_args()
    wanted = options.rows.split(",") if options.rows else [row.name for row in ROWS]
    unknown = set(wanted) - {row.name for row in ROWS}
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    out = open(options.json, "w") if options.json else None
    for row in ROWS:
        if row.name not in wanted:
            continue
        if options.quick:
            row = row._replace(count=max(row.sessions, row.count // 10))
        tools = statistics.median(direct(row) for _ in range(min(3, options.runs)))
        runs = [measure(row) for _ in range(options.runs)]
        show(row, runs, tools)
        if out:
            out.write(json.dumps({"row": row.name, "tools": tools, "runs": runs}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
