"""ec_md5passwd: lines of a password file come, change and stay."""
import hashlib
import os
import pty
import stat
import subprocess
import sys

import pytest

from tests.commands.conftest import ROOT


def line(user, password, realm="Momentum Console"):
    return f"{user}:{realm}:{hashlib.md5(f'{user}:{realm}:{password}'.encode()).hexdigest()}\n"


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_new_file_is_for_its_owner_only(tmp_path, run):
    done = run("ec_md5passwd", "-f", "passwd", "fred", "secret")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Password updated.\n", "")
    assert (tmp_path / "passwd").read_text() == line("fred", "secret")
    assert mode(tmp_path / "passwd") == 0o600
    assert os.listdir(tmp_path) == ["passwd"]


@pytest.mark.parametrize("before, after", [
    ("", "{fred}"),
    ("# comment\nann:Momentum Console:00\n", "# comment\nann:Momentum Console:00\n{fred}"),
    ("ann:Momentum Console:00", "ann:Momentum Console:00\n{fred}"),
    ("fred:Momentum Console:00\nann:x:1\n", "{fred}ann:x:1\n"),
    ("ann:x:1\n\nfred:Momentum Console:00", "ann:x:1\n\n{fred}"),
    ("fred:Momentum Console:00\nann:x:1\nfred:Momentum Console:11\n", "{fred}ann:x:1\n"),
    ("fred:other realm:00\nfreddy:Momentum Console:11\n", "fred:other realm:00\nfreddy:Momentum Console:11\n{fred}"),
    ("#fred:Momentum Console:00\n", "#fred:Momentum Console:00\n{fred}"),
    ("é\udcff\r\nbroken\n", "é\udcff\r\nbroken\n{fred}"),
], ids=["empty", "append", "no newline at the end", "replace", "replace the last", "twice there", "another realm or user", "comment",
        "what is no text"])
def test_other_lines_stay(tmp_path, run, before, after):
    path = tmp_path / "passwd"
    path.write_bytes(os.fsencode(before))
    path.chmod(0o640)
    assert run("ec_md5passwd", "-f", str(path), "fred", "secret").returncode == 0
    assert path.read_bytes() == os.fsencode(after.replace("{fred}", line("fred", "secret")))
    assert mode(path) == 0o640


def test_owner_stays(tmp_path, run):
    path = tmp_path / "passwd"
    path.write_text("")
    owner = (65534, 65534) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    os.chown(path, *owner)
    assert run("ec_md5passwd", "-f", "passwd", "fred", "secret").returncode == 0
    assert (path.stat().st_uid, path.stat().st_gid) == owner


def test_link_stays_a_link(tmp_path, run):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "passwd").write_text("")
    (tmp_path / "passwd").symlink_to("real/passwd")
    assert run("ec_md5passwd", "-f", "passwd", "fred", "secret").returncode == 0
    assert (tmp_path / "passwd").is_symlink() and (tmp_path / "real" / "passwd").read_text() == line("fred", "secret")


def test_realm(tmp_path, run):
    assert run("ec_md5passwd", "fred", "x", EC_DIGEST_REALM="Mars").stdout == line("fred", "x", "Mars")
    assert run("ec_md5passwd", "-r", "Ecelerity Command Center", "fred", "x", EC_DIGEST_REALM="Mars").stdout == line(
        "fred", "x", "Ecelerity Command Center")


def test_without_a_file_the_line_is_printed(tmp_path, run):
    done = run("ec_md5passwd", "frèd", "päss: word")
    assert (done.returncode, done.stdout) == (0, line("frèd", "päss: word"))
    assert os.listdir(tmp_path) == []


def test_what_is_missing_is_read_from_a_pipe(run):
    done = run("ec_md5passwd", input="fred\nsecret\nsecret\n")
    assert (done.returncode, done.stdout) == (0, line("fred", "secret"))
    assert done.stderr.startswith("Username: Password: Password again: Put this line ")


def test_password_is_the_bytes_that_came(run):
    digest = hashlib.md5(b"fred:Momentum Console:\xff").hexdigest()
    assert run("ec_md5passwd", "fred", input="\udcff\n" * 2).stdout == f"fred:Momentum Console:{digest}\n"


def test_what_is_missing_is_asked_for_on_the_terminal(tmp_path):
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execve(sys.executable, [sys.executable, "-m", "pymomentum.commands.ec_md5passwd", "-f", "passwd"],
                  {**os.environ, "PYTHONPATH": str(ROOT)})
    said = b""
    for prompt, answer in (b"Username: ", b"fred\n"), (b"Password: ", b"secret\n"), (b"again: ", b"secret\n"), (b"updated.\r\n", b""):
        while not said.endswith(prompt):
            said += os.read(terminal, 1)
        os.write(terminal, answer)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(terminal)
    assert b"secret" not in said
    assert (tmp_path / "passwd").read_text() == line("fred", "secret")


@pytest.mark.parametrize("arguments, typed, why", [
    (["fred"], "one\ntwo\n", "the two passwords differ"),
    (["fred"], "one\n", "the two passwords differ"),
    (["fred"], "", "the password is empty"),
    (["fred"], "\n\n", "the password is empty"),
    (["fred", ""], "", "the password is empty"),
    ([], "", "the user name is empty, or holds a colon or a control character"),
    (["a:b", "x"], "", "the user name is empty, or holds a colon or a control character"),
    (["a\nb", "x"], "", "the user name is empty, or holds a colon or a control character"),
    (["#a", "x"], "", "a user name that begins with # would be a comment"),
    (["-r", "a:b", "fred", "x"], "", "the realm is empty, or holds a colon or a control character"),
    (["-f", "no/such", "fred", "x"], "", "no/such: No such file or directory"),
    (["-f", "/dev/null", "fred", "x"], "", "/dev/null is not a regular file"),
    (["-f", "loop", "fred", "x"], "", "loop: Too many levels of symbolic links"),
])
def test_what_cannot_be_done_is_said_in_a_line(tmp_path, run, arguments, typed, why):
    (tmp_path / "loop").symlink_to("loop")
    done = run("ec_md5passwd", *arguments, input=typed)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(f"ec_md5passwd: {why}\n") and done.stderr.count("\n") == 1
    assert os.listdir(tmp_path) == ["loop"]


def test_file_is_whole_when_the_disk_is_full(tmp_path, run):
    path = tmp_path / "passwd"
    path.write_text("ann:x:1\n" * 20000)
    done = subprocess.run(["sh", "-c", 'ulimit -f 1; exec "$@"', "sh", sys.executable, "-m", "pymomentum.commands.ec_md5passwd",
                           "-f", str(path), "fred", "x"], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, f"ec_md5passwd: {path}: File too large\n")
    assert path.read_text() == "ann:x:1\n" * 20000 and os.listdir(tmp_path) == ["passwd"]


def test_help_and_wrong_usage(run):
    for option in "-h", "--help":
        done = run("ec_md5passwd", option)
        assert done.returncode == 0 and "EC_DIGEST_REALM" in done.stdout
    assert run("ec_md5passwd", "a", "b", "c").returncode == 2
