"""Lookups as delivery makes them."""
import ipaddress
import time

import pytest

from pymomentum.core.dns import dig

IPV6, PREFER_IPV6, ADDRESS_ONLY, FRESH, FALLBACK_A = 1, 2, 4, 8, 16

ZONES = {
    "example.com": {"MX": [(20, "mx2.example.com"), (10, "mx1.example.com")], "TTL": 30},
    "mx1.example.com": {"A": ["127.0.0.2"], "AAAA": ["::2"]},
    "mx2.example.com": {"A": ["127.0.0.4"]},
    "own.example.com": {"A": ["127.0.0.5"], "TTL": 7},
    "txt.example.com": {"TXT": ["no address"]},
    "null.example.com": {"MX": [(0, "")]},
    "halfnull.example.com": {"MX": [(0, ""), (5, "mx2.example.com")]},
    "lost.example.com": {"MX": ["gone.example.com"]},
    "literal.example.com": {"MX": ["192.0.2.1"]},
    "both.example.com": {"MX": [(1, "gone.example.com"), (2, "down.example.com"), (3, "mx2.example.com")]},
    "down.example.com": {"misbehave": "servfail"},
    "downhost.example.com": {"MX": ["down.example.com"]},
    "halfdown.example.com": {"A": ["127.0.0.6"], "misbehave": {"MX": "servfail"}},
    "alias.example.com": {"CNAME": "example.com"},
    "aliasmx.example.com": {"MX": ["alias1.example.com"]},
    "alias1.example.com": {"CNAME": "mx2.example.com"},
    "twice.example.com": {"MX": [(20, "mx2.example.com"), (10, "MX2.example.com")]},
    "six.example.com": {"MX": [(5, "mx2.example.com"), (5, "mx6.example.com"), (1, "mx1.example.com")]},
    "mx6.example.com": {"AAAA": ["::6"]},
    "equal.example.com": {"MX": [(5, f"e{i}.example.com") for i in range(4)]},
    **{f"e{i}.example.com": {"A": [f"127.0.1.{i}"]} for i in range(4)},
}
MX1 = (10, "mx1.example.com", ["127.0.0.2"])
MX2 = (20, "mx2.example.com", ["127.0.0.4"])


@pytest.fixture
def asked(engine, server):
    server.set(ZONES)
    engine.use(server)
    return engine


@pytest.mark.parametrize("name, flags, status, hosts", [
    ("example.com", 0, "ok", [MX1, MX2]),
    ("EXAMPLE.com.", 0, "ok", [MX1, MX2]),
    ("example.com", IPV6, "ok", [(10, "mx1.example.com", ["127.0.0.2", "::2"]), MX2]),
    ("example.com", IPV6 | PREFER_IPV6, "ok", [(10, "mx1.example.com", ["::2", "127.0.0.2"]), MX2]),
    ("own.example.com", 0, "ok", [(0, "own.example.com", ["127.0.0.5"])]),
    ("txt.example.com", 0, "none", []),
    ("null.example.com", 0, "null", []),
    ("halfnull.example.com", 0, "ok", [(5, "mx2.example.com", ["127.0.0.4"])]),
    ("lost.example.com", 0, "none", []),
    ("literal.example.com", 0, "none", []),
    ("both.example.com", 0, "ok", [(3, "mx2.example.com", ["127.0.0.4"])]),
    ("down.example.com", 0, "failed", []),
    ("down.example.com", FALLBACK_A, "failed", []),
    ("downhost.example.com", FALLBACK_A, "failed", []),
    ("halfdown.example.com", 0, "failed", []),
    ("halfdown.example.com", FALLBACK_A, "ok", [(0, "halfdown.example.com", ["127.0.0.6"])]),
    ("gone.example.com", 0, "nxdomain", []),
    ("gone.example.com", FALLBACK_A, "nxdomain", []),
    ("alias.example.com", 0, "ok", [MX1, MX2]),
    ("aliasmx.example.com", 0, "ok", [(10, "alias1.example.com", ["127.0.0.4"])]),
    ("twice.example.com", 0, "ok", [(10, "mx2.example.com", ["127.0.0.4"])]),
    ("mx1.example.com", ADDRESS_ONLY, "ok", [(0, "mx1.example.com", ["127.0.0.2"])]),
    ("example.com", ADDRESS_ONLY, "none", []),
    ("gone.example.com", ADDRESS_ONLY, "nxdomain", []),
    ("down.example.com", ADDRESS_ONLY, "failed", []),
    ("mx6.example.com", 0, "none", []),
    ("mx6.example.com", IPV6, "ok", [(0, "mx6.example.com", ["::6"])]),
])
def test_lookup(asked, name, flags, status, hosts):
    for cached in False, True:
        r = asked.lookup(name, flags)
        assert (r["status"], [tuple(host) for host in r["hosts"]], r["cached"]) == (status, hosts, cached)


