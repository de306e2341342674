import pytest

from pymomentum.core.mime.part import walk
from tests.fuzz.targets import part, sound_tree
from tests.harness.mutate import mutants

MIXED = (b"From: a\r\nContent-Type: multipart/mixed; charset=x; boundary=\"b 1\"\r\n\r\npreamble\r\n--b 1\r\n\r\none\r\n"
         b"--b 1  \r\nContent-Type: multipart/alternative;\r\n boundary=----=_b/2\r\n\r\n------=_b/2\r\n"
         b"Content-Type: text/html (c); charset=UTF-8\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+\r\n"
         b"------=_b/2--\r\ninner epilogue\r\n--b 1\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ninside\r\n--b 1--\r\nepilogue\r\n")


def text(message, part):
    return message[part.body_start:part.body_end]


def test_tree_of_offsets():
    tree = walk(MIXED)
    assert tree.state == "ok"
    root, one, alt, html, rfc822, inner = tree.parts
    assert (root.type, root.boundary, root.child, root.next, root.parent) == (b"multipart/mixed", b"b 1", 1, -1, -1)
    assert MIXED[root.preamble_start:root.body_start] == b"preamble\r\n"
    assert MIXED[root.body_end:root.epilogue_end] == b"epilogue\r\n"
    assert text(MIXED, root).startswith(b"--b 1\r\n") and text(MIXED, root).endswith(b"--b 1--\r\n")
    assert (one.type, text(MIXED, one), one.next, one.depth) == (b"text/plain", b"one", 2, 1)
    assert (alt.boundary, alt.child, alt.next) == (b"----=_b/2", 3, 4)
    assert MIXED[alt.body_end:alt.epilogue_end] == b"inner epilogue"
    assert (html.type, html.charset, html.encoding, text(MIXED, html)) == (b"text/html", b"UTF-8", b"base64", b"PGI+")
    assert (rfc822.type, rfc822.child) == (b"message/rfc822", 5)
    assert text(MIXED, rfc822) == b"Subject: in\r\n\r\ninside"
    assert (inner.parent, inner.depth, text(MIXED, inner)) == (4, 2, b"inside")


def test_plain_message_is_one_part():
    tree = walk(b"Subject: x\r\n\r\n--b\r\n\r\nbody")
    assert len(tree.parts) == 1 and tree.state == "ok" and text(b"Subject: x\r\n\r\n--b\r\n\r\nbody", tree.parts[0]) == b"--b\r\n\r\nbody"
    assert walk(b"").parts[0][:5] == (0, 0, 0, 0, 0)


def message(content_type, body):
    return b"Content-Type: " + content_type + b"\r\n\r\n" + body


@pytest.mark.parametrize("content_type, body, parts, state", [
    (b"multipart/mixed; boundary=b", b"--b\r\n\r\nx\r\n--b--\r\n", 2, "ok"),
    (b"multipart/mixed; boundary=b", b"--b\n\nx\n--b--\n", 2, "ok"),
    (b"multipart/mixed; boundary=b", b"--b\r\n--b\r\n--b--", 3, "ok"),
    (b"multipart/mixed; boundary=b", b"--b--\r\n--b\r\n", 1, "ok"),
    (b"multipart/mixed; boundary=b", b"--b\r\n\r\nx", 2, "invalid"),
    (b"multipart/mixed; boundary=b", b"no boundary", 1, "invalid"),
    (b"multipart/mixed; boundary=b", b"--bb\r\n--b-\r\n --b\r\n", 1, "invalid"),
    (b"multipart/mixed", b"--b\r\n\r\nx\r\n--b--\r\n", 1, "invalid"),
    (b"multipart/mixed; boundary=\"\"", b"--\r\n\r\nx\r\n----\r\n", 1, "invalid"),
    (b"multipart/mixed; boundary=b; boundary=c", b"--b\r\n\r\nx\r\n--b--\r\n", 2, "invalid"),
    (b"multipart/mixed; boundary=" + b"x" * 201, b"", 1, "invalid"),
    (b"multipart/digest; boundary=b", b"--b\r\n\r\nSubject: x\r\n\r\ny\r\n--b--\r\n", 3, "ok"),
    (b"text/plain; boundary=b", b"--b\r\n\r\nx\r\n--b--\r\n", 1, "ok"),
    (b"nonsense", b"", 1, "invalid"),
    (b"message/rfc822", b"Subject: x\r\n\r\ny", 2, "ok"),
    (b"message/rfc822\r\nContent-Transfer-Encoding: base64", b"Subject: x\r\n\r\ny", 1, "ok"),
    (b"message/rfc822", message(b"message/rfc822", message(b"multipart/x; boundary=b", b"--b\r\n\r\nz\r\n--b--")), 4, "ok"),
])
def test_parts_and_state(content_type, body, parts, state):
    tree = walk(message(content_type, body))
    assert (len(tree.parts), tree.state) == (parts, state)
    sound_tree(message(content_type, body))


def test_outer_boundary_ends_inner_multipart():
    body = b"--o\r\nContent-Type: multipart/x; boundary=i\r\n\r\n--i\r\n\r\nin\r\n--o\r\n\r\nout\r\n--o--\r\n"
    data = message(b"multipart/x; boundary=o", body)
    tree = walk(data)
    assert tree.state == "invalid" and [p.parent for p in tree.parts] == [-1, 0, 1, 0]
    assert text(data, tree.parts[2]) == b"in" and text(data, tree.parts[3]) == b"out"


def nested(levels):
    return b"".join(b"Content-Type: multipart/x; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(levels))


def test_limits_are_fatal_and_leave_a_sound_tree():
    for data, limits in ((nested(50), {"depth": 10}), (message(b"multipart/x; boundary=b", b"--b\r\n" * 50), {"parts": 10}),
                         (MIXED, {"size": 100}), (MIXED, {"header": 10}), (MIXED, {"parts": 0}),
                         (message(b"multipart/x; boundary=b", b"--b\r\nX: " + b"y" * 500), {"header": 100})):
        assert sound_tree(data, **limits).state == "fatal"


@pytest.mark.parametrize("data", [
    nested(100) + b"--\r\n" * 500000,
    nested(100) + b"--b0x\r\n" * 300000,
    message(b"multipart/x; boundary=b", b"--b\r\n" * 400000),
    message(b"message/rfc822", b"Content-Type: message/rfc822\r\n\r\n" * 60000),
    message(b"multipart/x; boundary=b", b"--b\r\n\r\n" + b"\n" * 2000000),
    b"Content-Type: " + b"(" * 900000, b"Content-Type: x/y;" + b"a=\"\\" * 200000,
])
def test_hostile_message_is_read_once(data):
    assert walk(data, parts=1 << 30).parts


def test_truncated_and_mutated_messages():
    for end in range(len(MIXED)):
        part(MIXED[:end])
    for data in mutants([MIXED, nested(5), message(b"multipart/digest; boundary=b", b"--b\r\n\r\nA: b\r\n\r\n--b--\r\n")], 20000):
        part(data)
