# The PROXY protocol's header, versions 1 and 2: who connected to the proxy in front of us.
from pymomentum.core.base.cidr cimport sockaddr_storage
from pymomentum.core.base.slice cimport slice_t

cdef enum:
    PROXY_MAX = 2048            # longest header; a version 1 line has 107 bytes at most

cdef struct proxy_header_t:
    size_t used                 # its bytes
    bint client                 # it names one; else the addresses of the connection hold
    sockaddr_storage source
    sockaddr_storage destination

# EC_AGAIN: what is there may be the beginning of one; EC_SYNTAX: it is none, or too long.
cdef int proxy_parse(slice_t input, proxy_header_t *out) noexcept nogil
