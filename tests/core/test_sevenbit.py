"""Content for a peer of 7 bits: what is encoded how, what is left alone, what cannot be done."""
import email
import email.policy

import pytest

from pymomentum.core.mime.sevenbit import convert, strip
from pymomentum.core.smtp.downconvert import downconvert
from tests.fuzz.targets import sevenbit
from tests.harness.mutate import mutants

TEXT = "grün = süß, Über  \r\n.dot\r\n\tlast".encode()
MIXED = (b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\npreamble\r\n"
         b"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\nX: y\r\n\r\n" + TEXT + b"\r\n"
         b"--b\r\nContent-Type: application/x; name=y\r\n\r\n\xff\xfe abc\r\n\r\n"
         b"--b\r\nContent-Type: text/plain\r\n\r\nplain = as it was\r\n"
         b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\n\xe4\r\n--b--\r\nepilogue\r\n")


def leaves(message):
    return [(p.get_content_type(), p.get_payload(decode=True)) for p in email.message_from_bytes(message).walk() if not p.is_multipart()]


@pytest.mark.parametrize("chunks", [[MIXED], [MIXED[i:i + 1] for i in range(len(MIXED))], [MIXED[:100], MIXED[100:300], MIXED[300:]]])
def test_parts_are_encoded_by_their_type(chunks):
    made, whole = convert(chunks)
    assert whole and made.isascii()
    assert leaves(made) == [("text/plain", TEXT), ("application/x", b"\xff\xfe abc\r\n"), ("text/plain", b"plain = as it was"),
                            ("text/plain", b"\xe4")]
    coded = [p["Content-Transfer-Encoding"] for p in email.message_from_bytes(made).walk()]
    assert coded == ["7bit", "quoted-printable", "base64", None, None, "quoted-printable"]
    assert b"X: y\r\n" in made and b"\r\npreamble\r\n--b\r\n" in made and made.endswith(b"--b--\r\nepilogue\r\n")
    assert b"plain = as it was" in made


def test_mail_that_states_nothing_is_described():
    made, whole = convert([b"Subject: x\r\n\r\n\xe4\r\n"])           # RFC 1428
    assert whole and made == (b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n"
                              b"Content-Transfer-Encoding: quoted-printable\r\n\r\n=E4\r\n")


def test_what_is_7bit_stays_as_it_is():
    for message in (b"Subject: x\r\n\r\ny = z \r\n", b"\r\n", b"", b"no header", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n--b--"):
        assert convert([message]) == (message, True)


@pytest.mark.parametrize("message", [
    b"Subject: \xe4\r\n\r\nx\r\n",
    b"Subject: \xe4",
    b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n\xe4\r\n",
    b"Content-Type: message/partial; id=a; number=1\r\n\r\n\xe4\r\n",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n\xe4\r\n--b\r\n\r\nx\r\n--b--\r\n",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n\xe4",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Description: \xe4\r\n--b--\r\n",
], ids=["field", "header only", "coded already", "partial", "preamble", "epilogue", "field of a part"])
def test_what_cannot_be_encoded_is_left_and_told(message):
    assert convert([message]) == (message, False)


@pytest.mark.parametrize("limits", [{"parts": 2}, {"depth": 0}, {"header": 40}])
def test_behind_a_limit_nothing_is_encoded(limits):
    message = (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\n\r\n\xe4\r\n--b--\r\n")
    made, whole = convert([message], **limits)
    assert (made, whole) == (message, False) and convert([message])[1]


def test_lines_of_any_length():
    text = b"\xe4" * 5000 + b" " * 3000 + b"\r\n" + b"--" + b"x" * 5000
    made, whole = convert([b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n" + text + b"\r\n--b--\r\n"])
    assert whole and max(map(len, made.split(b"\r\n"))) <= 76 and leaves(made)[0][1] == text


@pytest.mark.parametrize("before", range(60, 80))
def test_no_soft_line_end_makes_a_boundary(before):
    text = b"x" * before + b"--b\r\n\xe4--b"
    made, _ = convert([b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n" + text + b"\r\n--b--\r\n"])
    assert leaves(made) == [("text/plain", text)] and made.count(b"\r\n--b") == 2


def test_stripped_bits_make_no_control_characters():
    assert strip(b"\xc4\x8d\xc4\x8aX-Evil: 1\xae\xff\xe4\r\n") == b"D?D?X-Evil: 1.?d\r\n"


@pytest.mark.parametrize("strips", [True, False])
def test_nothing_on_the_wire_ends_the_body_early(strips):
    body = b"Subject: x\r\n\r\n\xae\r\n\x8d\x8a.\x8d\x8a\n.\n\r\xae\r..\r\n..\r\n"
    made, whole = downconvert([body], strips)
    assert made.isascii() and b"\r\n.\r\n" not in made and made.endswith(b"\r\n") and whole
    assert b"\n" not in made.replace(b"\r\n", b"") and b"\r" not in made.replace(b"\r\n", b"")


def test_mutants_keep_the_promises():
    for data in mutants([MIXED], 3000):
        sevenbit(data)
