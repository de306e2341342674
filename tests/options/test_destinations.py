"""Options that say where mail goes in place of its domain's MX, two values each."""
import time

import pytest

from tests.harness.port import free_port
from tests.harness.wait import until


def zones(**domains):
    """Domains by their MX, under .test, and hosts mx1, mx2 and mx3 of the same number."""
    return {f"mx{n}.test": {"A": [f"127.0.0.{n}"]} for n in (1, 2, 3)} | {f"{name}.test": {"MX": mx} for name, mx in domains.items()}


@pytest.mark.shows("default_binding")
@pytest.mark.parametrize("how, reply", [("none", "451 4.3.5 *"), ("suspended", "250 2.0.0 OK *"), ("normal", "250 2.0.0 OK *")])
def test_mail_of_the_default_binding(mta, how, reply):
    sink = mta.route()
    mta.config(f"default_binding = {how}")
    with mta.smtp() as c:
        c.send_mail("a@test", "b@example.com")
        c.expect(reply)
    if how == "normal":
        mta.wait_log("D")
    elif how == "suspended":
        until(lambda: mta.counters()["ActiveQueueSize"] == 1)
        assert not sink.connections
    else:
        assert mta.wait_rejectlog(1)[0].code == 451 and mta.counters()["ActiveQueueSize"] == 0


# ---- routes

@pytest.mark.shows("routes")
@pytest.mark.parametrize("routes, peer", [
    ("127.0.0.2", "127.0.0.2"), ("mx3.test", "127.0.0.3"), ("__mx__", "127.0.0.1"), ("smtp://127.0.0.3", "127.0.0.3"),
    ("smtp://127.0.0.2?pref=20 smtp://127.0.0.3?pref=10", "127.0.0.3"), ("smtp://other.test?type=mx", "127.0.0.2"),
    ("smtp://other.test?type=a", "127.0.0.3"), ("127.0.0.9 127.0.0.2", "127.0.0.2"), ("smtp://mx2.test?pref=1 __mx__", "127.0.0.2"),
    ("127.0.0.9 __mx__", "127.0.0.1"),
])
def test_mail_goes_by_its_routes(mta, routes, peer):
    known = zones(one=["mx1.test"], two=["mx1.test"], other=["mx2.test"])
    known["other.test"]["A"] = ["127.0.0.3"]
    mta.dns(known)
    for n in (1, 2, 3):
        mta.sink(f"127.0.0.{n}")
    words = " ".join(f'"{word}"' for word in routes.split())
    mta.config(f"Domain one.test {{ routes = ( {words} ) }}\nhost_failure_retry = 1\nretry_interval = 1")
    mta.send(rcpts="b@one.test"), mta.send(rcpts="b@two.test")
    assert {d.domain: d.peer for d in mta.wait_log("D", 2)} == {"one.test": peer, "two.test": "127.0.0.1"}


def test_port_of_a_route(mta):
    other = free_port(("127.0.0.2",))
    sink = mta.sink("127.0.0.2", other)
    mta.config(f'routes = ( "smtp://127.0.0.2?port={other}" )')
    mta.send(rcpts="b@nowhere.test")
    sink.wait(messages=1)


@pytest.mark.parametrize("ttl, asked", [(60, 1), (1, 2)])
def test_time_that_a_route_is_kept(mta, ttl, asked):
    mta.dns({"mx1.test": {"A": ["127.0.0.1"], "TTL": 1}})
    mta.sink("127.0.0.1")
    mta.config(f'routes = ( "smtp://mx1.test?ttl={ttl}" )\nmax_deliveries_per_connection = 1')
    mta.send(rcpts="b@one.test")
    mta.wait_log("D")
    time.sleep(1.2)
    mta.send(rcpts="b@one.test")
    mta.wait_log("D", 2)
    assert mta.server_dns.count("mx1.test", "A") == asked


def test_route_that_leads_nowhere(mta):
    mta.dns({"missing.test": {"misbehave": "servfail"}})
    mta.config('Domain one.test { routes = ( missing.test ) }\nDomain two.test { routes = ( absent.test ) }')
    mta.send(rcpts="b@one.test"), mta.send(rcpts="b@two.test")
    found = {t.domain: t.text for t in mta.wait_log("T", 2)}
    assert "No valid hosts" in found["one.test"] and "no MX or A" in found["two.test"]


def test_routes_of_one_preference_share_the_mail(mta):
    mta.config('routes = ( "smtp://127.0.0.1?pref=10" "smtp://127.0.0.2?pref=10" "smtp://127.0.0.3?pref=20" )\n'
               "migrate_connections_between_sibling_domains = false")
    sinks = [mta.sink(f"127.0.0.{n}") for n in (1, 2, 3)]
    for n in range(16):
        mta.send(rcpts=f"b@d{n}.test")
    mta.wait_log("D", 16)
    assert sinks[0].messages and sinks[1].messages and not sinks[2].messages


