# Writing JSON into a buf_t.
from libc.stdint cimport int64_t, uint64_t

from pymomentum.core.base.buf cimport buf_t
from pymomentum.core.base.slice cimport slice_t

cdef void json_string(buf_t *b, slice_t s) noexcept nogil
cdef void json_key(buf_t *b, const char *name) noexcept nogil                   # with the comma ahead, where one is due
cdef void json_number(buf_t *b, const char *name, int64_t v) noexcept nogil
cdef void json_text(buf_t *b, const char *name, slice_t s) noexcept nogil
cdef void json_comma(buf_t *b) noexcept nogil                                   # in a list
cdef void json_more(buf_t *b, uint64_t v) noexcept nogil                        # a further number in a list
