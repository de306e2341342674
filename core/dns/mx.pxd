# Where mail for a domain goes: MX, address records, null MX.  A query is embedded
# in its asker; the answer is one allocation that the asker owns.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from pymomentum.core.base.cidr cimport sockaddr
from pymomentum.core.base.slice cimport slice_t
from pymomentum.core.loop.loop cimport loop_t

cdef enum mx_status_t:
    MX_OK                   # hosts with at least one address among them
    MX_NULL                 # RFC 7505: takes no mail
    MX_NXDOMAIN             # the domain does not exist
    MX_NONE                 # it exists, but has neither MX nor address
    MX_FAILED               # no usable answer now: SERVFAIL, timeout, garbage

cdef enum:                  # mx_lookup flags
    MX_IPV6 = 1             # use_ipv6: AAAA too
    MX_PREFER_IPV6 = 2      # prefer_ipv6_mxs: within one preference
    MX_ADDRESS_ONLY = 4     # no MX query, the name's addresses only
    MX_FRESH = 8            # past the cache
    MX_FALLBACK_A = 16      # a failed MX lookup is answered by the name's addresses
    MX_EARLY = 32           # answered for a second as soon as some host has an address

cdef struct mx_address_t:
    uint8_t family          # 4 or 6
    uint8_t bytes[16]

cdef struct mx_host_t:
    uint16_t preference
    uint16_t first          # its addresses: first .. first + count - 1
    uint16_t count
    uint16_t port           # of a route; 0: the domain's
    slice_t name            # lower case, without the final dot

cdef struct mx_answer_t:    # one allocation; hosts by preference, equal ones in random order
    int status              # mx_status_t
    uint32_t ttl            # seconds, the least of all records used, clamped
    uint16_t hosts
    uint16_t addresses
    mx_host_t *host
    mx_address_t *address

ctypedef void (*mx_done_fn)(mx_query_t *q) noexcept nogil
ctypedef void (*mx_cancel_fn)(void *work) noexcept nogil

cdef struct mx_query_t:
    loop_t *loop
    mx_done_fn done
    mx_answer_t *answer     # NULL: no memory
    void *opaque            # what is under way, a mx_cancel_fn first; NULL: nothing


# EC_OK: q.answer is there already (done is not called); EC_AGAIN: done will be called on the loop.
cdef int mx_lookup(loop_t *loop, slice_t domain, int flags, mx_query_t *q, mx_done_fn done) noexcept nogil
cdef void mx_cancel(mx_query_t *q) noexcept nogil               # done will not be called
cdef mx_answer_t *mx_answer_literal(const mx_address_t *address) noexcept nogil   # one host, named by its address; NULL: no memory
cdef mx_answer_t *mx_answer_new(uint32_t hosts, uint32_t addresses, size_t names) noexcept nogil      # with room for so many; names go behind the addresses
cdef void mx_address_of(const sockaddr *s, mx_address_t *out) noexcept nogil
cdef void mx_answer_free(mx_answer_t *a) noexcept nogil
