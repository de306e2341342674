"""The maintainer of a domain record.

Runs on the record's loop: at the end of an iteration that touched it, and by
its timer.  Moves due mail to active, resolves MX, opens connections up to
the goal, fails mail that no host can take.  Work per run is bounded; what is
left runs again at once.
"""
import time

from libc.stdint cimport int64_t, uint32_t, uint64_t
from pymomentum.core.base.atomic cimport atomic_cas32, atomic_store32
from pymomentum.core.base.clock cimport clock_mono_ns
from pymomentum.core.base.hash cimport hash_next
from pymomentum.core.base.heap cimport heap_first_key, heap_pop
from pymomentum.core.base.list cimport list_empty, list_node_t
from pymomentum.core.base.slice cimport slice_eq, slice_make, slice_t
from pymomentum.core.base.status cimport EC_NOMEM, EC_OK
from pymomentum.core.base.cidr cimport sockaddr, sockaddr_storage
from pymomentum.core.base.throttle cimport throttle_ask, throttle_wait
from pymomentum.core.base.timewheel cimport timer_entry_t, timer_init
from pymomentum.core.config.generation cimport config_current, config_host, config_number, config_unref
from pymomentum.core.config.globs cimport globs_hold
from pymomentum.core.config.values cimport *
from pymomentum.core.dns.mx cimport (MX_EARLY, MX_FAILED, MX_FALLBACK_A, MX_IPV6, MX_NULL, MX_OK,
                                     MX_PREFER_IPV6, mx_address_of, mx_address_t, mx_answer_free, mx_answer_literal, mx_answer_t, mx_lookup,
                                     mx_query_t)
from pymomentum.core.dns.routes cimport routes_lookup
from pymomentum.core.loop.limit cimport limit_forget, limit_t, limit_wait
from pymomentum.core.loop.loop cimport (COUNT_DELAYED, LOOP_RUNNING, loop_add_flusher, loop_at, loop_call,
                                        loop_count, loop_t,
                                        loop_timer_set)
from pymomentum.core.loop.post cimport post_t
from pymomentum.core.message.message cimport MSG_SWEPT, ec_message_t
from pymomentum.core.net.address cimport address_parse, split_port
from .domain cimport *
from .host cimport choice_t, host_choose, host_excuse, host_failures, host_prohibited
from .insert cimport lower, queue_leaves_gateway, queue_move, reroute_name
from .lease cimport lease_renew, lease_switch, lease_t, lease_wake
from .outcome cimport message_fail, outcome_next_turn, outcome_save
from .permit cimport permit_give, permit_t, permit_take
from .route cimport route_hungry, route_t, routes_wake

cdef enum:
    RUN = 1000                  # messages moved or failed per run
    OPEN = 16                   # connections opened per run and queue
    GROW = 20                   # messages that call for one more connection
    KEEP_MS = 60000             # an empty record stays at least so long

cdef connect_fn connect = NULL
cdef const char *NO_HOSTS = b"451 4.4.1 [internal] No valid hosts (unable to make any connections)"
cdef const char *UNREACHED = b"421 4.4.0 [internal] no MXs for this domain could be reached at this time"
cdef const char *NO_MX = b"454 4.4.4 [internal] no MX or A for domain"
cdef const char *NULL_MX = b"550 5.4.4 [internal] NULL MX domain does not accept mail"
cdef const char *LOOKUP_FAILED = b"554 5.4.4 [internal] Domain Lookup Failed"
cdef const char *PRIVATE = b"551 5.4.6 [internal] Private/Loopback Address"
cdef const char *BLACKHOLED = b"554 5.7.0 [internal] Blackholed"


cdef void maintainer_start(connect_fn fn) noexcept nogil:
    global connect
    connect = fn
    domain_set_maintainer(maintain)


cdef int maintainer_attach(loop_t *loop) noexcept nogil:
    if queue_loop(loop) == NULL:
        return EC_NOMEM
    queue_loop(loop).generation = config_current()
    timer_init(&queue_loop(loop).put_by_timer, outcome_next_turn)
    timer_init(&queue_loop(loop).expirer, on_expire)
    on_expire(&queue_loop(loop).expirer)
    return loop_add_flusher(loop, run_dirty)


