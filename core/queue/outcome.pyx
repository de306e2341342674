"""Outcomes: delivered, transient, permanent.

The order is log line, then tombstone; with inline_transfail_processing off,
transient failures wait for a later turn, and what they know of the connection
is gone by then.  A crash between log line and tombstone delivers once
more, and the log says so.  A state on its way to the spool holds back the
tombstone of its message, so that the flusher knows both handles.
"""
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset, strcmp

from pymomentum.core.base.buf cimport buf_free, buf_t
from pymomentum.core.base.list cimport list_append, list_empty, list_remove
from pymomentum.core.base.slice cimport slice_ieq, slice_make, slice_mix, slice_of, slice_t
from pymomentum.core.base.status cimport EC_CORRUPT, EC_NOTFOUND, EC_OK
from pymomentum.core.base.timewheel cimport timer_entry_t
from pymomentum.core.config.generation cimport config_binding, config_binding_t
from pymomentum.core.config.values cimport (OPT_DELAYED_BINDING_DOMAIN_FUZZ, OPT_DROP_BODY_AFTER_TRANS_FAIL, OPT_GENERATE_BOUNCES,
                                            OPT_INLINE_TRANSFAIL_PROCESSING, OPT_MAX_RESIDENT_TRANSFAILS, OPT_MDN_FAILURES_NOTIFY,
                                            OPT_MESSAGE_EXPIRATION, OPT_NEVER_RETRY, OPT_SWAP_OUT_META_AFTER_EACH_TEMPFAIL,
                                            OPT_TRANSFAIL_DRAIN_RATE, OPT_UNLINK_ON_SPOOL_IN_FAILURE, opt_number, opt_text)
from pymomentum.core.log.record cimport attempt_t, log_bounce, log_delivery, log_failure
from pymomentum.core.log.writer cimport log_panic
from pymomentum.core.loop.loop cimport COUNT_DELIVERED, COUNT_FAILED, COUNT_TRANSFAIL, LOOP_RUNNING, loop_t, loop_timer_set
from pymomentum.core.message.id cimport MESSAGE_ID_TEXT, message_id_text
from pymomentum.core.message.message cimport (BODY_LARGE, MSG_FAILED_QUIET, MSG_GONE, MSG_SPOOLED, MSG_STATE_AGAIN, MSG_STATE_LATER,
                                              MSG_STATE_PENDING, MSG_SWEPT, ec_message_t, message_free, message_set_code, message_swap_out, state_encode)
from pymomentum.core.message.word cimport word_text
from pymomentum.core.spool.spool cimport (spool_forget, spool_main, spool_state, spool_state_new, spool_state_t)
from .bounce cimport bounce_send
from .domain cimport (domain_t, domain_touch, mail_queue_t, queue_loop, queue_loop_t, queue_of, queue_push_active, queue_push_delayed,
                      refusal_t)
from .retry cimport retry_delay, retry_limit
from .swap cimport swap_in

cdef const char *BODY_MISSING = b"550 5.3.0 [internal] message body missing"
cdef const char *MAX_RETRIES = b"554 5.4.7 [internal] exceeded max retries without delivery"
cdef const char *MAX_TIME = b"554 5.4.7 [internal] exceeded max time without delivery"


cdef void attempt_init(attempt_t *a, mail_queue_t *q, const char *text) noexcept nogil:
    """An attempt without a connection; its id is all zeros."""
    cdef const config_binding_t *b = config_binding(q.domain.generation, q.binding)
    memset(a, 0, sizeof(a[0]))
    a.domain = q.domain.name
    a.group = b.group if b != NULL else slice_of(b"default")
    a.binding = b.name if b != NULL else slice_of(b"default")
    if text != NULL:
        a.text = slice_of(text)


