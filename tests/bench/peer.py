"""Postfix at the same work: the same tools, load and disk, its CPU counted by a cgroup that all its processes are in."""
import os
import signal
import time
from pathlib import Path

from tests.bench.row import tenth
from tests.bench.server import Folder
from tests.bench.tools import BenchError, PlainSink, plain_source, wait_count
from tests.harness.port import free_port
from tests.harness.postfix import Postfix

ROWS = ("s100", "k100")
SHARE, LEAST = 16, 2000     # it gets one message in so many, but so many at least: its rate shows sooner
OPTIONS = """
default_process_limit = {processes}
smtpd_client_connection_count_limit = 0
smtpd_tls_security_level = none
smtp_tls_security_level = none
in_flow_delay = 0
max_use = 10000
default_destination_concurrency_limit = 20
initial_destination_concurrency = 20
smtp_connection_cache_on_demand = yes
"""


def reason_against():
    """Why Postfix cannot be measured here, or None."""
    if os.getuid():
        return "Postfix is started by root only"
    if not cgroups():
        return "there is no version 2 hierarchy of cgroups"
    if not os.access(cgroups(), os.W_OK):
        return f"{cgroups()} cannot be written"
    return None


def cgroups():
    """Where the version 2 hierarchy is mounted, also beside one of version 1."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(place)
    return None


class Cgroup:
    """A cgroup for one run; every process in it is gone at the end of `with`."""

    def __init__(self):
        self.path = cgroups() / f"ec-bench-{os.getpid()}"

    def __enter__(self):
        self.path.mkdir()
        return self

    def cpu(self):
        """Seconds of all processes that were ever in it."""
        return int((self.path / "cpu.stat").read_text().split()[1]) / 1e6       # usage_usec comes first

    def __exit__(self, *failure):
        end = time.monotonic() + 20
        while (pids := (self.path / "cgroup.procs").read_text().split()) and time.monotonic() < end:
            for pid in pids:
                try:
                    os.kill(int(pid), signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.1)
        self.path.rmdir()


def measure(row, ours, quick):
    """One run of the row through Postfix; what it adds to our figures of the same run."""
    count = tenth(max(LEAST, row.count // SHARE), quick, row.sessions)
    with Folder() as folder, Cgroup() as cgroup:
        os.chmod(folder, 0o755)             # its children work below it as another user
        sink = PlainSink(folder)
        try:
            options = OPTIONS.format(processes=max(100, row.sessions))
            with Postfix(free_port(), sink.port, options, parent=folder, cgroup=cgroup.path) as postfix:
                cpu, begin = cgroup.cpu(), time.monotonic()
                plain_source(postfix.port, row.sessions, count, row.size)
                wait_count(sink.count, count, "messages reached the sink")
                seconds = time.monotonic() - begin
                time.sleep(1)                       # it removes the last from its queue
                cpu = cgroup.cpu() - cpu
        except AssertionError as failure:
            raise BenchError(str(failure)) from None
        finally:
            sink.stop()
    rate, each = count / seconds, cpu * 1e6 / count
    return {"peer_rate": rate, "peer_cpu": each, "peer_times": ours["rate"] / rate, "peer_share": each / ours["cpu"]}
