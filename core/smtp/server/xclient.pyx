"""XCLIENT: a trusted client says for whom it speaks (postfix.org, XCLIENT_README).

Only clients whose SMTP_Extensions names XCLIENT may use it, and who connected
decides that once.  The attributes may be named behind it; LOGIN, which makes
the session one that may relay, counts only where it is named.
"""
from libc.stdio cimport snprintf
from libc.string cimport memset

from pymomentum.core.base.arena cimport arena_copy, arena_reset
from pymomentum.core.base.cidr cimport sockaddr, sockaddr_storage
from pymomentum.core.base.slice cimport slice_ieq, slice_make, slice_of, slice_t
from pymomentum.core.base.status cimport EC_OK, EC_SYNTAX
from pymomentum.core.message.context cimport context_set
from pymomentum.core.net.address cimport address_parse, address_port, address_set_port
from .session cimport session_bad, session_end, session_meet, session_reject, session_reset, session_t

cdef enum:
    VALUE_MAX = 255

cdef enum:                      # attributes, in the order of NAMES
    X_NAME
    X_ADDR
    X_PORT
    X_PROTO
    X_HELO
    X_DESTADDR
    X_DESTPORT
    X_LOGIN
    X_COUNT

cdef const char *NAMES[X_COUNT]
NAMES[:] = [b"NAME", b"ADDR", b"PORT", b"PROTO", b"HELO", b"DESTADDR", b"DESTPORT", b"LOGIN"]
cdef const char *KEYS[X_COUNT]
KEYS[:] = [b"xclient_name", b"xclient_addr", b"xclient_port", b"xclient_proto", b"xclient_helo", b"xclient_destaddr",
           b"xclient_destport", b"xclient_login"]

cdef struct said_t:
    bint given[X_COUNT]
    bint known[X_COUNT]         # not [UNAVAILABLE], not [TEMPUNAVAIL]
    size_t len[X_COUNT]
    char value[X_COUNT][VALUE_MAX + 1]


cdef bint xclient_announce(session_t *s, char *line, size_t size) noexcept nogil:
    if s.xclient == NULL:
        return False
    if s.xclient.len == 7:
        snprintf(line, size, b"250-XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT")
    else:
        snprintf(line, size, b"250-%.*s", <int>s.xclient.len, s.xclient.ptr)
    return True


cdef slice_t word(slice_t *rest) noexcept nogil:
    cdef size_t n = 0
    cdef slice_t w
    while rest.len and (rest.ptr[0] == c' ' or rest.ptr[0] == c'\t'):
        rest[0] = slice_make(rest.ptr + 1, rest.len - 1)
    while n < rest.len and rest.ptr[n] != c' ' and rest.ptr[n] != c'\t':
        n += 1
    w = slice_make(rest.ptr, n)
    rest[0] = slice_make(rest.ptr + n, rest.len - n)
    return w


cdef bint permitted(session_t *s, int attribute) noexcept nogil:
    cdef slice_t rest = slice_make(s.xclient.ptr + 7, s.xclient.len - 7), w
    if rest.len == 0:
        return attribute != X_LOGIN
    while rest.len:
        w = word(&rest)
        if slice_ieq(w, slice_of(NAMES[attribute])):
            return True
    return False


cdef int hex_digit(char c) noexcept nogil:
    if c'0' <= c <= c'9':
        return c - c'0'
    if c'A' <= c <= c'F':
        return c - c'A' + 10
    return c - c'a' + 10 if c'a' <= c <= c'f' else -1


cdef int decode(slice_t text, char *out, size_t *n) noexcept nogil:
    """xtext (RFC 3461 4); what it stands for may be printable ASCII only."""
    cdef size_t i = 0
    cdef int high, low
    cdef char c
    n[0] = 0
    while i < text.len:
        c = text.ptr[i]
        i += 1
        if c == c'+':
            if i + 2 > text.len:
                return EC_SYNTAX
            high = hex_digit(text.ptr[i])
            low = hex_digit(text.ptr[i + 1])
            if high < 0 or low < 0:
                return EC_SYNTAX
            c = <char>(high * 16 + low)
            i += 2
        if not 32 <= c <= 126 or n[0] == VALUE_MAX:
            return EC_SYNTAX
        out[n[0]] = c
        n[0] += 1
    out[n[0]] = 0
    return EC_OK


