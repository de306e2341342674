"""A whole server for one test: its own process, folder, ports, name server and sinks.

    mta.dns({"example.com": {"MX": ["mx.example.com"]}, "mx.example.com": {"A": ["127.0.0.2"]}})
    sink = mta.sink("127.0.0.2", rcpt="452 4.2.2 full")
    mta.config("retry_interval = 60")
    with mta.smtp() as c:
        c.send_mail("a@test", "b@example.com")
        c.expect("250 2.0.0 *")
    mta.wait_log("T", 1)

The server starts on first use.  What a test's configuration says wins over DEFAULTS and PLACES; in it
$port is the listener's port, $sink_port the one all sinks share, $folder the test's folder.
"""
import collections
import fnmatch
import os
import re
import signal
import string
import subprocess
import sys
from pathlib import Path

from pymomentum.config.grammar import parse
from pymomentum.config.tree import Include
from pymomentum.console.client import Client
from tests.harness.dns import DNSServer
from tests.harness.port import free_port
from tests.harness.sink import Sink
from tests.harness.smtp import SMTPClient
from tests.harness.wait import until

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
DEFAULTS = """
hostname = mta.test
relay_hosts ( 127.0.0.0/8 )
generate_bounces = false
"""
PLACES = """
spoolbase = $folder/spool
spool_segment_size = 1048576
pidfile = $folder/pid
remote_smtp_port = $sink_port
resolv_conf = $folder/resolv.conf
"""
STANZAS = {
    "esmtp_listener": 'ESMTP_Listener { Listen "127.0.0.1:$port" { } }\n',
    "control_listener": 'Control_Listener { file_mode = 0600 Listen "$folder/console" { } }\n',
    "ec_logger": "ec_logger { mainlog = $folder/mainlog rejectlog = $folder/rejectlog paniclog = $folder/paniclog }\n",
    "bounce_logger": "bounce_logger { bouncelog = $folder/bouncelog }\n",
}
# paniclog lines of a healthy server
NOTICES = ("CONFIG *", "START running as root: *", "SPOOL reading * of an earlier run", "SPOOL * messages queued from the spool, *")
FIELDS = {
    "R": "time id batch conn kind rcpt_local rcpt_domain from_local from_domain peer bytes method group binding",
    "D": "time id batch conn kind domain bytes group binding retries seconds peer",
    "T": "time id batch conn kind domain bytes group binding stage retries seconds peer text",
    "P": "time id batch conn kind domain bytes group binding stage retries seconds peer text",
    "B": "time id batch conn kind rcpt_local rcpt_domain from_local from_domain group binding stage klass bytes peer text",
    "M": "time id batch conn kind",
}
FIELDS["M1"] = FIELDS["M"]
RECORDS = {kind: collections.namedtuple(kind, names) for kind, names in FIELDS.items()}
NUMBERS = {"time", "bytes", "retries", "stage", "klass"}
REJECTION = re.compile(r'(\d+): R="([^"]*)" L="([^"]*)" C="([^"]*)" PATH="([^"]*)" PATH_GRP="([^"]*)" P="([^"]*)" E=(\d+) '
                       r'M=(\S+) CTXCONN=\[(.*?)\] CTXMESS=\[(.*?)\] (.*)')
Rejection = collections.namedtuple("Rejection", "time remote local conn path path_group phase code module conn_context "
                                                "mess_context text")
MESSAGE_ID = re.compile(r"[0-9A-F]{2}/[0-9A-F]{2}-\d{5}-[0-9A-F]{8}")


def fields(line):
    """Split a log line at its bare @ and undo the escapes."""
    return [re.sub(r"\\(.)", r"\1", f) for f in re.findall(r"(?:\A|@)((?:[^@\\]|\\.)*)", line, re.S)]


def record(line, log="mainlog"):
    """One line of mainlog or bouncelog; ValueError where its fields are not those of its kind."""
    values = fields(line)
    kind = values[4] if len(values) > 4 else None
    if log == "bouncelog" and kind == "T":
        kind = "B"                      # the same fields
    if kind not in RECORDS or len(values) != len(RECORDS[kind]._fields):
        raise ValueError(f"not a log line: {line!r}")
    names = RECORDS[kind]._fields
    return RECORDS[kind](*[int(v) if n in NUMBERS else float(v) if n == "seconds" else v for n, v in zip(names, values)])


