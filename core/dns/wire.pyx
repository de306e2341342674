"""DNS messages.

A name has at most 253 characters and 127 labels, a compression pointer must
point backwards: no loop is possible.  Records are used whose owner is the name
asked for or what its CNAMEs lead to; all others are passed over.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp, memcpy, memset

from pymomentum.core.base.buf cimport buf_add, buf_free, buf_slice, buf_t
from pymomentum.core.base.slice cimport slice_bytes, slice_make, slice_of_bytes, slice_t
from pymomentum.core.base.status cimport EC_CORRUPT, EC_NOMEM, EC_OK, EC_SYNTAX
from .answer cimport (DNS_A, DNS_AAAA, DNS_CNAME, DNS_FAILED, DNS_MX, DNS_NAME_MAX, DNS_NODATA, DNS_NXDOMAIN, DNS_OK,
                      DNS_OPT, DNS_SOA, DNS_TXT, dns_key)

cdef enum:
    HEADER = 12
    LABEL_MAX = 63
    CLASS_IN = 1
    NXDOMAIN = 3

cdef struct record_t:
    char owner[DNS_NAME_MAX + 1]
    int owner_len               # as wire_name answers
    uint16_t type
    uint16_t cls
    uint32_t ttl
    size_t at                   # of its data in the message
    uint16_t len


cdef inline uint16_t get16(const uint8_t *p) noexcept nogil:
    return <uint16_t>(p[0] << 8 | p[1])


cdef inline uint32_t get32(const uint8_t *p) noexcept nogil:
    return <uint32_t>get16(p) << 16 | get16(p + 2)


cdef inline uint32_t get_ttl(const uint8_t *p) noexcept nogil:
    return 0 if p[0] & 0x80 else get32(p)           # RFC 2181 8


cdef inline void put16(uint8_t *p, int v) noexcept nogil:
    p[0] = <uint8_t>(v >> 8)
    p[1] = <uint8_t>v


cdef inline bint fits(uint8_t c) noexcept nogil:
    """May stand in a name that we log, compare and connect to."""
    return (c'a' <= c <= c'z' or c'A' <= c <= c'Z' or c'0' <= c <= c'9' or c == c'-' or c == c'_' or c == c'/' or
            c == c'+' or c == c'*' or c == c'=' or c == c':')


cdef int wire_query(slice_t name, int type, uint16_t id, bint edns, uint8_t *out) noexcept nogil:
    cdef size_t i, label = HEADER, at = HEADER + 1
    if name.len and name.ptr[name.len - 1] == c'.':
        name.len -= 1
    if name.len == 0 or name.len > DNS_NAME_MAX:
        return EC_SYNTAX
    memset(out, 0, HEADER)
    put16(out, id)
    out[2] = 1                                      # recursion desired
    out[3] = 0x20                                   # RFC 6840 5.7: we understand AD
    out[5] = 1
    for i in range(name.len + 1):
        if i == name.len or name.ptr[i] == c'.':
            if at - label == 1 or at - label > LABEL_MAX + 1:
                return EC_SYNTAX
            out[label] = <uint8_t>(at - label - 1)
            label = at
        elif fits(<uint8_t>name.ptr[i]):
            out[at] = <uint8_t>name.ptr[i]
        else:
            return EC_SYNTAX
        at += 1
    out[label] = 0
    put16(out + at, type)
    put16(out + at + 2, CLASS_IN)
    at += 4
    if edns:                                        # RFC 6891 6.1.2
        out[11] = 1
        memset(out + at, 0, 11)
        put16(out + at + 1, DNS_OPT)
        put16(out + at + 3, WIRE_UDP_PAYLOAD)
        at += 11
    return <int>at


cdef int wire_name(const uint8_t *p, size_t n, size_t *at, char *out) noexcept nogil:
    cdef size_t i = at[0], lowest = at[0], target, k
    cdef int len = 0
    cdef bint jumped = False, fit = True
    cdef uint8_t c
    while True:
        if i >= n:
            return EC_CORRUPT
        c = p[i]
        if c >= 0xc0:
            if i + 1 >= n:
                return EC_CORRUPT
            if not jumped:
                at[0] = i + 2
                jumped = True
            target = (c & 0x3f) << 8 | p[i + 1]
            if target >= lowest:                    # backwards only
                return EC_CORRUPT
            i = lowest = target
            continue
        if c > LABEL_MAX or i + 1 + c > n:
            return EC_CORRUPT
        if c == 0:
            break
        if len + (len > 0) + c > DNS_NAME_MAX:
            return EC_CORRUPT
        if len:
            out[len] = c'.'
            len += 1
        for k in range(i + 1, i + 1 + c):
            fit = fit and fits(p[k])
            out[len] = <char>(p[k] + 32 if c'A' <= p[k] <= c'Z' else p[k])
            len += 1
        i += 1 + c
    if not jumped:
        at[0] = i + 1
    return len if fit else EC_SYNTAX


cdef int next_record(const uint8_t *p, size_t n, size_t *at, record_t *r) noexcept nogil:
    r.owner_len = wire_name(p, n, at, r.owner)
    if r.owner_len == EC_CORRUPT or at[0] + 10 > n:
        return EC_CORRUPT
    r.type = get16(p + at[0])
    r.cls = get16(p + at[0] + 2)
    r.ttl = get_ttl(p + at[0] + 4)
    r.len = get16(p + at[0] + 8)
    r.at = at[0] + 10
    if r.at + r.len > n:
        return EC_CORRUPT
    at[0] = r.at + r.len
    return EC_OK


cdef int add_item(buf_t *b, const void *p, size_t n, const void *q, size_t m) noexcept nogil:
    cdef uint16_t len = <uint16_t>(n + m)
    if buf_add(b, <const char*>&len, 2) != EC_OK or buf_add(b, <const char*>p, n) != EC_OK:
        return EC_NOMEM
    return buf_add(b, <const char*>q, m) if m else EC_OK


cdef int take(const uint8_t *p, const record_t *r, wire_reply_t *out) noexcept nogil:
    """One record of the type asked for."""
    cdef char name[DNS_NAME_MAX + 1]
    cdef uint8_t text[65536]
    cdef size_t at = r.at, end = r.at + r.len, len = 0
    cdef int n
    if r.type == DNS_A or r.type == DNS_AAAA:
        if r.len != (4 if r.type == DNS_A else 16):
            return EC_CORRUPT
        return add_item(&out.items, p + at, r.len, NULL, 0)
    if r.type == DNS_MX:
        if r.len < 3:
            return EC_CORRUPT
        at += 2
        n = wire_name(p, end, &at, name)
        if n == EC_SYNTAX:
            name[0] = c'?'                          # it counts, but nothing can be found by it
            n = 1
        if n < 0 or at != end:
            return EC_CORRUPT
        return add_item(&out.items, p + r.at, 2, name, n)
    if r.type != DNS_TXT:
        return add_item(&out.items, p + at, r.len, NULL, 0)
    while at < end:                                 # character-strings are one text
        if at + 1 + p[at] > end:
            return EC_CORRUPT
        memcpy(text + len, p + at + 1, p[at])
        len += p[at]
        at += 1 + p[at]
    return add_item(&out.items, text, len, NULL, 0)


cdef int check_question(const uint8_t *p, size_t n, slice_t name, int type, size_t *at) noexcept nogil:
    cdef char asked[DNS_NAME_MAX + 1]
    cdef int len
    if n < HEADER or not p[2] & 0x80 or p[2] & 0x78 or get16(p + 4) != 1:
        return EC_CORRUPT
    at[0] = HEADER
    len = wire_name(p, n, at, asked)
    if len < 0 or <size_t>len != name.len or memcmp(asked, name.ptr, name.len) != 0 or at[0] + 4 > n:
        return EC_CORRUPT
    if get16(p + at[0]) != type or get16(p + at[0] + 2) != CLASS_IN:
        return EC_CORRUPT
    at[0] += 4
    return EC_OK


cdef int read_answers(const uint8_t *p, size_t n, slice_t name, int type, uint32_t max_answers, uint32_t max_cname,
                      size_t *at, wire_reply_t *out) noexcept nogil:
    """Follow the CNAMEs and collect; a pass over the section for every one that is out of order."""
    cdef char want[DNS_NAME_MAX + 1]
    cdef int want_len = <int>name.len, rc, len
    cdef uint32_t cnames = 0, i
    cdef uint32_t most = max_answers if max_answers < 65535 else 65535
    cdef size_t start = at[0], alias
    cdef bint moved = True
    cdef record_t r
    memcpy(want, name.ptr, name.len)
    while moved and out.items.len == 0:
        moved = False
        at[0] = start
        for i in range(get16(p + 6)):
            rc = next_record(p, n, at, &r)
            if rc != EC_OK:
                at[0] = n
                return EC_OK if out.cut else rc
            if r.cls != CLASS_IN or r.owner_len != want_len or memcmp(r.owner, want, want_len) != 0:
                continue
            if r.type == type and out.count < most:
                rc = take(p, &r, out)
                if rc != EC_OK:
                    return rc
                out.count += 1
            elif r.type == DNS_CNAME and out.count == 0:
                cnames += 1
                alias = r.at
                len = wire_name(p, r.at + r.len, &alias, want)
                if len == EC_CORRUPT or alias != r.at + r.len:
                    return EC_CORRUPT
                if cnames > max_cname or len < 0:
                    out.status = DNS_FAILED
                    return EC_OK
                want_len = len
                moved = True
            else:
                continue
            if not out.has_ttl or r.ttl < out.ttl:
                out.ttl = r.ttl
                out.has_ttl = True
    return EC_OK


cdef void read_rest(const uint8_t *p, size_t n, size_t at, wire_reply_t *out) noexcept nogil:
    """The SOA that says how long nothing is nothing (RFC 2308 5), and the OPT; what is broken here is left."""
    cdef uint32_t i, authority = get16(p + 8), additional = get16(p + 10), ttl
    cdef record_t r
    cdef bint nothing = out.status == DNS_NODATA or out.status == DNS_NXDOMAIN
    if nothing:
        out.has_ttl = False
    for i in range(authority + additional):
        if next_record(p, n, &at, &r) != EC_OK:
            return
        if i < authority and r.type == DNS_SOA and r.len >= 22 and nothing:
            ttl = get_ttl(p + r.at + r.len - 4)
            out.ttl = ttl if ttl < r.ttl else r.ttl
            out.has_ttl = True
        elif i >= authority and r.type == DNS_OPT and r.owner_len == 0:
            out.edns = True


cdef int wire_parse(const uint8_t *p, size_t n, slice_t name, int type, uint32_t max_answers, uint32_t max_cname,
                    wire_reply_t *out) noexcept nogil:
    cdef size_t at = 0
    cdef int rc
    memset(out, 0, sizeof(out[0]))
    rc = check_question(p, n, name, type, &at)
    if rc != EC_OK:
        return rc
    out.rcode = p[3] & 15
    out.cut = (p[2] & 2) != 0
    out.secure = (p[3] & 0x20) != 0
    out.status = DNS_OK
    if out.rcode == 0 or out.rcode == NXDOMAIN:
        rc = read_answers(p, n, name, type, max_answers, max_cname, &at, out)
        if rc != EC_OK:
            return rc
    if out.rcode == NXDOMAIN and out.status == DNS_OK:
        out.status = DNS_NXDOMAIN
    elif out.rcode != 0:
        out.status = DNS_FAILED
    elif out.status == DNS_OK and out.count == 0:
        out.status = DNS_NODATA
    read_rest(p, n, at, out)
    return EC_OK


STATUS = ("ok", "nodata", "nxdomain", "failed", "timeout")


def build_query(bytes name not None, int type, int id=0, bint edns=True):
    """Build a query's bytes; raises ValueError where `name` is none."""
    cdef uint8_t[WIRE_QUERY_MAX] out
    cdef int n = wire_query(slice_of_bytes(name), type, <uint16_t>id, edns, out)
    if n < 0:
        raise ValueError(f"not a name: {name!r}")
    return (<char*>out)[:n]


