# resolver_t: one per loop, made at its first question.  A question is answered
# by the cache, by the same question under way, or by a name server.
from libc.stdint cimport uint32_t, uint64_t

from pymomentum.core.base.hash cimport hash_t
from pymomentum.core.base.list cimport list_node_t
from pymomentum.core.base.slice cimport slice_t
from pymomentum.core.base.timewheel cimport timer_entry_t
from pymomentum.core.c.cares cimport ares_channel
from pymomentum.core.loop.loop cimport loop_t
from pymomentum.core.loop.post cimport post_t
from .answer cimport dns_answer_t
from .cache cimport dns_cache_t
from .resolvconf cimport resolvconf_t

ctypedef void (*dns_done_fn)(dns_query_t *q) noexcept nogil

cdef struct dns_query_t:        # embedded in its asker
    list_node_t node            # first: in the flight it waits for
    dns_done_fn done
    dns_answer_t *answer        # the asker's reference; NULL: no memory
    void *owner                 # the asker's
    bint waiting

cdef struct channel_t:          # name servers asked by UDP or by TCP
    resolver_t *resolver
    ares_channel ares
    uint32_t pending            # queries that c-ares has
    uint32_t sent               # queries it was given
    bint tcp
    bint edns
    bint retired                # servers have changed: ends with its last query
    void *sockets               # socket_t of resolver.pyx
    channel_t *next

cdef struct resolver_t:
    loop_t *loop
    dns_cache_t cache
    hash_t flights              # key -> flight_t of resolver.pyx
    list_node_t waiting         # flights above max_pending, first come first served
    list_node_t limited         # flights that dns_rate_limit_mx_queries holds back, first come first served
    list_node_t ready           # flights that have landed
    uint32_t pending            # flights sent and not landed
    bint working                # in c-ares or in callbacks: what is ready is seen to afterwards
    bint posted
    post_t post
    timer_entry_t ticker        # c-ares's timeouts, while queries are pending
    timer_entry_t purger
    timer_entry_t drainer       # while flights are held back
    channel_t *channels
    channel_t *udp              # in use; NULL: not opened yet
    channel_t *tcp
    bint edns                   # False: some server does without
    resolvconf_t servers
    bint servers_read           # False: resolv_conf could not be read
    uint64_t generation         # of what follows
    uint32_t max_answers
    uint32_t max_cname
    uint32_t max_pending
    uint32_t min_ttl            # seconds
    uint32_t max_ttl
    uint32_t purge_ms
    uint32_t send_buffer
    uint32_t receive_buffer
    uint32_t port_queries       # dns_max_udp_queries_per_port; 0: unlimited
    uint32_t rate_most          # MX queries of all loops in one period
    uint32_t rate_period        # seconds
    uint32_t rate_room          # flights of all loops that may be held back; 0: the rate is not limited
    bint always_tcp             # dns_fallback_to_tcp


cdef resolver_t *resolver_of(loop_t *loop) noexcept nogil       # its settings up to date; NULL: no memory
# EC_OK: q.answer is there; EC_AGAIN: done will be called; EC_SYNTAX: no name that DNS can hold; EC_NOMEM.
cdef int dns_ask(resolver_t *r, slice_t name, int type, bint fresh, dns_query_t *q, dns_done_fn done) noexcept nogil
cdef void dns_cancel(dns_query_t *q) noexcept nogil             # done will not be called
