"""Postfix as a neighbour, out of its unpacked Debian package, with everything it writes in one folder.

    with Postfix(port=2526, relay=2525) as postfix: ...

It takes mail on 127.0.0.1:port and gives all of it to 127.0.0.1:relay.  Its master serves as root only, and starts its
children as a user that every Debian has.
"""
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from tests.harness.package import TOOLS, unpacked
from tests.harness.wait import until

OWNER, GROUP = "daemon", "games"        # two that Postfix takes for its own and that own nothing else here
LIBRARIES = {"LD_LIBRARY_PATH": str(TOOLS / "usr" / "lib" / "postfix")}
MAIN = """
compatibility_level = 3.6
config_directory = {folder}/etc
queue_directory = {folder}/queue
data_directory = {folder}/data
meta_directory = {folder}/etc
daemon_directory = {tools}/usr/lib/postfix/sbin
command_directory = {tools}/usr/sbin
shlib_directory = {tools}/usr/lib/postfix
import_environment = MAIL_CONFIG LD_LIBRARY_PATH
export_environment = LD_LIBRARY_PATH
mail_owner = {owner}
setgid_group = {group}
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
default_database_type = texthash
alias_maps =
local_recipient_maps =
myhostname = postfix.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
relayhost = [127.0.0.1]:{relay}
{options}
"""
# name, type, private, wakeup, most processes, command; "-" is the default
SERVICES = """
127.0.0.1:{port} inet n - - smtpd
cleanup unix n - 0 cleanup
qmgr unix n 300 1 qmgr
rewrite unix - - - trivial-rewrite
bounce unix - - 0 bounce
defer unix - - 0 bounce
trace unix - - 0 bounce
smtp unix - - - smtp
relay unix - - - smtp
error unix - - - error
retry unix - - - error
anvil unix - - 1 anvil
scache unix - - 1 scache
postlog unix-dgram n - 1 postlogd
"""
OWNED = "active bounce corrupt defer deferred flush hold incoming private saved trace"


def tool(name):
    """Path of one of its programs; they need LIBRARIES in their environment."""
    return str(unpacked("postfix", f"usr/sbin/{name}"))


class Postfix:
    """`options` are lines of main.cf, `parent` the folder that gets one for it, `cgroup` the one it runs in."""

    def __init__(self, port, relay, options="", parent=None, cgroup=None):
        self.port, self.cgroup = port, cgroup
        tool("postfix")
        self.folder = Path(tempfile.mkdtemp(prefix="postfix-", dir=parent))
        self.folder.chmod(0o755)            # its children work in there as OWNER
        etc, queue = self.folder / "etc", self.folder / "queue"
        etc.mkdir()
        (etc / "main.cf").write_text(MAIN.format(folder=self.folder, tools=TOOLS, owner=OWNER, group=GROUP, relay=relay,
                                                 options=options))
        rows = (line.split() for line in SERVICES.format(port=port).strip().splitlines())
        (etc / "master.cf").write_text("".join(f"{name} {kind} {private} - n {wakeup} {most} {command}\n"
                                               for name, kind, private, wakeup, most, command in rows))
        for name in f"data {' '.join(f'queue/{name}' for name in OWNED.split())}".split():
            (self.folder / name).mkdir(mode=0o700, parents=True)
            shutil.chown(self.folder / name, OWNER)
        for name, mode in (("public", 0o710), ("maildrop", 0o730)):
            (queue / name).mkdir()
            shutil.chown(queue / name, OWNER, GROUP)
            (queue / name).chmod(mode)
        (queue / "pid").mkdir()

    def start(self):
        def join():
            if self.cgroup:
                (self.cgroup / "cgroup.procs").write_text(str(os.getpid()))
        environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}      # sanitizers are for us
        with open(self.folder / "output", "wb") as output:
            # a session of its own: it ends by a signal to its process group
            self.process = subprocess.Popen(
                [TOOLS / "usr/lib/postfix/sbin/master", "-c", self.folder / "etc", "-d"], env={**environment, **LIBRARIES},
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=join)
        try:
            until(self.answers, 20, lambda: f"banner of Postfix: {self.log()[-2000:]}")
        except AssertionError:
            self.stop()
            raise
        return self

    def answers(self):
        assert self.process.poll() is None, f"Postfix ended: {self.log()[-2000:]}"
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as s:
                return s.recv(3) == b"220"
        except (ConnectionRefusedError, TimeoutError):
            return False

    def log(self):
        """What it said, of itself and in its log."""
        return "".join((self.folder / name).read_text("utf-8", "replace") for name in ("output", "mail.log")
                       if (self.folder / name).exists())

    def stop(self):
        try:
            self.process.terminate()        # it ends its children
            self.process.wait(20)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *failure):
        self.stop()
