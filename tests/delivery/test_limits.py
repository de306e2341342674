"""How many connections there may be: of a queue, a scope, a host, a binding, the server; and how fast."""
import time

import pytest

from tests.delivery.test_transactions import queue_up
from tests.harness.port import free_port
from tests.harness.smtp import blast
from tests.harness.wait import until

SLOW = {"body": 0.3}
AGGRESSIVE = "connection_allocation_aggressiveness = high\nretry_interval = 1\n"


def domains(mta, names, address="127.0.0.2", **script):
    """A sink that takes the mail of all of them."""
    known = mta.server_dns.zones() if mta.server_dns else {}
    mta.dns({**known, "mx.test": {"A": [address]}, **{name: {"MX": ["mx.test"]} for name in names}})
    return mta.sink(address, delay=SLOW, **script)


def each(names, n=4):
    return [{"rcpts": f"r{i}@{name}"} for i in range(n) for name in names]


@pytest.mark.shows("max_outbound_connections", "scope_max_outbound_connections", "server_max_outbound_connections")
@pytest.mark.variants
@pytest.mark.parametrize("config, most", [
    ("max_outbound_connections = 2", 4),                                            # per domain
    ('Domain "/^(one|two)\\.test$/" { max_outbound_connections = 1 }', 2),          # an expression stands for each
    ('Domain "/^(one|two)\\.test$/" { scope_max_outbound_connections = 3 }', 3),    # but is one scope
    ("scope_max_outbound_connections = 2", 2),
    ("server_max_outbound_connections = 3\nserver_reserve_outbound_connections = 0", 3),
    ("Binding default { server_max_outbound_connections = 2 }", 2),
    ("Host mx.test { max_outbound_connections = 3 }", 3),
    ('Host "/^mx/" { scope_max_outbound_connections = 2 }', 2),
    ("Host other.test { max_outbound_connections = 1 }\nmax_outbound_connections = 3", 6),
])
def test_connections_never_exceed_their_limit(mta, config, most):
    names = ("one.test", "two.test")
    sink = domains(mta, names)
    # siblings would share connections, and then need fewer
    queue_up(mta, AGGRESSIVE + "migrate_connections_between_sibling_domains = false\n" + config, each(names, 6), at_once=10)
    sink.wait(messages=12, timeout=20)
    assert sink.peak == most
    mta.wait_empty()


def test_domain_that_waits_for_the_servers_limit_is_served_when_there_is_room(mta):
    one, two = domains(mta, ["one.test"]), domains(mta, ["two.test"], "127.0.0.3")
    mta.dns({"one.test": {"A": ["127.0.0.2"]}, "two.test": {"A": ["127.0.0.3"]}})
    mta.config("server_max_outbound_connections = 1\nserver_reserve_outbound_connections = 0\nidle_timeout = 1")
    mta.send(rcpts="a@one.test")
    until(lambda: one.connections)
    began = time.monotonic()
    mta.send(rcpts="b@two.test")
    two.wait(messages=1)
    # the first connection idles a second; then the second domain is called, not found by a scan
    assert 0.5 < time.monotonic() - began < 5


def test_long_queue_leaves_turns_of_its_connection_to_a_sibling(mta):
    mta.dns({"mx.test": {"A": ["127.0.0.2"]}, "one.test": {"MX": ["mx.test"]}, "two.test": {"MX": ["mx.test"]}})
    sink = mta.sink()
    options = "server_max_outbound_connections = 1\nserver_reserve_outbound_connections = 0\n"
    mta.config(options + "suspend_delivery = true")
    blast(mta.start().port, 180, rcpt=lambda i: f"r{i}@{'one' if i < 150 else 'two'}.test")
    mta.config(options)
    sink.wait(messages=180, timeout=20)
    if mta.loops > 1:
        return                          # connections serve siblings of their loop; here chance decides whether these are
    assert len(sink.connections) == 1
    rcpts = [m.rcpts[0].rpartition("@")[2].rstrip(">") for m in sink.messages]
    changes = sum(a != b for a, b in zip(rcpts, rcpts[1:]))
    # in turns of 20 until the shorter one is empty, not one queue behind the other
    assert changes >= 3 and rcpts[:100].count("two.test") == 30, rcpts


