"""Transactions of an outbound connection: mail taken by lease, envelopes and bodies sent.

With PIPELINING the envelope of the next transaction follows the body of the
one in hand in one write.
"""
from libc.stdint cimport int64_t, uint32_t
from libc.stdio cimport snprintf
from libc.string cimport memset

from pymomentum.core.base.buf cimport buf_add_slice, buf_clear, buf_free, buf_slice, buf_t
from pymomentum.core.base.list cimport list_append, list_empty, list_init, list_node_t, list_remove
from pymomentum.core.base.slice cimport slice_make, slice_of, slice_t
from pymomentum.core.base.status cimport EC_AGAIN, EC_CORRUPT, EC_OK
from pymomentum.core.c.uv cimport uv_buf_t
from pymomentum.core.config.values cimport *
from pymomentum.core.message.message cimport BODY_8BIT, BODY_LARGE, BODY_UNCLEAN, blob_slice, body_seq, ec_message_t
from pymomentum.core.mime.header cimport header_end
from pymomentum.core.mime.overlay cimport overlay_has_body, overlay_render
from pymomentum.core.net.stream cimport *
from pymomentum.core.queue.lease cimport *
from pymomentum.core.queue.outcome cimport OUTCOME_PERMANENT, OUTCOME_RETURN, OUTCOME_TRANSIENT
from pymomentum.core.queue.permit cimport permit_wanted
from pymomentum.core.smtp.dotstuff cimport dot_encode, dot_encode_finish, dot_encode_init
from pymomentum.core.smtp.extension cimport EXT_8BITMIME, EXT_PIPELINING, EXT_SIZE
from pymomentum.core.spool.large cimport large_read, large_reader_free, large_reader_new
from .session cimport *


cdef void transfer_start() noexcept nogil:
    client_set_mail(ask, on_granted, on_wake)


# ---- mail by lease -----------------------------------------------------------------

cdef bint more_allowed(client_t *c) noexcept nogil:
    cdef int64_t deliveries = opt_number(c.values, OPT_MAX_DELIVERIES_PER_CONNECTION)
    cdef int64_t recipients = opt_number(c.values, OPT_MAX_RECIPIENTS_PER_CONNECTION)
    cdef uint32_t hoped = c.deliveries + (c.tx[c.now].n if c.tx[c.now].active else 0)      # with those in hand
    return not c.quitting and (deliveries <= 0 or hoped < deliveries) and (recipients <= 0 or c.recipients < recipients)


cdef uint32_t batch_most(client_t *c) noexcept nogil:
    cdef int64_t most = opt_number(c.values, OPT_MAX_RECIPIENTS_PER_BATCH)
    return <uint32_t>(most if 0 < most < BATCH_MAX else BATCH_MAX)


cdef void ask(client_t *c) noexcept nogil:
    """More mail, if this connection may carry it and no question is open."""
    if c.lease.asking or c.stream.closing or c.lease.resting:
        return
    if not more_allowed(c):
        if not c.tx[0].active and not c.tx[1].active:
            client_quit(c)
        return
    lease_ask(&c.lease, batch_most(c))


cdef void on_granted(lease_t *l) noexcept nogil:
    cdef client_t *c = NULL
    cdef transfer_t *t
    cdef uint32_t which
    c = <client_t*>(<char*>l - (<char*>&c.lease - <char*>c))
    if l.n == 0:
        nothing(c)
        return
    which = c.now if not c.tx[c.now].active else 1 - c.now
    t = &c.tx[which]
    memset(t, 0, sizeof(t[0]))
    list_init(&t.batch)
    while not list_empty(&l.batch):
        take(t, l.batch.next)
    t.active = True
    if c.stream.closing or c.stream.closed or c.quitting:
        client_settle_all(c, t, OUTCOME_RETURN, slice_make(NULL, 0))
        t.active = False
        client_leave(c)
        return
    if which == c.now:
        send_envelope(c, which)
        stream_flush(&c.stream)
        prefetch(c)
        client_check(c)


cdef inline void take(transfer_t *t, list_node_t *node) noexcept nogil:
    list_remove(node)
    list_append(&t.batch, node)
    t.n += 1


