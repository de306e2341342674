"""What commands print is laid out as the reference manual's samples are."""
import json
import time
import xml.etree.ElementTree as ElementTree

import pytest

from pymomentum.console import queues
from pymomentum.console.messages import details_text
from pymomentum.console.server import panic_text
from pymomentum.core.control import summary

SUMMARY = """\
Summary Statistics
        Outbound Concurrency:    2248
        Inbound Concurrency:      90
        Active Domains:   35711
        Active Queue Size:   8793
        Delayed Queue Size: 263175
        Total Queue Size: 271968
        DNS Resolver: ares
        DNS A Queries: 565284
        DNS A Timeouts: 11
        DNS AAAA Queries: 0
        DNS AAAA Timeouts: 0
        DNS MX Queries: 243281
        DNS MX Timeouts: 6
        DNS TXT Queries: 39841
        DNS TXT Timeouts: 0
        Pending DNS Queries: 116
        Query Rate:   9.53 queries/second
        DNS Response Time Peak:  469 ms
        DNS Response Time Average:  0.302 ms
        DNS Rate Limiter: disabled
        Successfully Delivered Messages: 2102439
        Failed Messages: 2508439
        Rejected Messages:      1
        Received Messages: 4883262
        Delivery Rate:  51.76 messages/second
        Reception Rate:  54.82 messages/second
        Statistics Last Reset:  89081 seconds
        Uptime:  89083 seconds
"""
COUNTERS = {
    "OutboundConcurrency": 2248, "InboundConcurrency": 90, "ActiveDomains": 35711, "ActiveQueueSize": 8793,
    "DelayedQueueSize": 263175, "TotalQueueSize": 271968, "DNSAQueries": 565284, "DNSATimeouts": 11, "DNSAAAAQueries": 0,
    "DNSAAAATimeouts": 0, "DNSMXQueries": 243281, "DNSMXTimeouts": 6, "DNSTXTQueries": 39841, "DNSTXTTimeouts": 0,
    "PendingDNSQueries": 116, "DNSQueryRate": 9.53, "DNSResponseTimePeak": 469, "DNSResponseTimeAverage": 0.302,
    "DeliveredMessages": 2102439, "FailedMessages": 2508439, "RejectedMessages": 1, "ReceivedMessages": 4883262,
    "DeliveryRate": 51.76, "ReceptionRate": 54.82, "StatisticsLastReset": 89081, "Uptime": 89083, "ResidentMessages": 7,
    "ResidentBytes": 7000, "TransientFailures": 5}

MAILQ = """\
Group/Binding                                       Domain      AQ      DQ
--------------------------------------------------------------------------
default/default                                  yahoo.com      11       0
default/gmail                                    gmail.com      25       5
default/#mmove                                   gmail.com       0       0
"""

DELAYED = """\
Domain:                   mailcity.com  C:  0  A:      9  D:  1169  S: 16838
Domain:                   peoplepc.com  C:  0  A:    575  D:  1180  S:  7735
                                Total:  C: 532  A:  22692  D: 34915  S:1953716
"""

ALL = """\
Domain summary:
Domain:                    macbook.lan  C:  0  A:      0  D:     8  S:     0
Domain:                      yahoo.com  C:  1  A:      1  D:     0  S:     1
Totals: C:   1  A:      1  D:     8  S:     1
"""

DOMAIN = """\
Domain hotmail.com {
  max_outbound_connections = 20
}
Domain 'hotmail.com' has 2 MXs and a TTL of 1902 seconds
  [5 mx1.hotmail.com TTL:1902]
 *      [65.54.254.129] IPv4 (0.00ms con 10259.03ms dlv) 54.27s since failure
        [65.54.252.99] IPv4 (743.66ms con 11976.77ms dlv)
                (also used by email.msn.com pref 5)
                (also used by msn.com pref 5)
  [5 mx2.hotmail.com TTL:1902]
 =>     [65.54.254.145] IPv4 (77.34ms con 9957.49ms dlv)
                (also used by email.msn.com pref 5)
                (also used by 4711 more)
Domain has had 1 consecutive connection failures
Queue:
        Active:        212
        Delayed:       190
Deliveries:     10715
Failures:         612
Active Connections: 2
[ 1] FD:    174  IP:    65.54.252.99  State: reading confirmation (4615.39ms)
[ 2] FD:    142  IP:     65.54.167.5  State: after RCPT TO (308.59ms)
"""

SHOWQUEUE = """\
[active/default] B3/1D-18426-471AACF3 Created: 1070244212
  From: <sender@postalengine.com> To: <rcpt1@example.com>
[delayed/default] B3/79-18426-4A4BACF3 Created: 1070244212
  From: <> To: <rcpt2@example.com>
"""

