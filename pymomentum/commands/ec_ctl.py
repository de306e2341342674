"""ec_ctl - start, stop or restart the server

    ec_ctl start|stop|restart|status

Environment, which the file /opt/msys/ecelerity/etc/environment may set:
  BINDIR      where the folder rc.includes is; default: /opt/msys/ecelerity/bin
  CONFFILE    the configuration; default: ecelerity.conf along the search path
  CONTROL     the console's unix socket; default: the first of the configuration
  TRY         patience: TRY + (TRY-1) + ... + 1 seconds; default 10, that is 55 s
  EXTRA_ARGS  further arguments of ecelerity
rc.includes may hold shell scripts, which a shell includes in the order of their names: start.PURPOSE before the
server is started, stop.PURPOSE once it has stopped.  What they export the server has in its environment; one that
calls exit ends the start.
status ends with 0 where the server runs and with 3 where it does not.  It and stop ask the console that CONTROL names, or go by
what can be read of a configuration with mistakes; restart checks the configuration before it stops the server.
"""
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

from pymomentum.commands import run
from pymomentum.config import load, readable
from pymomentum.console.client import Client
from pymomentum.errors import ConfigErrors, ConsoleError, MomentumError
from pymomentum.options import registry
from pymomentum.pidfile import running

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = "/opt/msys/ecelerity/etc/environment"
BINDIR = "/opt/msys/ecelerity/bin"
OURS = ("CONFFILE", "CONTROL", "TRY", "EXTRA_ARGS")     # also taken from scripts that do not export them
TRY = 10
PAUSE = 0.1
FAST = 15               # seconds for a fast stop
VERBS = ("start", "stop", "restart", "status")


class Control:
    """What the environment and the configuration say."""

    def __init__(self, env):
        self.set(env)

    def set(self, env):
        """Take what the environment says."""
        self.env = env
        self.config = env.get("CONFFILE") or "ecelerity.conf"
        self.console = env.get("CONTROL")
        self.pidfile = None
        self.timeout = registry.find("control_client_timeout", "global").default
        text = env.get("TRY") or str(TRY)
        if not text.isdigit() or not 1 <= int(text) <= 1000:
            raise MomentumError(f'TRY is "{text}", not a number from 1 to 1000')
        self.patience = int(text) * (int(text) + 1) // 2

    def read(self, load=load):
        """Take what the configuration says."""
        loaded = load(self.config, env=self.env)
        self.pidfile = loaded.globals["pidfile"]
        self.console = self.console or next((listen.name for listen in loaded.listens if listen.kind == "control_listener"), None)
        self.timeout = loaded.globals["control_client_timeout"]

    def start(self):
        self.read()
        pid = running(self.pidfile)
        if pid:
            return say(f"ecelerity is already running (pid {pid})")
        self.set(included("start", self.env))
        self.read()
        path = os.pathsep.join(filter(None, [str(ROOT), self.env.get("PYTHONPATH")]))
        command = [sys.executable, "-P", "-m", "pymomentum.commands.ecelerity", "-c", self.config,
                   *shlex.split(self.env.get("EXTRA_ARGS", ""))]
        child = subprocess.Popen(command, env={**self.env, "PYTHONPATH": path}, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + self.patience
        while time.monotonic() < deadline:
            if child.poll():
                return fail("ecelerity did not start")
            if child.returncode == 0 and self.answers():
                return say(f"ecelerity started (pid {running(self.pidfile)})")
            time.sleep(PAUSE)
        return fail(f"ecelerity is not up after {self.patience} seconds; it may still come (TRY sets the patience)")

    def answers(self):
        return running(self.pidfile) is not None if self.console is None else self.asked() is not None

    def asked(self):
        """Answer the pid that the console tells, or None."""
        try:
            with Client(self.console, self.timeout) as client:
                text, status = client.ask("pid")
        except ConsoleError:
            return None
        return int(text) if status == 0 and text.strip().isdigit() else None

    def found(self):
        """Answer the pid of who runs, or None: by CONTROL, else by as much of the configuration as can be read."""
        if self.pidfile is None and self.console and (pid := self.asked()):
            return pid
        if self.pidfile is None:
            self.read(readable)
        pid = running(self.pidfile)
        if pid is None and self.console and (pid := self.asked()):
            self.pidfile = None         # it was started with another
        return pid

    def runs(self, pid):
        if self.pidfile is not None:
            return running(self.pidfile) == pid
        return Path(f"/proc/{pid}").exists()

    def stop(self):
        pid = self.found()
        if not pid:
            return say("ecelerity is not running")
        for patience in (self.patience, FAST):      # the second signal stops at once
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
            except PermissionError:
                return fail(f"ecelerity (pid {pid}) belongs to another user")
            deadline = time.monotonic() + patience
            while time.monotonic() < deadline:
                if not self.runs(pid):
                    included("stop", self.env)
                    return say("ecelerity stopped")
                time.sleep(PAUSE)
        return fail(f"ecelerity (pid {pid}) does not stop")

    def restart(self):
        self.read()
        return self.stop() or self.start()

    def status(self):
        pid = self.found()
        if not pid:
            say("ecelerity is not running")
            return 3
        return say(f"ecelerity is running (pid {pid})")


def included(verb, env):
    """Have a shell include the scripts rc.includes/VERB.*; answers the environment that they leave."""
    scripts = sorted(Path(env.get("BINDIR") or BINDIR, "rc.includes").glob(f"{verb}.*"))
    scripts = [str(script.absolute()) for script in scripts if script.is_file()]
    if not scripts:
        return env
    lines = ["exec 3>&1 1>&2"]              # what they print is for people, 3 is for us
    for script in scripts:
        lines += [f"echo {shlex.quote(script)} >&3", f". {shlex.quote(script)}"]
    lines += [f'[ -z "${{{name}+set}}" ] || export {name}' for name in OURS]
    lines += ["echo >&3", "env -0 >&3"]
    shell = subprocess.run(["sh", "-c", "\n".join(lines)], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    said, code = os.fsdecode(shell.stdout), shell.returncode
    begun, ended, left = said.partition("\n\n")
    if code or not ended:
        raise MomentumError(f"{begun.strip().splitlines()[-1] if begun.strip() else scripts[0]} ended with exit code {code}")
    return dict(entry.split("=", 1) for entry in left.split("\0") if "=" in entry)


def say(text):
    print(text)
    return 0


def fail(text):
    print(f"ec_ctl: {text}", file=sys.stderr)
    return 1


def environment(path=ENVIRONMENT):
    """Answer the environment with what the file sets: lines NAME=value, quoted as a shell wants it."""
    env = dict(os.environ)
    try:
        text = Path(path).read_text()
    except OSError:
        return env
    for number, line in enumerate(text.splitlines(), 1):
        found = re.fullmatch(r"\s*(?:export\s+)?([A-Za-z_]\w*)=(.*)", line)
        if not found:
            continue
        try:
            env[found[1]] = "".join(shlex.split(found[2], comments=True)[:1])
        except ValueError:
            raise MomentumError(f"{path}:{number}: a quote is not closed") from None
    return env


def main(arguments=None):
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] in (["-h"], ["--help"]):
        print(__doc__, end="")
        return 0
    if len(arguments) != 1 or arguments[0] not in VERBS:
        print("usage: ec_ctl start|stop|restart|status", file=sys.stderr)
        return 2
    try:
        return getattr(Control(environment()), arguments[0])()
    except ConfigErrors as e:
        print(e, file=sys.stderr)
        return fail("the configuration has errors")
    except MomentumError as e:
        return fail(str(e))


if __name__ == "__main__":
    run(main)
