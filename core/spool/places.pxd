# The table of live records: handle -> place_t.
from libc.stdint cimport int64_t, uint32_t

from pymomentum.core.spool.spool cimport place_t, segment_t, spool_t

cdef uint32_t place_new(spool_t *s, uint32_t segment, uint32_t offset, uint32_t length, uint32_t refs) noexcept nogil   # 0: no memory
cdef int place_get(spool_t *s, uint32_t handle, place_t *out) noexcept nogil
cdef bint place_drop(spool_t *s, uint32_t handle) noexcept nogil        # one reference less; True: that was the last
cdef bint place_move(spool_t *s, uint32_t handle, uint32_t source, uint32_t old_offset, uint32_t segment, uint32_t offset) noexcept nogil
cdef uint32_t places_of(spool_t *s, uint32_t segment, uint32_t **handles, uint32_t **offsets) noexcept nogil
