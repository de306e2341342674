"""Wire form in, 7-bit wire form out: dots off, 8-bit data encoded or stripped, dots on.

Stripped bits can make a dot, and a lone CR or LF stands in some bodies: so what
comes out goes through the encoder, and no peer sees an end that is none.
"""
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from pymomentum.core.base.buf cimport buf_add, buf_clear, buf_free, buf_slice, buf_t
from pymomentum.core.base.slice cimport slice_bytes, slice_make, slice_of_bytes, slice_t
from pymomentum.core.base.status cimport EC_NOMEM, EC_OK
from pymomentum.core.mime.part cimport mime_limits_t
from pymomentum.core.mime.sevenbit cimport (sevenbit_end, sevenbit_feed, sevenbit_free, sevenbit_new, sevenbit_rewind,
                                            sevenbit_strip)
from .dotstuff cimport (dot_decode, dot_decode_init, dot_encode, dot_encode_finish, dot_encode_init)

cdef enum:
    ROOM = 4096


cdef downconvert_t *downconvert_new(bint strip, const mime_limits_t *limits) noexcept nogil:
    cdef downconvert_t *d = <downconvert_t*>calloc(1, sizeof(downconvert_t))
    if d == NULL:
        return NULL
    d.judging = not strip               # there is nothing to be judged
    if not strip:
        d.seven = sevenbit_new(limits)
        if d.seven == NULL:
            free(d)
            return NULL
    begin(d)
    return d


cdef void downconvert_free(downconvert_t *d) noexcept nogil:
    if d != NULL:
        sevenbit_free(d.seven)
        buf_free(&d.made)
        free(d)


cdef void begin(downconvert_t *d) noexcept nogil:
    dot_encode_init(&d.clean, True)
    dot_decode_init(&d.plain)
    dot_encode_init(&d.wire, False)


cdef int to_wire(downconvert_t *d, slice_t content, buf_t *out) noexcept nogil:
    cdef char room[ROOM]
    cdef size_t used = 0, made = 0
    cdef int rc = EC_OK
    while content.len and rc == EC_OK:
        dot_encode(&d.wire, content, room, sizeof(room), &used, &made)
        content = slice_make(content.ptr + used, content.len - used)
        rc = buf_add(out, room, made)
    return rc


cdef int clean_piece(downconvert_t *d, char *wire, size_t n, buf_t *out) noexcept nogil:
    """Wire form whose line ends are right."""
    cdef int rc
    n = dot_decode(&d.plain, slice_make(wire, n), wire)
    if d.seven == NULL:
        sevenbit_strip(wire, n)
        return to_wire(d, slice_make(wire, n), out)
    buf_clear(&d.made)
    rc = sevenbit_feed(d.seven, slice_make(wire, n), &d.made)
    return to_wire(d, buf_slice(&d.made), out) if rc == EC_OK else rc


cdef int downconvert_feed(downconvert_t *d, slice_t wire, buf_t *out) noexcept nogil:
    cdef char room[ROOM]
    cdef size_t used = 0, made = 0
    cdef int rc = EC_OK
    while wire.len and rc == EC_OK:
        dot_encode(&d.clean, wire, room, sizeof(room), &used, &made)
        wire = slice_make(wire.ptr + used, wire.len - used)
        rc = clean_piece(d, room, made, out)
    return rc


cdef int downconvert_end(downconvert_t *d, buf_t *out) noexcept nogil:
    cdef char room[4]
    cdef int rc = clean_piece(d, room, dot_encode_finish(&d.clean, room), out)
    if rc == EC_OK and d.seven != NULL:
        buf_clear(&d.made)
        rc = sevenbit_end(d.seven, &d.made)
        if rc == EC_OK:
            rc = to_wire(d, buf_slice(&d.made), out)
    if rc == EC_OK and not d.judging:
        rc = buf_add(out, room, dot_encode_finish(&d.wire, room))
    return rc


cdef bint downconvert_whole(const downconvert_t *d) noexcept nogil:
    return d.seven == NULL or d.seven.whole


cdef void downconvert_rewind(downconvert_t *d) noexcept nogil:
    d.judging = False
    sevenbit_rewind(d.seven)
    begin(d)


def downconvert(chunks, bint strip=False):
    """A body in wire form for a peer of 7 bits; answers (wire form, whether nothing 8-bit is left)."""
    cdef mime_limits_t limits
    cdef downconvert_t *d
    cdef slice_t piece
    cdef buf_t out
    cdef int rc = EC_OK
    limits.bytes, limits.header_bytes, limits.parts, limits.depth = 0, 1 << 20, 1000, 50
    memset(&out, 0, sizeof(out))
    d = downconvert_new(strip, &limits)
    if d == NULL:
        raise MemoryError
    try:
        while True:
            for data in chunks:
                piece = slice_of_bytes(data)
                with nogil:
                    rc = downconvert_feed(d, piece, &out)
                if rc != EC_OK:
                    raise MemoryError
            if downconvert_end(d, &out) != EC_OK:
                raise MemoryError
            if not d.judging:
                return slice_bytes(buf_slice(&out)), bool(downconvert_whole(d))
            downconvert_rewind(d)
    finally:
        downconvert_free(d)
        buf_free(&out)
