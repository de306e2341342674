"""Lines that are too long, broken."""
import pytest

from pymomentum.core.smtp.linebreak import break_lines
from tests.fuzz.targets import linebreak
from tests.harness.mutate import mutants, splits

BODIES = [      # body, limit, with its lines broken
    (b"", 5, b""),
    (b"abcde\r\n", 5, b"abcde\r\n"),
    (b"abcdef\r\n", 5, b"abcde\r\nf\r\n"),
    (b"abcdefghijk", 5, b"abcde\r\nfghij\r\nk"),
    (b"..bcde\r\n", 5, b"..bcde\r\n"),                            # a stuffed dot does not count
    (b"abcde.fg\r\n", 5, b"abcde\r\n..fg\r\n"),
    (b"abcde\n.fghij\r\n", 5, b"abcde\n.fghi\r\nj\r\n"),          # behind a lone LF no dot is stuffed
    (b"abcde\r", 5, b"abcde\r\n\r"),
    (b"abcd\refg\r\n", 5, b"abcd\r\r\nefg\r\n"),
    ("abc\u20ac\r\n".encode(), 5, "abc\r\n\u20ac\r\n".encode()),
    ("ab\u20acd\r\n".encode(), 5, "ab\u20ac\r\nd\r\n".encode()),
    ("\U0001f600\r\n".encode(), 2, b"\xf0\x9f\r\n\x98\x80\r\n"),    # nowhere to go
]


@pytest.mark.parametrize("body, most, broken", BODIES)
def test_lines_are_broken(body, most, broken):
    assert break_lines([body], most) == (broken, b"\r\n.." in broken and b"\r\n.." not in body)
    for chunks in splits(body):
        assert break_lines(chunks, most, 8)[0] == broken


def test_mutations_keep_every_promise():
    samples = [bytes([0, most]) + body for body, most, _ in BODIES]
    for data in mutants(samples, 3000):
        linebreak(data)
