r"""ec_console - talk to a running server

NAME
    ec_console - ask a running server, and administer it

SYNOPSIS
    ec_console [--json] [--] [user@]ENDPOINT [COMMAND...]
    ec_console --man | --help | --version

DESCRIPTION
    ENDPOINT is where a Control_Listener listens: the path of a unix socket, PORT, HOST:PORT or [IPV6]:PORT.  The
    server knows who asks from the system; a user before the @ is accepted and not needed.

    With a COMMAND its answer is printed.  Without one, commands are read from standard input: one per line, blank
    lines and lines that begin with # are skipped, all are carried out even if one fails; exit or quit ends them.  From
    a terminal they are read at a prompt, with history and completion.

    The command "help" lists the commands, "help COMMAND" tells more about one.  "xml COMMAND" asks for XML.

OPTIONS
    --json            print data as one line of JSON per command
    --man, --help, -h print this page
    --version, -V     print the version

AT THE PROMPT
    TAB               complete the command, or list those that begin like this
    \pager            page what is longer than the window by $PAGER, or do so no more
    exit, quit, ^D    leave
    ^C                forget the line, or the rest of an answer
    Other keys are those of libedit, in emacs mode: ^A ^E ^B ^F move, ^P ^N walk the history, ^R searches it, ^K ^U ^W
    cut, ^Y pastes.  ~/.editrc, or the file that EDITRC names, binds others ("ec_console:bind -v" for vi).  The name of
    completion for bind is ec-complete.  Without libedit, readline is used.

FILES
    ~/.ec_console_history   the last 1,000 lines

EXIT STATUS
    0  every command was carried out
    1  a command failed; why is on standard error
    2  wrong usage, or there is nobody to ask
"""
import json
import os
import re
import pydoc
import shutil
import sys
import time

from pymomentum import __version__
from pymomentum.commands import run
from pymomentum.console.client import Client
from pymomentum.console.editing import editor
from pymomentum.errors import ConsoleError
from pymomentum.words import typed

HISTORY = "~/.ec_console_history"
LEAVE = ("exit", "quit")
AS_IN_A_FILE = re.compile(r"""[(\["]|[\w-]+\s*[=(\[]""")
CONTROLS = {c: "?" for c in [*range(0x20), *range(0x7f, 0xa0)] if c not in (0x09, 0x0a)}


def main(arguments=None):
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    as_json = False
    while arguments and arguments[0].startswith("-"):
        option = arguments.pop(0)
        if option in ("-h", "--help", "--man"):
            print(__doc__, end="")
            return 0
        if option in ("-V", "--version"):
            print(f"ec_console (PyMomentum) {__version__}")
            return 0
        if option == "--":
            break
        if option != "--json":
            return misuse(f"unknown option {option}")
        as_json = True
    if not arguments:
        return misuse("which endpoint?")
    endpoint, *words = arguments
    try:
        with Client(endpoint) as client:
            if words:
                return show(client, words[0] if len(words) == 1 else command_line(words), as_json)
            return (converse if sys.stdin.isatty() else read_lines)(client, as_json)
    except ConsoleError as e:
        print(f"ec_console: {e}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def command_line(words):
    """Join the words of a shell as they would be typed at the prompt.

    What follows `config set` may be a list, a word in quotes, or name and value, as a file has them: it stays as it is.
    """
    is_set = [word.lower() for word in words if word not in ("xml", "--json")][:2] == ["config", "set"]
    return " ".join(word if word == "--json" or is_set and AS_IN_A_FILE.match(word) else typed(word) for word in words)


def misuse(why):
    print(f"ec_console: {why}\nusage: ec_console [--json] [user@]ENDPOINT [COMMAND...]", file=sys.stderr)
    return 2


def show(client, command, as_json=False, out=None):
    """Carry out a command and print its answer as it comes; errors go to stderr."""
    pieces, out = [], out or Output()
    for text, data, status in client.run(command, json=as_json):
        if status:
            pieces.append(text)
        else:
            out.write(text)
    if data is not None and not status:
        out.write(json.dumps(data) + "\n")
    out.close()
    if status:
        print("".join(pieces).translate(CONTROLS), end="", file=sys.stderr)
    return status


class Output:
    """Standard output: bytes as they came into a file, without control characters onto a terminal."""

    def write(self, text):
        if sys.stdout.isatty():
            sys.stdout.write(text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").translate(CONTROLS))
        else:
            sys.stdout.flush()
            sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))

    def close(self):
        sys.stdout.flush()


class Paged(Output):
    """Gathers an answer and shows it by $PAGER where it is longer than the window."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def close(self):
        if self.text.count("\n") >= shutil.get_terminal_size().lines:
            pydoc.pipepager(self.text.encode("utf-8", "replace").decode().translate(CONTROLS),
                            os.environ.get("PAGER", "more"))
        else:
            super().write(self.text)
            super().close()


def read_lines(client, as_json):
    """Carry out commands from a file; 1 where one of them failed."""
    failed = 0
    for line in sys.stdin:
        if line.strip() in LEAVE:
            break
        if line.strip() and not line.lstrip().startswith("#"):
            failed |= show(client, line.strip(), as_json)
    return failed


def converse(client, as_json):
    """Read commands at a prompt."""
    names = [row["name"] for row in client.ask("help", json=True)[0]["Command"]]
    lines = editor(sorted([*names, r"\pager", *LEAVE]), os.path.expanduser(HISTORY))
    banner = f"  PyMomentum {__version__} console: {client.endpoint}  "
    print(f"+{'-' * len(banner)}+\n|{banner}|\n+{'-' * len(banner)}+", flush=True)
    pager = False
    try:
        while True:
            try:
                line = lines.read(f"{time.strftime('%H:%M:%S')} {client.endpoint}> ")
            except EOFError:
                print()
                return 0
            except KeyboardInterrupt:
                print()
                continue
            if line in LEAVE:
                return 0
            if line == r"\pager":
                pager = not pager
                print(f"pager {'on' if pager else 'off'}", flush=True)
            elif line:
                try:
                    show(client, line, as_json, Paged() if pager else None)
                except ConsoleError as e:
                    print(e, file=sys.stderr)
                except KeyboardInterrupt:
                    client.close()      # the rest of its answer is not wanted
                    print()
    finally:
        lines.close()


if __name__ == "__main__":
    run(main)
