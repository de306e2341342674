"""Replies of the peer: lines put together, and what each reply means.

The last line of a reply decides.  What is pipelined is answered in order: the
head of `expect` says what a reply is about.
"""
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memchr, memcpy

from pymomentum.core.base.buf cimport buf_add, buf_clear, buf_slice
from pymomentum.core.base.list cimport list_empty, list_node_t
from pymomentum.core.base.slice cimport slice_make, slice_t
from pymomentum.core.base.status cimport EC_CLOSED, EC_OK
from pymomentum.core.config.values cimport *
from pymomentum.core.message.message cimport ec_message_t
from pymomentum.core.net.stream cimport *
from pymomentum.core.queue.outcome cimport OUTCOME_DELIVERED, OUTCOME_PERMANENT, OUTCOME_RETURN, OUTCOME_TRANSIENT
from pymomentum.core.smtp.extension cimport EXT_PIPELINING, smtp_extension_parse
from pymomentum.core.smtp.reply cimport smtp_reply_parse, smtp_reply_t
from .auth cimport auth_challenged
from .body cimport body_send
from .session cimport *
from .transaction cimport transfer_data, transfer_give_back, transfer_mail, transfer_over, transfer_rcpt, transfer_reset
from .xclient cimport xclient_accepted


cdef void response_start() noexcept nogil:
    client_set_input(on_read)


# ---- lines -------------------------------------------------------------------------

cdef void on_read(stream_t *st, const char *p, size_t n) noexcept nogil:
    cdef client_t *c = <client_t*>st
    cdef const char *nl
    cdef size_t len_, most = opt_number(c.values, OPT_MAX_REPLY_LENGTH)
    if n == 0:
        on_eof(c)
        return
    while n and not st.closing:
        nl = <const char*>memchr(p, c'\n', n)
        if nl == NULL or c.line.len:
            len_ = nl + 1 - p if nl != NULL else n
            if c.line.len + len_ > most * 2 + 2:
                client_broken(c, b"451 4.4.2 [internal] reply line too long")
                return
            buf_add(&c.line, p, len_)
            p += len_
            n -= len_
            if nl == NULL:
                return
            on_line(c, buf_slice(&c.line))
            buf_clear(&c.line)
            continue
        len_ = nl + 1 - p
        if len_ > most * 2 + 2:         # as it is told where it comes in pieces
            client_broken(c, b"451 4.4.2 [internal] reply line too long")
            return
        on_line(c, slice_make(p, len_))
        p += len_
        n -= len_
    if not st.closing:
        stream_flush(st)
        client_check(c)


cdef void on_eof(client_t *c) noexcept nogil:
    if c.quitting or (c.stage == STAGE_IDLE and not c.tx[0].active and not c.tx[1].active):
        client_close(c)
    elif c.deliveries and (c.stage == STAGE_MAILFROM or c.stage == STAGE_RSET or c.stage == STAGE_XCLIENT):
        transfer_give_back(c)
    elif c.stage == STAGE_TLS:
        client_secured(&c.stream, EC_CLOSED)
    elif STAGE_MAILFROM <= c.stage <= STAGE_CONFIRMATION:
        client_broken(c, b"451 4.4.2 [internal] connection closed by remote host")
    else:
        client_broken(c, client_broken_text(c))


cdef void on_line(client_t *c, slice_t line) noexcept nogil:
    cdef smtp_reply_t r
    cdef uint64_t size = 0
    while line.len and (line.ptr[line.len - 1] == c'\n' or line.ptr[line.len - 1] == c'\r'):
        line = slice_make(line.ptr, line.len - 1)
    if c.expect_head == c.expect_tail or smtp_reply_parse(line, &r) != EC_OK:
        # 421 out of turn is a good-bye (RFC 5321 3.8); anything else is no SMTP
        client_broken(c, b"451 4.4.2 [internal] connection closed by remote host" if line.len >= 3 and line.ptr[0] == c'4'
               else b"451 4.4.2 [internal] peer does not speak SMTP")
        return
    if c.reply_lines == 0:
        c.reply_len = 0
    c.reply_lines += 1
    if c.reply_lines > opt_number(c.values, OPT_MAX_REPLY_LINES):
        client_broken(c, b"451 4.4.2 [internal] reply has too many lines")
        return
    keep_text(c, line)
    if c.expect[c.expect_head % EXPECT_SIZE].kind == EXPECT_EHLO and c.reply_lines > 1:
        smtp_extension_parse(slice_make(line.ptr + 4, line.len - 4 if line.len > 4 else 0), &c.extensions, &size)
        if size:
            c.peer_size = size
    if r.more:
        return
    c.reply_lines = 0
    c.reply_code = r.code               # the last line decides
    on_reply(c)


