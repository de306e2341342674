"""One SMTP reply line (RFC 5321 4.2) with its enhanced code (RFC 2034).  Pure: no I/O, no allocation."""
from collections import namedtuple

from ..base.slice cimport slice_bytes, slice_make, slice_of_bytes, slice_t, slice_trim
from ..base.status cimport EC_OK, EC_SYNTAX

Reply = namedtuple("Reply", "code more enhanced text")


cdef inline bint is_digit(char c) noexcept nogil:
    return c'0' <= c <= c'9'


cdef size_t smtp_enhanced_length(slice_t s) noexcept nogil:
    cdef size_t i = 1
    cdef size_t first
    cdef int part
    if s.len < 5 or (s.ptr[0] != c'2' and s.ptr[0] != c'4' and s.ptr[0] != c'5'):
        return 0
    for part in range(2):               # two times a dot and one to three digits
        if i >= s.len or s.ptr[i] != c'.':
            return 0
        i += 1
        first = i
        while i < s.len and i - first < 3 and is_digit(s.ptr[i]):
            i += 1
        if i == first:
            return 0
    return i if i == s.len or s.ptr[i] == c' ' or s.ptr[i] == c'\t' else 0


cdef int smtp_reply_parse(slice_t line, smtp_reply_t *out) noexcept nogil:
    cdef slice_t rest
    cdef size_t n
    cdef char mark
    if line.len < 3 or not c'2' <= line.ptr[0] <= c'5' or not is_digit(line.ptr[1]) or not is_digit(line.ptr[2]):
        return EC_SYNTAX
    mark = line.ptr[3] if line.len > 3 else c' '
    if mark != c' ' and mark != c'-' and mark != c'\t':
        return EC_SYNTAX
    out.code = (line.ptr[0] - c'0') * 100 + (line.ptr[1] - c'0') * 10 + line.ptr[2] - c'0'
    out.more = mark == c'-'
    rest = slice_trim(slice_make(line.ptr + 4, line.len - 4)) if line.len > 4 else slice_make(line.ptr + line.len, 0)
    # RFC 2034 4: the class of the enhanced code is the first digit of the reply code.
    n = smtp_enhanced_length(rest) if rest.len and rest.ptr[0] == line.ptr[0] else 0
    out.enhanced = slice_make(rest.ptr, n)
    out.text = slice_trim(slice_make(rest.ptr + n, rest.len - n))
    return EC_OK


def parse_reply(bytes line not None):
    """Parse one reply line; raises ValueError where it is not one."""
    cdef slice_t s = slice_of_bytes(line)
    cdef smtp_reply_t r
    cdef int rc
    with nogil:
        rc = smtp_reply_parse(s, &r)
    if rc < 0:
        raise ValueError(f"not an SMTP reply: {line!r}")
    return Reply(r.code, bool(r.more), slice_bytes(r.enhanced), slice_bytes(r.text))
