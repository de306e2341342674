# stream_t: one TCP connection on one loop, in clear or under TLS.  Embedded in
# its owner; handed over to libuv until `closed` is called.
from libc.stdint cimport uint32_t, uint64_t

from pymomentum.core.base.buf cimport buf_t
from pymomentum.core.base.cidr cimport sockaddr
from pymomentum.core.c.openssl cimport BIO, SSL, SSL_CTX
from pymomentum.core.c.uv cimport uv_buf_t, uv_connect_t, uv_tcp_t, uv_write_t
from pymomentum.core.loop.loop cimport loop_t

ctypedef void (*stream_read_fn)(stream_t *s, const char *p, size_t n) noexcept nogil    # p is borrowed; n 0: end of input
ctypedef void (*stream_event_fn)(stream_t *s, int status) noexcept nogil

cdef struct stream_t:
    uv_tcp_t tcp                # first
    uv_connect_t connect
    uv_write_t write
    loop_t *loop
    stream_read_fn on_read      # may close the stream
    stream_event_fn on_connect  # 0 or a negative uv error
    stream_event_fn on_drain    # all that was written has gone to the kernel
    stream_event_fn on_secure   # handshake over: EC_OK, EC_REFUSED
    stream_event_fn on_closed   # the owner may be freed
    buf_t out                   # not yet given to the kernel
    buf_t inflight              # libuv has it
    SSL *ssl
    BIO *rbio
    BIO *wbio
    bint writing
    bint reading
    bint closing
    bint closed                 # libuv is done with it
    bint eof
    bint reset                  # it was not the peer's orderly end
    buf_t held                  # to be encrypted when the peer's renegotiation is over
    uint32_t handshakes         # that the peer asked for
    bint handshaking
    bint close_after            # close when all is written
    bint failed                 # no memory for a write: nothing behind it is written, the owner is to close


cdef int stream_init(stream_t *s, loop_t *loop) noexcept nogil
cdef int stream_open(stream_t *s, int fd) noexcept nogil                    # an accepted descriptor
cdef int stream_connect(stream_t *s, const sockaddr *to, const sockaddr *source) noexcept nogil     # source NULL: any
cdef int stream_read_start(stream_t *s) noexcept nogil
cdef void stream_read_stop(stream_t *s) noexcept nogil
cdef int stream_write(stream_t *s, const char *p, size_t n) noexcept nogil      # gathered until stream_flush
cdef int stream_writev(stream_t *s, uv_buf_t *bufs, uint32_t n) noexcept nogil  # straight to the kernel where it takes it
cdef int stream_flush(stream_t *s) noexcept nogil
cdef size_t stream_pending(stream_t *s) noexcept nogil                         # bytes not yet in the kernel
cdef void stream_feed(stream_t *s, const char *p, size_t n) noexcept nogil          # ciphertext that was read before it was secure
cdef int stream_secure(stream_t *s, SSL_CTX *ctx, bint server, const char *host) noexcept nogil
cdef void stream_close(stream_t *s) noexcept nogil                             # now; on_closed follows
cdef void stream_finish(stream_t *s) noexcept nogil                            # after what is written
