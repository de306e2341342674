"""Bounces: an RFC 3464 report, committed to the spool before its cause is forgotten.

While the disk refuses, the failed message stays in the spool and its report
is made again when the disk is back.  What it quotes of the original is read
from the spool first; a report that the spool cannot take quotes less.
"""
from libc.stdlib cimport calloc, free
from libc.stdio cimport snprintf
from libc.string cimport memset
from libc.time cimport time_t

from pymomentum.core.base.arena cimport arena_copy, arena_free, arena_t
from pymomentum.core.base.buf cimport buf_add_slice, buf_add_z, buf_clear, buf_free, buf_printf, buf_slice, buf_t
from pymomentum.core.base.slice cimport slice_make, slice_of, slice_t
from pymomentum.core.base.status cimport EC_LIMIT, EC_NOMEM, EC_OK
from pymomentum.core.base.timewheel cimport timer_entry_t, timer_init
from pymomentum.core.config.generation cimport config_current, config_delivery, config_generation_t, config_unref
from pymomentum.core.config.values cimport (BOUNCES_INLINE_ORIGINAL_ALL, BOUNCES_INLINE_ORIGINAL_HEADERS,
                                            BOUNCES_INLINE_ORIGINAL_NONE, OPT_BOUNCES_INLINE_ORIGINAL, OPT_HOSTNAME, OPT_MAILERDAEMON,
                                            opt_number, opt_text, values_t)
from pymomentum.core.log.record cimport attempt_t, log_reception
from pymomentum.core.log.writer cimport log_panic
from pymomentum.core.loop.loop cimport COUNT_RECEIVED, loop_t, loop_timer_set
from pymomentum.core.message.id cimport MESSAGE_ID_TEXT, message_id_new, message_id_text
from pymomentum.core.message.message cimport (BODY_8BIT, BODY_LARGE, BODY_UNCLEAN, body_seq, MSG_SPOOLED, MSG_STATE_PENDING, RECV_INTERNAL,
                                              address_domain, blob_add, blob_new, blob_slice, ec_message_t, envelope_copy,
                                              envelope_t, message_free, message_new, meta_encode)
from pymomentum.core.mime.overlay cimport overlay_render
from pymomentum.core.spool.large cimport large_read, large_reader_free, large_reader_new, large_reader_t
from pymomentum.core.spool.spool cimport (spool_commit, spool_forget, spool_main, spool_meta_t, spool_take_seq, spool_txn_t)
from .domain cimport domain_t, domain_touch, mail_queue_t
from .insert cimport lower, queue_insert
from .swap cimport swap_in

cdef extern from *:
    """
    #include <time.h>
    static void ec_rfc_date(time_t t, char *out, size_t n) {
        struct tm tm; gmtime_r(&t, &tm); strftime(out, n, "%a, %d %b %Y %H:%M:%S +0000", &tm); }
    """
    void ec_rfc_date(time_t, char*, size_t) noexcept nogil

cdef extern from "string.h" nogil:
    void *memmem(const void*, size_t, const void*, size_t)

cdef enum:
    RETRY_MS = 5000             # after a commit that failed
    HEADER_MAX = 1048576        # of a large original that is quoted

cdef struct bounce_t:
    spool_txn_t txn             # first
    spool_meta_t meta
    timer_entry_t timer
    buf_t bytes                 # payload of the META record
    ec_message_t *report
    ec_message_t *cause
    loop_t *loop
    domain_t *domain            # counts the cause; NULL: it was in no queue
    int quoted                  # of the original: BOUNCES_INLINE_ORIGINAL_...
    buf_t head                  # of a large original, as far as it was read
    large_reader_t *reader
    arena_t arena               # the next five
    slice_t to                  # who gets it
    slice_t text                # why it failed
    slice_t peer                # who said so; empty: nobody
    slice_t daemon              # From
    slice_t host                # this one's name


cdef slice_t header_of(slice_t body) noexcept nogil:
    """The header block with its last line end."""
    cdef const char *end = <const char*>memmem(body.ptr, body.len, b"\r\n\r\n", 4) if body.len else NULL
    return slice_make(body.ptr, end + 2 - body.ptr) if end != NULL else body


