"""The transaction from DATA to its reply.

Behind the final dot: the body is judged, gets its trace fields, then the
phases run in PIPELINE's order, those marked `each` once per recipient; then
one spool transaction, and 250 when it is synced.  Recipients that policy
refuses among others go into that transaction too, to be bounced from there.
"""
from libc.stdint cimport UINT32_MAX, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memset

from pymomentum.core.base.arena cimport arena_alloc, arena_calloc, arena_copy
from pymomentum.core.base.buf cimport buf_clear, buf_free, buf_slice, buf_t
from pymomentum.core.base.slice cimport slice_make, slice_of, slice_t
from pymomentum.core.base.status cimport EC_AGAIN, EC_LIMIT, EC_NOTFOUND, EC_OK, EC_REFUSED
from pymomentum.core.config.generation cimport config_binding, config_binding_t, config_delivery
from pymomentum.core.config.values cimport (DEFAULT_BINDING_NONE, OPT_COMMAND_TIMEOUT, OPT_DATA_TIMEOUT, OPT_DEFAULT_BINDING, OPT_EXCLUDE_VCTX_CONN,
                                            OPT_EXCLUDE_VCTX_MESS, OPT_GENERATE_BOUNCES,
                                            OPT_GENERATE_BOUNCES_FOR_MULTI_RECIPIENT_POLICY_REJECTIONS, OPT_GROWBUF_SIZE,
                                            OPT_LARGE_MESSAGE_THRESHOLD, OPT_MAX_HEADER_BYTES, OPT_MAX_MESSAGE_SIZE, opt_list,
                                            opt_number, values_t)
from pymomentum.core.log.record cimport log_reception
from pymomentum.core.loop.loop cimport COUNT_RECEIVED, COUNT_REJECTED
from pymomentum.core.message.context cimport context_bytes
from pymomentum.core.message.id cimport MESSAGE_ID_TEXT, message_id_new, message_id_text
from pymomentum.core.message.message cimport (BODY_8BIT, BODY_DOTS, BODY_LARGE, BODY_NUL, BODY_UNCLEAN, MSG_SPOOLED, RECV_ESMTP, RECV_SMTP,
                                              address_domain, blob_add, blob_new, blob_ref, blob_seal, blob_slice, blob_unref, ec_message_t,
                                              envelope_copy, envelope_t, message_new, meta_encode)
from pymomentum.core.mime.header cimport header_end, header_field_t, header_next, header_walk_init, header_walk_t
from pymomentum.core.mime.overlay cimport overlay_bytes, overlay_has_body, overlay_ref, overlay_render
from pymomentum.core.net.stream cimport stream_read_stop
from pymomentum.core.policy.phases cimport *
from pymomentum.core.queue.bounce cimport bounce_refused
from pymomentum.core.queue.insert cimport lower, queue_insert
from pymomentum.core.smtp.dotstuff cimport (DATA_8BIT, DATA_LONE_CR, DATA_LONE_LF, DATA_NUL, DATA_STUFFED, data_piece_t,
                                            data_scan_feed, data_scan_init, data_scan_t)
from pymomentum.core.smtp.linebreak cimport line_break
from pymomentum.core.smtp.path cimport RET_FULL, RET_HDRS
from pymomentum.core.spool.large cimport (large_abandon, large_close, large_finish, large_start, large_write,
                                          large_writer_new)
from pymomentum.core.spool.spool cimport spool_commit, spool_main, spool_meta_t, spool_take_seq, spool_txn_t
from .body cimport body_breaks_begin, body_judge, body_trace
from .exclude cimport exclude_pairs
from .session cimport *

cdef enum:
    HEADROOM = 1024             # for trace fields, before the body
    DATA_FINE = 0
    DATA_TOO_BIG = 1
    DATA_NO_MEMORY = 2
    DATA_NO_DISK = 3
    DATA_HEADER = 4
    LARGE_HEADROOM = 65536      # by which trace fields may lengthen a large message's head
    STEPS = 6

cdef struct step_t:
    int hook
    bint each

cdef step_t PIPELINE[STEPS]
PIPELINE[0].hook = HOOK_VALIDATE_DATA
PIPELINE[1].hook = HOOK_VALIDATE_DATA_SPOOL
PIPELINE[2].hook = HOOK_VALIDATE_DATA_SPOOL_EACH_RCPT
PIPELINE[3].hook = HOOK_VALIDATE_SET_BINDING
PIPELINE[4].hook = HOOK_CORE_FINAL_VALIDATION
PIPELINE[5].hook = HOOK_CORE_POST_FINAL_VALIDATION
for _i in range(STEPS):
    PIPELINE[_i].each = _i >= 2


