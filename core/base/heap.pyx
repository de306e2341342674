"""Binary heap; items know their index, so any can be removed in O(log n)."""
from libc.stdint cimport uint32_t
from libc.stdlib cimport free, realloc

from .status cimport EC_NOMEM, EC_OK


cdef inline void place(heap_t *h, size_t i, heap_slot_t s) noexcept nogil:
    h.slots[i] = s
    (<uint32_t*>(<char*>s.item + h.index_at))[0] = <uint32_t>i


cdef void up(heap_t *h, size_t i, heap_slot_t s) noexcept nogil:
    cdef size_t parent
    while i:
        parent = (i - 1) // 2
        if h.slots[parent].key <= s.key:
            break
        place(h, i, h.slots[parent])
        i = parent
    place(h, i, s)


cdef void down(heap_t *h, size_t i, heap_slot_t s) noexcept nogil:
    cdef size_t child
    while True:
        child = i * 2 + 1
        if child >= h.len:
            break
        if child + 1 < h.len and h.slots[child + 1].key < h.slots[child].key:
            child += 1
        if h.slots[child].key >= s.key:
            break
        place(h, i, h.slots[child])
        i = child
    place(h, i, s)


cdef int heap_insert(heap_t *h, uint32_t key, void *item) noexcept nogil:
    cdef heap_slot_t s
    cdef heap_slot_t *slots
    cdef size_t cap
    if h.len == h.cap:
        cap = h.cap + (h.cap // 4 if h.cap > 16 else 4)      # a million queued messages pay for what is spare
        slots = <heap_slot_t*>realloc(h.slots, cap * sizeof(heap_slot_t))
        if slots == NULL:
            return EC_NOMEM
        h.slots = slots
        h.cap = cap
    s.key = key
    s.item = item
    h.len += 1
    up(h, h.len - 1, s)
    return EC_OK


cdef void heap_remove(heap_t *h, void *item) noexcept nogil:
    cdef size_t i = (<uint32_t*>(<char*>item + h.index_at))[0]
    cdef heap_slot_t last
    h.len -= 1
    last = h.slots[h.len]
    if i == h.len:
        return
    if i and last.key < h.slots[(i - 1) // 2].key:
        up(h, i, last)
    else:
        down(h, i, last)


cdef void *heap_pop(heap_t *h) noexcept nogil:
    cdef void *item
    if h.len == 0:
        return NULL
    item = h.slots[0].item
    heap_remove(h, item)
    return item


cdef void heap_free(heap_t *h) noexcept nogil:
    free(h.slots)
    h.slots = NULL
    h.len = 0
    h.cap = 0
