"""Answers put together by hand, so that they may be wrong."""
import struct

A, CNAME, SOA, MX, TXT, AAAA, OPT = 1, 5, 6, 15, 16, 28, 41
QUESTION = b"\xc0\x0c"                  # a pointer to the name asked for


def name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".") if label) + b"\0"


def record(owner, kind, data, ttl=60, cls=1):
    owner = owner if isinstance(owner, bytes) else name(owner)
    return owner + struct.pack("!HHIH", kind, cls, ttl, len(data)) + data


def mx(host, preference=10, owner=QUESTION, ttl=60):
    return record(owner, MX, struct.pack("!H", preference) + (host if isinstance(host, bytes) else name(host)), ttl)


def soa(minimum, ttl=3600, owner="test"):
    return record(owner, SOA, name("ns.test") + name("hostmaster.test") + struct.pack("!5I", 1, 2, 3, 4, minimum), ttl)


def answer(asked, kind, records=(), *, id=0, flags=0x8180, rcode=0, authority=(), additional=(), count=None, cls=1):
    """`asked` as text or as a dns.message query, whose id it then has."""
    if not isinstance(asked, str):
        id, question = asked.id, asked.question[0]
        asked, kind = question.name.to_text(), question.rdtype
    head = struct.pack("!6H", id, flags | rcode, 1, len(records) if count is None else count,
                       len(authority), len(additional))
    return head + name(asked) + struct.pack("!HH", kind, cls) + b"".join((*records, *authority, *additional))


OPT_RECORD = record("", OPT, b"", cls=1232, ttl=0)
