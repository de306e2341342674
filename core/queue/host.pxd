# Which host of a domain is next, and how hosts did.
from libc.stdint cimport uint32_t, uint64_t

from pymomentum.core.config.values cimport values_t
from pymomentum.core.loop.limit cimport limit_t
from pymomentum.core.queue.domain cimport domain_t, mail_queue_t, refusal_t
from pymomentum.core.queue.route cimport route_t

cdef struct choice_t:
    route_t *route              # NULL: there is none; then the next two say why
    limit_t *full               # a host has all the connections it may have
    uint64_t until_ns           # a host's throttle clears then, monotonic; 0: none is throttled
    uint64_t rested_ms          # when the first host that failed may be tried again; 0: none failed
    uint32_t host               # index in domain.mx
    const values_t *scope       # the Host stanza's; NULL: there is none


cdef void host_choose(mail_queue_t *q, choice_t *out) noexcept nogil
cdef bint host_prohibited(domain_t *d) noexcept nogil           # prohibited_hosts names one of them
# On the domain's loop: how a connection attempt ended.
cdef void host_failed(domain_t *d, route_t *route, const refusal_t *why) noexcept nogil   # NULL: there was no connection
cdef void host_answered(domain_t *d, route_t *route, uint32_t connect_us) noexcept nogil
cdef uint32_t host_failures(mail_queue_t *q) noexcept nogil     # in a row, of the host that has the fewest
# What the host that failed last said; NULL: none was reached.  Valid as long as the domain record.
cdef const char *host_excuse(mail_queue_t *q) noexcept nogil
cdef uint32_t queue_port(mail_queue_t *q) noexcept nogil
