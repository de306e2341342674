# Base64 (RFC 4648 4), as SASL has it.
from .buf cimport buf_t
from .slice cimport slice_t

cdef int base64_add(buf_t *out, slice_t s) noexcept nogil       # EC_OK or EC_NOMEM
