"""Options of mail that fails, and of turns of the loops, two values each."""
import email
import email.policy
import time

import pytest

from tests.delivery.test_transactions import queue_up
from tests.harness.wait import until

BODY = b"Subject: x\r\n\r\n" + b"x" * 70 + b"\r\n" * 1000


# ---- transient failures in a later turn

def failing(mta, config, n, body=BODY):
    """n messages to a receiver that wants none now."""
    if not mta.sinks:
        mta.route(rcpt="450 4.2.1 later")
    queue_up(mta, "inline_transfail_processing = false\nretry_interval = 600\n" + config, [{"rcpts": f"{i}@example.com", "data": body} for i in range(n)])


@pytest.mark.variants
@pytest.mark.shows("inline_transfail_processing")
@pytest.mark.parametrize("inline, peer", [("true", "127.0.0.2"), ("false", "")])
def test_failure_handled_later_has_lost_its_peer(mta, inline, peer):
    mta.route(rcpt="450 4.2.1 later")
    mta.config(f"inline_transfail_processing = {inline}")
    mta.send()
    [t] = mta.wait_log("T")
    assert (t.peer, t.text) == (peer, "450 4.2.1 later")
    until(lambda: mta.counters()["DelayedQueueSize"] == 1)


@pytest.mark.shows("transfail_drain_rate")
@pytest.mark.parametrize("rate, slow", [(1, True), (100, False)])
def test_failures_of_one_turn(mta, rate, slow):
    def took(i):
        failing(mta, f"transfail_drain_rate = {rate}\nconnection_allocation_aggressiveness = high", 80)
        mta.wait_log("T", 80 * i + 1)
        begin = time.monotonic()
        mta.wait_log("T", 80 * i + 80)
        return time.monotonic() - begin
    if slow:
        assert took(0) > 1.1                                # 80 turns of 16 ms
    else:
        assert any(took(i) < 1.1 for i in range(4))         # a busy machine is slow, but not each time


@pytest.mark.shows("max_resident_transfails")
@pytest.mark.parametrize("most, held", [(0, False), (100, True)])
def test_failures_that_wait_in_memory(mta, most, held):
    failing(mta, f"max_resident_transfails = {most}", 3)
    mta.wait_log("T", 3)
    assert (mta.counters()["ResidentBytes"] > 2 * len(BODY)) == held


@pytest.mark.variants
def test_mail_comes_through_after_failures_handled_later(mta):
    refused = set()
    sink = mta.route(rcpt=lambda path: "250 OK" if path in refused else refused.add(path) or "450 4.2.1 later")
    mta.config("inline_transfail_processing = false\nmax_resident_transfails = 0\nretry_interval = 1")
    for i in range(5):
        mta.send(rcpts=f"{i}@example.com", data=BODY)
    mta.wait_log("D", 5)
    assert sorted(m.rcpts[0][0] for m in sink.messages) == list("01234") and all(m.data.endswith(BODY) for m in sink.messages)
    mta.wait_empty()


# ---- what the spool keeps

@pytest.mark.shows("swap_out_meta_after_each_tempfail")
@pytest.mark.parametrize("each, retries", [("true", "1"), ("false", "0")])
def test_retries_known_after_a_crash(mta, each, retries):
    mta.route(rcpt="450 4.2.1 later")
    mta.config(f"swap_out_meta_after_each_tempfail = {each}\nretry_interval = 600")
    id = mta.send()
    mta.wait_log("T")
    time.sleep(0.5)                     # the state goes to the spool with the next commit
    mta.kill()
    mta.config(f"suspend_delivery = true\nswap_out_meta_after_each_tempfail = {each}\nretry_interval = 600")
    mta.start()
    assert until(lambda: mta.details(id), 5)["Retries"] == retries


def test_retries_are_known_after_a_stop_all_the_same(mta):
    mta.route(rcpt="450 4.2.1 later")
    config = "swap_out_meta_after_each_tempfail = false\nretry_interval = 600\n"
    mta.config(config)
    ids = [mta.send() for _ in range(3)]
    mta.wait_log("T", 3)
    mta.stop()
    mta.config(config + "suspend_delivery = true")
    mta.start()
    assert [until(lambda id=id: mta.details(id), 5)["Retries"] for id in ids] == ["1"] * 3
    assert mta.counters()["DelayedQueueSize"] == 3


