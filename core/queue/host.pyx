"""Choosing hosts: preference first, then the better ones more often.

A host that failed rests for host_failure_retry; one whose limit is full or
whose throttle is not clear counts as not there for this once.  Everything
runs on the domain's loop.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport malloc
from libc.string cimport memchr, memcpy, memset

from pymomentum.core.base.atomic cimport atomic_load64, atomic_store64
from pymomentum.core.base.cidr cimport cidr_find, cidr_set_t, sockaddr, sockaddr_storage
from pymomentum.core.base.clock cimport clock_mono_ns
from pymomentum.core.base.slice cimport slice_mix, slice_number, slice_t
from pymomentum.core.base.throttle cimport throttle_wait
from pymomentum.core.config.generation cimport config_host
from pymomentum.core.config.values cimport (DELIVERY_METHOD_LMTP, OPT_BIND_ADDRESS, OPT_BIND_ADDRESS_SECONDARY, OPT_DELIVERY_METHOD, OPT_LMTP_PORT, OPT_HOST_FAILURE_RETRY, OPT_MAX_OUTBOUND_CONNECTIONS, OPT_OUTBOUND_THROTTLE_CONNECTIONS,
                                            OPT_OUTBOUND_THROTTLE_MESSAGES, OPT_PREFER_IPV6_MXS, OPT_PROHIBITED_HOSTS, OPT_REMOTE_SMTP_PORT,
                                            OPT_SCOPE_MAX_OUTBOUND_CONNECTIONS, OPT_SKIP_HOSTS, limit_ref_t, opt_limit,
                                            opt_nets, opt_number, opt_text, opt_throttle, throttle_t,
                                            values_t)
from pymomentum.core.dns.mx cimport mx_address_t, mx_answer_t, mx_host_t
from pymomentum.core.loop.limit cimport limit_t
from pymomentum.core.net.proxy_out cimport proxy_server, proxy_source
from pymomentum.core.net.address cimport split_port
from .domain cimport domain_t, domain_touch, mail_queue_t, queue_loop, refusal_t
from .permit cimport permit_host_limit
from .route cimport route_find, route_make, route_refused, route_t

cdef enum:
    CANDIDATES = 64             # of one preference that are weighed
    WEIGHT = 16                 # of the quickest; the slowest has a quarter

cdef struct candidate_t:
    uint32_t host
    uint32_t address
    uint32_t cost               # microseconds, as it was lately


cdef void fill(const mx_address_t *a, sockaddr_storage *out) noexcept nogil:
    cdef char *p = <char*>out
    memset(out, 0, sizeof(out[0]))
    if a.family == 4:
        (<sockaddr*>out).sa_family = 2
        memcpy(p + 4, a.bytes, 4)
    else:
        (<sockaddr*>out).sa_family = 10
        memcpy(p + 8, a.bytes, 16)


cdef bint listed(const cidr_set_t *set_, const mx_address_t *a) noexcept nogil:
    cdef sockaddr_storage s
    if set_ == NULL:
        return False
    fill(a, &s)
    return cidr_find(set_, <sockaddr*>&s) != NULL


cdef bint host_prohibited(domain_t *d) noexcept nogil:
    cdef const cidr_set_t *nets = opt_nets(d.generation.globals, OPT_PROHIBITED_HOSTS)
    cdef uint32_t i
    if nets == NULL:
        return False
    for i in range(d.mx.addresses):
        if listed(nets, &d.mx.address[i]):
            return True
    return False


cdef uint32_t queue_port(mail_queue_t *q) noexcept nogil:
    cdef slice_t name, port
    split_port(q.domain.name, &name, &port)
    if slice_number(port) > 0:
        return <uint32_t>slice_number(port)
    if opt_number(q.values, OPT_DELIVERY_METHOD) == DELIVERY_METHOD_LMTP:
        return <uint32_t>opt_number(q.values, OPT_LMTP_PORT)
    return <uint32_t>opt_number(q.values, OPT_REMOTE_SMTP_PORT)


cdef inline uint32_t host_port(mail_queue_t *q, const mx_host_t *h) noexcept nogil:
    return h.port if h.port else queue_port(q)


cdef bint rested(mail_queue_t *q, route_t *r, choice_t *out) noexcept nogil:
    cdef uint64_t at
    if r == NULL or r.failed_ms == 0:
        return True
    at = r.failed_ms + <uint64_t>opt_number(q.values, OPT_HOST_FAILURE_RETRY) * 1000
    if at <= q.domain.loop.now_ms:
        return True
    if out.rested_ms == 0 or at < out.rested_ms:
        out.rested_ms = at
    return False


cdef bint throttled(throttle_t *t, uint64_t now, choice_t *out) noexcept nogil:
    cdef uint64_t wait = throttle_wait(&t.arrival_ns, now) if t != NULL else 0
    if wait and (out.until_ns == 0 or now + wait < out.until_ns):
        out.until_ns = now + wait
    return wait > 0


cdef bint has_room(mail_queue_t *q, const values_t *scope, const mx_address_t *a, uint32_t port, choice_t *out) noexcept nogil:
    """What the Host stanza says of one more connection now."""
    cdef int64_t most = opt_number(scope, OPT_MAX_OUTBOUND_CONNECTIONS)
    cdef const limit_ref_t *shared = opt_limit(scope, OPT_SCOPE_MAX_OUTBOUND_CONNECTIONS)
    cdef uint64_t now = clock_mono_ns()
    cdef route_t *r
    cdef limit_t *l
    if most >= 0:
        r = route_make(q.domain.loop, q.binding, a, port)
        l = permit_host_limit(r) if r != NULL else NULL
        if l != NULL and <int64_t>atomic_load64(&l.used) >= most:
            atomic_store64(&l.most, most)           # who waits compares with what we asked for
            out.full = l
            return False
    if shared != NULL and <int64_t>atomic_load64(&shared.limit.used) >= shared.most:
        atomic_store64(&shared.limit.most, shared.most)
        out.full = shared.limit
        return False
    return not throttled(opt_throttle(scope, OPT_OUTBOUND_THROTTLE_CONNECTIONS), now, out) \
        and not throttled(opt_throttle(scope, OPT_OUTBOUND_THROTTLE_MESSAGES), now, out)


cdef uint32_t random_below(mail_queue_t *q, uint32_t n) noexcept nogil:
    cdef uint64_t *seed = &queue_loop(q.domain.loop).seed
    seed[0] += <uint64_t>0x9e3779b97f4a7c15
    return <uint32_t>(slice_mix(seed[0], <uint64_t>0xa0761d6478bd642f) % n)


cdef uint32_t weigh(const candidate_t *c, uint32_t best) noexcept nogil:
    cdef uint32_t w
    if c.cost <= best:
        return WEIGHT
    w = <uint32_t>(<uint64_t>WEIGHT * best // c.cost)
    return w if w > WEIGHT // 4 else WEIGHT // 4


cdef uint32_t draw(mail_queue_t *q, const candidate_t *list_, uint32_t n) noexcept nogil:
    """Index of one of them; one of which nothing is known counts as quick as the quickest."""
    cdef uint32_t i, best = 0, sum_ = 0, at
    for i in range(n):
        if list_[i].cost and (best == 0 or list_[i].cost < best):
            best = list_[i].cost
    for i in range(n):
        sum_ += weigh(&list_[i], best)
    at = random_below(q, sum_)
    for i in range(n):
        if at < weigh(&list_[i], best):
            return i
        at -= weigh(&list_[i], best)
    return 0


cdef int own_family(mail_queue_t *q) noexcept nogil:
    """4 or 6, of the binding's bind_address or of what its proxy has; 0: both will do, or the kernel chooses."""
    cdef const slice_t *own = opt_text(q.values, OPT_BIND_ADDRESS)
    cdef const slice_t *second = opt_text(q.values, OPT_BIND_ADDRESS_SECONDARY)
    if proxy_server(q.values) != NULL:
        if (proxy_source(q.values, 4) != NULL) == (proxy_source(q.values, 6) != NULL):
            return 0
        return 4 if proxy_source(q.values, 4) != NULL else 6
    if own == NULL or own.len == 0 or own.ptr[0] == c'*':
        return 0
    if second != NULL and (memchr(own.ptr, c':', own.len) != NULL) != (memchr(second.ptr, c':', second.len) != NULL):
        return 0
    return 6 if memchr(own.ptr, c':', own.len) != NULL else 4


