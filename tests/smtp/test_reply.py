import pytest

from pymomentum.core.smtp.extension import parse_extension
from pymomentum.core.smtp.reply import parse_reply
from tests.fuzz.targets import extension, reply
from tests.harness.mutate import mutants

LINES = [
    (b"250 2.0.0 OK queued", (250, False, b"2.0.0", b"OK queued")),
    (b"250", (250, False, b"", b"")),
    (b"250 ", (250, False, b"", b"")),
    (b"250-", (250, True, b"", b"")),
    (b"250-PIPELINING", (250, True, b"", b"PIPELINING")),
    (b"250\tOK", (250, False, b"", b"OK")),
    (b"452-4.2.2\tfull ", (452, True, b"4.2.2", b"full")),
    (b"550 5.123.999 x", (550, False, b"5.123.999", b"x")),
    (b"550 5.7.1", (550, False, b"5.7.1", b"")),
    (b"550 5.7.1234 x", (550, False, b"", b"5.7.1234 x")),
    (b"550 5.7.1.2 x", (550, False, b"", b"5.7.1.2 x")),
    (b"550 4.7.1 other class", (550, False, b"", b"4.7.1 other class")),
    (b"354 3.0.0 go", (354, False, b"", b"3.0.0 go")),
    (b"421  two  spaces", (421, False, b"", b"two  spaces")),
]
EXTENSIONS = [
    (b"PIPELINING", {"PIPELINING"}, 0),
    (b"SIZE 10240000", {"SIZE"}, 10240000),
    (b"SIZE", {"SIZE"}, 0),
    (b"size abc", {"SIZE"}, 0),
    (b"8bitmime ", {"8BITMIME"}, 0),
    (b"AUTH PLAIN\tLOGIN CRAM-MD5", {"AUTH", "AUTH PLAIN", "AUTH LOGIN"}, 0),
    (b"AUTH=LOGIN xoauth2", {"AUTH", "AUTH LOGIN", "AUTH XOAUTH2"}, 0),
    (b"XCLIENT addr PROTO Login", {"XCLIENT", "XCLIENT ADDR", "XCLIENT PROTO"}, 0),
    (b"AUTH=", {"AUTH"}, 0),
    (b"AUTHX", set(), 0),
    (b"XFORWARD NAME", set(), 0),
]


@pytest.mark.parametrize("line, parsed", LINES)
def test_reply_line_is_parsed(line, parsed):
    assert parse_reply(line) == parsed


@pytest.mark.parametrize("line", [b"", b"2", b"25", b"abc", b"150 x", b"650 x", b"2x0", b"25x", b"250OK", b"2500", b" 250 x"])
def test_what_is_no_reply_is_refused(line):
    with pytest.raises(ValueError):
        parse_reply(line)


@pytest.mark.parametrize("text, names, size", EXTENSIONS)
def test_extension_becomes_bits(text, names, size):
    assert parse_extension(text) == (names, size)


@pytest.mark.parametrize("text", [b"", b" ", b"\t "])
def test_blank_extension_is_refused(text):
    with pytest.raises(ValueError):
        parse_extension(text)


def test_truncated_reply_parses_or_is_refused():
    for line, parsed in LINES:
        for end in range(3, len(line) + 1):
            assert parse_reply(line[:end]).code == parsed[0]
        for end in range(3):
            with pytest.raises(ValueError):
                parse_reply(line[:end])


def test_mutated_lines_answer_parts_of_themselves():
    for line in mutants([line for line, _ in LINES], 20000):
        reply(line)
    for text in mutants([text for text, _, _ in EXTENSIONS], 20000):
        extension(text)
