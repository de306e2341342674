# match_cache_t: which stanza a name matched, of all containers of a generation
# that hold regular expressions.  Any thread may ask.
from libc.stdint cimport uint64_t

from pymomentum.core.base.arena cimport arena_t
from pymomentum.core.base.hash cimport hash_t
from pymomentum.core.base.slice cimport slice_t
from pymomentum.core.c.posix cimport pthread_mutex_t

cdef struct match_half_t:
    arena_t keys
    hash_t found                # key -> stanza

cdef struct match_cache_t:
    pthread_mutex_t lock
    match_half_t fresh          # asked for lately
    match_half_t stale          # goes when `fresh` is full and takes its place
    size_t most                 # names in both; 0: nothing is kept
    uint64_t life_ms            # all is forgotten so long after it was begun; 0: never
    uint64_t begun_ms           # monotonic

cdef void match_init(match_cache_t *c) noexcept nogil
cdef void match_free(match_cache_t *c) noexcept nogil
# `key` names container and text; answers whether it is known, *found is NULL where nothing matches it
cdef bint match_get(match_cache_t *c, slice_t key, void **found) noexcept nogil
cdef void match_put(match_cache_t *c, slice_t key, void *found) noexcept nogil     # without memory it is not kept
