"""Routes that replace a domain's MX: each is looked up, then all become one answer.

A journey belongs to the loop of its query and has a leg per route; a leg is an
MX lookup, or an address that needs none.  Hosts stand by the preference of
their route, those of one MX by their own within it.
"""
from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, qsort
from libc.string cimport memcpy

from pymomentum.core.base.cidr cimport sockaddr, sockaddr_storage
from pymomentum.core.base.slice cimport slice_eq, slice_make, slice_number, slice_of, slice_t
from pymomentum.core.base.status cimport EC_AGAIN, EC_OK
from pymomentum.core.config.values cimport opt_list_t
from pymomentum.core.loop.loop cimport loop_t
from pymomentum.core.net.address cimport address_parse
from .mx cimport (MX_ADDRESS_ONLY, MX_EARLY, MX_FAILED, MX_OK, mx_address_of, mx_answer_free, mx_answer_literal, mx_answer_new, mx_answer_t,
                  mx_address_t, mx_cancel, mx_cancel_fn, mx_done_fn, mx_host_t, mx_lookup, mx_query_t)

cdef enum:
    MOST_HOSTS = 65535          # and addresses, of all routes together

cdef struct leg_t:
    mx_query_t query            # first
    journey_t *journey
    uint32_t preference
    uint32_t ttl                # seconds; 0: what DNS says
    uint16_t port               # 0: the domain's

cdef struct journey_t:
    mx_cancel_fn cancel         # first
    mx_query_t *query
    uint32_t legs
    uint32_t pending            # lookups, and one while more are being asked
    leg_t leg[1]                # as many as `legs`

cdef struct stop_t:             # a host of some leg
    uint64_t key                # sorts by route, then by MX, then as the answer has it
    leg_t *leg
    mx_host_t *host


cdef void free_journey(journey_t *j) noexcept nogil:
    cdef uint32_t i
    for i in range(j.legs):
        mx_cancel(&j.leg[i].query)
        mx_answer_free(j.leg[i].query.answer)
    free(j)


cdef void on_cancel(void *work) noexcept nogil:
    free_journey(<journey_t*>work)


# ---- the answer ------------------------------------------------------------------

cdef int compare_stops(const void *a, const void *b) noexcept nogil:
    cdef uint64_t x = (<const stop_t*>a).key
    cdef uint64_t y = (<const stop_t*>b).key
    return (x > y) - (x < y)


cdef uint32_t gather(journey_t *j, stop_t *stops) noexcept nogil:
    """All hosts in order; stops NULL: count them."""
    cdef uint32_t n = 0, i, h
    cdef mx_answer_t *a
    for i in range(j.legs):
        a = j.leg[i].query.answer
        if a == NULL or a.status != MX_OK:
            continue
        for h in range(a.hosts):
            if n == MOST_HOSTS:
                break
            if stops != NULL:
                stops[n].key = <uint64_t>j.leg[i].preference << 32 | <uint64_t>a.host[h].preference << 16 | n
                stops[n].leg = &j.leg[i]
                stops[n].host = &a.host[h]
            n += 1
    if stops != NULL:
        qsort(stops, n, sizeof(stop_t), compare_stops)
    return n


cdef mx_answer_t *fill(journey_t *j, const stop_t *stops, uint32_t n) noexcept nogil:
    """Preferences anew, from 0: hosts of one preference of one kind of route stay equals."""
    cdef uint32_t i, addresses = 0
    cdef size_t names = 0
    cdef mx_answer_t *out
    cdef mx_host_t *h
    cdef char *text
    for i in range(n):
        addresses += stops[i].host.count
        names += stops[i].host.name.len
    if addresses > MOST_HOSTS:
        return NULL
    out = mx_answer_new(n, addresses, names)
    if out == NULL:
        return NULL
    text = <char*>(out.address + addresses)
    for i in range(n):
        h = &out.host[i]
        h[0] = stops[i].host[0]
        h.port = stops[i].leg.port
        h.preference = out.host[i - 1].preference + (stops[i].key >> 16 != stops[i - 1].key >> 16) if i else 0
        h.first = out.addresses
        memcpy(out.address + out.addresses, stops[i].leg.query.answer.address + stops[i].host.first, h.count * sizeof(mx_address_t))
        out.addresses += h.count
        h.name = slice_make(text, h.name.len)
        memcpy(text, stops[i].host.name.ptr, h.name.len)
        text += h.name.len
    out.hosts = <uint16_t>n
    out.status = MX_OK
    return out


