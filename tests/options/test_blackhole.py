"""blackhole: refused at RCPT TO, or taken and failed in the queue."""
import pytest

from tests.harness.wait import until
from tests.options.said import replies


@pytest.mark.shows("blackhole")
@pytest.mark.parametrize("how, reply, outcome", [("false", "250 *", "D"), ("true", "551 5.7.1 recipient blackholed", None),
                                                 ("inline", "551 5.7.1 recipient blackholed", None), ("internal", "250 *", "P")])
def test_blackhole(mta, how, reply, outcome):
    mta.config(f"Domain EXAMPLE.com {{ blackhole = {how} }}")
    mta.route()
    last = replies(mta, "MAIL FROM:<a@test>", "RCPT TO:<b@example.COM>")[-1]
    assert last == reply or reply == "250 *" and last.startswith("250 ")
    assert replies(mta, "MAIL FROM:<a@test>", "RCPT TO:<b@other.test>")[-1].startswith("250 ")
    if outcome:
        mta.send()
        mta.wait_log(outcome)
    else:
        assert [r.text for r in mta.wait_rejectlog(1)] == ["5.7.1 recipient blackholed"]


@pytest.mark.parametrize("how", ["true", "inline", "internal"])
def test_mail_that_is_not_due_fails_too(mta, how):
    mta.route(rcpt="452 4.2.2 full")
    mta.config("retry_interval = 1000")
    ids = {mta.send(rcpts=f"b{n}@example.com") for n in range(5)}
    mta.wait_log("T", 5)
    mta.config(f"retry_interval = 1000\nDomain example.com {{ blackhole = {how} }}")
    assert len(mta.wait_log("P", 5)) == len(ids)


@pytest.mark.parametrize("how", ["true", "inline", "internal"])
def test_queued_mail_fails_when_its_domain_is_blackholed(mta, how):
    sink = mta.route()
    mta.config("suspend_delivery = true")
    mta.send()
    until(lambda: mta.counters()["ActiveQueueSize"] == 1)
    mta.config(f"Domain example.com {{ blackhole = {how} }}")
    [p] = mta.wait_log("P")
    assert p.text == "554 5.7.0 [internal] Blackholed" and not sink.connections
