from pymomentum.core.smtp.client.session cimport client_t

cdef void auth_start() noexcept nogil                       # before loops run
cdef void auth_challenged(client_t *c) noexcept nogil       # the peer says 334
