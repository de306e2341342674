"""Permits: every limit that a new connection needs to have room in.

The server's and the binding's total, the scope's (scope_max_outbound_connections)
and, where a Host stanza speaks, the host's.  Limits live as long as the process:
a permit is given back to where it was taken, whatever reloads came between.
max_outbound_connections of a domain is counted by its queue alone.
"""
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from pymomentum.core.base.atomic cimport atomic_add64, atomic_casp, atomic_load32, atomic_loadp
from pymomentum.core.base.hash cimport hash_get, hash_init, hash_put, hash_t
from pymomentum.core.base.slice cimport slice_make
from pymomentum.core.base.status cimport EC_OK
from pymomentum.core.c.posix cimport pthread_mutex_lock, pthread_mutex_t, pthread_mutex_unlock
from pymomentum.core.config.values cimport (OPT_MAX_OUTBOUND_CONNECTIONS, OPT_RESERVE_MAINTENANCE_INTERVAL,
                                            OPT_SCOPE_MAX_OUTBOUND_CONNECTIONS, OPT_SERVER_MAX_OUTBOUND_CONNECTIONS,
                                            OPT_SERVER_RESERVE_OUTBOUND_CONNECTIONS, limit_ref_t, opt_limit, opt_number, values_t)
from pymomentum.core.loop.limit cimport limit_exceeded, limit_give, limit_take, limit_t
from pymomentum.core.net.budget cimport budget_most, budget_sockets
from .domain cimport WAIT_CONNECTIONS, WAIT_NOTHING, WAIT_SCOPE, WAIT_SERVER, mail_queue_t
from .route cimport route_key_t, route_t

cdef limit_t server                     # all outbound connections
cdef limit_t *of_binding[65536]         # by slot; made with its first connection
cdef pthread_mutex_t hosts_lock
cdef hash_t hosts                       # route_key_t -> limit_t, of all loops; those that a Host stanza limits
cdef bint hosts_made = False


cdef limit_t *binding_limit(uint16_t slot) noexcept nogil:
    cdef limit_t *l = <limit_t*>atomic_loadp(&of_binding[slot])
    if l != NULL:
        return l
    l = <limit_t*>calloc(1, sizeof(limit_t))
    if l != NULL and not atomic_casp(&of_binding[slot], NULL, l):
        free(l)
        l = <limit_t*>atomic_loadp(&of_binding[slot])
    return l


cdef limit_t *permit_host_limit(route_t *route) noexcept nogil:
    cdef limit_t *l
    cdef route_key_t *key
    global hosts_made
    if route.limit != NULL:
        return route.limit
    pthread_mutex_lock(&hosts_lock)
    if not hosts_made:
        hosts_made = hash_init(&hosts, 64) == EC_OK
    l = <limit_t*>hash_get(&hosts, slice_make(<char*>&route.key, sizeof(route.key))) if hosts_made else NULL
    if l == NULL and hosts_made:
        key = <route_key_t*>malloc(sizeof(route_key_t))
        l = <limit_t*>calloc(1, sizeof(limit_t))
        if key != NULL and l != NULL:
            key[0] = route.key
        if key == NULL or l == NULL or hash_put(&hosts, slice_make(<char*>key, sizeof(key[0])), l) != EC_OK:
            free(key)
            free(l)
            l = NULL
    pthread_mutex_unlock(&hosts_lock)
    route.limit = l
    return l


cdef struct taking_t:           # a permit in the making
    permit_t *p
    permit_t *before            # what its connection holds already; NULL: it is a new one
    uint32_t kept               # bit per place in p.held: from `before`
    limit_t *full


cdef bint holds(permit_t *p, limit_t *l) noexcept nogil:
    cdef uint32_t i
    for i in range(p.n):
        if p.held[i] == l:
            return True
    return False


cdef bint hold(taking_t *t, limit_t *l, int64_t most) noexcept nogil:
    if l == NULL:
        return True                     # no memory to count in
    if t.before != NULL and holds(t.before, l):
        t.kept |= 1 << t.p.n
        if limit_exceeded(l, most):
            t.full = l
            return False
    elif not limit_take(l, most):
        t.full = l
        return False
    t.p.held[t.p.n] = l
    t.p.n += 1
    return True


