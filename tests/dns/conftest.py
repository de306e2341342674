"""Fixtures: `engine` is a process with an event loop, pointed at a name server by `engine.use`."""
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dns.hostile import HostileServer
from tests.harness.dns import DNSServer

ROOT = Path(__file__).resolve().parents[2]
COUNTERS = ("a", "a_timeout", "aaaa", "aaaa_timeout", "mx", "mx_timeout", "txt", "txt_timeout", "pending", "time_us",
            "answers", "peak_us")
COUNT_DNS_A = 10


class Engine:
    def __init__(self, folder):
        self.folder = folder
        self.process = subprocess.Popen([sys.executable, "-X", "faulthandler", "-m", "tests.dns.engine", str(folder)],
                                        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def call(self, name, *arguments, **named):
        self.process.stdin.write(json.dumps((name, arguments, named)) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the engine died: {self.process.wait()}"
        return json.loads(line)

    def use(self, server, options="options timeout:1 attempts:2", **settings):
        """Ask this server from now on, with these options; what was cached stays."""
        text = server if isinstance(server, str) else server.resolv_conf()
        (self.folder / "resolv.conf").write_text(f"{text}{options}\n")
        rows = "".join(f"{name} = {value}\n" for name, value in settings.items())
        self.call("configure", f'resolv_conf = "{self.folder}/resolv.conf"\n{rows}')

    def lookup_all(self, names, flags=0, **named):
        return self.call("lookup_all", names, flags, **named)

    def lookup(self, name, flags=0, timeout=10):
        return self.lookup_all([name], flags, timeout=timeout)[0][0]

    def stats(self):
        return self.call("stats")[0]

    def counters(self):
        return dict(zip(COUNTERS, self.call("counters")[COUNT_DNS_A:]))

    def close(self):
        self.process.stdin.close()
        return self.process.wait(10)


@pytest.fixture
def engine(tmp_path):
    engine = Engine(tmp_path)
    yield engine
    assert engine.close() == 0


@pytest.fixture
def server():
    with DNSServer() as server:
        yield server


@pytest.fixture
def hostile():
    made = []

    def start(answer=None, **named):
        made.append(HostileServer(answer, **named))
        return made[-1]
    yield start
    for one in made:
        one.close()