cdef void nothing(client_t *c) noexcept nogil:
    """No mail for this connection now."""
    if c.stream.closing or c.stream.closed:
        client_leave(c)
        return
    if c.tx[0].active or c.tx[1].active or c.quitting:
        return
    if c.lease.wait_ms or permit_wanted(&c.permit):
        client_quit(c)                     # throttled, mail stays in the active queue; or another needs the connection more
        return
    client_stage(c, STAGE_IDLE, opt_number(c.values, OPT_IDLE_TIMEOUT))
    lease_rest(&c.lease)


cdef void on_wake(lease_t *l) noexcept nogil:
    cdef client_t *c = NULL
    c = <client_t*>(<char*>l - (<char*>&c.lease - <char*>c))
    if not c.stream.closing and not c.quitting:
        ask(c)


cdef void prefetch(client_t *c) noexcept nogil:
    """With PIPELINING: have the next transaction at hand when the body of this one goes out."""
    if c.extensions & EXT_PIPELINING and c.tx[c.now].active and not c.tx[1 - c.now].active and more_allowed(c):
        ask(c)


# ---- what is sent ------------------------------------------------------------------

cdef void send_envelope(client_t *c, uint32_t which) noexcept nogil:
    """RSET where the last transaction left something, then MAIL; at once where the peer takes that."""
    if c.need_rset:
        c.need_rset = False
        client_expect(c, EXPECT_RSET, which, NULL)
        stream_write(&c.stream, b"RSET\r\n", 6)
        if which == c.now:
            client_stage(c, STAGE_RSET, opt_number(c.values, OPT_RSET_TIMEOUT))
        if not c.extensions & EXT_PIPELINING:
            return                      # its reply brings the rest
    elif which == c.now:
        client_stage(c, STAGE_MAILFROM, opt_number(c.values, OPT_MAILFROM_TIMEOUT))
    send_mail(c, which)


cdef void transfer_reset(client_t *c, uint32_t which) noexcept nogil:
    if which == c.now:
        client_stage(c, STAGE_MAILFROM, opt_number(c.values, OPT_MAILFROM_TIMEOUT))
    if not c.extensions & EXT_PIPELINING:
        send_mail(c, which)


cdef void send_mail(client_t *c, uint32_t which) noexcept nogil:
    """MAIL, and behind it RCPT and DATA where the peer takes them at once."""
    cdef transfer_t *t = &c.tx[which]
    cdef ec_message_t *m = <ec_message_t*>t.batch.next
    cdef char tail[64]
    cdef int n
    cdef slice_t sender = m.env.mailfrom
    client_expect(c, EXPECT_MAIL, which, NULL)
    stream_write(&c.stream, b"MAIL FROM:<", 11)
    stream_write(&c.stream, sender.ptr, sender.len)
    n = 1
    tail[0] = c'>'
    if c.extensions & EXT_SIZE:
        n += snprintf(tail + n, sizeof(tail) - n, b" SIZE=%llu", <unsigned long long>m.env.body_size)
    if c.extensions & EXT_8BITMIME and m.flags & BODY_8BIT and opt_number(c.values, OPT_SEND_8BITMIME) == SEND_8BITMIME_IFAVAILABLE:
        n += snprintf(tail + n, sizeof(tail) - n, b" BODY=8BITMIME")
    n += snprintf(tail + n, sizeof(tail) - n, b"\r\n")
    stream_write(&c.stream, tail, n)
    if c.extensions & EXT_PIPELINING:
        send_rcpts(c, which)
        transfer_data(c, which)


cdef void send_rcpts(client_t *c, uint32_t which) noexcept nogil:
    cdef list_node_t *node = c.tx[which].batch.next
    while node != &c.tx[which].batch:
        transfer_rcpt(c, which, <ec_message_t*>node)
        node = node.next


cdef void transfer_rcpt(client_t *c, uint32_t which, ec_message_t *m) noexcept nogil:
    client_expect(c, EXPECT_RCPT, which, m)
    stream_write(&c.stream, b"RCPT TO:<", 9)
    stream_write(&c.stream, m.env.rcptto.ptr, m.env.rcptto.len)
    stream_write(&c.stream, b">\r\n", 3)
    c.recipients += 1


cdef void transfer_data(client_t *c, uint32_t which) noexcept nogil:
    c.tx[which].data_sent = True
    client_expect(c, EXPECT_DATA, which, NULL)
    stream_write(&c.stream, b"DATA\r\n", 6)


