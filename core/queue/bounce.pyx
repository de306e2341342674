"""Bounces: an RFC 3464 report, committed to the spool before its cause is forgotten.

While the disk refuses, the failed message stays in the spool and its report
is made again when the disk is back.
"""
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.stdio cimport snprintf
from libc.string cimport memset, strncpy
from libc.time cimport time_t

from pymomentum.core.base.buf cimport buf_add, buf_add_slice, buf_add_z, buf_free, buf_printf, buf_slice, buf_t
from pymomentum.core.base.slice cimport slice_make, slice_of, slice_t
from pymomentum.core.base.status cimport EC_OK
from pymomentum.core.base.timewheel cimport timer_entry_t, timer_init
from pymomentum.core.config.values cimport (BOUNCES_INLINE_ORIGINAL_ALL, BOUNCES_INLINE_ORIGINAL_NONE,
                                            OPT_BOUNCES_INLINE_ORIGINAL, OPT_MAILERDAEMON, opt_number, opt_text)
from pymomentum.core.log.record cimport attempt_t, log_reception
from pymomentum.core.loop.loop cimport COUNT_RECEIVED, loop_t, loop_timer_set
from pymomentum.core.message.id cimport MESSAGE_ID_TEXT, message_id_new, message_id_text
from pymomentum.core.message.message cimport (BODY_8BIT, BODY_UNCLEAN, MSG_SPOOLED, MSG_STATE_PENDING, RECV_INTERNAL, blob_add, blob_new,
                                              blob_slice, ec_message_t, envelope_copy, envelope_t, message_free, message_new,
                                              meta_encode)
from pymomentum.core.spool.spool cimport (spool_commit, spool_forget, spool_main, spool_meta_t, spool_take_seq, spool_txn_t)
from .domain cimport domain_t, domain_touch, mail_queue_t
from .insert cimport queue_insert

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

cdef struct bounce_t:
    spool_txn_t txn             # first
    spool_meta_t meta
    timer_entry_t timer
    buf_t bytes                 # payload of the META record
    ec_message_t *report
    ec_message_t *cause
    domain_t *domain

cdef char hostname[256]


cdef void bounce_identity(const char *name) noexcept nogil:
    strncpy(hostname, name, sizeof(hostname) - 1)


def identity(str name not None):
    """The host name that reports carry."""
    cdef bytes b = name.encode()
    bounce_identity(b)


cdef slice_t header_of(ec_message_t *m) noexcept nogil:
    """The original's header block with its last line end."""
    cdef slice_t body = blob_slice(m.blob)
    cdef const char *end = <const char*>memmem(body.ptr, body.len, b"\r\n\r\n", 4)
    return slice_make(body.ptr, end + 2 - body.ptr) if end != NULL else body


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


