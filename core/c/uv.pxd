# libuv 1.44.
from pymomentum.core.base.cidr cimport sockaddr, sockaddr_storage

cdef extern from "netinet/in.h" nogil:
    cdef struct sockaddr_in:
        unsigned short sin_port
    cdef struct sockaddr_in6:
        unsigned short sin6_port

cdef extern from "uv.h" nogil:
    ctypedef struct uv_loop_t:
        void *data
    ctypedef struct uv_handle_t:
        void *data
    ctypedef struct uv_stream_t:
        void *data
        size_t write_queue_size
    ctypedef struct uv_tcp_t:
        void *data
        size_t write_queue_size
    ctypedef struct uv_pipe_t:
        void *data
    ctypedef struct uv_prepare_t:
        void *data
    ctypedef struct uv_check_t:
        void *data
    ctypedef struct uv_async_t:
        void *data
    ctypedef struct uv_timer_t:
        void *data
    ctypedef struct uv_poll_t:
        void *data
    ctypedef struct uv_connect_t:
        void *data
    ctypedef struct uv_write_t:
        void *data
    ctypedef struct uv_buf_t:
        char *base
        size_t len
    ctypedef void (*uv_alloc_cb)(uv_handle_t*, size_t, uv_buf_t*) noexcept nogil
    ctypedef void (*uv_read_cb)(uv_stream_t*, ssize_t, const uv_buf_t*) noexcept nogil
    ctypedef void (*uv_connection_cb)(uv_stream_t*, int) noexcept nogil
    ctypedef void (*uv_close_cb)(uv_handle_t*) noexcept nogil
    ctypedef void (*uv_prepare_cb)(uv_prepare_t*) noexcept nogil
    ctypedef void (*uv_check_cb)(uv_check_t*) noexcept nogil
    ctypedef void (*uv_async_cb)(uv_async_t*) noexcept nogil
    ctypedef void (*uv_timer_cb)(uv_timer_t*) noexcept nogil
    ctypedef void (*uv_poll_cb)(uv_poll_t*, int, int) noexcept nogil
    ctypedef void (*uv_connect_cb)(uv_connect_t*, int) noexcept nogil
    ctypedef void (*uv_write_cb)(uv_write_t*, int) noexcept nogil
    ctypedef void (*uv_walk_cb)(uv_handle_t*, void*) noexcept nogil
    ctypedef enum uv_run_mode:
        UV_RUN_DEFAULT
        UV_RUN_ONCE
        UV_RUN_NOWAIT
    int UV_READABLE
    int UV_WRITABLE
    int UV_EAGAIN
    int UV_EOF
    int UV_ECANCELED
    int UV_ECONNRESET
    int UV_EMFILE
    int UV_ENFILE
    int UV_ENOBUFS
    int UV_ENOMEM
    int UV_EADDRNOTAVAIL
    int UV_TCP_IPV6ONLY
    int uv_loop_init(uv_loop_t*)
    int uv_loop_close(uv_loop_t*)
    int uv_run(uv_loop_t*, uv_run_mode)
    void uv_stop(uv_loop_t*)
    void uv_update_time(uv_loop_t*)
    unsigned long uv_now(uv_loop_t*)
    void uv_walk(uv_loop_t*, uv_walk_cb, void*)
    int uv_tcp_init(uv_loop_t*, uv_tcp_t*)
    int uv_tcp_init_ex(uv_loop_t*, uv_tcp_t*, unsigned int)
    int uv_tcp_open(uv_tcp_t*, int)
    int uv_tcp_nodelay(uv_tcp_t*, int)
    int uv_tcp_bind(uv_tcp_t*, const sockaddr*, unsigned int)
    int uv_tcp_getpeername(uv_tcp_t*, sockaddr*, int*)
    int uv_tcp_getsockname(uv_tcp_t*, sockaddr*, int*)
    int uv_tcp_connect(uv_connect_t*, uv_tcp_t*, const sockaddr*, uv_connect_cb)
    int uv_listen(uv_stream_t*, int, uv_connection_cb)
    int uv_accept(uv_stream_t*, uv_stream_t*)
    int uv_read_start(uv_stream_t*, uv_alloc_cb, uv_read_cb)
    int uv_read_stop(uv_stream_t*)
    int uv_try_write(uv_stream_t*, const uv_buf_t*, unsigned int)
    int uv_write(uv_write_t*, uv_stream_t*, const uv_buf_t*, unsigned int, uv_write_cb)
    void uv_close(uv_handle_t*, uv_close_cb)
    int uv_is_closing(const uv_handle_t*)
    int uv_is_active(const uv_handle_t*)
    int uv_fileno(const uv_handle_t*, int*)
    int uv_prepare_init(uv_loop_t*, uv_prepare_t*)
    int uv_prepare_start(uv_prepare_t*, uv_prepare_cb)
    int uv_check_init(uv_loop_t*, uv_check_t*)
    int uv_check_start(uv_check_t*, uv_check_cb)
    int uv_async_init(uv_loop_t*, uv_async_t*, uv_async_cb)
    int uv_async_send(uv_async_t*)
    int uv_timer_init(uv_loop_t*, uv_timer_t*)
    int uv_timer_start(uv_timer_t*, uv_timer_cb, unsigned long, unsigned long)
    int uv_timer_stop(uv_timer_t*)
    int uv_poll_init(uv_loop_t*, uv_poll_t*, int)
    int uv_poll_init_socket(uv_loop_t*, uv_poll_t*, int)
    int uv_poll_start(uv_poll_t*, int, uv_poll_cb)
    int uv_poll_stop(uv_poll_t*)
    int uv_ip4_addr(const char*, int, sockaddr_in*)
    int uv_ip6_addr(const char*, int, sockaddr_in6*)
    int uv_ip4_name(const sockaddr_in*, char*, size_t)
    int uv_ip6_name(const sockaddr_in6*, char*, size_t)
    const char *uv_strerror(int)
    const char *uv_err_name(int)
    const char *uv_version_string()


cdef inline uv_handle_t *as_handle(void *h) noexcept nogil:
    return <uv_handle_t*>h


cdef inline uv_stream_t *as_stream(void *h) noexcept nogil:
    return <uv_stream_t*>h
