"""What the fuzzer drives: per target a function that takes bytes, and its first samples.

A target raises AssertionError where a promise is broken.  It answers the shape of the
result: an input with a new shape is worth mutating further.
"""
import base64
import quopri
import random
import re
import shutil
import socket
import struct
import tempfile
import zlib
from pathlib import Path

from pymomentum.config import Loaded, Publication, changed, grammar
from pymomentum.config.merged import as_data, merge, show_lines
from pymomentum.config.scopes import Reader
from pymomentum.console.registry import Registry
from pymomentum.core.base.crc import checksum
from pymomentum.core.dns.wire import parse_answer
from pymomentum.core.mime.address import parse_addresses
from pymomentum.core.mime.header import body_offset, fields
from pymomentum.core.mime.overlay import Overlay
from pymomentum.core.mime.overlay import decode as decode_edits
from pymomentum.core.mime.overlay import render
from pymomentum.core.mime.part import walk
from pymomentum.core.mime.sevenbit import convert
from pymomentum.core.net.proxy import parse_header
from pymomentum.core.smtp.command import parse_command
from pymomentum.core.smtp.dotstuff import decode, encode, scan
from pymomentum.core.smtp.downconvert import downconvert
from pymomentum.core.smtp.extension import parse_extension
from pymomentum.core.smtp.linebreak import break_lines
from pymomentum.core.smtp.path import PathError, parse_address, parse_mail, parse_rcpt
from pymomentum.core.smtp.reply import parse_reply
from pymomentum.core.spool.inspect import describe, survey
from pymomentum.options.types import Routes

MODES = (("pedantic", "literal"), ("space", "literal", "unqualified", "utf8"), ())


def bucket(number):
    return number.bit_length()


def pieces(data):
    """The data in a few chunks, cut at places that depend on it."""
    rng = random.Random(zlib.crc32(data))
    cuts = sorted(rng.randint(0, len(data)) for _ in range(rng.randint(0, 6)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)])]


def command(data):
    try:
        c = parse_command(data)
    except ValueError:
        return None
    assert data.startswith(c.name) and data[len(c.name):].strip(b" \t") == c.args
    assert not set(data) & set(b"\0\r\n")
    return c.verb, c.trailing, bool(c.args)


def reply(data):
    try:
        r = parse_reply(data)
    except ValueError:
        return None
    assert 200 <= r.code <= 599 and r.enhanced in data and data.rstrip(b" \t").endswith(r.text)
    assert not r.enhanced or re.fullmatch(rb"[245](\.\d{1,3}){2}", r.enhanced)
    return r.code // 100, r.more, len(r.enhanced), bool(r.text)


def extension(data):
    try:
        names, size = parse_extension(data)
    except ValueError:
        return None
    assert size == 0 or "SIZE" in names
    return frozenset(names), bucket(size)


def path(data):
    shape = []
    for flags in MODES:
        for parse in parse_mail, parse_rcpt, parse_address:
            try:
                answer = parse(data, flags)
            except PathError as failure:
                assert failure.parameter in data
                shape.append((failure.reason, failure.parameter[:6]))
                continue
            p, params = answer if isinstance(answer[0], tuple) else (answer, ())
            assert p.whole in data and len(p.local) <= 64 and len(p.domain) <= 255
            assert p.whole == p.local + (b"@" + p.domain if p.domain else b"")
            assert not set(p.whole) & set(b"\0\r\n")
            if p.eightbit:
                p.whole.decode()
            shape.append((*p[3:], bool(p.domain), *map(bool, params)))
    return tuple(shape)


def dotstuff(data):
    result = scan(pieces(data))
    end = 0 if data.startswith(b".\r\n") else data.find(b"\r\n.\r\n") + 2
    assert result.ended == (end != 1) and (not result.ended or (result.body, result.used) == (data[:end], end + 3))
    assert result.size == len(result.body) and result.stuffed == result.size - len(decode([result.body]))
    assert decode(pieces(data)) == re.sub(rb"(\A|\r\n)\.", rb"\1", data)
    for wire in True, False:
        sent = encode(pieces(data), wire, 4 + len(data) % 60)
        again = scan(pieces(sent + b".\r\n"))
        assert again.ended and again.used == len(sent) + 3 and not again.flags & {"lone_cr", "lone_lf"}
        assert encode([sent]) == sent
    return result.ended, frozenset(result.flags), bucket(result.longest)


