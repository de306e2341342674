"""Edits of a message beside its bytes: what they leave of it, how they are kept, what they refuse."""
import random

import pytest

from pymomentum.core.mime.content import parts
from pymomentum.core.mime.overlay import Overlay, decode, render

MESSAGE = b"A: 1\r\nB: 2\r\n\tfold\r\na: 3\r\nC: 4\r\n\r\nbody\r\n"


def edited(*edits, message=MESSAGE):
    overlay = Overlay()
    for edit in edits:
        overlay.edit(*edit)
    return b"".join(render(message, overlay.encode()))


@pytest.mark.parametrize("edits, header", [
    ([("prepend", b"X", b"1"), ("prepend", b"Y", b"2")], b"Y: 2\r\nX: 1\r\nA: 1\r\nB: 2\r\n\tfold\r\na: 3\r\nC: 4\r\n"),
    ([("append", b"X", b"1"), ("append", b"X", b"2")], b"A: 1\r\nB: 2\r\n\tfold\r\na: 3\r\nC: 4\r\nX: 1\r\nX: 2\r\n"),
    ([("replace", b"A", b"new")], b"A: new\r\nB: 2\r\n\tfold\r\nC: 4\r\n"),
    ([("replace", b"X", b"new")], b"A: 1\r\nB: 2\r\n\tfold\r\na: 3\r\nC: 4\r\nX: new\r\n"),
    ([("remove", b"b", b""), ("remove", b"A", b"")], b"C: 4\r\n"),
    ([("remove", b"Nowhere", b"")], b"A: 1\r\nB: 2\r\n\tfold\r\na: 3\r\nC: 4\r\n"),
    # each on what the ones before left
    ([("append", b"X", b"1"), ("remove", b"x", b"")], b"A: 1\r\nB: 2\r\n\tfold\r\na: 3\r\nC: 4\r\n"),
    ([("remove", b"A", b""), ("append", b"A", b"5")], b"B: 2\r\n\tfold\r\nC: 4\r\nA: 5\r\n"),
    ([("remove", b"A", b""), ("replace", b"A", b"5")], b"A: 5\r\nB: 2\r\n\tfold\r\nC: 4\r\n"),
    ([("prepend", b"A", b"0"), ("replace", b"A", b"5"), ("replace", b"A", b"6")], b"A: 6\r\nB: 2\r\n\tfold\r\nC: 4\r\n"),
    ([("replace", b"B", b"one\r\n two")], b"A: 1\r\nB: one\r\n two\r\na: 3\r\nC: 4\r\n"),
    ([("append", b".X", b"")], b"A: 1\r\nB: 2\r\n\tfold\r\na: 3\r\nC: 4\r\n..X: \r\n"),
])
def test_header_edits(edits, header):
    assert edited(*edits) == header + b"\r\nbody\r\n"


@pytest.mark.parametrize("message, edit, result", [
    (b"", ("append", b"X", b"1"), b"X: 1\r\n"),
    (b"\r\nbody\r\n", ("append", b"X", b"1"), b"X: 1\r\n\r\nbody\r\n"),
    (b"A: 1\r\n", ("append", b"X", b"1"), b"A: 1\r\nX: 1\r\n"),
    (b"A: 1\r\n", ("body", b"", b"new"), b"A: 1\r\n\r\nnew\r\n"),
    (b"no field\r\nA: 1\r\n\r\nx", ("remove", b"A", b""), b"no field\r\n\r\nx"),
    (b"A: 1\n\nx\n", ("append", b"X", b"1"), b"A: 1\nX: 1\r\n\r\nx\n"),
    (b"..A: 1\r\nA: 2\r\n\r\n", ("remove", b".A", b""), b"A: 2\r\n\r\n"),
    (MESSAGE, ("body", b"", b""), MESSAGE[:-6]),
    (MESSAGE, ("body", b"", b".\n..x\r.\r\n\r\n.end"), MESSAGE[:-6] + b"..\r\n...x\r\n..\r\n\r\n..end\r\n"),
])
def test_messages_of_all_kinds(message, edit, result):
    assert edited(edit, message=message) == result


@pytest.mark.parametrize("name, value", [
    (b"", b"x"), (b"A B", b"x"), (b"A:", b"x"), (b"A\r\nB", b"x"), (b"\xe4", b"x"), (b"X" * 256, b""),
    (b"A", b"x\r\nB: y"), (b"A", b"x\nB: y"), (b"A", b"x\r"), (b"A", b"x\r\n"), (b"A", b"x\r\n\r\nbody"), (b"A", b"a\0b"), (b"A", b"x\r y")])
