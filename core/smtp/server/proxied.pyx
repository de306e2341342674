"""Sessions whose client comes through a proxy, which says so ahead of SMTP (net/proxy)."""
from libc.stdint cimport int64_t

from pymomentum.core.base.buf cimport buf_add, buf_consume
from pymomentum.core.base.cidr cimport cidr_find, cidr_set_t, sockaddr
from pymomentum.core.base.slice cimport slice_make
from pymomentum.core.base.status cimport EC_AGAIN, EC_OK
from pymomentum.core.config.values cimport (OPT_COMMAND_TIMEOUT, OPT_PROXY_ALLOW, OPT_PROXY_PROTOCOL_TIMEOUT, opt_nets,
                                            opt_number)
from pymomentum.core.loop.loop cimport loop_timer_clear, loop_timer_set
from pymomentum.core.net.proxy cimport proxy_header_t, proxy_parse
from pymomentum.core.net.stream cimport stream_read_start
from .session cimport (AT_SETUP, session_abort, session_begin, session_count_in, session_count_out, session_end, session_meet, session_reject,
                       session_set_proxy, session_t, session_too_many, session_unproxied, session_wait)


cdef void proxied_start() noexcept nogil:
    session_set_proxy(await_header, read_header)


cdef void await_header(session_t *s) noexcept nogil:
    """Whoever may connect to a proxied address says whom it speaks for, unless proxy_allow names others."""
    cdef const cidr_set_t *allowed = opt_nets(s.values, OPT_PROXY_ALLOW)
    cdef int64_t seconds = opt_number(s.values, OPT_PROXY_PROTOCOL_TIMEOUT)
    s.state = AT_SETUP
    if allowed != NULL and cidr_find(allowed, <sockaddr*>&s.peer) == NULL:
        session_unproxied(s, b"5.7.1 not a proxy that proxy_allow names")
        return
    s.proxied = True
    if seconds > 0:
        loop_timer_set(s.loop, &s.timer, seconds * 1000)
    else:
        loop_timer_clear(s.loop, &s.timer)
    stream_read_start(&s.stream)


cdef void read_header(session_t *s, const char *p, size_t n) noexcept nogil:
    cdef proxy_header_t header
    cdef int rc
    if n == 0 or buf_add(&s.input, p, n) != EC_OK:
        session_abort(s)
        return
    rc = proxy_parse(slice_make(s.input.ptr, s.input.len), &header)
    if rc == EC_AGAIN:
        return
    if rc != EC_OK:
        session_unproxied(s, b"5.5.2 no PROXY header")
        return
    s.proxied = False
    buf_consume(&s.input, header.used)
    if header.client:
        s.peer = header.source
        s.local = header.destination
    session_count_out(s)
    if not session_meet(s):
        session_reject(s, 421, b"4.3.0 out of memory")
        session_end(s)
    elif not session_count_in(s):
        session_too_many(s)
    else:
        session_wait(s, opt_number(s.values, OPT_COMMAND_TIMEOUT))
        session_begin(s)
