# limit_t and throttles: shared by loops, never exceeded by a race.
from libc.stdint cimport uint64_t

from pymomentum.core.base.atomic cimport atomic_cas64, atomic_load64


cdef struct limit_t:
    uint64_t used           # atomic


cdef inline bint limit_take(limit_t *l, uint64_t most) noexcept nogil:
    """One of at most `most`; False: all are taken."""
    cdef uint64_t used
    while True:
        used = atomic_load64(&l.used)
        if used >= most:
            return False
        if atomic_cas64(&l.used, used, used + 1):
            return True


cdef inline void limit_give(limit_t *l) noexcept nogil:
    cdef uint64_t used
    while True:
        used = atomic_load64(&l.used)
        if used == 0 or atomic_cas64(&l.used, used, used - 1):
            return


cdef inline uint64_t throttle_ask(uint64_t *arrival_ns, uint64_t interval_ns, uint64_t now_ns) noexcept nogil:
    """Take one at the even rate; 0: taken, else nanoseconds until it may be asked again."""
    cdef uint64_t due
    while True:
        due = atomic_load64(arrival_ns)
        if due > now_ns:
            return due - now_ns
        if atomic_cas64(arrival_ns, due, now_ns + interval_ns):
            return 0