def test_gateway_is_stronger_than_routes(mta):
    mta.sink("127.0.0.2"), mta.sink("127.0.0.3")
    mta.config('gateway = 127.0.0.3\nroutes = ( 127.0.0.2 )')
    mta.send()
    assert [d.peer for d in mta.wait_log("D")] == ["127.0.0.3"]


def test_stanza_of_the_gateway_counts_not_that_of_the_domain(mta):
    mta.dns({"gw.test": {"A": ["127.0.0.2"]}})
    sink = mta.sink("127.0.0.2", tls=True)
    mta.config("""
        Domain one.test { gateway = gw.test  tls = no  ehlo_hostname = wrong }
        Domain two.test { gateway = "gw.test:$sink_port"  tls = no }
        Domain gw.test { tls = required  ehlo_hostname = right }
    """)
    for name in ("one.test", "two.test", "gw.test"):
        mta.send(rcpts=f"b@{name}")
    sink.wait(messages=3)
    assert all(m.tls for m in sink.messages) and {line for line in sink.seen("EHLO")} == {"EHLO right"}
    assert [line.partition("here: ")[2] for line in mta.paniclog() if "mail goes to the gateway" in line] == ["tls, ehlo_hostname", "tls"]


def test_mail_that_is_rerouted_later_goes_by_the_gateway_there(mta):
    mta.dns({"one.test": {"A": ["127.0.0.2"]}})
    mta.sink("127.0.0.2", rcpt="452 4.2.2 full")
    sink = mta.sink("127.0.0.3")
    mta.config("retry_interval = 1\nDomain one.test { delayed_reroute_domain = two.test }\nDomain two.test { gateway = 127.0.0.3 }")
    mta.send(rcpts="b@one.test")
    sink.wait(messages=1)


# ---- which addresses

@pytest.mark.shows("bind_address_secondary")
@pytest.mark.parametrize("second, peer", [("::1", "127.0.0.66 ::1"), ("127.0.0.67", "::1 127.0.0.67")])
def test_source_of_the_other_family(mta, second, peer):
    first, other = peer.split()
    mta.dns({"four.test": {"A": ["127.0.0.2"]}, "six.test": {"AAAA": ["::1"]}})
    sinks = {"four": mta.sink("127.0.0.2"), "six": mta.sink("::1")}
    mta.config(f"use_ipv6 = true\nBinding default {{ bind_address = {first} bind_address_secondary = {second} }}")
    mta.send(rcpts="b@four.test"), mta.send(rcpts="b@six.test")
    mta.wait_log("D", 2)
    assert {name: sink.messages[0].peer[0] for name, sink in sinks.items()} == {"four": first if "." in first else other, "six": "::1"}


@pytest.mark.shows("only_use_best_mx_for_relay_domains")
@pytest.mark.parametrize("only, kind", [("true", "T"), ("false", "D")])
def test_hosts_behind_the_best_one(mta, only, kind):
    mta.dns(zones(ours=[(10, "mx1.test"), (20, "mx2.test")], other=[(10, "mx1.test"), (20, "mx2.test")]))
    mta.sink("127.0.0.2")
    mta.config(f"relay_domains = ( ours.test )\nonly_use_best_mx_for_relay_domains = {only}")
    mta.send(rcpts="b@ours.test"), mta.send(rcpts="b@other.test")
    until(lambda: len({r.domain for r in mta.mainlog() if r.kind in "DT"}) == 2)
    assert {r.domain: r.kind for r in mta.mainlog() if r.kind in "DT"} == {"ours.test": kind, "other.test": "D"}


@pytest.mark.shows("fully_resolve_before_smtp")
@pytest.mark.parametrize("fully, peer", [("true", "127.0.0.1"), ("false", "127.0.0.2")])
def test_first_connection_waits_for_all_addresses(mta, fully, peer):
    mta.dns(zones(one=[(10, "mx1.test"), (20, "mx2.test")]) | {"mx1.test": {"A": ["127.0.0.1"], "delay": 0.8}})
    mta.sink("127.0.0.1"), mta.sink("127.0.0.2")
    mta.config(f"fully_resolve_before_smtp = {fully}")
    mta.send(rcpts="b@one.test")
    assert [d.peer for d in mta.wait_log("D")] == [peer]
    mta.server_dns.wait("mx1.test", "A")


def test_slow_host_is_used_once_its_address_is_known(mta):
    mta.dns(zones(one=[(10, "mx1.test"), (20, "mx2.test")]) | {"mx1.test": {"A": ["127.0.0.1"], "delay": 0.5}})
    mta.sink("127.0.0.1"), mta.sink("127.0.0.2", cut_at="banner")
    mta.config("fully_resolve_before_smtp = false\nretry_interval = 1")
    mta.send(rcpts="b@one.test")
    assert [d.peer for d in mta.wait_log("D")] == ["127.0.0.1"]


# ---- other domains' queues

