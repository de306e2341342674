"""Options of the queues, two values each: retries, expiry, throttles, memory."""
import time

import pytest

from tests.delivery.test_transactions import queue_up
from tests.harness.wait import until

BODY = b"Subject: x\r\n\r\n" + b"x" * 70 + b"\r\n"


@pytest.mark.shows("retry_interval", "max_retry_interval")
def test_next_attempt_is_due_when_the_options_say(mta):
    mta.config("Domain one.test { retry_interval = 60 }\nDomain two.test { retry_interval = 600 }\n"
               "Domain three.test { retry_interval = 600 max_retry_interval = 90 }")
    mta.dns({f"{name}.test": {"A": ["127.0.0.2"]} for name in ("one", "two", "three")})
    mta.sink(rcpt="452 4.2.2 full")
    ids = {f"{name}.test": mta.send(rcpts=f"b@{name}.test") for name in ("one", "two", "three")}
    waits = {}
    for t in mta.wait_log("T", 3):
        due = until(lambda: mta.details(ids[t.domain]))["Next Attempt"]
        waits[t.domain] = round((time.mktime(time.strptime(due, "%Y-%m-%d %H:%M:%S")) - t.time) / 10) * 10
    assert waits == {"one.test": 60, "two.test": 600, "three.test": 90}


@pytest.mark.shows("max_retries")
@pytest.mark.parametrize("most, attempts", [(0, 1), (1, 2)])
def test_attempts_before_mail_fails(mta, most, attempts):
    mta.config(f"max_retries = {most}\nretry_interval = 1")
    sink = mta.route(rcpt="452 4.2.2 full")
    mta.send()
    [p] = mta.wait_log("P")
    assert p.retries == most and len(sink.seen("RCPT")) == attempts


@pytest.mark.shows("never_retry")
@pytest.mark.parametrize("never, kinds", [("true", "TP"), ("false", "T")])
def test_first_refusal_is_the_last_or_not(mta, never, kinds):
    mta.config(f"never_retry = {never}")
    mta.route(rcpt="452 4.2.2 full")
    mta.send()
    mta.wait_log("T")
    until(lambda: "".join(r.kind for r in mta.mainlog() if r.kind != "R") == kinds)
    assert mta.counters()["TotalQueueSize"] == ("P" not in kinds)


@pytest.mark.shows("message_expiration", "never_attempt_expired_messages")
def test_mail_expires_when_the_option_says(mta):
    mta.config("retry_interval = 2\nmax_retries = none\nDomain short.test { message_expiration = 1 }\nDomain long.test { message_expiration = 99 }\n"
               "Domain never.test { message_expiration = 1 never_attempt_expired_messages = true }")
    mta.dns({f"{name}.test": {"A": ["127.0.0.2"]} for name in ("short", "long", "never")})
    sink = mta.sink(rcpt="452 4.2.2 full")
    for name in ("short", "long", "never"):
        mta.send(rcpts=f"b@{name}.test")
    mta.wait_log("T", 5), mta.wait_log("P", 2)
    assert {p.domain: p.text for p in mta.mainlog("P")} == {
        "short.test": "554 5.4.7 [internal] exceeded max time without delivery",
        "never.test": "554 5.4.5 [internal] Delivery not attempted (message expired)"}
    assert sorted(line.split("@")[1] for line in sink.seen("RCPT")) == sorted(f"{name}.test>" for name in ("short", "short", "long", "long", "never"))


@pytest.mark.shows("drop_body_after_trans_fail")
def test_body_leaves_memory_after_as_many_failures_as_the_option_says(mta):
    for most, held in ((0, False), (3, True)):
        mta.config(f"drop_body_after_trans_fail = {most}\nmax_outbound_connections = 1")
        if not mta.sinks:
            mta.route(rcpt="452 4.2.2 full")
        mta.send(data=BODY * 100)
        until(lambda: mta.counters()["DelayedQueueSize"] == 1 + held)
        assert (mta.counters()["ResidentBytes"] > 0) == held


@pytest.mark.shows("max_resident_active_queue", "max_resident_messages")
@pytest.mark.parametrize("option, most, bodies", [
    ("max_resident_active_queue", 1, 1), ("max_resident_active_queue", 3, 3), ("max_resident_messages", 1, 1), ("max_resident_messages", 9, 4)])
def test_as_many_bodies_in_memory_as_the_option_says(mta, option, most, bodies):
    mta.config(f"suspend_delivery = true\n{option} = {most}\ngrowbuf_size = 1000")
    for _ in range(4):
        mta.send(data=BODY * 100)
    until(lambda: mta.counters()["ActiveQueueSize"] == 4)
    assert round(mta.counters()["ResidentBytes"] / len(BODY * 100)) == bodies