cdef void message_forget(domain_t *d, ec_message_t *m) noexcept nogil:
    d.messages -= 1
    domain_touch(d)
    if m.flags & MSG_STATE_PENDING:
        m.flags |= MSG_GONE
        return
    if m.flags & MSG_SPOOLED:
        spool_forget(spool_main(), d.loop, m.seq, m.meta, m.state, m.body)
    message_free(m)


cdef void on_state(spool_state_t *st) noexcept nogil:
    cdef ec_message_t *m = <ec_message_t*>st.owner
    m.state = st.handle
    m.flags &= ~<uint16_t>MSG_STATE_PENDING
    if m.flags & MSG_GONE:
        spool_forget(spool_main(), st.loop, m.seq, m.meta, m.state, m.body)
        message_free(m)
    elif m.flags & MSG_STATE_AGAIN:
        m.flags &= ~<uint16_t>MSG_STATE_AGAIN
        save_state(st.loop, m, slice_make(NULL, 0))


cdef void save_state(loop_t *loop, ec_message_t *m, slice_t binding) noexcept nogil:
    """The newest retry count, time and code, for the next start."""
    cdef buf_t b
    cdef spool_state_t *st
    if not m.flags & MSG_SPOOLED:
        return
    if m.flags & MSG_STATE_PENDING:
        m.flags |= MSG_STATE_AGAIN
        return
    memset(&b, 0, sizeof(b))
    if state_encode(m, binding, &b) == EC_OK:
        st = spool_state_new(<uint32_t>b.len)
        if st != NULL:
            memcpy(st.bytes, b.ptr, b.len)
            st.loop = loop
            st.seq = m.seq
            st.version = m.retries      # of equal ones the later written counts
            st.meta = m.meta
            st.old = m.state
            st.owner = m
            st.done = on_state
            m.state = 0
            m.flags |= MSG_STATE_PENDING
            spool_state(st)
    buf_free(&b)


cdef void outcome_save(loop_t *loop, ec_message_t *m) noexcept nogil:
    if m.flags & MSG_STATE_LATER:
        m.flags &= ~<uint16_t>MSG_STATE_LATER
        save_state(loop, m, slice_make(NULL, 0))


cdef slice_t told(mail_queue_t *q, ec_message_t *m) noexcept nogil:
    """Who gets the report: the sender; of mail without one the mailbox of mdn_failures_notify, but not of what went there."""
    cdef const slice_t *notify = opt_text(q.values, OPT_MDN_FAILURES_NOTIFY)
    if m.env.mailfrom.len or notify == NULL or slice_ieq(notify[0], m.env.rcptto):
        return m.env.mailfrom
    return notify[0]


cdef void permanent(mail_queue_t *q, ec_message_t *m, const attempt_t *a) noexcept nogil:
    cdef domain_t *d = q.domain
    cdef slice_t to = told(q, m)
    log_failure(d.loop, m, a, True)
    log_bounce(d.loop, m, a, True, 1)
    q.failed += 1
    d.loop.counters[COUNT_FAILED] += 1
    if opt_number(q.values, OPT_GENERATE_BOUNCES) and to.len and not m.flags & MSG_FAILED_QUIET:
        bounce_send(q, m, a, to)        # forgets the message once the bounce is safe
    else:
        message_forget(d, m)


cdef inline int64_t message_age(loop_t *loop, ec_message_t *m) noexcept nogil:
    return <int64_t>(loop.wall_us - m.created_us) // 1000000


cdef uint32_t spread(mail_queue_t *q, ec_message_t *m) noexcept nogil:
    """Seconds by which one of many that fail together comes back later."""
    cdef int64_t fuzz = opt_number(q.values, OPT_DELAYED_BINDING_DOMAIN_FUZZ)
    return <uint32_t>(slice_mix(m.seq + 1, m.created_us) % <uint64_t>fuzz) if fuzz > 0 else 0