DETAILS = """\
Message: 53/6B-18426-1AAEACF3
Message Type: full message
               Created: 2003-12-01 02:15:45
          Next Attempt: 2003-12-01 18:11:25
               Retries: 5
          Received Via: SMTP 10.0.0.103 (IPv4)
                Sender: sender-849629@senderdomain.com
             Recipient: someaddress@example.com
                  Code: 451 No valid hosts (too many connection failures)
                  Size: 11317
"""

HOTMAIL = {
    "name": "hotmail.com", "ttl": 1902, "status": "ok", "failures": 1, "active": 212, "delayed": 190,
    "delivered": 10715, "failed": 612, "waiting": [],
    "mx": [
        {"preference": 5, "name": "mx1.hotmail.com", "ttl": 1902, "further": 0,
         "also": [{"domain": "email.msn.com", "preference": 5}, {"domain": "msn.com", "preference": 5}], "addresses": [
            {"address": "65.54.254.129", "family": 4, "connect_ms": 0, "deliver_ms": 10259.03, "failed_s": 54.27,
             "next": False},
            {"address": "65.54.252.99", "family": 4, "connect_ms": 743.66, "deliver_ms": 11976.77,
             "failed_s": None, "next": False}]},
        {"preference": 5, "name": "mx2.hotmail.com", "ttl": 1902, "further": 4711,
         "also": [{"domain": "email.msn.com", "preference": 5}], "addresses": [
            {"address": "65.54.254.145", "family": 4, "connect_ms": 77.34, "deliver_ms": 9957.49,
             "failed_s": None, "next": True}]}],
    "connections": [
        {"fd": 174, "address": "65.54.252.99", "state": "reading confirmation", "elapsed_ms": 4615.39},
        {"fd": 142, "address": "65.54.167.5", "state": "after RCPT TO", "elapsed_ms": 308.59}],
}


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_summary():
    assert summary.render(COUNTERS, "text") == SUMMARY


def test_summary_for_programs():
    data = json.loads(summary.render(COUNTERS, "json"))
    assert {name: data[name] for name in COUNTERS} == COUNTERS
    assert (data["DNSResolver"], data["DNSRateLimiter"]) == ("ares", "disabled")
    root = ElementTree.fromstring(summary.render(COUNTERS, "xml"))
    assert root.tag == "ServerSummary" and root.find("ReceivedMessages").text == "4883262"
    assert [child.tag for child in root] == list(data)


def test_summary_leaves_out_what_nothing_has_raised():
    counters = {name: value for name, value in COUNTERS.items() if not name.startswith("DNSTXT")}
    text = summary.render(counters, "text")
    assert "TXT" not in text and "DNS MX Queries: 243281\n" in text
    assert "DNSTXTQueries" not in json.loads(summary.render(counters, "json"))


def test_summary_shows_the_rate_limit_where_there_is_one():
    limit = {"DNSRateLimiter": "enabled", "DNSRateLimitMXQueries": 500, "DNSRateLimitPeriod": 1, "DNSRateLimiterQueueSize": 42,
             "DNSRateLimiterQueueMax": 50000, "DNSRateLimiterImmediate": 18340, "DNSRateLimiterQueued": 4120,
             "DNSRateLimiterDrained": 4078, "DNSRateLimiterOverflow": 0}
    assert """\
        DNS Rate Limiter: enabled
        DNS Rate Limit: 500 MX queries per 1 seconds
        DNS Rate Limiter Queue: 42 / 50000
        DNS Rate Limiter Immediate: 18340
        DNS Rate Limiter Queued: 4120
        DNS Rate Limiter Drained: 4078
        DNS Rate Limiter Overflow: 0
        Successfully""" in summary.render({**COUNTERS, **limit}, "text")
    data = json.loads(summary.render({**COUNTERS, **limit}, "json"))
    assert {name: data[name] for name in limit} == limit


def test_summary_shows_how_far_the_spool_is_read():
    text = summary.render({**COUNTERS, "DiskQueueProgress": (12, 2900)}, "text")
    assert "        Disk Queue Progress:     12/  2900 segments\n" in text
    assert json.loads(summary.render({"DiskQueueProgress": (12, 29)}, "json"))["DiskQueueProgress"] == "    12/    29"


def test_mailq(registry, engine):
    rows = [("default", "#mmove", "gmail.com", 0, 0), ("default", "gmail", "gmail.com", 25, 5),
            ("default", "default", "yahoo.com", 11, 0)]
    engine.mailq = lambda: rows
    assert registry.run("mailq").text == MAILQ
    assert registry.run("mailq -l 1").text.splitlines()[2:] == MAILQ.splitlines()[3:4]
    assert registry.run("mailq --domain YAHOO.com gone.com").text.splitlines()[2:] == MAILQ.splitlines()[2:3]
    assert registry.run("mailq -b gmail -b other").text.splitlines()[2:] == MAILQ.splitlines()[3:4]
    data = registry.run("mailq -b gmail", json=True).data
    assert data == {"QueueSummary": [{"group": "default", "binding": "gmail", "domain": "gmail.com", "aq": 25, "dq": 5}]}


