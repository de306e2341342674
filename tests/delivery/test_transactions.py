"""Connections and transactions: batches, limits, reuse, order, bytes."""
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.harness.smtp import blast, blast_id
from tests.harness.wait import until


def queue_up(mta, config, sends, at_once=1):
    """Bring mail in while delivery is suspended, then let it go; in order where at_once is 1."""
    mta.config(f"{config}\nsuspend_delivery = true\ndelayed_queue_scan_interval = 1")
    mta.start()
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(lambda send: mta.send(**send), sends))
    mta.config(f"{config}\ndelayed_queue_scan_interval = 1")


@pytest.mark.variants
def test_recipients_of_one_message_share_a_transaction(mta):
    sink = mta.route()
    mta.send(rcpts=["a@example.com", "b@example.com", "c@example.com"])
    sink.wait(messages=1)
    mta.wait_log("D", 3)
    assert [sorted(m.rcpts) for m in sink.messages] == [["a@example.com", "b@example.com", "c@example.com"]]


def test_equal_messages_stay_apart(mta):
    sink = mta.route()
    queue_up(mta, "", [{"rcpts": "a@example.com"}, {"rcpts": "b@example.com"}])
    mta.wait_log("D", 2)
    assert [m.rcpts for m in sink.messages] == [["a@example.com"], ["b@example.com"]]


def test_each_domain_gets_its_recipients_only(mta):
    one, two = mta.route("one.test", "127.0.0.1"), mta.route("two.test", "127.0.0.2")
    mta.send(rcpts=["a@one.test", "b@two.test", "c@one.test"])
    mta.wait_log("D", 3)
    assert [sorted(m.rcpts) for m in one.messages] == [["a@one.test", "c@one.test"]]
    assert [m.rcpts for m in two.messages] == [["b@two.test"]]


def test_refused_recipient_keeps_the_batch_going(mta):
    sink = mta.route(rcpt=lambda path: "452 4.5.3 too many recipients" if path > "c" else "250 OK")
    mta.config("retry_interval = 1")
    mta.send(rcpts=[f"{c}@example.com" for c in "abcd"])
    mta.wait_log("D", 2), mta.wait_log("T", 2)
    assert sorted(sink.messages[0].rcpts) == ["a@example.com", "b@example.com"]


@pytest.mark.variants
def test_mail_goes_in_order(mta):
    sink = mta.route()
    n = 10 if mta.suspend else 30
    queue_up(mta, "max_outbound_connections = 1", [{"rcpts": f"r{i:02}@example.com"} for i in range(n)])
    mta.wait_log("D", n)
    assert [m.rcpts[0] for m in sink.messages] == [f"r{i:02}@example.com" for i in range(n)]
    assert len(sink.connections) == 1


def test_idle_connection_is_used_again_and_closed_in_time(mta):
    mta.config("idle_timeout = 2")
    sink = mta.route()
    for i in range(3):
        mta.send()
        sink.wait(messages=i + 1)
    assert len(sink.connections) == 1
    begin = time.monotonic()
    until(lambda: sink.connections[0].closed)
    assert 1 < time.monotonic() - begin < 4
    assert sink.commands[-1] == "QUIT"
    mta.send()
    sink.wait(messages=4)
    assert len(sink.connections) == 2


def test_deliveries_per_connection(mta):
    sink = mta.route()
    queue_up(mta, "max_deliveries_per_connection = 2\nmax_outbound_connections = 1", [{"rcpts": f"{i}@example.com"} for i in range(5)])
    mta.wait_log("D", 5)
    until(lambda: sum(c.commands.count("QUIT") for c in sink.connections[:2]) == 2)
    assert [sum(m.connection == c.number for m in sink.messages) for c in sink.connections] == [2, 2, 1]


@pytest.mark.variants
def test_connections_never_exceed_their_limit(mta):
    mta.config("max_outbound_connections = 3\nconnection_allocation_aggressiveness = high")
    sink = mta.route(delay={"body": 0.02})
    mta.start()
    n = 60 if mta.suspend else 200
    blast(mta.port, n, 10)
    mta.wait_log("D", n, 40)
    assert 1 < sink.peak <= 3


