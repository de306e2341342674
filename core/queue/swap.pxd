# Bringing a message back from the spool, off the loop.
from pymomentum.core.loop.loop cimport loop_t
from pymomentum.core.loop.pool cimport job_t
from pymomentum.core.message.message cimport ec_message_t

ctypedef void (*swapped_fn)(ec_message_t *m, void *ctx, int rc) noexcept nogil

# Envelope, and the body unless it is large; fn on `loop`, with EC_OK, EC_CORRUPT, EC_IO, EC_NOTFOUND or EC_NOMEM.
cdef void swap_in(loop_t *loop, ec_message_t *m, bint with_body, swapped_fn fn, void *ctx) noexcept nogil
