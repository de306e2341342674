# Records of a whole spool, read in pieces that serve many of them.  One thread's.
from libc.stdint cimport uint32_t, uint64_t

from pymomentum.core.base.buf cimport buf_t
from pymomentum.core.spool.layout cimport record_header_t
from pymomentum.core.spool.spool cimport segment_t

cdef enum:
    WINDOW_BYTES = 65536
    WINDOWS = 256

cdef struct window_t:
    const segment_t *segment    # NULL: nothing
    uint64_t at
    size_t len
    char *bytes                 # made at first use; owned

cdef struct windows_t:          # zeroed: ready for use
    window_t all_[WINDOWS]


# The record at an offset, its payload appended to out.  EC_CORRUPT, EC_IO, EC_NOMEM.
cdef int window_read(windows_t *w, const segment_t *seg, uint64_t offset, uint32_t length, record_header_t *h, buf_t *out) noexcept nogil
cdef void windows_free(windows_t *w) noexcept nogil
