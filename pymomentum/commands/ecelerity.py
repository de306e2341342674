"""ecelerity - the mail server

    ecelerity [-c FILE] [-d] [-h] [-n SERVICE] [-s]

Checks the configuration and starts the server under a supervisor, which restarts
it after a crash; in the background, unless -d is given.  SIGTERM lets sessions
finish and stops, a second one stops at once; SIGHUP reads the configuration again.
Environment: ECELERITY_WATCHDOG, seconds a hung event loop is waited for (60).
"""
import argparse
import os
import subprocess
import sys
from pathlib import Path

from pymomentum.config import load
from pymomentum.errors import ConfigErrors, MomentumError
from pymomentum.pidfile import PidFile
from pymomentum.supervisor import Supervisor

ROOT = Path(__file__).resolve().parents[2]
WATCHDOG = 60
SERVICES = ("esmtp", "ecstream", "control", "queue")


def options_of(arguments):
    parser = argparse.ArgumentParser(prog="ecelerity", description="The mail server.", allow_abbrev=False)
    parser.add_argument("-c", metavar="FILE", dest="config", default="ecelerity.conf",
                        help="configuration, found along the search path; default: %(default)s")
    parser.add_argument("-d", action="store_true", dest="foreground",
                        help="stay in the foreground, with stdout and stderr")
    parser.add_argument("-n", metavar="SERVICE", dest="without", action="append", default=[], choices=SERVICES,
                        help="leave a service out: esmtp, ecstream or control is not listened for, with queue nothing is delivered")
    parser.add_argument("-s", action="store_true", dest="old", help="accepted for old scripts; without effect")
    return parser.parse_args(arguments)


def watchdog_seconds():
    text = os.environ.get("ECELERITY_WATCHDOG", str(WATCHDOG))
    if not text.isdigit() or int(text) < 1:
        raise MomentumError(f'ECELERITY_WATCHDOG is "{text}", not a number of seconds')
    return int(text)


def main(arguments=None):
    options = options_of(arguments)
    try:
        return start(options)
    except ConfigErrors as e:
        print(e, file=sys.stderr)
        print(f"ecelerity: {len(e.errors)} error{'s' * (len(e.errors) != 1)} in the configuration", file=sys.stderr)
    except MomentumError as e:
        print(f"ecelerity: {e}", file=sys.stderr)
    return 1


def start(options):
    if options.old:
        print("ecelerity: -s has no effect: nothing is known that it should change", file=sys.stderr)
    loaded = load(options.config)
    watchdog = watchdog_seconds()
    pidfile = hold_pidfile(loaded)
    ready = None if options.foreground else daemonize()
    try:
        if ready:
            pidfile.write()
        supervisor = supervisor_of(options, loaded, watchdog, ready)
        code = supervisor.run()
        if ready:
            ready(code)
        return code
    finally:
        pidfile.release()


def hold_pidfile(loaded):
    """Take the pid file; one that nobody asked for may fail."""
    pidfile = PidFile(loaded.globals["pidfile"])
    try:
        pidfile.acquire()
    except OSError as e:
        if "pidfile" in loaded.root.values:
            raise MomentumError(f"cannot write the pidfile {pidfile.path}: {e.strerror}") from None
    return pidfile


def supervisor_of(options, loaded, watchdog, ready):
    logger = loaded.module("ec_logger")
    command = [sys.executable, "-P", "-m", "pymomentum.server", "-c", options.config]
    for service in options.without:
        command += ["-n", service]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return Supervisor(command, paniclog=logger and logger["paniclog"], spoolbase=loaded.globals["spoolbase"],
                      watchdog=watchdog, environment={"PYTHONPATH": path},
                      stdout=subprocess.DEVNULL if ready else None, on_up=ready and (lambda: ready(0)))


def daemonize():
    """Go to the background; the caller's process waits for the first start and ends with its result.

    Answers a function that tells the result and lets go of the terminal.
    """
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        said = os.read(reader, 1)
        os._exit(said[0] if said else 1)
    os.setsid()
    if os.fork():
        os._exit(0)
    os.close(reader)
    told = False

    def ready(code):
        nonlocal told
        if told:
            return
        told = True
        null = os.open(os.devnull, os.O_RDWR)
        sys.stdout.flush()
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        os.close(null)
        os.write(writer, bytes([min(code, 255)]))
        os.close(writer)
    return ready


if __name__ == "__main__":
    sys.exit(main())
