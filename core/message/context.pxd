# context_t: a validation context's dictionary, connection or message.  Counted and copied
# on write: recipients share one until one of them changes it.
from libc.stdint cimport uint32_t

from pymomentum.core.base.buf cimport buf_t
from pymomentum.core.base.slice cimport slice_t

cdef enum:
    CONTEXT_KEY_MAX = 255
    CONTEXT_MAX = 1048576       # bytes of all pairs

cdef struct context_t:
    uint32_t refs               # atomic
    uint32_t n
    buf_t bytes                 # u16 key length, u32 value length, key, value; as the spool keeps it


# The pointer is NULL for an empty one.  Values are borrowed until the next set.
cdef slice_t context_get(const context_t *c, slice_t key) noexcept nogil                    # ptr NULL: not set
cdef int context_set(context_t **c, slice_t key, slice_t value) noexcept nogil             # EC_LIMIT, EC_NOMEM
cdef int context_remove(context_t **c, slice_t key) noexcept nogil                         # EC_NOTFOUND
cdef context_t *context_ref(context_t *c) noexcept nogil
cdef void context_unref(context_t *c) noexcept nogil
cdef bint context_next(slice_t bytes, size_t *cursor, slice_t *key, slice_t *value) noexcept nogil  # walk; start with 0
cdef slice_t context_bytes(const context_t *c) noexcept nogil