cdef void on_drain(post_t *p) noexcept nogil:
    """Every record is maintained once more, which sends its idle sessions home."""
    cdef queue_loop_t *ql = NULL
    cdef size_t cursor = 0
    cdef domain_t *d
    ql = <queue_loop_t*>(<char*>p - (<char*>&ql.drain - <char*>ql))
    while True:
        d = <domain_t*>hash_next(&ql.domains, &cursor)
        if d == NULL:
            return
        save_states(d)
        domain_touch(d)


cdef void save_states(domain_t *d) noexcept nogil:
    cdef mail_queue_t *q = d.queues
    cdef list_node_t *node
    cdef size_t i
    while q != NULL:
        for i in range(q.delayed.len):
            outcome_save(d.loop, <ec_message_t*>q.delayed.slots[i].item)
        node = q.active.next
        while node != &q.active:
            outcome_save(d.loop, <ec_message_t*>node)
            node = node.next
        q = q.next


cdef void queues_drain() noexcept nogil:
    cdef int i
    for i in range(loop_count()):
        if atomic_cas32(&queue_loop(loop_at(i)).draining, 0, 1):
            loop_call(loop_at(i), &queue_loop(loop_at(i)).drain, on_drain)


def drain():
    """After the sessions were told (smtp.server.session.drain): connections end with the mail they carry."""
    queues_drain()


cdef void on_refresh(post_t *p) noexcept nogil:
    """Records take up the current generation, a bounded number per turn, so that the old one can go."""
    cdef queue_loop_t *ql = NULL
    cdef domain_t *d
    cdef int n
    ql = <queue_loop_t*>(<char*>p - (<char*>&ql.refresh - <char*>ql))
    for n in range(RUN):
        d = <domain_t*>hash_next(&ql.domains, &ql.refresh_cursor)
        if d == NULL:
            atomic_store32(&ql.refreshing, 0)
            return
        domain_refresh(d)
        renew_connections(d)
        if d.messages:
            domain_touch(d)
    loop_call(ql.loop, p, on_refresh)


cdef void renew_connections(domain_t *d) noexcept nogil:
    cdef lease_t *l = NULL
    cdef size_t at = <size_t>(<char*>&l.node - <char*>l)
    cdef list_node_t *node = d.connections.next
    cdef list_node_t *next
    while node != &d.connections:
        next = node.next
        lease_renew(<lease_t*>(<char*>node - at))       # which may end it
        node = next


cdef void on_refresh_asked(post_t *p) noexcept nogil:
    cdef queue_loop_t *ql = NULL
    ql = <queue_loop_t*>(<char*>p - (<char*>&ql.refresh - <char*>ql))
    ql.refresh_cursor = 0
    on_refresh(p)


def refresh():
    """After a reload: every domain record takes up the new configuration."""
    cdef queue_loop_t *ql
    for i in range(loop_count()):
        ql = queue_loop(loop_at(i))
        while not atomic_cas32(&ql.refreshing, 0, 1):       # the walk of the reload before this one
            time.sleep(0.01)
        loop_call(loop_at(i), &ql.refresh, on_refresh_asked)


cdef void run_dirty(loop_t *loop) noexcept nogil:
    cdef queue_loop_t *ql = queue_loop(loop)
    cdef domain_t *d
    cdef domain_t *next
    if ql.generation.number != config_number():
        config_unref(ql.generation)
        ql.generation = config_current()
    routes_wake(loop)
    d = ql.dirty
    ql.dirty = NULL
    while d != NULL:
        next = d.next_dirty
        d.dirty = False
        maintain(d)
        d = next


# ---- MX ----------------------------------------------------------------------------

cdef bint relayed(domain_t *d) noexcept nogil:
    """We are one of its hosts ourselves, as far as the configuration tells."""
    return globs_hold(opt_list(d.generation.globals, OPT_RELAY_DOMAINS), d.name) \
        or globs_hold(opt_list(d.generation.globals, OPT_BOUNCE_DOMAINS), d.name)


