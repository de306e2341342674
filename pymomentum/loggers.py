"""ec_logger and bounce_logger: the files they write, and the kinds of lines they want.

    opened = loggers.prepare(loaded, before)    raises ConfigErrors; nothing has changed yet
    loggers.serve(loaded, opened)

A module without a stanza, or with `enabled = false`, writes nothing.
"""
import errno
import os
from contextlib import suppress

from pymomentum.core.log import writer
from pymomentum.errors import ConfigError, ConfigErrors

MODULES = ("ec_logger", "bounce_logger")
LOGS = (                        # module, path and mode, in the order of LOG_*
    ("ec_logger", "mainlog", "mainlog_mode"), ("bounce_logger", "bouncelog", "bouncelog_mode"),
    ("ec_logger", "rejectlog", "rejectlog_mode"), ("ec_logger", "paniclog", "paniclog_mode"))
KINDS = (                       # in the order of WANT_*
    ("ec_logger", "log_receptions"), ("ec_logger", "log_deliveries"), ("ec_logger", "log_transient_failures"),
    ("ec_logger", "log_permanent_failures"), ("ec_logger", "log_rejections"), ("ec_logger", "log_errors"),
    ("bounce_logger", "log_inband_bounces"), ("bounce_logger", "log_transient_failures"))


def stanzas(loaded):
    """Answer {module: its options} of the loggers that work."""
    found = {name: loaded.module(name) for name in MODULES}
    return {name: options for name, options in found.items() if options and options["enabled"]}


def files(loaded):
    """Answer the (path, mode) of each log in the order of LOGS; None where it is not written."""
    modules = stanzas(loaded)
    said = [(modules.get(module, {}).get(path), modules.get(module, {}).get(mode)) for module, path, mode in LOGS]
    return [(os.path.abspath(path), mode) if path else None for path, mode in said]


class Opened:
    """Files that were opened and are not written yet."""

    def __init__(self):
        self.fds = {}           # number of the log -> descriptor, -1 for one that ends
        self.made = []          # files and folders that were not there

    def open(self, which, path, mode):
        """Open one; raises OSError."""
        missing = path
        while missing and not os.path.lexists(missing):
            self.made.append(missing)
            missing = os.path.dirname(missing)
        self.fds[which] = writer.open_file(path, mode)


def prepare(loaded, before=None):
    """Open what is new since the configuration before."""
    old, opened = files(before) if before else [None] * len(LOGS), Opened()
    for which, file in enumerate(files(loaded)):
        if file == old[which]:
            continue
        if file is None:
            opened.fds[which] = -1
            continue
        try:
            opened.open(which, *file)
        except OSError as e:
            drop(opened)
            why = "nobody reads this pipe" if e.errno == errno.ENXIO else e.strerror
            raise ConfigErrors([ConfigError(f"cannot write {LOGS[which][1]} {file[0]}: {why}")]) from None
    return opened


def drop(opened):
    """Close what was prepared in vain, and remove what was made for it."""
    for fd in opened.fds.values():
        if fd >= 0:
            os.close(fd)
    for path in sorted(opened.made, key=len, reverse=True):         # what lies in a folder before the folder
        with suppress(OSError):
            (os.rmdir if os.path.isdir(path) else os.unlink)(path)


def serve(loaded, opened):
    """Log as this configuration says from now on."""
    modules, ring = stanzas(loaded), loaded.globals["log_ring_size"]
    writer.want(sum(1 << bit for bit, (module, kind) in enumerate(KINDS) if modules.get(module, {}).get(kind)))
    for which, file in enumerate(files(loaded)):
        heartbeat = modules[LOGS[which][0]]["heartbeat"] if file else 0
        if which in opened.fds:
            path, mode = file or ("", 0)
            writer.open_log(which, opened.fds[which], path, mode=mode, ring=ring, heartbeat=heartbeat)
        else:
            writer.beat(which, heartbeat)
