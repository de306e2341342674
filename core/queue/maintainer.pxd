# What a domain record does when mail, time or an answer comes: due mail, hosts, connections.
from libc.stdint cimport uint32_t

from pymomentum.core.loop.loop cimport loop_t
from pymomentum.core.queue.domain cimport domain_t, mail_queue_t, refusal_t
from pymomentum.core.queue.route cimport route_t

# Opens a session for the queue to one address; False: it cannot.  Set by smtp/client before loops run.
ctypedef bint (*connect_fn)(mail_queue_t *q, route_t *route, uint32_t host) noexcept nogil

cdef void maintainer_start(connect_fn connect) noexcept nogil
cdef int maintainer_attach(loop_t *loop) noexcept nogil         # once per loop
cdef void maintain(domain_t *d) noexcept nogil
# On the domain's loop: how a connection attempt ended.
cdef void host_failed(domain_t *d, route_t *route, const refusal_t *why) noexcept nogil   # NULL: there was no connection
cdef void host_answered(domain_t *d, route_t *route, uint32_t connect_us) noexcept nogil
cdef uint32_t queue_port(mail_queue_t *q) noexcept nogil
