"""Judging a received body by the rfc2822_* options, and its trace fields.

The body is in wire form.  What the options want mended is mended here, on
a copy; what they leave alone is marked unclean and goes out through the
encoder.
"""
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

from pymomentum.core.base.buf cimport buf_add, buf_add_slice, buf_add_z, buf_free, buf_printf, buf_t
from pymomentum.core.base.slice cimport slice_ieq, slice_make, slice_of, slice_t
from pymomentum.core.base.status cimport EC_NOMEM, EC_NOTFOUND, EC_OK, EC_REFUSED, EC_SYNTAX
from pymomentum.core.c.openssl cimport SSL_CIPHER_get_name, SSL_get_current_cipher
from pymomentum.core.config.values cimport *
from pymomentum.core.message.id cimport MESSAGE_ID_TEXT, message_id_text
from pymomentum.core.message.message cimport blob_add, blob_new, blob_prepend, blob_slice, blob_t, blob_unref
from pymomentum.core.mime.header cimport header_field_t, header_next, header_walk_init, header_walk_t
from pymomentum.core.policy.phases cimport phase_answer
from pymomentum.core.smtp.dotstuff cimport (DATA_LONE_CR, DATA_LONE_LF, DATA_STUFFED, dot_encode, dot_encode_finish,
                                            dot_encode_init, dot_encode_t)
from pymomentum.core.smtp.linebreak cimport line_break, line_break_finish, line_break_init, line_break_t
from .session cimport rfc_date, server_version, session_hostname, session_received_hostname, session_t

cdef enum:
    LINE_LIMIT = 998            # RFC 5322 2.1.1


cdef int refuse(session_t *s, int code, const char *text) noexcept nogil:
    phase_answer(&s.phase, code, text)
    return EC_REFUSED


cdef bint lone_in(slice_t s) noexcept nogil:
    """A CR or LF by itself."""
    cdef size_t i
    for i in range(s.len):
        if s.ptr[i] == c'\n' and (i == 0 or s.ptr[i - 1] != c'\r'):
            return True
        if s.ptr[i] == c'\r' and (i + 1 == s.len or s.ptr[i + 1] != c'\n'):
            return True
    return False


cdef size_t header_length(slice_t body) noexcept nogil:
    """To the blank line, whatever ends the lines."""
    cdef header_walk_t w
    cdef header_field_t f
    cdef int rc = EC_OK
    header_walk_init(&w, body, body.len)
    while rc == EC_OK or rc == EC_SYNTAX:
        rc = header_next(&w, &f)
    return w.at if w.ended else body.len


