"""Rows of many domains: as many messages to 50 and to 200,000 of them, found by DNS."""
import time
from dataclasses import dataclass

from tests.bench.row import Row, tenth
from tests.bench.server import SEGMENT, Folder, Server
from tests.bench.tools import Sink, files, source, wait_count
from tests.bench.zone import Zone

SESSIONS, MESSAGES, SIZE = 100, 1000000, 1024
OPTIONS = """
remote_smtp_port = {sink}
server_max_outbound_connections = {connections}
"""


@dataclass(frozen=True)
class Domains(Row):
    domains: int = 50
    own: bool = False       # each its own MX and address, else all the same
    in_a_row: int = 1       # messages to a domain before the next

    def measure(self, quick):
        count, domains = tenth(MESSAGES, quick), tenth(self.domains, quick, 50)
        connections = min(20000, files() - 1000)
        with Folder() as folder, Zone(folder, domains, self.own) as zone:
            sink = Sink(folder)
            try:
                with Server(folder, zone.options + OPTIONS.format(sink=sink.port, connections=connections)) as server:
                    idle, cpu, begin = server.memory()[0], server.cpu(), time.monotonic()
                    accept = source(server.port, SESSIONS, count, SIZE, "-p", "-d", domains, "-n", self.in_a_row)
                    wait_count(sink.count, count, "messages reached the sink")
                    seconds = time.monotonic() - begin
                    return {"accept": count / accept, "rate": count / seconds, "cpu": (server.cpu() - cpu) * 1e6 / count,
                            "segments": count * SIZE / SEGMENT, "connections": sink.counts()[1],
                            "memory": (server.memory()[1] - idle) / 1e6}
            finally:
                sink.stop()