cdef int read_attributes(session_t *s, slice_t args, said_t *out) noexcept nogil:
    cdef slice_t w, name, value
    cdef size_t at
    cdef int i
    while True:
        w = word(&args)
        if w.len == 0:
            return EC_OK
        at = 0
        while at < w.len and w.ptr[at] != c'=':
            at += 1
        if at + 1 >= w.len:             # no "=", or nothing behind it
            return EC_SYNTAX
        name = slice_make(w.ptr, at)
        value = slice_make(w.ptr + at + 1, w.len - at - 1)
        for i in range(X_COUNT):
            if slice_ieq(name, slice_of(NAMES[i])):
                break
        else:
            return EC_SYNTAX
        if not permitted(s, i) or decode(value, out.value[i], &out.len[i]) != EC_OK:
            return EC_SYNTAX
        out.given[i] = True
        out.known[i] = not slice_ieq(value, slice_of(b"[UNAVAILABLE]")) and not slice_ieq(value, slice_of(b"[TEMPUNAVAIL]"))


cdef int number(const char *text, size_t n) noexcept nogil:
    cdef int found = 0
    cdef size_t i
    if n == 0 or n > 5:
        return -1
    for i in range(n):
        if not c'0' <= text[i] <= c'9':
            return -1
        found = found * 10 + text[i] - c'0'
    return found if found < 65536 else -1


cdef int endpoint(said_t *x, int address, int port, sockaddr_storage *out) noexcept nogil:
    """Changes what is given of an address; "IPV6:" stands before one of those."""
    cdef slice_t text = slice_make(x.value[address], x.len[address])
    cdef int n = address_port(<sockaddr*>out)
    if x.given[address] and x.known[address]:
        if text.len > 5 and slice_ieq(slice_make(text.ptr, 5), slice_of(b"IPV6:")):
            text = slice_make(text.ptr + 5, text.len - 5)
        if text.ptr[0] == c'[' or address_parse(text, n, out) != EC_OK:
            return EC_SYNTAX
    if x.given[port] and x.known[port]:
        n = number(x.value[port], x.len[port])
        if n < 0:
            return EC_SYNTAX
        address_set_port(out, n)
    return EC_OK


cdef bint spaced(const char *text, size_t n) noexcept nogil:
    cdef size_t i
    for i in range(n):
        if text[i] == c' ':
            return True
    return False


cdef bint xclient_take(session_t *s, slice_t args) noexcept nogil:
    cdef said_t x
    cdef sockaddr_storage peer = s.peer, local = s.local
    cdef bint smtp, fine = True
    cdef int i
    memset(&x, 0, sizeof(x))
    if s.xclient == NULL:
        session_bad(s, 550, b"5.7.0 insufficient authorization")
        return False
    if s.has_mail:
        session_bad(s, 503, b"5.5.1 MAIL transaction in progress")
        return False
    smtp = False
    if args.len == 0 or read_attributes(s, args, &x) != EC_OK \
            or endpoint(&x, X_ADDR, X_PORT, &peer) != EC_OK or endpoint(&x, X_DESTADDR, X_DESTPORT, &local) != EC_OK \
            or spaced(x.value[X_HELO], x.len[X_HELO]):
        session_bad(s, 501, b"5.5.4 bad XCLIENT attribute")
        return False
    if x.known[X_PROTO]:
        smtp = slice_ieq(slice_of(x.value[X_PROTO]), slice_of(b"SMTP"))
        if not smtp and not slice_ieq(slice_of(x.value[X_PROTO]), slice_of(b"ESMTP")):
            session_bad(s, 501, b"5.5.4 bad XCLIENT attribute")
            return False
    session_reset(s)
    s.peer = peer
    s.local = local
    s.esmtp = not smtp
    arena_reset(&s.arena)
    s.helo = slice_make(NULL, 0)
    if x.known[X_HELO]:
        s.helo = arena_copy(&s.arena, slice_make(x.value[X_HELO], x.len[X_HELO]))
    fine = session_meet(s)
    for i in range(X_COUNT):
        if x.known[i] and context_set(&s.context, slice_of(KEYS[i]), slice_make(x.value[i], x.len[i])) != EC_OK:
            fine = False
    if x.known[X_LOGIN]:
        s.can_relay = True
        fine = fine and context_set(&s.context, slice_of(b"auth_user"), slice_make(x.value[X_LOGIN], x.len[X_LOGIN])) == EC_OK \
            and context_set(&s.context, slice_of(b"can_relay"), slice_of(b"true")) == EC_OK
    if not fine:
        session_reject(s, 421, b"4.3.0 out of memory")
        session_end(s)
    return fine
