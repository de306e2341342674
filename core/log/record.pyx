"""mainlog, bouncelog and rejectlog lines, as the manual lays them out.

Formatted on the loop into its scratch buffer, then put into the log's ring.
In a field `@`, `\\` and control characters are preceded by `\\`.
"""
from libc.stdint cimport uint64_t

from pymomentum.core.base.buf cimport buf_add, buf_add_number, buf_add_z, buf_clear, buf_reserve, buf_slice, buf_t
from pymomentum.core.base.slice cimport slice_make, slice_of, slice_t
from pymomentum.core.base.status cimport EC_NOMEM, EC_OK
from pymomentum.core.loop.loop cimport LOOP_MAX, loop_t
from pymomentum.core.message.id cimport MESSAGE_ID_TEXT, message_id_t, message_id_text
from pymomentum.core.message.message cimport (RECV_ECSTREAM, RECV_ESMTP, RECV_INTERNAL, RECV_REST, RECV_SMTP, RECV_XFER,
                                              address_domain, address_local, ec_message_t)
from .writer cimport (LOG_BOUNCE, LOG_MAIN, LOG_REJECT, WANT_BOUNCE_TRANSIENT, WANT_DELIVERIES, WANT_INBAND, WANT_PERMANENT,
                      WANT_RECEPTIONS, WANT_REJECTIONS, WANT_TRANSIENT, log_put, log_time, log_wants)


cdef buf_t scratches[LOOP_MAX]      # a loop's line in the making


cdef inline buf_t *scratch(loop_t *loop) noexcept nogil:
    cdef buf_t *b = &scratches[loop.index]
    buf_clear(b)
    return b


cdef inline bint special(char c) noexcept nogil:
    return c == c'@' or c == c'\\' or <unsigned char>c < 32 or c == 127


cdef void field(buf_t *b, slice_t s) noexcept nogil:
    cdef size_t i, from_ = 0
    for i in range(s.len):
        if special(s.ptr[i]):
            buf_add(b, s.ptr + from_, i - from_)
            buf_add(b, b"\\", 1)
            from_ = i
            if s.ptr[i] == c'\n' or s.ptr[i] == c'\r' or s.ptr[i] == 0:     # never a second line
                buf_add(b, b" ", 1)
                from_ = i + 1
    buf_add(b, s.ptr + from_, s.len - from_)


cdef inline void at(buf_t *b) noexcept nogil:
    buf_add(b, b"@", 1)


cdef inline void id_field(buf_t *b, message_id_t id) noexcept nogil:
    if buf_reserve(b, MESSAGE_ID_TEXT + 1) == 0:
        message_id_text(id, b.ptr + b.len)
        b.ptr[b.len + MESSAGE_ID_TEXT] = c'@'
        b.len += MESSAGE_ID_TEXT + 1


cdef inline void number(buf_t *b, uint64_t v) noexcept nogil:
    buf_add_number(b, v)
    at(b)


cdef inline void text(buf_t *b, slice_t s) noexcept nogil:
    field(b, s)
    at(b)


cdef const char *method_name(int method) noexcept nogil:
    if method == RECV_INTERNAL:
        return b"internal"
    if method == RECV_REST:
        return b"rest"
    if method == RECV_ECSTREAM:
        return b"ecstream"
    if method == RECV_XFER:
        return b"xfer"
    return b"esmtp"


cdef int end(loop_t *loop, int which, buf_t *b) noexcept nogil:
    if buf_add(b, b"\n", 1) != EC_OK:
        if b.len == 0:
            return EC_NOMEM
        b.ptr[b.len - 1] = c'\n'         # cut, but a line
    return log_put(loop, which, buf_slice(b))


cdef inline void begin(loop_t *loop, buf_t *b, ec_message_t *m, message_id_t conn, const char *kind) noexcept nogil:
    number(b, log_time(loop.wall_us))
    id_field(b, m.id)
    id_field(b, m.env.batch)
    id_field(b, conn)
    buf_add(b, kind, 1)
    at(b)


cdef int log_reception(loop_t *loop, ec_message_t *m, slice_t group, slice_t binding) noexcept nogil:
    cdef buf_t *b
    if not log_wants(WANT_RECEPTIONS):
        return EC_OK
    b = scratch(loop)
    begin(loop, b, m, m.env.conn, b"R")
    text(b, address_local(m.env.rcptto))
    text(b, address_domain(m.env.rcptto))
    text(b, address_local(m.env.mailfrom))
    text(b, address_domain(m.env.mailfrom))
    text(b, m.env.peer)
    number(b, m.env.body_size)
    buf_add_z(b, method_name(m.env.method))
    at(b)
    text(b, group)
    field(b, binding)
    return end(loop, LOG_MAIN, b)


