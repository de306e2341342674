# The one entry into the queues: SMTP, bounces, recovery, REST and generation come through here.
from libc.stdint cimport uint32_t

from pymomentum.core.base.slice cimport slice_t
from pymomentum.core.loop.loop cimport loop_t
from pymomentum.core.message.message cimport ec_message_t

# Routes the message from `loop`, the caller's, to its domain record, on whichever that lives.  The envelope is in memory.
cdef void queue_insert(loop_t *loop, ec_message_t *m) noexcept nogil
cdef slice_t lower(slice_t s, char *out) noexcept nogil                 # a domain as options and records know it; out: 255 bytes