def test_reserve_serves_a_domain_that_has_no_connection(mta):
    one, two = domains(mta, ["one.test"]), domains(mta, ["two.test"], "127.0.0.3")
    mta.dns({"one.test": {"A": ["127.0.0.2"]}, "two.test": {"A": ["127.0.0.3"]}})
    mta.config("server_max_outbound_connections = 1\nserver_reserve_outbound_connections = 1\nreserve_maintenance_interval = 1\n"
               "idle_timeout = 30")
    mta.send(rcpts="a@one.test")
    one.wait(messages=1)
    mta.send(rcpts="b@two.test")
    two.wait(messages=1)
    assert one.open == 1


def test_limit_counts_over_a_reload(mta):
    names = ("one.test", "two.test")
    sink = domains(mta, names)
    config = AGGRESSIVE + "migrate_connections_between_sibling_domains = false\nscope_max_outbound_connections = 2\n"
    queue_up(mta, config, each(names, 6), at_once=10)
    for i in range(5):
        until(lambda: len(sink.messages) >= 2 * i)
        mta.config(config + f"idle_timeout = {i + 2}")
    sink.wait(messages=12, timeout=20)
    assert sink.peak == 2


@pytest.mark.parametrize("config", ["outbound_throttle_messages = 5/1", "Host mx.test { outbound_throttle_messages = 5/1 }"])
def test_throttle_paces_messages_over_connections_and_reloads(mta, config):
    mta.dns({"one.test": {"MX": ["mx.test"]}, "mx.test": {"A": ["127.0.0.2"]}})
    sink = mta.sink("127.0.0.2")
    queue_up(mta, AGGRESSIVE + config, each(["one.test"], 12), at_once=10)
    for i in range(4):
        until(lambda: len(sink.messages) >= 2 * i)
        mta.config(AGGRESSIVE + config + f"\nidle_timeout = {i + 2}")
    sink.wait(messages=12, timeout=20)
    times = sorted(m.at for m in sink.messages)
    assert times[-1] - times[0] >= 11 * 0.2 - 0.1
    assert all(times[i + 6] - times[i] >= 1 for i in range(6)), "more than five in a second"


@pytest.mark.parametrize("config", ["outbound_throttle_connections = 2/1", "Host mx.test { outbound_throttle_connections = 2/1 }"])
def test_throttle_paces_connections(mta, config):
    mta.dns({"one.test": {"MX": ["mx.test"]}, "mx.test": {"A": ["127.0.0.2"]}})
    sink = mta.sink("127.0.0.2")
    queue_up(mta, AGGRESSIVE + "max_deliveries_per_connection = 1\n" + config, each(["one.test"], 4), at_once=10)
    sink.wait(messages=4, timeout=20)
    times = [c.at for c in sink.connections]
    assert times[3] - times[0] >= 3 * 0.5 - 0.1 and not mta.mainlog("T")


def test_throttled_host_leads_to_the_next(mta):
    mta.dns({"one.test": {"MX": [(10, "slow.test"), (20, "free.test")]}, "slow.test": {"A": ["127.0.0.2"]}, "free.test": {"A": ["127.0.0.3"]}})
    slow, free = mta.sink("127.0.0.2"), mta.sink("127.0.0.3")
    queue_up(mta, AGGRESSIVE + "Host slow.test { outbound_throttle_connections = 1/60 }\nmax_deliveries_per_connection = 1",
             each(["one.test"], 5))
    mta.wait_log("D", 5)
    assert len(slow.connections) == 1 and len(free.messages) >= 4