cdef uint32_t gather(mail_queue_t *q, uint32_t first, candidate_t *list_, choice_t *out) noexcept nogil:
    """Those of one preference that may be tried now."""
    cdef mx_answer_t *mx = q.domain.mx
    cdef const cidr_set_t *skip = opt_nets(q.domain.generation.globals, OPT_SKIP_HOSTS)
    cdef const values_t *scope = NULL
    cdef uint32_t h = first, a, n = 0, port
    cdef int preference = mx.host[first].preference, family = own_family(q)
    cdef route_t *r
    while h < mx.hosts and mx.host[h].preference == preference:
        port = host_port(q, &mx.host[h])
        if q.domain.generation.hosts:
            scope = config_host(q.domain.generation, q.binding, mx.host[h].name)
        for a in range(mx.host[h].first, mx.host[h].first + mx.host[h].count):
            if family and mx.address[a].family != family:
                continue
            r = route_find(q.domain.loop, q.binding, &mx.address[a], port)
            if n == CANDIDATES or not rested(q, r, out) or listed(skip, &mx.address[a]) \
                    or (scope != NULL and not has_room(q, scope, &mx.address[a], port, out)):
                continue
            list_[n].host = h
            list_[n].address = a
            list_[n].cost = r.connect_us + r.deliver_us if r != NULL else 0
            n += 1
        h += 1
    return n


