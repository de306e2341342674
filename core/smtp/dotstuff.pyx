"""Transparency of DATA (RFC 5321 4.5.2), both ways, by chunks of any size.  No I/O, no allocation.

The end of data is CR LF . CR LF and nothing that looks like it; the encoder never
passes a lone CR or LF on.
"""
from collections import namedtuple

from libc.string cimport memchr, memcpy, memmove

from ..base.slice cimport slice_8bit, slice_bytes, slice_make, slice_of_bytes, slice_t
from ..base.status cimport EC_AGAIN, EC_OK

Scan = namedtuple("Scan", "body used ended flags longest size stuffed")

cdef enum state_t:
    AT_START        # behind CR LF, or nothing read yet
    AT_DOT          # a dot at the start
    AT_DOT_CR       # a dot and a CR
    IN_TEXT
    AT_CR           # a CR in the text

cdef const char *HELD = ".\r"


cdef void data_scan_init(data_scan_t *s) noexcept nogil:
    s.state = AT_START
    s.flags = 0
    s.body = s.stuffed = s.line = s.longest = 0


cdef inline void line_end(data_scan_t *s) noexcept nogil:
    if s.line > s.longest:
        s.longest = s.line
    s.line = 0


cdef inline void look_for_cr(data_scan_t *s, const char *p, size_t n) noexcept nogil:
    if not s.flags & DATA_LONE_CR and n and memchr(p, c'\r', n) != NULL:
        s.flags |= DATA_LONE_CR


cdef const char *scan_text(data_scan_t *s, const char *p, const char *end) noexcept nogil:
    """From inside a line to behind its end, or to the chunk's."""
    cdef const char *lf = <const char*>memchr(p, c'\n', end - p)
    cdef const char *stop = lf if lf != NULL else end
    cdef bint cr = stop > p and (stop - 1)[0] == c'\r'
    cdef size_t n = stop - p - cr
    look_for_cr(s, p, n)
    s.line += n
    if lf == NULL:
        s.state = AT_CR if cr else IN_TEXT
        return end
    line_end(s)
    if cr:
        s.state = AT_START
    else:
        s.flags |= DATA_LONE_LF
        s.state = IN_TEXT
    return lf + 1


cdef int data_scan_feed(data_scan_t *s, slice_t chunk, data_piece_t *out) noexcept nogil:
    cdef const char *p = chunk.ptr
    cdef const char *end = p + chunk.len
    cdef const char *stop                   # where the message's bytes in this chunk end
    cdef const char *dot = p                # the last dot that may end the data; the start if it came before
    cdef size_t held = 1 if s.state == AT_DOT else 2 if s.state == AT_DOT_CR else 0
    cdef size_t lead = 0                    # of the held bytes, those that turned out to be text
    cdef bint ended = False
    while p < end and not ended:
        if s.state == IN_TEXT:
            p = scan_text(s, p, end)
        elif s.state == AT_START:
            if p[0] == c'.':
                dot = p
                p += 1
                s.state = AT_DOT
            else:
                s.state = IN_TEXT
        elif s.state == AT_CR:
            if p[0] == c'\n':
                line_end(s)
                p += 1
                s.state = AT_START
            else:
                s.flags |= DATA_LONE_CR
                s.line += 1
                s.state = IN_TEXT
        elif s.state == AT_DOT and p[0] == c'\r':
            p += 1
            s.state = AT_DOT_CR
        elif s.state == AT_DOT_CR and p[0] == c'\n':
            p += 1
            ended = True
        else:                               # a dot that ends nothing
            s.flags |= DATA_STUFFED if s.state == AT_DOT else DATA_STUFFED | DATA_LONE_CR
            s.stuffed += 1
            s.line = 1 if s.state == AT_DOT else 2
            s.state = IN_TEXT
            lead += held
            held = 0                        # a later dot stands in this chunk
    stop = dot if ended or s.state == AT_DOT or s.state == AT_DOT_CR else end
    out.lead = slice_make(HELD, lead)
    out.body = slice_make(chunk.ptr, stop - chunk.ptr)
    out.used = p - chunk.ptr
    s.body += lead + out.body.len
    if out.body.len:
        if not s.flags & DATA_NUL and memchr(out.body.ptr, 0, out.body.len) != NULL:
            s.flags |= DATA_NUL
        if not s.flags & DATA_8BIT and slice_8bit(out.body):
            s.flags |= DATA_8BIT
    return EC_OK if ended else EC_AGAIN


cdef void dot_encode_init(dot_encode_t *e, bint wire) noexcept nogil:
    e.wire = wire
    e.in_start = e.out_start = True
    e.cr = False


cdef inline char *write_line_end(dot_encode_t *e, char *o) noexcept nogil:
    o[0] = c'\r'
    o[1] = c'\n'
    e.out_start = True
    return o + 2


