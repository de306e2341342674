# Segments as files: make, open, recycle.  The header says what a file is; its name does not.
from libc.stdint cimport uint32_t, uint64_t

from pymomentum.core.spool.layout cimport segment_header_t
from pymomentum.core.spool.spool cimport segment_t, spool_log_t, spool_t

cdef int segment_make(spool_t *s, bint fill) noexcept nogil                             # a free file's descriptor, -errno
cdef int segment_open(spool_t *s, spool_log_t *log) noexcept nogil                     # log.current; EC_IO, errno in s.degraded
cdef int sync_directory(spool_t *s) noexcept nogil                                     # 0, -errno
cdef int segment_free(spool_t *s, int fd, uint64_t size) noexcept nogil                # header to FREE, synced
cdef segment_t *segment_add(spool_t *s, int fd, segment_header_t *h) noexcept nogil    # NULL: table full
cdef void segment_enlist(spool_log_t *log, segment_t *seg) noexcept nogil
cdef void segment_header_fill(segment_header_t *h, uint32_t kind, uint64_t number, uint64_t salt, uint64_t base_seq, uint64_t size) noexcept nogil
cdef bint segment_header_ok(segment_header_t *h) noexcept nogil
cdef int segment_header_read(int fd, uint64_t size, segment_header_t *out) noexcept nogil
cdef uint64_t random64() noexcept nogil
