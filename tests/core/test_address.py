import pytest

from pymomentum.core.mime.address import parse_addresses
from tests.fuzz.targets import address
from tests.harness.mutate import mutants

LISTS = [
    (b"", []),
    (b" , ,", []),
    (b"a@b", [(b"", b"a", b"b", b"")]),
    (b" a@b , c@d,", [(b"", b"a", b"b", b""), (b"", b"c", b"d", b"")]),
    (b"Ann B. C <a@b>", [(b"Ann B. C", b"a", b"b", b"")]),
    (b'"B, Ann" <a.x@b.example>', [(b'"B, Ann"', b"a.x", b"b.example", b"")]),
    (b'"a b"@c', [(b"", b'"a b"', b"c", b"")]),
    (b'"q\\"x" mid "y" <"l\\@"@c>', [(b'"q\\"x" mid "y"', b'"l\\@"', b"c", b"")]),
    (b"a@b (Ann (x) \\))", [(b"Ann (x) \\)", b"a", b"b", b"")]),
    (b"(c) Ann (d) <(e) a (f) @ (g) b (h)> (i)", [(b"Ann", b"a", b"b", b"")]),
    (b"a@[192.0.2.1], <b@[IPv6:::1]>", [(b"", b"a", b"[192.0.2.1]", b""), (b"", b"b", b"[IPv6:::1]", b"")]),
    (b"undisclosed-recipients:;", []),
    (b"Team One: a@b, C <c@d>; e@f", [(b"", b"a", b"b", b"Team One"), (b"C", b"c", b"d", b"Team One"), (b"", b"e", b"f", b"")]),
    (b"g:;,h: a@b;", [(b"", b"a", b"b", b"h")]),
    (b"<@x,@y:a@b>", [(b"", b"a", b"b", b"")]),
    (b"root", [(b"", b"root", b"", b"")]),
    (b"Root <root>", [(b"Root", b"root", b"", b"")]),
    (b"=?utf-8?q?J=C3=B6?=\r\n <j@b>", [(b"=?utf-8?q?J=C3=B6?=", b"j", b"b", b"")]),
    (b"J\xc3\xb6 <j@b>", [(b"J\xc3\xb6", b"j", b"b", b"")]),
    (b"two words, a@b", [None, (b"", b"a", b"b", b"")]),
    (b"a@b c, d@e", [None, (b"", b"d", b"e", b"")]),
    (b"<>, a@b", [None, (b"", b"a", b"b", b"")]),
    (b"Ann <a@b, c@d", [None, (b"", b"c", b"d", b"")]),
    (b'"open, a@b', [None]),
    (b"(open, a@b", [None]),
    (b"a@b;c@d", [None, (b"", b"c", b"d", b"")]),
    (b"@b, a@", [None, None]),
    (b'a@"b"', [None]),
]


@pytest.mark.parametrize("text, parsed", LISTS)
def test_address_list_is_taken_apart(text, parsed):
    assert parse_addresses(text) == parsed


def test_number_of_addresses_is_bounded():
    assert len(parse_addresses(b"a@b," * 10, 10)) == 10
    with pytest.raises(ValueError):
        parse_addresses(b"a@b," * 11, 10)


@pytest.mark.parametrize("piece", [b"(", b"<", b'"', b"\\", b"g:", b",", b";", b"@", b"[", b"((a)", b"a<", b"(a)"])
def test_hostile_repetition_is_read_once(piece):
    assert parse_addresses(piece * 100000, 1 << 31) is not None


def test_truncated_and_mutated_lists():
    for text, _ in LISTS:
        for end in range(len(text)):
            address(text[:end])
    for text in mutants([text for text, _ in LISTS], 20000):
        address(text)
