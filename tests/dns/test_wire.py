import struct

import dns.flags
import dns.message
import pytest

from pymomentum.core.dns.wire import build_query, parse_answer
from tests.dns.packet import A, AAAA, CNAME, MX, OPT_RECORD, QUESTION, TXT, answer, mx, name, record, soa
from tests.harness.mutate import mutants

IP = bytes([192, 0, 2, 1])
LOOP_AT_ITSELF = b"\xc0" + bytes([12 + len(name("a.test")) + 4])        # the first record's owner
LONGEST = ".".join(["a" * 63] * 3 + ["b" * 61])


def items(packet, asked=b"a.test", kind=A, **named):
    return parse_answer(packet, asked, kind, **named)["items"]


@pytest.mark.parametrize("kind, records, found", [
    (A, [record(QUESTION, A, IP)], [IP]),
    (A, [record("A.TEST", A, IP)], [IP]),
    (A, [record("b.test", A, IP)], []),                                         # of no interest
    (A, [record(QUESTION, A, IP, cls=3)], []),
    (A, [record(QUESTION, CNAME, name("b.test")), record("b.test", A, IP)], [IP]),
    (A, [record("b.test", A, IP), record(QUESTION, CNAME, name("B.test"))], [IP]),      # out of order
    (A, [record(QUESTION, TXT, b"\1x"), record(QUESTION, A, IP)], [IP]),
    (AAAA, [record(QUESTION, AAAA, bytes(16))], [bytes(16)]),
    (MX, [mx("MX.test", 5), mx("mx2.test", 10)], [b"\0\5mx.test", b"\0\12mx2.test"]),
    (MX, [mx("", 0)], [b"\0\0"]),
    (MX, [mx(b"\2mx" + QUESTION)], [b"\0\12mx.a.test"]),
    (MX, [mx(b"\4a@b.\0")], [b"\0\12?"]),                                       # counts, cannot be found
    (TXT, [record(QUESTION, TXT, b"\2ab\0\3cde")], [b"abcde"]),
    (TXT, [record(QUESTION, TXT, b"")], [b""]),
])
def test_records_are_found(kind, records, found):
    assert items(answer("a.test", kind, records), kind=kind) == found


@pytest.mark.parametrize("packet", [
    b"", b"\0" * 11, b"\0" * 12,
    answer("a.test", A, flags=0x0100),                                          # a query
    answer("a.test", A, flags=0x9180),                                          # another opcode
    answer("b.test", A, [record(QUESTION, A, IP)]),
    answer("a.test", MX), answer("a.test", A, cls=3),
    answer("a.test", A, count=1),                                               # a record that is not there
    answer("a.test", A, [record(QUESTION, A, IP)], count=65535),
    answer("a.test", A, [record(QUESTION, A, IP)])[:-1],
    answer("a.test", A, [record(QUESTION, A, IP + b"x")]),
    answer("a.test", A, [record(LOOP_AT_ITSELF, A, IP)]),
    answer("a.test", A, [record(b"\xff\xff", A, IP)]),
    answer("a.test", A, [record(b"\x40a\0", A, IP)]),                           # label type 01
    answer("a.test", A, [record(QUESTION, CNAME, b"\xc0")]),
    answer("a.test", A, [record(QUESTION, CNAME, name("b.test") + b"x")]),
    answer("a.test", A, [record((b"\x3f" + b"a" * 63) * 4 + b"\0", A, IP)]),    # 255 characters
])
def test_broken_answers_are_refused(packet):
    with pytest.raises(ValueError):
        parse_answer(packet, b"a.test", A)


@pytest.mark.parametrize("packet", [
    answer("a.test", MX, [record(QUESTION, MX, b"\0\1")]),
    answer("a.test", MX, [mx(name("b.test") + b"x")]),
    answer("a.test", MX, [mx(b"\3mx")], additional=[OPT_RECORD]),               # the host runs out of its record
])
def test_broken_mx_records_are_refused(packet):
    with pytest.raises(ValueError):
        parse_answer(packet, b"a.test", MX)


def test_two_questions_are_refused():
    packet = bytearray(answer("a.test", A))
    packet[5] = 2
    with pytest.raises(ValueError):
        parse_answer(bytes(packet), b"a.test", A)


def test_text_that_runs_out_of_its_record_is_refused():
    with pytest.raises(ValueError):
        parse_answer(answer("a.test", TXT, [record(QUESTION, TXT, b"\5abc")], additional=[OPT_RECORD]), b"a.test", TXT)


def test_longest_name_is_read():
    assert items(answer(LONGEST, A, [record(QUESTION, A, IP)]), LONGEST.encode()) == [IP]


