"""Hash table with linear probing and backward-shift deletion; seeded per table."""
from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp

from .clock cimport clock_mono_ns
from .slice cimport slice_hash, slice_make, slice_t
from .status cimport EC_NOMEM, EC_OK

cdef extern from "sys/random.h" nogil:
    ssize_t getrandom(void*, size_t, unsigned int)

cdef enum:
    FULL = 13                   # sixteenths


cdef int hash_init(hash_t *h, size_t expected) noexcept nogil:
    cdef size_t size = 16
    while size * FULL < expected * 16:
        size *= 2
    h.slots = <hash_slot_t*>calloc(size, sizeof(hash_slot_t))
    if h.slots == NULL:
        return EC_NOMEM
    h.size = size
    h.used = 0
    if getrandom(&h.seed, sizeof(h.seed), 0) != sizeof(h.seed):
        h.seed = clock_mono_ns()
    return EC_OK


cdef inline size_t find(hash_t *h, slice_t key, uint32_t code) noexcept nogil:
    cdef size_t mask = h.size - 1
    cdef size_t i = code & mask
    while h.slots[i].key != NULL:
        if h.slots[i].code == code and h.slots[i].len == key.len and memcmp(h.slots[i].key, key.ptr, key.len) == 0:
            break
        i = (i + 1) & mask
    return i


cdef int grow(hash_t *h) noexcept nogil:
    cdef hash_slot_t *old = h.slots
    cdef size_t i, j, n = h.size
    cdef hash_slot_t *slots = <hash_slot_t*>calloc(n * 2, sizeof(hash_slot_t))
    if slots == NULL:
        return EC_NOMEM
    for i in range(n):
        if old[i].key != NULL:
            j = old[i].code & (n * 2 - 1)
            while slots[j].key != NULL:
                j = (j + 1) & (n * 2 - 1)
            slots[j] = old[i]
    h.slots = slots
    h.size = n * 2
    free(old)
    return EC_OK


cdef void *hash_get(hash_t *h, slice_t key) noexcept nogil:
    cdef size_t i
    if h.used == 0:
        return NULL
    i = find(h, key, <uint32_t>slice_hash(key, h.seed))
    return h.slots[i].value if h.slots[i].key != NULL else NULL


cdef int hash_put(hash_t *h, slice_t key, void *value) noexcept nogil:
    cdef uint32_t code = <uint32_t>slice_hash(key, h.seed)
    cdef size_t i
    if h.slots == NULL or (h.used + 1) * 16 > h.size * FULL:
        if h.slots == NULL:
            if hash_init(h, 16) != EC_OK:
                return EC_NOMEM
            code = <uint32_t>slice_hash(key, h.seed)
        elif grow(h) != EC_OK:
            return EC_NOMEM
    if key.ptr == NULL:
        key = slice_make(b"", 0)
    i = find(h, key, code)
    if h.slots[i].key == NULL:
        h.used += 1
    h.slots[i].key = key.ptr
    h.slots[i].len = <uint32_t>key.len
    h.slots[i].code = code
    h.slots[i].value = value
    return EC_OK


cdef void *hash_del(hash_t *h, slice_t key) noexcept nogil:
    cdef size_t i, j, home, mask = h.size - 1
    cdef void *gone
    if h.used == 0:
        return NULL
    i = find(h, key, <uint32_t>slice_hash(key, h.seed))
    if h.slots[i].key == NULL:
        return NULL
    gone = h.slots[i].value
    j = i
    while True:
        j = (j + 1) & mask
        if h.slots[j].key == NULL:
            break
        home = h.slots[j].code & mask
        # may j's entry move to the hole at i without leaving its probe run?
        if ((j - home) & mask) >= ((j - i) & mask):
            h.slots[i] = h.slots[j]
            i = j
    h.slots[i].key = NULL
    h.slots[i].value = NULL
    h.used -= 1
    return gone


cdef void *hash_next(hash_t *h, size_t *cursor) noexcept nogil:
    cdef size_t i = cursor[0]
    while i < h.size:
        if h.slots[i].key != NULL:
            cursor[0] = i + 1
            return h.slots[i].value
        i += 1
    cursor[0] = i
    return NULL


cdef void hash_free(hash_t *h) noexcept nogil:
    free(h.slots)
    h.slots = NULL
    h.size = 0
    h.used = 0
