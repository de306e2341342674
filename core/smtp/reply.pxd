# One line of an SMTP reply.
from ..base.slice cimport slice_t


cdef struct smtp_reply_t:
    int code              # 250
    bint more             # 250-...: lines follow
    slice_t enhanced      # borrowed; "2.1.5", empty where there is none of the code's class
    slice_t text          # borrowed; what stands behind, without white space around


# `line` comes without its CRLF.  EC_SYNTAX: not a reply.
cdef int smtp_reply_parse(slice_t line, smtp_reply_t *out) noexcept nogil
# Length of the enhanced status code (RFC 3463) that begins s; 0 where none does.
cdef size_t smtp_enhanced_length(slice_t s) noexcept nogil
