# Shared words: equal texts are kept once, counted, known by a number.  Any thread.
from libc.stdint cimport uint32_t

from pymomentum.core.base.slice cimport slice_t

cdef uint32_t word_ref(slice_t text) noexcept nogil         # 0: no memory
cdef void word_unref(uint32_t word) noexcept nogil          # 0 is none
cdef const char *word_text(uint32_t word) noexcept nogil    # NUL-terminated, for as long as it is held; NULL for 0