cdef void fail_here(client_t *c, const char *text) noexcept nogil:
    """The trouble is ours: the connection has to go, but the host has not failed."""
    if c.tx[c.now].active:
        client_settle_all(c, &c.tx[c.now], OUTCOME_TRANSIENT, slice_of(text))
    c.tx[c.now].active = False
    client_broken(c, text)


cdef void transfer_body(client_t *c) noexcept nogil:
    """Body, dot, and the next envelope, in one write."""
    cdef transfer_t *t = &c.tx[c.now]
    cdef ec_message_t *m = <ec_message_t*>t.batch.next
    cdef uint32_t other = 1 - c.now
    cdef slice_t head = slice_make(NULL, 0), body
    cdef uv_buf_t b[3]
    cdef buf_t held
    if m.flags & BODY_LARGE:
        send_large(c, m)
        return
    body = blob_slice(m.blob)
    if m.env.overlay.len:
        buf_clear(&c.head)
        if overlay_render(body, m.env.overlay, &c.head, &body) != EC_OK:
            fail_here(c, b"451 4.3.0 [internal] out of memory")
            return
        head = buf_slice(&c.head)
    expect_dot(c)
    t.body_sent = True
    c.loop.work_seq[0] = m.seq
    t.bytes = head.len + body.len
    client_stage(c, STAGE_CONFIRMATION, opt_number(c.values, OPT_BODY_TIMEOUT))
    stream_flush(&c.stream)
    if m.flags & BODY_UNCLEAN or c.stream.ssl != NULL or c.stream.writing or c.stream.out.len:
        if m.flags & BODY_UNCLEAN:
            dot_encode_init(&c.encoder, True)
            send_encoded(c, head)
            send_encoded(c, body)
            end_encoded(c)
        else:
            stream_write(&c.stream, head.ptr, head.len)
            stream_write(&c.stream, body.ptr, body.len)
        send_dot(c)
        return
    # what follows the body is gathered in `out`, then both go in one call
    stream_write(&c.stream, b".\r\n", 3)
    if c.tx[other].active:
        send_envelope(c, other)
    held = c.stream.out
    memset(&c.stream.out, 0, sizeof(held))
    b[0].base = <char*>head.ptr
    b[0].len = head.len
    b[1].base = <char*>body.ptr
    b[1].len = body.len
    b[2].base = held.ptr
    b[2].len = held.len
    if head.len:
        stream_writev(&c.stream, b, 3)
    else:
        stream_writev(&c.stream, b + 1, 2)
    if c.stream.out.ptr == NULL:
        held.len = 0
        c.stream.out = held         # its memory serves again
    else:
        buf_free(&held)


cdef void expect_dot(client_t *c) noexcept nogil:
    """One reply; from LMTP one for each recipient it took, in their order."""
    cdef list_node_t *node = c.tx[c.now].batch.next
    if not client_lmtp(c):
        client_expect(c, EXPECT_DOT, c.now, NULL)
        return
    while node != &c.tx[c.now].batch:
        client_expect(c, EXPECT_DOT, c.now, <ec_message_t*>node)
        node = node.next


cdef void send_dot(client_t *c) noexcept nogil:
    """The final dot, and the next envelope behind it."""
    cdef uint32_t other = 1 - c.now
    stream_write(&c.stream, b".\r\n", 3)
    if c.tx[other].active:
        send_envelope(c, other)
    stream_flush(&c.stream)


cdef void send_encoded(client_t *c, slice_t body) noexcept nogil:
    cdef char room[8192]
    cdef size_t used = 0, made = 0
    while body.len:
        dot_encode(&c.encoder, body, room, sizeof(room), &used, &made)
        stream_write(&c.stream, room, made)
        body = slice_make(body.ptr + used, body.len - used)


cdef void end_encoded(client_t *c) noexcept nogil:
    cdef char room[4]
    stream_write(&c.stream, room, dot_encode_finish(&c.encoder, room))


cdef void send_large(client_t *c, ec_message_t *m) noexcept nogil:
    """A body in a file: a chunk is read while the kernel takes the one before."""
    client_stage(c, STAGE_BODY, opt_number(c.values, OPT_BODY_TIMEOUT))
    dot_encode_init(&c.encoder, True)
    c.stream.on_drain = on_drain
    c.edited = m.env.overlay.len == 0
    buf_clear(&c.head)
    c.reader = large_reader_new(c.loop, body_seq(m), m.body, c, on_chunk)
    if c.reader == NULL:
        fail_here(c, b"451 4.3.0 [internal] out of memory")
        return
    large_read(c.reader)


