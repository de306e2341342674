# What an outbound connection sends for its mail.  Replies go on from here: response.pyx.
from libc.stdint cimport uint32_t

from pymomentum.core.message.message cimport ec_message_t
from pymomentum.core.smtp.client.session cimport client_t

cdef void transfer_start() noexcept nogil                                           # before loops run
cdef void transfer_rcpt(client_t *c, uint32_t which, ec_message_t *m) noexcept nogil
cdef void transfer_data(client_t *c, uint32_t which) noexcept nogil
cdef void transfer_reset(client_t *c, uint32_t which) noexcept nogil                # RSET was answered
cdef void transfer_mail(client_t *c, uint32_t which) noexcept nogil                 # no XCLIENT goes ahead
cdef void transfer_give_back(client_t *c) noexcept nogil                            # the connection ends, its mail is as if never taken
cdef void transfer_over(client_t *c) noexcept nogil                                 # the one in hand: its successor comes up
