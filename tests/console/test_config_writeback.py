"""config writeback, on a whole server, and on one that may not write its main file."""
import os

import pytest

from pymomentum.config import changed, load
from pymomentum.console.registry import Registry
from pymomentum.errors import ConsoleError
from tests.console.conftest import Server


def test_writeback_changes_one_line_and_nothing_else(mta, session):
    ask = session()
    assert ask("config writeback") == "nothing has changed.\n"
    before = mta.path.read_text()
    ask("config set domain example.com message_expiration 60")
    ask("config set domain other.example retry_interval 5")
    assert ask("config writeback") == f"written: {mta.path}\n"
    assert mta.path.read_text() == (before.replace("message_expiration = 900", "message_expiration = 60")
                                    + 'domain "other.example" {\n  Retry_Interval = 5\n}\n')
    ask("config reload")
    assert ask("config eval domain other.example retry_interval") == "        Retry_Interval = 5\n"


class Governed(Server):
    """A server whose main file is another's: it may not write it."""

    def load(self, path):
        loaded = load(path)
        loaded.readonly = frozenset({os.path.realpath(path)})
        return loaded

    def change(self, changes, seen, base=None):
        self.loaded = changed(base or seen, changes)
        return 1

    def write_back(self, work):
        loaded, files = work.loaded_anew(), work.save()
        if files:
            loaded.readonly = self.loaded.readonly
            self.loaded = loaded
        return files


@pytest.fixture
def governed(tmp_path, monkeypatch):
    """A function that asks a server by the configuration given, all of it in a file that may not be written."""
    monkeypatch.chdir(tmp_path)

    def start(text):
        (tmp_path / "main.conf").write_text(text)
        server = Governed(None)
        server.loaded = server.load("main.conf")
        registry = Registry(server, None)
        return lambda line: registry.run(line).text
    return start


def test_change_that_no_file_takes_goes_on_counting(governed, tmp_path):
    ask = governed("Domain fixed.example { retry_interval = 9 }\n")
    ask("config set domain fixed.example retry_interval 5")
    assert ask("config writeback") == (
        "not all could be saved: no file that may be written takes this; set local_changes_file. It counts until the next reload or restart:\n"
        "config set Domain fixed.example Retry_Interval 5\n")
    assert ask("config eval domain fixed.example retry_interval") == "        Retry_Interval = 5\n"
    ask("config writeback whole.conf")
    assert "Retry_Interval = 5" in (tmp_path / "whole.conf").read_text()


def test_local_changes_file_named_on_the_console_takes_the_changes(governed, tmp_path):
    """The remedy of conf-overview in the manual."""
    ask = governed("max_retries = 3\n")
    ask("config set max_retries 9")
    ask(f"config set local_changes_file {tmp_path}/lc.conf")
    assert ask("config writeback") == (
        f"written: {tmp_path}/lc.conf\n"
        "not all could be saved: this must be put into main.conf by hand. It counts until the next reload or restart:\n"
        f'config set Local_Changes_File "{tmp_path}/lc.conf"\n')
    assert (tmp_path / "lc.conf").read_text() == "Max_Retries = 9\n"
    assert ask("config eval max_retries") == "Max_Retries = 9\n"
    ask("config set max_retries 10")
    ask("config set tls required")
    assert ask("config writeback").startswith(f"written: {tmp_path}/lc.conf\n")
    assert (tmp_path / "lc.conf").read_text() == "Max_Retries = 10\nTLS = required\n"
    again = governed("max_retries = 3\n")
    again(f"config set local_changes_file {tmp_path}/lc.conf")
    assert again("config eval max_retries") == "Max_Retries = 10\n"


def test_local_changes_file_named_on_the_console_goes_into_the_main_file(mta, session):
    ask = session()
    local = mta.folder / "lc.conf"
    before = mta.path.read_text()
    ask("config set message_expiration 5")
    ask(f"config set local_changes_file {local}")
    assert ask("config writeback") == f"written: {mta.path}\n"
    assert mta.path.read_text() == before.replace("message_expiration = 86400", "message_expiration = 5") + f'Local_Changes_File = "{local}"\n'


