# Reading live records back, on pool threads.
from libc.stdint cimport uint32_t, uint64_t

from pymomentum.core.base.buf cimport buf_t
from pymomentum.core.spool.layout cimport record_header_t
from pymomentum.core.spool.spool cimport spool_t

# The record behind a handle, its payload appended to out.  EC_NOTFOUND, EC_CORRUPT, EC_IO, EC_NOMEM.
cdef int spool_read(spool_t *s, uint32_t handle, uint64_t seq, record_header_t *h, buf_t *out) noexcept nogil
cdef int record_read(int fd, uint64_t offset, uint64_t salt, record_header_t *h, buf_t *out) noexcept nogil
