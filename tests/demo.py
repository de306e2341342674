"""The main job on real input, in one go.

    python -m tests.demo [--mails N] [--sessions N] [--keep]

Starts the server, a DNS zone and receiving sinks on loopback, sends mail to 50 domains and shows what became of it:
40 take everything, 5 answer 451 the first time, 3 refuse a third of the recipients, one has a null MX, one is dead.
"""
import argparse
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.harness.dns import DNSServer
from tests.harness.sink import Sink
from tests.harness.smtp import Blast

DOMAINS = 50
DEFER, BOUNCE = range(40, 45), range(45, 48)
NULL, DEAD = 48, 49
QUIET_SECONDS = 8           # nothing more comes: only what waits for the dead host is left
GIVE_UP = 300

CONFIG = """
ESMTP_Listener {{ Listen "127.0.0.1:{port}" {{ }} }}
Control_Listener {{ Listen "{folder}/2025" {{ }} }}
spoolbase = "{folder}/spool"
pidfile = "{folder}/pid"
resolv_conf = "{folder}/resolv.conf"
relay_hosts = ( 127.0.0.0/8 )
remote_smtp_port = {sink}
retry_interval = 2
max_retry_interval = 600
ec_logger {{
  mainlog = "{folder}/mainlog.ec"
  rejectlog = "{folder}/rejectlog.ec"
  paniclog = "{folder}/paniclog.ec"
}}
bounce_logger {{ bouncelog = "{folder}/bouncelog.ec" }}
"""


def zone():
    names = {f"d{i:02}.demo.test": {"MX": ["mx.demo.test"]} for i in range(DOMAINS)}
    names |= {f"d{i:02}.demo.test": {"MX": ["defer.demo.test"]} for i in DEFER}
    names |= {f"d{i:02}.demo.test": {"MX": ["bounce.demo.test"]} for i in BOUNCE}
    names[f"d{NULL:02}.demo.test"] = {"MX": [(0, ".")]}
    names[f"d{DEAD:02}.demo.test"] = {"MX": ["dead.demo.test"]}
    names["sender.demo.test"] = {"MX": ["mx.demo.test"]}
    return names | {f"{name}.demo.test": {"A": [f"127.0.0.{i}"]}
                    for i, name in enumerate(("mx", "defer", "bounce", "dead"), 2)}


def sinks(port, ready):
    """The receiving side, in a process of its own."""
    seen = set()

    def later(address):
        if address in seen:
            return "250 2.1.5 ok"
        seen.add(address)
        return "451 4.7.1 greylisted, come back"

    def some(address):
        return "550 5.1.1 no such user" if int(address[1:address.find("@")]) % 3 == 0 else "250 2.1.5 ok"

    for address, replies in (("127.0.0.2", {}), ("127.0.0.3", {"rcpt": later}), ("127.0.0.4", {"rcpt": some})):
        Sink(address, port, **replies).start()
    ready.set()
    signal.pause()


def load(port, mails, sessions, done):
    """The sending side, likewise."""
    blast = Blast(port, mails, sessions, 2048, sender="news@sender.demo.test",
                  rcpt=lambda i: f"u{i}@d{i % DOMAINS:02}.demo.test").start()
    blast.join(GIVE_UP)
    done.put((len(blast.acked), blast.seconds))


class Log:
    """What mainlog says so far; read on from where the last look ended."""

    def __init__(self, path):
        self.path, self.at = path, 0
        self.counts = dict.fromkeys("RDTP", 0)
        self.seconds = []
        self.rest = b""

    def read(self):
        with open(self.path, "rb") as f:
            f.seek(self.at)
            data = f.read()
        self.at += len(data)
        lines = (self.rest + data).split(b"\n")
        self.rest = lines.pop()
        for line in lines:
            fields = line.split(b"@")
            kind = fields[4].decode() if len(fields) > 4 else ""
            if kind in self.counts:
                self.counts[kind] += 1
            if kind == "D" and fields[9] == b"0":
                self.seconds.append(float(fields[10]))
        return self.counts


