# The index of a segment: gathered while it is written, put at its end when it is sealed.  The flusher's.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from pymomentum.core.base.buf cimport buf_t
from pymomentum.core.base.slice cimport slice_t
from pymomentum.core.spool.layout cimport segment_trailer_t
from pymomentum.core.spool.spool cimport segment_t, spool_log_t, spool_t

# What was written to log.current and is synced.
cdef void index_record(spool_log_t *log, uint32_t handle, uint8_t type, uint8_t flags, uint64_t seq, uint64_t ref,
                       uint32_t offset, uint32_t length) noexcept nogil
cdef void index_ids(spool_log_t *log, buf_t *ids, slice_t more) noexcept nogil      # ids: log.tombs or log.aborts
# Bytes that the index of `seg` may take, with so many records and ids more.
cdef uint64_t index_space(const segment_t *seg, uint64_t entries, uint64_t ids) noexcept nogil
# Ends log.current, all of which is synced.  Without an index, where none can be made, recovery scans the segment.
cdef void index_seal(spool_t *s, spool_log_t *log) noexcept nogil
cdef void index_clear(spool_log_t *log) noexcept nogil
# Where a sealed segment's index is; EC_NOTFOUND.
cdef int index_find(segment_t *seg, segment_trailer_t *out) noexcept nogil
