"""PROXY headers, versions 1 and 2."""
import socket
import struct

import pytest

from pymomentum.core.net.proxy import Header, parse_header

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def binary(command=0x21, family=0x11, body=b""):
    return SIGNATURE + struct.pack(">BBH", command, family, len(body)) + body


V4 = socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.25") + struct.pack(">HH", 40000, 25)
V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::1") + socket.inet_pton(socket.AF_INET6, "2001:db8::25") + struct.pack(">HH", 40000, 25)

GOOD = [
    (b"PROXY TCP4 192.0.2.1 192.0.2.25 40000 25\r\n", "192.0.2.1:40000", "192.0.2.25:25"),
    (b"PROXY TCP6 2001:db8::1 2001:db8::25 40000 25\r\n", "[2001:db8::1]:40000", "[2001:db8::25]:25"),
    (b"PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", "0.0.0.0:0", "255.255.255.255:65535"),
    (b"PROXY UNKNOWN\r\n", None, None),
    (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", None, None),
    (binary(body=V4), "192.0.2.1:40000", "192.0.2.25:25"),
    (binary(body=V4 + b"\x04\0\x03abc"), "192.0.2.1:40000", "192.0.2.25:25"),
    (binary(family=0x21, body=V6), "[2001:db8::1]:40000", "[2001:db8::25]:25"),
    (binary(command=0x20, family=0), None, None),
    (binary(command=0x20, body=b"x"), None, None),
    (binary(family=0x31, body=bytes(216)), None, None),
    (binary(family=0x12, body=V4), None, None),
    (binary(family=0, body=b"anything"), None, None),
]
BAD = [
    b"EHLO x\r\n", b"\r\n\r\nEHLO", b"PROXY\r\n", b"PROXY  TCP4", b"PROXY TCP4 192.0.2.1 192.0.2.25 40000 25\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.25 40000\r\n", b"PROXY TCP4 192.0.2.1 192.0.2.25 40000 25 \r\n",
    b"PROXY TCP4 192.0.2.1  192.0.2.25 40000 25\r\n", b"PROXY TCP4 192.0.2.1 192.0.2.25 65536 25\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.25 040 25\r\n", b"PROXY TCP4 192.0.2.1 192.0.2.25 -1 25\r\n",
    b"PROXY TCP4 2001:db8::1 2001:db8::25 40000 25\r\n", b"PROXY TCP6 192.0.2.1 192.0.2.25 40000 25\r\n",
    b"PROXY TCP6 [2001:db8::1] 2001:db8::25 40000 25\r\n", b"PROXY TCP4 192.0.2.256 192.0.2.25 40000 25\r\n",
    b"PROXY TCP4 a b 1 2\r\n", b"PROXY tcp4 192.0.2.1 192.0.2.25 40000 25\r\n", b"PROXY UNKNOWN" + b" " * 94,
    binary(command=0x11, body=V4), binary(command=0x22, body=V4), binary(family=0x41, body=V4), binary(family=0x13, body=V4),
    binary(body=V4[:11]), binary(family=0x21, body=V6[:35]), binary(body=V4 + bytes(2048)),
]


@pytest.mark.parametrize("data, source, destination", GOOD)
def test_header_at_every_split_point(data, source, destination):
    for at in range(len(data)):
        assert parse_header(data[:at]) is None
    for rest in b"", b"EHLO x\r\n":
        assert parse_header(data + rest) == Header(len(data), source, destination)


@pytest.mark.parametrize("data", BAD)
def test_what_is_none(data):
    with pytest.raises(ValueError):
        parse_header(data + b"EHLO x\r\n" * 20)


def test_a_header_that_cannot_be_one_is_not_waited_for():
    for data in b"Q", b"PROXYX", b"\r\n\r\n\r", b"PROXY " + b"x" * 101:
        with pytest.raises(ValueError):
            parse_header(data)