cdef int compose(buf_t *b, mail_queue_t *q, ec_message_t *m, const attempt_t *a, const char *id, slice_t daemon) noexcept nogil:
    cdef char date[64]
    cdef char boundary[64]
    cdef char room[16]
    cdef char arrived[64]
    cdef slice_t original
    cdef int inline_ = <int>opt_number(q.values, OPT_BOUNCES_INLINE_ORIGINAL)
    cdef bint whole = inline_ == BOUNCES_INLINE_ORIGINAL_ALL and m.blob != NULL
    ec_rfc_date(<time_t>(q.domain.loop.wall_us // 1000000), date, sizeof(date))
    ec_rfc_date(<time_t>(m.created_us // 1000000), arrived, sizeof(arrived))
    snprintf(boundary, sizeof(boundary), b"_----%d===_%.20s", 7, id)
    buf_add_z(b, b"Return-Path: <>\r\nFrom: Mail Delivery System <")
    buf_add_slice(b, daemon)
    buf_add_z(b, b">\r\nTo: <")
    buf_add_slice(b, m.env.mailfrom)
    buf_printf(b, b">\r\nDate: %s\r\nMessage-ID: <%.2s.%.2s.%.5s.%.8s@%s>\r\n", date, id, id + 3, id + 6, id + 12, hostname)
    buf_printf(b, b"Subject: Delivery Status Notification (Failure)\r\nMIME-Version: 1.0\r\nAuto-Submitted: auto-replied\r\n"
                  b"Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"%s\"\r\n\r\n", boundary)
    buf_printf(b, b"--%s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n", boundary)
    buf_add_z(b, b"Your message could not be delivered to this recipient:\r\n\r\n    <")
    buf_add_slice(b, m.env.rcptto)
    buf_add_z(b, b">\r\n\r\nThe last answer was:\r\n\r\n    ")
    add_text(b, a.text)
    buf_printf(b, b"\r\n\r\n--%s\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; %s\r\nArrival-Date: %s\r\n",
               boundary, hostname, arrived)
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
    buf_add_slice(b, status_of(a.text, room))
    if a.peer.len:
        buf_add_z(b, b"\r\nRemote-MTA: dns; [")
        buf_add_slice(b, a.peer)
        buf_add_z(b, b"]")
    buf_add_z(b, b"\r\nDiagnostic-Code: smtp; ")
    add_text(b, a.text)
    buf_printf(b, b"\r\nLast-Attempt-Date: %s\r\n\r\n", date)
    if inline_ != BOUNCES_INLINE_ORIGINAL_NONE and m.blob != NULL:
        buf_printf(b, b"--%s\r\nContent-Type: %s\r\n\r\n", boundary, b"message/rfc822" if whole else b"text/rfc822-headers")
        original = blob_slice(m.blob) if whole else header_of(m)
        buf_add_slice(b, original)
        buf_add_z(b, b"\r\n")
    return buf_printf(b, b"--%s--\r\n", boundary)


cdef void finish(bounce_t *b) noexcept nogil:
    """The cause may go: its report is durable."""
    cdef ec_message_t *m = b.cause
    cdef domain_t *d = b.domain
    d.messages -= 1
    domain_touch(d)
    spool_forget(spool_main(), d.loop, m.seq, m.meta, m.state, m.body)
    message_free(m)
    buf_free(&b.bytes)
    free(b)


cdef void on_committed(spool_txn_t *t, int rc) noexcept nogil:
    cdef bounce_t *b = <bounce_t*>t
    cdef ec_message_t *r = b.report
    if rc != EC_OK:
        loop_timer_set(b.domain.loop, &b.timer, RETRY_MS)
        return
    r.meta = b.meta.handle
    r.body = t.body_handle
    r.flags |= MSG_SPOOLED
    log_reception(b.domain.loop, r, slice_of(b"default"), slice_of(b"default"))
    b.domain.loop.counters[COUNT_RECEIVED] += 1
    queue_insert(b.domain.loop, r)
    finish(b)


cdef void on_retry(timer_entry_t *t) noexcept nogil:
    cdef bounce_t *b = NULL
    b = <bounce_t*>(<char*>t - (<char*>&b.timer - <char*>b))
    if b.cause.flags & MSG_STATE_PENDING:
        loop_timer_set(b.domain.loop, &b.timer, 20)
        return
    spool_commit(spool_main(), b.domain.loop, &b.txn)


cdef void bounce_send(mail_queue_t *q, ec_message_t *m, const attempt_t *a) noexcept nogil:
    cdef bounce_t *b = <bounce_t*>calloc(1, sizeof(bounce_t))
    cdef ec_message_t *r = message_new()
    cdef envelope_t e
    cdef buf_t text
    cdef char id[MESSAGE_ID_TEXT]
    cdef char room[300]
    cdef const slice_t *wanted = opt_text(q.values, OPT_MAILERDAEMON)
    cdef slice_t daemon
    memset(&text, 0, sizeof(text))
    memset(&e, 0, sizeof(e))
    daemon = slice_make(room, snprintf(room, sizeof(room), b"mailer-daemon@%s", <char*>hostname))
    if wanted != NULL and wanted.len:
        daemon = wanted[0]
    if b != NULL and r != NULL:
        r.id = message_id_new()
        message_id_text(r.id, id)
        compose(&text, q, m, a, id, daemon)
        e.batch = message_id_new()
        e.method = RECV_INTERNAL
        e.rcptto = m.env.mailfrom
        e.peer = slice_of(b"unknown")
        e.binding = slice_of(b"default")
        r.env = envelope_copy(&e)
        r.blob = blob_new(text.len, 0)
    if b == NULL or r == NULL or r.env == NULL or r.blob == NULL or text.len == 0:
        # no memory: the message stays in the spool and fails again after the next start
        if r != NULL:
            message_free(r)
        free(b)
        buf_free(&text)
        q.domain.messages -= 1
        message_free(m)
        return
    blob_add(r.blob, text.ptr, text.len)
    buf_free(&text)
    r.body_size = r.blob.len
    r.created_us = q.domain.loop.wall_us
    r.flags = m.flags & (BODY_8BIT | BODY_UNCLEAN)
    r.body_seq = spool_take_seq(spool_main(), 2)
    r.seq = r.body_seq + 1
    meta_encode(r, &b.bytes)
    b.report = r
    b.cause = m
    b.domain = q.domain
    b.meta.seq = r.seq
    b.meta.bytes = buf_slice(&b.bytes)
    b.txn.seq = r.body_seq
    b.txn.body = blob_slice(r.blob)
    b.txn.flags = <unsigned char>(r.flags & 0xff)
    b.txn.metas = &b.meta
    b.txn.metas_count = 1
    b.txn.done = on_committed
    timer_init(&b.timer, on_retry)
    on_retry(&b.timer)
