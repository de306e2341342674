"""The cache: an answer carries its key, so an entry is the answer, a hash slot and a heap slot."""
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

from pymomentum.core.base.hash cimport hash_del, hash_get, hash_put
from pymomentum.core.base.heap cimport heap_insert, heap_remove
from pymomentum.core.base.slice cimport slice_t
from pymomentum.core.base.status cimport EC_OK
from .answer cimport dns_answer_key, dns_answer_ref, dns_answer_t, dns_answer_unref

cdef enum:
    KEY_SHIFT = 8               # expiry in the heap: quarters of a second


cdef void dns_cache_init(dns_cache_t *c, size_t most) noexcept nogil:
    memset(c, 0, sizeof(c[0]))
    c.soonest.index_at = <size_t>&(<dns_answer_t*>NULL).heap_index
    c.most = most


cdef inline dns_answer_t *soonest(dns_cache_t *c) noexcept nogil:
    return <dns_answer_t*>c.soonest.slots[0].item


cdef void drop(dns_cache_t *c, dns_answer_t *a) noexcept nogil:
    hash_del(&c.table, dns_answer_key(a))
    heap_remove(&c.soonest, a)
    dns_answer_unref(a)


cdef dns_answer_t *dns_cache_get(dns_cache_t *c, slice_t key, uint64_t now_ms) noexcept nogil:
    cdef dns_answer_t *a = <dns_answer_t*>hash_get(&c.table, key)
    if a == NULL or a.expires_ms <= now_ms:
        c.misses += 1
        return NULL
    c.hits += 1
    return a


cdef void dns_cache_put(dns_cache_t *c, dns_answer_t *a, uint64_t now_ms) noexcept nogil:
    cdef dns_answer_t *old = <dns_answer_t*>hash_get(&c.table, dns_answer_key(a))
    if old != NULL:
        drop(c, old)
    if a.expires_ms <= now_ms or c.most == 0:
        return
    while c.soonest.len >= c.most:
        if soonest(c).expires_ms > now_ms:
            c.evicted += 1
        drop(c, soonest(c))
    if hash_put(&c.table, dns_answer_key(a), a) != EC_OK:
        return
    if heap_insert(&c.soonest, <uint32_t>(a.expires_ms >> KEY_SHIFT), a) != EC_OK:
        hash_del(&c.table, dns_answer_key(a))
        return
    dns_answer_ref(a)


cdef void dns_cache_purge(dns_cache_t *c, uint64_t now_ms, size_t work) noexcept nogil:
    while work and c.soonest.len and soonest(c).expires_ms <= now_ms:
        drop(c, soonest(c))
        work -= 1


cdef void dns_cache_limit(dns_cache_t *c, size_t most) noexcept nogil:
    c.most = most
    while c.soonest.len > most:
        c.evicted += 1
        drop(c, soonest(c))
