"""Bodies of an outbound connection: one write with the next envelope behind, or in pieces from a file.

For a peer of 7 bits a body with 8-bit data is made another (transform_8bitmime_content);
a large one is read twice for that.
"""
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

from pymomentum.core.base.buf cimport buf_add_slice, buf_clear, buf_free, buf_slice, buf_t
from pymomentum.core.base.list cimport list_node_t
from pymomentum.core.base.slice cimport slice_make, slice_of, slice_t
from pymomentum.core.base.status cimport EC_AGAIN, EC_CORRUPT, EC_NOMEM, EC_OK, EC_REFUSED
from pymomentum.core.c.uv cimport uv_buf_t
from pymomentum.core.config.values cimport *
from pymomentum.core.message.message cimport BODY_8BIT, BODY_LARGE, BODY_UNCLEAN, blob_slice, body_seq, ec_message_t
from pymomentum.core.mime.header cimport header_end
from pymomentum.core.mime.overlay cimport overlay_has_body, overlay_render
from pymomentum.core.mime.part cimport mime_limits_t
from pymomentum.core.net.stream cimport *
from pymomentum.core.queue.outcome cimport OUTCOME_PERMANENT, OUTCOME_TRANSIENT
from pymomentum.core.smtp.dotstuff cimport dot_encode, dot_encode_finish, dot_encode_init
from pymomentum.core.smtp.downconvert cimport (downconvert_end, downconvert_feed, downconvert_free, downconvert_new,
                                               downconvert_rewind, downconvert_whole)
from pymomentum.core.smtp.extension cimport EXT_8BITMIME
from pymomentum.core.spool.large cimport large_read, large_reader_free, large_reader_new
from .session cimport *

cdef envelope_fn send_envelope


cdef void body_set_next(envelope_fn send) noexcept nogil:
    global send_envelope
    send_envelope = send


cdef bint body_converts(client_t *c, const ec_message_t *m) noexcept nogil:
    cdef int64_t how
    if not m.flags & BODY_8BIT:
        return False
    how = opt_number(c.values, OPT_TRANSFORM_8BITMIME_CONTENT)
    return how == TRANSFORM_8BITMIME_CONTENT_STRIP or how != TRANSFORM_8BITMIME_CONTENT_NO and not c.extensions & EXT_8BITMIME


cdef void fail_here(client_t *c, const char *text) noexcept nogil:
    """The trouble is ours: the connection has to go, but the host has not failed."""
    if c.tx[c.now].active:
        client_settle_all(c, &c.tx[c.now], OUTCOME_TRANSIENT, slice_of(text))
    c.tx[c.now].active = False
    client_broken(c, text)


cdef void body_send(client_t *c) noexcept nogil:
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
    if body_converts(c, m):
        send_converted(c, m, head, body)
        return
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


# ---- for a peer of 7 bits ----------------------------------------------------------

cdef int open_converter(client_t *c) noexcept nogil:
    cdef mime_limits_t limits
    cdef const values_t *values = c.generation.globals
    limits.bytes = 0                    # bodies of any length
    limits.header_bytes = opt_number(values, OPT_MAX_HEADER_BYTES)
    limits.parts = <uint32_t>opt_number(values, OPT_MAX_MIME_PARTS)
    limits.depth = <uint32_t>opt_number(values, OPT_MAX_MIME_DEPTH)
    c.down = downconvert_new(opt_number(c.values, OPT_TRANSFORM_8BITMIME_CONTENT) == TRANSFORM_8BITMIME_CONTENT_STRIP, &limits)
    return EC_OK if c.down != NULL else EC_NOMEM


cdef void close_converter(client_t *c) noexcept nogil:
    downconvert_free(c.down)
    c.down = NULL


cdef int judged(client_t *c) noexcept nogil:
    """All of the body has been seen; EC_REFUSED: it cannot be sent."""
    if opt_number(c.values, OPT_TRANSFORM_8BITMIME_CONTENT) == TRANSFORM_8BITMIME_CONTENT_STRICT and not downconvert_whole(c.down):
        return EC_REFUSED
    downconvert_rewind(c.down)
    return EC_OK


cdef int convert(client_t *c, slice_t part) noexcept nogil:
    cdef buf_t made
    cdef int rc
    c.loop.work_seq[0] = (<ec_message_t*>c.tx[c.now].batch.next).seq
    memset(&made, 0, sizeof(made))
    rc = downconvert_feed(c.down, part, &made)
    if rc == EC_OK:
        stream_write(&c.stream, made.ptr, made.len)
    buf_free(&made)
    return rc