cdef bint spent(mail_queue_t *q, ec_message_t *m) noexcept nogil:
    """One more transient failure would be its last."""
    cdef int64_t limit = retry_limit(q.values)
    return opt_number(q.values, OPT_NEVER_RETRY) == 1 or (limit >= 0 and m.retries >= limit) \
        or message_age(q.domain.loop, m) >= opt_number(q.values, OPT_MESSAGE_EXPIRATION)


cdef void message_settle(mail_queue_t *q, ec_message_t *m, int outcome, const attempt_t *a) noexcept nogil:
    cdef domain_t *d = q.domain
    cdef loop_t *loop = d.loop
    if outcome == OUTCOME_DELIVERED:
        log_delivery(loop, m, a)
        q.delivered += 1
        loop.counters[COUNT_DELIVERED] += 1
        message_forget(d, m)
        return
    if outcome == OUTCOME_RETURN:
        queue_push_active(q, m, True)
        domain_touch(d)
        return
    if outcome == OUTCOME_PERMANENT:
        permanent(q, m, a)
        return
    if opt_number(d.generation.globals, OPT_INLINE_TRANSFAIL_PROCESSING) == 0:
        put_by(q, m, a)
    else:
        transient(q, m, a)


cdef void transient(mail_queue_t *q, ec_message_t *m, const attempt_t *a) noexcept nogil:
    cdef domain_t *d = q.domain
    cdef loop_t *loop = d.loop
    cdef attempt_t last
    cdef int64_t age
    if a.text.ptr != word_text(m.code):     # fail_now gives the code that stands there
        message_set_code(m, a.text)
    age = message_age(loop, m)
    log_failure(loop, m, a, False)
    log_bounce(loop, m, a, False, 1)
    q.transfailed += 1
    loop.counters[COUNT_TRANSFAIL] += 1
    if spent(q, m):
        last = a[0]
        last.text = slice_of(MAX_TIME if age >= opt_number(q.values, OPT_MESSAGE_EXPIRATION) else MAX_RETRIES)
        permanent(q, m, &last)
        return
    m.retries += m.retries < 65535
    m.next_attempt = <uint32_t>(loop.wall_us // 1000000) + retry_delay(q.values, m.retries)
    if m.flags & MSG_SWEPT:
        m.flags &= ~<uint16_t>MSG_SWEPT
        m.next_attempt += spread(q, m)
    if opt_number(d.generation.globals, OPT_SWAP_OUT_META_AFTER_EACH_TEMPFAIL) == 1 or loop.state != LOOP_RUNNING:
        save_state(loop, m, a.binding)
    else:
        m.flags |= MSG_STATE_LATER
    if m.retries > opt_number(q.values, OPT_DROP_BODY_AFTER_TRANS_FAIL) and m.flags & MSG_SPOOLED:
        message_swap_out(m)
    if queue_push_delayed(q, m) != EC_OK:
        queue_push_active(q, m, False)
    domain_touch(d)


# ---- failures that wait for a later turn ---------------------------------------------

cdef void put_by(mail_queue_t *q, ec_message_t *m, const attempt_t *a) noexcept nogil:
    cdef queue_loop_t *ql = queue_loop(q.domain.loop)
    if a.text.ptr != word_text(m.code):
        message_set_code(m, a.text)
    if m.flags & MSG_SPOOLED and ql.put_by_count >= opt_number(q.domain.generation.globals, OPT_MAX_RESIDENT_TRANSFAILS):
        message_swap_out(m)
    list_append(&ql.put_by, &m.node)
    ql.put_by_count += 1
    if ql.put_by_timer.due_ms == 0:
        loop_timer_set(ql.loop, &ql.put_by_timer, 1)


cdef void outcome_next_turn(timer_entry_t *t) noexcept nogil:
    """A bounded number of those put by."""
    cdef queue_loop_t *ql = NULL
    cdef ec_message_t *m
    cdef int64_t left
    ql = <queue_loop_t*>(<char*>t - (<char*>&ql.put_by_timer - <char*>ql))
    left = opt_number(ql.generation.globals, OPT_TRANSFAIL_DRAIN_RATE)
    while left > 0 and not list_empty(&ql.put_by):
        m = <ec_message_t*>ql.put_by.next
        list_remove(&m.node)
        ql.put_by_count -= 1
        left -= 1
        if m.env == NULL:
            swap_in(ql.loop, m, False, on_swapped_put_by, queue_of(m))
        else:
            on_swapped_put_by(m, queue_of(m), EC_OK)
    if not list_empty(&ql.put_by):
        loop_timer_set(ql.loop, t, 1)


cdef void on_swapped_put_by(ec_message_t *m, void *ctx, int rc) noexcept nogil:
    cdef mail_queue_t *q = <mail_queue_t*>ctx
    cdef attempt_t a
    if rc != EC_OK:
        message_lost(q, m, rc)
        return
    attempt_init(&a, q, word_text(m.code))
    transient(q, m, &a)


# ---- failures without a connection ---------------------------------------------------

cdef void on_swapped_temp(ec_message_t *m, void *ctx, int rc) noexcept nogil:
    fail_now(<mail_queue_t*>ctx, m, False, rc)


cdef void on_swapped_perm(ec_message_t *m, void *ctx, int rc) noexcept nogil:
    fail_now(<mail_queue_t*>ctx, m, True, rc)


cdef void fail_now(mail_queue_t *q, ec_message_t *m, bint permanent_, int rc) noexcept nogil:
    cdef attempt_t a
    cdef refusal_t *refusal = q.domain.refusal
    cdef const char *code = word_text(m.code)
    if rc != EC_OK:
        message_lost(q, m, rc)
        return
    attempt_init(&a, q, code)
    if refusal != NULL and code != NULL and strcmp(code, refusal.text) == 0:
        a.conn = refusal.conn
        a.peer = slice_of(refusal.peer)
        a.stage = refusal.stage
    message_settle(q, m, OUTCOME_PERMANENT if permanent_ else OUTCOME_TRANSIENT, &a)


cdef void message_lost(mail_queue_t *q, ec_message_t *m, int rc) noexcept nogil:
    """The spool cannot give it back.  Damaged: it fails, and its sender hears so; a disk that fails now: tried again later."""
    cdef char id[MESSAGE_ID_TEXT + 1]
    cdef attempt_t a
    message_id_text(m.id, id)
    id[MESSAGE_ID_TEXT] = 0
    if rc == EC_CORRUPT or rc == EC_NOTFOUND:
        log_panic(q.domain.loop, b"SPOOL", b"message %s cannot be read back: its record is damaged", id)
        if opt_number(q.domain.generation.globals, OPT_UNLINK_ON_SPOOL_IN_FAILURE) == 0 and not m.flags & MSG_STATE_PENDING:
            q.domain.messages -= 1          # the spool keeps it, and the next start finds it again
            domain_touch(q.domain)
            message_free(m)
            return
        if m.env != NULL:
            attempt_init(&a, q, BODY_MISSING)
            permanent(q, m, &a)
            return
        q.failed += 1
        q.domain.loop.counters[COUNT_FAILED] += 1
        message_forget(q.domain, m)
        return
    log_panic(q.domain.loop, b"SPOOL", b"message %s cannot be read now, tried again in a minute", id)
    m.next_attempt = <uint32_t>(q.domain.loop.wall_us // 1000000) + 60
    if queue_push_delayed(q, m) != EC_OK:
        queue_push_active(q, m, False)


cdef void message_fail(mail_queue_t *q, ec_message_t *m, bint permanent, const char *text) noexcept nogil:
    cdef bint body = m.blob == NULL and not m.flags & BODY_LARGE and (permanent or spent(q, m))      # a report quotes it
    message_set_code(m, slice_of(text))
    if m.env == NULL or body:
        swap_in(q.domain.loop, m, body, on_swapped_perm if permanent else on_swapped_temp, q)
    else:
        fail_now(q, m, permanent, EC_OK)
