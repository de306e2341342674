"""Base64 with padding, without line ends."""
from libc.stdint cimport uint32_t

from .buf cimport buf_add, buf_t
from .slice cimport slice_t
from .status cimport EC_OK

cdef const char *ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


cdef int base64_add(buf_t *out, slice_t s) noexcept nogil:
    cdef char four[4]
    cdef uint32_t bits
    cdef size_t i = 0, k, n
    cdef int rc = EC_OK
    while i < s.len and rc == EC_OK:
        n = s.len - i if s.len - i < 3 else 3
        bits = 0
        for k in range(3):
            bits = bits << 8 | (<unsigned char>s.ptr[i + k] if k < n else 0)
        for k in range(4):
            four[k] = ALPHABET[bits >> (18 - 6 * k) & 63] if k <= n else c'='
        rc = buf_add(out, four, 4)
        i += 3
    return rc