@pytest.mark.shows("rollup_mx", "rollup_mx_name")
@pytest.mark.parametrize("stanza, domains", [
    ("rollup_mx = true rollup_mx_name = all.test", {"all.test"}), ("rollup_mx = true rollup_mx_name = other.test", {"other.test"}),
    ("rollup_mx = false rollup_mx_name = all.test", {"one.test", "two.test"}), ("rollup_mx = true", {"one.test", "two.test"}),
])
def test_domains_of_one_host_as_one(mta, stanza, domains):
    mta.dns(zones(one=["mx1.test"], two=["mx1.test"], all=["mx1.test"], other=["mx1.test"]))
    mta.sink("127.0.0.1")
    mta.config(f"Host mx1.test {{ {stanza} }}")
    for domain in "one", "two":
        for user in "ab":
            mta.send(rcpts=f"{user}@{domain}.test")
    assert {d.domain for d in mta.wait_log("D", 4)} == domains
    assert {m.rcpts[0] for m in mta.sinks[0].messages} == {f"{user}@{domain}.test" for user in "ab" for domain in ("one", "two")}
    mta.wait_empty()


@pytest.mark.variants
def test_hosts_that_roll_up_to_one_another(mta):
    mta.dns(zones(one=["mx1.test"], two=["mx2.test"]))
    mta.sink("127.0.0.1"), mta.sink("127.0.0.2")
    mta.config("Host mx1.test { rollup_mx = true rollup_mx_name = two.test }\nHost mx2.test { rollup_mx = true rollup_mx_name = one.test }")
    mta.send(rcpts="b@one.test"), mta.send(rcpts="b@two.test")
    mta.wait_log("D", 2)
    mta.wait_empty()


@pytest.mark.variants
@pytest.mark.shows("reroute_domain")
@pytest.mark.parametrize("to, domain, peer", [("two.test", "two.test", "127.0.0.2"), ("disabled", "one.test", "127.0.0.1")])
def test_mail_of_a_domain_is_queued_for_another(mta, to, domain, peer):
    mta.dns(zones(one=["mx1.test"], two=["mx2.test"]))
    mta.sink("127.0.0.1"), mta.sink("127.0.0.2")
    mta.config(f"Domain one.test {{ reroute_domain = {to} }}")
    mta.send(rcpts="b@one.test")
    assert [(d.domain, d.peer) for d in mta.wait_log("D")] == [(domain, peer)]


@pytest.mark.variants
@pytest.mark.shows("delayed_reroute_domain")
@pytest.mark.parametrize("to, domain, peer", [("two.test", "two.test", "127.0.0.2"), ("disabled", "one.test", "127.0.0.1")])
def test_mail_is_queued_for_another_domain_once_it_was_delayed(mta, to, domain, peer):
    mta.dns(zones(one=["mx1.test"], two=["mx2.test"]))
    mta.sink("127.0.0.1", rcpt=["450 4.2.1 later", "250 OK"]), mta.sink("127.0.0.2")
    mta.config(f"delayed_reroute_domain = {to}\nretry_interval = 1")
    mta.send(rcpts="b@one.test")
    assert [(d.domain, d.peer) for d in mta.wait_log("D")] == [(domain, peer)]
    assert [t.domain for t in mta.mainlog("T")] == ["one.test"]


@pytest.mark.parametrize("suspended", [False, True])
def test_mail_that_waits_goes_by_a_gateway_that_a_reload_brings(mta, suspended):
    mta.dns({"a.test": {"A": ["127.0.0.2"]}, "gate.test": {"A": ["127.0.0.3"]}})
    old, gate = mta.sink("127.0.0.2", rcpt="452 4.2.2 full"), mta.sink("127.0.0.3")
    options = "retry_interval = 1\nhost_failure_retry = 1\n"
    mta.config(options + ("suspend_delivery = true" if suspended else ""))
    mta.send(rcpts="b@a.test")
    if not suspended:
        mta.wait_log("T")
    mta.config(options + "Domain a.test { gateway = Gate.test }")
    gate.wait(messages=1)
    assert not old.messages and len(old.connections) == (not suspended)
    mta.wait_empty()


@pytest.mark.parametrize("after", ["Domain a.test { gateway = 127.0.0.3 }", ""])
def test_mail_that_waits_for_a_gateway_leaves_it_with_a_reload(mta, after):
    mta.dns({"a.test": {"A": ["127.0.0.4"]}})
    old = mta.sink("127.0.0.2", rcpt="452 4.2.2 full")
    new = mta.sink("127.0.0.3" if after else "127.0.0.4")
    options = "retry_interval = 1\nhost_failure_retry = 1\n"
    mta.config(options + "Domain a.test { gateway = 127.0.0.2 }")
    mta.send(rcpts="b@a.test")
    mta.wait_log("T")
    mta.config(options + after)
    new.wait(messages=1)
    assert not old.messages
    mta.wait_empty()


def test_gateway_that_is_the_domain_itself_moves_nothing(mta):
    """However it is written."""
    mta.dns({"a.test": {"A": ["127.0.0.2"]}})
    sink = mta.sink("127.0.0.2")
    mta.config("suspend_delivery = true")
    mta.send(rcpts="b@a.test")
    mta.config('Domain a.test { gateway = "A.test." }')
    sink.wait(messages=1)
    mta.wait_empty()
