import pytest

from pymomentum.core.smtp.command import parse_command
from tests.fuzz.targets import command
from tests.harness.mutate import mutants

LINES = [
    (b"EHLO mx.example.com", ("EHLO", b"EHLO", b"mx.example.com", False)),
    (b"ehlo  mx ", ("EHLO", b"ehlo", b"mx", True)),
    (b"HELO a", ("HELO", b"HELO", b"a", False)),
    (b"LHLO a", ("LHLO", b"LHLO", b"a", False)),
    (b"MAIL FROM:<a@b> SIZE=1", ("MAIL", b"MAIL", b"FROM:<a@b> SIZE=1", False)),
    (b"rcpt\tTO:<a@b>", ("RCPT", b"rcpt", b"TO:<a@b>", False)),
    (b"DATA", ("DATA", b"DATA", b"", False)),
    (b"DATA\t", ("DATA", b"DATA", b"", True)),
    (b"BDAT 10 LAST", ("BDAT", b"BDAT", b"10 LAST", False)),
    (b"STARTTLS", ("STARTTLS", b"STARTTLS", b"", False)),
    (b"XDUMPCONTEXT", ("XDUMPCONTEXT", b"XDUMPCONTEXT", b"", False)),
    (b"xsetcontext a=b", ("XSETCONTEXT", b"xsetcontext", b"a=b", False)),
    (b"DATAX", ("UNKNOWN", b"DATAX", b"", False)),
    (b"MAI L", ("UNKNOWN", b"MAI", b"L", False)),
    (b"\xff\xfe", ("UNKNOWN", b"\xff\xfe", b"", False)),
]
SAMPLES = [line for line, _ in LINES]


@pytest.mark.parametrize("line, parsed", LINES)
def test_line_is_cut_into_verb_and_arguments(line, parsed):
    assert parse_command(line) == parsed


@pytest.mark.parametrize("line", [b"", b" ", b" EHLO a", b"\tEHLO", b"QUIT\0", b"QUIT\rNOOP", b"NOOP\nQUIT", b"NOOP \x7f"])
def test_line_with_control_characters_or_without_verb_is_refused(line):
    with pytest.raises(ValueError):
        parse_command(line)


def test_truncated_line_parses_or_is_refused():
    for line in SAMPLES:
        for end in range(1, len(line) + 1):
            assert line[:end].startswith(parse_command(line[:end]).name)


def test_mutated_line_never_loses_bytes():
    for line in mutants(SAMPLES, 20000):
        command(line)