cdef void keep_best(mx_answer_t *mx) noexcept nogil:
    """Hosts of the best preference alone: mail does not come back by a host that is no better than us."""
    cdef uint32_t n = 0
    while n < mx.hosts and mx.host[n].preference == mx.host[0].preference:
        n += 1
    mx.hosts = n
    mx.addresses = mx.host[n - 1].first + mx.host[n - 1].count


cdef void take_answer(domain_t *d, mx_answer_t *mx) noexcept nogil:
    cdef mail_queue_t *q = d.queues
    if mx.status == MX_OK and relayed(d) and opt_number(d.generation.globals, OPT_ONLY_USE_BEST_MX_FOR_RELAY_DOMAINS) == 1:
        keep_best(mx)
    mx_answer_free(d.mx)
    d.mx = mx
    d.mx_until_ms = d.loop.now_ms + <uint64_t>(mx.ttl if mx.ttl else 1) * 1000
    if mx.status == MX_OK:
        d.dns_failures = 0
    while q != NULL:
        if q.waiting == WAIT_HOSTS or q.waiting == WAIT_DNS:        # there may be others now
            q.waiting_until_ms = 0
        q = q.next


cdef void on_mx(mx_query_t *query) noexcept nogil:
    cdef domain_t *d = NULL
    d = <domain_t*>(<char*>query - (<char*>&d.query - <char*>d))
    d.resolving = False
    if query.answer != NULL:
        take_answer(d, query.answer)
    domain_touch(d)


cdef bint literal(domain_t *d) noexcept nogil:
    """Names that are addresses need no DNS: 192.0.2.1, [192.0.2.1], [IPv6:2001:db8::1], with :port for gateways."""
    cdef slice_t name, port
    cdef mx_address_t a
    cdef sockaddr_storage s
    cdef mx_answer_t *mx
    split_port(d.name, &name, &port)
    if name.len > 6 and name.ptr[0] == c'[' and (name.ptr[1] == c'i' or name.ptr[1] == c'I') and name.ptr[5] == c':':
        name = slice_make(name.ptr + 6, name.len - 7)
    if address_parse(name, 0, &s) != EC_OK:
        return False
    mx_address_of(<sockaddr*>&s, &a)
    mx = mx_answer_literal(&a)
    if mx != NULL:
        mx.ttl = 3600
        take_answer(d, mx)
    return mx != NULL


cdef const opt_list_t *routes_of(mail_queue_t *q) noexcept nogil:
    """NULL: its mail goes by the MX of its routing domain, which is the gateway where there is one."""
    cdef const slice_t *gateway = opt_text(q.values, OPT_GATEWAY)
    cdef const opt_list_t *routes = opt_list(q.values, OPT_ROUTES)
    return routes if routes != NULL and routes.n and not q.domain.gateway and (gateway == NULL or gateway.len == 0) else NULL


cdef bint resolve(domain_t *d) noexcept nogil:
    """True where an answer, good or bad, is at hand; else one is on its way."""
    cdef const values_t *g = d.generation.globals
    cdef const opt_list_t *routes = routes_of(d.queues)
    cdef slice_t name, port
    cdef int64_t most
    cdef int flags = 0, rc
    if d.resolving:
        return False
    if d.mx != NULL and d.loop.now_ms < d.mx_until_ms:
        return True
    if routes == NULL and literal(d):
        return True
    split_port(d.name, &name, &port)
    if opt_number(g, OPT_USE_IPV6) == 1:
        flags |= MX_IPV6
    if opt_number(g, OPT_PREFER_IPV6_MXS) == 1:
        flags |= MX_PREFER_IPV6
    most = opt_number(d.queues.values, OPT_MX_FAILURES_FALLBACK_TO_A)
    if d.dns_failures >= (1 if most < 0 else most):
        flags |= MX_FALLBACK_A
    if opt_number(d.queues.values, OPT_FULLY_RESOLVE_BEFORE_SMTP) == 0 and not relayed(d):
        flags |= MX_EARLY
    if routes != NULL:
        rc = routes_lookup(d.loop, routes, name, flags, &d.query, on_mx)
    else:
        rc = mx_lookup(d.loop, name, flags, &d.query, on_mx)
    if rc == EC_OK:
        if d.query.answer == NULL:
            return False
        take_answer(d, d.query.answer)
        return True
    d.resolving = True
    return False