cdef void seconds(buf_t *b, uint64_t us) noexcept nogil:
    """Seconds with three decimals."""
    cdef uint64_t ms = us // 1000 % 1000
    cdef char three[3]
    buf_add_number(b, us // 1000000)
    three[0] = <char>(c'0' + ms // 100)
    three[1] = <char>(c'0' + ms // 10 % 10)
    three[2] = <char>(c'0' + ms % 10)
    buf_add(b, b".", 1)
    buf_add(b, three, 3)
    at(b)


cdef inline uint64_t age(loop_t *loop, ec_message_t *m) noexcept nogil:
    return loop.wall_us - m.created_us if loop.wall_us > m.created_us else 0


cdef int log_delivery(loop_t *loop, ec_message_t *m, const attempt_t *a) noexcept nogil:
    cdef buf_t *b
    if not log_wants(WANT_DELIVERIES):
        return EC_OK
    b = scratch(loop)
    begin(loop, b, m, a.conn, b"D")
    text(b, a.domain)
    number(b, a.bytes)
    text(b, a.group)
    text(b, a.binding)
    number(b, m.retries)
    seconds(b, age(loop, m))
    field(b, a.peer)
    return end(loop, LOG_MAIN, b)


cdef int log_failure(loop_t *loop, ec_message_t *m, const attempt_t *a, bint permanent) noexcept nogil:
    cdef buf_t *b
    if not log_wants(WANT_PERMANENT if permanent else WANT_TRANSIENT):
        return EC_OK
    b = scratch(loop)
    begin(loop, b, m, a.conn, b"P" if permanent else b"T")
    text(b, a.domain)
    number(b, a.bytes)
    text(b, a.group)
    text(b, a.binding)
    number(b, a.stage)
    number(b, m.retries)
    seconds(b, age(loop, m))
    text(b, a.peer)
    field(b, a.text)
    return end(loop, LOG_MAIN, b)


cdef int log_bounce(loop_t *loop, ec_message_t *m, const attempt_t *a, bint permanent, int klass) noexcept nogil:
    cdef buf_t *b
    if not log_wants(WANT_INBAND if permanent else WANT_BOUNCE_TRANSIENT):
        return EC_OK
    b = scratch(loop)
    begin(loop, b, m, a.conn, b"B" if permanent else b"T")
    text(b, address_local(m.env.rcptto))
    text(b, address_domain(m.env.rcptto))
    text(b, address_local(m.env.mailfrom))
    text(b, address_domain(m.env.mailfrom))
    text(b, a.group)
    text(b, a.binding)
    number(b, a.stage)
    number(b, klass)
    number(b, m.env.body_size)
    text(b, a.peer)
    field(b, a.text)
    return end(loop, LOG_BOUNCE, b)


cdef int log_rejection(loop_t *loop, const rejection_t *r) noexcept nogil:
    cdef buf_t *b
    cdef char id[MESSAGE_ID_TEXT]
    if not log_wants(WANT_REJECTIONS):
        return EC_OK
    b = scratch(loop)
    message_id_text(r.conn, id)
    buf_add_number(b, log_time(loop.wall_us))
    buf_add_z(b, b': R="')
    field(b, r.remote)
    buf_add_z(b, b'" L="')
    field(b, r.local)
    buf_add_z(b, b'" C="')
    buf_add(b, id, MESSAGE_ID_TEXT)
    buf_add_z(b, b'" PATH="')
    field(b, r.pathway)
    buf_add_z(b, b'" PATH_GRP="')
    field(b, r.pathway_group)
    buf_add_z(b, b'" P="')
    field(b, r.phase)
    buf_add_z(b, b'" E=')
    buf_add_number(b, r.code)
    buf_add_z(b, b" M=")
    field(b, r.module)
    buf_add_z(b, b" CTXCONN=[")
    line_safe(b, r.conn_context)
    buf_add_z(b, b"] CTXMESS=[")
    line_safe(b, r.mess_context)
    buf_add_z(b, b"] ")
    line_safe(b, r.text)
    return end(loop, LOG_REJECT, b)


cdef void line_safe(buf_t *b, slice_t s) noexcept nogil:
    """As it is, but no control character: a record stays one line."""
    cdef size_t i, start = b.len
    buf_add(b, s.ptr, s.len)
    for i in range(start, b.len):
        if <unsigned char>b.ptr[i] < 32 or b.ptr[i] == 127:
            b.ptr[i] = c' '
