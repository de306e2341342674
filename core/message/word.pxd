# Shared words: equal texts are kept once, counted.  Any thread.
from pymomentum.core.base.slice cimport slice_t

cdef const char *word_ref(slice_t text) noexcept nogil      # NUL-terminated; NULL: no memory
cdef void word_unref(const char *word) noexcept nogil       # NULL is none
