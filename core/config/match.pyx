"""Names remembered with the stanza whose regular expression matched them.

Two halves: what is asked for moves to the fresh one; when that is full the
stale one is dropped whole.  So what is in use stays and memory is bounded.
"""
from libc.string cimport memset

from pymomentum.core.base.arena cimport arena_copy, arena_free
from pymomentum.core.base.clock cimport clock_mono_ms
from pymomentum.core.base.hash cimport hash_free, hash_get, hash_put
from pymomentum.core.c.posix cimport pthread_mutex_destroy, pthread_mutex_init, pthread_mutex_lock, pthread_mutex_unlock

cdef char nobody                # stands for: no expression matches


cdef void match_init(match_cache_t *c) noexcept nogil:
    memset(c, 0, sizeof(match_cache_t))
    pthread_mutex_init(&c.lock, NULL)
    c.begun_ms = clock_mono_ms()


cdef void clear(match_half_t *half) noexcept nogil:
    hash_free(&half.found)
    arena_free(&half.keys)
    memset(half, 0, sizeof(match_half_t))


cdef void match_free(match_cache_t *c) noexcept nogil:
    clear(&c.fresh)
    clear(&c.stale)
    pthread_mutex_destroy(&c.lock)


cdef void keep(match_cache_t *c, slice_t key, void *found) noexcept nogil:
    if c.fresh.found.used * 2 >= c.most:
        clear(&c.stale)
        c.stale = c.fresh
        memset(&c.fresh, 0, sizeof(match_half_t))
    key = arena_copy(&c.fresh.keys, key)
    if key.ptr != NULL:
        hash_put(&c.fresh.found, key, found)


cdef bint match_get(match_cache_t *c, slice_t key, void **found) noexcept nogil:
    cdef void *known
    if c.most == 0:
        return False
    pthread_mutex_lock(&c.lock)
    if c.life_ms and clock_mono_ms() - c.begun_ms >= c.life_ms:
        clear(&c.fresh)
        clear(&c.stale)
        c.begun_ms = clock_mono_ms()
    known = hash_get(&c.fresh.found, key)
    if known == NULL:
        known = hash_get(&c.stale.found, key)
        if known != NULL:
            keep(c, key, known)
    pthread_mutex_unlock(&c.lock)
    found[0] = NULL if known == <void*>&nobody else known
    return known != NULL


cdef void match_put(match_cache_t *c, slice_t key, void *found) noexcept nogil:
    if c.most == 0:
        return
    pthread_mutex_lock(&c.lock)
    keep(c, key, <void*>&nobody if found == NULL else found)
    pthread_mutex_unlock(&c.lock)
