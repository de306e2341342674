"""Transactions of an outbound connection: mail taken by lease, envelopes sent.  Bodies: body.pyx.

With PIPELINING the envelope of the next transaction follows the body of the
one in hand in one write.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memset

from pymomentum.core.base.list cimport list_append, list_empty, list_init, list_node_t, list_remove
from pymomentum.core.base.slice cimport slice_make, slice_t
from pymomentum.core.config.values cimport *
from pymomentum.core.message.message cimport BODY_8BIT, ec_message_t
from pymomentum.core.net.stream cimport *
from pymomentum.core.queue.lease cimport *
from pymomentum.core.queue.outcome cimport OUTCOME_RETURN
from pymomentum.core.smtp.extension cimport EXT_8BITMIME, EXT_PIPELINING, EXT_SIZE
from .body cimport body_converts, body_set_next
from .session cimport *
from .xclient cimport XCLIENT_ELSEWHERE, XCLIENT_SAID, xclient_say, xclient_speaks


cdef void transfer_start() noexcept nogil:
    client_set_mail(ready, on_granted, on_wake)
    body_set_next(send_envelope)


# ---- mail by lease -----------------------------------------------------------------

cdef bint more_allowed(client_t *c) noexcept nogil:
    cdef int64_t deliveries = opt_number(c.values, OPT_MAX_DELIVERIES_PER_CONNECTION)
    cdef int64_t recipients = opt_number(c.values, OPT_MAX_RECIPIENTS_PER_CONNECTION)
    return not c.quitting and (deliveries <= 0 or hoped(c) < deliveries) and (recipients <= 0 or asked(c) < recipients)


cdef inline uint32_t hoped(const client_t *c) noexcept nogil:
    """Deliveries, with those in hand."""
    return c.deliveries + (c.tx[c.now].n if c.tx[c.now].active else 0)


cdef inline uint32_t asked(const client_t *c) noexcept nogil:
    """Recipients, with those in hand whose RCPT is still to be said."""
    return c.recipients + (c.tx[c.now].n if c.tx[c.now].active and not c.tx[c.now].data_sent else 0)


cdef uint32_t batch_most(client_t *c) noexcept nogil:
    """What one transaction may hold, and what the connection may carry yet; more_allowed says that it is something."""
    cdef int64_t most = opt_number(c.values, OPT_MAX_RECIPIENTS_PER_BATCH)
    cdef int64_t deliveries = opt_number(c.values, OPT_MAX_DELIVERIES_PER_CONNECTION)
    cdef int64_t recipients = opt_number(c.values, OPT_MAX_RECIPIENTS_PER_CONNECTION)
    if not 0 < most < BATCH_MAX:
        most = BATCH_MAX
    if deliveries > 0:
        most = min(most, deliveries - hoped(c))
    if recipients > 0:
        most = min(most, recipients - asked(c))
    return <uint32_t>most


cdef void ready(client_t *c) noexcept nogil:
    """Greeted: for the first time, or anew behind XCLIENT with mail in hand."""
    if c.tx[c.now].active:
        send_first(c, c.now)
        stream_flush(&c.stream)
    else:
        ask(c)


cdef void ask(client_t *c) noexcept nogil:
    """More mail, if this connection may carry it and no question is open."""
    if c.lease.asking or c.stream.closing or c.lease.resting:
        return
    if not more_allowed(c) or not client_current(c):
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
        if c.stream.closing:
            return
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
    if c.lease.wait_ms > <uint64_t>opt_number(c.values, OPT_IDLE_TIMEOUT) * 1000 or c.lease.wanted:
        client_quit(c)                     # throttled for long, mail stays in the active queue; or another needs the connection more
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
    if (c.extensions & EXT_PIPELINING and c.tx[c.now].active and not c.tx[1 - c.now].active and more_allowed(c)
            and not xclient_speaks(c)):         # who is spoken for must be known before MAIL
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
        if not c.extensions & EXT_PIPELINING or xclient_speaks(c):
            return                      # its reply brings the rest
        send_mail(c, which)
    else:
        send_first(c, which)


cdef void transfer_reset(client_t *c, uint32_t which) noexcept nogil:
    if not c.extensions & EXT_PIPELINING or xclient_speaks(c):
        send_first(c, which)
    elif which == c.now:
        client_stage(c, STAGE_MAILFROM, opt_number(c.values, OPT_MAILFROM_TIMEOUT))


cdef void send_first(client_t *c, uint32_t which) noexcept nogil:
    """XCLIENT where it is needed, whose reply brings the rest; else MAIL."""
    cdef int said = xclient_say(c, <ec_message_t*>c.tx[which].batch.next)
    if said == XCLIENT_ELSEWHERE:
        transfer_give_back(c)
    elif said != XCLIENT_SAID:
        transfer_mail(c, which)


cdef void transfer_mail(client_t *c, uint32_t which) noexcept nogil:
    if which == c.now:
        client_stage(c, STAGE_MAILFROM, opt_number(c.values, OPT_MAILFROM_TIMEOUT))
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
    if c.extensions & EXT_SIZE and not body_converts(c, m):      # its size is not known before it is made
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


cdef void transfer_give_back(client_t *c) noexcept nogil:
    """The connection served and ends between two messages: those it holds are as if never taken."""
    client_settle_all(c, &c.tx[1 - c.now], OUTCOME_RETURN, slice_make(NULL, 0))
    client_settle_all(c, &c.tx[c.now], OUTCOME_RETURN, slice_make(NULL, 0))
    c.tx[0].active = False
    c.tx[1].active = False
    client_close(c)