@pytest.mark.parametrize("name", ["", ".", "a..b", "a b", "[127.0.0.1]", "b\xfccher.example", "a" * 64, "x." * 200])
def test_impossible_name_does_not_exist(asked, name):
    assert asked.lookup(name)["status"] == "nxdomain"
    assert asked.counters()["mx"] == 0


def test_literal_hosts_are_not_asked_for(asked, server):
    asked.lookup("literal.example.com")
    assert [kind for _, kind, _ in server.log] == ["MX"]


def test_ipv6_hosts_go_first_within_their_preference_only(asked):
    for _ in range(5):
        r = asked.lookup("six.example.com", IPV6 | PREFER_IPV6)
        assert [host[1].split(".")[0] for host in r["hosts"]] == ["mx1", "mx6", "mx2"]


def test_equal_hosts_come_in_random_order(asked):
    found, _ = asked.lookup_all(["equal.example.com"] * 200)
    orders = {tuple(host[1] for host in r["hosts"]) for r in found}
    assert len(orders) > 10 and all(sorted(order) == sorted(min(orders)) for order in orders)


def test_ttl_is_the_least_used(asked):
    assert asked.lookup("example.com")["ttl"] == 30
    assert asked.lookup("own.example.com")["ttl"] == 7
    assert asked.lookup("down.example.com")["ttl"] == 5


def test_ttl_is_clamped(engine, server):
    server.set(ZONES)
    engine.use(server, min_dns_ttl=10, max_dns_ttl=20)
    assert engine.lookup("own.example.com")["ttl"] == 10
    assert engine.lookup("example.com")["ttl"] == 20


def test_failure_of_one_host_is_asked_again_soon(asked, server):
    server.update({"both.example.com": {"MX": ["down.example.com", "mx2.example.com"], "TTL": 5000},
                   "mx2.example.com": {"A": ["127.0.0.4"], "TTL": 5000}})
    assert asked.lookup("both.example.com")["ttl"] == 60


def test_answer_without_ttl_is_used_once(asked, server):
    server.update({"own.example.com": {"A": ["127.0.0.5"], "TTL": 0}})
    for _ in range(3):
        assert asked.lookup("own.example.com", ADDRESS_ONLY)["status"] == "ok"
    assert server.count("own.example.com", "A") == 3


def test_expired_answer_is_asked_for_again(asked, server):
    server.update({"own.example.com": {"A": ["127.0.0.5"], "TTL": 1}})
    asked.lookup("own.example.com", ADDRESS_ONLY)
    time.sleep(1.1)
    assert not asked.lookup("own.example.com", ADDRESS_ONLY)["cached"]


def test_fresh_lookup_goes_past_the_cache(asked, server):
    asked.lookup("example.com")
    server.update({"mx1.example.com": {"A": ["127.0.0.9"]}})
    assert asked.lookup("example.com")["hosts"][0][2] == ["127.0.0.2"]
    assert asked.lookup("example.com", FRESH)["hosts"][0][2] == ["127.0.0.9"]
    assert asked.lookup("example.com")["hosts"][0][2] == ["127.0.0.9"]


def test_hosts_and_addresses_are_bounded(asked, server):
    hosts = [f"h{i}.example.com" for i in range(100)]
    server.update({"many.example.com": {"MX": hosts},
                   **{host: {"A": [f"10.{n}.0.{i}" for i in range(30)]} for n, host in enumerate(hosts)}})
    r = asked.lookup("many.example.com")
    assert r["status"] == "ok" and sum(len(host[2]) for host in r["hosts"]) == 4 * 64
    assert 64 * 4 // 30 <= len(r["hosts"]) <= 64


def test_equal_questions_are_sent_once(asked, server):
    server.update({"*": {"delay": 0.2}})
    found, _ = asked.lookup_all(["example.com"] * 500 + ["alias.example.com"] * 500)
    assert {r["status"] for r in found} == {"ok"}
    assert max(server.queries.values()) == 1


def test_20000_lookups_with_the_same_mx(engine, server, capsys):
    names = [f"d{i}.example" for i in range(20000)]
    server.set({**{name: {"MX": ["mx.example"]} for name in names}, "mx.example": {"A": ["127.0.0.2"]}})
    engine.use(server, options="options timeout:2 attempts:5", dns_max_pending=100)
    found, first = engine.lookup_all(names, timeout=120)
    assert {r["status"] for r in found} == {"ok"} and server.count("mx.example", "A") == 1
    found, again = engine.lookup_all(names)
    assert all(r["cached"] for r in found)
    with capsys.disabled():
        print(f"\nper lookup: {first // 20000} ns to ask, {again // 20000} ns from the cache")


@pytest.mark.parametrize("text", ["192.0.2.1", "2001:db8::1"])
def test_literal_is_a_host_of_its_own(text):
    r = dig.literal(ipaddress.ip_address(text).packed)
    assert (r["status"], r["hosts"]) == ("ok", [(0, text, [text])])
