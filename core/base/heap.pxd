# heap_t: binary min-heap of pointers ordered by a 32-bit key kept beside each.
from libc.stdint cimport uint32_t, uint64_t

cdef packed struct heap_slot_t:      # 12 bytes: a million queued messages have one each
    uint32_t key
    void *item

cdef struct heap_t:
    heap_slot_t *slots
    size_t len
    size_t cap
    size_t index_at     # byte offset in an item of its uint32_t heap index


cdef int heap_insert(heap_t *h, uint32_t key, void *item) noexcept nogil     # EC_NOMEM
cdef void *heap_pop(heap_t *h) noexcept nogil                                # NULL when empty
cdef void heap_remove(heap_t *h, void *item) noexcept nogil
cdef void heap_free(heap_t *h) noexcept nogil


cdef inline uint64_t heap_first_key(heap_t *h) noexcept nogil:
    return h.slots[0].key if h.len else <uint64_t>-1