cdef void on_expire(timer_entry_t *t) noexcept nogil:
    """MX that have expired are looked up again before mail asks for them; a bounded number of records per turn."""
    cdef queue_loop_t *ql = NULL
    cdef domain_t *d = NULL
    cdef int n
    ql = <queue_loop_t*>(<char*>t - (<char*>&ql.expirer - <char*>ql))
    for n in range(RUN):
        d = <domain_t*>hash_next(&ql.domains, &ql.expire_cursor)
        if d == NULL:
            ql.expire_cursor = 0
            break
        if d.messages and d.mx != NULL and d.loop.now_ms >= d.mx_until_ms:
            domain_refresh(d)
            resolve(d)
    loop_timer_set(ql.loop, t, 1 if d != NULL else <uint64_t>opt_number(ql.generation.globals, OPT_DNS_EXPIRE_INTERVAL) * 1000)


# ---- the run -----------------------------------------------------------------------

cdef void fail_active(mail_queue_t *q, bint permanent, const char *text, uint32_t *left) noexcept nogil:
    while left[0] and not list_empty(&q.active):
        fail_first(q, permanent, text, 0, left)


cdef void fail_first(mail_queue_t *q, bint permanent, const char *text, uint32_t flags, uint32_t *left) noexcept nogil:
    cdef ec_message_t *m = <ec_message_t*>q.active.next
    queue_remove_active(q, m)
    m.flags |= flags
    left[0] -= 1
    message_fail(q, m, permanent, text)


cdef bint beyond_reach(mail_queue_t *q) noexcept nogil:
    """Failed so often, or for so long, that the queue is put off as a whole."""
    cdef domain_t *d = q.domain
    cdef int64_t most = opt_number(q.values, OPT_MX_FAILURES_TO_DELAY), seconds = opt_number(q.values, OPT_CONNECT_TIMEOUT_TO_DELAY)
    return (most > 0 and host_failures(q) >= most) or (seconds > 0 and d.loop.now_ms - d.failing_ms >= <uint64_t>seconds * 1000)


cdef void sweep(mail_queue_t *q, uint32_t *left) noexcept nogil:
    """All that is active fails for now, a bounded number per run."""
    while left[0] and not list_empty(&q.active):
        fail_first(q, False, UNREACHED, MSG_SWEPT, left)
    q.sweeping = not list_empty(&q.active)


cdef void without_host(mail_queue_t *q, uint32_t *left) noexcept nogil:
    """No host may be tried now: one message answers for the attempt that failed, the others wait until one has rested."""
    cdef domain_t *d = q.domain
    cdef const char *why
    if q.connections:
        return
    if d.failing_ms == 0:                   # others found its hosts dead
        d.failing_ms = d.loop.now_ms
    if beyond_reach(q):
        d.failing_ms = d.loop.now_ms
        q.charged = d.failures
        sweep(q, left)
    elif q.charged != d.failures:
        q.charged = d.failures
        why = host_excuse(q)
        fail_first(q, False, why if why != NULL else NO_HOSTS, 0, left)
    elif q.waiting_until_ms == 0:           # none of them may ever be tried
        fail_active(q, False, NO_HOSTS, left)


cdef void move_due(mail_queue_t *q, uint32_t *left) noexcept nogil:
    cdef uint64_t now = q.domain.loop.wall_us // 1000000
    cdef slice_t elsewhere = slice_make(NULL, 0)
    cdef char room[256]
    cdef char other[256]
    cdef ec_message_t *m
    if q.delayed.len and heap_first_key(&q.delayed) <= now:
        elsewhere = reroute_name(opt_text(q.values, OPT_DELAYED_REROUTE_DOMAIN), room)
    while left[0] and q.delayed.len and heap_first_key(&q.delayed) <= now:
        m = <ec_message_t*>heap_pop(&q.delayed)
        q.domain.loop.counters[COUNT_DELAYED] -= 1
        m.next_attempt = 0
        left[0] -= 1
        if not queue_move(q, m, elsewhere if elsewhere.len else queue_leaves_gateway(q, m, other), False):
            queue_push_active(q, m, False)


