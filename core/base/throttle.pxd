# Throttles: a rate that loops share, evenly paced.
from libc.stdint cimport uint64_t

from pymomentum.core.base.atomic cimport atomic_cas64, atomic_load64


cdef inline uint64_t throttle_wait(uint64_t *arrival_ns, uint64_t now_ns) noexcept nogil:
    """Nanoseconds until the next may be taken; 0: now."""
    cdef uint64_t due = atomic_load64(arrival_ns)
    return due - now_ns if due > now_ns else 0


cdef inline uint64_t throttle_ask(uint64_t *arrival_ns, uint64_t interval_ns, uint64_t now_ns) noexcept nogil:
    """Take one at the even rate; 0: taken, else nanoseconds until it may be asked again."""
    cdef uint64_t due
    while True:
        due = atomic_load64(arrival_ns)
        if due > now_ns:
            return due - now_ns
        if atomic_cas64(arrival_ns, due, now_ns + interval_ns):
            return 0


cdef inline void throttle_return(uint64_t *arrival_ns, uint64_t interval_ns) noexcept nogil:
    """What was taken is not used after all."""
    cdef uint64_t due
    while True:
        due = atomic_load64(arrival_ns)
        if due < interval_ns or atomic_cas64(arrival_ns, due, due - interval_ns):
            return