def free_port(address="127.0.0.1"):
    with socket.socket() as s:
        s.bind((address, 0))
        return s.getsockname()[1]


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bar(counts, mails):
    """One line; on a terminal it is drawn over and over."""
    width = 30
    filled = min(width, counts["R"] * width // mails)
    text = (f"[{'#' * filled}{'.' * (width - filled)}] received {counts['R']:>6}  delivered {counts['D']:>6}  "
            f"deferred {counts['T']:>5}  bounced {counts['P']:>5}")
    if sys.stderr.isatty():
        print("\r" + text, end="", file=sys.stderr, flush=True)


def percentile(values, p):
    return sorted(values)[min(len(values) - 1, int(len(values) * p))] * 1000 if values else 0


def table(log, mails, sent_seconds, seconds, cpu, queued):
    counts = log.counts
    rows = [
        ("mails sent", f"{mails}"), ("received (bounces too)", f"{counts['R']}"), ("delivered", f"{counts['D']}"),
        ("deferred attempts", f"{counts['T']}"), ("bounced", f"{counts['P']}"), ("still queued (dead host)", f"{queued}"),
        ("accepted per second", f"{mails / sent_seconds:.0f}"), ("delivered per second", f"{counts['D'] / seconds:.0f}"),
        ("reception to delivery, p50", f"{percentile(log.seconds, .5):.0f} ms"),
        ("reception to delivery, p99", f"{percentile(log.seconds, .99):.0f} ms"),
        ("CPU per message", f"{cpu * 1e6 / counts['R']:.0f} us"),
    ]
    return "\n".join(f"  {name:<28}{value:>12}" for name, value in rows)


def run(mails, sessions, folder):
    port, sink_port = free_port(), free_port("0.0.0.0")
    dns = DNSServer(zone())
    dns.start()
    Path(folder, "resolv.conf").write_text(dns.resolv_conf())
    config = Path(folder, "ecelerity.conf")
    config.write_text(CONFIG.format(folder=folder, port=port, sink=sink_port))
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Queue()
    sink = context.Process(target=sinks, args=(sink_port, ready), daemon=True)
    sink.start()
    ready.wait(30)
    server = subprocess.Popen([sys.executable, "-m", "pymomentum.server", "-c", str(config)], stdout=subprocess.PIPE, text=True)
    try:
        if server.stdout.readline().strip() != "ready":
            print("demo: the server did not start", file=sys.stderr)
            return 1
        print(f"demo: {mails} mails over {sessions} sessions to {DOMAINS} domains; everything is in {folder}")
        begin, cpu = time.monotonic(), cpu_seconds(server.pid)
        context.Process(target=load, args=(port, mails, sessions, done), daemon=True).start()
        log, last, moved = Log(Path(folder, "mainlog.ec")), 0, time.monotonic()
        while time.monotonic() - begin < GIVE_UP:
            time.sleep(0.2)
            counts = log.read()
            bar(counts, mails)
            settled = counts["D"] + counts["P"]
            if settled != last:
                last, moved = settled, time.monotonic()
            if counts["R"] >= mails and time.monotonic() - moved > QUIET_SECONDS:
                break
        acked, sent_seconds = done.get(timeout=GIVE_UP)
        seconds = moved - begin
        queued = log.counts["R"] - log.counts["D"] - log.counts["P"]
        print("\n" if sys.stderr.isatty() else "", end="", file=sys.stderr)
        print(table(log, mails, sent_seconds, seconds, cpu_seconds(server.pid) - cpu, queued))
        expected = len(range(DEAD, mails, DOMAINS))
        if acked != mails or queued != expected:
            print(f"demo: {acked} of {mails} acknowledged, {queued} queued where {expected} were expected", file=sys.stderr)
            return 1
        return 0
    finally:
        server.terminate()
        server.wait()
        sink.kill()
        dns.stop()


def main():
    parser = argparse.ArgumentParser(prog="build.sh demo", description="Mail to 50 domains through a server, with a table at the end.")
    parser.add_argument("--mails", type=int, default=20000, help="how many (default %(default)s)")
    parser.add_argument("--sessions", type=int, default=20, help="SMTP sessions that send (default %(default)s)")
    parser.add_argument("--keep", action="store_true", help="leave spool and logs where they are")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="ecelerity-demo-")
    try:
        return run(options.mails, options.sessions, folder)
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
