# What follows 354: the body of the transaction in hand, its dot, and the next envelope behind it.
from libc.stdint cimport uint32_t

from pymomentum.core.message.message cimport ec_message_t
from .session cimport client_t

ctypedef void (*envelope_fn)(client_t *c, uint32_t which) noexcept nogil

cdef void body_set_next(envelope_fn send) noexcept nogil            # transaction.pyx, before loops run
cdef void body_send(client_t *c) noexcept nogil
cdef bint body_converts(client_t *c, const ec_message_t *m) noexcept nogil      # for a peer of 7 bits
