"""Frames of the console: a length (u32, network order) and that many bytes of JSON.

Request:  {"command": text, "json": bool, "xml": bool, "session": text, "transaction": bool}
Response: {"text": text, "data": any, "status": 0 or 1, "last": bool, "transaction": bool}, one or more;
long texts come in pieces, data and status count in the last.  Bytes that are
no UTF-8 travel as lone surrogates.

`session` is a name that a client makes up: what it has begun goes on over another connection.
`transaction` is whether one has begun, as far as the client knows; the last response tells how it is then.
"""
import json
import struct
import time

from pymomentum.errors import ConsoleError

HEAD = struct.Struct("!I")
MAX_REQUEST = 64 * 1024
MAX_RESPONSE = 256 * 1024 * 1024
PIECE = 64 * 1024       # characters of text in one response


class FramingError(ConsoleError):
    """The other side does not speak this."""


def pack(value):
    """Write one frame."""
    data = json.dumps(value).encode()
    return HEAD.pack(len(data)) + data


def send(sock, value):
    """Send one frame; the socket's timeout is for all of it."""
    sock.sendall(pack(value))


def answer(text, data, status, **more):
    """Write a response that fits into one frame."""
    return pack({"text": text, "data": data, "status": status, "last": True, **more})


def send_answer(sock, text, data, status, **more):
    """Send a response in as many frames as it takes; what else is said stands in the last."""
    while len(text) > PIECE:
        send(sock, {"text": text[:PIECE], "data": None, "status": 0, "last": False})
        text = text[PIECE:]
    sock.sendall(answer(text, data, status, **more))


def receive(sock, limit, timeout=None):
    """Read one frame within timeout seconds; answers its dictionary, or None where the other side has closed."""
    deadline = time.monotonic() + timeout if timeout else None
    head = read(sock, HEAD.size, deadline)
    if not head:
        return None
    [length] = HEAD.unpack(head)
    if length > limit:
        raise FramingError(f"a frame of {length} bytes; at most {limit} are taken")
    return parse(read(sock, length, deadline))


def parse(data):
    """Read what is in a frame; raises FramingError where it is not a dictionary."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise FramingError("a frame that is not JSON") from None
    if not isinstance(value, dict):
        raise FramingError("a frame that is not a JSON object")
    return value


def read(sock, length, deadline):
    """Read exactly so many bytes; answers b"" where the other side closed before the first."""
    pieces, missing = [], length
    while missing:
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            sock.settimeout(left)
        piece = sock.recv(min(missing, 1 << 20))
        if not piece:
            if missing == length:
                return b""
            raise FramingError("the connection closed inside a frame")
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)
