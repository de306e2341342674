# Non-delivery reports to the sender (RFC 3464).
from pymomentum.core.base.slice cimport slice_t
from pymomentum.core.log.record cimport attempt_t
from pymomentum.core.loop.loop cimport loop_t
from pymomentum.core.message.message cimport ec_message_t
from pymomentum.core.queue.domain cimport mail_queue_t

# Makes the report to `to` durable, queues it, then forgets the message.  On the domain's loop; the envelope is in memory.
cdef void bounce_send(mail_queue_t *q, ec_message_t *m, const attempt_t *a, slice_t to) noexcept nogil
# Likewise, of a recipient that policy refused and that is in the spool but in no queue.  On any loop.
cdef void bounce_refused(loop_t *loop, ec_message_t *m) noexcept nogil
