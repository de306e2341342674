"""The supervisor with small children that crash, hang or stop."""
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pymomentum.pidfile import PidFile, running
from pymomentum.quarantine import Quarantine
from pymomentum.supervisor import Supervisor
from tests.harness.wait import until

ROOT = Path(__file__).resolve().parents[2]

# What every child begins with: beat(loop, n), which also says that it has started, and hold(loop, sequence) write the shared page.
CHILD = """
import faulthandler, mmap, os, signal, struct, sys, time
page = mmap.mmap(os.open(os.environ["EC_WATCH"], os.O_RDWR), 8256)
def beat(loop, n):
    struct.pack_into("=Q", page, 64 * loop, n)
    struct.pack_into("=Q", page, 8192, 1)
hold = lambda loop, sequence: struct.pack_into("=Q", page, 4096 + 64 * loop, sequence)
with open("starts", "a+") as starts:
    count = starts.tell()
    starts.write("x")
faulthandler.register(signal.SIGUSR2)
"""


@pytest.fixture
def supervise(tmp_path, monkeypatch):
    """Run a child until it ends well; answers (exit code, paniclog, starts)."""
    monkeypatch.chdir(tmp_path)

    def run(child, **options):
        supervisor = Supervisor([sys.executable, "-c", CHILD + child], paniclog="log/paniclog.ec", spoolbase="spool",
                                echo=False, **{"first_wait": 0.05, "watchdog": 0.5, **options})
        code = supervisor.run()
        log = Path("log/paniclog.ec")
        return code, log.read_text() if log.exists() else "", len(Path("starts").read_text())
    return run


def test_a_good_end_is_the_end(supervise):
    assert supervise("beat(0, 1)") == (0, "", 1)


def test_a_start_that_fails_is_not_repeated(supervise):
    assert supervise("sys.exit('port in use')") == (1, "", 1)


def test_crashes_are_followed_by_longer_and_longer_waits(supervise):
    code, log, starts = supervise("beat(0, 1)\ntime.sleep(0.2)\nif count < 4: os.kill(os.getpid(), signal.SIGKILL)",
                                  first_wait=0.05, longest_wait=0.15)
    assert (code, starts) == (0, 5)
    assert [line.rpartition("next start in ")[2] for line in log.splitlines() if "died of SIGKILL" in line] == [
        "0.05 s", "0.1 s", "0.15 s", "0.15 s"]


def test_after_a_steady_time_the_wait_begins_anew(supervise):
    _, log, starts = supervise("beat(0, 1)\ntime.sleep(0.2)\nif count < 3: sys.exit(7)", steady=0.1)
    assert len(re.findall("ended with exit code 7 after [0-9]+ s; next start in 0.05 s", log)) == 3


def test_a_loop_that_stands_still_is_dumped_and_killed(supervise):
    code, log, starts = supervise("""
def stuck_in_a_module():
    for i in range(1000):
        beat(1, i + 1)
        time.sleep(0.05)
beat(0, 1)
if count == 0:
    stuck_in_a_module()
""")
    assert (code, starts) == (0, 2)
    assert "watchdog: loop 0 stood still for " in log
    assert "stuck_in_a_module" in log
    assert "died of SIGABRT" in log


def test_a_loop_that_does_not_run_yet_or_any_more_is_not_hung(supervise):
    code, log, starts = supervise("time.sleep(0.8)\nbeat(0, 1)\ntime.sleep(0.1)\nbeat(0, 0)\ntime.sleep(0.8)")
    assert (code, log, starts) == (0, "", 1)


def test_the_last_words_of_a_crash_are_in_the_paniclog(supervise):
    _, log, _ = supervise("beat(0, 1)\ntime.sleep(0.2)\nif count == 0: sys.exit('out of\\x1b luck')")
    assert "server said: out of  luck\n" in log
    assert all(line.split(":")[0].isdigit() and ":supervisor " in line for line in log.splitlines())