def test_long_names_keep_their_distance():
    [_, _, line] = queues.mailq_text([("g" * 40, "b", "d" * 40 + ".com", 1, 2)]).splitlines()
    assert line.split() == ["g" * 40 + "/b", "d" * 40 + ".com", "1", "2"]


def test_delayed_totals_are_over_all_domains(registry, engine):
    engine.domains = lambda: [("peoplepc.com", 0, 575, 1180, 7735), ("mailcity.com", 0, 9, 1169, 16838),
                              ("small.com", 532, 22108, 1000, 1929143), ("rest.com", 0, 0, 31566, 0)][:3]
    text = registry.run("delayed 1000").text
    assert text.splitlines()[:2] == DELAYED.splitlines()[:2]
    assert queues.total_line(532, 22692, 34915, 1953716) == DELAYED.splitlines(keepends=True)[2]
    assert text.splitlines()[2].split() == "Total: C: 532 A: 22692 D: 3349 S:1953716".split()
    assert len(registry.run("active 574").text.splitlines()) == 3
    assert len(registry.run("active 575").text.splitlines()) == 2


def test_domain_all(registry, engine):
    engine.domains = lambda: [("yahoo.com", 1, 1, 0, 1), ("macbook.lan", 0, 0, 8, 0)]
    assert registry.run("domain all").text == ALL == registry.run("domains").text


def test_domain(registry, engine):
    engine.domain = {"hotmail.com": HOTMAIL}.get
    assert registry.run("domain Hotmail.com").text == DOMAIN
    assert registry.run("domain other.com").text == "domain other.com is not known here\n"


def test_domain_says_what_it_waits_for():
    waiting = [{"binding": "b1", "reason": "outbound_throttle_messages", "until_s": 12.2, "until": 1070188297},
               {"binding": "default", "reason": "suspended", "until_s": 0, "until": None}]
    text = queues.domain_text({**HOTMAIL, "mx": [], "status": "does not exist", "waiting": waiting})
    assert "Domain 'hotmail.com' has no MXs: does not exist\n" in text
    assert ("Waiting:\n        b1: outbound_throttle_messages lets no more mail out, until 2003-11-30 10:31:37 (in 12 s)\n"
            "        default: suspend_delivery is set\n") in text


def test_showqueue(registry, engine):
    asked = []

    def queue(*args):
        asked.append(args)
        return [{"where": "active", "binding": "default", "id": "B3/1D-18426-471AACF3", "created": 1070244212,
                 "sender": "sender@postalengine.com", "recipient": "rcpt1@example.com"},
                {"where": "delayed", "binding": "default", "id": "B3/79-18426-4A4BACF3", "created": 1070244212,
                 "sender": "", "recipient": "rcpt2@example.com"}]
    engine.queue = queue
    assert registry.run("showqueue example.com").text == SHOWQUEUE
    registry.run("showqueue binding all Example.com 5")
    registry.run("showqueue binding smtp-01 example.com 10,20")
    assert asked == [("example.com", "default", 100, 0), ("example.com", None, 5, 0), ("example.com", "smtp-01", 10, 20)]
    assert registry.run("showqueue example.com ten").text.startswith("usage: showqueue")


MESSAGE = {"id": "53/6B-18426-1AAEACF3", "created": 1070244945, "next_attempt": 1070302285, "retries": 5,
           "via": "SMTP 10.0.0.103 (IPv4)", "sender": "sender-849629@senderdomain.com",
           "recipient": "someaddress@example.com", "code": "451 No valid hosts (too many connection failures)",
           "size": 11317}


def test_message_details(registry, engine):
    engine.message = {MESSAGE["id"]: MESSAGE}.get
    engine.message_body = {MESSAGE["id"]: b"Subject: \xe9\r\n\r\nhi\r\n"}.get
    assert details_text(MESSAGE) == DETAILS == registry.run(f"message details {MESSAGE['id']}").text
    body = registry.run(f"message details body {MESSAGE['id']}").text
    assert body.encode("utf-8", "surrogateescape") == b"Subject: \xe9\r\n\r\nhi\r\n"
    assert registry.run(f"message details full {MESSAGE['id']}").text == DETAILS + body
    assert registry.run("message details 00/00-1-1").status == 1


def test_paniclog_lines_bear_readable_times():
    data = b"1070188297:SPOOL first\nno form\n1070188297000001:SPOOL second\n"
    assert panic_text(data, "[%a %d %b %Y %H:%M:%S]") == (
        "[Sun 30 Nov 2003 10:31:37] [SPOOL] first\nno form\n[Sun 30 Nov 2003 10:31:37.000001] [SPOOL] second\n")