def test_kept_connection_takes_mail_while_new_ones_are_throttled(mta):
    sink = mta.route()
    mta.config("outbound_throttle_connections = 1/60")
    for i in range(3):
        mta.send()
        sink.wait(messages=i + 1, timeout=4)
    assert len(sink.connections) == 1


def test_quick_host_gets_more_mail_than_a_slow_one(mta):
    mta.dns({"one.test": {"MX": [(10, "quick.test"), (10, "slow.test")]}, "quick.test": {"A": ["127.0.0.2"]}, "slow.test": {"A": ["127.0.0.3"]}})
    quick, slow = mta.sink("127.0.0.2"), mta.sink("127.0.0.3", delay={"body": 0.2})
    mta.config("max_deliveries_per_connection = 1\nmax_outbound_connections = 1")
    for i in range(60):
        mta.send(rcpts=f"r{i}@one.test")
    mta.wait_log("D", 60, 30)
    assert len(slow.messages) >= 3, "a slow one is not left out"
    assert len(quick.messages) > 1.5 * len(slow.messages)


def test_source_address_that_is_not_ours_is_named(mta):
    mta.route()
    mta.config("Binding default { bind_address = 192.0.2.77 }")
    mta.send()
    [t] = mta.wait_log("T")
    assert t.text == "451 4.4.1 [internal] bind_address 192.0.2.77 is not an address of this machine"


def test_source_address_chooses_the_family_of_the_host(mta):
    mta.dns({"one.test": {"MX": ["mx.test"]}, "mx.test": {"A": ["127.0.0.2"], "AAAA": ["::1"]}})
    sink = mta.sink("::1")
    mta.config("use_ipv6 = true\nBinding default { bind_address = ::1 }")
    for i in range(3):
        mta.send(rcpts=f"r{i}@one.test")
    sink.wait(messages=3)
    assert not mta.mainlog("T")


# ---- hosts that fail ---------------------------------------------------------------

def test_failed_attempt_costs_one_message_not_the_queue(mta):
    mta.dns({"example.com": {"A": ["127.0.0.2"]}})
    mta.config("host_failure_retry = 2\nretry_interval = 600")
    for i in range(5):
        mta.send(rcpts=f"r{i}@example.com")
    t, *_ = mta.wait_log("T")
    assert t.text == "451 4.4.1 [internal] No valid hosts (unable to make any connections)" and len(mta.mainlog("T")) == 1
    sink = mta.sink("127.0.0.2")
    sink.wait(messages=4, timeout=10)
    assert len(mta.mainlog("T")) == 1


@pytest.mark.parametrize("option", ["mx_failures_to_delay = 2", "connect_timeout_to_delay = 2"])
def test_queue_without_contact_is_put_off_as_a_whole(mta, option):
    mta.dns({"example.com": {"A": ["127.0.0.2"]}})
    queue_up(mta, f"host_failure_retry = 1\nretry_interval = 600\n{option}", each(["example.com"], 5), at_once=10)
    ts = mta.wait_log("T", 5, 15)
    put_off = [t for t in ts if t.text == "421 4.4.0 [internal] no MXs for this domain could be reached at this time"]
    assert 3 <= len(put_off) <= 4 and len({t.time for t in put_off}) <= 2
    until(lambda: mta.counters()["ActiveQueueSize"] == 0 and mta.counters()["DelayedQueueSize"] == 5)


def test_zero_never_puts_a_queue_off(mta):
    mta.dns({"example.com": {"A": ["127.0.0.2"]}})
    mta.config("host_failure_retry = 1\nretry_interval = 600\nmx_failures_to_delay = 0\nconnect_timeout_to_delay = 0")
    for i in range(6):
        mta.send(rcpts=f"r{i}@example.com")
    ts = mta.wait_log("T", 4, 15)
    assert all(t.text.startswith("451 4.4.1") for t in ts) and mta.counters()["ActiveQueueSize"] >= 1


