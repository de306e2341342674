"""A TCP stream: gathered writes, try_write first, TLS through memory BIOs.

Everything runs on the stream's loop.  The read buffer is the loop's: what
`on_read` wants to keep it must copy.
"""
from libc.stdint cimport uint32_t
from libc.string cimport memset

from pymomentum.core.base.atomic cimport atomic_store32
from pymomentum.core.base.buf cimport buf_add, buf_clear, buf_consume, buf_free, buf_reserve, buf_t
from pymomentum.core.base.status cimport EC_CLOSED, EC_IO, EC_LIMIT, EC_NOMEM, EC_OK, EC_REFUSED
from pymomentum.core.c.openssl cimport *
from pymomentum.core.c.posix cimport last_errno, posix_close
from pymomentum.core.c.uv cimport *
from pymomentum.core.loop.loop cimport LOOP_READ_BUFFER, loop_awake, loop_t


cdef enum:
    RENEGOTIATIONS = 8          # a peer may ask for: each costs a handshake


cdef int stream_init(stream_t *s, loop_t *loop) noexcept nogil:
    memset(s, 0, sizeof(s[0]))
    s.loop = loop
    if uv_tcp_init(&loop.uv, &s.tcp) != 0:
        return EC_IO
    s.tcp.data = s
    s.connect.data = s
    s.write.data = s
    return EC_OK


cdef int stream_open(stream_t *s, int fd) noexcept nogil:
    return EC_OK if uv_tcp_open(&s.tcp, fd) == 0 else EC_IO


cdef void on_connected(uv_connect_t *r, int status) noexcept nogil:
    cdef stream_t *s = <stream_t*>r.data
    if not s.closing and s.on_connect != NULL:
        s.on_connect(s, status)


cdef extern from "errno.h" nogil:
    int EADDRNOTAVAIL

cdef extern from *:
    """
    #include <netinet/in.h>
    #include <netinet/tcp.h>
    #include <stdint.h>
    #include <sys/socket.h>
    #include <unistd.h>
    #ifndef IP_BIND_ADDRESS_NO_PORT
    #define IP_BIND_ADDRESS_NO_PORT 24
    #endif
    /* The port is chosen at connect: an address serves more than one ephemeral range of peers. */
    static int bound_socket(const struct sockaddr *a) {
        int one = 1, fd = socket(a->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0) return -1;
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(fd, a, a->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6))) { close(fd); return -1; }
        return fd; }
    """
    int bound_socket(const sockaddr*) noexcept nogil


cdef extern from *:
    """
    static uint32_t opened_unsent, opened_nodelay = 1;
    static void tune_opened(int fd) {
        uint32_t n = __atomic_load_n(&opened_unsent, __ATOMIC_RELAXED);
        int one = 1;
        if (__atomic_load_n(&opened_nodelay, __ATOMIC_RELAXED)) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (n) setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &n, sizeof n); }
    """
    uint32_t opened_unsent      # bytes a connection may have in the kernel that are not sent; 0: its own bound
    uint32_t opened_nodelay
    void tune_opened(int fd) noexcept nogil


def limit(uint32_t unsent, bint nodelay):
    """Set what connections that are opened from now on have."""
    atomic_store32(&opened_unsent, unsent)
    atomic_store32(&opened_nodelay, nodelay)


cdef int stream_connect(stream_t *s, const sockaddr *to, const sockaddr *source) noexcept nogil:
    cdef int fd = -1, rc
    if source != NULL:
        fd = bound_socket(source)
        if fd < 0:
            return EC_REFUSED if last_errno() == EADDRNOTAVAIL else EC_LIMIT
        if uv_tcp_open(&s.tcp, fd) != 0:
            posix_close(fd)
            return EC_IO
    rc = uv_tcp_connect(&s.connect, &s.tcp, to, on_connected)
    if rc in (UV_EMFILE, UV_ENFILE, UV_ENOBUFS, UV_EADDRNOTAVAIL, UV_ENOMEM):
        return EC_LIMIT
    if rc != 0:
        return EC_IO
    uv_fileno(as_handle(&s.tcp), &fd)
    tune_opened(fd)
    return EC_OK


cdef void on_alloc(uv_handle_t *h, size_t wanted, uv_buf_t *b) noexcept nogil:
    loop_awake((<stream_t*>h.data).loop)
    b.base = (<stream_t*>h.data).loop.read_buffer
    b.len = LOOP_READ_BUFFER


cdef void deliver_eof(stream_t *s) noexcept nogil:
    if not s.eof:
        s.eof = True
        if s.on_read != NULL:
            s.on_read(s, NULL, 0)


