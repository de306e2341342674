"""What the fuzzer drives: per target a function that takes bytes, and its first samples.

A target raises AssertionError where a promise is broken.  It answers the shape of the
result: an input with a new shape is worth mutating further.
"""
import random
import re
import zlib

from pymomentum.core.dns.wire import parse_answer
from pymomentum.core.mime.address import parse_addresses
from pymomentum.core.mime.header import body_offset, fields
from pymomentum.core.mime.part import walk
from pymomentum.core.smtp.command import parse_command
from pymomentum.core.smtp.dotstuff import decode, encode, scan
from pymomentum.core.smtp.extension import parse_extension
from pymomentum.core.smtp.path import PathError, parse_address, parse_mail, parse_rcpt
from pymomentum.core.smtp.reply import parse_reply

MODES = (("pedantic", "literal"), ("space", "literal", "unqualified", "utf8"), ())


def bucket(number):
    return number.bit_length()


def pieces(data):
    """The data in a few chunks, cut at places that depend on it."""
    rng = random.Random(zlib.crc32(data))
    cuts = sorted(rng.randint(0, len(data)) for _ in range(rng.randint(0, 6)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)])]


def command(data):
    try:
        c = parse_command(data)
    except ValueError:
        return None
    assert data.startswith(c.name) and data[len(c.name):].strip(b" \t") == c.args
    assert not set(data) & set(b"\0\r\n")
    return c.verb, c.trailing, bool(c.args)


def reply(data):
    try:
        r = parse_reply(data)
    except ValueError:
        return None
    assert 200 <= r.code <= 599 and r.enhanced in data and data.rstrip(b" \t").endswith(r.text)
    assert not r.enhanced or re.fullmatch(rb"[245](\.\d{1,3}){2}", r.enhanced)
    return r.code // 100, r.more, len(r.enhanced), bool(r.text)


def extension(data):
    try:
        names, size = parse_extension(data)
    except ValueError:
        return None
    assert size == 0 or "SIZE" in names
    return frozenset(names), bucket(size)


def path(data):
    shape = []
    for flags in MODES:
        for parse in parse_mail, parse_rcpt, parse_address:
            try:
                answer = parse(data, flags)
            except PathError as failure:
                assert failure.parameter in data
                shape.append((failure.reason, failure.parameter[:6]))
                continue
            p, params = answer if isinstance(answer[0], tuple) else (answer, ())
            assert p.whole in data and len(p.local) <= 64 and len(p.domain) <= 255
            assert p.whole == p.local + (b"@" + p.domain if p.domain else b"")
            assert not set(p.whole) & set(b"\0\r\n")
            if p.eightbit:
                p.whole.decode()
            shape.append((*p[3:], bool(p.domain), *map(bool, params)))
    return tuple(shape)


def dotstuff(data):
    result = scan(pieces(data))
    end = 0 if data.startswith(b".\r\n") else data.find(b"\r\n.\r\n") + 2
    assert result.ended == (end != 1) and (not result.ended or (result.body, result.used) == (data[:end], end + 3))
    assert result.size == len(result.body) and result.stuffed == result.size - len(decode([result.body]))
    assert decode(pieces(data)) == re.sub(rb"(\A|\r\n)\.", rb"\1", data)
    for wire in True, False:
        sent = encode(pieces(data), wire, 4 + len(data) % 60)
        again = scan(pieces(sent + b".\r\n"))
        assert again.ended and again.used == len(sent) + 3 and not again.flags & {"lone_cr", "lone_lf"}
        assert encode([sent]) == sent
    return result.ended, frozenset(result.flags), bucket(result.longest)


def header(data):
    found, body = fields(data)
    at = 0
    for f in found:
        start, end = (f, f) if isinstance(f, int) else (f.start, f.end)
        assert at <= start <= end <= body
        assert isinstance(f, int) or f.unfolded == f.value.replace(b"\r\n", b"").replace(b"\n", b"")
        at = end
    assert body <= len(data) and body == body_offset(data)
    return tuple(isinstance(f, int) for f in found[:6]), bucket(len(data) - body)


def sound_tree(data, **limits):
    """The tree of a message, its offsets and links found right."""
    tree = walk(data, **limits)
    at = -1
    for i, p in enumerate(tree.parts):
        assert at <= p.headers_start <= p.preamble_start <= p.body_start <= p.body_end <= p.epilogue_end <= len(data)
        assert p.parent < i
        at = p.headers_start
        if i:
            parent = tree.parts[p.parent]
            assert parent.preamble_start <= p.headers_start and p.epilogue_end <= parent.body_end
            assert p.depth == parent.depth + 1
        if p.next >= 0:
            assert tree.parts[p.next].parent == p.parent and tree.parts[p.next].headers_start >= p.epilogue_end
    return tree


def part(data):
    trees = sound_tree(data), sound_tree(data, parts=3, depth=2, header=60)
    return tuple((tree.state, tuple((p.parent, p.state) for p in tree.parts[:8])) for tree in trees)


def address(data):
    found = parse_addresses(data)
    for a in found:
        assert a is None or (a.local and all(text in data for text in a))
    return tuple(a and tuple(map(bool, a)) for a in found[:4])


def dns_answer(data):
    shapes = []
    for kind in 1, 15, 16, 28:
        try:
            r = parse_answer(data, b"a.test", kind, max_answers=5, max_cname=3)
        except ValueError:
            shapes.append(None)
            continue
        assert len(r["items"]) <= 5 and sum(map(len, r["items"])) <= 5 * 65535
        assert r["status"] != "ok" or r["items"]
        assert kind not in (1, 28) or {len(item) for item in r["items"]} <= {4 if kind == 1 else 16}
        shapes.append((r["status"], len(r["items"]), r["cut"], r["edns"]))
    return tuple(shapes)


TARGETS = {f.__name__: f for f in (command, reply, extension, path, dotstuff, header, part, address, dns_answer)}
