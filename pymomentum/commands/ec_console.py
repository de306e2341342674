r"""ec_console - talk to a running server

    ec_console [--json] [user@]ENDPOINT [COMMAND...]

ENDPOINT is a path or HOST:PORT of a Control_Listener.  With a command it is
carried out and the exit code is 0, 1 where the command failed, or 2 where there
is nobody to ask.  Without one, commands are read: from a terminal with history
and completion (TAB), else one per line.  At the prompt, \pager switches paging by
$PAGER on and off; exit, quit and ^D leave.
"""
import json
import os
import pydoc
import shlex
import shutil
import sys
import time

from pymomentum import __version__
from pymomentum.console.client import Client
from pymomentum.errors import ConsoleError

HISTORY = "~/.ec_console_history"
HISTORY_LINES = 1000
CONTROLS = {c: "?" for c in [*range(0x20), *range(0x7f, 0xa0)] if c not in (0x09, 0x0a)}


def main(arguments=None):
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    as_json = False
    while arguments and arguments[0].startswith("-"):
        option = arguments.pop(0)
        if option in ("-h", "--help", "--man"):
            print(__doc__, end="")
            return 0
        if option != "--json":
            return misuse(f"unknown option {option}")
        as_json = True
    if not arguments:
        return misuse("which endpoint?")
    endpoint, *words = arguments
    try:
        with Client(endpoint) as client:
            if words:
                return show(client, words[0] if len(words) == 1 else shlex.join(words), as_json)
            return (converse if sys.stdin.isatty() else read_lines)(client, as_json)
    except ConsoleError as e:
        print(f"ec_console: {e}", file=sys.stderr)
        return 2
    except BrokenPipeError:             # of our output: the reader has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


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
        if line.strip():
            failed |= show(client, line.strip(), as_json)
    return failed


def converse(client, as_json):
    """Read commands at a prompt."""
    names = [row["name"] for row in client.ask("help", json=True)[0]["Command"]]
    history = prepare_editing(sorted([*names, r"\pager", "exit", "quit"]))
    banner = f"  PyMomentum {__version__} console: {client.endpoint}  "
    print(f"+{'-' * len(banner)}+\n|{banner}|\n+{'-' * len(banner)}+")
    pager = False
    try:
        while True:
            try:
                line = input(f"{time.strftime('%H:%M:%S')} {client.endpoint}> ").strip()
            except EOFError:
                print()
                return 0
            except KeyboardInterrupt:
                print()
                continue
            if line in ("exit", "quit"):
                return 0
            if line == r"\pager":
                pager = not pager
                print(f"pager {'on' if pager else 'off'}")
            elif line:
                try:
                    show(client, line, as_json, Paged() if pager else None)
                except ConsoleError as e:
                    print(e, file=sys.stderr)
                except KeyboardInterrupt:
                    client.close()      # the rest of its answer is not wanted
                    print()
    finally:
        history()


def prepare_editing(names):
    """Set up history and completion; answers the function that saves the history."""
    import readline
    path = os.path.expanduser(HISTORY)
    try:
        readline.read_history_file(path)
    except OSError:
        pass
    readline.set_history_length(HISTORY_LINES)
    readline.set_completer_delims("")           # the whole line is completed: commands have spaces
    readline.set_completer(lambda said, n: ([name for name in names if name.startswith(said)] + [None])[n])
    libedit = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if libedit else "tab: complete")

    def save():
        try:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
            readline.write_history_file(path)
        except OSError:
            pass
    return save


if __name__ == "__main__":
    sys.exit(main())