@pytest.mark.shows("unlink_on_spool_in_failure")
@pytest.mark.parametrize("unlink, left", [("true", 0), ("false", 1)])
def test_mail_that_cannot_be_read_back(mta, unlink, left):
    mta.expect_panic("SPOOL message * cannot be read back: its record is damaged")
    config = f"unlink_on_spool_in_failure = {unlink}\nmax_resident_active_queue = 0\n"
    mta.config(config + "suspend_delivery = true")
    mta.route()
    mta.send(data=b"Subject: x\r\n\r\nmarked-body\r\n")
    mta.stop()
    for path in (mta.folder / "spool").rglob("*.seg"):
        path.write_bytes(path.read_bytes().replace(b"marked-body", b"broken-body"))
    mta.start()
    until(lambda: mta.counters()["ActiveQueueSize"] == 1)
    mta.config(config)
    until(lambda: mta.counters()["TotalQueueSize"] == 0)
    until(lambda: len(mta.mainlog("P")) == 1 - left)
    mta.stop()
    mta.config(config + "suspend_delivery = true")
    mta.start()
    time.sleep(0.5)
    assert mta.counters()["ActiveQueueSize"] == left


@pytest.mark.shows("max_resident_messages_per_binding")
@pytest.mark.parametrize("most, held", [(1, 1), (3, 3)])
def test_messages_of_a_binding_in_memory(mta, most, held):
    mta.config(f"suspend_delivery = true\nmax_resident_messages_per_binding = {most}")
    body = b"Subject: x\r\n\r\n" + (b"x" * 70 + b"\r\n") * 1000
    for i in range(5):
        mta.send(rcpts=f"b@d{i}.test", data=body)
    until(lambda: mta.counters()["ActiveQueueSize"] == 5)
    assert held <= mta.counters()["ResidentBytes"] / len(body) < held + 1


# ---- reports

@pytest.mark.shows("mdn_failures_notify")
@pytest.mark.parametrize("mailbox", ["one@here.test", "two@here.test", None])
def test_failure_of_mail_without_a_sender(mta, mailbox):
    home = mta.route("here.test", "127.0.0.1")
    mta.route("example.com", "127.0.0.2", rcpt="550 5.1.1 no")
    mta.config("generate_bounces = true\n" + (f"mdn_failures_notify = {mailbox}" if mailbox else ""))
    mta.send("")
    mta.wait_log("P")
    if mailbox:
        home.wait(messages=1)
        report = email.message_from_bytes(home.messages[0].data, policy=email.policy.default)
        assert (home.messages[0].mailfrom, home.messages[0].rcpts) == ("", [mailbox])
        assert report["To"].addresses[0].addr_spec == mailbox and report.get_content_type() == "multipart/report"
    mta.wait_empty()
    assert len(home.messages) == bool(mailbox)


def test_report_that_fails_is_reported_no_more(mta):
    mta.route("example.com", "127.0.0.2", rcpt="550 5.1.1 no")
    mta.config("generate_bounces = true\nmdn_failures_notify = postmaster@example.com")
    mta.send("")
    mta.wait_log("P", 2)
    mta.wait_empty()
    time.sleep(0.3)
    assert len(mta.mainlog("P")) == 2


# ---- loops

@pytest.mark.variants("3-loops")
@pytest.mark.shows("hot_domains")
@pytest.mark.parametrize("hot, asked", [("a.test b.test", 2), ("a.test x.test y.test B.test", 1)])
def test_hot_domains_are_shared_out(mta, hot, asked):
    """Each loop asks name servers itself, and only once."""
    mta.dns({"a.test": {"MX": ["mx.test"]}, "b.test": {"MX": ["mx.test"]}, "mx.test": {"A": ["127.0.0.2"]}})
    mta.sink("127.0.0.2")
    mta.config(f"hot_domains = ( {hot} )")
    for domain in "ab":
        mta.send(rcpts=f"x@{domain}.test")
    mta.wait_log("D", 2)
    assert mta.server_dns.count("mx.test", "A") == asked


@pytest.mark.shows("max_timed_events_per_iter")
@pytest.mark.parametrize("most, slow", [(1, True), (1024, False)])
def test_timers_of_one_turn(mta, most, slow):
    """The timers of 120 domains are due at once: one in each turn of 16 ms, or all in one."""
    mta.dns({f"d{i}.test": {"MX": ["mx.test"]} for i in range(120)} | {"mx.test": {"A": ["127.0.0.2"]}})
    refused = set()
    sink = mta.sink("127.0.0.2", rcpt=lambda path: "250 OK" if path in refused else refused.add(path) or "450 4.2.1 later")
    mta.config(f"max_timed_events_per_iter = {most}\nretry_interval = 2")

    def spread(name):
        with mta.smtp() as c:
            c.send_mail("a@test", [f"{name}@d{i}.test" for i in range(120)])
            c.expect("250 2.0.0 OK *")
        mta.wait_empty()
        at = sorted(m.at for m in sink.messages[-120:])
        return at[-1] - at[0]
    if slow:
        assert spread("a") > 1.25                           # 120 turns of 16 ms
    else:
        assert any(spread(name) < 1.25 for name in "abcd")  # a busy machine is slow, but not each time
