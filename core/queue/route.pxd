# route_t: one binding's way to one address: its health, and who may share its connections.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from pymomentum.core.base.list cimport list_node_t
from pymomentum.core.base.slice cimport slice_t
from pymomentum.core.dns.mx cimport mx_address_t
from pymomentum.core.loop.limit cimport limit_t
from pymomentum.core.loop.loop cimport loop_t
from pymomentum.core.queue.domain cimport mail_queue_t, refusal_t

cdef struct route_key_t:
    uint8_t address[16]
    uint16_t binding
    uint16_t port
    uint8_t family
    uint8_t pad[3]

cdef struct route_t:            # per loop
    route_key_t key
    list_node_t hungry          # queues with active mail whose best host this is
    list_node_t idle            # leases of any of them that rest
    list_node_t waking          # in queue_loop_t.waking
    uint64_t failed_ms          # when it failed last, monotonic; 0: it answered since
    uint64_t used_ms
    uint32_t connect_us         # decayed averages
    uint32_t deliver_us
    uint32_t connections        # open or opening
    uint32_t failures           # in a row
    limit_t *limit              # where a Host stanza limits its connections; NULL: not asked yet
    refusal_t *refusal          # of the last failure; owned; NULL: there was no connection


cdef route_t *route_find(loop_t *loop, uint16_t binding, const mx_address_t *a, uint32_t port) noexcept nogil   # NULL: nothing known
cdef route_t *route_make(loop_t *loop, uint16_t binding, const mx_address_t *a, uint32_t port) noexcept nogil   # NULL: no memory
cdef void route_refused(route_t *r, const refusal_t *why) noexcept nogil    # NULL: forget
cdef void route_hungry(route_t *r, mail_queue_t *q) noexcept nogil          # listed once, at the end
cdef void route_fed(mail_queue_t *q) noexcept nogil                         # listed no more
# The next queue, other than `own`, that a connection made for `own` may serve; NULL: none.
cdef mail_queue_t *route_next(route_t *r, mail_queue_t *own) noexcept nogil
# Its last connection went: the queues that counted on it are called, a bounded number per iteration.
cdef void route_abandoned(loop_t *loop, route_t *r) noexcept nogil
cdef void routes_wake(loop_t *loop) noexcept nogil          # once per iteration
# host[:port], [v6]:port; a bare v6 address has no port.