def test_writeback_goes_on_to_serve_the_file_that_serves(mta, session):
    ask = session()
    other = mta.folder / "other.conf"
    other.write_text(mta.path.read_text() + "idle_timeout = 77\n")
    ask(f"config reload {other}")
    ask("config set retry_interval 60")
    assert ask("config writeback") == f"written: {other}\n"
    assert ask("config get idle_timeout") == "idle_timeout = 77\n"
    assert ask("config get retry_interval") == "Retry_Interval = 60\n"


def test_writeback_takes_each_change_but_once(mta, session):
    ask = session()
    local = mta.folder / "lc.conf"
    mta.config(f"local_changes_file = {local}\nlocal_changes_only = true\nmax_retries = 3")
    for value in "required", "ifavailable":
        ask(f"config set tls {value}")
        assert ask("config writeback") == f"written: {local}\n"
    assert local.read_text() == "TLS = ifavailable\n"


def test_with_local_changes_only_no_other_file_changes(mta, session):
    ask = session()
    local = mta.folder / "lc.conf"
    mta.config(f"local_changes_file = {local}\nlocal_changes_only = true\nmax_retries = 3")
    before = mta.path.read_text()
    line = before[:before.index("max_retries = 3")].count("\n") + 1
    ask("config set tls required")
    ask("config unset max_retries")
    assert ask("config writeback") == (
        f"written: {local}\nnot all could be saved: {mta.path}:{line} says this, and all changes go to {local}: set another value, or take it "
        "out of that file by hand. It counts until the next reload or restart:\nconfig unset Max_Retries\n")
    assert mta.path.read_text() == before and local.read_text() == "TLS = required\n"
    assert ask("config get max_retries") == "Option 'Max_Retries' is not set in scope ''.\n"
    ask("config unset tls")
    ask("config set max_retries 4")
    assert ask("config writeback") == f"written: {local}\n"
    assert local.read_text() == "Max_Retries = 4\n"


def test_local_changes_file_in_no_folder_is_told(session):
    ask = session()
    ask("config set local_changes_file /nonexistent/dir/x")
    with pytest.raises(ConsoleError, match="^local_changes_file: there is no folder /nonexistent/dir$"):
        ask("config writeback")


@pytest.mark.root
def test_local_changes_file_that_others_may_write_is_not_read(mta, session):
    ask = session()
    local = mta.folder / "lc.conf"
    local.write_text("max_retries = 9\n")
    local.chmod(0o666)
    with pytest.raises(ConsoleError, match="others may write this file"):
        ask(f"config set local_changes_file {local}")
    local.chmod(0o644)
    ask(f"config set local_changes_file {local}")
    assert ask("config get max_retries") == "max_retries = 9\n"


def test_what_cannot_be_unset_is_told_with_a_way_out_that_fits(governed):
    ask = governed("Domain a.test { retry_interval = 9 }\nDomain b.test { retry_interval = 9 }\n")
    ask("config unset domain a.test")
    ask("config set domain a.test tls no")
    ask("config unset domain b.test retry_interval")
    assert ask("config writeback") == (
        "not all could be saved: a file that may not be written says this: take it out of that file by hand. It counts until the next reload or "
        "restart:\nconfig unset Domain a.test\n"
        "not all could be saved: its stanza was to be unset before. It counts until the next reload or restart:\nconfig set domain a.test TLS no\n"
        "not all could be saved: a file that may not be written says this: set another value, or take it out of that file by hand. It counts until "
        "the next reload or restart:\nconfig unset Domain b.test Retry_Interval\n")


def test_file_that_was_deleted_meanwhile_is_not_made_anew(mta, session):
    ask = session()
    more = mta.folder / "more.conf"
    more.write_text("idle_timeout = 4\n")
    mta.config('include "$folder/more.conf"\n')
    ask("config set idle_timeout 5")
    more.unlink()
    with pytest.raises(ConsoleError, match="cannot read .*more.conf: No such file or directory"):
        ask("config writeback")
    assert not more.exists()
    assert ask("config get idle_timeout") == "Idle_Timeout = 5\n"
