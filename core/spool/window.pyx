"""Windows on segments: a start that reads a million small records asks the kernel for a few thousand pieces.

A window is found by where it lies; a record that is large, or crosses from
one into the next, is read by itself.
"""
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from pymomentum.core.base.buf cimport buf_add, buf_t
from pymomentum.core.base.crc cimport crc32c
from pymomentum.core.base.status cimport EC_CORRUPT, EC_IO, EC_OK
from pymomentum.core.c.posix cimport pread
from .layout cimport record_header_t
from .reader cimport record_read
from .spool cimport segment_t

cdef enum:
    SMALL = 8192                # a payload above this is read by itself


cdef window_t *window_at(windows_t *w, const segment_t *seg, uint64_t at) noexcept nogil:
    """The window that begins there; NULL where it cannot be read."""
    cdef window_t *found = &w.all_[(at // WINDOW_BYTES + seg.number * 31) % WINDOWS]
    cdef ssize_t n
    if found.segment == seg and found.at == at:
        return found
    if found.bytes == NULL:
        found.bytes = <char*>malloc(WINDOW_BYTES)
    if found.bytes == NULL:
        return NULL
    found.segment = NULL
    n = pread(seg.fd, found.bytes, WINDOW_BYTES, at)
    if n <= 0:
        return NULL
    found.segment = seg
    found.at = at
    found.len = n
    return found


cdef int window_read(windows_t *w, const segment_t *seg, uint64_t offset, uint32_t length, record_header_t *h, buf_t *out) noexcept nogil:
    cdef uint64_t at = offset - offset % WINDOW_BYTES
    cdef size_t inside = <size_t>(offset - at)
    cdef window_t *found = NULL
    cdef const char *p
    if length <= SMALL and inside + sizeof(h[0]) + length <= WINDOW_BYTES:
        found = window_at(w, seg, at)
    if found == NULL or inside + sizeof(h[0]) + length > found.len:
        return record_read(seg.fd, offset, seg.salt, h, out)
    p = found.bytes + inside
    memcpy(h, p, sizeof(h[0]))
    if h.header_crc != crc32c(<uint32_t>seg.salt, h, sizeof(h[0]) - 4) or h.length != length \
            or h.payload_crc != crc32c(0, p + sizeof(h[0]), length):
        return EC_CORRUPT
    return buf_add(out, p + sizeof(h[0]), length)


cdef void windows_free(windows_t *w) noexcept nogil:
    cdef int i
    for i in range(WINDOWS):
        free(w.all_[i].bytes)
