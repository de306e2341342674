"""Console commands about the server itself."""
import os
import re
import time

from pymomentum import __version__
from pymomentum.console.registry import Answer, command
from pymomentum.errors import ConsoleError

PANIC_LINES = 10
PANIC_BYTES = 64 * 1024         # read from the end of the file


@command("version")
def version(call):
    """show the version and the product"""
    call.expect(0, 0)
    return Answer(f"Ecelerity Version: {__version__}\nproduct name: PyMomentum\n",
                  {"version": __version__, "product": "PyMomentum"}, "Version")


@command("pid")
def pid(call):
    """show the process id of the server"""
    call.expect(0, 0)
    return Answer(f"{os.getpid()}\n", {"pid": os.getpid()}, "Process")


@command("shutdown")
def shutdown(call):
    """stop the server when its sessions are done"""
    call.expect(0, 0)
    return Answer("shutting down.\n", after=call.server.shutdown)


@command("reopen logs")
def reopen_logs(call):
    """close the log files and open them by name again"""
    call.expect(0, 0)
    call.server.reopen_logs()
    return Answer("logs reopened.\n")


def panic_text(data, form):
    """Show the last lines of a paniclog, times in the form of the TimestampFormat option."""
    lines = []
    for line in data.decode("utf-8", "replace").splitlines()[-PANIC_LINES:]:
        found = re.fullmatch(r"(\d{10,16}):(\S+) (.*)", line)
        if found:
            seconds, fine = int(found[1][:10]), found[1][10:]
            exact = re.sub(r"(?<!%)((?:%%)*%[ST])", rf"\g<1>.{fine}", form) if fine else form
            line = f"{time.strftime(exact, time.localtime(seconds))} [{found[2]}] {found[3]}"
        lines.append(line + "\n")
    return "".join(lines)


@command("paniclog")
def paniclog(call):
    """show the last lines of the paniclog"""
    call.expect(0, 0)
    loaded = call.server.loaded
    options = loaded.module("ec_logger")
    if options is None:
        raise ConsoleError("no ec_logger writes a paniclog")
    try:
        with open(options["paniclog"], "rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - PANIC_BYTES))
            data = stream.read(PANIC_BYTES)
    except OSError as e:
        raise ConsoleError(f"cannot read {options['paniclog']}: {e.strerror}") from None
    text = panic_text(data, loaded.globals["timestampformat"])
    return Answer(text, {"lines": text.splitlines()}, "Paniclog")
