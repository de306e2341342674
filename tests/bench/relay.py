"""Rows that relay mail to one host: CPU, rate beside what the load tools do alone, accept latency, bytes written."""
import time
from dataclasses import dataclass, replace

from tests.bench.row import Row, tenth
from tests.bench.server import SEGMENT, Folder, Server
from tests.bench.tools import PlainSink, Probe, Sink, device_written, percentile, plain_source, source, wait_count
from tests.harness.cert import certificate

LARGE = 1 << 20             # bodies above it are few, and small ones go in between
PROBE_ALONE = 5             # seconds


@dataclass(frozen=True)
class Relay(Row):
    sessions: int = 100
    count: int = 160000     # messages; of 4 KiB they fill 10 segments
    size: int = 4096
    loops: int = 1
    kept: bool = True       # many messages per connection
    recipients: int = 1
    tls: str = ""           # "in" or "out"
    defer: int = 0          # the sink defers one message in so many

    def sink(self, folder):
        if self.tls == "out":
            return Sink(folder, certificate("sink.bench.test"))
        return Sink(folder, defer=self.defer) if self.defer else PlainSink(folder)

    def options(self, sink):
        text = f'gateway = "127.0.0.1:{sink.port}"\n'
        if self.defer:
            text += "retry_interval = 1\n"
        if self.tls == "out":
            text += "tls = required\n"
        if self.tls == "in":
            cert, key = certificate("mta.bench.test")
            text += f'tls_certificate = "{cert}"\ntls_key = "{key}"\n'
        return text

    def send(self, port, count, tls=False):
        """The load; seconds it took."""
        if tls:
            return source(port, self.sessions, count, self.size, "-t")
        return plain_source(port, self.sessions, count, self.size, self.kept, self.recipients)

    def alone(self, count):
        """Messages per second of the load tools without a server between: sent straight into the sink."""
        tls = bool(self.tls)
        with Folder() as folder:
            sink = Sink(folder, certificate("sink.bench.test")) if tls else PlainSink(folder)
            try:
                return count / self.send(sink.port, count, tls)
            finally:
                sink.stop()

    def measure(self, quick):
        if self.size > LARGE:
            return replace(self, size=tenth(self.size, quick)).run(self.count)
        return self.run(tenth(self.count, quick, self.sessions))

    def run(self, count):
        tools = self.alone(count)
        with Folder() as folder:
            sink = self.sink(folder)
            try:
                with Server(folder, self.options(sink), self.loops) as server:
                    return {"tools": tools, **self.drive(server, sink, count, tools)}
            finally:
                sink.stop()

    def drive(self, server, sink, count, tools):
        figures, probes = {}, 0
        idle = server.memory()[0]
        if self.size > LARGE:
            probe = Probe(server.port)
            probe.start()
            time.sleep(PROBE_ALONE)
            ms = probe.stop()
            probes += len(ms)
            figures["p99_alone"] = percentile(ms, 99)
        written = device_written(server.folder)
        split, cpu, begin = server.split(), server.cpu(), time.monotonic()
        probe = Probe(server.port, self.size)
        probe.start()
        accept = self.send(server.port, count, self.tls == "in")
        ms = probe.stop()
        probes += len(ms)
        # batches of recipients with the same content are one message at the sink
        wait_count(sink.count, count * -(-self.recipients // 100) + probes, "messages reached the sink")
        seconds = time.monotonic() - begin
        time.sleep(0.3)
        units = count * self.recipients + (0 if self.size > LARGE else len(ms))
        cpu, split = server.cpu() - cpu, [after - before for before, after in zip(split, server.split())]
        written = device_written(server.folder) - written
        figures |= {
            "accept": count / accept, "rate": count / seconds, "ratio": count / seconds / tools, "cpu": cpu * 1e6 / units,
            "user": split[0] * 1e6 / units, "system": split[1] * 1e6 / units,
            "p50": percentile(ms, 50), "p99": percentile(ms, 99), "written": written / (count * self.size + len(ms) * probe.size),
            "segments": count * self.size / SEGMENT, "memory": (server.memory()[1] - idle) / 1e6,
        }
        if "p99_alone" in figures:
            figures["p99_ratio"] = figures["p99"] / figures["p99_alone"]
        return figures
