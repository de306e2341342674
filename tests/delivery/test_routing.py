"""Where mail goes: MX, A, literals, gateways."""
import pytest

from tests.harness.port import free_port
from tests.harness.smtp import blast
from tests.harness.wait import until

MX = {"mx1.test": {"A": ["127.0.0.1"]}, "mx2.test": {"A": ["127.0.0.2"]}, "mx3.test": {"A": ["127.0.0.3"]}}


@pytest.mark.variants
def test_best_preference_is_used(mta):
    mta.dns({**MX, "example.com": {"MX": [(20, "mx2.test"), (10, "mx1.test"), (20, "mx3.test")]}})
    best, *others = mta.sink("127.0.0.1"), mta.sink("127.0.0.2"), mta.sink("127.0.0.3")
    for _ in range(5):
        mta.send()
    best.wait(messages=5)
    assert not any(sink.connections for sink in others)
    assert {d.peer for d in mta.wait_log("D", 5)} == {"127.0.0.1"}


@pytest.mark.variants
def test_refused_connection_leads_to_the_next_host(mta):
    mta.dns({**MX, "example.com": {"MX": [(10, "mx1.test"), (20, "mx2.test"), (30, "mx3.test")]}})
    third = mta.sink("127.0.0.3")
    mta.send()
    third.wait(messages=1)
    mta.wait_log("D")
    assert mta.mainlog("T") == []


def test_equal_hosts_share_the_load(mta):
    mta.dns({**MX, "example.com": {"MX": [(10, "mx1.test"), (10, "mx2.test"), (10, "mx3.test")]}})
    mta.config("max_deliveries_per_connection = 1")
    sinks = [mta.sink(f"127.0.0.{i}") for i in (1, 2, 3)]
    blast(mta.start().port, 200)
    mta.wait_log("D", 200, 30)
    shares = [len(sink.messages) for sink in sinks]
    # chance decides; the slowest has a quarter of the chance of each other: 22 of 200
    assert min(shares) >= 9, shares


def test_addresses_of_one_host_share_the_load(mta):
    mta.dns({"example.com": {"MX": ["mx.test"]}, "mx.test": {"A": ["127.0.0.1", "127.0.0.2"]}})
    mta.config("max_deliveries_per_connection = 1")
    sinks = [mta.sink("127.0.0.1"), mta.sink("127.0.0.2")]
    blast(mta.start().port, 100)
    mta.wait_log("D", 100, 30)
    assert min(len(sink.messages) for sink in sinks) >= 8       # the slower has 20 of 100 at least, by chance


def test_domain_without_mx_is_its_own_host(mta):
    mta.dns({"example.com": {"A": ["127.0.0.2"]}})
    sink = mta.sink("127.0.0.2")
    mta.send()
    sink.wait(messages=1)


def test_alias_is_followed_to_its_mx(mta):
    mta.dns({"example.com": {"CNAME": "real.test"}, "real.test": {"MX": ["mx.test"]}, "mx.test": {"CNAME": "host.test"},
             "host.test": {"A": ["127.0.0.2"]}})
    sink = mta.sink("127.0.0.2")
    mta.send()
    sink.wait(messages=1)
    assert sink.messages[0].rcpts == ["b@example.com"]


def outcome(mta, kind, domain="example.com"):
    mta.send(rcpts=f"b@{domain}")
    return mta.wait_log(kind)[0]


def test_null_mx_fails_at_once(mta):
    mta.dns({"example.com": {"MX": [(0, ".")], "A": ["127.0.0.2"]}})
    p = outcome(mta, "P")
    assert (p.stage, p.text, p.retries) == (0, "550 5.4.4 [internal] NULL MX domain does not accept mail", 0)


def test_domain_that_does_not_exist_waits(mta):
    t = outcome(mta, "T")
    assert (t.stage, t.text) == (0, "454 4.4.4 [internal] no MX or A for domain")


def test_domain_without_any_host_waits(mta):
    mta.dns({"example.com": {"TXT": ["x"]}, "two.test": {"MX": ["mx.two.test"]}})
    assert outcome(mta, "T").text == "454 4.4.4 [internal] no MX or A for domain"
    mta.send(rcpts="b@two.test")
    assert mta.wait_log("T", 2)[1].text == "454 4.4.4 [internal] no MX or A for domain"