cdef int end_converted(client_t *c) noexcept nogil:
    cdef buf_t made
    cdef int rc
    memset(&made, 0, sizeof(made))
    rc = downconvert_end(c.down, &made)
    if rc == EC_OK:
        stream_write(&c.stream, made.ptr, made.len)
    buf_free(&made)
    return rc


cdef void cannot_convert(client_t *c, int rc) noexcept nogil:
    """The peer waits for a body: only closing tells it that there is none."""
    close_converter(c)
    if rc == EC_REFUSED:
        c.stage = STAGE_BODY
        client_settle_all(c, &c.tx[c.now], OUTCOME_PERMANENT,
                          slice_of(b"554 5.6.3 [internal] 8-bit data outside of MIME parts that can be encoded, and the peer takes 7 bits"))
    fail_here(c, b"451 4.3.0 [internal] out of memory")


cdef void send_converted(client_t *c, ec_message_t *m, slice_t head, slice_t body) noexcept nogil:
    cdef transfer_t *t = &c.tx[c.now]
    cdef int rc = open_converter(c)
    while rc == EC_OK:
        rc = convert(c, head)
        if rc == EC_OK:
            rc = convert(c, body)
        if rc == EC_OK:
            rc = end_converted(c)
        if rc != EC_OK or not c.down.judging:
            break
        rc = judged(c)
    if rc != EC_OK:
        cannot_convert(c, rc)
        return
    close_converter(c)
    t.body_sent = True
    t.bytes = head.len + body.len
    expect_dot(c)
    client_stage(c, STAGE_CONFIRMATION, opt_number(c.values, OPT_BODY_TIMEOUT))
    send_dot(c)


# ---- large -------------------------------------------------------------------------

cdef void send_large(client_t *c, ec_message_t *m) noexcept nogil:
    """A body in a file: a chunk is read while the kernel takes the one before."""
    if body_converts(c, m) and open_converter(c) != EC_OK:
        fail_here(c, b"451 4.3.0 [internal] out of memory")
        return
    dot_encode_init(&c.encoder, True)
    c.stream.on_drain = on_drain
    read_large(c, m)


cdef void read_large(client_t *c, ec_message_t *m) noexcept nogil:
    client_stage(c, STAGE_BODY, opt_number(c.values, OPT_BODY_TIMEOUT))
    c.edited = m.env.overlay.len == 0
    buf_clear(&c.head)
    c.reader = large_reader_new(c.loop, body_seq(m), m.body, c, on_chunk)
    if c.reader == NULL:
        fail_here(c, b"451 4.3.0 [internal] out of memory")
        return
    large_read(c.reader)


cdef void end_large(client_t *c, ec_message_t *m) noexcept nogil:
    """Its last byte was read."""
    cdef transfer_t *t = &c.tx[c.now]
    cdef int rc = EC_OK
    large_reader_free(c.reader)
    c.reader = NULL
    if c.down != NULL:
        rc = end_converted(c)
        if rc == EC_OK and c.down.judging:
            rc = judged(c)
            if rc == EC_OK:
                read_large(c, m)
                return
        if rc != EC_OK:
            cannot_convert(c, rc)
            return
        close_converter(c)
    elif m.flags & BODY_UNCLEAN:
        end_encoded(c)
    t.body_sent = True
    t.bytes = m.env.body_size
    expect_dot(c)
    client_stage(c, STAGE_CONFIRMATION, opt_number(c.values, OPT_BODY_TIMEOUT))
    send_dot(c)


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
    rc = send_part(c, m, chunk) if c.edited else send_edited(c, m, chunk)
    if rc == EC_AGAIN:                  # its header goes on
        large_read(c.reader)
        return
    if rc != EC_OK:
        fail_here(c, b"451 4.3.0 [internal] out of memory")
        return
    if chunk.len == 0 or overlay_has_body(m.env.overlay):       # what follows an edited body is not sent
        end_large(c, m)
        return
    stream_flush(&c.stream)
    client_check(c)
    if c.reader != NULL and stream_pending(&c.stream) == 0:
        large_read(c.reader)


cdef int send_part(client_t *c, ec_message_t *m, slice_t part) noexcept nogil:
    if c.down != NULL:
        return convert(c, part)
    if m.flags & BODY_UNCLEAN:
        send_encoded(c, part)
    else:
        stream_write(&c.stream, part.ptr, part.len)
    return EC_OK


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
        rc = send_part(c, m, buf_slice(&out))
    if rc == EC_OK:
        rc = send_part(c, m, rest)
    buf_free(&out)
    buf_free(&c.head)
    return rc


cdef void on_drain(stream_t *st, int status) noexcept nogil:
    cdef client_t *c = <client_t*>st
    if c.reader != NULL and not c.reader.busy:
        large_read(c.reader)
