"""Reading the requests that are answered without Python; any other is told by False, and Python is to look at it.

JSON of the plainest kind only: an object of known keys, strings without escapes.
"""
from libc.string cimport memset, strlen

from pymomentum.core.base.slice cimport slice_eq, slice_make, slice_of, slice_t


cdef bint literal(slice_t *s, const char *word) noexcept nogil:
    """Take a word off the front."""
    cdef size_t n = strlen(word)
    if not slice_eq(slice_make(s.ptr, n if n < s.len else s.len), slice_of(word)):
        return False
    s.ptr += n
    s.len -= n
    return True


cdef void skip_space(slice_t *s) noexcept nogil:
    while s.len and (s.ptr[0] == c' ' or s.ptr[0] == c'\t' or s.ptr[0] == c'\r' or s.ptr[0] == c'\n'):
        s.ptr += 1
        s.len -= 1


cdef bint plain_string(slice_t *s, slice_t *out) noexcept nogil:
    """Take a string without escapes off the front."""
    cdef size_t i
    if not literal(s, b'"'):
        return False
    for i in range(s.len):
        if s.ptr[i] == c'"':
            out[0] = slice_make(s.ptr, i)
            s.ptr += i + 1
            s.len -= i + 1
            return True
        if s.ptr[i] == c'\\' or <unsigned char>s.ptr[i] < 32 or <unsigned char>s.ptr[i] > 126:
            return False
    return False


cdef bint flag(slice_t *s, bint *out) noexcept nogil:
    out[0] = literal(s, b"true")
    return out[0] or literal(s, b"false") or literal(s, b"null")


cdef bint parse(slice_t s, slice_t *command, request_t *r) noexcept nogil:
    """An object of command, json, xml and what is told of the session; False where Python is to look at it."""
    cdef slice_t key, other
    cdef bint begun
    cdef bint ok
    command[0] = slice_make(NULL, 0)
    skip_space(&s)
    if not literal(&s, b"{"):
        return False
    while True:
        skip_space(&s)
        if not plain_string(&s, &key):
            return False
        skip_space(&s)
        if not literal(&s, b":"):
            return False
        skip_space(&s)
        if slice_eq(key, slice_of(b"command")):
            ok = plain_string(&s, command)
        elif slice_eq(key, slice_of(b"json")):
            ok = flag(&s, &r.json)
        elif slice_eq(key, slice_of(b"xml")):
            ok = flag(&s, &r.xml)
        elif slice_eq(key, slice_of(b"session")):
            ok = plain_string(&s, &other)
        elif slice_eq(key, slice_of(b"transaction")):
            ok = flag(&s, &begun)
        else:
            return False
        skip_space(&s)
        if not ok:
            return False
        if literal(&s, b","):
            continue
        ok = literal(&s, b"}")
        skip_space(&s)
        return ok and s.len == 0 and command.ptr != NULL


cdef bint request_understand(slice_t frame, request_t *r) noexcept nogil:
    cdef slice_t line, word
    cdef size_t i, n = 0
    cdef char c
    cdef int words = 0
    memset(r, 0, sizeof(r[0]))
    if not parse(frame, &line, r):
        return False
    while True:
        skip_space(&line)
        if line.len == 0:
            break
        i = 0
        while i < line.len and line.ptr[i] != c' ':
            i += 1
        word = slice_make(line.ptr, i)
        line = slice_make(line.ptr + i, line.len - i)
        words += 1
        if words == 1 and slice_eq(word, slice_of(b"xml")):
            r.xml = True
            continue
        if slice_eq(word, slice_of(b"--json")):
            r.json = True
            continue
        if n + word.len + 2 > COMMAND:
            return False
        if n:
            r.command[n] = c' '
            n += 1
        for i in range(word.len):
            c = word.ptr[i]
            if c == c'"' or c == c"'":
                return False
            r.command[n] = <char>(c + 32) if c'A' <= c <= c'Z' else c
            n += 1
    return n > 0