@pytest.mark.parametrize("fault", ["servfail", "refused"])
def test_name_server_that_fails_puts_mail_off(mta, fault):
    mta.dns({"example.com": {"misbehave": fault}})
    t = outcome(mta, "T")
    assert t.text.startswith("451 4.4.1 [internal] No valid hosts")


def test_failed_lookups_fall_back_to_the_address(mta):
    mta.dns({"example.com": {"misbehave": {"MX": "servfail"}, "A": ["127.0.0.2"]}})
    mta.config("mx_failures_fallback_to_a = 1\nretry_interval = 1\nmax_dns_ttl = 1")
    sink = mta.sink("127.0.0.2")
    mta.send()
    sink.wait(messages=1, timeout=20)


def test_failed_lookups_fail_the_mail_in_the_end(mta):
    mta.dns({"example.com": {"misbehave": "servfail"}})
    mta.config("dns_failures_to_purge = 1")
    p = outcome(mta, "P")
    assert p.text == "554 5.4.4 [internal] Domain Lookup Failed"


@pytest.mark.parametrize("domain", ["[127.0.0.2]"])
def test_literal_needs_no_name_server(mta, domain):
    sink = mta.sink("127.0.0.2")
    mta.send(rcpts=f"b@{domain}")
    sink.wait(messages=1)
    assert sink.messages[0].rcpts == [f"b@{domain}"]
    assert not mta.server_dns.log


@pytest.mark.parametrize("stanzas, name", [
    ('Domain "127.0.0.2" { ehlo_hostname = bare.test }', "bare.test"),
    ('Domain "127.0.0.2" { ehlo_hostname = bare.test } Domain "[127.0.0.2]" { ehlo_hostname = literal.test }', "literal.test"),
    ('Domain "127.0.0.3" { ehlo_hostname = bare.test }', "mta.test"),
])
def test_domain_of_an_address_counts_for_mail_to_its_literal(mta, stanzas, name):
    sink = mta.sink("127.0.0.2")
    mta.config(stanzas)
    mta.send(rcpts="b@[127.0.0.2]")
    sink.wait(messages=1)
    assert f"EHLO {name}" in sink.commands


def test_ipv6_literal(mta):
    sink = mta.sink("::1")
    mta.send(rcpts="b@[IPv6:::1]")
    sink.wait(messages=1)


def test_host_in_a_private_network_fails_the_domain(mta):
    mta.dns({**MX, "example.com": {"MX": [(10, "mx1.test"), (20, "mx2.test")]}})
    mta.config("prohibited_hosts ( 127.0.0.2 )")
    sink = mta.sink("127.0.0.1")
    p = outcome(mta, "P")
    assert p.text == "551 5.4.6 [internal] Private/Loopback Address" and not sink.connections


@pytest.mark.parametrize("text, port", [
    ("gateway = 127.0.0.2", None), ("gateway = 127.0.0.2:$other", "other"), ("gateway = gw.test", None), ("gateway = mx2.test:$other", "other"),
    ("Domain example.com { gateway = 127.0.0.2 }", None), ("Domain other.test { gateway = 127.0.0.3 }\ngateway = 127.0.0.2", None),
    ("Binding default { gateway = 127.0.0.2 }", None), ("Binding default { Domain example.com { gateway = 127.0.0.2 } }\ngateway = 127.0.0.3", None),
    ('gateway = "[127.0.0.2]:$other"', "other"), ("Domain mx2.test { remote_smtp_port = $other } Domain example.com { remote_smtp_port = 1 gateway = mx2.test }", "other"),
    ('Domain "/\\.com$/" { gateway = 127.0.0.2 }', None),
])
def test_gateway_takes_the_place_of_the_mx(mta, text, port):
    other = free_port(("127.0.0.2",))
    mta.dns({**MX, "gw.test": {"MX": ["mx2.test"]}, "example.com": {"MX": ["mx3.test"]}})
    mta.config(text.replace("$other", str(other)))
    sink, wrong = mta.sink("127.0.0.2", port=other if port else None), mta.sink("127.0.0.3")
    mta.send()
    sink.wait(messages=1)
    assert sink.messages[0].rcpts == ["b@example.com"] and not wrong.connections


def test_mail_waits_while_delivery_is_suspended(mta):
    mta.config("suspend_delivery = true\ndelayed_queue_scan_interval = 1")
    sink = mta.route()
    mta.send()
    until(lambda: mta.counters()["ActiveQueueSize"] == 1)
    assert not sink.connections
    mta.config("delayed_queue_scan_interval = 1")
    sink.wait(messages=1)
