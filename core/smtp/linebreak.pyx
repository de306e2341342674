"""Breaking lines that are too long (RFC 5322 2.1.1).  No I/O, no allocation."""
from libc.string cimport memchr, memcpy

from ..base.slice cimport slice_make, slice_of_bytes, slice_t

cdef enum:
    LONGEST_CHARACTER = 4       # RFC 3629 3


cdef void line_break_init(line_break_t *b, size_t most) noexcept nogil:
    b.most = most
    b.column = 0
    b.in_start = True
    b.cr = b.stuffed = False


cdef inline size_t character_length(unsigned char c) noexcept nogil:
    """Bytes that stay together; of what is no UTF-8, one."""
    return 4 if 0xf0 <= c <= 0xf4 else 3 if 0xe0 <= c < 0xf0 else 2 if 0xc2 <= c < 0xe0 else 1


cdef inline char *put(line_break_t *b, char *o, char c) noexcept nogil:
    """A byte of a line, on the next one where there is no room for it and what it begins."""
    if b.column and b.column + character_length(c) > b.most:
        o[0] = c'\r'
        o[1] = c'\n'
        o += 2
        b.column = 0
        if c == c'.':
            o[0] = c'.'
            o += 1
            b.stuffed = True
    o[0] = c
    b.column += 1
    return o + 1


cdef void line_break(line_break_t *b, slice_t chunk, char *out, size_t cap, size_t *used, size_t *made) noexcept nogil:
    cdef const char *p = chunk.ptr
    cdef const char *end = p + chunk.len
    cdef const char *cr = NULL              # the next CR and LF at or behind p; looked for again once passed
    cdef const char *lf = NULL
    cdef char *o = out
    cdef char *full = out + cap - 3         # room for one step: a line end, a stuffed dot and a byte
    cdef size_t n
    while p < end and o < full:
        if b.cr:
            b.cr = False
            if p[0] != c'\n':
                o = put(b, o, c'\r')
                continue
            o[0] = c'\r'
            o[1] = c'\n'
            o += 2
            p += 1
            b.column = 0
            b.in_start = True
            continue
        if b.in_start:
            b.in_start = False
            if p[0] == c'.':
                o[0] = c'.'
                o += 1
                p += 1
                continue
        if p[0] == c'\r':
            b.cr = True
            p += 1
            continue
        if p[0] == c'\n':
            o[0] = c'\n'
            o += 1
            p += 1
            b.column = 0
            continue
        if b.column + LONGEST_CHARACTER > b.most:
            o = put(b, o, p[0])
            p += 1
            continue
        if cr == NULL or cr < p:
            cr = <const char*>memchr(p, c'\r', end - p)
            cr = end if cr == NULL else cr
        if lf == NULL or lf < p:
            lf = <const char*>memchr(p, c'\n', end - p)
            lf = end if lf == NULL else lf
        n = min(<size_t>((cr if cr < lf else lf) - p), <size_t>(out + cap - o), b.most + 1 - LONGEST_CHARACTER - b.column)
        memcpy(o, p, n)
        o += n
        p += n
        b.column += n
    used[0] = p - chunk.ptr
    made[0] = o - out


cdef size_t line_break_finish(line_break_t *b, char *out) noexcept nogil:
    cdef char *o = out
    if b.cr:
        b.cr = False
        o = put(b, o, c'\r')
    return o - out


def break_lines(chunks, size_t most, size_t cap=4096):
    """Break lines of a body in wire form, by an output buffer of `cap` bytes; answers the body and whether dots were stuffed."""
    cdef line_break_t b
    cdef slice_t chunk
    cdef size_t used, made
    cdef bytearray room = bytearray(max(cap, <size_t>LINE_BREAK_MIN))
    cdef char *out = room
    cap = len(room)
    written = []
    line_break_init(&b, most)
    for data in chunks:
        chunk = slice_of_bytes(data)
        while chunk.len:
            with nogil:
                line_break(&b, chunk, out, cap, &used, &made)
            written.append(out[:made])
            chunk = slice_make(chunk.ptr + used, chunk.len - used)
    made = line_break_finish(&b, out)
    written.append(out[:made])
    return b"".join(written), b.stuffed
