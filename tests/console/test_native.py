"""What the console answers without Python: a module that keeps the GIL keeps it from nothing that matters."""
import os
import time

import pytest

from pymomentum.console.client import Client
from tests.harness.smtp import SMTPClient
from tests.harness.wait import until

ENOUGH = 0.1        # seconds for an answer, as a rule: the machine that runs the tests may stall


@pytest.fixture
def held(mta):
    """A server; call it, and its GIL is held for so many seconds."""
    trigger = mta.folder / "hold"
    mta.env["EC_HOLD"] = str(trigger)
    mta.extensions.append("tests.harness.hold")
    mta.start()

    def hold(seconds):
        ready = mta.folder / "hold.new"
        ready.write_text(str(seconds))
        os.rename(ready, trigger)
        until(lambda: not trigger.exists(), what="GIL held")
    return hold


def ask(mta, command, **more):
    """(answer, status, seconds)."""
    began = time.monotonic()
    with Client(str(mta.folder / "console")) as client:
        answer, status = client.ask(command, **more)
    return answer, status, time.monotonic() - began


def test_summary_pid_and_version_need_no_gil(mta, held):
    before = mta.console("version"), mta.console("pid"), mta.data("pid")
    held(3)
    end = time.monotonic() + 2
    times = []
    while time.monotonic() < end:
        for command, said in (("version", before[0]), ("pid", before[1]), (" PID  ", before[1])):
            answer, status, took = ask(mta, command)
            assert (answer, status) == (said, 0)
            times.append(took)
        assert ask(mta, "pid", json=True)[:2] == (before[2], 0)
        text, status, took = ask(mta, "summary")
        assert text.startswith("Summary Statistics\n        Outbound Concurrency: ") and status == 0
        times.append(took)
        data, status, took = ask(mta, "summary", json=True)
        assert data["ReceivedMessages"] == 0
        times.append(took)
        text, status, took = ask(mta, "xml summary")
        assert "  <ReceivedMessages>0</ReceivedMessages>\n" in text
        times.append(took)
    assert len(times) > 20 and sorted(times)[len(times) // 2] < ENOUGH


def test_other_commands_wait_for_python_and_come(mta, held):
    mta.start()
    held(1)
    text, status, took = ask(mta, "help pid")
    assert text.startswith("pid ") and status == 0 and took > 0.5


def test_shutdown_needs_no_gil(mta, held):
    mta.route()
    with mta.smtp() as busy:
        busy.command("MAIL FROM:<a@test>")
        busy.expect("250 *")
        held(4)
        answer, status, took = ask(mta, "shutdown")
        assert (answer, status) == ("shutting down.\n", 0) and took < 10 * ENOUGH
        time.sleep(0.4)                         # longer than Python is waited for
        began = time.monotonic()
        with SMTPClient(port=mta.port, greet=False) as late:
            late.expect("421 4.3.2 *")
        busy.command("RCPT TO:<b@example.com>")
        busy.expect("250 *")
        busy.command("DATA")
        busy.expect("354 *")
        busy.send(b"Subject: x\r\n\r\n.\r\n")
        busy.expect("250 2.0.0 OK *")
        busy.command("MAIL FROM:<a@test>")
        busy.expect("421 *")
        assert time.monotonic() - began < 2, "this was to happen while the GIL was held"
    assert mta.process.wait(20) == 0
    mta.process = None


def test_idle_sessions_are_told_though_the_loops_drained_first(mta, held):
    with mta.smtp() as idle:
        held(1)
        assert ask(mta, "shutdown")[1] == 0
        idle.expect("421 4.3.2 *")
        idle.expect_closed()
    assert mta.process.wait(20) == 0
    mta.process = None
