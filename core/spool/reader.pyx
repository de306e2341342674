"""Read one record by its handle.

A compaction may move it between look-up and read: then the header does not
match and the look-up is made again.
"""
from libc.stdint cimport uint32_t, uint64_t

from pymomentum.core.base.buf cimport buf_reserve, buf_t
from pymomentum.core.base.crc cimport crc32c
from pymomentum.core.base.status cimport EC_CORRUPT, EC_IO, EC_NOMEM, EC_OK
from pymomentum.core.c.posix cimport pread
from .layout cimport record_header_t
from .places cimport place_get
from .spool cimport place_t, spool_t

cdef enum:
    LARGEST = 256 << 20


cdef int record_read(int fd, uint64_t offset, uint64_t salt, record_header_t *h, buf_t *out) noexcept nogil:
    cdef ssize_t n = pread(fd, h, sizeof(h[0]), offset)
    if n < 0:
        return EC_IO
    if n != <ssize_t>sizeof(h[0]) or h.header_crc != crc32c(<uint32_t>salt, h, sizeof(h[0]) - 4) or h.length > LARGEST:
        return EC_CORRUPT
    if buf_reserve(out, h.length) != EC_OK:
        return EC_NOMEM
    n = pread(fd, out.ptr + out.len, h.length, offset + sizeof(h[0]))
    if n < 0:
        return EC_IO
    if n != <ssize_t>h.length or h.payload_crc != crc32c(0, out.ptr + out.len, h.length):
        return EC_CORRUPT
    out.len += h.length
    return EC_OK


cdef int spool_read(spool_t *s, uint32_t handle, uint64_t seq, record_header_t *h, buf_t *out) noexcept nogil:
    cdef place_t p
    cdef int tries, rc = EC_CORRUPT
    for tries in range(8):
        rc = place_get(s, handle, &p)
        if rc != EC_OK:
            return rc
        rc = record_read(s.segments[p.segment].fd, p.offset, s.segments[p.segment].salt, h, out)
        if rc == EC_OK and h.seq == seq:
            return EC_OK
        if rc == EC_OK:
            out.len -= h.length
            rc = EC_CORRUPT
    return rc