@pytest.mark.shows("migrate_connections_between_sibling_domains")
@pytest.mark.parametrize("migrate, connections", [("true", 1), ("false", 2)])
def test_sibling_uses_a_kept_connection_or_not(mta, migrate, connections):
    mta.dns({"mx.test": {"A": ["127.0.0.2"]}, "one.test": {"MX": ["mx.test"]}, "two.test": {"MX": ["mx.test"]}})
    sink = mta.sink()
    mta.config(f"migrate_connections_between_sibling_domains = {migrate}")
    for n, name in enumerate(("one", "two"), 1):
        mta.send(rcpts=f"b@{name}.test")
        sink.wait(messages=n)
        time.sleep(0.1)                 # it rests
    assert len(sink.connections) == connections


@pytest.mark.shows("outbound_throttle_messages", "outbound_throttle_connections")
def test_pace_is_what_the_options_say(mta):
    names = {"m-slow": "outbound_throttle_messages = 2/60", "m-quick": "outbound_throttle_messages = 60/1",
             "c-slow": "outbound_throttle_connections = 2/60", "c-quick": "outbound_throttle_connections = 60/1"}
    mta.dns({f"{name}.test": {"A": [f"127.0.2.{i}"]} for i, name in enumerate(names, 1)})
    sinks = {name: mta.sink(f"127.0.2.{i}") for i, name in enumerate(names, 1)}
    config = "max_deliveries_per_connection = 1\nmax_outbound_connections = 1\nmigrate_connections_between_sibling_domains = false\n" \
        + "".join(f"Domain {name}.test {{ {option} }}\n" for name, option in names.items())
    queue_up(mta, config, [{"rcpts": f"{i}@{name}.test"} for i in range(4) for name in names])
    until(lambda: len(sinks["m-quick"].messages) == len(sinks["c-quick"].messages) == 4, 5)
    assert 1 <= len(sinks["m-slow"].messages) <= 2 and 1 <= len(sinks["c-slow"].messages) <= 2


@pytest.mark.shows("suspend_delivery")
def test_mail_of_a_suspended_domain_waits(mta):
    mta.dns({"one.test": {"A": ["127.0.0.2"]}, "two.test": {"A": ["127.0.0.2"]}})
    sink = mta.sink()
    mta.config("Domain one.test { suspend_delivery = true }\nDomain two.test { suspend_delivery = false }")
    mta.send(rcpts="b@one.test"), mta.send(rcpts="b@two.test")
    mta.wait_log("D")
    time.sleep(0.2)
    assert [m.rcpts for m in sink.messages] == [["b@two.test"]] and mta.counters()["ActiveQueueSize"] == 1


@pytest.mark.shows("delayed_binding_domain_fuzz")
@pytest.mark.parametrize("fuzz, times", [(0, range(1, 3)), (512, range(6, 13))])
def test_mail_that_is_put_off_together_comes_back_as_the_option_says(mta, fuzz, times):
    mta.dns({"example.com": {"A": ["127.0.0.2"]}})
    queue_up(mta, f"retry_interval = 600\nmx_failures_to_delay = 1\ndelayed_binding_domain_fuzz = {fuzz}",
             [{"rcpts": f"r{i}@example.com"} for i in range(12)])
    mta.wait_log("T", 12)
    ids = [t.id for t in mta.mainlog("T")]
    assert len({until(lambda id=id: mta.details(id))["Next Attempt"] for id in ids}) in times


@pytest.mark.shows("delayed_queue_scan_interval")
@pytest.mark.parametrize("interval, delivered", [(1, True), (60, False)])
def test_active_mail_is_looked_at_as_often_as_the_option_says(mta, interval, delivered):
    """It waits for a host to rest, and then its domain gets another: that is seen at the next look."""
    mta.dns({"example.com": {"A": ["127.0.0.3"], "TTL": 1}})
    sink = mta.sink("127.0.0.2")
    mta.config(f"delayed_queue_scan_interval = {interval}\nhost_failure_retry = 600\nretry_interval = 600\nmax_outbound_connections = 1")
    mta.send()
    mta.wait_log("T")
    mta.send()
    mta.dns({"example.com": {"A": ["127.0.0.2"], "TTL": 1}})
    if delivered:
        sink.wait(messages=1, timeout=4)
    else:
        time.sleep(2.5)
        assert not sink.messages and mta.counters()["ActiveQueueSize"] == 1