def parse_answer(bytes packet not None, bytes name not None, int type, uint32_t max_answers=64, uint32_t max_cname=8):
    """Parse an answer to the question (name, type); raises ValueError where it is none."""
    cdef wire_reply_t r
    cdef char[DNS_NAME_MAX + 2] key
    cdef size_t n = dns_key(slice_of_bytes(name), type, key), at = 0
    cdef slice_t packed = slice_of_bytes(packet), items
    cdef uint16_t len
    cdef int rc
    if n == 0:
        raise ValueError(f"not a name: {name!r}")
    with nogil:
        rc = wire_parse(<const uint8_t*>packed.ptr, packed.len, slice_make(key + 2, n - 2), type, max_answers, max_cname, &r)
    try:
        if rc == EC_NOMEM:
            raise MemoryError
        if rc < 0:
            raise ValueError("not an answer to this question")
        found = []
        items = buf_slice(&r.items)
        while at < items.len:
            memcpy(&len, items.ptr + at, 2)
            found.append(slice_bytes(slice_make(items.ptr + at + 2, len)))
            at += 2 + len
        return {"status": STATUS[r.status], "rcode": r.rcode, "ttl": r.ttl if r.has_ttl else None,
                "secure": bool(r.secure), "cut": bool(r.cut), "edns": bool(r.edns), "items": found}
    finally:
        buf_free(&r.items)
