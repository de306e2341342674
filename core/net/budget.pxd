# The process's sockets: sessions and connections share what files, DNS and console leave of its descriptors.
from libc.stdint cimport int64_t

from pymomentum.core.loop.limit cimport limit_t

cdef limit_t *budget_sockets() noexcept nogil
cdef int64_t budget_most() noexcept nogil       # of both together; -1: no limit is known
cdef bint budget_accepts() noexcept nogil       # one more inbound session leaves enough for delivery
