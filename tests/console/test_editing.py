"""ec_console on a terminal: editing, completion, history, by libedit and by readline."""
import os
import pty
import re
import select
import sys
import time

import pytest

from pymomentum.console import editing
from pymomentum.console.listener import Listener
from tests.console.test_listener import ROOT, control

PROGRAM = """
import sys
from pymomentum.console import editing
if sys.argv[1] == "readline":
    editing.LIBRARY = "no-such-library.so"
from pymomentum.commands.ec_console import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture
def console(registry, server):
    running = Listener(registry)
    running.start(control(server.loaded))
    yield running
    running.stop()


class Terminal:
    """ec_console on a pseudo-terminal, in the current folder, which is its home too."""

    def __init__(self, kind, *arguments):
        self.seen = ""
        self.child, self.fd = pty.fork()
        if not self.child:
            env = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": os.getcwd(), "TERM": "vt100", "LC_ALL": "C.UTF-8"}
            os.execve(sys.executable, [sys.executable, "-c", PROGRAM, kind, *(arguments or ("run/2025",))], env)

    def type(self, text):
        time.sleep(0.1)                 # the prompt is there a moment before the keys are read one by one
        os.write(self.fd, text.encode())

    def expect(self, pattern, seconds=10):
        """Wait until what came since the last time matches."""
        end = time.monotonic() + seconds
        while not (found := re.search(pattern, self.seen)):
            assert select.select([self.fd], [], [], max(0, end - time.monotonic()))[0], f"{pattern} not in {self.seen!r}"
            try:
                self.seen += os.read(self.fd, 65536).decode("utf-8", "replace")
            except OSError:             # it has ended
                assert re.search(pattern, self.seen), f"{pattern} not in {self.seen!r}"
        self.seen = self.seen[found.end():]
        return found

    def end(self):
        """Answer its exit code."""
        try:
            while select.select([self.fd], [], [], 10)[0] and os.read(self.fd, 65536):
                pass                    # what it still writes
        except OSError:                 # it has ended
            pass
        os.close(self.fd)               # hangs it up, if it has not
        _, status = os.waitpid(self.child, 0)
        return os.waitstatus_to_exitcode(status)


PROMPT = r"\d\d:\d\d:\d\d run/2025> "



@pytest.mark.parametrize("kind", ["libedit", "readline"])
def test_a_conversation(console, kind):
    terminal = Terminal(kind)
    terminal.expect(r"\|  PyMomentum \S+ console: run/2025  \|")
    terminal.expect(PROMPT)
    terminal.type("pi\t\r")
    terminal.expect(r"\n\d+\r\n" + PROMPT)
    terminal.type("pidx\x7f\r")
    terminal.expect(r"\n\d+\r\n" + PROMPT)
    terminal.type("mes\td\t\x01\x0b" + "frob\r")      # completed, then cut
    terminal.expect('unknown command "frob"')
    terminal.expect(PROMPT)
    terminal.type("\x10\x10\r")                         # the line before the last
    terminal.expect(r"\n\d+\r\n" + PROMPT)
    terminal.type("half a line\x03")
    terminal.expect(PROMPT)
    terminal.type("\\pager\r")
    terminal.expect("pager on\r\n")
    terminal.expect(PROMPT)
    terminal.type("\x04")
    assert terminal.end() == 0
    lines = open(".ec_console_history").read().splitlines()
    assert lines[:3] == ["pid", "frob", "pid"] and lines[-1] == "\\pager"
    assert os.stat(".ec_console_history").st_mode & 0o777 == 0o600

    terminal = Terminal(kind)
    terminal.expect(PROMPT)
    terminal.type("\x10\x10\r")                         # from the last time
    terminal.expect(r"\n\d+\r\n" + PROMPT)
    terminal.type("quit\r")
    assert terminal.end() == 0


def test_several_completions_are_listed(console):
    terminal = Terminal("libedit")
    terminal.expect(PROMPT)
    terminal.type("domain\t")
    terminal.expect(r"domain\r+\ndomain all\r+\ndomains\r+\n")
    terminal.type("\x15pid\r")
    terminal.expect(r"\n\d+\r\n" + PROMPT)
    terminal.type("exit\r")
    assert terminal.end() == 0


def test_editrc_has_the_last_word(console):
    with open(".editrc", "w") as stream:
        stream.write('ec_console:bind -s ^G "pid"\nother:bind -s ^G "nope"\n')
    terminal = Terminal("libedit")
    terminal.expect(PROMPT)
    terminal.type("\x07\r")
    terminal.expect(r"\n\d+\r\n" + PROMPT)
    terminal.type("exit\r")
    assert terminal.end() == 0


def test_words_beyond_ascii_are_sent_whole(console):
    terminal = Terminal("libedit")
    terminal.expect(PROMPT)
    terminal.type("domän €\r")
    terminal.expect('unknown command "domän €"')
    terminal.expect(PROMPT)
    terminal.type("\x04")
    assert terminal.end() == 0


def test_a_history_that_cannot_be_kept_is_told(tmp_path, capsys):
    editing.write_history(str(tmp_path / "none" / "history"), ["pid"])
    assert "cannot keep the history in" in capsys.readouterr().err
    assert editing.read_history(str(tmp_path / "none" / "history")) == []
    path = str(tmp_path / "history")
    editing.write_history(path, [str(i) for i in range(1500)])
    assert editing.read_history(path) == [str(i) for i in range(500, 1500)]