def test_mail_that_is_put_off_together_comes_back_spread(mta):
    mta.dns({"example.com": {"A": ["127.0.0.2"]}})
    mta.config("retry_interval = 600\nmx_failures_to_delay = 1\ndelayed_binding_domain_fuzz = 512\nsuspend_delivery = true")
    ids = [mta.send(rcpts=f"r{i}@example.com") for i in range(12)]
    mta.config("retry_interval = 600\nmx_failures_to_delay = 1\ndelayed_binding_domain_fuzz = 512\ndelayed_queue_scan_interval = 1")
    mta.wait_log("T", 12, 15)
    whens = {mta.details(id)["Next Attempt"] for id in ids}
    assert len(whens) >= 6


def test_a_throttled_queue_keeps_its_connection(mta):
    sink = mta.route()
    queue_up(mta, "outbound_throttle_messages = 10\nmax_outbound_connections = 1\n", each(["example.com"], 12), at_once=10)
    sink.wait(messages=12)
    assert len(sink.connections) == 1


@pytest.mark.parametrize("option", ["outbound_throttle_messages", "outbound_throttle_connections"])
def test_a_throttle_that_is_raised_holds_nothing_back(mta, option):
    sink = mta.route()
    config = "idle_timeout = 1\nmax_deliveries_per_connection = 1\n"
    queue_up(mta, f"{config}{option} = 1/600\n", each(["example.com"], 4), at_once=10)
    sink.wait(messages=1)
    mta.config(f"{config}{option} = 100")
    sink.wait(messages=4, timeout=5)


@pytest.mark.parametrize("before, after, most", [
    ("max_outbound_connections = 6", "max_outbound_connections = 2", 2),
    ("scope_max_outbound_connections = 6", "scope_max_outbound_connections = 2", 2),
    ("max_outbound_connections = 6", "max_outbound_connections = 6\nscope_max_outbound_connections = 2", 2),
    ("Host mx.test { max_outbound_connections = 6 }", "Host mx.test { max_outbound_connections = 2 }", 2),
    ("max_outbound_connections = 6", "max_outbound_connections = 6\nHost mx.test { scope_max_outbound_connections = 2 }", 2),
    ("server_max_outbound_connections = 6", "server_max_outbound_connections = 3\nserver_reserve_outbound_connections = 0", 3),
    ("max_outbound_connections = 3", "max_outbound_connections = 7", 7),
])
def test_open_connections_follow_a_limit(mta, before, after, most):
    """Those above it end with the mail they carry, and no others."""
    sink = domains(mta, ["one.test"])
    queue_up(mta, AGGRESSIVE + before, each(["one.test"], 40), at_once=10)
    sink.wait(messages=6)
    assert sink.open == int(before.rpartition("= ")[2].split()[0])
    mta.config(AGGRESSIVE + after)
    until(lambda: sink.open == most)
    at, done = len(sink.connections), len(sink.messages)
    while len(sink.messages) < 34:
        assert sink.open <= most
        time.sleep(0.02)
    assert done < 30 and len(sink.connections) <= at + 1
    mta.wait_empty(20)


@pytest.mark.parametrize("text, moved", [
    ("remote_smtp_port = $other", True), ("bind_address = 127.0.0.9", True), ("prohibited_hosts = ( 127.0.0.2 )", False),
    ("skip_hosts = ( 127.0.0.2 )", False)])
def test_open_connections_follow_where_mail_goes(mta, text, moved):
    other = free_port(("127.0.0.2",))
    sink = mta.route()
    elsewhere = mta.sink("127.0.0.2", port=other)
    mta.config("idle_timeout = 60")
    mta.send()
    sink.wait(messages=1)
    mta.config("idle_timeout = 60\nretry_interval = 600\n" + text.replace("$other", str(other)))
    mta.send()
    mta.wait_log("D" if moved else "T" if "skip" in text else "P", 2 if moved else 1)
    assert len(sink.messages) == (2 if "bind" in text else 1) and len(elsewhere.messages) == ("port" in text)
    if "bind" in text:
        assert sink.messages[1].peer[0] == "127.0.0.9"
