"""How many sockets there may be.

Were the last descriptor a client's, then no name could be looked up, no
segment opened and no host reached, and hosts would be blamed for it.
"""
from libc.stdint cimport int64_t, uint64_t

from pymomentum.core.base.atomic cimport atomic_load64, atomic_store64
from pymomentum.core.loop.limit cimport limit_t

cdef enum:
    OUTBOUND_SHARE = 8          # one in so many is kept for delivery

cdef limit_t sockets
cdef int64_t most = -1          # atomic


cdef limit_t *budget_sockets() noexcept nogil:
    return &sockets


cdef int64_t budget_most() noexcept nogil:
    return <int64_t>atomic_load64(<uint64_t*>&most)


cdef bint budget_accepts() noexcept nogil:
    cdef int64_t n = budget_most()
    return n < 0 or <int64_t>atomic_load64(&sockets.used) < n - n // OUTBOUND_SHARE


def set_budget(int descriptors, int kept):
    """Of `descriptors` that the process may have, `kept` are not for sessions and connections."""
    atomic_store64(<uint64_t*>&most, descriptors - kept if descriptors > 2 * kept else descriptors // 2)
