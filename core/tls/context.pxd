# SSL_CTX by its parameters: made on first use, made anew from its files behind a reload.
from pymomentum.core.base.slice cimport slice_t
from pymomentum.core.c.openssl cimport SSL, SSL_CTX
from pymomentum.core.config.values cimport values_t

# Both answer a reference, for stream_secure to take.
cdef SSL_CTX *tls_server_context(const values_t *v) noexcept nogil      # NULL: no certificate, or it cannot be used
cdef bint tls_server_ready(const values_t *v) noexcept nogil            # there would be one
cdef SSL_CTX *tls_client_context(const values_t *v) noexcept nogil      # NULL: parameters cannot be used
cdef bint tls_verified(const SSL *ssl) noexcept nogil                   # the peer showed a certificate, and it verifies
