import pytest

from pymomentum.core.mime.header import body_offset, fields, find
from tests.fuzz.targets import header
from tests.harness.mutate import mutants

BLOCK = (b"Received: from a\r\n\tby b;\r\n  today\r\nSubject:x\r\nX-Empty:\r\nTo : a@b\n"
         b"no field here\r\n folded\r\nsubject: two\r\n\r\nbody: not a field\r\n")


def test_fields_are_walked_in_order():
    found, body = fields(BLOCK)
    assert BLOCK[body:] == b"body: not a field\r\n" and body_offset(BLOCK) == body
    assert [f if isinstance(f, int) else (f.name, f.unfolded) for f in found] == [
        (b"Received", b" from a\tby b;  today"), (b"Subject", b"x"), (b"X-Empty", b""), (b"To", b" a@b"),
        BLOCK.index(b"no field"), (b"subject", b" two")]
    for f in found:
        if not isinstance(f, int):
            assert BLOCK[f.start:f.end].startswith(f.name) and BLOCK[f.start:f.end].rstrip(b"\r\n").endswith(f.value)


def test_first_field_of_a_name_is_found_without_case():
    assert find(BLOCK, b"SUBJECT").value == b"x"
    assert find(BLOCK, b"body") is None
    assert find(b"a: 1", b"a").value == b" 1"


@pytest.mark.parametrize("line", [b"From a@b Mon 10:00\r\n", b": x\r\n", b"a b: c\r\n", b"a\r\n: c\r\n", b"\xc3\xa9: x\r\n", b" x\r\n", b"a\0:\r\n"])
def test_line_that_is_no_field_is_reported_and_passed(line):
    found, _ = fields(b"A: 1\r\n" + line if line[:1] != b" " else line + b"A: 1\r\n")
    assert any(isinstance(f, int) for f in found) and any(not isinstance(f, int) and f.name == b"A" for f in found)


def test_header_without_body():
    assert fields(b"") == ([], 0) and body_offset(b"") == 0
    assert body_offset(b"a: b") == 4 and body_offset(b"\r\nx") == 2 and body_offset(b"\nx") == 1


def test_limit_bounds_the_header():
    end = body_offset(BLOCK)
    assert len(fields(BLOCK, end)[0]) == 6 and body_offset(BLOCK, end) == end
    for limit in range(end):
        with pytest.raises(ValueError):
            fields(BLOCK, limit)
        with pytest.raises(ValueError):
            body_offset(BLOCK, limit)


def test_truncated_and_mutated_blocks():
    for end in range(len(BLOCK)):
        header(BLOCK[:end])
    for block in mutants([BLOCK, b"a: b\r\n c\n\n"], 20000):
        header(block)
