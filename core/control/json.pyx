"""Writing JSON into a buffer, on any thread without the GIL.

UTF-8 passes as it is.  A byte that belongs to no valid sequence becomes a lone
surrogate, \\udc80 to \\udcff, which Python's "surrogateescape" turns into the byte again.
"""
from pymomentum.core.base.buf cimport buf_add, buf_add_number
from pymomentum.core.base.slice cimport slice_of


cdef size_t utf8_length(const unsigned char *p, size_t n) noexcept nogil:
    """Bytes of the character beyond ASCII that begins here; 0: it is none (RFC 3629 4)."""
    cdef size_t i, length
    cdef unsigned char least = 0x80, most = 0xbf
    if 0xc2 <= p[0] <= 0xdf:
        length = 2
    elif 0xe0 <= p[0] <= 0xef:
        length = 3
        if p[0] == 0xe0:
            least = 0xa0                # else it had a shorter form
        elif p[0] == 0xed:
            most = 0x9f                 # surrogates are no characters
    elif 0xf0 <= p[0] <= 0xf4:
        length = 4
        if p[0] == 0xf0:
            least = 0x90
        elif p[0] == 0xf4:
            most = 0x8f
    else:
        return 0
    if n < length or p[1] < least or p[1] > most:
        return 0
    for i in range(2, length):
        if p[i] & 0xc0 != 0x80:
            return 0
    return length


cdef void escaped(buf_t *b, const char *begin, unsigned char c) noexcept nogil:
    cdef const char *digits = b"0123456789abcdef"
    cdef char u[2]
    u[0] = digits[c >> 4]
    u[1] = digits[c & 15]
    buf_add(b, begin, 4)
    buf_add(b, u, 2)


cdef void json_string(buf_t *b, slice_t s) noexcept nogil:
    cdef size_t i = 0, plain = 0, length
    cdef unsigned char c
    buf_add(b, b'"', 1)
    while i < s.len:
        c = <unsigned char>s.ptr[i]
        length = 1
        if c >= 0x80:
            length = utf8_length(<const unsigned char*>s.ptr + i, s.len - i)
        if length and c >= 32 and c != c'"' and c != c'\\' and c != 127:
            i += length
            continue
        buf_add(b, s.ptr + plain, i - plain)
        if c == c'"' or c == c'\\':
            buf_add(b, b"\\", 1)
            buf_add(b, <char*>&c, 1)
        else:
            escaped(b, b"\\udc" if c >= 0x80 else b"\\u00", c)
        i += 1
        plain = i
    buf_add(b, s.ptr + plain, s.len - plain)
    buf_add(b, b'"', 1)


cdef void json_key(buf_t *b, const char *name) noexcept nogil:
    if b.len and b.ptr[b.len - 1] != c'{':
        buf_add(b, b",", 1)
    json_string(b, slice_of(name))
    buf_add(b, b":", 1)


cdef void json_number(buf_t *b, const char *name, int64_t v) noexcept nogil:
    json_key(b, name)
    buf_add_number(b, v)


cdef void json_text(buf_t *b, const char *name, slice_t s) noexcept nogil:
    json_key(b, name)
    json_string(b, s)


cdef void json_comma(buf_t *b) noexcept nogil:
    if b.len and b.ptr[b.len - 1] != c'[':
        buf_add(b, b",", 1)


cdef void json_more(buf_t *b, uint64_t v) noexcept nogil:
    buf_add(b, b",", 1)
    buf_add_number(b, v)