class Mta:
    def __init__(self, folder, name="mta", loops=1, suspend=None, lease=None):
        self.folder, self.name = Path(folder), name
        self.loops, self.suspend, self.lease = loops, suspend, lease
        self.port, self.sink_port = free_port(), free_port(("127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"))
        self.path = self.folder / "ecelerity.conf"
        self.server_dns = None
        self.sinks = []
        self.text = ""
        self.site = None            # Site that takes the place of DEFAULTS
        self.process = None
        self.env = {}               # beside the test's own environment
        self.extensions = []        # modules that add providers to hooks (provided.py)
        self.starts = 0
        self.expected = list(NOTICES)

    # ---- what stands around it

    def dns(self, zones):
        """The zones, from now on; the first call starts the name server."""
        if self.server_dns is None:
            self.server_dns = DNSServer(zones).start()
            # as seldom as can be: the machine that runs the tests may stall
            (self.folder / "resolv.conf").write_text(self.server_dns.resolv_conf() + "options timeout:2 attempts:2\n")
        else:
            self.server_dns.set(zones)
        return self.server_dns

    def sink(self, address="127.0.0.2", port=None, **script):
        """A receiver on the port that all sinks share."""
        sink = Sink(address, port or self.sink_port, **script).start()
        self.sinks.append(sink)
        return sink

    def route(self, domain="example.com", address="127.0.0.2", **script):
        """A sink, and a domain whose MX it is."""
        known = self.server_dns.zones() if self.server_dns else {}
        self.dns({**known, domain: {"MX": [f"mx.{domain}"]}, f"mx.{domain}": {"A": [address]}})
        return self.sink(address, **script)

    # ---- configuration and life

    def config(self, text=""):
        """Set the configuration; a running server reads it at once."""
        self.text = text
        if self.process:
            self.write_config()
            self.console("config reload")

    def write_config(self):
        stanzas = {node.name.lower() for node in parse("test", self.text.encode()).body if not isinstance(node, Include)}
        whole = (self.site.text() if self.site else DEFAULTS) + PLACES + "".join(stanza for name, stanza in STANZAS.items() if name not in stanzas)
        if self.loops > 1:
            whole += f'EventLoop "default" {{ concurrency = {self.loops} }}\n'
        flags = [f"{name} = {value}" for name, value in (("suspend", self.suspend), ("lease", self.lease)) if value]
        flags += [f"extensions = ( {' '.join(self.extensions)} )"] if self.extensions else []
        if flags:
            whole += f"debug_flags {{ {' '.join(flags)} }}\n"
        self.path.write_text(string.Template(whole + self.text).safe_substitute(
            port=self.port, sink_port=self.sink_port, folder=self.folder))

    def start(self):
        if self.process:
            return self
        if self.server_dns is None:
            self.dns({})
        self.write_config()
        server = "tests.harness.ignoring" if "EC_IGNORE" in os.environ else "pymomentum.server"
        with open(self.folder / "output", "ab") as output:
            at = output.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-X", "faulthandler", "-m", server, "-c", self.path], cwd=ROOT,
                env={**os.environ, **self.env}, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        self.starts += 1
        until(lambda: b"ready" in self.output()[at:].splitlines() or self.process.poll() is not None, 30, "server ready")
        assert self.process.poll() is None, self.output().decode("utf-8", "replace")
        return self

    def output(self):
        return (self.folder / "output").read_bytes()

    def stop(self):
        """A clean stop."""
        if not self.process:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the server does not stop") from None
        self.process = None
        assert code == 0, f"the server ended with {code}: {self.output()[-4000:].decode('utf-8', 'replace')}"

    def kill(self):
        """SIGKILL, at once."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def restart(self):
        self.stop()
        self.start()

    def close(self):
        """End everything; AssertionError where the server was not well."""
        died = self.process is not None and self.process.poll()
        try:
            if died is None:
                self.stop()
            assert not died, f"the server died with {died}: {self.output()[-4000:].decode('utf-8', 'replace')}"
        finally:
            for sink in self.sinks:
                sink.stop()
            if self.server_dns:
                self.server_dns.stop()
        if self.starts:
            output = self.output().decode("utf-8", "replace")
            assert "Traceback" not in output and "Error" not in output, output
            for line in self.paniclog():
                assert any(fnmatch.fnmatchcase(line, pattern) for pattern in self.expected), f"paniclog: {line}"

    def expect_panic(self, pattern):
        """A line the paniclog may have, without its time; * stands for anything."""
        self.expected.append(pattern)

    # ---- what one asks it

    def smtp(self, **more):
        """A client of its listener, to be entered by `with`."""
        self.start()
        return SMTPClient(port=self.port, **more)

    def send(self, sender="a@test", rcpts="b@example.com", data=b"Subject: test\r\n\r\ntest\r\n", args=""):
        """Bring one mail in; answers its id."""
        with self.smtp() as c:
            c.send_mail(sender, rcpts, data, args)
            return c.expect("250 2.0.0 OK *").split()[-1]

    def console(self, command):
        """The text of a command's answer; AssertionError where it failed."""
        return self.ask(command, False)

    def data(self, command):
        """The data of a command's answer."""
        return self.ask(command, True)

    def ask(self, command, json):
        self.start()
        with Client(str(self.folder / "console")) as client:
            answer, status = client.ask(command, json=json)
        assert status == 0, f"{command}: {answer}"
        return answer

    def counters(self):
        return self.data("summary")

    def details(self, id):
        """What `message details` says, by label; None where the message is in no queue."""
        self.start()
        with Client(str(self.folder / "console")) as client:
            text, status = client.ask(f"message details {id}")
        return None if status else dict(line.strip().split(": ", 1) for line in text.splitlines() if ": " in line)

    # ---- logs

    def lines(self, name):
        try:
            text = (self.folder / name).read_text("utf-8", "surrogateescape")
        except FileNotFoundError:
            return []
        return text[:text.rfind("\n") + 1].split("\n")[:-1]

    def mainlog(self, kind=None):
        found = [record(line) for line in self.lines("mainlog")]
        return [r for r in found if r.kind == kind] if kind else found

    def bouncelog(self, kind="B"):
        return [r for r in (record(line, "bouncelog") for line in self.lines("bouncelog")) if r.kind == kind]

    def rejectlog(self):
        found = [REJECTION.fullmatch(line) for line in self.lines("rejectlog") if "Marker 1" not in line]
        return [Rejection(int(m[1]), *m.groups()[1:7], int(m[8]), *m.groups()[8:]) for m in found]

    def paniclog(self):
        return [line.partition(":")[2] for line in self.lines("paniclog")]

    def wait_log(self, kind, n=1, timeout=10):
        """Block until the mainlog has n records of that kind; answers them."""
        until(lambda: len(self.mainlog(kind)) >= n, timeout, lambda: f"{n} {kind} records: {self.lines('mainlog')}")
        return self.mainlog(kind)

    def wait_rejectlog(self, n, timeout=10):
        """Block until the rejectlog has n records; answers them."""
        until(lambda: len(self.rejectlog()) >= n, timeout, lambda: f"{n} rejections: {self.lines('rejectlog')}")
        return self.rejectlog()

    def wait_empty(self, timeout=10):
        """Block until no mail is left, in queues or on its way."""
        until(lambda: self.counters()["ResidentMessages"] == 0 and self.counters()["TotalQueueSize"] == 0, timeout,
              lambda: f"end of the queue: {self.counters()}")

    def golden(self, *names):
        """Compare logs with tests/golden/<test>.<log>; EC_GOLDEN=1 writes them."""
        seen = {}
        for name in names:
            text = "".join(self.anonymous(name, line, seen) + "\n" for line in self.lines(name))
            path = GOLDEN / f"{self.name}.{name}"
            if os.environ.get("EC_GOLDEN"):
                path.write_text(text)
            assert path.exists(), f"{path} is missing; EC_GOLDEN=1 writes it"
            assert text == path.read_text(), f"{path} differs; EC_GOLDEN=1 rewrites it"

    def anonymous(self, log, line, seen):
        """Ids, times and ports by name; ids keep their name from log to log."""
        line = re.sub(r"^\d{10}", "TIME", line)
        line = MESSAGE_ID.sub(lambda m: m[0] if set(m[0]) <= set("0/-") else seen.setdefault(m[0], f"ID{len(seen) + 1}"), line)
        if log == "mainlog":
            line = re.sub(r"@\d+\.\d{3}@", "@SECONDS@", line)
        return re.sub(r"(127\.0\.0\.\d+):\d+", r"\1:PORT", line)
