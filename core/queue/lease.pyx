"""Leases: how a connection on any loop takes messages and gives outcomes back.

On the queue's own loop every call is direct.  Elsewhere, or with lease =
remote, questions, answers and outcomes are posts.  A message that is not in
memory is read back before it is granted.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from pymomentum.core.base.clock cimport clock_mono_ns
from pymomentum.core.base.throttle cimport throttle_ask, throttle_return
from pymomentum.core.base.list cimport list_append, list_empty, list_init, list_node_t, list_remove
from pymomentum.core.base.slice cimport slice_make, slice_of, slice_t
from pymomentum.core.base.status cimport EC_NOMEM, EC_OK
from pymomentum.core.config.generation cimport config_generation_t, config_host
from pymomentum.core.config.values cimport (OPT_MAX_OUTBOUND_CONNECTIONS, OPT_MESSAGE_EXPIRATION, OPT_MIGRATE_CONNECTIONS_BETWEEN_SIBLING_DOMAINS,
                                             OPT_NEVER_ATTEMPT_EXPIRED_MESSAGES,
                                            OPT_OUTBOUND_THROTTLE_MESSAGES, opt_number, opt_throttle, throttle_t, values_t)
from pymomentum.core.loop.loop cimport LOOP_RUNNING, loop_post, loop_t
from pymomentum.core.loop.post cimport post_t
from pymomentum.core.message.message cimport ec_message_t, same_content
from .domain cimport (WAIT_MESSAGES, WAIT_SUSPENDED, domain_t, domain_touch, mail_queue_t, message_resident, queue_of,
                      queue_remove_active, queue_suspended)
from .permit cimport permit_go, permit_renew, permit_wanted
from .outcome cimport message_fail, message_lost, message_settle
from .route cimport route_abandoned, route_next, route_t
from .swap cimport swap_in

cdef enum:
    TURN = 20                   # messages of one queue while siblings wait
    EXPIRED_STEP = 100          # failed in one go

cdef bint remote = False
cdef const char *EXPIRED = b"554 5.4.5 [internal] Delivery not attempted (message expired)"

cdef struct settle_t:           # an outcome on its way to the queue's loop
    post_t post                 # first
    ec_message_t *m
    int outcome
    route_t *route
    uint32_t deliver_us
    attempt_t attempt           # slices point behind the struct


cdef void lease_set_remote(bint on) noexcept nogil:
    global remote
    remote = on


cdef bint lease_is_remote(lease_t *l) noexcept nogil:
    return remote or l.loop != l.queue.domain.loop


# ---- asking ------------------------------------------------------------------------

cdef void on_granted(post_t *p) noexcept nogil:
    cdef lease_t *l = <lease_t*>p
    l.asking = False
    l.granted(l)


cdef void answer(lease_t *l) noexcept nogil:
    if lease_is_remote(l):
        l.post.fn = on_granted
        loop_post(l.loop, &l.post)
    else:
        on_granted(&l.post)


cdef bint expired(mail_queue_t *q, ec_message_t *m) noexcept nogil:
    cdef loop_t *loop = q.domain.loop
    return opt_number(q.values, OPT_NEVER_ATTEMPT_EXPIRED_MESSAGES) == 1 \
        and <int64_t>(loop.wall_us - m.created_us) // 1000000 >= opt_number(q.values, OPT_MESSAGE_EXPIRATION)


cdef inline void put(lease_t *l, ec_message_t *m) noexcept nogil:
    list_append(&l.batch, &m.node)
    l.n += 1


cdef void gather(lease_t *l, ec_message_t *first) noexcept nogil:
    """The first message and those behind it with the same content."""
    cdef mail_queue_t *q = l.queue
    cdef ec_message_t *m
    cdef list_node_t *node
    l.own += 1
    put(l, first)
    q.domain.loop.work_seq[0] = first.seq
    while l.n < l.most and not list_empty(&q.active):
        node = q.active.next
        m = <ec_message_t*>node
        if m.env == NULL or not same_content(m, first):
            break
        queue_remove_active(q, m)
        put(l, m)
    answer(l)


cdef void on_swapped(ec_message_t *m, void *ctx, int rc) noexcept nogil:
    cdef lease_t *l = <lease_t*>ctx
    if rc != EC_OK:
        message_lost(l.queue, m, rc)
        if rc == EC_NOMEM:
            answer(l)                       # not the same one again and again
        else:
            take(l)
        return
    gather(l, m)


cdef uint64_t ask_throttles(lease_t *l) noexcept nogil:
    """Take one message of the queue's throttle and of the host's; nanoseconds until both are clear."""
    cdef throttle_t *own = opt_throttle(l.queue.values, OPT_OUTBOUND_THROTTLE_MESSAGES)
    cdef throttle_t *host = l.host_throttle
    cdef uint64_t now, wait = 0
    if own == NULL and host == NULL:
        return 0
    now = clock_mono_ns()
    if host != NULL:
        wait = throttle_ask(&host.arrival_ns, host.interval_ns, now)
    if wait == 0 and own != NULL:
        wait = throttle_ask(&own.arrival_ns, own.interval_ns, now)
        if wait and host != NULL:
            throttle_return(&host.arrival_ns, host.interval_ns)
    return wait


cdef void take(lease_t *l) noexcept nogil:
    """On the queue's loop."""
    cdef mail_queue_t *q = l.queue
    cdef domain_t *d = q.domain
    cdef ec_message_t *m
    cdef uint64_t wait
    cdef int failed = 0
    list_init(&l.batch)
    l.n = 0
    l.wait_ms = 0
    l.wanted = False
    if d.loop.state != LOOP_RUNNING or l.permit.going:      # the server stops, and what is queued stays queued; or it has no place
        l.wait_ms = <uint64_t>-1
    elif l.own >= TURN and not list_empty(&l.route.hungry) and sibling(l):      # others count on this connection too
        q = l.queue
        d = q.domain
    while l.wait_ms == 0 and not list_empty(&q.active):
        if queue_suspended(q):
            q.waiting = WAIT_SUSPENDED
            break
        wait = ask_throttles(l)
        if wait:
            l.wait_ms = wait // 1000000 + 1
            q.waiting = WAIT_MESSAGES
            q.waiting_until_ms = d.loop.now_ms + l.wait_ms
            domain_touch(d)
            break
        m = <ec_message_t*>q.active.next
        queue_remove_active(q, m)
        if expired(q, m):
            message_fail(q, m, True, EXPIRED)
            failed += 1
            if failed < EXPIRED_STEP:
                continue
            l.post.fn = on_asked                # a whole queue may be: others first
            loop_post(d.loop, &l.post)
            return
        if not message_resident(m):
            swap_in(d.loop, m, True, on_swapped, l)
            return
        gather(l, m)
        return
    if l.wait_ms == 0 and sibling(l):
        take(l)
        return
    l.wanted = permit_wanted(&l.permit)
    answer(l)


