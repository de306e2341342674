"""The retry formula: min(retry_interval * 2^(n-1), max_retry_interval).

max_retries = auto counts how many retries the schedule fits into
message_expiration.
"""
from libc.stdint cimport int64_t, uint32_t

from pymomentum.core.config.values cimport (OPT_MAX_RETRIES, OPT_MAX_RETRY_INTERVAL, OPT_MESSAGE_EXPIRATION,
                                            OPT_RETRY_INTERVAL, opt_number, values_t)

cdef enum:
    AUTO = -1
    NONE = -2


cdef uint32_t delay(int64_t first, int64_t most, uint32_t retries) noexcept nogil:
    cdef int64_t wait = first
    while retries > 1 and wait < most:
        wait *= 2
        retries -= 1
    return <uint32_t>(wait if wait < most else most)


cdef uint32_t retry_delay(const values_t *v, uint32_t retries) noexcept nogil:
    return delay(opt_number(v, OPT_RETRY_INTERVAL), opt_number(v, OPT_MAX_RETRY_INTERVAL), retries)


cdef int64_t limit(int64_t wanted, int64_t first, int64_t most, int64_t expiration) noexcept nogil:
    cdef int64_t total = 0, n = 0
    if wanted == NONE:
        return -1
    if wanted != AUTO:
        return wanted
    if first <= 0 or most <= 0:
        return -1
    while total < expiration and n < 100000:
        n += 1
        total += delay(first, most, <uint32_t>n)
    return n


cdef int64_t retry_limit(const values_t *v) noexcept nogil:
    return limit(opt_number(v, OPT_MAX_RETRIES), opt_number(v, OPT_RETRY_INTERVAL), opt_number(v, OPT_MAX_RETRY_INTERVAL),
                 opt_number(v, OPT_MESSAGE_EXPIRATION))


def schedule(int first, int most, int n):
    """Seconds after reception of the attempts 0 .. n."""
    at, total = [0], 0
    for i in range(1, n + 1):
        total += delay(first, most, i)
        at.append(total)
    return at


def auto_limit(int first, int most, int expiration):
    """How many retries max_retries = auto allows."""
    return limit(AUTO, first, most, expiration)