def test_what_would_not_stay_a_field_is_refused(name, value):
    for kind in ("prepend", "append", "replace"):
        with pytest.raises(ValueError):
            Overlay().edit(kind, name, value)
    overlay = Overlay().edit("append", b"A", b"1")
    with pytest.raises(ValueError):
        overlay.edit("append", name, value)
    assert decode(overlay.encode()) == [("append", b"A", b"1")]


def test_a_copy_is_edited_alone():
    one = Overlay().edit("append", b"A", b"1")
    two = one.copy().edit("append", b"B", b"2")
    one.edit("remove", b"C")
    assert decode(one.encode()) == [("append", b"A", b"1"), ("remove", b"C", b"")]
    assert decode(two.encode()) == [("append", b"A", b"1"), ("append", b"B", b"2")]


def test_edits_are_bounded():
    overlay = Overlay()
    with pytest.raises(OverflowError):
        overlay.edit("body", b"", b"x" * (1 << 20))
    with pytest.raises(OverflowError):
        overlay.edit("body", b"", b"\n" * 600000)           # twice as long on the wire
    assert overlay.encode() == b""
    with pytest.raises(OverflowError):
        for i in range(1000):
            overlay.edit("append", b"A", b"%d" % i)
    assert len(decode(overlay.encode())) == 200
    assert edited(*decode(overlay.encode())).count(b"\r\nA: ") == 200


def test_edits_of_a_later_version_are_left_out():
    later = bytes([99, 0, 1, 0, 1, 0, 0, 0]) + b"AB"
    known = Overlay().edit("append", b"X", b"1").encode()
    assert decode(later + known) == [(99, b"A", b"B"), ("append", b"X", b"1")]
    assert render(MESSAGE, later + known)[0].endswith(b"C: 4\r\nX: 1\r\n\r\n")


def test_edits_are_those_made_one_after_the_other():
    """Against a model that edits a list of fields."""
    rng = random.Random(1)
    for _ in range(3000):
        fields = [(rng.choice(["A", "B", "C"]), str(i)) for i in range(rng.randint(0, 5))]
        message = "".join(f"{n}: {v}\r\n" for n, v in fields).encode() + b"\r\nx\r\n"
        overlay = Overlay()
        for i in range(rng.randint(1, 8)):
            kind, name, value = rng.choice(["prepend", "append", "replace", "remove"]), rng.choice(["A", "B", "D"]), f"n{i}"
            overlay.edit(kind, name.encode(), value.encode())
            if kind == "prepend":
                fields.insert(0, (name, value))
            elif kind == "append":
                fields.append((name, value))
            else:
                fields = [f for f in fields if f[0] != name] + ([(name, value)] if kind == "replace" else [])
        got = render(message, overlay.encode())[0].decode().split("\r\n")[:-2]
        # a replacement keeps the place of the original's field, which the model does not follow
        assert sorted(got) == sorted(f"{n}: {v}" for n, v in fields)
        added = [line for line in got if ": n" in line]
        assert [v for n, v in fields if n == "D" and v.startswith("n")] == [line[3:] for line in added if line.startswith("D")]


# ---- parts of a message in hand

MULTI = (b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\none\r\n"
         b"--x\r\nContent-Type: text/html\r\n\r\ntwo\r\n--x--\r\n")


def test_parts_are_those_of_the_edited_message():
    assert [p[0] for p in parts(MULTI)] == [b"multipart/mixed", b"text/plain", b"text/html"]
    one = Overlay().edit("replace", b"Content-Type", b"text/plain").encode()
    assert [p[0] for p in parts(MULTI, one)] == [b"text/plain"]
    other = Overlay().edit("body", b"", MULTI.replace(b"one", b"uno").partition(b"\r\n\r\n")[2]).edit("prepend", b"X", b"1").encode()
    assert parts(MULTI, other)[1] == (b"text/plain", b"Content-Type: text/plain\r\n\r\n", b"uno")
    assert parts(MULTI, other)[0][1].startswith(b"X: 1\r\n")


@pytest.mark.parametrize("limits", [{"size": 20}, {"header": 10}, {"parts": 2}, {"depth": 0}])
@pytest.mark.parametrize("overlay", [b"", Overlay().edit("append", b"X", b"1").encode()], ids=["plain", "edited"])
def test_parts_are_bounded(limits, overlay):
    with pytest.raises(OverflowError):
        parts(MULTI, overlay, **limits)


def test_parts_of_what_is_not_in_memory():
    with pytest.raises(LookupError):
        parts(None)