cdef bint hold_scope(taking_t *t, const limit_ref_t *r) noexcept nogil:
    while r != NULL:
        if not hold(t, r.limit, r.most):
            return False
        r = r.outer
    return True


cdef bint hold_server(taking_t *t, mail_queue_t *q) noexcept nogil:
    """A domain that has been without any connection for a while may use the reserve."""
    cdef const values_t *g = q.domain.generation.globals
    cdef int64_t most = opt_number(g, OPT_SERVER_MAX_OUTBOUND_CONNECTIONS), own
    cdef int64_t reserve = opt_number(g, OPT_SERVER_RESERVE_OUTBOUND_CONNECTIONS)
    cdef uint64_t now = q.domain.loop.now_ms, interval = <uint64_t>opt_number(g, OPT_RESERVE_MAINTENANCE_INTERVAL) * 1000
    own = opt_number(q.values, OPT_SERVER_MAX_OUTBOUND_CONNECTIONS)
    if not hold(t, binding_limit(q.binding), own if own != most else -1):
        return False
    if not hold(t, budget_sockets(), budget_most()):
        return False
    if t.before != NULL:
        return hold(t, &server, most + reserve if q.connections == 1 and reserve > 0 else most)
    if hold(t, &server, most):
        q.starved_ms = 0
        return True
    if q.connections or reserve <= 0:
        return False
    if q.starved_ms == 0:
        q.starved_ms = now
    if now - q.starved_ms < interval:
        q.waiting_until_ms = q.starved_ms + interval
        return False
    return hold(t, &server, most + reserve)


cdef int complete(taking_t *t, mail_queue_t *q, route_t *route, const values_t *host) noexcept nogil:
    if not hold_scope(t, opt_limit(q.values, OPT_SCOPE_MAX_OUTBOUND_CONNECTIONS)):
        return WAIT_SCOPE
    if host != NULL and not hold_scope(t, opt_limit(host, OPT_SCOPE_MAX_OUTBOUND_CONNECTIONS)):
        return WAIT_SCOPE
    if host != NULL and opt_number(host, OPT_MAX_OUTBOUND_CONNECTIONS) >= 0 \
            and not hold(t, permit_host_limit(route), opt_number(host, OPT_MAX_OUTBOUND_CONNECTIONS)):
        return WAIT_CONNECTIONS
    return WAIT_NOTHING if hold_server(t, q) else WAIT_SERVER


cdef int permit_take(permit_t *p, mail_queue_t *q, route_t *route, const values_t *host, limit_t **full) noexcept nogil:
    cdef taking_t t
    cdef int why
    p.n = 0
    p.going = False
    memset(&t, 0, sizeof(t))
    t.p = p
    why = complete(&t, q, route, host)
    if why != WAIT_NOTHING:
        full[0] = t.full
        permit_give(p)
    return why


cdef bint permit_renew(permit_t *p, mail_queue_t *q, route_t *route, const values_t *host) noexcept nogil:
    cdef permit_t now
    cdef taking_t t
    cdef uint32_t i
    if p.going:
        return False
    now.n = 0
    now.going = False
    memset(&t, 0, sizeof(t))
    t.p = &now
    t.before = p
    if complete(&t, q, route, host) == WAIT_NOTHING:
        for i in range(p.n):
            if not holds(&now, p.held[i]):
                limit_give(p.held[i])
        p[0] = now
        return True
    for i in range(now.n):
        if not t.kept & 1 << i:
            limit_give(now.held[i])
    permit_go(p)
    return False


cdef void permit_go(permit_t *p) noexcept nogil:
    cdef uint32_t i
    if p.going:
        return
    p.going = True
    for i in range(p.n):
        atomic_add64(&p.held[i].going, 1)


cdef void permit_give(permit_t *p) noexcept nogil:
    while p.n:
        p.n -= 1
        limit_give(p.held[p.n])
        if p.going:
            atomic_add64(&p.held[p.n].going, -1)


cdef bint permit_wanted(const permit_t *p) noexcept nogil:
    cdef uint32_t i
    for i in range(p.n):
        if atomic_load32(&p.held[i].waiting):
            return True
    return False
