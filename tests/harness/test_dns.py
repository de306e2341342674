import time

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest

from tests.harness.dns import DNSServer

ZONES = {
    "example.com": {"MX": [(10, "mx1.example.com"), (20, "mx2.example.com")], "TXT": ["v=spf1 -all", "x" * 300], "TTL": 5},
    "mx1.example.com": {"A": ["127.0.0.2", "127.0.0.3"], "AAAA": ["::1"]},
    "plain.example.com": {"MX": ["mx1.example.com"]},
    "alias.example.com": {"CNAME": "mx1.example.com"},
    "big.example.com": {"A": [f"10.0.{i}.1" for i in range(100)]},
}


@pytest.fixture
def server():
    with DNSServer(ZONES) as server:
        yield server


def ask(server, name, kind="A", transport=dns.query.udp, timeout=2, **more):
    return transport(dns.message.make_query(name, kind, **more), server.address, port=server.port, timeout=timeout)


def texts(response):
    """Names are compared without case: compression gives them the question's."""
    return sorted(record.to_text().lower() for rrset in response.answer for record in rrset)


def test_answers_come_from_the_dict(server):
    for transport in dns.query.udp, dns.query.tcp:
        response = ask(server, "Example.COM", "MX", transport)
        assert texts(response) == ["10 mx1.example.com.", "20 mx2.example.com."] and response.answer[0].ttl == 5
        assert texts(ask(server, "plain.example.com", "MX", transport)) == ["10 mx1.example.com."]
        assert texts(ask(server, "mx1.example.com", "AAAA", transport)) == ["::1"]
        assert texts(ask(server, "alias.example.com", "A", transport)) == ["127.0.0.2", "127.0.0.3", "mx1.example.com."]
    assert server.count("example.com", "MX") == 2
    assert ("mx1.example.com", "AAAA", "tcp") in server.log


def test_unknown_name_and_unknown_type_differ(server):
    assert ask(server, "nowhere.test").rcode() == dns.rcode.NXDOMAIN
    response = ask(server, "example.com", "A")
    assert response.rcode() == dns.rcode.NOERROR and not response.answer


def test_zones_change_at_run_time(server):
    server.update({"new.test": {"A": ["127.0.0.9"]}, "example.com": None})
    assert texts(ask(server, "new.test")) == ["127.0.0.9"]
    assert ask(server, "example.com", "MX").rcode() == dns.rcode.NXDOMAIN
    server.set({})
    assert ask(server, "new.test").rcode() == dns.rcode.NXDOMAIN


def test_large_answer_is_truncated_on_udp(server):
    assert ask(server, "big.example.com").flags & dns.flags.TC
    assert len(texts(ask(server, "big.example.com", "A", dns.query.tcp))) == 100
    assert len(texts(ask(server, "big.example.com", use_edns=0, payload=4096))) == 100


def test_misbehaviours(server):
    def bad(kind):
        server.update({"bad.test": {"A": ["127.0.0.1"], "misbehave": kind}})

    bad("servfail")
    assert ask(server, "bad.test").rcode() == dns.rcode.SERVFAIL
    bad("refused")
    assert ask(server, "bad.test").rcode() == dns.rcode.REFUSED
    bad("truncated")
    assert ask(server, "bad.test").flags & dns.flags.TC
    assert texts(ask(server, "bad.test", "A", dns.query.tcp)) == ["127.0.0.1"]
    bad({"AAAA": "servfail"})
    assert ask(server, "bad.test").rcode() == dns.rcode.NOERROR
    assert ask(server, "bad.test", "AAAA").rcode() == dns.rcode.SERVFAIL
    bad("timeout")
    with pytest.raises(dns.exception.Timeout):
        ask(server, "bad.test", timeout=0.2)
    for kind in "wrong_id", "wrong_question", "garbage":
        bad(kind)
        with pytest.raises((dns.exception.DNSException, ValueError)):
            ask(server, "bad.test", timeout=0.2)


def test_delay_holds_one_answer_only(server):
    server.update({"slow.test": {"A": ["127.0.0.1"], "delay": 0.2}})
    begin = time.monotonic()
    assert texts(ask(server, "slow.test")) == ["127.0.0.1"] and time.monotonic() - begin >= 0.2


def test_wait_counts_questions(server):
    ask(server, "example.com", "MX")
    server.wait("example.com", "MX")
    with pytest.raises(AssertionError, match="2 questions for example.com MX"):
        server.wait("example.com", "MX", 2, timeout=0.05)


def test_misspelt_misbehaviour_is_an_error(server):
    with pytest.raises(ValueError, match="sevrfail"):
        server.update({"bad.test": {"misbehave": "sevrfail"}})