cdef void keep_text(client_t *c, slice_t line) noexcept nogil:
    """The text that logs carry: lines joined by blanks, the code once."""
    cdef uint32_t n
    cdef size_t most = opt_number(c.values, OPT_MAX_REPLY_LENGTH)
    if line.len > most:
        line = slice_make(line.ptr, most)
    if c.reply_len:
        line = slice_make(line.ptr + 4, line.len - 4) if line.len > 4 else slice_make(line.ptr, 0)
        if c.reply_len < REPLY_ROOM - 1 and line.len:
            c.reply[c.reply_len] = c' '
            c.reply_len += 1
    n = <uint32_t>(line.len if line.len < REPLY_ROOM - 1 - c.reply_len else REPLY_ROOM - 1 - c.reply_len)
    memcpy(c.reply + c.reply_len, line.ptr, n)
    c.reply_len += n
    c.reply[c.reply_len] = 0
    if c.reply_len > 3 and c.reply[3] == c'-':
        c.reply[3] = c' '


# ---- what they mean ----------------------------------------------------------------

cdef inline int outcome_of(int code) noexcept nogil:
    if code >= 500:
        return OUTCOME_PERMANENT
    return OUTCOME_TRANSIENT if code >= 400 else OUTCOME_DELIVERED


cdef void on_reply(client_t *c) noexcept nogil:
    cdef expected_t e = c.expect[c.expect_head % EXPECT_SIZE]
    cdef int code = c.reply_code
    c.expect_head += 1
    if code == 421 and EXPECT_XCLIENT <= e.kind <= EXPECT_RSET:
        farewell(c, e.kind)
    elif e.kind == EXPECT_DOT:
        on_confirmation(c, &c.tx[e.which], e.m, code)
    elif e.kind == EXPECT_MAIL:
        on_mail(c, e.which, code)
    elif e.kind == EXPECT_RCPT:
        on_rcpt(c, e.which, e.m, code)
    elif e.kind == EXPECT_DATA:
        on_data(c, e.which, code)
    elif e.kind == EXPECT_BANNER:
        if code // 100 == 2:
            client_hello(c, opt_number(c.values, OPT_DELIVERY_METHOD) == DELIVERY_METHOD_SMTP)
        else:
            client_refused(c)
    elif e.kind == EXPECT_EHLO:
        if code // 100 == 2:
            client_greeted(c)
        elif code >= 500 and not c.secured and not client_lmtp(c):
            client_hello(c, True)
        else:
            client_refused(c)
    elif e.kind == EXPECT_HELO:
        if code // 100 == 2:
            client_greeted(c)
        else:
            client_refused(c)
    elif e.kind == EXPECT_STARTTLS:
        if code // 100 == 2:
            client_start_tls(c)
        elif opt_number(c.values, OPT_TLS) == TLS_IFAVAILABLE and opt_number(c.values, OPT_TLS_IFAVAILABLE_FALLBACK) == 1:
            client_in_clear(c)
        else:
            client_no_tls(c, b"451 4.7.5 [internal] no tls go-ahead")
    elif e.kind == EXPECT_AUTH:
        if code == 235:
            client_ready(c)
        elif code == 334:
            auth_challenged(c)
        else:
            client_refused(c)
    elif e.kind == EXPECT_XCLIENT:
        on_xclient(c, e.which, code)
    elif e.kind == EXPECT_QUIT:
        client_close(c)
    elif e.kind == EXPECT_RSET:
        if code // 100 == 2:
            transfer_reset(c, e.which)
        else:
            client_broken(c, b"451 4.4.2 [internal] no RSET response")


cdef void farewell(client_t *c, int kind) noexcept nogil:
    """421: the peer is about to close (RFC 5321 3.8).  To MAIL after some deliveries it means no message."""
    c.stage = (STAGE_XCLIENT if kind == EXPECT_XCLIENT else STAGE_MAILFROM if kind == EXPECT_MAIL else STAGE_RCPTTO if kind == EXPECT_RCPT else
               STAGE_DATA if kind == EXPECT_DATA else STAGE_CONFIRMATION if kind == EXPECT_DOT else STAGE_RSET)
    if c.deliveries and (kind == EXPECT_XCLIENT or kind == EXPECT_MAIL or kind == EXPECT_RSET):
        transfer_give_back(c)
    else:
        client_broken(c, c.reply)


