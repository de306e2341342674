"""XCLIENT ahead of a message (postfix.org, XCLIENT_README): from whom we had it.

The peer is told again only where the next message came from another client.
What it has not asked for by name in its reply to EHLO is not said; what it
asks for and we do not know is said to be unavailable.
"""
from libc.stdint cimport uint32_t
from libc.string cimport memchr, memcpy, strcmp

from pymomentum.core.base.slice cimport slice_eq, slice_make, slice_of, slice_t
from pymomentum.core.config.values cimport *
from pymomentum.core.message.context cimport context_next
from pymomentum.core.message.message cimport RECV_ESMTP, RECV_INTERNAL, RECV_SMTP, ec_message_t, envelope_t
from pymomentum.core.net.stream cimport stream_flush, stream_write
from pymomentum.core.smtp.extension cimport EXT_XCLIENT, EXT_XCLIENT_ADDR
from .session cimport *

cdef enum:
    VALUE_MAX = 255
    ATTRIBUTES = 5              # as smtp_extension_t counts them

cdef const char *NAMES[ATTRIBUTES]
NAMES[:] = [b" ADDR=", b" PORT=", b" PROTO=", b" NAME=", b" HELO="]
cdef const char *KEYS[ATTRIBUTES]   # of the connection's context, set where XCLIENT told us
KEYS[:] = [b"", b"xclient_port", b"", b"xclient_name", b"xclient_helo"]
cdef const char *HEX = b"0123456789ABCDEF"


cdef slice_t in_context(slice_t pairs, const char *key) noexcept nogil:
    cdef size_t cursor = 0
    cdef slice_t name, value
    while key[0] and context_next(pairs, &cursor, &name, &value):
        if slice_eq(name, slice_of(key)):
            return value
    return slice_make(NULL, 0)


cdef slice_t value_of(const envelope_t *e, int attribute) noexcept nogil:
    """Empty: not known."""
    if attribute == 0:
        return e.peer if address_like(e.peer) else slice_make(NULL, 0)
    if attribute == 2 and (e.method == RECV_ESMTP or e.method == RECV_SMTP):
        return slice_of(b"ESMTP" if e.method == RECV_ESMTP else b"SMTP")
    return in_context(e.conn_context, KEYS[attribute])


cdef bint address_like(slice_t s) noexcept nogil:
    """Not "unknown", not "local"."""
    return s.len > 0 and (memchr(s.ptr, c'.', s.len) != NULL or memchr(s.ptr, c':', s.len) != NULL)


cdef size_t xtext(slice_t value, char *out) noexcept nogil:
    """RFC 3461 4; at most three bytes for each."""
    cdef size_t i, n = 0
    cdef unsigned char b
    for i in range(value.len):
        b = <unsigned char>value.ptr[i]
        if 33 <= b <= 126 and b != c'+' and b != c'=':
            out[n] = <char>b
            n += 1
        else:
            out[n] = c'+'
            out[n + 1] = HEX[b >> 4]
            out[n + 2] = HEX[b & 15]
            n += 3
    return n


cdef size_t attribute_text(const envelope_t *e, int attribute, char *out) noexcept nogil:
    cdef slice_t value = value_of(e, attribute)
    cdef char room[3 * VALUE_MAX]
    cdef size_t n = 0, prefix = 0
    if attribute == 0 and value.len and memchr(value.ptr, c':', value.len) != NULL:
        memcpy(room, b"IPV6:", 5)
        prefix = 5
    if 0 < value.len <= VALUE_MAX - 5:
        n = xtext(value, room + prefix)
    if n == 0 or prefix + n > VALUE_MAX:
        memcpy(room, b"[UNAVAILABLE]", 13)
        prefix, n = 0, 13
    memcpy(out, room, prefix + n)
    return prefix + n


cdef void compose(client_t *c, const ec_message_t *m) noexcept nogil:
    """The line into c.saying; an attribute that has no room is left out."""
    cdef char value[VALUE_MAX]
    cdef slice_t name
    cdef size_t n, at = 7
    cdef int i
    memcpy(c.saying, b"XCLIENT", 7)
    for i in range(ATTRIBUTES):
        if not c.asked & (<uint32_t>EXT_XCLIENT_ADDR << i):
            continue
        name = slice_of(NAMES[i])
        n = attribute_text(m.env, i, value)
        if at + name.len + n < XCLIENT_ROOM - 1:
            memcpy(c.saying + at, name.ptr, name.len)
            memcpy(c.saying + at + name.len, value, n)
            at += name.len + n
    c.saying[at] = 0


cdef int xclient_say(client_t *c, const ec_message_t *m) noexcept nogil:
    if not xclient_speaks(c):
        return XCLIENT_NEEDLESS
    if m.env.method == RECV_INTERNAL:   # our own, as long as we spoke for nobody
        return XCLIENT_ELSEWHERE if c.said[0] else XCLIENT_NEEDLESS
    if c.extensions & EXT_XCLIENT:
        c.asked = c.extensions
    compose(c, m)
    if strcmp(c.saying, c.said) == 0 or c.saying[7] == 0:       # a peer that asks for nothing we could say
        return XCLIENT_NEEDLESS
    if not c.extensions & EXT_XCLIENT:
        return XCLIENT_ELSEWHERE
    client_stage(c, STAGE_XCLIENT, opt_number(c.values, OPT_EHLO_TIMEOUT))
    client_expect(c, EXPECT_XCLIENT, c.now, NULL)
    stream_write(&c.stream, c.saying, slice_of(c.saying).len)
    stream_write(&c.stream, b"\r\n", 2)
    stream_flush(&c.stream)
    return XCLIENT_SAID


cdef void xclient_accepted(client_t *c) noexcept nogil:
    memcpy(c.said, c.saying, XCLIENT_ROOM)
    client_hello(c, False)