cdef void transaction_data(session_t *s) noexcept nogil:
    s.blob = blob_new(opt_number(s.generation.globals, OPT_GROWBUF_SIZE), HEADROOM)
    if s.blob == NULL:
        session_reject(s, 452, b"4.3.1 out of memory")
        session_reset(s)
        return
    data_scan_init(&s.scan)
    s.in_data = True
    s.data_error = DATA_FINE
    s.state = AT_READING_BODY
    session_reply(s, b'354 3.0.0 continue.  finished with "\\r\\n.\\r\\n"')
    session_wait(s, opt_number(s.values, OPT_DATA_TIMEOUT))


cdef uint64_t body_size(session_t *s) noexcept nogil:
    return s.blob.len + (s.large.tail if s.large != NULL else 0)


cdef void drop_body(session_t *s, int why) noexcept nogil:
    """The rest is read and thrown away."""
    s.data_error = why
    blob_unref(s.blob)
    s.blob = NULL
    if s.large != NULL:
        large_abandon(s.large)
        s.large = NULL


cdef int write_large(session_t *s, slice_t part) noexcept nogil:
    cdef char room[4096]
    cdef size_t used = 0, made = 0
    cdef int rc, last = EC_OK
    if not s.breaking:
        return large_write(s.large, part)
    while part.len:
        line_break(&s.breaks, part, room, sizeof(room), &used, &made)
        part = slice_make(part.ptr + used, part.len - used)
        rc = large_write(s.large, slice_make(room, made))
        if rc == EC_AGAIN:
            last = EC_AGAIN
        elif rc != EC_OK:
            return rc
    if s.breaks.stuffed:
        s.scan.flags |= DATA_STUFFED
    return last


cdef bint header_goes_on(slice_t head) noexcept nogil:
    """Field after field, and no blank line yet.  The last line may be cut."""
    cdef header_walk_t w
    cdef header_field_t f
    cdef int rc = EC_OK
    while head.len and head.ptr[head.len - 1] != c'\n':
        head.len -= 1
    header_walk_init(&w, head, head.len)
    while rc == EC_OK:
        rc = header_next(&w, &f)
    return rc == EC_NOTFOUND and not w.ended


cdef void keep(session_t *s, slice_t part) noexcept nogil:
    cdef int64_t large = opt_number(s.generation.globals, OPT_LARGE_MESSAGE_THRESHOLD)
    cdef size_t first
    cdef int rc
    if s.data_error or s.discarded or part.len == 0:
        return
    if s.large == NULL and <int64_t>(s.blob.len + part.len) > large:
        first = <size_t>large - s.blob.len if s.blob.len < <size_t>large else 0     # the header is judged in memory
        if blob_add(s.blob, part.ptr, first) != EC_OK:
            drop_body(s, DATA_NO_MEMORY)
            return
        if header_goes_on(blob_slice(s.blob)):
            if blob_add(s.blob, part.ptr + first, part.len - first) != EC_OK:
                drop_body(s, DATA_NO_MEMORY)
            elif <int64_t>s.blob.len > opt_number(s.values, OPT_MAX_HEADER_BYTES) + large:
                drop_body(s, DATA_HEADER)
            return
        part = slice_make(part.ptr + first, part.len - first)
        s.body_seq = spool_take_seq(spool_main(), 1)
        s.large = large_writer_new(s.loop, s.body_seq, s.blob.len + LARGE_HEADROOM, s, on_large_ready)
        if s.large == NULL:
            drop_body(s, DATA_NO_MEMORY)
            return
        body_breaks_begin(s)
    if s.large == NULL:
        if blob_add(s.blob, part.ptr, part.len) != EC_OK:
            drop_body(s, DATA_NO_MEMORY)
        return
    rc = write_large(s, part)
    if rc == EC_AGAIN:                  # the disk is behind: the client waits
        s.parked = True
        stream_read_stop(&s.stream)
    elif rc != EC_OK:
        drop_body(s, DATA_NO_DISK)


cdef void on_large_ready(void *owner, int rc) noexcept nogil:
    cdef session_t *s = <session_t*>owner
    s.parked = False
    session_resume(s)


