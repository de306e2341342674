# hash_t: slice -> pointer, open addressing; keys are borrowed from their values.
from libc.stdint cimport uint32_t, uint64_t

from .slice cimport slice_t


cdef struct hash_slot_t:
    const char *key     # borrowed; NULL: free slot
    void *value
    uint32_t len        # of the key
    uint32_t code

cdef struct hash_t:
    hash_slot_t *slots
    size_t size         # power of two
    size_t used
    uint64_t seed


cdef int hash_init(hash_t *h, size_t expected) noexcept nogil
cdef void *hash_get(hash_t *h, slice_t key) noexcept nogil                      # NULL when absent
cdef int hash_put(hash_t *h, slice_t key, void *value) noexcept nogil           # replaces; EC_NOMEM
cdef void *hash_del(hash_t *h, slice_t key) noexcept nogil                      # answers what it removed
cdef void *hash_next(hash_t *h, size_t *cursor) noexcept nogil                  # walk; start with 0, NULL at the end
cdef void hash_free(hash_t *h) noexcept nogil