def chain(length):
    return [record(f"c{i}.test", CNAME, name(f"c{i + 1}.test")) for i in range(length)] + [record(f"c{length}.test", A, IP)]


@pytest.mark.parametrize("turn", [1, -1])
def test_cnames_are_followed_up_to_the_limit(turn):
    assert items(answer("c0.test", A, chain(8)[::turn]), b"c0.test", max_cname=8) == [IP]
    assert parse_answer(answer("c0.test", A, chain(9)[::turn]), b"c0.test", A, max_cname=8)["status"] == "failed"


@pytest.mark.parametrize("records", [
    [record(QUESTION, CNAME, QUESTION)],
    [record(QUESTION, CNAME, name("b.test")), record("b.test", CNAME, name("a.test"))],
])
def test_cname_loop_fails(records):
    assert parse_answer(answer("a.test", A, records), b"a.test", A)["status"] == "failed"


def test_cname_without_target_is_no_data():
    assert parse_answer(answer("a.test", A, [record(QUESTION, CNAME, name("b.test"))]), b"a.test", A)["status"] == "nodata"


def test_no_more_answers_than_asked_for():
    packet = answer("a.test", A, [record(QUESTION, A, struct.pack("!I", i)) for i in range(4000)])
    assert len(items(packet, max_answers=64)) == 64
    assert len(items(packet, max_answers=65535)) == 4000


@pytest.mark.parametrize("named, status, ttl", [
    ({"records": [record(QUESTION, A, IP, ttl=7), record(QUESTION, A, IP, ttl=5)]}, "ok", 5),
    ({"records": [record(QUESTION, CNAME, name("b.test"), ttl=3), record("b.test", A, IP, ttl=9)]}, "ok", 3),
    ({"records": [record(QUESTION, A, IP, ttl=9), record("b.test", A, IP, ttl=1)]}, "ok", 9),
    ({"records": [record(QUESTION, A, IP, ttl=0xffffffff)]}, "ok", 0),          # RFC 2181 8
    ({}, "nodata", None),
    ({"authority": [soa(30)]}, "nodata", 30),
    ({"authority": [soa(30, ttl=20)], "rcode": 3}, "nxdomain", 20),
    ({"records": [record(QUESTION, CNAME, name("b.test"), ttl=3)], "rcode": 3}, "nxdomain", None),
    ({"rcode": 2}, "failed", None), ({"rcode": 5}, "failed", None), ({"rcode": 15}, "failed", None),
])
def test_status_and_ttl(named, status, ttl):
    r = parse_answer(answer("a.test", A, **named), b"a.test", A)
    assert (r["status"], r["ttl"]) == (status, ttl)


def test_flags_and_opt_are_reported():
    r = parse_answer(answer("a.test", A, flags=0x83a0, additional=[OPT_RECORD]), b"a.test", A)
    assert r["cut"] and r["secure"] and r["edns"]
    r = parse_answer(answer("a.test", A), b"a.test", A)
    assert not (r["cut"] or r["secure"] or r["edns"])


def test_cut_answer_gives_what_is_whole():
    whole = answer("a.test", A, [record(QUESTION, A, IP)] * 2, flags=0x8380)
    assert items(whole[:-3]) == [IP]


@pytest.mark.parametrize("bad", [b"", b".", b"a..b", b".a", b"a" * 64, b"a b", b"a@b", b"\xc3\xa9.test", b"a\0b",
                                 ".".join(["a" * 63] * 4).encode()])
def test_impossible_names_make_no_query(bad):
    with pytest.raises(ValueError):
        build_query(bad, A)


@pytest.mark.parametrize("edns", [True, False])
def test_query_is_what_others_read(edns):
    query = dns.message.from_wire(build_query(b"_dmarc.Example.com.", TXT, 4711, edns))
    assert query.question[0].to_text() == "_dmarc.Example.com. IN TXT" and query.id == 4711
    assert query.flags == dns.flags.RD | dns.flags.AD
    assert (query.edns, query.payload) == ((0, 1232) if edns else (-1, 0))


def test_mutations_are_refused_or_bounded():
    samples = [
        answer("a.test", A, chain(8) + [record(QUESTION, A, IP)]),
        answer("a.test", MX, [mx("mx.test"), mx(b"\3mx2" + QUESTION)], additional=[OPT_RECORD]),
        answer("a.test", TXT, [record(QUESTION, TXT, b"\2ab\3cde")]), answer("a.test", A, rcode=3, authority=[soa(3)]),
    ]
    for packet in mutants(samples, 20000):
        for kind in A, MX, TXT:
            try:
                r = parse_answer(packet, b"a.test", kind, max_answers=3)
            except ValueError:
                continue
            assert len(r["items"]) <= 3 and (r["status"] == "ok") <= bool(r["items"])
