"""Options of the process, its console and its configuration, two values each."""
import collections
import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time

import pytest

from pymomentum.console.client import Client
from tests.harness.mta import ROOT
from tests.harness.provided import provide
from tests.harness.wait import until
from tests.options.said import replies

ECELERITY = "import sys, tests.harness.ignoring; from pymomentum.commands.ecelerity import main; sys.exit(main())"
CONSOLE = 'Control_Listener { %s Listen "$folder/console" { } }\n'


def proc(mta, name):
    with open(f"/proc/{mta.process.pid}/{name}") as f:
        return f.read()


@pytest.mark.shows("server_max_file_descriptors")
def test_file_descriptors_at_start_and_by_a_reload(mta):
    for most in (400, 500, 300):
        mta.config(f"server_max_file_descriptors = {most}")
        mta.start()
        [line] = [line for line in proc(mta, "limits").splitlines() if line.startswith("Max open files")]
        assert line.split()[3] == str(most)


def threads(mta):
    names = collections.Counter()
    for task in os.listdir(f"/proc/{mta.process.pid}/task"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):     # it has ended meanwhile
            names[proc(mta, f"task/{task}/comm").strip()] += 1
    return names["SwapIn"], names["SwapOut"]


@pytest.mark.shows("concurrency")
def test_threads_of_pools_at_start_and_by_a_reload(mta):
    for readers, writers in (2, 4), (5, 1), (1, 64), (1, 2):
        mta.config(f'ThreadPool "SwapIn" {{ concurrency = {readers} }}\nThreadPool "SwapOut" {{ concurrency = {writers} }}')
        mta.start()
        until(lambda: threads(mta) == (readers, writers))


@pytest.mark.shows("extensions")
@pytest.mark.parametrize("extended, reply", [(True, "550"), (False, "250")])
def test_extension_is_started(mta, extended, reply):
    if extended:
        provide(mta)
    assert replies(mta, "MAIL FROM:<a+validate_mailfrom=550@test>")[0][:3] == reply


@pytest.mark.shows("suspend")
@pytest.mark.parametrize("how", ["never", "random"])
def test_hooks_are_parked(mta, how):
    mta.suspend = how
    took = []
    for _ in range(4):
        began = time.monotonic()
        mta.send()
        took.append(time.monotonic() - began)
    assert (min(took) > 0.08) == (how == "random"), took


@pytest.mark.shows("pidfile")
@pytest.mark.parametrize("name", ["one", "two"])
def test_file_of_the_process_id(mta, name):
    mta.config(f"pidfile = $folder/{name}.pid")
    mta.write_config()
    mta.dns({})
    process = subprocess.Popen([sys.executable, "-c", ECELERITY, "-d", "-c", mta.path], cwd=ROOT, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        path = mta.folder / f"{name}.pid"
        until(lambda: path.exists() and path.read_text().strip() == str(process.pid))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


# ---- console

@pytest.mark.shows("file_mode")
@pytest.mark.parametrize("mode", [0o600, 0o660])
def test_permissions_of_the_consoles_socket(mta, mode):
    mta.config(CONSOLE % f"file_mode = {mode:04o}")
    mta.start()
    assert stat.S_IMODE(os.stat(mta.folder / "console").st_mode) == mode
    mta.config(CONSOLE % "file_mode = 0640")
    assert stat.S_IMODE(os.stat(mta.folder / "console").st_mode) == 0o640


@pytest.mark.shows("timeout")
def test_silent_console_client_is_left_when_the_option_says(mta):
    for seconds in (30, 1):
        mta.config(CONSOLE % f"timeout = {seconds}")
        mta.start()
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(mta.folder / "console"))
            sock.settimeout(1.4 if seconds == 30 else 4)
            if seconds == 30:
                with pytest.raises(TimeoutError):
                    sock.recv(1)
            else:
                assert sock.recv(1) == b""


@pytest.mark.shows("timestampformat")
@pytest.mark.parametrize("form, begin", [("<%Y>", "<20"), ("%j|", "")])
def test_time_in_the_paniclog_command(mta, form, begin):
    mta.config(f'timestampformat = "{form}"\nlicense = /none')
    line = until(lambda: mta.console("paniclog")).splitlines()[0]
    assert line.startswith(time.strftime(form) + " [CONFIG]") and line.startswith(begin)


@pytest.mark.shows("local_changes_file", "local_changes_only")
@pytest.mark.parametrize("only, file, written", [("true", "one.conf", "one.conf"), ("true", "two.conf", "two.conf"), ("false", "one.conf", "ecelerity.conf")])
def test_file_that_takes_changes(mta, only, file, written):
    mta.config(f"local_changes_only = {only}\nlocal_changes_file = $folder/{file}\nretry_interval = 5")
    mta.start()
    with Client(str(mta.folder / "console")) as client:
        assert client.ask("config set retry_interval 77")[1] == 0
        text, status = client.ask("config writeback")
    assert (text, status) == (f"written: {mta.folder / written}\n", 0)
    assert "77" in (mta.folder / written).read_text()


# ---- a log that does not keep up

@contextlib.contextmanager
def stuck_log(mta):
    """The mainlog is a pipe that nobody reads, up to the end."""
    os.mkfifo(mta.folder / "pipe")
    reader = os.open(mta.folder / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    over = threading.Event()

    def drain():
        while not over.is_set():
            with contextlib.suppress(BlockingIOError):
                os.read(reader, 1 << 20)
            time.sleep(0.001)
    thread = threading.Thread(target=drain)
    try:
        yield
    finally:
        thread.start()
        mta.stop()
        over.set()
        thread.join()
        os.close(reader)


@pytest.mark.shows("log_full", "log_ring_size")
@pytest.mark.parametrize("full, ring, refused", [("tempfail", 65536, True), ("drop", 65536, False), ("tempfail", 1048576, False)])
def test_log_that_does_not_keep_up(mta, full, ring, refused):
    mta.config(f"log_full = {full}\nlog_ring_size = {ring}\nsuspend_delivery = true\n"
               "ec_logger { mainlog = $folder/pipe rejectlog = $folder/rejectlog paniclog = $folder/paniclog }")
    with stuck_log(mta), mta.smtp() as c:
        for _ in range(25):             # 10 KB of lines each; the pipe takes 64
            c.command("MAIL FROM:<a@test>")
            if c.read_reply() != 250:
                break
            c.command("RSET")
            c.read_reply()
            c.send_mail("a@test", [f"a.long.local.part.of.number.{i}@example.com" for i in range(100)])
            c.expect("250 *")
        assert (c.reply == ["452 4.3.1 the log does not keep up"]) == refused