def linebreak(data):
    """Nothing is lost, no line is longer, no character is cut."""
    most = 1 + sum(data[:2])
    sent = encode([data])
    made, stuffed = break_lines(pieces(sent), most, 8 + len(data) % 60)
    assert (made, stuffed) == break_lines([sent], most) and break_lines([made], most) == (made, False)
    assert scan([made + b".\r\n"]).used == len(made) + 3
    before, after = decode([sent]), decode([made])
    assert after.replace(b"\r\n", b"") == before.replace(b"\r\n", b"") and after.count(b"\r\n") >= before.count(b"\r\n")
    assert all(len(line) <= most for line in after.split(b"\r\n"))
    if most >= 4 and utf8(before):
        assert all(utf8(line) for line in after.split(b"\r\n"))
    raw, _ = break_lines(pieces(data), most)            # with lone CRs and LFs, which stay
    assert max(map(len, re.split(rb"\r?\n", decode([raw])))) <= most and raw.replace(b"\r", b"").replace(b"\n", b"").replace(b".", b"") \
        == data.replace(b"\r", b"").replace(b"\n", b"").replace(b".", b"")
    return bucket(len(after) - len(before)), stuffed, made == sent


def utf8(data):
    return data.decode(errors="ignore").encode() == data


def header(data):
    found, body = fields(data)
    at = 0
    for f in found:
        start, end = (f, f) if isinstance(f, int) else (f.start, f.end)
        assert at <= start <= end <= body
        assert isinstance(f, int) or f.unfolded == f.value.replace(b"\r\n", b"").replace(b"\n", b"")
        at = end
    assert body <= len(data) and body == body_offset(data)
    return tuple(isinstance(f, int) for f in found[:6]), bucket(len(data) - body)


def sound_tree(data, **limits):
    """The tree of a message, its offsets and links found right."""
    tree = walk(data, **limits)
    at = -1
    for i, p in enumerate(tree.parts):
        assert at <= p.headers_start <= p.preamble_start <= p.body_start <= p.body_end <= p.epilogue_end <= len(data)
        assert p.parent < i
        at = p.headers_start
        if i:
            parent = tree.parts[p.parent]
            assert parent.preamble_start <= p.headers_start and p.epilogue_end <= parent.body_end
            assert p.depth == parent.depth + 1
        if p.next >= 0:
            assert tree.parts[p.next].parent == p.parent and tree.parts[p.next].headers_start >= p.epilogue_end
    return tree


def part(data):
    trees = sound_tree(data), sound_tree(data, parts=3, depth=2, header=60)
    return tuple((tree.state, tuple((p.parent, p.state) for p in tree.parts[:8])) for tree in trees)


def decoded(message, p):
    """What a leaf holds."""
    text = message[p.body_start:p.body_end]
    coding = p.encoding.lower()
    return quopri.decodestring(text) if coding == b"quoted-printable" else base64.b64decode(text) if coding == b"base64" else text


def sevenbit(data):
    """A peer of 7 bits gets the parts that were sent, and nothing that ends early."""
    content = decode([encode([data])])
    made, whole = convert(pieces(content))
    assert convert([content]) == (made, whole) and convert([made])[0] == made
    assert not whole or made.isascii()
    assert not content.isascii() or whole and (made == content or re.search(b"(?i)8bit|binary", content))
    before, after = walk(content), walk(made)
    assert [(p.type, p.parent, p.state) for p in before.parts] == [(p.type, p.parent, p.state) for p in after.parts]
    for a, b in zip(before.parts, after.parts):
        if a.child < 0 and a.encoding.lower() != b.encoding.lower() and b.encoding.lower() != b"7bit":
            assert decoded(made, b) == content[a.body_start:a.body_end]
    for strip in False, True:
        sent, left = downconvert(pieces(data), strip)
        assert scan([sent + b".\r\n"]).used == len(sent) + 3 and (not left or sent.isascii())
        assert strip or decode([sent]) == made
    return whole, before.state, tuple((p.encoding, p.parent) for p in after.parts[:6])


def address(data):
    found = parse_addresses(data)
    for a in found:
        assert a is None or (a.local and all(text in data for text in a))
    return tuple(a and tuple(map(bool, a)) for a in found[:4])


def proxy(data):
    try:
        h = parse_header(data)
    except ValueError:
        return None
    if h is None:
        assert len(data) < 2048
        return "more"
    assert 0 < h.used <= min(len(data), 2048) and parse_header(data[:h.used]) == h and parse_header(data[:h.used - 1]) is None
    assert (h.source is None) == (h.destination is None)
    return bucket(h.used), h.source and h.source[0] == "["


def dns_answer(data):
    shapes = []
    for kind in 1, 15, 16, 28:
        try:
            r = parse_answer(data, b"a.test", kind, max_answers=5, max_cname=3)
        except ValueError:
            shapes.append(None)
            continue
        assert len(r["items"]) <= 5 and sum(map(len, r["items"])) <= 5 * 65535
        assert r["status"] != "ok" or r["items"]
        assert kind not in (1, 28) or {len(item) for item in r["items"]} <= {4 if kind == 1 else 16}
        shapes.append((r["status"], len(r["items"]), r["cut"], r["edns"]))
    return tuple(shapes)


