# buf_t: growable bytes, owned by whoever embeds it.
from libc.stdint cimport int64_t, uint64_t

from .slice cimport slice_t


cdef struct buf_t:
    char *ptr
    size_t len
    size_t cap


cdef int buf_reserve(buf_t *b, size_t more) noexcept nogil     # room for `more` bytes; EC_NOMEM
cdef int buf_add(buf_t *b, const char *p, size_t n) noexcept nogil
cdef int buf_add_slice(buf_t *b, slice_t s) noexcept nogil
cdef int buf_add_z(buf_t *b, const char *z) noexcept nogil
cdef int buf_add_number(buf_t *b, int64_t v) noexcept nogil
cdef int buf_printf(buf_t *b, const char *format, ...) noexcept nogil
cdef void buf_consume(buf_t *b, size_t n) noexcept nogil       # drops the first n bytes
cdef void buf_free(buf_t *b) noexcept nogil


cdef inline void buf_clear(buf_t *b) noexcept nogil:
    b.len = 0


cdef inline slice_t buf_slice(buf_t *b) noexcept nogil:
    cdef slice_t s
    s.ptr = b.ptr
    s.len = b.len
    return s
