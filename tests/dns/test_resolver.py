"""Name servers that err, lie, cut, or say nothing."""
import time

import pytest

from tests.dns.packet import A, CNAME, MX, OPT_RECORD, QUESTION, answer, mx, name, record
from tests.harness.port import free_port
from tests.harness.wait import until

ADDRESS_ONLY, IPV6 = 4, 1
IP = bytes([127, 0, 0, 2])
GOOD = [record(QUESTION, A, IP)]


def plain(query, transport):
    """Any A is 127.0.0.2; servers that know EDNS say so."""
    return answer(query, None, GOOD, additional=[OPT_RECORD] if query.edns >= 0 else [])


def cut(records=(), after=None):
    def made(query, transport):
        if transport == "udp":
            return answer(query, None, records, flags=0x8380, additional=[OPT_RECORD])
        return after
    return made


@pytest.mark.parametrize("bad", [
    lambda query, transport: b"",
    lambda query, transport: b"\xff" * 40,
    lambda query, transport: answer(query, None, GOOD)[:11],
    lambda query, transport: bytes(2) + answer(query, None, GOOD)[2:] if query.id else None,
    lambda query, transport: answer("other.test", A, GOOD, id=query.id),
    lambda query, transport: None,
], ids=["empty", "garbage", "short", "wrong id", "wrong question", "silence"])
def test_what_is_no_answer_is_waited_out(engine, hostile, bad):
    server = hostile(bad)
    engine.use(server, "options timeout:1 attempts:1")
    began = time.monotonic()
    assert engine.lookup("a.test", ADDRESS_ONLY)["status"] == "failed"
    assert 0.9 < time.monotonic() - began < 3
    assert engine.lookup("a.test", ADDRESS_ONLY)["cached"]          # for five seconds


@pytest.mark.parametrize("records", [
    [record(b"\xc0\x1c", A, IP)], [record(QUESTION, A, IP + b"x")], [record(QUESTION, CNAME, QUESTION)],
    [record(QUESTION, CNAME, name("c1.test"))] + [record(f"c{i}.test", CNAME, name(f"c{i + 1}.test")) for i in range(1, 9)],
    [record(b"\xff\xff", A, IP)],
], ids=["compression loop", "long address", "CNAME loop", "chain of 9", "pointer past the end"])
def test_broken_answers_fail(engine, hostile, records):
    engine.use(hostile(lambda query, transport: answer(query, None, records)), "options timeout:5")
    began = time.monotonic()
    assert engine.lookup("a.test", ADDRESS_ONLY)["status"] == "failed"
    assert time.monotonic() - began < 4


def test_query_for_an_answer_fails(engine, hostile):
    engine.use(hostile(lambda query, transport: answer(query, None, GOOD, flags=0x0100)))
    assert engine.lookup("a.test", ADDRESS_ONLY)["status"] == "failed"


def test_broken_answer_is_asked_for_by_tcp(engine, hostile):
    server = hostile(lambda query, transport:
                     answer(query, None, GOOD)[:-1] if transport == "udp" else answer(query, None, GOOD))
    engine.use(server)
    assert engine.lookup("a.test", ADDRESS_ONLY)["status"] == "ok"


def test_right_answer_after_wrong_ones(engine, hostile):
    def made(query, transport):
        good = answer(query, None, GOOD)
        other = answer("other.test", A, [record(QUESTION, A, bytes([10, 0, 0, 1]))], id=query.id)
        return [b"", b"\0" * 12, bytes([good[0] ^ 1]) + good[1:], other, good, good]
    engine.use(hostile(made))
    assert engine.lookup("a.test", ADDRESS_ONLY)["hosts"] == [[0, "a.test", ["127.0.0.2"]]]


@pytest.mark.parametrize("always", [True, False])
def test_cut_answer_without_records_is_asked_for_by_tcp(engine, hostile, always):
    server = hostile(lambda query, transport: cut(after=answer(query, None, GOOD))(query, transport))
    engine.use(server, dns_fallback_to_tcp=str(always).lower())
    assert engine.lookup("a.test", ADDRESS_ONLY)["status"] == "ok"
    assert [seen[2] for seen in server.seen] == ["udp", "tcp"]


