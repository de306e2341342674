# From DATA to the 250: reading, phases, the commit.
from pymomentum.core.smtp.server.session cimport session_t

cdef void transaction_data(session_t *s) noexcept nogil                                    # DATA was accepted
cdef size_t transaction_feed(session_t *s, const char *p, size_t n) noexcept nogil         # body bytes; how many were used
