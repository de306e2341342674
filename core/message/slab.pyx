"""Slabs of messages.

A million small structs between bodies that come and go would pin every page
of them.  A slab is aligned to its size, so that a message finds it; one that
is empty goes back to the system, but for a few.
"""
from libc.stdint cimport uint32_t
from libc.string cimport memset

from pymomentum.core.base.list cimport list_append, list_init, list_node_t, list_prepend, list_remove
from pymomentum.core.c.posix cimport pthread_mutex_lock, pthread_mutex_t, pthread_mutex_unlock
from .message cimport ec_message_t

cdef extern from *:
    """
    #include <stdint.h>
    #include <sys/mman.h>
    /* Pages of their own, aligned to their size; NULL: no memory. */
    static void *ec_pages(size_t n) {
        char *p = mmap(0, 2 * n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), *at;
        if (p == MAP_FAILED) return 0;
        at = (char *)(((uintptr_t)p + n - 1) & ~(uintptr_t)(n - 1));
        if (at > p) munmap(p, at - p);
        if (at + n < p + 2 * n) munmap(at + n, p + n - at);
        return at; }
    static void ec_pages_free(void *p, size_t n) { if (p) munmap(p, n); }
    """
    void *ec_pages(size_t) noexcept nogil
    void ec_pages_free(void*, size_t) noexcept nogil

cdef enum:
    SLAB = 262144               # bytes, and its alignment
    SPARE = 4                   # empty ones that are kept

cdef struct free_t:
    free_t *next

cdef struct slab_t:
    list_node_t node            # among those with room
    free_t *free
    uint32_t used
    uint32_t made               # beyond it nothing was ever given

cdef pthread_mutex_t lock
cdef list_node_t roomy
cdef uint32_t empty = 0
list_init(&roomy)


cdef inline uint32_t room() noexcept nogil:
    return (SLAB - sizeof(slab_t)) // sizeof(ec_message_t)


cdef inline ec_message_t *places(slab_t *s) noexcept nogil:
    return <ec_message_t*>(<char*>s + sizeof(slab_t))


cdef slab_t *another() noexcept nogil:
    global empty
    cdef slab_t *s = <slab_t*>ec_pages(SLAB)
    if s == NULL:
        return NULL
    list_init(&s.node)
    list_append(&roomy, &s.node)
    empty += 1
    return s


cdef void *slab_new() noexcept nogil:
    global empty
    cdef slab_t *s
    cdef void *p = NULL
    pthread_mutex_lock(&lock)
    s = <slab_t*>roomy.next if roomy.next != &roomy else another()
    if s != NULL:
        if s.used == 0:
            empty -= 1
        if s.free != NULL:
            p = s.free
            s.free = s.free.next
        else:
            p = &places(s)[s.made]
            s.made += 1
        s.used += 1
        if s.used == room():
            list_remove(&s.node)
    pthread_mutex_unlock(&lock)
    if p != NULL:
        memset(p, 0, sizeof(ec_message_t))
    return p


cdef void slab_free(void *p) noexcept nogil:
    global empty
    cdef slab_t *s = <slab_t*>(<size_t>p & ~<size_t>(SLAB - 1))
    cdef slab_t *gone = NULL
    pthread_mutex_lock(&lock)
    (<free_t*>p).next = s.free
    s.free = <free_t*>p
    if s.used == room():
        list_prepend(&roomy, &s.node)       # the fullest are filled first, so that others can go
    s.used -= 1
    if s.used == 0:
        empty += 1
        if empty > SPARE:
            empty -= 1
            list_remove(&s.node)
            gone = s
    pthread_mutex_unlock(&lock)
    ec_pages_free(gone, SLAB)
