"""The server under measurement, on a folder of its own."""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pymomentum.console.client import Client
from pymomentum.errors import ConsoleError
from tests.bench.tools import BenchError
from tests.harness.port import free_port

ROOT = Path(__file__).resolve().parents[2]
TICK = os.sysconf("SC_CLK_TCK")
SEGMENT = 64 << 20          # spool_segment_size as it is set by default

CONFIG = """
ESMTP_Listener {{ Listen "127.0.0.1:{port}" {{ }} }}
Control_Listener {{ Listen "{folder}/2025" {{ }} }}
EventLoop "default" {{ concurrency = {loops} }}
spoolbase = "{folder}/spool"
pidfile = "{folder}/pid"
relay_hosts = ( 127.0.0.0/8 )
ec_logger {{
  mainlog = "{folder}/mainlog.ec"
  rejectlog = "{folder}/rejectlog.ec"
  paniclog = "{folder}/paniclog.ec"
}}
bounce_logger {{ bouncelog = "{folder}/bouncelog.ec" }}
{options}
"""


class Folder:
    """A folder on the disk to be measured, gone at the end of `with`."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="ec-bench-", dir=os.environ.get("EC_BENCH_DIR"))
        return self.path

    def __exit__(self, *failure):
        shutil.rmtree(self.path, ignore_errors=True)


class Server:
    """Runs from its making to the end of `with`."""

    def __init__(self, folder, options="", loops=1):
        self.folder, self.port, self.process = folder, free_port(), None
        Path(folder, "ecelerity.conf").write_text(CONFIG.format(folder=folder, port=self.port, loops=loops, options=options))
        self.start()

    def start(self):
        self.process = subprocess.Popen([sys.executable, "-m", "pymomentum.server", "-c", f"{self.folder}/ecelerity.conf"],
                                        cwd=ROOT, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline().strip() != "ready":
            raise BenchError("the server did not start")

    def cpu(self):
        """Seconds of CPU of all its threads, those that ended too.

        The clock of the process counts nanoseconds; the sum over task/*/schedstat would forget threads that ended."""
        return time.clock_gettime(~self.process.pid << 3 | 2)       # CPUCLOCK_SCHED, see clock_getcpuclockid(3)

    def split(self):
        """(user, system) seconds, in ticks."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) / TICK, int(fields[12]) / TICK

    def memory(self):
        """(now, highest) resident bytes."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return tuple(int(re.search(rf"^{name}:\s+(\d+)", text, re.M).group(1)) * 1024 for name in ("VmRSS", "VmHWM"))

    def counters(self):
        """What `summary` says; None where the console is not open yet."""
        try:
            with Client(f"{self.folder}/2025") as client:
                return client.ask("summary", json=True)[0]
        except ConsoleError:
            return None

    def count(self, name):
        return (self.counters() or {}).get(name, 0)

    def stop(self):
        """A clean stop; answers the seconds it took."""
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        return time.monotonic() - begin

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        if self.process.poll() is None:
            (self.kill if failure[0] else self.stop)()