cdef void on_xclient(client_t *c, uint32_t which, int code) noexcept nogil:
    """Refused: it matters where it is required, or where the peer would take the mail for another client's."""
    if code // 100 == 2:
        xclient_accepted(c)
    elif opt_number(c.values, OPT_XCLIENT) == XCLIENT_REQUIRED:
        client_settle_all(c, &c.tx[which], OUTCOME_TRANSIENT, slice_make(c.reply, c.reply_len))
        transfer_over(c)
    elif c.said[0]:
        transfer_give_back(c)
    else:
        transfer_mail(c, which)


cdef void on_mail(client_t *c, uint32_t which, int code) noexcept nogil:
    cdef transfer_t *t = &c.tx[which]
    t.mail_code = code
    if code // 100 == 2:
        if which == c.now:
            client_stage(c, STAGE_RCPTTO, opt_number(c.values, OPT_RCPTTO_TIMEOUT))
        if not c.extensions & EXT_PIPELINING:
            transfer_rcpt(c, which, <ec_message_t*>t.batch.next)
        return
    client_settle_all(c, t, outcome_of(code), slice_make(c.reply, c.reply_len))
    t.mail_code = code
    if not t.data_sent:                 # else the replies to RCPT and DATA are still to come
        transfer_over(c)


cdef void on_rcpt(client_t *c, uint32_t which, ec_message_t *m, int code) noexcept nogil:
    cdef transfer_t *t = &c.tx[which]
    cdef list_node_t *next = NULL
    if t.mail_code // 100 != 2:
        return                          # settled with MAIL
    if not c.extensions & EXT_PIPELINING:
        next = m.node.next
    if code // 100 == 2:
        t.accepted += 1
    else:
        c.stage = STAGE_RCPTTO
        t.n -= 1
        client_settle(c, m, outcome_of(code) if code >= 400 else OUTCOME_TRANSIENT, slice_make(c.reply, c.reply_len), 0)
    if c.extensions & EXT_PIPELINING:
        return
    if next != &t.batch:
        transfer_rcpt(c, which, <ec_message_t*>next)
    elif t.accepted:
        client_stage(c, STAGE_DATA, opt_number(c.values, OPT_RCPTTO_TIMEOUT))
        transfer_data(c, which)
    else:
        c.need_rset = True
        transfer_over(c)


cdef void on_data(client_t *c, uint32_t which, int code) noexcept nogil:
    cdef transfer_t *t = &c.tx[which]
    if t.mail_code // 100 == 2 and t.accepted and code // 100 == 3:
        body_send(c)
        return
    if code // 100 == 3:                # RFC 2920 3.1: no recipient, but the peer waits for a body
        client_expect(c, EXPECT_DOT, which, NULL)
        stream_write(&c.stream, b".\r\n", 3)
        return
    if t.mail_code // 100 == 2 and t.accepted:
        c.stage = STAGE_DATA
        client_settle_all(c, t, outcome_of(code) if code >= 400 else OUTCOME_TRANSIENT, slice_make(c.reply, c.reply_len))
    if t.mail_code // 100 == 2:
        c.need_rset = True
    transfer_over(c)


cdef void on_confirmation(client_t *c, transfer_t *t, ec_message_t *m, int code) noexcept nogil:
    """m: the reply is of this recipient (RFC 2033 4.2); NULL: of all."""
    cdef int outcome = OUTCOME_DELIVERED if code // 100 == 2 else outcome_of(code) if code >= 400 else OUTCOME_TRANSIENT
    if code // 100 == 2:
        c.deliveries += t.n if m == NULL else 1
        c.lease.deliver_us = <uint32_t>(c.loop.now_ms - c.since_ms) * 1000 + 1
    if m == NULL:
        client_settle_all(c, t, outcome, slice_make(c.reply, c.reply_len))
    else:
        t.n -= 1
        client_settle(c, m, outcome, slice_make(c.reply, c.reply_len), t.bytes)
        if not list_empty(&t.batch):
            client_stage(c, STAGE_CONFIRMATION, opt_number(c.values, OPT_BODY_TIMEOUT))
            return
    transfer_over(c)