cdef void on_uv_read(uv_stream_t *h, ssize_t n, const uv_buf_t *b) noexcept nogil:
    cdef stream_t *s = <stream_t*>h.data
    if s.closing or n == 0:
        return
    if n < 0:
        uv_read_stop(h)
        s.reading = False
        s.reset = n != UV_EOF
        deliver_eof(s)
    elif s.ssl != NULL:
        read_tls(s, b.base, n)
    else:
        s.on_read(s, b.base, n)


cdef int stream_read_start(stream_t *s) noexcept nogil:
    if s.reading or s.closing or s.eof:
        return EC_OK
    if uv_read_start(as_stream(&s.tcp), on_alloc, on_uv_read) != 0:
        return EC_IO
    s.reading = True
    return EC_OK


cdef void stream_read_stop(stream_t *s) noexcept nogil:
    if s.reading:
        uv_read_stop(as_stream(&s.tcp))
        s.reading = False


cdef size_t stream_pending(stream_t *s) noexcept nogil:
    return s.out.len + s.inflight.len


cdef int stream_write(stream_t *s, const char *p, size_t n) noexcept nogil:
    cdef int rc
    if s.closing:
        return EC_CLOSED
    if s.failed:
        return EC_NOMEM
    rc = write_tls(s, p, n) if s.ssl != NULL else buf_add(&s.out, p, n)
    if rc != EC_OK:
        s.failed = True
    return rc


cdef void on_written(uv_write_t *r, int status) noexcept nogil:
    cdef stream_t *s = <stream_t*>r.data
    s.writing = False
    buf_clear(&s.inflight)
    if s.closing:
        return
    if status < 0:
        s.reset = True
        deliver_eof(s)
        return
    stream_flush(s)
    if not s.writing and not s.closing and s.on_drain != NULL:
        s.on_drain(s, EC_OK)


cdef int stream_flush(stream_t *s) noexcept nogil:
    cdef uv_buf_t b
    cdef buf_t swap
    cdef int n
    if s.closing:
        return EC_CLOSED
    if s.writing or s.out.len == 0:
        if s.close_after and not s.writing:
            stream_close(s)
        return EC_OK
    b.base = s.out.ptr
    b.len = s.out.len
    n = uv_try_write(as_stream(&s.tcp), &b, 1)
    if n == <ssize_t>s.out.len:
        buf_clear(&s.out)
        if s.out.cap > 65536:
            buf_free(&s.out)
        if s.close_after:
            stream_close(s)
        return EC_OK
    if n < 0 and n != UV_EAGAIN:
        if s.eof or s.close_after:  # else the read side hears of it
            stream_close(s)
        return EC_IO
    if n > 0:
        buf_consume(&s.out, n)
    swap = s.inflight
    s.inflight = s.out
    s.out = swap
    buf_clear(&s.out)
    b.base = s.inflight.ptr
    b.len = s.inflight.len
    if uv_write(&s.write, as_stream(&s.tcp), &b, 1, on_written) != 0:
        return EC_IO
    s.writing = True
    return EC_OK


cdef int stream_writev(stream_t *s, uv_buf_t *bufs, uint32_t n) noexcept nogil:
    cdef uint32_t i
    cdef ssize_t wrote = 0
    cdef size_t skip
    if s.closing:
        return EC_CLOSED
    if s.ssl == NULL and not s.writing and s.out.len == 0:
        wrote = uv_try_write(as_stream(&s.tcp), bufs, n)
        if wrote < 0:
            if wrote != UV_EAGAIN:
                return EC_IO
            wrote = 0
    skip = wrote
    for i in range(n):
        if skip >= bufs[i].len:
            skip -= bufs[i].len
            continue
        if stream_write(s, bufs[i].base + skip, bufs[i].len - skip) != EC_OK:
            return EC_NOMEM
        skip = 0
    return stream_flush(s)


# ---- TLS -------------------------------------------------------------------------

cdef int drain_tls(stream_t *s) noexcept nogil:
    """What OpenSSL wants on the wire goes to `out`."""
    cdef size_t n = BIO_ctrl_pending(s.wbio)
    cdef int got
    while n:
        if buf_reserve(&s.out, n) != EC_OK:
            return EC_NOMEM
        got = BIO_read(s.wbio, s.out.ptr + s.out.len, <int>n)
        if got <= 0:
            break
        s.out.len += got
        n = BIO_ctrl_pending(s.wbio)
    return EC_OK


