"""Walk over the fields of a header block (RFC 5322 2.2).  Pure: no I/O, no allocation; linear in the bytes read."""
from collections import namedtuple

from libc.string cimport memchr, memcpy

from ..base.slice cimport slice_bytes, slice_ieq, slice_make, slice_of_bytes, slice_t
from ..base.status cimport EC_LIMIT, EC_NOTFOUND, EC_OK, EC_SYNTAX

Field = namedtuple("Field", "name value unfolded start end")


cdef inline size_t line_end(slice_t s, size_t at) noexcept nogil:
    """Offset behind the line that begins at `at`."""
    cdef const char *lf = <const char*>memchr(s.ptr + at, c'\n', s.len - at)
    return <size_t>(lf - s.ptr) + 1 if lf != NULL else s.len


cdef inline size_t text_end(slice_t s, size_t at, size_t end) noexcept nogil:
    """Offset of the line end of the line [at, end)."""
    if end > at and s.ptr[end - 1] == c'\n':
        end -= 1
        if end > at and s.ptr[end - 1] == c'\r':
            end -= 1
    return end


cdef inline bint is_space(char c) noexcept nogil:
    return c == c' ' or c == c'\t'


cdef void header_walk_init(header_walk_t *w, slice_t block, size_t limit) noexcept nogil:
    w.block = block
    w.at = 0
    w.limit = limit
    w.bad = 0
    w.ended = False


cdef int header_next(header_walk_t *w, header_field_t *out) noexcept nogil:
    cdef slice_t s = slice_make(w.block.ptr, w.block.len if w.block.len < w.limit else w.limit)
    cdef size_t start = w.at
    cdef size_t at = start
    cdef size_t colon = start
    cdef size_t end, stop, ends
    if w.ended:
        return EC_NOTFOUND
    if start >= s.len:
        return EC_NOTFOUND if s.len == w.block.len else EC_LIMIT
    end = line_end(s, at)
    stop = text_end(s, at, end)
    if stop == at and end > at:
        w.at = end
        w.ended = True
        return EC_NOTFOUND
    ends = end - stop
    while end < s.len and is_space(s.ptr[end]):     # folded: its lines belong to the field, good or bad
        at = end
        end = line_end(s, at)
        stop = text_end(s, at, end)
        ends += end - stop
    if end == s.len and s.len < w.block.len:        # the limit cuts this field
        return EC_LIMIT
    ends -= end - stop
    w.at = end
    while colon < stop and 33 <= s.ptr[colon] < 127 and s.ptr[colon] != c':':
        colon += 1
    out.name = slice_make(s.ptr + start, colon - start)
    while colon < stop and is_space(s.ptr[colon]):  # RFC 5322 4.5: white space before the colon
        colon += 1
    if out.name.len == 0 or colon >= stop or s.ptr[colon] != c':':
        w.bad = start
        return EC_SYNTAX
    out.value = slice_make(s.ptr + colon + 1, stop - colon - 1)
    out.unfolded = out.value.len - ends
    out.start = start
    out.end = end
    return EC_OK


cdef int header_find(slice_t block, size_t limit, slice_t name, header_field_t *out) noexcept nogil:
    cdef header_walk_t w
    cdef header_field_t field
    cdef int rc
    header_walk_init(&w, block, limit)
    while True:
        rc = header_next(&w, &field)
        if rc == EC_OK and slice_ieq(field.name, name):
            out[0] = field
            return EC_OK
        if rc != EC_OK and rc != EC_SYNTAX:
            return rc


cdef int header_end(slice_t block, size_t limit, size_t *body) noexcept nogil:
    cdef size_t at = 0
    cdef size_t end
    cdef slice_t s = slice_make(block.ptr, block.len if block.len < limit else limit)
    while at < s.len:
        end = line_end(s, at)
        if text_end(s, at, end) == at and end > at:
            body[0] = end
            return EC_OK
        at = end
    if s.len < block.len:
        return EC_LIMIT
    body[0] = s.len
    return EC_OK


cdef size_t header_unfold(slice_t value, char *out) noexcept nogil:
    cdef size_t at = 0
    cdef size_t made = 0
    cdef size_t end, n
    while at < value.len:
        end = line_end(value, at)
        n = text_end(value, at, end) - at
        memcpy(out + made, value.ptr + at, n)
        made += n
        at = end
    return made


cdef field_tuple(header_field_t *f):
    cdef bytearray text = bytearray(f.unfolded + 1)
    cdef size_t n = header_unfold(f.value, text)
    return Field(slice_bytes(f.name), slice_bytes(f.value), bytes(text[:n]), f.start, f.end)


def fields(bytes block not None, size_t limit=1 << 20):
    """List the fields; a line that is none appears as its offset.  Answers (list, body offset); ValueError past limit."""
    cdef header_walk_t w
    cdef header_field_t f
    cdef int rc
    found = []
    header_walk_init(&w, slice_of_bytes(block), limit)
    while True:
        rc = header_next(&w, &f)
        if rc == EC_OK:
            found.append(field_tuple(&f))
        elif rc == EC_SYNTAX:
            found.append(w.bad)
        elif rc == EC_LIMIT:
            raise ValueError("header longer than its limit")
        else:
            return found, w.at


def find(bytes block not None, bytes name not None, size_t limit=1 << 20):
    """The first field of that name, or None."""
    cdef header_field_t f
    cdef int rc = header_find(slice_of_bytes(block), limit, slice_of_bytes(name), &f)
    return field_tuple(&f) if rc == EC_OK else None


def body_offset(bytes block not None, size_t limit=1 << 20):
    """Where the body begins; ValueError past limit."""
    cdef size_t body
    if header_end(slice_of_bytes(block), limit, &body) != EC_OK:
        raise ValueError("header longer than its limit")
    return body