cdef bint sibling(lease_t *l) noexcept nogil:
    """The queue is empty, or has had its turn: is there another that this connection may serve?"""
    cdef mail_queue_t *q
    if l.queue.waiting == WAIT_SUSPENDED or (not list_empty(&l.queue.active) and l.own < TURN) \
            or opt_number(l.queue.domain.generation.globals, OPT_MIGRATE_CONNECTIONS_BETWEEN_SIBLING_DOMAINS) != 1:
        return False
    q = route_next(l.route, l.queue)
    if q == NULL:
        return False
    lease_switch(l, q)
    return True


cdef void lease_join(lease_t *l, mail_queue_t *q, route_t *route, const values_t *scope) noexcept nogil:
    l.queue = q
    l.route = route
    l.own = 0
    l.host_throttle = opt_throttle(scope, OPT_OUTBOUND_THROTTLE_MESSAGES) if scope != NULL else NULL
    list_init(&l.idle)
    list_init(&l.spare)
    list_init(&l.node)
    list_init(&l.batch)
    list_append(&q.domain.connections, &l.node)
    q.connections += 1
    route.connections += 1


cdef void lease_switch(lease_t *l, mail_queue_t *q) noexcept nogil:
    list_remove(&l.node)
    l.queue.connections -= 1
    domain_touch(l.queue.domain)
    l.queue = q
    l.own = 0
    q.connections += 1
    list_append(&q.domain.connections, &l.node)


cdef void lease_renew(lease_t *l) noexcept nogil:
    cdef mail_queue_t *q = l.queue
    cdef config_generation_t *g = q.domain.generation
    cdef const values_t *scope = config_host(g, q.binding, slice_of(l.host)) if g.hosts else NULL
    cdef int64_t most = opt_number(q.values, OPT_MAX_OUTBOUND_CONNECTIONS)
    l.host_throttle = opt_throttle(scope, OPT_OUTBOUND_THROTTLE_MESSAGES) if scope != NULL else NULL
    if not l.permit.going:
        if most >= 0 and q.connections - q.going > most:
            permit_go(&l.permit)
        if not permit_renew(&l.permit, q, l.route, scope):
            q.going += 1
    if not list_empty(&l.idle):
        lease_wake(l)


