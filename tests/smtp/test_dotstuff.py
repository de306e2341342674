import random
import re

import pytest

from pymomentum.core.smtp.dotstuff import decode, encode, scan
from tests.harness.mutate import mutants, splits

MESSAGES = [    # stream, message, flags, longest line
    (b".\r\n", b"", set(), 0),
    (b"a\r\n.\r\n", b"a\r\n", set(), 1),
    (b"Subject: x\r\n\r\nbody\r\n.\r\n", b"Subject: x\r\n\r\nbody\r\n", set(), 10),
    (b"..\r\n.\r\n", b"..\r\n", {"stuffed"}, 2),
    (b"a\r\n..b\r\n.c\r\n.\r\n", b"a\r\n..b\r\n.c\r\n", {"stuffed"}, 3),
    (b"a\n.\r\n.\r\n", b"a\n.\r\n", {"lone_lf"}, 1),
    (b"a\n.\n\r\n.\r\n", b"a\n.\n\r\n", {"lone_lf"}, 1),
    (b"a\r.\r\n.\r\n", b"a\r.\r\n", {"lone_cr"}, 3),
    (b"a\r\r\n.\r\n", b"a\r\r\n", {"lone_cr"}, 2),
    (b"a\r\n.\r\r\n.\r\n", b"a\r\n.\r\r\n", {"lone_cr", "stuffed"}, 2),
    (b"a\r\n.\n.\r\n\r\n.\r\n", b"a\r\n.\n.\r\n\r\n", {"lone_lf", "stuffed"}, 1),
    (b"a\r\n.\r.\r\n.\r\n", b"a\r\n.\r.\r\n", {"lone_cr", "stuffed"}, 3),
    (b"\0\r\n\xc3\xa9\r\n.\r\n", b"\0\r\n\xc3\xa9\r\n", {"nul", "8bit"}, 2),
    (b"x" * 100 + b"\xff" + b"\r\n.\r\n", b"x" * 100 + b"\xff\r\n", {"8bit"}, 101),
    (b"\r\n\r\n.\r\n", b"\r\n\r\n", set(), 0),
    (b"\n\n\r\n.\r\n", b"\n\n\r\n", {"lone_lf"}, 0),
]
NEXT = b"RSET\r\n.\r\n\0\xff\r"
SAMPLES = [stream for stream, _, _, _ in MESSAGES]


@pytest.mark.parametrize("stream, message, flags, longest", MESSAGES)
def test_end_of_data_is_found_at_every_split(stream, message, flags, longest):
    want = (message, len(stream), True, flags, longest, len(message), len(message) - len(decode([message])))
    whole = stream + NEXT
    for two in splits(whole):
        assert scan(two) == want
    assert scan([whole[i:i + 1] for i in range(len(whole))]) == want
    for one in range(len(stream)):
        for two in range(one, len(stream)):
            assert scan([whole[:one], whole[one:two], whole[two:]]) == want


@pytest.mark.parametrize("stream", SAMPLES)
def test_truncated_data_has_no_end(stream):
    for end in range(len(stream)):
        result = scan([stream[:end]])
        assert not result.ended and result.used == end and stream.startswith(result.body)


def test_only_crlf_dot_crlf_ends_data():
    ends = [b"", b"\r", b"\n", b"\r\n", b"\r\r\n", b"\n\r", b"\0\n", b"\r\0\n", b"\r\n\0", b"\x85", b"\xe2\x80\xa8", b" \r\n", b"\r\n "]
    for before in ends:
        for after in ends:
            data = b"x" + before + b"." + after + b"y"
            expected = before.endswith(b"\r\n") and after.startswith(b"\r\n")
            for two in splits(data):
                assert scan(two).ended == expected, data


def model_scan(data):
    end = 0 if data.startswith(b".\r\n") else data.find(b"\r\n.\r\n") + 2
    if end == 1:
        return None
    body = data[:end]
    flags = {name for name, pattern in (("lone_cr", rb"\r(?!\n)"), ("lone_lf", rb"(?<!\r)\n"), ("nul", rb"\0"),
                                        ("8bit", rb"[\x80-\xff]"), ("stuffed", rb"(?s)(?:\A|\r\n)\.")) if re.search(pattern, body)}
    longest = max(len(line) for line in re.split(rb"\r?\n", body))
    return body, end + 3, True, flags, longest, len(body), len(body) - len(model_decode(body))


def model_decode(wire):
    return re.sub(rb"(\A|\r\n)\.", rb"\1", wire)


def model_encode(content):
    content = re.sub(rb"\r\n|\r|\n", b"\r\n", content)
    if content and not content.endswith(b"\r\n"):
        content += b"\r\n"
    return re.sub(rb"(\A|\r\n)\.", rb"\1..", content)


def pieces(rng, data):
    cuts = sorted(rng.randint(0, len(data)) for _ in range(rng.randint(0, 6)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)])]


def test_scanner_agrees_with_its_model():
    rng = random.Random(2)
    inputs = list(mutants(SAMPLES, 10000)) + ["".join(rng.choices("\r\n.a", k=14)).encode() for _ in range(20000)]
    for data in inputs:
        result = scan(pieces(rng, data))
        want = model_scan(data)
        if want is None:
            assert not result.ended
        else:
            assert result == want, data


def test_decoder_and_encoder_agree_with_their_models():
    rng = random.Random(3)
    inputs = list(mutants(SAMPLES, 10000)) + ["".join(rng.choices("\r\n.a", k=14)).encode() for _ in range(20000)]
    for data in inputs:
        assert decode(pieces(rng, data)) == model_decode(data)
        assert encode(pieces(rng, data), wire=False, cap=rng.choice((4, 5, 9, 64))) == model_encode(data), data
        assert encode(pieces(rng, data), wire=True, cap=rng.choice((4, 5, 9, 64))) == model_encode(model_decode(data)), data


@pytest.mark.parametrize("wire, sent", [
    (b"", b""),
    (b"a\r\n..b\r\n", b"a\r\n..b\r\n"),
    (b"a\n.\r\nMAIL FROM:<x>\r\n", b"a\r\n..\r\nMAIL FROM:<x>\r\n"),
    (b"a\r\n.\rMAIL FROM:<x>\r\n", b"a\r\n\r\nMAIL FROM:<x>\r\n"),
    (b"a\r.\r", b"a\r\n..\r\n"),
    (b"no line end", b"no line end\r\n"),
])
def test_sent_form_holds_no_lone_line_end_and_no_second_end(wire, sent):
    for two in splits(wire):
        assert encode(two) == sent


def test_what_is_sent_is_never_ended_early():
    rng = random.Random(4)
    for data in mutants(SAMPLES, 10000):
        sent = encode(pieces(rng, data), cap=16) + b".\r\n"
        result = scan([sent])
        assert result.ended and result.used == len(sent) and not result.flags & {"lone_cr", "lone_lf"}