@pytest.mark.shows("dns_fallback_to_tcp")
@pytest.mark.parametrize("always, transports", [("true", ["udp", "tcp"]), ("false", ["udp"])])
def test_cut_answer_with_records(engine, hostile, always, transports):
    server = hostile(lambda query, transport: cut(GOOD, answer(query, None, GOOD))(query, transport))
    engine.use(server, dns_fallback_to_tcp=always)
    assert engine.lookup("a.test", ADDRESS_ONLY)["status"] == "ok"
    assert [seen[2] for seen in server.seen] == transports


def test_cut_answer_and_no_tcp_fails(engine, hostile):
    engine.use(hostile(cut(), tcp=False))
    assert engine.lookup("a.test", ADDRESS_ONLY)["status"] == "failed"


def many(count):
    """4000 addresses fill the 64 KiB of an answer by TCP, whatever its header says."""
    records = [record(QUESTION, A, bytes([10, 0, i >> 8, i & 255])) for i in range(4000)]
    return lambda query, transport: cut(after=answer(query, None, records, count=count))(query, transport)


def test_four_thousand_answers_are_bounded(engine, hostile):
    engine.use(hostile(many(4000)))
    assert len(engine.lookup("a.test", ADDRESS_ONLY)["hosts"][0][2]) == 64


def test_ten_thousand_answers_that_are_not_there_fail(engine, hostile):
    engine.use(hostile(many(10000)))
    assert engine.lookup("a.test", ADDRESS_ONLY)["status"] == "failed"


@pytest.mark.parametrize("rcode", [2, 4, 5])
def test_refusal_fails_at_once(engine, hostile, rcode):
    engine.use(hostile(lambda query, transport: answer(query, None, rcode=rcode)), "options timeout:5")
    began = time.monotonic()
    assert engine.lookup("a.test")["status"] == "failed"
    assert time.monotonic() - began < 4


def test_next_server_is_asked_where_one_refuses(engine, hostile):
    bad, good = hostile(lambda query, transport: answer(query, None, rcode=5)), hostile(plain)
    engine.use(bad.resolv_conf() + good.resolv_conf())
    assert engine.lookup("a.test", ADDRESS_ONLY)["status"] == "ok"


def test_closed_port_fails(engine):
    engine.use(f"nameserver 127.0.0.1:{free_port()}\n")
    found, _ = engine.lookup_all([f"a{i}.test" for i in range(3000)], ADDRESS_ONLY)
    assert {r["status"] for r in found} == {"failed"}


def test_server_that_rejects_edns(engine, hostile):
    server = hostile(lambda query, transport:
                     answer(query, None, rcode=1) if query.edns >= 0 else answer(query, None, GOOD))
    engine.use(server)
    found, _ = engine.lookup_all([f"a{i}.test" for i in range(50)], ADDRESS_ONLY)
    assert {r["status"] for r in found} == {"ok"}
    assert not engine.stats()["edns"]
    assert engine.lookup("b.test", ADDRESS_ONLY)["status"] == "ok"
    assert server.seen[-1] == ("b.test", "A", "udp", False)


def test_server_that_ignores_edns(engine, hostile):
    server = hostile(lambda query, transport: answer(query, None, GOOD))
    engine.use(server)
    for host in "a.test", "b.test":
        assert engine.lookup(host, ADDRESS_ONLY)["status"] == "ok"
    assert [seen[3] for seen in server.seen] == [True, False]


def test_server_that_rejects_everything(engine, hostile):
    engine.use(hostile(lambda query, transport: answer(query, None, rcode=1)))
    assert engine.lookup("a.test", ADDRESS_ONLY)["status"] == "failed"


def test_edns_survives_answers_that_have_it(engine, hostile):
    engine.use(hostile(plain))
    engine.lookup("a.test", ADDRESS_ONLY)
    assert engine.stats()["edns"]


def test_servers_change_with_the_configuration(engine, hostile):
    slow, other = hostile(lambda query, transport: time.sleep(0.3) or plain(query, transport)), hostile(plain)
    engine.use(slow)
    assert engine.lookup("a.test", ADDRESS_ONLY, timeout=0.05) is None      # still under way
    engine.use(other)
    assert engine.lookup("b.test", ADDRESS_ONLY)["status"] == "ok"
    assert engine.stats()["servers"] == [f"127.0.0.1:{other.port}"]
    until(lambda: engine.lookup("a.test", ADDRESS_ONLY)["cached"], 5, "answer of the old server")
    assert [seen[0] for seen in other.seen] == ["b.test"]