cdef int add_original(bounce_t *b, buf_t *out) noexcept nogil:
    """What is quoted of it, as it was sent."""
    cdef slice_t all_ = blob_slice(b.cause.blob) if b.cause.blob != NULL else buf_slice(&b.head)
    cdef slice_t head
    cdef buf_t edited
    cdef int rc = EC_OK
    if b.cause.env.overlay.len == 0:
        return buf_add_slice(out, all_ if b.quoted == BOUNCES_INLINE_ORIGINAL_ALL else header_of(all_))
    memset(&edited, 0, sizeof(edited))
    rc = overlay_render(all_, b.cause.env.overlay, &edited, &all_)
    head = buf_slice(&edited)
    if rc == EC_OK:
        rc = buf_add_slice(out, head if b.quoted == BOUNCES_INLINE_ORIGINAL_ALL else header_of(head))
    if rc == EC_OK and b.quoted == BOUNCES_INLINE_ORIGINAL_ALL:
        rc = buf_add_slice(out, all_)
    buf_free(&edited)
    return rc


cdef slice_t status_of(slice_t text, char *room) noexcept nogil:
    """The enhanced code of a reply, or 5.0.0."""
    cdef size_t i = 4, n = 0
    if text.len > 9 and (text.ptr[4] == c'5' or text.ptr[4] == c'4') and text.ptr[5] == c'.':
        while i < text.len and n < 11 and (text.ptr[i] == c'.' or c'0' <= text.ptr[i] <= c'9'):
            room[n] = text.ptr[i]
            n += 1
            i += 1
        room[0] = c'5'
        return slice_make(room, n)
    return slice_of(b"5.0.0")


cdef void add_text(buf_t *b, slice_t s) noexcept nogil:
    """A peer's words in a report of plain ASCII."""
    cdef size_t i, start = b.len
    buf_add_slice(b, s)
    for i in range(start, b.len):
        if not 32 <= <unsigned char>b.ptr[i] < 127:
            b.ptr[i] = c'?'


