# What callers see of an address to accept on, of a binding and of a pathway; generation.pxd hands them out.
from libc.stdint cimport uint16_t, uint32_t

from pymomentum.core.base.cidr cimport sockaddr_storage
from pymomentum.core.base.slice cimport slice_t

cdef enum listen_kind_t:
    LISTEN_ESMTP
    LISTEN_CONTROL
    LISTEN_HTTP
    LISTEN_ECSTREAM

cdef struct config_listen_t:
    listen_kind_t kind
    slice_t name                # host spelled out: "0.0.0.0:25", "[::1]:2525", "/tmp/2025"
    sockaddr_storage address
    uint32_t address_len        # 0: a path, to be bound as a unix socket
    int index                   # in config_listen()

cdef struct config_binding_t:
    slice_t name
    slice_t group
    uint16_t slot               # the same name keeps its slot over generations

cdef struct config_pathway_t:
    slice_t name
    slice_t group               # "default" where it stands in none
