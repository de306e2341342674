# DNS messages (RFC 1035 4.1): questions out, answers in.  Nothing in an answer is trusted.
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from pymomentum.core.base.buf cimport buf_t
from pymomentum.core.base.slice cimport slice_t

cdef enum:
    WIRE_QUERY_MAX = 284            # header, longest name, question, OPT
    WIRE_UDP_PAYLOAD = 1232         # what the OPT offers: no fragments on usual paths
    WIRE_FORMERR = 1

cdef struct wire_reply_t:
    int status                      # dns_status_t
    int rcode
    uint32_t ttl                    # seconds: least of the records used, or what the SOA says of nothing
    bint has_ttl                    # False: nothing and no SOA
    bint secure                     # AD
    bint cut                        # TC
    bint edns                       # has an OPT
    uint16_t count
    buf_t items                     # owned; dns_answer_next reads them


cdef int wire_query(slice_t name, int type, uint16_t id, bint edns, uint8_t *out) noexcept nogil    # length; EC_SYNTAX
# Name as text, lower case; length (0: the root), EC_SYNTAX: no host name but *at moved on, EC_CORRUPT.
cdef int wire_name(const uint8_t *p, size_t n, size_t *at, char *out) noexcept nogil
# `name` lower case.  EC_CORRUPT: not an answer to this question, or broken.  EC_NOMEM.  Free out.items in any case.
cdef int wire_parse(const uint8_t *p, size_t n, slice_t name, int type, uint32_t max_answers, uint32_t max_cname,
                    wire_reply_t *out) noexcept nogil
