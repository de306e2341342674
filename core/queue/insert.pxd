# The one entry into the queues: SMTP, bounces, recovery, REST and generation come through here.
from libc.stdint cimport uint32_t

from pymomentum.core.base.slice cimport slice_t
from pymomentum.core.loop.loop cimport loop_t
from pymomentum.core.message.message cimport ec_message_t
from pymomentum.core.queue.domain cimport mail_queue_t

# Routes the message from `loop`, the caller's, to its domain record, on whichever that lives.  The envelope is in memory.
cdef void queue_insert(loop_t *loop, ec_message_t *m) noexcept nogil
# Out of no list of q, into the queue of another domain; False: that is not possible, or the name is empty or q's own.
# `rollup`: that domain's mail stays there, whatever its host says.
cdef bint queue_move(mail_queue_t *q, ec_message_t *m, slice_t name, bint rollup) noexcept nogil
# For mail in a gateway's queue that a reload gives another one, or none: the domain that it is for; else empty.  room: 256 bytes.
cdef slice_t queue_leaves_gateway(mail_queue_t *q, ec_message_t *m, char *room) noexcept nogil
cdef slice_t reroute_name(const slice_t *text, char *room) noexcept nogil       # empty for NULL and "disabled"; room: 256 bytes
cdef slice_t lower(slice_t s, char *out) noexcept nogil                 # a domain as options and records know it; out: 255 bytes
