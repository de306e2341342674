# cidr_set_t: a list of networks, asked for the most specific one that holds an address.
from libc.stdint cimport uint8_t

from .slice cimport slice_t

cdef extern from "netinet/in.h" nogil:
    cdef struct sockaddr:
        unsigned short sa_family
    cdef struct sockaddr_storage:
        unsigned short ss_family

cdef struct cidr_t:
    uint8_t address[16]     # IPv4 as ::ffff:a.b.c.d
    uint8_t bits            # of the 128
    int tag                 # the caller's; place in the configuration

cdef struct cidr_set_t:
    cidr_t *nets            # sorted, longest prefix first
    size_t n


cdef int cidr_parse(slice_t text, cidr_t *out) noexcept nogil                          # "10.0.0.0/8", "::1"; EC_SYNTAX
cdef void cidr_sort(cidr_set_t *s) noexcept nogil                                      # before the first question
cdef const cidr_t *cidr_find(const cidr_set_t *s, const sockaddr *a) noexcept nogil    # NULL: none holds it
cdef const cidr_t *cidr_next(const cidr_set_t *s, const cidr_t *found, const sockaddr *a) noexcept nogil
#                                                  # the next wider one after a find; NULL: no more