MESSAGE = b"A: 1\r\nB: 2\r\n\tfold\r\n..a: 3\r\n\r\nbody\r\n"
KINDS = ("prepend", "append", "replace", "remove", "body")


def overlay(data):
    """The data as edits in the spool's form, then as edits to be made; the message as header and as edited."""
    edits = decode_edits(data)
    head, rest = render(MESSAGE, data)
    assert rest == next((value for kind, _, value in edits if kind == "body"), b"body\r\n") and head.endswith(b"\r\n")
    made, refused = Overlay(), 0
    for edit in data.split(b"\1")[:300]:
        kind, _, field = edit.partition(b"\2")
        name, _, value = field.partition(b"\3")
        try:
            made.edit(KINDS[len(kind) % 5], name, value)
        except (ValueError, OverflowError):
            refused += 1
    edits = decode_edits(made.encode())
    head, rest = render(MESSAGE, made.encode())
    assert body_offset(head) == len(head) and all(not isinstance(f, int) for f in fields(head)[0])
    scanned = scan([head + rest + b".\r\n"])
    assert scanned.ended and scanned.body == head + rest and not scanned.flags & {"lone_cr", "lone_lf"}
    names = [f.name.lower() for f in fields(head)[0]]
    for kind, name, _ in edits:
        assert kind != "replace" or names.count((b"." if name.startswith(b".") else b"") + name.lower()) >= 1
    render(data, made.encode())
    return refused > 0, tuple(kind for kind, _, _ in edits[:6])


def meta(data):
    """An envelope, and a state behind it, as the spool keeps them."""
    cut = 2 + int.from_bytes(data[:2], "little") % 1000
    shapes = []
    for state in b"", data[cut:]:
        try:
            found = describe(data[2:cut] if state else data[2:], state)
        except ValueError as failure:
            shapes.append(str(failure))
            continue
        assert sum(len(found[key]) for key in ("recipient", "sender", "peer", "code")) <= 3 * len(data)
        shapes.append((bool(found["recipient"]), bool(found["sender"]), bool(found["code"]), bucket(found["size"])))
    return tuple(shapes)


BLOCK = 4096
SALT = 1 << 40                  # checksums of headers begin with its low half
_folders = []                   # made by this process; the first is the spool's