cdef int write_tls(stream_t *s, const char *p, size_t n) noexcept nogil:
    cdef int done
    if s.held.len:
        return buf_add(&s.held, p, n)
    while n:
        ERR_clear_error()
        done = SSL_write(s.ssl, p, <int>(n if n < (1 << 20) else 1 << 20))
        if done <= 0 and SSL_get_error(s.ssl, done) == SSL_ERROR_WANT_READ:
            drain_tls(s)
            return buf_add(&s.held, p, n)
        if done <= 0:
            return EC_IO
        p += done
        n -= done
    return drain_tls(s)


cdef int write_held(stream_t *s) noexcept nogil:
    """What waited for the end of a renegotiation."""
    cdef buf_t held = s.held
    cdef int rc
    memset(&s.held, 0, sizeof(s.held))
    rc = write_tls(s, held.ptr, held.len)
    buf_free(&held)
    return rc


cdef void handshake(stream_t *s) noexcept nogil:
    cdef int rc, why
    ERR_clear_error()
    rc = SSL_do_handshake(s.ssl)
    why = SSL_get_error(s.ssl, rc) if rc != 1 else 0
    drain_tls(s)
    if rc == 1:
        s.handshaking = False
        stream_flush(s)
        if not s.closing:
            s.on_secure(s, EC_OK)
    elif why != SSL_ERROR_WANT_READ:
        s.handshaking = False
        stream_flush(s)                 # the alert
        if not s.closing:
            s.on_secure(s, EC_REFUSED)
    else:
        stream_flush(s)


cdef void read_tls(stream_t *s, const char *p, size_t n) noexcept nogil:
    """Ciphertext in; what it holds goes on in pieces of the loop's read buffer."""
    cdef char plain[16384]
    cdef int got, why
    BIO_write(s.rbio, p, <int>n)
    if s.handshaking:
        handshake(s)
        if s.closing or s.handshaking or not SSL_is_init_finished(s.ssl):
            return
    while not s.closing:
        ERR_clear_error()
        got = SSL_read(s.ssl, plain, sizeof(plain))
        if got > 0:
            s.on_read(s, plain, got)
            continue
        why = SSL_get_error(s.ssl, got)
        drain_tls(s)
        if s.held.len and SSL_is_init_finished(s.ssl) and write_held(s) != EC_OK:
            s.failed = True
        stream_flush(s)
        if s.handshakes > 1 + RENEGOTIATIONS or s.failed \
                or (why != SSL_ERROR_WANT_READ and why != SSL_ERROR_WANT_WRITE):
            stream_flush(s)
            if not s.closing:
                deliver_eof(s)
        break


cdef void on_info(const SSL *ssl, int where, int what) noexcept nogil:
    if where & SSL_CB_HANDSHAKE_START:
        (<stream_t*>SSL_get_ex_data(ssl, 0)).handshakes += 1


cdef void stream_feed(stream_t *s, const char *p, size_t n) noexcept nogil:
    read_tls(s, p, n)


cdef int stream_secure(stream_t *s, SSL_CTX *ctx, bint server, const char *host) noexcept nogil:
    """Start TLS; what is written from here on is encrypted once the handshake is over.  Takes the reference."""
    stream_flush(s)
    s.ssl = SSL_new(ctx)
    SSL_CTX_free(ctx)
    if s.ssl == NULL:
        return EC_NOMEM
    s.rbio = BIO_new(BIO_s_mem())
    s.wbio = BIO_new(BIO_s_mem())
    if s.rbio == NULL or s.wbio == NULL:
        return EC_NOMEM
    SSL_set_bio(s.ssl, s.rbio, s.wbio)
    s.handshaking = True
    if server:
        SSL_set_ex_data(s.ssl, 0, s)
        SSL_set_info_callback(s.ssl, on_info)
        SSL_set_accept_state(s.ssl)
    else:
        if host != NULL:
            SSL_set_tlsext_host_name(s.ssl, host)
        SSL_set_connect_state(s.ssl)
        handshake(s)
    return EC_OK


# ---- the end ---------------------------------------------------------------------

cdef void on_uv_closed(uv_handle_t *h) noexcept nogil:
    cdef stream_t *s = <stream_t*>h.data
    buf_free(&s.out)
    buf_free(&s.inflight)
    buf_free(&s.held)
    if s.ssl != NULL:
        SSL_free(s.ssl)                 # with its BIOs
        s.ssl = NULL
    s.closed = True
    if s.on_closed != NULL:
        s.on_closed(s, EC_OK)


cdef void stream_close(stream_t *s) noexcept nogil:
    if s.closing:
        return
    s.closing = True
    s.reading = False
    uv_close(as_handle(&s.tcp), on_uv_closed)


cdef void stream_finish(stream_t *s) noexcept nogil:
    if s.closing:
        return
    s.close_after = True
    stream_flush(s)