cdef void hasten(mail_queue_t *q, uint32_t most) noexcept nogil:
    """Delayed mail becomes active, due or not."""
    while most and q.delayed.len:
        queue_push_active(q, <ec_message_t*>heap_pop(&q.delayed), False)
        q.domain.loop.counters[COUNT_DELAYED] -= 1
        most -= 1


cdef void move_active(mail_queue_t *q, slice_t name, bint rollup, uint32_t *left) noexcept nogil:
    """To the record of that name, or of its gateway."""
    cdef ec_message_t *m
    while left[0] and not list_empty(&q.active):
        m = <ec_message_t*>q.active.next
        queue_remove_active(q, m)
        if not queue_move(q, m, name, rollup):
            queue_push_active(q, m, True)
            q.waiting_until_ms = q.domain.loop.now_ms + 100
            break
        left[0] -= 1


cdef bint has_new_gateway(mail_queue_t *q) noexcept nogil:
    """A reload brought one: mail that came before goes by it, too."""
    cdef const slice_t *gateway = opt_text(q.values, OPT_GATEWAY) if not q.domain.gateway else NULL
    cdef char room[256]
    return gateway != NULL and gateway.len > 0 and not slice_eq(lower(gateway[0], room), q.domain.name)


cdef bint rolled_up(mail_queue_t *q, uint32_t *left) noexcept nogil:
    """A Host stanza has the mail of all domains of that host queued for one: theirs goes there."""
    cdef domain_t *d = q.domain
    cdef const values_t *host
    cdef slice_t name = slice_make(NULL, 0)
    cdef char room[256]
    cdef uint32_t i
    if not d.generation.hosts or d.target:
        return False
    for i in range(d.mx.hosts):
        host = config_host(d.generation, q.binding, d.mx.host[i].name)
        if host != NULL and opt_number(host, OPT_ROLLUP_MX) == 1:
            name = reroute_name(opt_text(host, OPT_ROLLUP_MX_NAME), room)
            break
    if name.len == 0 or slice_eq(name, d.name):
        return False
    move_active(q, name, True, left)
    return True


cdef void wake_idle(mail_queue_t *q) noexcept nogil:
    """Sessions that wait get work first: one per message that may go now; all, to go, when the server stops."""
    cdef uint32_t n = q.active_count
    if q.domain.loop.state != LOOP_RUNNING:
        n = <uint32_t>-1
    elif n and opt_throttle(q.values, OPT_OUTBOUND_THROTTLE_MESSAGES) != NULL:
        n = 1
    while n and not list_empty(&q.idle):
        lease_wake(<lease_t*>(<char*>q.idle.next - idle_at()))
        n -= 1


cdef inline size_t idle_at() noexcept nogil:
    cdef lease_t *l = NULL
    return <size_t>(<char*>&l.idle - <char*>l)


cdef uint32_t goal(mail_queue_t *q) noexcept nogil:
    """How many connections this queue should have; `normal` grows by doubling with the backlog."""
    cdef int64_t most = opt_number(q.values, OPT_MAX_OUTBOUND_CONNECTIONS)
    cdef uint32_t want
    if opt_number(q.values, OPT_CONNECTION_ALLOCATION_AGGRESSIVENESS) == CONNECTION_ALLOCATION_AGGRESSIVENESS_HIGH:
        want = q.active_count + q.connections
    else:
        want = (q.active_count + GROW - 1) // GROW
        if want > 2 * q.connections + 1:
            want = 2 * q.connections + 1
    if most >= 0 and want > most:
        q.waiting = WAIT_CONNECTIONS
        want = <uint32_t>most
    return want