def verifying(data):
    """The data as a batch: wherever a header and its payload fit, with checksums that hold; a type of 128 or more stays broken."""
    batch = bytearray(data.ljust(-(-max(len(data), 32) // BLOCK) * BLOCK, b"\0"))
    fixed = struct.pack("<QQII", SALT, 0, len(batch), int.from_bytes(batch[28:32], "little"))
    batch[:32] = b"BTCH" + checksum(fixed).to_bytes(4, "little") + fixed
    at = 32
    while at + 32 <= len(batch):
        length = int.from_bytes(batch[at + 4:at + 8], "little")
        if at + 32 + length > len(batch):
            break
        if batch[at] < 128:
            batch[at + 24:at + 28] = checksum(bytes(batch[at + 32:at + 32 + length])).to_bytes(4, "little")
            batch[at + 28:at + 32] = checksum(bytes(batch[at:at + 28])).to_bytes(4, "little")
        at += 32 + (length + 7) // 8 * 8
    return bytes(batch)


def made_folder():
    _folders.append(tempfile.mkdtemp(prefix="fuzz-"))
    return _folders[-1]


def clean():
    """What a process that ran targets leaves behind goes."""
    while _folders:
        shutil.rmtree(_folders.pop(), ignore_errors=True)


def spool(data):
    """A segment of one batch."""
    folder = Path(_folders[0] if _folders else made_folder())
    batch = verifying(data)
    header = struct.pack("<8sIIQQQQ", b"ECSPOOL1", 2, 1 + data.count(b"cold") % 2, 1, SALT, 1, len(batch) + 2 * BLOCK)
    header = (header + checksum(header).to_bytes(4, "little")).ljust(BLOCK, b"\0")
    (folder / "1.seg").write_bytes(header + batch + header)
    found = survey(str(folder), bodies=True)
    shapes = []
    for message in found.messages:
        assert message["meta"] in batch and message["state"] in batch
        assert message["body"] is None or (not message["large"] and message["body"] in batch)
        try:
            shapes.append(bool(describe(message["meta"], message["state"])["recipient"]))
        except ValueError:
            shapes.append(None)
    return len(found.damage), tuple(shapes[:5])


CONFIG = """hostname = fuzz.test
spoolbase = %(folder)s/spool
spool_segment_size = 8388608
pidfile = %(folder)s/pid
relay_hosts ( 127.0.0.0/8 )
suspend_delivery = true
large_message_threshold = 1000
rfc2822_missing_headers = allow
max_bad_commands = 0
ESMTP_Listener { max_message_size = 3000 Listen "127.0.0.1:%(port)d" { } }
ec_logger { mainlog = %(folder)s/mainlog rejectlog = %(folder)s/rejectlog paniclog = %(folder)s/paniclog }
"""
_server = None


def server():
    """The port of a whole server in this process: what brings it down brings us down."""
    global _server
    if _server is None:
        from pymomentum.server import Server
        folder = made_folder()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            _server = probe.getsockname()[1]
        conf = Path(folder, "ecelerity.conf")
        conf.write_text(CONFIG % {"folder": folder, "port": _server})
        Server(conf).start()
    return _server


def session(data):
    """A connection that says this, cut at places that depend on it."""
    replies = b""
    with socket.create_connection(("127.0.0.1", server()), 10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for part_ in pieces(data):
                sock.sendall(part_)
            sock.shutdown(socket.SHUT_WR)
            while chunk := sock.recv(65536):
                replies += chunk
        except TimeoutError:
            raise
        except OSError:                                 # closed behind QUIT or 421 with bytes left unread: replies may be lost
            return "closed"
    lines = replies.split(b"\r\n")
    assert lines.pop() == b"" and b"\n" not in b"".join(lines)
    assert all(re.fullmatch(rb"[2345]\d\d[ -][ -~]*", line) for line in lines), replies
    assert lines[0].startswith((b"220 ", b"421 "))
    return tuple(line[:3] for line in lines[:12])


def configuration(data):
    """A file: mistakes have places, and what is right can be written, read again and published."""
    file = grammar.read("f", data)
    reader = Reader()
    reader.read(file)
    if not file.errors and not reader.errors:
        reader.check_references()
    for error in (*file.errors, *reader.errors):
        assert str(error) and 1 <= error.line <= len(file.text.split("\n")) and error.column >= 1, error
    if file.errors or reader.errors:
        return tuple(error.message.split('"')[0] for error in (*file.errors, *reader.errors)[:4])
    loaded = Loaded([file], reader)
    Publication(loaded)
    text = "\n".join(show_lines(merge(loaded), True))
    again = grammar.read("g", text.encode())
    assert not again.errors, (text, again.errors)
    second = Reader()
    second.read(again)
    assert as_data(merge(Loaded([again], second))) == as_data(merge(loaded)), text
    return bucket(len(file.body)), tuple(type(node).__name__ for node in file.body[:6])


class Console:
    """A server as far as commands of the configuration know one."""

    def __init__(self):
        file = grammar.read("f", b"Domain a.test { retry_interval = 5 } Binding b { } ESMTP_Listener { Listen :25 { } } spf one { }")
        reader = Reader()
        reader.read(file)
        self.loaded = Loaded([file], reader)
        self.unusable = ()

    def change(self, changes, seen, base=None):
        self.loaded = changed(base or seen, changes)
        return 1

    def restart_needed(self, before=None):
        return []


VERBS = ("get", "eval", "show", "showrecurse", "locate", "set", "unset", "begin", "begin from scratch", "commit", "rollback", "replay", "set")


def config_commands(data):
    """Lines of a console, the first byte of each a verb: each ends in an answer, and the tree stays one that can be written."""
    registry, session_, shape = Registry(Console(), None), {}, []
    for line in data.split(b"\n")[:20]:
        text = line[1:].decode("utf-8", "surrogateescape").replace("\0", "")
        answer = registry.run(f"config {VERBS[line[0] % len(VERBS)]} {text}" if line else "config replay", session=session_)
        assert "internal error" not in answer.text
        shape.append(answer.status)
    text = "\n".join(show_lines(merge(registry.server.loaded), True))
    assert not grammar.read("g", text.encode("utf-8", "surrogateescape")).errors, text
    return tuple(shape)


def routes(data):
    """Words of the option `routes`: what is read fits the fields that the engine has for it."""
    words, type = [word.decode("utf-8", "surrogateescape") for word in data.split(b"\n")], Routes()
    try:
        fields = type.encode(type.parse(words))
    except ValueError as mistake:
        return re.sub(r'"[^"]*"|[0-9]+', "", str(mistake))[:40]
    assert len(fields) == 5 * len(words)
    for host, port, preference, ttl, kind in zip(*[iter(fields)] * 5):
        assert 0 < len(host) <= 253 and not set(host) & set(" []/?\0") and kind in ("mx", "a")
        assert int(port) <= 65535 and int(preference) <= 65535 + 100 and int(ttl) < 2 ** 31
    return tuple(fields[2:12:5]), bucket(len(words))


TARGETS = {f.__name__: f for f in (command, reply, extension, path, dotstuff, linebreak, header, part, sevenbit, address, proxy, dns_answer, overlay, meta,
                                   spool, session, configuration, config_commands, routes)}