cdef uint32_t preferred(mail_queue_t *q, candidate_t *list_, uint32_t n) noexcept nogil:
    """prefer_ipv6_mxs: those of IPv6 come to the front, and the others count only where there are none."""
    cdef uint32_t i, six = 0
    if opt_number(q.domain.generation.globals, OPT_PREFER_IPV6_MXS) != 1:
        return n
    for i in range(n):
        if q.domain.mx.address[list_[i].address].family == 6:
            list_[six] = list_[i]
            six += 1
    return six if six else n


cdef void host_choose(mail_queue_t *q, choice_t *out) noexcept nogil:
    cdef mx_answer_t *mx = q.domain.mx
    cdef candidate_t list_[CANDIDATES]
    cdef uint32_t h = 0, n, i
    cdef int preference
    memset(out, 0, sizeof(out[0]))
    while mx != NULL and h < mx.hosts:
        n = preferred(q, list_, gather(q, h, list_, out))
        if n:
            i = draw(q, list_, n) if n > 1 else 0
            out.host = list_[i].host
            out.route = route_make(q.domain.loop, q.binding, &mx.address[list_[i].address], host_port(q, &mx.host[out.host]))
            if q.domain.generation.hosts:
                out.scope = config_host(q.domain.generation, q.binding, mx.host[out.host].name)
            return
        preference = mx.host[h].preference
        while h < mx.hosts and mx.host[h].preference == preference:
            h += 1


cdef uint32_t host_failures(mail_queue_t *q) noexcept nogil:
    cdef domain_t *d = q.domain
    cdef const cidr_set_t *skip = opt_nets(d.generation.globals, OPT_SKIP_HOSTS)
    cdef uint32_t h, i, least = <uint32_t>-1
    cdef int family = own_family(q)
    cdef route_t *r
    for h in range(d.mx.hosts):
        for i in range(d.mx.host[h].first, d.mx.host[h].first + d.mx.host[h].count):
            if (family and d.mx.address[i].family != family) or listed(skip, &d.mx.address[i]):
                continue
            r = route_find(d.loop, q.binding, &d.mx.address[i], host_port(q, &d.mx.host[h]))
            if r == NULL or r.failures < least:
                least = r.failures if r != NULL else 0
    return least if least != <uint32_t>-1 else 0


cdef void host_failed(domain_t *d, route_t *route, const refusal_t *why) noexcept nogil:
    route_refused(route, why)
    route.failed_ms = d.loop.now_ms
    route.failures += 1
    if d.failing_ms == 0:
        d.failing_ms = d.loop.now_ms
    d.failures += 1
    domain_touch(d)


cdef void host_answered(domain_t *d, route_t *route, uint32_t connect_us) noexcept nogil:
    route.failed_ms = 0
    route.failures = 0
    route.connect_us = (route.connect_us * 7 + connect_us) // 8 if route.connect_us else connect_us
    d.failures = 0
    d.failing_ms = 0
    route_refused(route, NULL)
    d.contact_ms = d.loop.now_ms


cdef const char *host_excuse(mail_queue_t *q) noexcept nogil:
    cdef domain_t *d = q.domain
    cdef route_t *r
    cdef route_t *last = NULL
    cdef uint32_t h, i
    for h in range(d.mx.hosts):
        for i in range(d.mx.host[h].first, d.mx.host[h].first + d.mx.host[h].count):
            r = route_find(d.loop, q.binding, &d.mx.address[i], host_port(q, &d.mx.host[h]))
            if r != NULL and r.failed_ms and (last == NULL or r.failed_ms >= last.failed_ms):
                last = r
    if last == NULL or last.refusal == NULL:
        return NULL
    if d.refusal == NULL:
        d.refusal = <refusal_t*>malloc(sizeof(refusal_t))
    if d.refusal == NULL:
        return NULL
    d.refusal[0] = last.refusal[0]
    return d.refusal.text
