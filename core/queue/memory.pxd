# Memory of the process against memory_goal and memory_hwm.
from libc.stdint cimport uint64_t

from pymomentum.core.loop.loop cimport loop_t

cdef int memory_attach(loop_t *loop) noexcept nogil     # once per loop; loop 0 looks, all give back
cdef bint memory_full() noexcept nogil                  # above memory_hwm: no new mail
cdef uint64_t memory_used() noexcept nogil              # resident bytes of the process, as seen last