cdef void on_asked(post_t *p) noexcept nogil:
    take(<lease_t*>p)


cdef void lease_ask(lease_t *l, uint32_t most) noexcept nogil:
    l.most = most if most else 1
    l.asking = True
    if lease_is_remote(l):
        l.post.fn = on_asked
        loop_post(l.queue.domain.loop, &l.post)
    else:
        take(l)


# ---- outcomes ----------------------------------------------------------------------

cdef inline slice_t pack(char **at, slice_t s) noexcept nogil:
    cdef char *p = at[0]
    if s.len:
        memcpy(p, s.ptr, s.len)
    at[0] = p + s.len
    return slice_make(p, s.len)


cdef inline void learn(route_t *r, uint32_t us) noexcept nogil:
    """How long the host took for a transaction."""
    if us:
        r.deliver_us = (r.deliver_us * 7 + us) // 8 if r.deliver_us else us


cdef void on_settled(post_t *p) noexcept nogil:
    cdef settle_t *s = <settle_t*>p
    learn(s.route, s.deliver_us)
    message_settle(queue_of(s.m), s.m, s.outcome, &s.attempt)
    free(s)


cdef void lease_settle(lease_t *l, ec_message_t *m, int outcome, const attempt_t *a) noexcept nogil:
    cdef settle_t *s
    cdef char *at
    list_remove(&m.node)
    if not lease_is_remote(l):
        learn(l.route, l.deliver_us)
        l.deliver_us = 0
        message_settle(queue_of(m), m, outcome, a)
        return
    # one allocation per outcome, on the way between two loops only
    s = NULL
    while s == NULL:
        s = <settle_t*>malloc(sizeof(settle_t) + a.domain.len + a.group.len + a.binding.len + a.peer.len + a.text.len)
    s.post.fn = on_settled
    s.m = m
    s.outcome = outcome
    s.route = l.route
    s.deliver_us = l.deliver_us
    l.deliver_us = 0
    s.attempt = a[0]
    at = <char*>s + sizeof(settle_t)
    s.attempt.domain = pack(&at, a.domain)
    s.attempt.group = pack(&at, a.group)
    s.attempt.binding = pack(&at, a.binding)
    s.attempt.peer = pack(&at, a.peer)
    s.attempt.text = pack(&at, a.text)
    loop_post(l.queue.domain.loop, &s.post)


# ---- rest and end ------------------------------------------------------------------

cdef void on_rested(post_t *p) noexcept nogil:
    cdef lease_t *l = <lease_t*>p
    list_append(&l.queue.idle, &l.idle)
    list_append(&l.route.idle, &l.spare)
    if not list_empty(&l.queue.active):
        domain_touch(l.queue.domain)


cdef void lease_rest(lease_t *l) noexcept nogil:
    l.resting = True
    if lease_is_remote(l):
        l.post.fn = on_rested
        loop_post(l.queue.domain.loop, &l.post)
    else:
        on_rested(&l.post)


cdef void on_woken(post_t *p) noexcept nogil:
    cdef lease_t *l = <lease_t*>p
    l.resting = False
    l.wake(l)


cdef void lease_wake(lease_t *l) noexcept nogil:
    list_remove(&l.idle)
    list_remove(&l.spare)
    if lease_is_remote(l):
        l.post.fn = on_woken
        loop_post(l.loop, &l.post)
    else:
        on_woken(&l.post)


cdef void on_gone(post_t *p) noexcept nogil:
    cdef lease_t *l = NULL
    l = <lease_t*>(<char*>p - (<char*>&l.leave - <char*>l))
    l.granted(l)


cdef void on_left(post_t *p) noexcept nogil:
    """On the queue's loop: out of every list of it.  A wake that is on its way arrives before `gone`."""
    cdef lease_t *l = NULL
    l = <lease_t*>(<char*>p - (<char*>&l.leave - <char*>l))
    list_remove(&l.idle)
    list_remove(&l.spare)
    list_remove(&l.node)
    l.queue.connections -= 1
    l.queue.going -= l.permit.going
    domain_touch(l.queue.domain)
    l.route.connections -= 1
    if l.route.connections == 0:
        route_abandoned(l.queue.domain.loop, l.route)
    if lease_is_remote(l):
        l.leave.fn = on_gone
        loop_post(l.loop, &l.leave)
    else:
        on_gone(&l.leave)


cdef void lease_leave(lease_t *l, lease_fn gone) noexcept nogil:
    l.granted = gone
    if lease_is_remote(l):
        l.leave.fn = on_left
        loop_post(l.queue.domain.loop, &l.leave)
    else:
        on_left(&l.leave)