cdef mx_answer_t *failure(journey_t *j) noexcept nogil:
    """No route leads anywhere: what the first one met, but rather a trouble that may pass."""
    cdef mx_answer_t *out = mx_answer_new(0, 0, 0)
    cdef mx_answer_t *a
    cdef uint32_t i
    if out == NULL:
        return NULL
    out.status = MX_FAILED
    for i in range(j.legs):
        a = j.leg[i].query.answer
        if a == NULL or a.status == MX_FAILED:
            out.status = MX_FAILED
            break
        if i == 0:
            out.status = a.status
    return out


cdef mx_answer_t *compose(journey_t *j) noexcept nogil:
    cdef uint32_t n = gather(j, NULL), i, ttl = <uint32_t>-1, own
    cdef stop_t *stops = <stop_t*>malloc((n + 1) * sizeof(stop_t))
    cdef mx_answer_t *out
    if stops == NULL:
        return NULL
    gather(j, stops)
    out = fill(j, stops, n) if n else failure(j)
    free(stops)
    if out == NULL:
        return NULL
    for i in range(j.legs):
        if j.leg[i].query.answer != NULL:
            own = j.leg[i].query.answer.ttl
            if j.leg[i].ttl and j.leg[i].query.answer.status == MX_OK:
                own = j.leg[i].ttl
            ttl = own if own < ttl else ttl
    out.ttl = ttl if ttl != <uint32_t>-1 else 1
    return out


# ---- the steps -------------------------------------------------------------------

cdef void on_leg(mx_query_t *q) noexcept nogil:
    cdef journey_t *j = (<leg_t*>q).journey
    cdef mx_query_t *asker = j.query
    j.pending -= 1
    if j.pending:
        return
    asker.answer = compose(j)
    asker.opaque = NULL
    free_journey(j)
    asker.done(asker)


cdef void set_out(journey_t *j, leg_t *leg, const slice_t *route, slice_t domain, int flags) noexcept nogil:
    cdef mx_address_t address
    cdef sockaddr_storage s
    leg.journey = j
    leg.port = <uint16_t>slice_number(route[1])
    leg.preference = <uint32_t>slice_number(route[2])
    leg.ttl = <uint32_t>slice_number(route[3])
    if address_parse(route[0], 0, &s) == EC_OK:
        mx_address_of(<sockaddr*>&s, &address)
        leg.query.answer = mx_answer_literal(&address)
        return
    if slice_eq(route[0], slice_of(b"__mx__")):
        route = &domain
    elif not slice_eq(route[4], slice_of(b"mx")):
        flags |= MX_ADDRESS_ONLY
    if mx_lookup(j.query.loop, route[0], flags, &leg.query, on_leg) == EC_AGAIN:
        j.pending += 1


cdef int routes_lookup(loop_t *loop, const opt_list_t *routes, slice_t domain, int flags, mx_query_t *q, mx_done_fn done) noexcept nogil:
    cdef uint32_t n = <uint32_t>(routes.n // ROUTE_FIELDS), i
    cdef journey_t *j = <journey_t*>calloc(1, sizeof(journey_t) + n * sizeof(leg_t))
    q.loop = loop
    q.done = done
    q.answer = NULL
    q.opaque = NULL
    if j == NULL:
        return EC_OK
    flags &= ~MX_EARLY              # a route's own TTL would keep what is not whole
    j.cancel = on_cancel
    j.query = q
    j.legs = n
    j.pending = 1
    for i in range(n):
        set_out(j, &j.leg[i], routes.items + i * ROUTE_FIELDS, domain, flags)
    j.pending -= 1
    if j.pending:
        q.opaque = j
        return EC_AGAIN
    q.answer = compose(j)
    free_journey(j)
    return EC_OK
