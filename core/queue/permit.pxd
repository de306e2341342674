# permit_t: what one outbound connection holds of the limits that cross domains and loops.
from libc.stdint cimport uint8_t, uint32_t

from pymomentum.core.config.values cimport values_t
from pymomentum.core.loop.limit cimport limit_t
from pymomentum.core.queue.domain cimport mail_queue_t
from pymomentum.core.queue.route cimport route_t

cdef enum:
    PERMIT_MOST = 8

cdef struct permit_t:
    limit_t *held[PERMIT_MOST]
    uint8_t n
    bint going                  # its connection is told to end


# WAIT_NOTHING: it is complete; else which limit is full, in `full`, and nothing is held.  host: NULL, or the host scope's.
cdef int permit_take(permit_t *p, mail_queue_t *q, route_t *route, const values_t *host, limit_t **full) noexcept nogil
# After a reload: hold what is to be held now.  False: there is no room any more, and the connection goes.
cdef bint permit_renew(permit_t *p, mail_queue_t *q, route_t *route, const values_t *host) noexcept nogil
cdef void permit_go(permit_t *p) noexcept nogil             # the connection is told to end: what it holds counts for others no more
cdef void permit_give(permit_t *p) noexcept nogil
cdef bint permit_wanted(const permit_t *p) noexcept nogil       # somebody waits for what it holds
# NULL: no memory.  The route remembers it.
cdef limit_t *permit_host_limit(route_t *route) noexcept nogil
