"""Rows of what waits: queued mail whose hosts are dead, and clients that say nothing."""
import re
import socket
import time
from dataclasses import dataclass

from tests.bench.row import Row, tenth
from tests.bench.server import Folder, Server
from tests.bench.tools import BenchError, source, wait_count
from tests.bench.zone import Zone
from tests.harness.port import free_port

SESSIONS, MESSAGES, SIZE = 100, 1000000, 1024
START = 300                 # seconds a start may take
SETTLE = 3                  # seconds until what is free has gone back to the system
OPTIONS = """
remote_smtp_port = {dead}
retry_interval = 86400
max_retry_interval = 86400
host_failure_retry = 1
mx_failures_to_delay = 1
drop_body_after_trans_fail = 0
"""


@dataclass(frozen=True)
class Queued(Row):
    domains: int = 50

    def measure(self, quick):
        count, domains = tenth(MESSAGES, quick), tenth(self.domains, quick, 50)
        with Folder() as folder, Zone(folder, domains, own=False) as zone:
            with Server(folder, zone.options + OPTIONS.format(dead=free_port(("127.0.0.2",)))) as server:
                idle, begin = server.memory()[0], time.monotonic()
                accept = source(server.port, SESSIONS, count, SIZE, "-p", "-d", domains)
                wait_count(lambda: server.count("DelayedQueueSize"), count, "messages wait")
                wait_count(lambda: -server.count("ResidentBytes"), 0, "bytes of bodies are in memory")
                time.sleep(SETTLE)
                memory = server.memory()[0] - idle
                figures = {"accept": count / accept, "memory": memory / 1e6, "bytes": memory / count}
                server.kill()
                figures["killed"] = self.start(server, count)
                time.sleep(SETTLE)
                figures["again"] = (server.memory()[0] - idle) / 1e6
                figures["stopping"] = server.stop()
                figures["stopped"] = self.start(server, count)
                return figures

    @staticmethod
    def start(server, count):
        """Seconds from the start of the process until all is queued."""
        begin = time.monotonic()
        server.start()
        while (queued := server.count("TotalQueueSize")) < count:
            if time.monotonic() - begin > START:
                raise BenchError(f"only {queued} of {count} messages are queued after {START} s")
            time.sleep(0.02)
        return time.monotonic() - begin


@dataclass(frozen=True)
class Idle(Row):
    """Sessions that said EHLO and nothing since."""
    sessions: int = 10000

    def measure(self, quick):
        count = tenth(self.sessions, quick)
        with Folder() as folder, Server(folder) as server:
            idle, clients = server.memory()[0], []
            try:
                for _ in range(count):
                    client = socket.create_connection(("127.0.0.1", server.port), 10)
                    clients.append(client)
                    client.sendall(b"EHLO idle.bench.test\r\n")
                for client in clients:
                    answer = b""
                    while not re.search(rb"(?m)^250 .*\r\n", answer):
                        if not (more := client.recv(4096)):
                            raise BenchError(f"a session ended: {answer}")
                        answer += more
                memory = server.memory()[0] - idle
                return {"memory": memory / 1e6, "bytes": memory / count}
            finally:
                for client in clients:
                    client.close()
