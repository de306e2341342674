"""Bodies with 8-bit data for a peer without 8BITMIME: in memory, from files, edited, pipelined, over TLS."""
import email

import pytest

from tests.delivery.test_transactions import queue_up

SEVEN = ("PIPELINING", "SIZE 100000000")
LARGE = b"".join(b"line %d \xe4\xf6\xfc =\r\n.dot\r\n" % i for i in range(20000))


def multipart(text):
    return (b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
            b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + text
            + b"\r\n--b\r\nContent-Type: application/x\r\n\r\n\xff\xfe\r\n--b--\r\n")


def leaves(message):
    return [p.get_payload(decode=True) for p in email.message_from_bytes(message).walk() if not p.is_multipart()]


@pytest.mark.variants
@pytest.mark.parametrize("tls", [False, True])
def test_bodies_of_any_size(mta, tls):
    mta.config("max_outbound_connections = 1" + ("\ntls = required" if tls else ""))
    sink = mta.route(extensions=SEVEN, tls=tls)
    texts = [b"a\xe4", LARGE, b"\xe4 \r\n.\xe4", b"plain", LARGE[:LARGE.index(b"line 2000 ")]]
    for text in texts:
        mta.send(data=multipart(text))
    sink.wait(messages=len(texts))
    assert sorted(leaves(m.data)[0] for m in sink.messages) == sorted(texts)
    assert all(leaves(m.data)[1] == b"\xff\xfe" and m.data.isascii() for m in sink.messages)
    assert not any(c.violations for c in sink.connections)


def test_large_bodies_with_lone_line_ends(mta):
    mta.config("rfc2822_lone_lf_in_body = ignore\nlarge_message_threshold = 3000")
    sink = mta.route(extensions=SEVEN)
    mta.send(data=b"Subject: x\r\n\r\n" + b"\xe4\n.\n" * 3000 + b"\r\n")
    sink.wait(messages=1)
    assert leaves(sink.messages[0].data) == [b"\xe4\r\n.\r\n" * 3000 + b"\r\n"]


@pytest.mark.parametrize("size", [10, 200000])
def test_strict_fails_what_cannot_be_encoded(mta, size):
    sink = mta.route(extensions=SEVEN)
    config = "transform_8bitmime_content = strict\nmax_outbound_connections = 1\n"
    queue_up(mta, config, [{"data": b"Subject: \xe4\r\n\r\n" + b"x" * size + b"\r\n"}, {"data": b"Subject: x\r\n\r\n\xe4\r\n"}])
    [p] = mta.wait_log("P")
    assert (p.stage, p.text.split("]")[0]) == (8, "554 5.6.3 [internal")
    sink.wait(messages=1)                       # the other is not held back
    assert leaves(sink.messages[0].data) == [b"\xe4\r\n"] and len(sink.messages) == 1
    assert not mta.mainlog("T")


def test_what_cannot_be_encoded_goes_out_as_it_is_else(mta):
    sink = mta.route(extensions=SEVEN)
    mta.send(data=b"Subject: \xe4\r\n\r\n\xe4\r\n")
    sink.wait(messages=1)
    assert b"Subject: \xe4\r\n" in sink.messages[0].data and b"=E4" in sink.messages[0].data


def test_stripped_bits_end_no_body_and_add_no_field(mta):
    mta.config("transform_8bitmime_content = strip")
    sink = mta.route(extensions=SEVEN)
    mta.send(data=b"Subject: \xc4\x8d\xc4\x8aX-Evil: 1\r\n\r\n\x8d\x8a\xae\x8d\x8aMAIL FROM:<evil@test>\r\n\xae\r\n")
    sink.wait(messages=1)
    [m] = sink.messages
    assert m.data.isascii() and b"\r\nX-Evil" not in m.data and m.data.endswith(b"\r\n.\r\n") and len(sink.seen("MAIL")) == 1