cdef void on_chunk(void *owner, int rc) noexcept nogil:
    cdef client_t *c = <client_t*>owner
    cdef transfer_t *t = &c.tx[c.now]
    cdef ec_message_t *m
    cdef slice_t chunk = buf_slice(&c.reader.bytes)
    if rc != EC_OK:
        # the peer has half a message: only closing tells it so
        if rc == EC_CORRUPT:
            client_settle_all(c, t, OUTCOME_PERMANENT, slice_of(b"550 5.3.0 [internal] message body missing"))
        fail_here(c, b"451 4.3.0 [internal] spool cannot be read now")
        return
    m = <ec_message_t*>t.batch.next
    client_stage(c, STAGE_BODY, opt_number(c.values, OPT_BODY_TIMEOUT))
    if c.edited:
        send_part(c, m, chunk)
    else:
        rc = send_edited(c, m, chunk)
        if rc == EC_AGAIN:              # its header goes on
            large_read(c.reader)
            return
        if rc != EC_OK:
            fail_here(c, b"451 4.3.0 [internal] out of memory")
            return
        if overlay_has_body(m.env.overlay):
            chunk.len = 0               # what follows is not sent
    if chunk.len == 0:
        large_reader_free(c.reader)
        c.reader = NULL
        if m.flags & BODY_UNCLEAN:
            end_encoded(c)
        t.body_sent = True
        t.bytes = m.env.body_size
        expect_dot(c)
        client_stage(c, STAGE_CONFIRMATION, opt_number(c.values, OPT_BODY_TIMEOUT))
        send_dot(c)
        return
    stream_flush(&c.stream)
    client_check(c)
    if c.reader != NULL and stream_pending(&c.stream) == 0:
        large_read(c.reader)


cdef void send_part(client_t *c, ec_message_t *m, slice_t part) noexcept nogil:
    if m.flags & BODY_UNCLEAN:
        send_encoded(c, part)
    else:
        stream_write(&c.stream, part.ptr, part.len)


cdef int send_edited(client_t *c, ec_message_t *m, slice_t chunk) noexcept nogil:
    """The header with its edits, once all of it is there, and what came behind it.  EC_AGAIN: not yet; EC_NOMEM."""
    cdef buf_t out
    cdef slice_t rest
    cdef size_t end = 0
    cdef int rc = buf_add_slice(&c.head, chunk)
    if rc == EC_OK and chunk.len and (header_end(buf_slice(&c.head), c.head.len, &end) != EC_OK or end == c.head.len):
        return EC_AGAIN
    memset(&out, 0, sizeof(out))
    if rc == EC_OK:
        rc = overlay_render(buf_slice(&c.head), m.env.overlay, &out, &rest)
    if rc == EC_OK:
        c.edited = True
        send_part(c, m, buf_slice(&out))
        send_part(c, m, rest)
    buf_free(&out)
    buf_free(&c.head)
    return rc


cdef void on_drain(stream_t *st, int status) noexcept nogil:
    cdef client_t *c = <client_t*>st
    if c.reader != NULL and not c.reader.busy:
        large_read(c.reader)


# ---- the next ----------------------------------------------------------------------

cdef void transfer_over(client_t *c) noexcept nogil:
    """The transaction in hand is over: the one behind it comes up, or new mail is asked for."""
    cdef uint32_t other = 1 - c.now
    c.tx[c.now].active = False
    if c.stream.closing:
        return
    if c.tx[other].active:
        c.now = other
        if c.tx[other].mail_code == 0 and not envelope_out(c, other):
            send_envelope(c, other)
        elif c.expect_head != c.expect_tail and c.expect[c.expect_head % EXPECT_SIZE].kind == EXPECT_RSET:
            client_stage(c, STAGE_RSET, opt_number(c.values, OPT_RSET_TIMEOUT))
        else:
            client_stage(c, STAGE_MAILFROM, opt_number(c.values, OPT_MAILFROM_TIMEOUT))
        prefetch(c)
        return
    ask(c)


cdef bint envelope_out(client_t *c, uint32_t which) noexcept nogil:
    """Is its MAIL on the wire already?"""
    cdef uint32_t i = c.expect_head
    while i != c.expect_tail:
        if c.expect[i % EXPECT_SIZE].kind == EXPECT_MAIL and c.expect[i % EXPECT_SIZE].which == which:
            return True
        i += 1
    return False
