"""Time: retries, expiry, and what a restart keeps."""
import time

import pytest

from tests.harness.smtp import blast
from tests.harness.wait import until

MAX_RETRIES = "554 5.4.7 [internal] exceeded max retries without delivery"
MAX_TIME = "554 5.4.7 [internal] exceeded max time without delivery"


def test_mail_is_tried_again_by_the_schedule(mta):
    mta.config("retry_interval = 1\nmax_retry_interval = 2\nhost_failure_retry = 1")
    sink = mta.route(rcpt="452 4.2.2 full")
    id = mta.send()
    ts = mta.wait_log("T", 4, 20)
    assert [t.retries for t in ts] == [0, 1, 2, 3]
    gaps = [b.seconds - a.seconds for a, b in zip(ts, ts[1:])]
    for gap, expected in zip(gaps, (1, 2, 2)):
        assert expected - 1 < gap < expected + 1.5, gaps
    details = until(lambda: mta.details(id))
    assert (details["Recipient"], details["Sender"], details["Code"]) == ("b@example.com", "a@test", "452 4.2.2 full")
    sink.set(rcpt="250 OK")
    [d] = mta.wait_log("D", 1, 10)
    assert d.id == id and d.retries >= 4


def test_next_attempt_is_what_the_formula_says(mta):
    mta.route(rcpt="452 4.2.2 full")
    id = mta.send()
    [t] = mta.wait_log("T")
    details = until(lambda: mta.details(id))
    due = time.mktime(time.strptime(details["Next Attempt"], "%Y-%m-%d %H:%M:%S"))
    assert abs(due - t.time - 1200) <= 1 and details["Retries"] == "1"
    assert mta.counters()["DelayedQueueSize"] == 1


def test_never_retry_fails_at_the_first_refusal(mta):
    mta.config("never_retry = true")
    mta.route(rcpt="452 4.2.2 full")
    mta.send()
    [p] = mta.wait_log("P")
    assert p.text == MAX_RETRIES
    mta.wait_empty()


def test_max_retries_counts_retries(mta):
    mta.config("max_retries = 2\nretry_interval = 1\nmax_retry_interval = 1")
    sink = mta.route(rcpt="452 4.2.2 full")
    mta.send()
    [p] = mta.wait_log("P", 1, 15)
    assert p.text == MAX_RETRIES and p.retries == 2
    assert len(sink.seen("RCPT")) == 3


def test_long_queue_of_expired_mail_fails_in_steps(mta):
    mta.config("message_expiration = 2\nmax_retries = none\nsuspend_delivery = true")
    sink = mta.route()
    blast(mta.start().port, 450)
    time.sleep(2.1)
    mta.config("message_expiration = 2\nmax_retries = none\nnever_attempt_expired_messages = true")
    mta.wait_log("P", 450, 15)
    mta.wait_empty()
    assert not sink.messages


# ---- restarts

@pytest.mark.variants
@pytest.mark.parametrize("how", ["restart", "kill"])
def test_queued_mail_outlives_the_server(mta, how):
    sink = mta.route(rcpt=lambda path: "250 OK" if path.startswith("ok") else "452 4.2.2 full")
    n = 10 if mta.suspend else 50
    names = [f"r{i}@example.com" for i in range(n)]
    data = b"Subject: keep\r\n\r\n..dot\r\n" + b"x" * 5000 + b"\r\n"
    ids = {}
    for name in names:
        ids[mta.send("a@test", name, data)] = name
    mta.send("a@test", "ok@example.com")
    mta.wait_log("T", n), mta.wait_log("D")
    until(lambda: mta.counters()["DelayedQueueSize"] == n)
    one = next(iter(ids))
    before = mta.details(one)
    time.sleep(0.3)                     # states go to the disk in the background
    getattr(mta, how)()
    mta.start()
    until(lambda: mta.counters()["DelayedQueueSize"] == n, what="mail from the spool")
    assert mta.details(one) == before
    assert before["Retries"] == "1" and before["Code"] == "452 4.2.2 full"
    # now it may go
    sink.set(rcpt="250 OK")
    mta.stop()
    mta.config("retry_interval = 1")
    assert len(sink.messages) == 1


@pytest.mark.variants
def test_mail_in_active_queues_outlives_a_kill(mta):
    mta.config("suspend_delivery = true")
    sink = mta.route()
    n = 10 if mta.suspend else 100
    names = [f"r{i}@example.com" for i in range(n)]
    bodies = {}
    for name in names:
        bodies[name] = f"Subject: {name}\r\n\r\nto {name}\r\n".encode()
        mta.send("a@test", name, bodies[name])
    mta.kill()
    mta.config()
    mta.start()
    mta.wait_log("D", n, 20)
    got = {m.rcpts[0]: m.data for m in sink.messages}
    assert sorted(got) == sorted(names) and len(sink.messages) == n
    assert all(got[name].endswith(bodies[name]) for name in names)


def test_finished_mail_does_not_come_back(mta):
    sink = mta.route(rcpt=lambda path: "550 5.1.1 who?" if path.startswith("bad") else "250 OK")
    n = 5 if mta.suspend else 20
    for i in range(n):
        mta.send(rcpts=[f"good{i}@example.com", f"bad{i}@example.com"])
    mta.wait_log("D", n), mta.wait_log("P", n)
    mta.wait_empty()
    mta.restart()
    time.sleep(0.5)
    assert mta.counters()["TotalQueueSize"] == 0 and len(sink.messages) == n


def test_expired_spool_is_failed_or_tried(mta):
    mta.config("message_expiration = 1\nsuspend_delivery = true")
    mta.route()
    mta.send()
    mta.stop()
    time.sleep(1.1)
    mta.config("message_expiration = 1\nnever_attempt_expired_messages = true")
    mta.start()
    [p] = mta.wait_log("P")
    assert p.text.startswith("554 5.4.5 ")