cdef int compose(bounce_t *bounce, buf_t *b, const char *id) noexcept nogil:
    cdef ec_message_t *m = bounce.cause
    cdef char date[64]
    cdef char boundary[64]
    cdef char room[16]
    cdef char arrived[64]
    ec_rfc_date(<time_t>(bounce.loop.wall_us // 1000000), date, sizeof(date))
    ec_rfc_date(<time_t>(m.created_us // 1000000), arrived, sizeof(arrived))
    snprintf(boundary, sizeof(boundary), b"_----%d===_%.20s", 7, id)
    buf_add_z(b, b"Return-Path: <>\r\nFrom: ")
    if bounce.daemon.ptr[bounce.daemon.len - 1] == c'>':        # with a name of its own
        buf_add_slice(b, bounce.daemon)
    else:
        buf_add_z(b, b"Mail Delivery System <")
        buf_add_slice(b, bounce.daemon)
        buf_add_z(b, b">")
    buf_add_z(b, b"\r\nTo: <")
    buf_add_slice(b, bounce.to)
    buf_printf(b, b">\r\nDate: %s\r\nMessage-ID: <%.2s.%.2s.%.5s.%.8s@", date, id, id + 3, id + 6, id + 12)
    buf_add_slice(b, bounce.host)
    buf_add_z(b, b">\r\n")
    buf_printf(b, b"Subject: Delivery Status Notification (Failure)\r\nMIME-Version: 1.0\r\nAuto-Submitted: auto-replied\r\n"
                  b"Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"%s\"\r\n\r\n", boundary)
    buf_printf(b, b"--%s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n", boundary)
    buf_add_z(b, b"Your message could not be delivered to this recipient:\r\n\r\n    <")
    buf_add_slice(b, m.env.rcptto)
    buf_add_z(b, b">\r\n\r\nThe last answer was:\r\n\r\n    ")
    add_text(b, bounce.text)
    buf_printf(b, b"\r\n\r\n--%s\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; ", boundary)
    buf_add_slice(b, bounce.host)
    buf_printf(b, b"\r\nArrival-Date: %s\r\n", arrived)
    if m.env.envid.len:
        buf_add_z(b, b"Original-Envelope-Id: ")
        buf_add_slice(b, m.env.envid)
        buf_add_z(b, b"\r\n")
    buf_add_z(b, b"\r\nFinal-Recipient: rfc822; ")
    buf_add_slice(b, m.env.rcptto)
    if m.env.orcpt.len:
        buf_add_z(b, b"\r\nOriginal-Recipient: ")
        buf_add_slice(b, m.env.orcpt)
    buf_add_z(b, b"\r\nAction: failed\r\nStatus: ")
    buf_add_slice(b, status_of(bounce.text, room))
    if bounce.peer.len:
        buf_add_z(b, b"\r\nRemote-MTA: dns; [")
        buf_add_slice(b, bounce.peer)
        buf_add_z(b, b"]")
    buf_add_z(b, b"\r\nDiagnostic-Code: smtp; ")
    add_text(b, bounce.text)
    buf_printf(b, b"\r\nLast-Attempt-Date: %s\r\n\r\n", date)
    if bounce.quoted != BOUNCES_INLINE_ORIGINAL_NONE:
        buf_printf(b, b"--%s\r\nContent-Type: %s\r\n\r\n", boundary,
                   b"message/rfc822" if bounce.quoted == BOUNCES_INLINE_ORIGINAL_ALL else b"text/rfc822-headers")
        if add_original(bounce, b) != EC_OK:
            return EC_NOMEM
        buf_add_z(b, b"\r\n")
    return buf_printf(b, b"--%s--\r\n", boundary)


# ---- what the original says --------------------------------------------------------

cdef void fetch(bounce_t *b) noexcept nogil:
    """Have what is to be quoted in memory, then write."""
    cdef ec_message_t *m = b.cause
    if b.quoted == BOUNCES_INLINE_ORIGINAL_NONE or m.blob != NULL:
        write(b)
    elif not m.flags & BODY_LARGE:
        swap_in(b.loop, m, True, on_swapped, b)
    else:
        b.quoted = BOUNCES_INLINE_ORIGINAL_HEADERS      # a report stays in memory, so no large body goes into it
        b.reader = large_reader_new(b.loop, body_seq(m), m.body, b, on_chunk)
        if b.reader != NULL:
            large_read(b.reader)
        else:
            b.quoted = BOUNCES_INLINE_ORIGINAL_NONE
            write(b)


cdef void on_swapped(ec_message_t *m, void *ctx, int rc) noexcept nogil:
    cdef bounce_t *b = <bounce_t*>ctx
    if rc != EC_OK:
        b.quoted = BOUNCES_INLINE_ORIGINAL_NONE
    write(b)


cdef void on_chunk(void *owner, int rc) noexcept nogil:
    cdef bounce_t *b = <bounce_t*>owner
    cdef slice_t head
    cdef bint end = rc != EC_OK or b.reader.bytes.len == 0 or buf_add_slice(&b.head, buf_slice(&b.reader.bytes)) != EC_OK
    head = buf_slice(&b.head)
    if not end and header_of(head).len == head.len and head.len < HEADER_MAX:
        large_read(b.reader)
        return
    large_reader_free(b.reader)
    b.reader = NULL
    if rc != EC_OK or head.len == 0:
        b.quoted = BOUNCES_INLINE_ORIGINAL_NONE
    write(b)


# ---- the report --------------------------------------------------------------------

cdef void drop(bounce_t *b) noexcept nogil:
    if b.report != NULL:
        message_free(b.report)
    buf_free(&b.bytes)
    buf_free(&b.head)
    arena_free(&b.arena)
    free(b)


cdef void leave(domain_t *d, ec_message_t *m) noexcept nogil:
    """The message is in no queue any more."""
    if d != NULL:
        d.messages -= 1
        domain_touch(d)
    message_free(m)


cdef void finish(bounce_t *b) noexcept nogil:
    """The cause may go: its report is durable."""
    cdef ec_message_t *m = b.cause
    spool_forget(spool_main(), b.loop, m.seq, m.meta, m.state, m.body)
    leave(b.domain, m)
    drop(b)


cdef void on_committed(spool_txn_t *t, int rc) noexcept nogil:
    cdef bounce_t *b = <bounce_t*>t
    cdef ec_message_t *r = b.report
    if rc == EC_LIMIT:
        quote_less(b)
        return
    if rc != EC_OK:
        loop_timer_set(b.loop, &b.timer, RETRY_MS)
        return
    b.report = NULL
    r.meta = b.meta.handle
    r.body = t.body_handle
    r.flags |= MSG_SPOOLED
    log_reception(b.loop, r, slice_of(b"default"), slice_of(b"default"))
    b.loop.counters[COUNT_RECEIVED] += 1
    queue_insert(b.loop, r)
    finish(b)


cdef void quote_less(bounce_t *b) noexcept nogil:
    """Larger than the spool takes: whole, then header, then nothing of the original."""
    cdef char id[MESSAGE_ID_TEXT]
    message_free(b.report)
    b.report = NULL
    if b.quoted == BOUNCES_INLINE_ORIGINAL_NONE:
        message_id_text(b.cause.id, id)
        log_panic(b.loop, b"BOUNCE", b"the report of message %.20s is larger than the spool takes: its sender is not told", id)
        finish(b)
        return
    b.quoted = BOUNCES_INLINE_ORIGINAL_HEADERS if b.quoted == BOUNCES_INLINE_ORIGINAL_ALL else BOUNCES_INLINE_ORIGINAL_NONE
    write(b)


cdef void on_retry(timer_entry_t *t) noexcept nogil:
    cdef bounce_t *b = NULL
    b = <bounce_t*>(<char*>t - (<char*>&b.timer - <char*>b))
    if b.cause.flags & MSG_STATE_PENDING:
        loop_timer_set(b.loop, &b.timer, 20)
        return
    spool_commit(spool_main(), b.loop, &b.txn)


cdef ec_message_t *report_of(bounce_t *b) noexcept nogil:
    """The report as a message; NULL: no memory."""
    cdef ec_message_t *r = message_new()
    cdef envelope_t e
    cdef buf_t text
    cdef char id[MESSAGE_ID_TEXT]
    cdef int rc
    if r == NULL:
        return NULL
    memset(&text, 0, sizeof(text))
    memset(&e, 0, sizeof(e))
    r.id = message_id_new()
    r.created_us = b.loop.wall_us
    message_id_text(r.id, id)
    rc = compose(b, &text, id)
    e.batch = message_id_new()
    e.method = RECV_INTERNAL
    e.rcptto = b.to
    e.peer = slice_of(b"unknown")
    e.binding = slice_of(b"default")
    r.env = envelope_copy(&e)
    r.blob = blob_new(text.len, 0)
    if rc == EC_OK and r.env != NULL and r.blob != NULL and blob_add(r.blob, text.ptr, text.len) == EC_OK:
        r.env.body_size = r.blob.len
        if b.quoted != BOUNCES_INLINE_ORIGINAL_NONE:
            r.flags = b.cause.flags & (BODY_8BIT | BODY_UNCLEAN)
        r.seq = spool_take_seq(spool_main(), 2) + 1
        r.body_back = 1
        buf_clear(&b.bytes)
        rc = meta_encode(r, &b.bytes)
    else:
        rc = EC_NOMEM
    buf_free(&text)
    if rc != EC_OK:
        message_free(r)
        return NULL
    return r


cdef void write(bounce_t *b) noexcept nogil:
    cdef ec_message_t *r = report_of(b)
    if r == NULL:               # the message stays in the spool and fails again after the next start
        leave(b.domain, b.cause)
        drop(b)
        return
    b.report = r
    memset(&b.txn, 0, sizeof(b.txn))
    b.meta.seq = r.seq
    b.meta.bytes = buf_slice(&b.bytes)
    b.txn.seq = body_seq(r)
    b.txn.body = blob_slice(r.blob)
    b.txn.flags = <unsigned char>(r.flags & 0xff)
    b.txn.metas = &b.meta
    b.txn.metas_count = 1
    b.txn.done = on_committed
    on_retry(&b.timer)


cdef void begin(loop_t *loop, domain_t *d, const values_t *v, ec_message_t *m, slice_t to, slice_t text, slice_t peer) noexcept nogil:
    cdef bounce_t *b = <bounce_t*>calloc(1, sizeof(bounce_t))
    cdef const slice_t *wanted = opt_text(v, OPT_MAILERDAEMON)
    cdef char room[300]
    if b != NULL:
        b.loop = loop
        b.domain = d
        b.cause = m
        b.quoted = <int>opt_number(v, OPT_BOUNCES_INLINE_ORIGINAL)
        b.to = arena_copy(&b.arena, to)
        b.text = arena_copy(&b.arena, text)
        b.peer = arena_copy(&b.arena, peer)
        b.host = arena_copy(&b.arena, opt_text(v, OPT_HOSTNAME)[0])
        if wanted != NULL and wanted.len:
            b.daemon = arena_copy(&b.arena, wanted[0])
        else:
            b.daemon = arena_copy(&b.arena, slice_make(room, snprintf(room, sizeof(room), b"mailer-daemon@%s", b.host.ptr)))
        timer_init(&b.timer, on_retry)
    if b == NULL or b.to.ptr == NULL or b.text.ptr == NULL or b.peer.ptr == NULL or b.daemon.ptr == NULL or b.host.ptr == NULL:
        leave(d, m)
        if b != NULL:
            drop(b)
        return
    fetch(b)


cdef void bounce_send(mail_queue_t *q, ec_message_t *m, const attempt_t *a, slice_t to) noexcept nogil:
    begin(q.domain.loop, q.domain, q.values, m, to, a.text, a.peer)


cdef void bounce_refused(loop_t *loop, ec_message_t *m) noexcept nogil:
    cdef config_generation_t *g = config_current()
    cdef char room[256]
    cdef values_t values
    begin(loop, NULL, config_delivery(g, m.binding, lower(address_domain(m.env.rcptto), room), &values), m, m.env.mailfrom, m.env.refusal,
          slice_make(NULL, 0))
    config_unref(g)