cdef bint borrow(mail_queue_t *q, route_t *r) noexcept nogil:
    """A resting connection of a sibling comes over."""
    cdef lease_t *l = NULL
    cdef size_t at = <size_t>(<char*>&l.spare - <char*>l)
    if list_empty(&r.idle) or opt_number(q.domain.generation.globals, OPT_MIGRATE_CONNECTIONS_BETWEEN_SIBLING_DOMAINS) != 1:
        return False
    l = <lease_t*>(<char*>r.idle.next - at)
    if not values_same(l.queue.values, q.values):
        return False
    lease_switch(l, q)
    lease_wake(l)
    return True


cdef bint wait_for_throttle(mail_queue_t *q, int why, uint64_t wait_ns) noexcept nogil:
    if wait_ns:
        q.waiting = why
        q.waiting_until_ms = q.domain.loop.now_ms + wait_ns // 1000000 + 1
    return wait_ns > 0


cdef bint throttled(mail_queue_t *q) noexcept nogil:
    """A connection is opened only where a message may follow."""
    cdef throttle_t *messages = opt_throttle(q.values, OPT_OUTBOUND_THROTTLE_MESSAGES)
    cdef throttle_t *connections = opt_throttle(q.values, OPT_OUTBOUND_THROTTLE_CONNECTIONS)
    cdef uint64_t now
    if messages == NULL and connections == NULL:
        return False
    now = clock_mono_ns()
    if messages != NULL and wait_for_throttle(q, WAIT_MESSAGES, throttle_wait(&messages.arrival_ns, now)):
        return True
    return connections != NULL and wait_for_throttle(q, WAIT_THROTTLE,
                                                     throttle_ask(&connections.arrival_ns, connections.interval_ns, now))


cdef bint no_choice(mail_queue_t *q, const choice_t *c) noexcept nogil:
    """Why there is no host; False where only time helps against failed ones."""
    cdef uint64_t now
    if c.full != NULL:
        q.waiting = WAIT_CONNECTIONS
        if not limit_wait(c.full, &q.waiter):
            q.waiting_until_ms = q.domain.loop.now_ms + 1       # there is room meanwhile
        return True
    if c.until_ns:
        now = clock_mono_ns()
        return wait_for_throttle(q, WAIT_THROTTLE, c.until_ns - now if c.until_ns > now else 1)
    q.waiting = WAIT_HOSTS
    q.waiting_until_ms = c.rested_ms
    return False


cdef bint open_some(mail_queue_t *q) noexcept nogil:
    """False where hosts are what is missing."""
    cdef uint32_t want = goal(q), opened = 0
    cdef int64_t shared = opt_number(q.values, OPT_MAX_OUTBOUND_CONNECTIONS)
    cdef bint siblings = opt_number(q.domain.generation.globals, OPT_MIGRATE_CONNECTIONS_BETWEEN_SIBLING_DOMAINS) == 1
    cdef throttle_t *t
    cdef permit_t permit
    cdef choice_t c
    cdef limit_t *full = NULL
    cdef int why
    while q.connections < want and opened < OPEN and not list_empty(&q.active):
        host_choose(q, &c)
        if c.route == NULL:
            return no_choice(q, &c)
        opened += 1
        if borrow(q, c.route):
            continue
        route_hungry(c.route, q)
        if siblings and not q.alone and q.connections == 0 and q.active_count <= GROW and shared > 0 and c.route.connections >= shared:
            q.waiting = WAIT_CONNECTIONS        # its siblings' connections come for it
            break
        why = permit_take(&permit, q, c.route, c.scope, &full)
        if why != WAIT_NOTHING:
            q.waiting = why
            if limit_wait(full, &q.waiter):
                break
            continue
        if throttled(q):
            permit_give(&permit)
            break
        t = opt_throttle(c.scope, OPT_OUTBOUND_THROTTLE_CONNECTIONS) if c.scope != NULL else NULL
        if t != NULL:
            throttle_ask(&t.arrival_ns, t.interval_ns, clock_mono_ns())
        if not connect(q, &c, &permit):
            permit_give(&permit)
            q.waiting = WAIT_SERVER
            q.waiting_until_ms = q.domain.loop.now_ms + 1000
            break
    return True


