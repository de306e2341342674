"""Options of questions to name servers that only a whole server shows, two values each."""
import time

import pytest

from tests.harness.wait import until


def mx_asked(mta):
    return sum(n for (name, kind), n in mta.server_dns.queries.items() if kind == "MX")


def to_many_domains(mta, n):
    """Mail to n domains that do not exist, each with a name of its own."""
    names = [f"b@d{i}.test" for i in range(n)]
    with mta.smtp() as c:
        for at in range(0, n, 500):
            c.send_mail("a@test", names[at:at + 500])
            c.expect("250 2.0.0 OK *")


@pytest.mark.shows("dns_max_udp_queries_per_port")
@pytest.mark.parametrize("most, ports", [(0, 1), (2, 5)])
def test_queries_of_one_port(mta, most, ports):
    mta.dns({"*": {"delay": 0.5}})          # a port is used while some query of it is under way
    mta.config(f"dns_max_udp_queries_per_port = {most}")
    to_many_domains(mta, 10)
    until(lambda: mx_asked(mta) == 10)
    assert len(set(mta.server_dns.ports)) == ports


@pytest.mark.shows("dns_rate_limit_enabled", "dns_rate_limit_mx_queries", "dns_rate_limit_period")
@pytest.mark.parametrize("enabled, most, period, asked", [("true", 3, 60, 3), ("true", 5, 60, 5), ("false", 3, 60, 12), ("true", 6, 1, 12)])
def test_mx_queries_of_a_period(mta, enabled, most, period, asked):
    mta.config(f"dns_rate_limit_enabled = {enabled}\ndns_rate_limit_mx_queries = {most}\ndns_rate_limit_period = {period}")
    to_many_domains(mta, 12)
    until(lambda: mx_asked(mta) >= asked, 5)
    time.sleep(1.3)                         # in a period of a second, more would come
    assert mx_asked(mta) == asked


@pytest.mark.shows("dns_rate_limit_max_queue")
@pytest.mark.parametrize("room, asked", [(1000, 51), (2000, 1)])
def test_queries_that_the_rate_limit_has_no_room_for(mta, room, asked):
    mta.config(f"dns_rate_limit_enabled = true\ndns_rate_limit_mx_queries = 1\ndns_rate_limit_period = 60\ndns_rate_limit_max_queue = {room}")
    to_many_domains(mta, 1051)
    until(lambda: mx_asked(mta) >= asked, 5)
    time.sleep(0.3)
    assert mx_asked(mta) == asked


def test_summary_counts_what_the_rate_limit_does(mta):
    mta.config("dns_rate_limit_enabled = true\ndns_rate_limit_mx_queries = 3\ndns_rate_limit_period = 2\ndns_rate_limit_max_queue = 1000")
    to_many_domains(mta, 6)
    until(lambda: mx_asked(mta) == 6, 6)
    found = mta.data("summary")
    assert {name: found[name] for name in found if name.startswith("DNSRate")} == {
        "DNSRateLimiter": "enabled", "DNSRateLimitMXQueries": 3, "DNSRateLimitPeriod": 2, "DNSRateLimiterQueueSize": 0,
        "DNSRateLimiterQueueMax": 1000, "DNSRateLimiterImmediate": 3, "DNSRateLimiterQueued": 3, "DNSRateLimiterDrained": 3,
        "DNSRateLimiterOverflow": 0}
    mta.console("summary reset")
    assert mta.data("summary")["DNSRateLimiterImmediate"] == 0


def test_summary_counts_queries_that_the_rate_limit_has_no_room_for(mta):
    mta.config("dns_rate_limit_enabled = true\ndns_rate_limit_mx_queries = 1\ndns_rate_limit_period = 60\ndns_rate_limit_max_queue = 1000")
    to_many_domains(mta, 1051)
    until(lambda: mta.data("summary").get("DNSRateLimiterOverflow") == 50, 5)
    assert mta.data("summary")["DNSRateLimiterQueueSize"] == 1000


@pytest.mark.variants
def test_held_back_queries_are_sent_in_the_next_period(mta):
    mta.dns({f"d{i}.test": {"A": ["127.0.0.2"]} for i in range(6)})
    mta.sink("127.0.0.2")
    mta.config("dns_rate_limit_enabled = true\ndns_rate_limit_mx_queries = 3\ndns_rate_limit_period = 1")
    to_many_domains(mta, 6)
    mta.wait_log("D", 6)


@pytest.mark.shows("dns_expire_interval")
@pytest.mark.parametrize("interval, again", [(1, True), (60, False)])
def test_expired_mx_of_a_domain_with_mail(mta, interval, again):
    mta.dns({"example.com": {"A": ["127.0.0.2"], "TTL": 1}})
    mta.sink("127.0.0.2", rcpt="450 4.2.1 later")
    mta.config(f"dns_expire_interval = {interval}\nmin_dns_ttl = 1\nmax_dns_ttl = 1")
    mta.send()
    mta.wait_log("T")
    asked = mx_asked(mta)
    time.sleep(2.5)
    assert (mx_asked(mta) > asked) == again
