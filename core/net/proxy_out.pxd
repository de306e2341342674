# Connections that go out through a proxy: PROXY protocol, version 2.
from pymomentum.core.base.cidr cimport sockaddr
from pymomentum.core.base.slice cimport slice_t
from pymomentum.core.config.values cimport values_t

cdef enum:
    PROXY_HEADER = 52           # bytes at most

# host:port of ha_proxy_server; NULL: connections go straight.
cdef const slice_t *proxy_server(const values_t *v) noexcept nogil
# Address that the proxy connects from, for a peer of family 4 or 6; NULL: the configuration names none.
cdef const slice_t *proxy_source(const values_t *v, int family) noexcept nogil
# What stands before all else, for a peer behind the proxy; length, or 0 where the two are not of one family.
cdef size_t proxy_header(const sockaddr *source, const sockaddr *peer, char *out) noexcept nogil
