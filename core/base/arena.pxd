# arena_t: bump allocation, freed once at the end of its session, transaction or message.
from .slice cimport slice_t


cdef struct arena_chunk_t:
    arena_chunk_t *next
    size_t used
    size_t size

cdef struct arena_t:
    arena_chunk_t *head


cdef void *arena_alloc(arena_t *a, size_t n) noexcept nogil       # 8-byte aligned, not cleared; NULL
cdef void *arena_calloc(arena_t *a, size_t n) noexcept nogil
cdef slice_t arena_copy(arena_t *a, slice_t s) noexcept nogil     # NUL behind it; ptr NULL when out of memory
cdef void arena_reset(arena_t *a) noexcept nogil                  # forget all, keep one chunk
cdef void arena_free(arena_t *a) noexcept nogil