def test_server_limit_counts_all_domains(mta):
    mta.config("server_max_outbound_connections = 2\nserver_reserve_outbound_connections = 0\nidle_timeout = 1\n"
               "connection_allocation_aggressiveness = high")
    sinks = [mta.route(f"d{i}.test", f"127.0.0.{i}", delay={"body": 0.05}) for i in range(1, 5)]
    for i in range(1, 5):
        for _ in range(3):
            mta.send(rcpts=f"b@d{i}.test")
    until(lambda: len(mta.mainlog("D")) == 12 or mta.counters()["OutboundConcurrency"] > 2, 40)
    assert mta.counters()["OutboundConcurrency"] <= 2
    mta.wait_log("D", 12, 40)


def test_message_throttle(mta):
    sink = mta.route()
    queue_up(mta, 'outbound_throttle_messages = "5/1"', [{"rcpts": f"{i}@example.com"} for i in range(15)])
    mta.wait_log("D", 15, 20)
    times = sorted(m.at for m in sink.messages)
    for a, b in zip(times, times[6:]):
        assert b - a > 0.9, times       # never more than five in a second, but for the edges of a window
    assert not mta.mainlog("T")


def test_connection_throttle(mta):
    sink = mta.route()
    queue_up(mta, 'outbound_throttle_connections = "2/1"\nmax_deliveries_per_connection = 1\nmax_outbound_connections = 1',
             [{"rcpts": f"{i}@example.com"} for i in range(6)])
    mta.wait_log("D", 6, 20)
    times = [c.at for c in sink.connections]
    for a, b in zip(times, times[3:]):
        assert b - a > 0.9, times
    assert not mta.mainlog("T")


@pytest.mark.variants
def test_load_arrives_whole(mta):
    sinks = [mta.route(f"d{i}.test", f"127.0.0.{i}") for i in range(1, 4)]
    mta.start()
    n = 150 if mta.suspend else 600
    sent = blast(mta.port, n, 10, 3000, rcpt=lambda i: f"r{i}@d{i % 3 + 1}.test")
    assert len(sent.acked) == n
    mta.wait_log("D", n, 40)
    got = [blast_id(m.data) for sink in sinks for m in sink.messages]
    assert sorted(got) == sorted(sent.acked)
    mta.wait_empty()
    values = mta.counters()
    assert (values["ReceivedMessages"], values["DeliveredMessages"], values["ResidentBytes"]) == (n, n, 0)


@pytest.mark.parametrize("extensions", [("SIZE", "PIPELINING"), ("SIZE",)])
def test_reset_behind_a_refusal_has_its_own_time_and_stage(mta, extensions):
    """The second message starts with RSET; a peer that leaves it without an answer is waited for as rset_timeout says."""
    sink = mta.route(extensions=extensions, rcpt=["550 5.1.1 no", "250 OK"], delay={"rset": 15})
    began = time.monotonic()
    queue_up(mta, "rset_timeout = 1\nmailfrom_timeout = 60\nmax_outbound_connections = 1\nretry_interval = 1000",
             [{"rcpts": "a@example.com"}, {"rcpts": "b@example.com"}])
    [t] = mta.wait_log("T", 1, 20)
    assert (t.stage, t.text) == (14, "451 4.4.2 [internal] no RSET response") and t.peer == "127.0.0.2"
    assert time.monotonic() - began < 12 and [p.stage for p in mta.mainlog("P")] == [5]
    assert not sink.messages


@pytest.mark.parametrize("extensions", [("SIZE", "PIPELINING"), ("SIZE",)])
def test_mail_goes_on_behind_a_reset(mta, extensions):
    sink = mta.route(extensions=extensions, rcpt=["550 5.1.1 no", "250 OK"])
    queue_up(mta, "max_outbound_connections = 1", [{"rcpts": f"{c}@example.com"} for c in "abc"])
    mta.wait_log("D", 2)
    assert [m.rcpts for m in sink.messages] == [["b@example.com"], ["c@example.com"]] and len(sink.connections) == 1
    assert not any(c.violations for c in sink.connections)


def test_reset_that_is_refused_puts_mail_off(mta):
    mta.route(rcpt=["550 5.1.1 no", "250 OK"], rset="421 4.3.2 bye")
    queue_up(mta, "max_outbound_connections = 1\nretry_interval = 1000", [{"rcpts": "a@example.com"}, {"rcpts": "b@example.com"}])
    [t] = mta.wait_log("T")
    assert t.stage == 14 and t.text == "421 4.3.2 bye"
