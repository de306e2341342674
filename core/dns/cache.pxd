# dns_cache_t: answers of one loop by key, the soonest to expire first out.
from libc.stdint cimport uint64_t

from pymomentum.core.base.hash cimport hash_t
from pymomentum.core.base.heap cimport heap_t
from pymomentum.core.base.slice cimport slice_t
from .answer cimport dns_answer_t

cdef struct dns_cache_t:
    hash_t table            # key -> dns_answer_t
    heap_t soonest          # by expires_ms, in quarters of a second
    size_t most             # entries; 0: keeps nothing
    uint64_t hits
    uint64_t misses
    uint64_t evicted        # before their time


cdef void dns_cache_init(dns_cache_t *c, size_t most) noexcept nogil
cdef dns_answer_t *dns_cache_get(dns_cache_t *c, slice_t key, uint64_t now_ms) noexcept nogil   # borrowed; NULL: not known
cdef void dns_cache_put(dns_cache_t *c, dns_answer_t *a, uint64_t now_ms) noexcept nogil        # takes its own reference
cdef void dns_cache_purge(dns_cache_t *c, uint64_t now_ms, size_t work) noexcept nogil          # at most `work` expired ones
cdef void dns_cache_limit(dns_cache_t *c, size_t most) noexcept nogil
