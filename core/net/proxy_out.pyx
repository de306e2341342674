"""The PROXY header that tells a proxy whom to connect to, and from which address."""
from libc.string cimport memcpy, memset

from pymomentum.core.base.cidr cimport sockaddr
from pymomentum.core.base.slice cimport slice_t
from pymomentum.core.config.values cimport (OPT_HA_PROXY_BYPASS, OPT_HA_PROXY_IPV6_SRC_ADDR, OPT_HA_PROXY_SERVER,
                                            OPT_HA_PROXY_SRC_ADDR, opt_number, opt_text, values_t)

cdef enum:
    AF_INET = 2
    HEAD = 16                   # signature, version, family, length
    PROXY = 0x21                # version 2, on behalf of somebody
    TCP4 = 0x11
    TCP6 = 0x21

cdef const char *SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


cdef const slice_t *proxy_server(const values_t *v) noexcept nogil:
    cdef const slice_t *server = opt_text(v, OPT_HA_PROXY_SERVER)
    return server if server != NULL and server.len and opt_number(v, OPT_HA_PROXY_BYPASS) != 1 else NULL


cdef const slice_t *proxy_source(const values_t *v, int family) noexcept nogil:
    cdef const slice_t *source = opt_text(v, OPT_HA_PROXY_SRC_ADDR if family == 4 else OPT_HA_PROXY_IPV6_SRC_ADDR)
    return source if source != NULL and source.len else NULL


cdef size_t proxy_header(const sockaddr *source, const sockaddr *peer, char *out) noexcept nogil:
    """The source port is 0: the proxy chooses."""
    cdef size_t n = 4 if peer.sa_family == AF_INET else 16, at = 4 if peer.sa_family == AF_INET else 8
    if source.sa_family != peer.sa_family:
        return 0
    memcpy(out, SIGNATURE, 12)
    out[12] = PROXY
    out[13] = TCP4 if peer.sa_family == AF_INET else TCP6
    out[14] = 0
    out[15] = <char>(2 * n + 4)
    memcpy(out + HEAD, <const char*>source + at, n)
    memcpy(out + HEAD + n, <const char*>peer + at, n)
    memset(out + HEAD + 2 * n, 0, 2)
    memcpy(out + HEAD + 2 * n + 2, <const char*>peer + 2, 2)
    return HEAD + 2 * n + 4
