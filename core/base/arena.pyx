"""Bump allocator: chunks that double up to 64 KiB, all freed at once."""
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from .slice cimport slice_make, slice_t


cdef enum:
    FIRST = 224
    LARGEST = 65520
    KEPT = 4096             # a reset keeps one chunk up to this size


cdef void *arena_alloc(arena_t *a, size_t n) noexcept nogil:
    cdef arena_chunk_t *c = a.head
    cdef size_t size
    cdef char *p
    n = (n + 7) & ~<size_t>7
    if c == NULL or c.size - c.used < n:
        size = FIRST if c == NULL else (c.size * 2 if c.size * 2 < LARGEST else LARGEST)
        if size < n:
            size = n
        c = <arena_chunk_t*>malloc(sizeof(arena_chunk_t) + size)
        if c == NULL:
            return NULL
        c.size = size
        c.used = 0
        c.next = a.head
        a.head = c
    p = <char*>c + sizeof(arena_chunk_t) + c.used
    c.used += n
    return p


cdef void *arena_calloc(arena_t *a, size_t n) noexcept nogil:
    cdef void *p = arena_alloc(a, n)
    if p != NULL:
        memset(p, 0, n)
    return p


cdef slice_t arena_copy(arena_t *a, slice_t s) noexcept nogil:
    cdef char *p = <char*>arena_alloc(a, s.len + 1)
    if p == NULL:
        return slice_make(NULL, 0)
    if s.len:
        memcpy(p, s.ptr, s.len)
    p[s.len] = 0
    return slice_make(p, s.len)


cdef void arena_reset(arena_t *a) noexcept nogil:
    cdef arena_chunk_t *c = a.head
    cdef arena_chunk_t *kept = NULL
    cdef arena_chunk_t *next
    while c != NULL:
        next = c.next
        if kept == NULL and c.size <= KEPT:     # the newest that is not too large is the largest of them
            kept = c
            c.next = NULL
            c.used = 0
        else:
            free(c)
        c = next
    a.head = kept


cdef void arena_free(arena_t *a) noexcept nogil:
    cdef arena_chunk_t *c = a.head
    cdef arena_chunk_t *next
    while c != NULL:
        next = c.next
        free(c)
        c = next
    a.head = NULL