cdef size_t transaction_feed(session_t *s, const char *p, size_t n) noexcept nogil:
    cdef data_piece_t piece
    cdef int64_t most = opt_number(s.values, OPT_MAX_MESSAGE_SIZE)
    cdef int rc = data_scan_feed(&s.scan, slice_make(p, n), &piece)
    if most > 0 and s.data_error == DATA_FINE and s.scan.body - s.scan.stuffed > <uint64_t>most:    # RFC 1870 3: without stuffing
        drop_body(s, DATA_TOO_BIG)
    keep(s, piece.lead)
    keep(s, piece.body)
    if rc == EC_OK:
        if s.large != NULL and s.parked:
            s.large.waiting = False     # the end of it need not wait for room
            s.parked = False
        s.in_data = False
        s.state = AT_BODY_ASYNC
        body_complete(s)
    else:
        session_wait(s, opt_number(s.values, OPT_DATA_TIMEOUT))     # RFC 5321 4.5.3.2.5: three minutes
    return piece.used


cdef void refuse(session_t *s, int code, const char *text) noexcept nogil:
    s.state = AT_BODY_REPLY
    session_reject(s, code, text)
    finish(s)


cdef void finish(session_t *s) noexcept nogil:
    cdef bint bye = s.phase.disconnect or s.phase.code == 421
    s.phase.code = 0
    session_reset(s)
    s.state = AT_AWAIT_MAILFROM
    session_wait(s, opt_number(s.values, OPT_COMMAND_TIMEOUT))
    if bye:
        session_end(s)


cdef void accepted(session_t *s) noexcept nogil:
    cdef char line[64]
    cdef char id[MESSAGE_ID_TEXT]
    message_id_text(s.said, id)
    snprintf(line, sizeof(line), b"250 2.0.0 OK %.20s", id)
    session_reply(s, line)
    s.receptions += 1
    finish(s)


cdef inline rcpt_t *still_in(rcpt_t *r) noexcept nogil:
    """The first from r on that policy neither refused nor discarded."""
    while r != NULL and (r.code or r.discarded):
        r = r.next
    return r


cdef int make_messages(session_t *s) noexcept nogil:
    """One per recipient, over the one body."""
    cdef rcpt_t *r = s.rcpts
    cdef ec_message_t *m
    cdef uint64_t now = s.loop.wall_us
    s.batch = message_id_new()
    while r != NULL:
        m = message_new()
        if m == NULL:
            return EC_LIMIT
        m.id = message_id_new()
        m.created_us = now
        r.message = m
        r = r.next
    s.said = s.rcpts.message.id
    return EC_OK


cdef void body_complete(session_t *s) noexcept nogil:
    if s.data_error == DATA_TOO_BIG:
        refuse(s, 552, b"5.3.4 message size limit exceeded")
        return
    if s.data_error == DATA_HEADER:
        refuse(s, 552, b"5.3.4 header size limit exceeded")
        return
    if s.data_error == DATA_NO_DISK:
        refuse(s, 452, b"4.3.1 spool does not take mail now")
        return
    if s.data_error or make_messages(s) != EC_OK:
        refuse(s, 452, b"4.3.1 out of memory")
        return
    s.at = still_in(s.rcpts)
    if s.discarded or s.at == NULL:
        accepted(s)
        return
    if body_judge(s) != EC_OK or body_trace(s) != EC_OK:
        refuse(s, s.phase.code, s.phase.text)
        return
    s.step = 0
    run_pipeline(s)


cdef void run_pipeline(session_t *s) noexcept nogil:
    """From the cursor (step, recipient) on, until something parks or all is done."""
    while s.step < STEPS:
        if PIPELINE[s.step].each and not s.each:
            share_overlay(s)
        phase_begin(&s.phase, PIPELINE[s.step].hook)
        s.after = after_step
        if phase_run(&s.phase) < 0:
            s.parked = True
            return
        if not judge_step(s):
            return
    commit(s)


cdef void share_overlay(session_t *s) noexcept nogil:
    """What was edited until here is everybody's; from now on each recipient has edits of its own."""
    cdef rcpt_t *r = s.rcpts
    s.each = True
    while r != NULL:
        r.overlay = overlay_ref(s.overlay)
        r = r.next


cdef void after_step(session_t *s) noexcept nogil:
    if judge_step(s):
        run_pipeline(s)


