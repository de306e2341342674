"""Routes: what one binding knows of one address.

Domains that share an MX host share its connections: a connection whose own
queue is empty takes mail of the next hungry queue with the same options.
Routes belong to a loop, as domain records do; they are dropped when nobody
has used them for address_metrics_lifetime.
"""
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from pymomentum.core.base.hash cimport hash_del, hash_get, hash_next, hash_put
from pymomentum.core.base.list cimport list_append, list_empty, list_init, list_node_t, list_remove
from pymomentum.core.base.slice cimport slice_make
from pymomentum.core.base.status cimport EC_OK
from pymomentum.core.config.generation cimport config_current, config_generation_t, config_unref
from pymomentum.core.config.values cimport (OPT_ADDRESS_METRICS_CLEANSE_INTERVAL, OPT_ADDRESS_METRICS_LIFETIME,
                                            OPT_MAX_OUTBOUND_CONNECTIONS, opt_number, values_same)
from .domain cimport domain_touch, queue_loop, queue_loop_t, queue_suspended

cdef enum:
    WAKE = 200                  # queues called per iteration


cdef void fill(route_key_t *k, uint16_t binding, const mx_address_t *a, uint32_t port) noexcept nogil:
    memset(k, 0, sizeof(k[0]))
    memcpy(k.address, a.bytes, 4 if a.family == 4 else 16)
    k.family = a.family
    k.binding = binding
    k.port = <uint16_t>port


cdef route_t *route_find(loop_t *loop, uint16_t binding, const mx_address_t *a, uint32_t port) noexcept nogil:
    cdef route_key_t k
    fill(&k, binding, a, port)
    return <route_t*>hash_get(&queue_loop(loop).routes, slice_make(<char*>&k, sizeof(k)))


cdef void sweep(loop_t *loop) noexcept nogil:
    """Forget routes that nobody uses; a walk restarts after each removal's shift, so it may need several sweeps."""
    cdef queue_loop_t *ql = queue_loop(loop)
    cdef config_generation_t *g = config_current()
    cdef uint64_t life = <uint64_t>opt_number(g.globals, OPT_ADDRESS_METRICS_LIFETIME) * 1000
    cdef uint64_t every = <uint64_t>opt_number(g.globals, OPT_ADDRESS_METRICS_CLEANSE_INTERVAL) * 1000
    cdef size_t cursor = 0
    cdef route_t *r
    config_unref(g)
    if loop.now_ms - ql.swept_ms < every:
        return
    ql.swept_ms = loop.now_ms
    while True:
        r = <route_t*>hash_next(&ql.routes, &cursor)
        if r == NULL:
            return
        if r.connections == 0 and list_empty(&r.hungry) and list_empty(&r.waking) and loop.now_ms - r.used_ms > life:
            hash_del(&ql.routes, slice_make(<char*>&r.key, sizeof(r.key)))
            free(r.refusal)
            free(r)


cdef route_t *route_make(loop_t *loop, uint16_t binding, const mx_address_t *a, uint32_t port) noexcept nogil:
    cdef route_t *r = route_find(loop, binding, a, port)
    if r != NULL:
        r.used_ms = loop.now_ms
        return r
    sweep(loop)
    r = <route_t*>calloc(1, sizeof(route_t))
    if r == NULL:
        return NULL
    fill(&r.key, binding, a, port)
    list_init(&r.hungry)
    list_init(&r.idle)
    list_init(&r.waking)
    r.used_ms = loop.now_ms
    if hash_put(&queue_loop(loop).routes, slice_make(<char*>&r.key, sizeof(r.key)), r) != EC_OK:
        free(r)
        return NULL
    return r


cdef void route_refused(route_t *r, const refusal_t *why) noexcept nogil:
    if why == NULL:
        free(r.refusal)
        r.refusal = NULL
        return
    if r.refusal == NULL:
        r.refusal = <refusal_t*>malloc(sizeof(refusal_t))
    if r.refusal != NULL:
        r.refusal[0] = why[0]


cdef void route_hungry(route_t *r, mail_queue_t *q) noexcept nogil:
    if q.hungry_in != r:
        list_remove(&q.hungry)
        list_append(&r.hungry, &q.hungry)
        q.hungry_in = r


cdef void route_fed(mail_queue_t *q) noexcept nogil:
    list_remove(&q.hungry)
    q.hungry_in = NULL


cdef void route_abandoned(loop_t *loop, route_t *r) noexcept nogil:
    if list_empty(&r.waking) and not list_empty(&r.hungry):
        list_append(&queue_loop(loop).waking, &r.waking)


cdef void routes_wake(loop_t *loop) noexcept nogil:
    cdef queue_loop_t *ql = queue_loop(loop)
    cdef route_t *r = NULL
    cdef mail_queue_t *q = NULL
    cdef size_t route_at = <size_t>(<char*>&r.waking - <char*>r), queue_at = <size_t>(<char*>&q.hungry - <char*>q)
    cdef int left = WAKE
    while left and not list_empty(&ql.waking):
        r = <route_t*>(<char*>ql.waking.next - route_at)
        while left and r.connections == 0 and not list_empty(&r.hungry):
            q = <mail_queue_t*>(<char*>r.hungry.next - queue_at)
            route_fed(q)
            domain_touch(q.domain)
            left -= 1
        if left:                            # all are called, or one of them has a connection for the others
            list_remove(&r.waking)


cdef bint may_take(mail_queue_t *q, mail_queue_t *own) noexcept nogil:
    cdef int64_t most = opt_number(q.values, OPT_MAX_OUTBOUND_CONNECTIONS)
    return q != own and values_same(q.values, own.values) and not list_empty(&q.active) and q.waiting_until_ms == 0 \
        and not queue_suspended(q) and (most < 0 or q.connections < most)


cdef mail_queue_t *route_next(route_t *r, mail_queue_t *own) noexcept nogil:
    """Takes it off the list; one that is fit no more is taken off too.  A bounded look."""
    cdef mail_queue_t *q = NULL
    cdef size_t at = <size_t>(<char*>&q.hungry - <char*>q)
    cdef int looks
    for looks in range(16):
        if list_empty(&r.hungry):
            return NULL
        q = <mail_queue_t*>(<char*>r.hungry.next - at)
        route_fed(q)
        if may_take(q, own):
            return q
        if not values_same(q.values, own.values):
            q.alone = True
        domain_touch(q.domain)              # it has to see to itself
    return NULL