def test_a_message_in_hand_at_two_crashes_is_quarantined(supervise, tmp_path):
    _, log, starts = supervise("""
beat(0, 1)
time.sleep(0.2)
if count < 2:
    hold(0, 4711)
    hold(3, 100 + count)
    os.abort()
""")
    assert starts == 3
    assert Quarantine(tmp_path / "spool").held == {4711: 2}
    assert (tmp_path / "spool" / "quarantine").read_text() == "4711 2\n"
    assert "message with spool sequence 4711 was in hand at 2 crashes; it is in quarantine" in log


def test_quarantine_is_kept_over_other_changes(tmp_path):
    quarantine = Quarantine(tmp_path / "spool")
    quarantine.hold(5, 2)
    quarantine.delete(5)
    Quarantine(tmp_path / "spool").hold(9, 3)
    again = Quarantine(tmp_path / "spool")
    assert (again.held, again.deleted) == ({5: 2, 9: 3}, {5})
    with pytest.raises(KeyError):
        again.release(6)


def signalled(*steps):
    """Send ourselves signals from another thread: (seconds to wait, number)."""
    def send():
        for wait, number in steps:
            time.sleep(wait)
            os.kill(os.getpid(), number)
    threading.Thread(target=send, daemon=True).start()


LISTENS = """
def note(number, frame):
    open("signals", "a").write(signal.Signals(number).name + " ")
    if number == signal.SIGTERM and (patient := len(open("signals").read().split("SIGTERM")) < {stops}):
        return
    if number == signal.SIGTERM:
        sys.exit(0)
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, note)
while True:
    beat(0, time.monotonic_ns())
    time.sleep(0.02)
"""


def test_signals_are_passed_on_and_a_stop_is_final(supervise):
    signalled((0.6, signal.SIGHUP), (0.2, signal.SIGTERM))
    assert supervise(LISTENS.format(stops=2)) == (0, "", 1)
    assert Path("signals").read_text() == "SIGHUP SIGTERM "


def test_a_second_stop_is_passed_on(supervise):
    signalled((0.6, signal.SIGINT), (0.2, signal.SIGTERM))
    assert supervise(LISTENS.format(stops=3)) == (0, "", 1)
    assert Path("signals").read_text() == "SIGTERM SIGTERM "


def test_a_stop_ends_the_wait_for_a_restart(supervise):
    signalled((0.8, signal.SIGTERM))
    began = time.monotonic()
    code, _, starts = supervise("beat(0, 1)\ntime.sleep(0.2)\nsys.exit(1)", first_wait=30)
    assert (code, starts) == (0, 1)
    assert time.monotonic() - began < 10


def test_the_server_does_not_outlive_its_supervisor(tmp_path):
    script = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from pymomentum.supervisor import Supervisor
Supervisor([sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(60)"]).run()
"""
    supervisor = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=tmp_path)
    with supervisor:
        pid = int(supervisor.stdout.readline())
        supervisor.kill()
    until(lambda: not alive(pid), what="end of the server")


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_pidfile_is_held_once(tmp_path):
    path = str(tmp_path / "run" / "pid")
    first = PidFile(path)
    first.acquire()
    assert running(path) == os.getpid()
    with pytest.raises(Exception, match=f"already running with pid {os.getpid()}"):
        PidFile(path).acquire()
    first.release()
    assert running(path) is None
    Path(path).write_text("1\n")            # left behind by a crash
    assert running(path) is None


def ecelerity(folder, *args, **env):
    return subprocess.run([sys.executable, "-m", "pymomentum.commands.ecelerity", *args], cwd=folder, timeout=20,
                          capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT), **env})


def test_ecelerity_refuses_what_it_cannot_serve(tmp_path):
    (tmp_path / "bad.conf").write_text("pidfile = run/pid\nno_such_option = 1\n")
    done = ecelerity(tmp_path, "-c", "bad.conf")
    assert done.returncode == 1
    assert "bad.conf:2:1: " in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
    (tmp_path / "good.conf").write_text("pidfile = run/pid\n")
    assert "ECELERITY_WATCHDOG" in ecelerity(tmp_path, "-c", "good.conf", ECELERITY_WATCHDOG="soon").stderr
    assert ecelerity(tmp_path, "-n", "teapot").returncode == 2
    assert "-n SERVICE" in ecelerity(tmp_path, "-h").stdout