def test_unreadable_resolv_conf_keeps_the_servers(engine, hostile):
    server = hostile(plain)
    engine.use(server)
    engine.lookup("a.test", ADDRESS_ONLY)
    engine.call("configure", 'resolv_conf = "/nowhere/resolv.conf"\n')
    assert engine.lookup("b.test", ADDRESS_ONLY)["status"] == "ok"
    assert not engine.stats()["servers_read"]


def test_queries_under_way_are_limited(engine, hostile):
    server = hostile(lambda query, transport: None)
    engine.use(server, "options timeout:1 attempts:1", dns_max_pending=5)
    assert engine.lookup_all([f"a{i}.test" for i in range(20)], ADDRESS_ONLY, timeout=0.5)[0] == [None] * 20
    assert len(server.seen) == 5 and engine.counters()["pending"] == 5
    until(lambda: engine.counters()["pending"] == 0, 5, "end of the queries")
    assert len(server.seen) == 5                                            # nobody waited for the others
    assert engine.counters()["a_timeout"] == 5


def test_waiting_queries_get_their_turn(engine, hostile):
    server = hostile(plain)
    engine.use(server, dns_max_pending=3)
    found, _ = engine.lookup_all([f"a{i}.test" for i in range(300)], ADDRESS_ONLY)
    assert {r["status"] for r in found} == {"ok"}
    assert engine.counters()["a"] == engine.counters()["answers"] == 300


def test_cancel_from_callbacks(engine, server):
    server.set({**{f"d{i}.test": {"MX": ["mx.test"]} for i in range(500)}, "mx.test": {"A": ["127.0.0.2"]}})
    engine.use(server, dns_max_pending=50)
    for names in (["d0.test"] * 1000, [f"d{i}.test" for i in range(500)]):
        found, _ = engine.lookup_all(names, 8, chain=True)
        assert {r and r["status"] for r in found} == {"ok", None}
    until(lambda: engine.counters()["pending"] == 0, 5, "end of the queries")


def test_cancel_storm(engine, server):
    names = [f"d{i}.test" for i in range(1000)]
    server.set({"*": {"delay": 0.05}, **{name: {"MX": ["mx.test"]} for name in names}, "mx.test": {"A": ["127.0.0.2"]}})
    engine.use(server, dns_max_pending=100)
    for i in range(20):
        engine.lookup_all(names, IPV6, timeout=i * 0.01)
    until(lambda: engine.counters()["pending"] == 0, 20, "end of the queries")
    assert engine.lookup("d0.test")["status"] == "ok"


def test_cache_is_bounded(engine, hostile):
    engine.use(hostile(plain), dns_cache_size=100)
    engine.lookup_all([f"a{i}.test" for i in range(300)], ADDRESS_ONLY)
    stats = engine.stats()
    assert stats["entries"] == 100 and stats["evicted"] == 200


def test_cache_of_no_entries(engine, hostile):
    engine.use(hostile(plain), dns_cache_size=0)
    for _ in range(2):
        assert not engine.lookup("a.test", ADDRESS_ONLY)["cached"]


def test_expired_answers_are_purged(engine, hostile):
    engine.use(hostile(lambda query, transport: answer(query, None, [record(QUESTION, A, IP, ttl=1)])),
               dns_cache_purge_interval=1)
    engine.lookup_all([f"a{i}.test" for i in range(100)], ADDRESS_ONLY)
    assert engine.stats()["entries"] == 100
    until(lambda: engine.stats()["entries"] == 0, 5, "empty cache")


def test_mx_records_from_a_cut_answer(engine, hostile):
    def made(query, transport):
        if query.question[0].rdtype == MX:
            return answer(query, None, [mx("mx1.test"), mx("mx2.test")], flags=0x8380)[:-2]
        return answer(query, None, GOOD)
    engine.use(hostile(made, tcp=False))
    assert [host[1] for host in engine.lookup("a.test")["hosts"]] == ["mx1.test"]