cdef bint judge_step(session_t *s) noexcept nogil:
    """Take what the providers decided; False: the transaction is over."""
    if s.phase.disconnect:
        refuse(s, s.phase.code, s.phase.text)
        return False
    if PIPELINE[s.step].each:
        take_answer(s, s.at)
        s.at = still_in(s.at.next)
        if s.at != NULL:
            return True
        s.at = still_in(s.rcpts)
        if s.at == NULL:
            nobody_left(s)
            return False
    elif s.phase.discard:
        session_discards(s)
        accepted(s)
        return False
    elif s.phase.code:
        refuse(s, s.phase.code, s.phase.text)
        return False
    s.step += 1
    return True


cdef void take_answer(session_t *s, rcpt_t *r) noexcept nogil:
    """What the providers said of one recipient."""
    s.candidate = r
    if s.phase.discard:
        r.discarded = session_discards(s)
    elif s.phase.code:
        r.code = s.phase.code
        r.text = arena_copy(&s.tx, slice_of(s.phase.text))
        if r.text.ptr == NULL:
            r.text = slice_of(b"4.3.1 out of memory")
        r.module = s.phase.module
        s.phase.code = 0


cdef void nobody_left(session_t *s) noexcept nogil:
    """All refused: the client hears it, first that one may yet be accepted.  Otherwise some were discarded, which it must not hear."""
    cdef rcpt_t *r = s.rcpts
    cdef rcpt_t *worst = s.rcpts
    while r != NULL:
        if r.discarded:
            commit(s)
            return
        if worst.code >= 500 and r.code < 500:
            worst = r
        r = r.next
    answer_of(s, worst)
    refuse(s, s.phase.code, s.phase.text)


cdef void answer_of(session_t *s, rcpt_t *r) noexcept nogil:
    """One recipient's answer as the phase's."""
    phase_answer(&s.phase, r.code, r.text.ptr)
    s.phase.module = r.module
    s.candidate = r


cdef bint wants_bounce(session_t *s, rcpt_t *r) noexcept nogil:
    cdef char room[256]
    cdef values_t values
    if r.code == 0 or r.discarded or s.mailfrom.len == 0 \
            or opt_number(s.values, OPT_GENERATE_BOUNCES_FOR_MULTI_RECIPIENT_POLICY_REJECTIONS) != 1:
        return False
    return opt_number(config_delivery(s.generation, r.message.binding, lower(address_domain(r.address), room), &values),
                      OPT_GENERATE_BOUNCES) == 1


cdef uint32_t flags_of(int scanned) noexcept nogil:
    cdef uint32_t f = 0
    if scanned & DATA_STUFFED:
        f |= BODY_DOTS
    if scanned & (DATA_LONE_CR | DATA_LONE_LF):
        f |= BODY_UNCLEAN
    if scanned & DATA_8BIT:
        f |= BODY_8BIT
    if scanned & DATA_NUL:
        f |= BODY_NUL
    return f


cdef bint has_blank_line(slice_t body) noexcept nogil:
    cdef size_t end = 0
    return header_end(body, body.len, &end) == EC_OK and end < body.len


cdef int judge_edited(session_t *s, rcpt_t *r) noexcept nogil:
    """Size and flags of what one recipient will be sent."""
    cdef ec_message_t *m = r.message
    cdef slice_t edits = overlay_bytes(r.overlay), rest
    cdef bint tail = s.large != NULL and not overlay_has_body(edits)
    cdef data_scan_t scan
    cdef data_piece_t piece
    cdef buf_t head
    cdef int rc
    if s.large != NULL and not has_blank_line(blob_slice(s.blob)):
        return EC_REFUSED               # where its header ends lies in the file
    memset(&head, 0, sizeof(head))
    rc = overlay_render(blob_slice(s.blob), edits, &head, &rest)
    if rc == EC_OK:
        data_scan_init(&scan)
        if data_scan_feed(&scan, buf_slice(&head), &piece) == EC_OK or data_scan_feed(&scan, rest, &piece) == EC_OK:
            rc = EC_REFUSED             # it would end before its end
        m.env.body_size = head.len + rest.len + (s.large.tail if tail else 0)
        m.flags |= flags_of(scan.flags) | (flags_of(s.scan.flags) if tail else 0)
    buf_free(&head)
    return rc


