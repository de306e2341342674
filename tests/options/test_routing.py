"""Options of names and hosts in delivery, two values each."""
import collections

import pytest

from tests.delivery.test_transactions import queue_up
from tests.harness.wait import until

MX = {"mx1.test": {"A": ["127.0.0.1"]}, "mx2.test": {"A": ["127.0.0.2"]}}


@pytest.mark.shows("skip_hosts")
@pytest.mark.parametrize("skipped, used", [("127.0.0.1", "127.0.0.2"), ("127.0.0.9", "127.0.0.1")])
def test_skipped_networks(mta, skipped, used):
    mta.dns({**MX, "example.com": {"MX": [(10, "mx1.test"), (20, "mx2.test")]}})
    mta.config(f"skip_hosts ( {skipped} )")
    mta.sink("127.0.0.1"), mta.sink("127.0.0.2")
    mta.send()
    assert [d.peer for d in mta.wait_log("D")] == [used]


@pytest.mark.shows("prohibited_hosts")
@pytest.mark.parametrize("networks, kind", [("127.0.0.2", "P"), ("127.0.0.9", "D")])
def test_prohibited_networks(mta, networks, kind):
    mta.dns({**MX, "example.com": {"MX": [(10, "mx1.test"), (20, "mx2.test")]}})
    mta.config(f"prohibited_hosts ( {networks} )")
    mta.sink("127.0.0.1")
    mta.send()
    mta.wait_log(kind)
    assert [r.kind for r in mta.mainlog()] == ["R", kind]


@pytest.mark.shows("use_ipv6")
@pytest.mark.parametrize("use, kind", [("true", "D"), ("false", "T")])
def test_host_of_ipv6_alone(mta, use, kind):
    mta.dns({"example.com": {"AAAA": ["::1"]}})
    mta.sink("::1")
    mta.config(f"use_ipv6 = {use}")
    mta.send()
    mta.wait_log(kind)
    assert [r.kind for r in mta.mainlog()] == ["R", kind]


@pytest.mark.shows("prefer_ipv6_mxs")
@pytest.mark.parametrize("prefer", [True, False])
def test_host_of_both_families(mta, prefer):
    mta.dns({f"d{i}.test": {"MX": [(10, "mx1.test"), (10, "mx6.test"), (20, "mx2.test")]} for i in range(16)}
            | MX | {"mx6.test": {"AAAA": ["::1"]}})
    four, six = mta.sink("127.0.0.1"), mta.sink("::1")
    mta.config(f"use_ipv6 = true\nprefer_ipv6_mxs = {str(prefer).lower()}\nmigrate_connections_between_sibling_domains = false")
    for i in range(16):
        mta.send(rcpts=f"b@d{i}.test")
    mta.wait_log("D", 16)
    if prefer:
        assert len(six.messages) == 16
    else:
        assert 1 <= len(six.messages) <= 15         # by chance; one of 10,000 runs may differ


def test_preferred_host_that_is_down_leads_to_the_other_family(mta):
    mta.dns(MX | {"example.com": {"MX": [(10, "mx1.test"), (10, "mx6.test"), (20, "mx2.test")]}, "mx6.test": {"AAAA": ["::1"]}})
    mta.sink("127.0.0.1"), mta.sink("127.0.0.2")
    mta.config("use_ipv6 = true\nprefer_ipv6_mxs = true")
    mta.send()
    assert [d.peer for d in mta.wait_log("D")] == ["127.0.0.1"]


@pytest.mark.shows("dns_failures_to_purge")
@pytest.mark.parametrize("most, kind", [(1, "P"), (5, "T")])
def test_lookups_that_fail(mta, most, kind):
    mta.dns({"example.com": {"misbehave": "servfail"}})
    mta.config(f"dns_failures_to_purge = {most}")
    mta.send()
    mta.wait_log(kind)
    assert [r.kind for r in mta.mainlog()] == ["R", kind]


@pytest.mark.shows("mx_failures_fallback_to_a")
@pytest.mark.parametrize("most, at_once", [(0, True), (1, False), (-1, False)])
def test_address_in_place_of_an_mx_that_cannot_be_found(mta, most, at_once):
    mta.dns({"example.com": {"misbehave": {"MX": "servfail"}, "A": ["127.0.0.2"]}})
    mta.config(f"mx_failures_fallback_to_a = {most}\nretry_interval = 1\nmax_dns_ttl = 1")
    mta.sink("127.0.0.2")
    mta.send()
    mta.wait_log("D", timeout=20)
    assert (not mta.mainlog("T")) == at_once


PUT_OFF = {"a": "mx_failures_to_delay = 1 connect_timeout_to_delay = 0", "b": "mx_failures_to_delay = 9 connect_timeout_to_delay = 0",
           "c": "mx_failures_to_delay = 0 connect_timeout_to_delay = 1", "d": "mx_failures_to_delay = 0 connect_timeout_to_delay = 60"}


@pytest.mark.shows("mx_failures_to_delay", "connect_timeout_to_delay")
def test_queue_without_contact_is_put_off_when_the_options_say(mta):
    mta.dns({f"{name}.test": {"A": [f"127.0.2.{i}"]} for i, name in enumerate(PUT_OFF, 1)})
    config = "host_failure_retry = 1\nretry_interval = 600\n" + "".join(f"Domain {name}.test {{ {text} }}\n" for name, text in PUT_OFF.items())
    queue_up(mta, config, [{"rcpts": f"{i}@{name}.test"} for i in range(6) for name in PUT_OFF])
    # the others lose one with each attempt
    until(lambda: sum(t.domain in ("b.test", "d.test") for t in mta.mainlog("T")) >= 5, 6)
    failed = collections.Counter(t.domain[0] for t in mta.mainlog("T"))
    assert failed["a"] == failed["c"] == 6 and failed["b"] < 6 and failed["d"] < 6
