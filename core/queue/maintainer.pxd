# What a domain record does when mail, time or an answer comes: due mail, hosts, connections.
from pymomentum.core.loop.loop cimport loop_t
from pymomentum.core.queue.domain cimport domain_t, mail_queue_t
from pymomentum.core.queue.host cimport choice_t
from pymomentum.core.queue.permit cimport permit_t

# Opens a session for the queue to one address and takes the permit over; False: it cannot.  Set by smtp/client before
# loops run.
ctypedef bint (*connect_fn)(mail_queue_t *q, const choice_t *to, const permit_t *permit) noexcept nogil

cdef void maintainer_start(connect_fn connect) noexcept nogil
cdef int maintainer_attach(loop_t *loop) noexcept nogil         # once per loop
cdef void maintain(domain_t *d) noexcept nogil
# The server stops: connections end with the mail they carry.  After sessions_drain, from any thread, more than once.
cdef void queues_drain() noexcept nogil