cdef int fill_message(session_t *s, rcpt_t *r, rcpt_t *before, spool_meta_t *meta, buf_t *b) noexcept nogil:
    """`before`: the last one filled, NULL: none; with the same edits it is sent the same."""
    cdef ec_message_t *m = r.message
    cdef envelope_t e
    cdef const config_binding_t *binding = config_binding(s.generation, m.binding)
    cdef char refusal[PHASE_TEXT + 8]
    cdef char domain[256]
    cdef values_t layers
    cdef const values_t *values
    cdef buf_t conn                     # what of the contexts is kept
    cdef buf_t mess
    cdef char *p
    cdef int rc
    memset(&e, 0, sizeof(e))
    e.batch = s.batch
    e.conn = s.conn
    e.method = RECV_ESMTP if s.esmtp else RECV_SMTP
    e.mailfrom = s.mailfrom
    e.rcptto = r.address
    e.peer = slice_of(s.peer_ip)
    e.binding = binding.name if binding != NULL else slice_of(b"default")
    e.envid = s.params.envid
    e.orcpt = r.orcpt
    memset(&conn, 0, sizeof(conn))
    memset(&mess, 0, sizeof(mess))
    if s.context != NULL or s.mess_context != NULL:
        values = config_delivery(s.generation, m.binding, lower(address_domain(r.address), domain), &layers)
        e.conn_context = exclude_pairs(context_bytes(s.context), opt_list(values, OPT_EXCLUDE_VCTX_CONN), &conn)
        e.mess_context = exclude_pairs(context_bytes(s.mess_context), opt_list(values, OPT_EXCLUDE_VCTX_MESS), &mess)
    if r.bounced:
        e.refusal = slice_make(refusal, snprintf(refusal, sizeof(refusal), b"%d %s", r.code, r.text.ptr))
    e.ret = slice_of(b"FULL" if s.params.ret == RET_FULL else (b"HDRS" if s.params.ret == RET_HDRS else b""))
    e.overlay = overlay_bytes(r.overlay)
    e.body_size = body_size(s)
    m.env = envelope_copy(&e)
    buf_free(&conn)
    buf_free(&mess)
    if m.env == NULL:
        return EC_LIMIT
    if r.overlay == NULL:
        m.flags |= flags_of(s.scan.flags)
    elif before != NULL and before.overlay == r.overlay:
        m.env.body_size = before.message.env.body_size
        m.flags |= before.message.flags & 0xff
    else:
        rc = judge_edited(s, r)
        if rc != EC_OK:
            return rc
    if s.large == NULL:
        m.blob = blob_ref(s.blob)
    else:
        m.flags |= BODY_LARGE
    if meta.seq - s.body_seq > UINT32_MAX:
        return EC_LIMIT
    m.seq = meta.seq
    m.body_back = <uint32_t>(meta.seq - s.body_seq)
    buf_clear(b)
    if meta_encode(m, b) != EC_OK:
        return EC_LIMIT
    p = <char*>arena_alloc(&s.tx, b.len)
    if p == NULL:
        return EC_LIMIT
    copy(p, b.ptr, b.len)
    meta.bytes = slice_make(p, b.len)
    return EC_OK


cdef extern from "string.h" nogil:
    void *copy "memcpy"(void*, const void*, size_t)


cdef inline bint kept(rcpt_t *r) noexcept nogil:
    """Goes into the spool."""
    return r.bounced or (r.code == 0 and not r.discarded)


cdef bint unbound(session_t *s) noexcept nogil:
    """Some message falls to the default binding, which takes none."""
    cdef rcpt_t *r = s.rcpts
    if opt_number(s.generation.globals, OPT_DEFAULT_BINDING) != DEFAULT_BINDING_NONE:
        return False
    while r != NULL:
        if r.code == 0 and not r.discarded and r.message.binding == 0:
            return True
        r = r.next
    return False


cdef void commit(session_t *s) noexcept nogil:
    """A large body is synced first, then its transaction like any other."""
    cdef rcpt_t *r = s.rcpts
    cdef bint any_ = False
    while r != NULL:
        r.bounced = wants_bounce(s, r)
        any_ |= kept(r)
        r = r.next
    if not any_:                        # discarded, or refused and not to be bounced
        tell_refused(s)
        accepted(s)
        return
    if unbound(s):
        refuse(s, 451, b"4.3.5 no binding is meant for this message")
        return
    if s.at != NULL:
        s.said = s.at.message.id
    if s.large == NULL:
        commit_transaction(s)
        return
    if s.blob.len > s.large.room:
        refuse(s, 552, b"5.3.4 header size limit exceeded")
        return
    s.committing = True
    s.parked = True
    large_finish(s.large, blob_slice(s.blob), on_large_finished)