@pytest.mark.shows("host_failure_retry")
@pytest.mark.parametrize("rest, least, most", [(1, 0.8, 2.5), (3, 2.8, 5)])
def test_host_that_failed_rests_as_long_as_the_option_says(mta, rest, least, most):
    mta.dns({"example.com": {"A": ["127.0.0.1"]}})
    mta.config(f"retry_interval = 600\nhost_failure_retry = {rest}")
    mta.send(), mta.send()
    [t] = mta.wait_log("T")
    sink = mta.sink("127.0.0.1")
    sink.wait(messages=1, timeout=8)
    [d] = mta.wait_log("D")
    assert least < d.seconds < most


@pytest.mark.shows("address_metrics_lifetime", "address_metrics_cleanse_interval")
@pytest.mark.parametrize("lifetime, cleanse, forgotten", [(1, 1, True), (1800, 1, False), (1, 3600, False)])
def test_host_nobody_uses_is_forgotten_as_the_options_say(mta, lifetime, cleanse, forgotten):
    """A host that failed rests for ten minutes, unless it is forgotten before."""
    mta.dns({"dead.test": {"A": ["127.0.0.1"]}, "same.test": {"A": ["127.0.0.1"]}, "other.test": {"A": ["127.0.0.2"]},
             "third.test": {"A": ["127.0.0.3"]}})
    mta.sink("127.0.0.2"), mta.sink("127.0.0.3")
    mta.config(f"address_metrics_lifetime = {lifetime}\naddress_metrics_cleanse_interval = {cleanse}\nhost_failure_retry = 600\nretry_interval = 600\n")
    mta.send(rcpts="b@other.test")
    mta.wait_log("D")
    mta.send(rcpts="b@dead.test")
    mta.wait_log("T")
    time.sleep(1.3)
    mta.send(rcpts="b@third.test")      # a new host is when old ones are looked at
    mta.wait_log("D", 2)
    mta.send(rcpts="b@same.test")
    if forgotten:
        mta.wait_log("T", 2)
    else:
        time.sleep(0.3)
        assert len(mta.mainlog("T")) == 1 and mta.counters()["ActiveQueueSize"] == 1


# ---- memory

MEGABYTE = 1 << 20


def start_with(mta, config, megabytes):
    """A server that believes to have so much memory more than it takes, all told."""
    mta.config("")
    mta.start()
    with open(f"/proc/{mta.process.pid}/statm") as f:
        taken = int(f.read().split()[1]) * 4096
    mta.stop()
    mta.env["ECELERITY_MEMORY"] = str(taken + megabytes * MEGABYTE)
    mta.config("suspend_delivery = true\n" + config)
    mta.start()


@pytest.mark.shows("memory_goal")
@pytest.mark.parametrize("goal, held", [(1, False), (100, True)])
def test_queued_mail_leaves_memory_above_the_goal(mta, goal, held):
    start_with(mta, f"memory_goal = {goal}\nmemory_hwm = 100\nmail_queue_check_vm_interval = 1", 1000)
    for _ in range(3):
        mta.send(data=BODY * 1000)
    if held:
        time.sleep(1.5)
        assert mta.counters()["ResidentBytes"] > 3 * 70000
    else:
        until(lambda: mta.counters()["ResidentBytes"] == 0, 5)


@pytest.mark.shows("memory_hwm")
@pytest.mark.parametrize("mark, code", [(1, 452), (100, 250)])
def test_mail_is_refused_above_the_high_water_mark(mta, mark, code):
    start_with(mta, f"memory_goal = 1\nmemory_hwm = {mark}", 1000)
    time.sleep(1.2)                     # it looks once a second
    with mta.smtp() as c:
        c.command("MAIL FROM:<a@test>")
        assert c.read_reply() == code


@pytest.mark.shows("mail_queue_check_vm_interval")
@pytest.mark.parametrize("interval, held", [(1, False), (60, True)])
def test_memory_is_given_back_again_after_the_interval(mta, interval, held):
    start_with(mta, f"memory_goal = 1\nmemory_hwm = 100\nmail_queue_check_vm_interval = {interval}", 1000)
    mta.send(data=BODY * 1000)
    until(lambda: mta.counters()["ResidentBytes"] == 0, 5)          # the first look
    mta.send(data=BODY * 1000)
    if held:
        time.sleep(2.2)
        assert mta.counters()["ResidentBytes"] > 70000
    else:
        until(lambda: mta.counters()["ResidentBytes"] == 0, 5)
