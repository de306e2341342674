# resolvconf_t: what we use of resolv.conf(5); a name server may carry a port.
from libc.stdint cimport uint32_t

from pymomentum.core.base.cidr cimport sockaddr_storage
from pymomentum.core.base.slice cimport slice_t

cdef enum:
    RESOLVCONF_SERVERS = 8

cdef struct resolvconf_t:
    sockaddr_storage server[RESOLVCONF_SERVERS]
    uint32_t servers
    uint32_t timeout_ms
    uint32_t attempts


cdef void resolvconf_parse(slice_t text, resolvconf_t *out) noexcept nogil      # none named: 127.0.0.1, as libc does
cdef int resolvconf_read(const char *path, resolvconf_t *out) noexcept nogil    # EC_IO: cannot be read, `out` untouched