cdef void serve(mail_queue_t *q, uint32_t *left) noexcept nogil:
    cdef domain_t *d = q.domain
    if q.waiting_until_ms <= d.loop.now_ms:
        q.waiting_until_ms = 0
        q.waiting = WAIT_NOTHING
    if opt_number(q.values, OPT_BLACKHOLE) != BLACKHOLE_FALSE:
        hasten(q, left[0])
        fail_active(q, True, BLACKHOLED, left)
        return
    if list_empty(&q.active):
        limit_forget(&q.waiter)
        q.starved_ms = 0
        return
    if queue_suspended(q):
        q.waiting = WAIT_SUSPENDED
        return
    if q.sweeping:
        sweep(q, left)
        return
    if has_new_gateway(q):
        move_active(q, d.name, False, left)
        return
    if q.waiting == WAIT_MESSAGES:
        return
    wake_idle(q)
    if list_empty(&q.active):
        return
    if not resolve(d):
        q.waiting = WAIT_DNS
        return
    if d.mx.status == MX_NULL:
        fail_active(q, True, NULL_MX, left)
    elif d.mx.status != MX_OK:
        if d.mx_counted != d.mx_until_ms:           # once per answer
            d.mx_counted = d.mx_until_ms
            d.dns_failures += 1
        if opt_number(q.values, OPT_DNS_FAILURES_TO_PURGE) > 0 and d.dns_failures >= opt_number(q.values, OPT_DNS_FAILURES_TO_PURGE):
            fail_active(q, True, LOOKUP_FAILED, left)
        else:
            fail_active(q, False, NO_HOSTS if d.mx.status == MX_FAILED else NO_MX, left)
    elif host_prohibited(d):
        fail_active(q, True, PRIVATE, left)
    elif rolled_up(q, left):
        pass
    elif left[0] and q.waiting_until_ms == 0 and not open_some(q):
        without_host(q, left)


cdef void schedule(domain_t *d, bint more) noexcept nogil:
    cdef mail_queue_t *q = d.queues
    cdef uint64_t now = d.loop.now_ms, wall = d.loop.wall_us // 1000000, due = 0, at
    cdef int64_t scan = opt_number(d.generation.globals, OPT_DELAYED_QUEUE_SCAN_INTERVAL)
    while q != NULL:
        at = 0
        if q.delayed.len:
            at = heap_first_key(&q.delayed)
            at = now + ((at - wall) * 1000 if at > wall else 0)
        if not list_empty(&q.active) and (at == 0 or now + scan * 1000 < at):
            at = now + scan * 1000
        if q.waiting_until_ms and (at == 0 or q.waiting_until_ms < at):
            at = q.waiting_until_ms
        if q.waiting == WAIT_HOSTS and d.mx_until_ms > now and (at == 0 or d.mx_until_ms < at) \
                and opt_number(q.values, OPT_FULLY_RESOLVE_BEFORE_SMTP) == 0:
            at = d.mx_until_ms                  # better hosts may be known by then
        if at and (due == 0 or at < due):
            due = at
        q = q.next
    if more:
        due = now
    if due == 0:
        due = now + KEEP_MS if d.mx_until_ms < now + KEEP_MS else d.mx_until_ms
    loop_timer_set(d.loop, &d.timer, due - now if due > now else 1)


cdef bint over(domain_t *d) noexcept nogil:
    cdef mail_queue_t *q = d.queues
    if d.messages or d.resolving or d.loop.now_ms < d.mx_until_ms or d.loop.now_ms - d.born_ms < KEEP_MS:
        return False
    while q != NULL:
        if q.connections or not limit_forget(&q.waiter):
            return False
        q = q.next
    return True


cdef void maintain(domain_t *d) noexcept nogil:
    cdef mail_queue_t *q = d.queues
    cdef uint32_t left = RUN
    if over(d):
        domain_free(d)
        return
    domain_refresh(d)
    if d.loop.state != LOOP_RUNNING:            # the server stops: sessions that wait may go, none is opened
        while q != NULL:
            wake_idle(q)
            q = q.next
        return
    while q != NULL:
        move_due(q, &left)
        serve(q, &left)
        q = q.next
    schedule(d, left == 0)
