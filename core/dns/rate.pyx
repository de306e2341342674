"""The rate limit of MX queries: the budget of a period, and what it has done; any thread, by atomics.

Whether there is one is what the first configuration says, until the process ends.
"""
from libc.stdint cimport uint32_t, uint64_t

from pymomentum.core.base.atomic cimport (atomic_add32, atomic_add64, atomic_cas32, atomic_cas64, atomic_load32,
                                          atomic_load64)
from pymomentum.core.config.generation cimport config_current, config_generation_t, config_unref
from pymomentum.core.config.values cimport (OPT_DNS_RATE_LIMIT_ENABLED, OPT_DNS_RATE_LIMIT_MAX_QUEUE,
                                            OPT_DNS_RATE_LIMIT_MX_QUERIES, OPT_DNS_RATE_LIMIT_PERIOD, opt_number, values_t)

cdef uint64_t spent = 0         # second that the period began, and in the lower half MX queries in it
cdef uint32_t settled = 0       # one more than the room; 0: nobody has asked
cdef uint32_t held = 0
cdef uint64_t immediate = 0
cdef uint64_t queued = 0
cdef uint64_t drained = 0
cdef uint64_t overflow = 0


cdef uint32_t dns_rate_room(const values_t *v) noexcept nogil:
    cdef uint32_t room = 0
    if atomic_load32(&settled) == 0:
        if opt_number(v, OPT_DNS_RATE_LIMIT_ENABLED) == 1:
            room = <uint32_t>opt_number(v, OPT_DNS_RATE_LIMIT_MAX_QUEUE)
        atomic_cas32(&settled, 0, room + 1)
    return atomic_load32(&settled) - 1


cdef bint dns_rate_take(uint64_t now, uint32_t most, uint32_t period) noexcept nogil:
    cdef uint64_t seen, began, n
    while True:
        seen = atomic_load64(&spent)
        began = seen >> 32
        n = seen & 0xffffffffu
        if now >= began + period:
            began = now
            n = 0
        if n >= most:
            return False
        if atomic_cas64(&spent, seen, began << 32 | (n + 1)):
            return True


cdef void dns_rate_immediate() noexcept nogil:
    atomic_add64(&immediate, 1)


cdef bint dns_rate_hold(uint32_t room) noexcept nogil:
    if atomic_add32(&held, 1) > room:
        atomic_add32(&held, -1)
        atomic_add64(&overflow, 1)
        return False
    atomic_add64(&queued, 1)
    return True


cdef void dns_rate_release(bint wanted) noexcept nogil:
    atomic_add32(&held, -1)
    if wanted:
        atomic_add64(&drained, 1)


cdef void dns_rate_read(dns_rate_t *out) noexcept nogil:
    cdef config_generation_t *g = config_current()
    out.room = out.most = out.period = 0
    if g != NULL:
        out.room = dns_rate_room(g.globals)
        out.most = <uint32_t>opt_number(g.globals, OPT_DNS_RATE_LIMIT_MX_QUERIES)
        out.period = <uint32_t>opt_number(g.globals, OPT_DNS_RATE_LIMIT_PERIOD)
        config_unref(g)
    out.held = atomic_load32(&held)
    out.immediate = atomic_load64(&immediate)
    out.queued = atomic_load64(&queued)
    out.drained = atomic_load64(&drained)
    out.overflow = atomic_load64(&overflow)