cdef void dot_encode(dot_encode_t *e, slice_t chunk, char *out, size_t cap, size_t *used, size_t *made) noexcept nogil:
    cdef const char *p = chunk.ptr
    cdef const char *end = p + chunk.len
    cdef const char *cr = NULL              # the next CR and LF at or behind p; looked for again once passed
    cdef const char *lf = NULL
    cdef char *o = out
    cdef char *full = out + cap - 3         # room for one step: a stuffed dot and a byte, or CR LF
    cdef const char *stop
    cdef size_t n
    while p < end and o < full:
        if e.cr:
            e.cr = False
            if p[0] == c'\n':
                p += 1
                e.in_start = True
            o = write_line_end(e, o)
            continue
        if e.in_start:                      # content is what stands behind the stuffed dot
            e.in_start = False
            if e.wire and p[0] == c'.':
                p += 1
                continue
        if p[0] == c'\r':
            p += 1
            e.cr = True
            continue
        if p[0] == c'\n':
            p += 1
            o = write_line_end(e, o)
            continue
        if e.out_start and p[0] == c'.':
            o[0] = c'.'
            o += 1
        e.out_start = False
        if cr == NULL or cr < p:
            cr = <const char*>memchr(p, c'\r', end - p)
            cr = end if cr == NULL else cr
        if lf == NULL or lf < p:
            lf = <const char*>memchr(p, c'\n', end - p)
            lf = end if lf == NULL else lf
        stop = cr if cr < lf else lf
        n = stop - p
        if n > <size_t>(out + cap - o):
            n = out + cap - o
        memcpy(o, p, n)
        o += n
        p += n
    used[0] = p - chunk.ptr
    made[0] = o - out


cdef size_t dot_encode_finish(dot_encode_t *e, char *out) noexcept nogil:
    if e.out_start and not e.cr:
        return 0
    e.cr = False
    e.in_start = True
    write_line_end(e, out)
    return 2


cdef void dot_decode_init(dot_decode_t *d) noexcept nogil:
    d.text = d.cr = False


cdef size_t dot_decode(dot_decode_t *d, slice_t chunk, char *out) noexcept nogil:
    cdef const char *p = chunk.ptr
    cdef const char *end = p + chunk.len
    cdef const char *lf
    cdef const char *stop
    cdef char *o = out
    while p < end:
        if not d.text:
            d.text = True
            if p[0] == c'.':
                p += 1
                d.cr = False
                continue
        lf = <const char*>memchr(p, c'\n', end - p)
        stop = lf + 1 if lf != NULL else end
        if lf != NULL:
            d.text = not ((lf - 1)[0] == c'\r' if lf > p else d.cr)
        d.cr = (stop - 1)[0] == c'\r'
        memmove(o, p, stop - p)
        o += stop - p
        p = stop
    return o - out


def scan(chunks, bint keep=True):
    """Scan chunks of DATA; answers Scan: message in wire form, bytes used, whether it ended, flags, longest line, size.

    keep=False leaves the message out, to time the scan alone.
    """
    cdef data_scan_t s
    cdef data_piece_t piece
    cdef slice_t chunk
    cdef int rc = EC_AGAIN
    cdef size_t used = 0
    body = []
    data_scan_init(&s)
    for data in chunks:
        chunk = slice_of_bytes(data)
        with nogil:
            rc = data_scan_feed(&s, chunk, &piece)
        if keep:
            body += slice_bytes(piece.lead), slice_bytes(piece.body)
        used += piece.used
        if rc == EC_OK:
            break
    names = {DATA_LONE_CR: "lone_cr", DATA_LONE_LF: "lone_lf", DATA_NUL: "nul", DATA_8BIT: "8bit", DATA_STUFFED: "stuffed"}
    return Scan(b"".join(body), used, rc == EC_OK, {name for bit, name in names.items() if s.flags & <int>bit},
                s.longest, s.body, s.stuffed)


def encode(chunks, bint wire=True, size_t cap=4096):
    """Make wire form in which only CR LF ends a line, by an output buffer of `cap` bytes."""
    cdef dot_encode_t e
    cdef slice_t chunk
    cdef size_t used, made
    cdef bytearray room = bytearray(max(cap, <size_t>DOT_ENCODE_MIN))
    cdef char *out = room
    cap = len(room)
    written = []
    dot_encode_init(&e, wire)
    for data in chunks:
        chunk = slice_of_bytes(data)
        while chunk.len:
            with nogil:
                dot_encode(&e, chunk, out, cap, &used, &made)
            written.append(out[:made])
            chunk = slice_make(chunk.ptr + used, chunk.len - used)
    made = dot_encode_finish(&e, out)
    written.append(out[:made])
    return b"".join(written)


def decode(chunks):
    """Wire form to content."""
    cdef dot_decode_t d
    cdef slice_t chunk
    cdef size_t made
    cdef bytearray room
    written = []
    dot_decode_init(&d)
    for data in chunks:
        chunk = slice_of_bytes(data)
        room = bytearray(len(data) + 1)
        made = dot_decode(&d, chunk, room)
        written.append(bytes(room[:made]))
    return b"".join(written)