cdef void on_large_finished(void *owner, int rc) noexcept nogil:
    cdef session_t *s = <session_t*>owner
    s.committing = False
    s.parked = False
    if s.gone:
        if s.stream.closed:
            session_free(s)
        else:
            session_abort(s)
        return
    if rc != EC_OK:
        refuse(s, 452, b"4.3.1 spool does not take mail now")
    else:
        commit_transaction(s)
    after_commit(s)


cdef void after_commit(session_t *s) noexcept nogil:
    """On with what came meanwhile."""
    if not s.stream.closing and not s.parked:
        session_resume(s)


cdef void commit_transaction(session_t *s) noexcept nogil:
    cdef rcpt_t *r = s.rcpts
    cdef rcpt_t *before = NULL
    cdef uint32_t n = 0
    cdef uint64_t first
    cdef buf_t b
    cdef int rc = EC_OK
    memset(&b, 0, sizeof(b))
    while r != NULL:
        n += kept(r)
        r = r.next
    blob_seal(s.blob)
    s.metas = <spool_meta_t*>arena_calloc(&s.tx, n * sizeof(spool_meta_t))
    if s.large == NULL:
        first = spool_take_seq(spool_main(), n + 1)
        s.body_seq = first
        first += 1
    else:
        first = spool_take_seq(spool_main(), n)
    n = 0
    r = s.rcpts
    while r != NULL and s.metas != NULL and rc == EC_OK:
        if kept(r):
            s.metas[n].seq = first + n
            rc = fill_message(s, r, before, &s.metas[n], &b)
            before = r
            n += 1
        r = r.next
    buf_free(&b)
    if rc == EC_REFUSED:
        refuse(s, 552, b"5.3.4 header size limit exceeded")
        return
    if s.metas == NULL or rc != EC_OK:
        refuse(s, 452, b"4.3.1 out of memory")
        return
    memset(&s.txn, 0, sizeof(s.txn))
    s.txn.seq = s.body_seq
    s.txn.body = blob_slice(s.blob)
    if s.large != NULL:
        s.large_record.size = body_size(s)
        s.large_record.start = large_start(s.large)
        s.txn.body = slice_make(<char*>&s.large_record, sizeof(s.large_record))
        s.txn.large = True
    s.txn.flags = <uint8_t>flags_of(s.scan.flags)
    s.txn.metas = s.metas
    s.txn.metas_count = n
    s.txn.done = on_committed
    s.committing = True
    s.parked = True
    spool_commit(spool_main(), s.loop, &s.txn)


cdef void file_messages(session_t *s) noexcept nogil:
    cdef rcpt_t *r = s.rcpts
    cdef ec_message_t *m
    cdef const config_binding_t *binding
    cdef uint32_t n = 0
    while r != NULL:
        m = r.message
        if kept(r):
            r.message = NULL
            m.meta = s.metas[n].handle
            m.body = s.txn.body_handle
            m.flags |= MSG_SPOOLED
            n += 1
        if r.bounced:
            bounce_refused(s.loop, m)
        elif kept(r):
            binding = config_binding(s.generation, m.binding)
            log_reception(s.loop, m, binding.group if binding != NULL else slice_of(b"default"), m.env.binding)
            s.loop.counters[COUNT_RECEIVED] += 1
            queue_insert(s.loop, m)
        r = r.next
    tell_refused(s)


cdef void tell_refused(session_t *s) noexcept nogil:
    """The rejectlog's lines of recipients refused among others."""
    cdef rcpt_t *r = s.rcpts
    while r != NULL:
        if r.code:
            answer_of(s, r)
            s.loop.counters[COUNT_REJECTED] += 1
            session_log_rejection(s, r.code, slice_of(s.phase.text))
        r = r.next
    s.phase.code = 0


cdef void on_committed(spool_txn_t *t, int rc) noexcept nogil:
    cdef session_t *s = NULL
    s = <session_t*>(<char*>t - (<char*>&s.txn - <char*>s))
    s.committing = False
    s.parked = False
    if rc == EC_OK:
        if s.large != NULL:
            large_close(s.large)
            s.large = NULL
        file_messages(s)
    if s.gone:                          # nobody is there to hear it
        if s.stream.closed:
            session_free(s)
        else:
            session_abort(s)
        return
    if rc == EC_OK:
        accepted(s)
    elif rc == EC_LIMIT:
        refuse(s, 552, b"5.3.4 message and recipients are larger than the spool takes")
    else:
        refuse(s, 452, b"4.3.1 spool does not take mail now")
    after_commit(s)
