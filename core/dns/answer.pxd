# dns_answer_t: what one question was answered, one allocation.  Counted; cache
# and askers of one loop share it.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from pymomentum.core.base.slice cimport slice_t

cdef enum dns_type_t:
    DNS_A = 1
    DNS_CNAME = 5
    DNS_SOA = 6
    DNS_MX = 15
    DNS_TXT = 16
    DNS_AAAA = 28
    DNS_OPT = 41

cdef enum dns_status_t:
    DNS_OK                  # items
    DNS_NODATA              # the name exists, without this type
    DNS_NXDOMAIN
    DNS_FAILED              # SERVFAIL, refusal, garbage, too many CNAMEs
    DNS_TIMEOUT

cdef enum:
    DNS_NAME_MAX = 253
    DNS_KEY_MAX = DNS_NAME_MAX + 2

cdef struct dns_answer_t:   # key and items follow the struct
    uint64_t expires_ms     # monotonic
    uint32_t refs
    uint32_t heap_index     # of the cache
    uint32_t size           # bytes of items
    uint16_t count
    uint8_t status          # dns_status_t
    uint8_t key_len
    bint secure             # the resolver says that it is authenticated (AD)


# A key is the type in two bytes and the name, lower case without the final dot.
cdef size_t dns_key(slice_t name, int type, char *out) noexcept nogil       # length; 0: no name can be so long
cdef dns_answer_t *dns_answer_new(slice_t key, int status, slice_t items, uint16_t count) noexcept nogil    # NULL: no memory
cdef void dns_answer_unref(dns_answer_t *a) noexcept nogil                  # NULL is fine
# Items in the order of the answer: 4 or 16 bytes of an address; preference in two
# bytes and host; the joined strings of a TXT.  Start with *at = 0.
cdef bint dns_answer_next(const dns_answer_t *a, size_t *at, slice_t *item) noexcept nogil


cdef inline dns_answer_t *dns_answer_ref(dns_answer_t *a) noexcept nogil:
    a.refs += 1
    return a


cdef inline slice_t dns_answer_key(const dns_answer_t *a) noexcept nogil:
    cdef slice_t s
    s.ptr = <const char*>(a + 1)
    s.len = a.key_len
    return s


cdef inline uint32_t dns_answer_ttl(const dns_answer_t *a, uint64_t now_ms) noexcept nogil:
    """Seconds left."""
    return <uint32_t>((a.expires_ms - now_ms) // 1000) if a.expires_ms > now_ms else 0
