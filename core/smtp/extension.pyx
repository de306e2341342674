"""Keywords of the EHLO reply (RFC 5321 4.1.1.1).  Pure: no I/O, no allocation."""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from ..base.slice cimport slice_ieq, slice_make, slice_number, slice_of, slice_of_bytes, slice_t, slice_trim
from ..base.status cimport EC_NOTFOUND, EC_OK, EC_SYNTAX

cdef enum:
    KEYWORDS = 10
    MECHANISMS = 3
    ATTRIBUTES = 5

cdef const char *KEYWORD_NAMES[KEYWORDS]        # bit n is 1 << n
KEYWORD_NAMES = ["PIPELINING", "SIZE", "8BITMIME", "ENHANCEDSTATUSCODES", "STARTTLS", "CHUNKING", "SMTPUTF8", "DSN",
                 "AUTH", "XCLIENT"]
cdef const char *MECHANISM_NAMES[MECHANISMS]    # bit n is EXT_AUTH_PLAIN << n
MECHANISM_NAMES = ["PLAIN", "LOGIN", "XOAUTH2"]
cdef const char *ATTRIBUTE_NAMES[ATTRIBUTES]    # bit n is EXT_XCLIENT_ADDR << n
ATTRIBUTE_NAMES = ["ADDR", "PORT", "PROTO", "NAME", "HELO"]


cdef slice_t next_word(slice_t *rest) noexcept nogil:
    """Takes one word off the front of rest; empty at the end."""
    cdef slice_t word = slice_trim(rest[0])
    cdef size_t n = 0
    while n < word.len and word.ptr[n] != c' ' and word.ptr[n] != c'\t':
        n += 1
    rest[0] = slice_make(word.ptr + n, word.len - n)
    return slice_make(word.ptr, n)


cdef int smtp_extension_parse(slice_t text, uint32_t *bits, uint64_t *size) noexcept nogil:
    cdef slice_t rest = text
    cdef slice_t word = next_word(&rest)
    cdef slice_t auth = slice_of("AUTH=")
    cdef int64_t number
    cdef uint32_t bit = 0
    cdef int i
    if word.len == 0:
        return EC_SYNTAX
    if word.len >= auth.len and slice_ieq(slice_make(word.ptr, auth.len), auth):     # AUTH=LOGIN, an old form
        rest = slice_make(word.ptr + auth.len, rest.ptr + rest.len - word.ptr - auth.len)
        word.len = auth.len - 1
    for i in range(KEYWORDS):
        if slice_ieq(word, slice_of(KEYWORD_NAMES[i])):
            bit = 1u << i
            break
    if bit == 0:
        return EC_NOTFOUND
    bits[0] |= bit
    if bit == EXT_SIZE:
        number = slice_number(next_word(&rest))
        if number >= 0:
            size[0] = <uint64_t>number
    while bit == EXT_AUTH or bit == EXT_XCLIENT:
        word = next_word(&rest)
        if word.len == 0:
            break
        if bit == EXT_AUTH:
            bits[0] |= named(word, MECHANISM_NAMES, MECHANISMS, EXT_AUTH_PLAIN)
        else:
            bits[0] |= named(word, ATTRIBUTE_NAMES, ATTRIBUTES, EXT_XCLIENT_ADDR)
    return EC_OK


cdef uint32_t named(slice_t word, const char **names, int n, uint32_t first) noexcept nogil:
    cdef int i
    for i in range(n):
        if slice_ieq(word, slice_of(names[i])):
            return first << i
    return 0


def parse_extension(bytes text not None):
    """Answer (set of names, size) of one EHLO line behind its code; the set is empty for unknown keywords."""
    cdef slice_t s = slice_of_bytes(text)
    cdef uint32_t bits = 0
    cdef uint64_t size = 0
    cdef int rc
    with nogil:
        rc = smtp_extension_parse(s, &bits, &size)
    if rc == EC_SYNTAX:
        raise ValueError(f"not an EHLO keyword: {text!r}")
    names = {KEYWORD_NAMES[i].decode() for i in range(KEYWORDS) if bits >> i & 1}
    names.update("AUTH " + MECHANISM_NAMES[i].decode() for i in range(MECHANISMS) if bits & EXT_AUTH_PLAIN << i)
    names.update("XCLIENT " + ATTRIBUTE_NAMES[i].decode() for i in range(ATTRIBUTES) if bits & EXT_XCLIENT_ADDR << i)
    return names, size