cdef int mend(session_t *s, size_t until) noexcept nogil:
    """Every lone CR or LF becomes CR LF, ahead of an offset that stands behind a line."""
    cdef slice_t body = blob_slice(s.blob), rest = slice_make(body.ptr + until, body.len - until)
    cdef blob_t *fresh = blob_new(body.len + body.len // 8 + 64, s.blob.off)
    cdef dot_encode_t e
    cdef char room[4096]
    cdef size_t used = 0, made = 0
    cdef int rc
    if fresh == NULL:
        return EC_NOMEM
    body.len = until
    dot_encode_init(&e, True)
    while body.len:
        dot_encode(&e, body, room, sizeof(room), &used, &made)
        if blob_add(fresh, room, made) != EC_OK:
            blob_unref(fresh)
            return EC_NOMEM
        body = slice_make(body.ptr + used, body.len - used)
    made = dot_encode_finish(&e, room)
    rc = blob_add(fresh, room, made)
    if rc == EC_OK and rest.len and rest.ptr[0] == c'.' and not e.in_start:    # a line begins here only now
        rc = blob_add(fresh, b".", 1)
    if rc == EC_OK:
        rc = blob_add(fresh, rest.ptr, rest.len)
    if rc != EC_OK:
        blob_unref(fresh)
        return rc
    blob_unref(s.blob)
    s.blob = fresh
    s.scan.flags |= DATA_STUFFED        # a line may begin with a dot only now
    if s.large == NULL and not lone_in(rest):       # the tail of a large one goes out through the encoder
        s.scan.flags &= ~(DATA_LONE_CR | DATA_LONE_LF)
    return EC_OK


cdef size_t lines_limit(session_t *s) noexcept nogil:
    cdef int64_t limit = opt_number(s.values, OPT_RFC2822_MAX_LINE_LENGTH)
    return limit if limit > 0 else LINE_LIMIT


cdef bint lines_refused(session_t *s) noexcept nogil:
    return opt_number(s.values, OPT_RFC2822_MAX_LINE_LENGTH) == RFC2822_MAX_LINE_LENGTH_PEDANTIC \
        or opt_number(s.values, OPT_RFC2822_MAX_LINE_LENGTH_POLICY) == RFC2822_MAX_LINE_LENGTH_POLICY_REJECT


cdef bint lines_broken(session_t *s) noexcept nogil:
    return not lines_refused(s) and (
        opt_number(s.values, OPT_RFC2822_MAX_LINE_LENGTH) == RFC2822_MAX_LINE_LENGTH_FIX
        or opt_number(s.values, OPT_RFC2822_MAX_LINE_LENGTH_POLICY) == RFC2822_MAX_LINE_LENGTH_POLICY_FIX)


cdef void body_breaks_begin(session_t *s) noexcept nogil:
    cdef slice_t body = blob_slice(s.blob)
    cdef size_t head, used, made
    cdef char room[4096]
    s.breaking = lines_broken(s)
    if not s.breaking:
        return
    head = header_length(body)
    body = slice_make(body.ptr + head, body.len - head)
    line_break_init(&s.breaks, lines_limit(s))
    while body.len:
        line_break(&s.breaks, body, room, sizeof(room), &used, &made)
        body = slice_make(body.ptr + used, body.len - used)
    if s.breaks.cr:                     # it is written with what follows
        s.blob.len -= 1


cdef int break_lines(session_t *s) noexcept nogil:
    """No line of the body in memory is longer; one in a file was written so."""
    cdef slice_t body = blob_slice(s.blob)
    cdef size_t head = header_length(body), used = 0, made = 0
    cdef blob_t *fresh = blob_new(body.len + body.len // 8 + 64, s.blob.off)
    cdef line_break_t b
    cdef char room[4096]
    cdef int rc
    if fresh == NULL:
        return EC_NOMEM
    line_break_init(&b, lines_limit(s))
    rc = blob_add(fresh, body.ptr, head)
    body = slice_make(body.ptr + head, body.len - head)
    while rc == EC_OK and body.len:
        line_break(&b, body, room, sizeof(room), &used, &made)
        rc = blob_add(fresh, room, made)
        body = slice_make(body.ptr + used, body.len - used)
    made = line_break_finish(&b, room)
    if rc == EC_OK:
        rc = blob_add(fresh, room, made)
    if rc != EC_OK:
        blob_unref(fresh)
        return rc
    if b.stuffed:
        s.scan.flags |= DATA_STUFFED
    blob_unref(s.blob)
    s.blob = fresh
    return EC_OK


cdef int judge_lines(session_t *s) noexcept nogil:
    if s.scan.longest <= lines_limit(s):
        return EC_OK
    if lines_refused(s):
        return refuse(s, 550, b"5.6.0 Body line too long (see RFC2822 section 3.5)")
    if lines_broken(s) and break_lines(s) != EC_OK:
        return refuse(s, 452, b"4.3.1 out of memory")
    return EC_OK


cdef int body_judge(session_t *s) noexcept nogil:
    cdef slice_t body = blob_slice(s.blob)
    cdef size_t head
    cdef bint in_head, in_body
    cdef int64_t for_head = opt_number(s.values, OPT_RFC2822_LONE_LF_IN_HEADERS)
    cdef int64_t for_body = opt_number(s.values, OPT_RFC2822_LONE_LF_IN_BODY)
    if s.scan.flags & (DATA_LONE_CR | DATA_LONE_LF):
        head = header_length(body)
        in_head = lone_in(slice_make(body.ptr, head))
        in_body = lone_in(slice_make(body.ptr + head, body.len - head)) or (s.large != NULL and not in_head)
        if in_head and for_head == RFC2822_LONE_LF_IN_HEADERS_PEDANTIC:
            return refuse(s, 550, b"5.6.0 Lone CR or LF in headers (see RFC2822 section 2.2)")
        if in_body and for_body == RFC2822_LONE_LF_IN_BODY_PEDANTIC:
            return refuse(s, 550, b"5.6.0 Lone CR or LF in body (see RFC2822 section 2.3)")
        if in_body and for_body == RFC2822_LONE_LF_IN_BODY_FIX:
            head = body.len
        elif not in_head:
            head = 0
        if head and mend(s, head) != EC_OK:
            return refuse(s, 452, b"4.3.1 out of memory")
    return judge_lines(s)


cdef slice_t helo_safe(session_t *s, char *room, size_t size) noexcept nogil:
    """The client's name as it may stand in a comment."""
    cdef size_t i, n = s.helo.len if s.helo.len < size else size
    cdef char c
    for i in range(n):
        c = s.helo.ptr[i]
        room[i] = c if 33 <= c <= 126 and c != c'(' and c != c')' and c != c'\\' else c'?'
    return slice_make(room, n)


cdef int received(session_t *s, buf_t *b) noexcept nogil:
    cdef char id[MESSAGE_ID_TEXT]
    cdef char room[255]
    message_id_text(s.rcpts.message.id, id)
    buf_printf(b, b"Received: from [%s] ([%s] helo=", s.peer_ip, s.peer_text)
    buf_add_slice(b, helo_safe(s, room, sizeof(room)))
    buf_add_z(b, b")\r\n\tby ")
    buf_add_slice(b, session_received_hostname(s))
    buf_add_z(b, b" (envelope-from <")
    buf_add_slice(b, s.mailfrom_said)
    buf_printf(b, b">)\r\n\t(ecelerity %s) with %s", server_version(),
               b"ESMTPS" if s.stream.ssl != NULL else (b"ESMTP" if s.esmtp else b"SMTP"))
    if s.stream.ssl != NULL:
        buf_printf(b, b" (cipher=%s) ", SSL_CIPHER_get_name(SSL_get_current_cipher(s.stream.ssl)))
    buf_add_z(b, b"\r\n\tid ")
    buf_add(b, id, MESSAGE_ID_TEXT)
    return buf_printf(b, b"; %s\r\n", rfc_date(s.loop))


cdef int body_trace(session_t *s) noexcept nogil:
    cdef header_walk_t w
    cdef header_field_t f
    cdef buf_t b
    cdef char id[MESSAGE_ID_TEXT]
    cdef bint date = False, message_id = False, any_ = False, returned = False
    cdef bint trace = opt_number(s.values, OPT_RFC2822_TRACE_HEADERS) == 1
    cdef slice_t body = blob_slice(s.blob), host
    cdef int rc
    memset(&b, 0, sizeof(b))
    header_walk_init(&w, body, opt_number(s.values, OPT_MAX_HEADER_BYTES))
    while True:
        rc = header_next(&w, &f)
        if rc != EC_OK:
            break
        any_ = True
        if f.name.len == 4 and slice_ieq(f.name, slice_of(b"Date")):
            date = True
        elif f.name.len == 10 and slice_ieq(f.name, slice_of(b"Message-ID")):
            message_id = True
        elif is_return_path(f.name):
            returned = True
    if rc == EC_SYNTAX:
        if any_:
            return refuse(s, 550, b"5.6.0 Invalid header found (see RFC2822 section 3.6)")
        if opt_number(s.values, OPT_RFC2822_MISSING_HEADERS) == RFC2822_MISSING_HEADERS_REJECT:
            return refuse(s, 550, b"5.6.0 Required headers not found (see RFC2822 section 3.6)")
    elif rc != EC_NOTFOUND:
        return refuse(s, 552, b"5.3.4 header size limit exceeded")
    elif not any_ and opt_number(s.values, OPT_RFC2822_MISSING_HEADERS) == RFC2822_MISSING_HEADERS_REJECT:
        return refuse(s, 550, b"5.6.0 Required headers not found (see RFC2822 section 3.6)")
    if not date and opt_number(s.values, OPT_RFC2822_DATE_HEADER) == RFC2822_DATE_HEADER_PEDANTIC:
        return refuse(s, 550, b"5.6.0 Missing required RFC2822 Date field (see RFC2822 section 3.6)")
    if trace:
        buf_add_z(&b, b"Return-Path: <")
        buf_add_slice(&b, s.mailfrom_said)
        buf_add_z(&b, b">\r\n")
        received(s, &b)
    if not date and opt_number(s.values, OPT_RFC2822_DATE_HEADER) == RFC2822_DATE_HEADER_IFNEEDED:
        buf_printf(&b, b"Date: %s\r\n", rfc_date(s.loop))
    if not message_id and opt_number(s.values, OPT_RFC2822_MESSAGEID_HEADER) == RFC2822_MESSAGEID_HEADER_IFNEEDED:
        message_id_text(s.rcpts.message.id, id)
        buf_printf(&b, b"Message-ID: <%.2s.%.2s.%.5s.%.8s@", id, id + 3, id + 6, id + 12)
        host = session_hostname(s)
        buf_add_slice(&b, host)
        buf_add_z(&b, b">\r\n")
    if not any_ and not w.ended:
        buf_add_z(&b, b"\r\n")              # header-less mail: ours stand alone before its body
    if returned and trace:
        cut_return_paths(s.blob)
    rc = blob_prepend(s.blob, b.ptr, b.len) if b.len else EC_OK
    buf_free(&b)
    return rc if rc == EC_OK else refuse(s, 452, b"4.3.1 out of memory")


cdef extern from "string.h" nogil:
    void *memmove(void*, const void*, size_t)


cdef bint is_return_path(slice_t name) noexcept nogil:
    return name.len == 11 and slice_ieq(name, slice_of(b"Return-Path"))


cdef void cut_return_paths(blob_t *b) noexcept nogil:
    """What stands between them moves together, then up to what follows the last: each byte twice at most."""
    cdef header_walk_t w
    cdef header_field_t f
    cdef slice_t body = blob_slice(b)
    cdef char *at = b.ptr + b.off
    cdef size_t kept = 0, behind = 0
    header_walk_init(&w, body, body.len)
    while header_next(&w, &f) == EC_OK:
        if is_return_path(f.name):
            memmove(at + kept, at + behind, f.start - behind)
            kept += f.start - behind
            behind = f.end
    memmove(at + behind - kept, at, kept)
    b.off += <uint32_t>(behind - kept)
    b.len -= behind - kept
