# The rate limit of MX queries: one budget for all loops.
from libc.stdint cimport uint32_t, uint64_t

from pymomentum.core.config.values cimport values_t

cdef struct dns_rate_t:
    uint32_t room               # flights of all loops that may be held back; 0: the rate is not limited
    uint32_t most               # MX queries in one period
    uint32_t period             # seconds
    uint32_t held               # flights now
    uint64_t immediate          # sent within the budget, since start as all below
    uint64_t queued             # held back
    uint64_t drained            # sent after that
    uint64_t overflow           # sent above the budget, as no room was left

cdef uint32_t dns_rate_room(const values_t *v) noexcept nogil                               # as the first that asks is told
cdef bint dns_rate_take(uint64_t now, uint32_t most, uint32_t period) noexcept nogil        # now in seconds; False: spent
cdef void dns_rate_immediate() noexcept nogil
cdef bint dns_rate_hold(uint32_t room) noexcept nogil           # False: there is no room
cdef void dns_rate_release(bint wanted) noexcept nogil          # one that was held; else nobody waits for it
cdef void dns_rate_read(dns_rate_t *out) noexcept nogil         # any thread
