"""Edits of header fields and of the body, kept beside the message and applied while it is read or sent.

An edit drops those before it that it makes void, so each name has at most one
REPLACE or REMOVE, ahead of what is added under that name.  Rendering is one
walk over the header fields.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memmove, memset

from ..base.atomic cimport atomic_add32, atomic_load32
from ..base.buf cimport buf_add, buf_add_slice, buf_free, buf_reserve, buf_slice
from ..base.slice cimport slice_bytes, slice_ieq, slice_make, slice_of_bytes, slice_t
from ..base.status cimport EC_LIMIT, EC_NOMEM, EC_OK, EC_SYNTAX
from .header cimport header_field_t, header_next, header_walk_init, header_walk_t

cdef enum:
    HEAD = 8
    NAME_MAX = 255


cdef bint overlay_next(slice_t bytes, size_t *cursor, edit_t *out) noexcept nogil:
    cdef uint16_t k
    cdef uint32_t v
    cdef size_t at = cursor[0]
    if at > bytes.len or bytes.len - at < HEAD:
        return False
    memcpy(&k, bytes.ptr + at + 2, 2)
    memcpy(&v, bytes.ptr + at + 4, 4)
    if bytes.len - at - HEAD < <size_t>k + v:
        return False
    out.kind = <uint8_t>bytes.ptr[at]
    out.name = slice_make(bytes.ptr + at + HEAD, k)
    out.value = slice_make(bytes.ptr + at + HEAD + k, v)
    cursor[0] = at + HEAD + k + v
    return True


cdef slice_t overlay_bytes(const overlay_t *o) noexcept nogil:
    return slice_make(o.bytes.ptr, o.bytes.len) if o != NULL else slice_make(NULL, 0)


cdef overlay_t *overlay_ref(overlay_t *o) noexcept nogil:
    if o != NULL:
        atomic_add32(&o.refs, 1)
    return o


cdef void overlay_unref(overlay_t *o) noexcept nogil:
    if o != NULL and atomic_add32(&o.refs, -1) == 0:
        buf_free(&o.bytes)
        free(o)


cdef bint body_of(slice_t bytes, slice_t *body) noexcept nogil:
    cdef size_t cursor = 0
    cdef edit_t e
    while overlay_next(bytes, &cursor, &e):
        if e.kind == OVERLAY_BODY:
            body[0] = e.value
            return True
    return False


cdef bint overlay_has_body(slice_t bytes) noexcept nogil:
    cdef slice_t body
    return body_of(bytes, &body)


# ---- editing -----------------------------------------------------------------------

cdef int own(overlay_t **o) noexcept nogil:
    """Make it ours alone."""
    cdef overlay_t *copy
    if o[0] != NULL and atomic_load32(&o[0].refs) == 1:
        return EC_OK
    copy = <overlay_t*>calloc(1, sizeof(overlay_t))
    if copy == NULL:
        return EC_NOMEM
    copy.refs = 1
    if o[0] != NULL:
        copy.n = o[0].n
        if buf_add(&copy.bytes, o[0].bytes.ptr, o[0].bytes.len) != EC_OK:
            free(copy)
            return EC_NOMEM
        overlay_unref(o[0])
    o[0] = copy
    return EC_OK


cdef void make_void(overlay_t *o, int kind, slice_t name) noexcept nogil:
    """Drop the edits that one of that kind and name leaves nothing of."""
    cdef size_t cursor = 0, start = 0
    cdef edit_t e
    if kind == OVERLAY_PREPEND or kind == OVERLAY_APPEND:
        return
    while overlay_next(buf_slice(&o.bytes), &cursor, &e):
        if e.kind == OVERLAY_BODY if kind == OVERLAY_BODY else (e.kind != OVERLAY_BODY and slice_ieq(e.name, name)):
            memmove(o.bytes.ptr + start, o.bytes.ptr + cursor, o.bytes.len - cursor)
            o.bytes.len -= cursor - start
            o.n -= 1
            cursor = start
        start = cursor


cdef bint is_name(slice_t s) noexcept nogil:
    """RFC 5322 2.2."""
    cdef size_t i
    for i in range(s.len):
        if not 33 <= s.ptr[i] < 127 or s.ptr[i] == c':':
            return False
    return 0 < s.len <= NAME_MAX


cdef bint is_value(slice_t s) noexcept nogil:
    """Every line end is CR LF and folds: no value can end the header or begin another field."""
    cdef size_t i = 0
    while i < s.len:
        if s.ptr[i] == 0 or s.ptr[i] == c'\n':
            return False
        if s.ptr[i] == c'\r':
            if s.len - i < 3 or s.ptr[i + 1] != c'\n' or (s.ptr[i + 2] != c' ' and s.ptr[i + 2] != c'\t'):
                return False
            i += 2
        i += 1
    return True


cdef int add_wire(buf_t *b, slice_t content) noexcept nogil:
    """Content as it goes over the wire: every line end CR LF, dots stuffed, the last line ended."""
    cdef size_t i = 0, start
    while i < content.len:
        if content.ptr[i] == c'.' and buf_add(b, b".", 1) != EC_OK:
            return EC_NOMEM
        start = i
        while i < content.len and content.ptr[i] != c'\r' and content.ptr[i] != c'\n':
            i += 1
        if buf_add(b, content.ptr + start, i - start) != EC_OK or buf_add(b, b"\r\n", 2) != EC_OK:
            return EC_NOMEM
        if i + 1 < content.len and content.ptr[i] == c'\r' and content.ptr[i + 1] == c'\n':
            i += 1
        i += 1
    return EC_OK


cdef int append_edit(overlay_t *o, int kind, slice_t name, slice_t value) noexcept nogil:
    cdef char head[HEAD]
    cdef size_t start = o.bytes.len
    cdef uint16_t k = <uint16_t>name.len
    cdef uint32_t v
    cdef int rc
    memset(head, 0, HEAD)
    head[0] = <char>kind
    memcpy(head + 2, &k, 2)
    rc = buf_reserve(&o.bytes, HEAD + name.len + value.len)
    if rc == EC_OK:
        buf_add(&o.bytes, head, HEAD)
        buf_add_slice(&o.bytes, name)
        rc = add_wire(&o.bytes, value) if kind == OVERLAY_BODY else buf_add_slice(&o.bytes, value)
    if rc == EC_OK and o.bytes.len > OVERLAY_MAX:
        rc = EC_LIMIT
    if rc != EC_OK:
        o.bytes.len = start
        return rc
    v = <uint32_t>(o.bytes.len - start - HEAD - name.len)
    memcpy(o.bytes.ptr + start + 4, &v, 4)
    o.n += 1
    return EC_OK


cdef int overlay_edit(overlay_t **o, int kind, slice_t name, slice_t value) noexcept nogil:
    cdef int rc
    if kind == OVERLAY_BODY:
        name.len = 0
    elif not is_name(name) or not is_value(value):
        return EC_SYNTAX
    if kind == OVERLAY_REMOVE:
        value.len = 0
    if value.len > OVERLAY_MAX or (o[0] != NULL and (o[0].n >= OVERLAY_EDITS or o[0].bytes.len + value.len > OVERLAY_MAX)):
        return EC_LIMIT
    rc = own(o)
    if rc != EC_OK:
        return rc
    make_void(o[0], kind, name)
    return append_edit(o[0], kind, name, value)


# ---- rendering ---------------------------------------------------------------------

cdef int add_field(buf_t *out, const edit_t *e) noexcept nogil:
    if e.name.len and e.name.ptr[0] == c'.' and buf_add(out, b".", 1) != EC_OK:      # a line like any other
        return EC_NOMEM
    if buf_add_slice(out, e.name) != EC_OK or buf_add(out, b": ", 2) != EC_OK or buf_add_slice(out, e.value) != EC_OK:
        return EC_NOMEM
    return buf_add(out, b"\r\n", 2)


cdef int add_prepended(slice_t bytes, buf_t *out) noexcept nogil:
    """The newest first: each went ahead of what there was."""
    cdef edit_t newest_first[OVERLAY_EDITS]
    cdef size_t cursor = 0
    cdef int n = 0
    while n < OVERLAY_EDITS and overlay_next(bytes, &cursor, &newest_first[n]):
        n += newest_first[n].kind == OVERLAY_PREPEND
    while n:
        n -= 1
        if add_field(out, &newest_first[n]) != EC_OK:
            return EC_NOMEM
    return EC_OK


cdef int add_appended(slice_t bytes, const bint *used, buf_t *out) noexcept nogil:
    """What was appended, and replacements that met no field."""
    cdef edit_t e
    cdef size_t cursor = 0
    cdef int n = 0
    while n < OVERLAY_EDITS and overlay_next(bytes, &cursor, &e):
        if e.kind == OVERLAY_APPEND or (e.kind == OVERLAY_REPLACE and not used[n]):
            if add_field(out, &e) != EC_OK:
                return EC_NOMEM
        n += 1
    return EC_OK


cdef int add_original(slice_t line, slice_t name, slice_t bytes, bint *used, buf_t *out) noexcept nogil:
    """One field of the original, or what takes its place."""
    cdef edit_t e
    cdef size_t cursor = 0
    cdef int n = 0
    if name.len and name.ptr[0] == c'.':        # stuffed
        name = slice_make(name.ptr + 1, name.len - 1)
    while n < OVERLAY_EDITS and overlay_next(bytes, &cursor, &e):
        if (e.kind == OVERLAY_REMOVE or e.kind == OVERLAY_REPLACE) and slice_ieq(e.name, name):
            if e.kind == OVERLAY_REMOVE or used[n]:
                return EC_OK
            used[n] = True
            return add_field(out, &e)
        n += 1
    return buf_add_slice(out, line)


cdef int overlay_render(slice_t message, slice_t bytes, buf_t *out, slice_t *rest) noexcept nogil:
    cdef bint used[OVERLAY_EDITS]
    cdef header_walk_t w
    cdef header_field_t f
    cdef slice_t nothing = slice_make(NULL, 0)
    cdef bint replaced
    cdef int rc, walked
    memset(used, 0, sizeof(used))
    header_walk_init(&w, message, message.len)
    rc = add_prepended(bytes, out)
    while rc == EC_OK:
        walked = header_next(&w, &f)
        if walked == EC_OK:
            rc = add_original(slice_make(message.ptr + f.start, f.end - f.start), f.name, bytes, used, out)
        elif walked == EC_SYNTAX:               # no field, and nobody's to edit
            rc = buf_add_slice(out, slice_make(message.ptr + w.bad, w.at - w.bad))
        else:
            break
    if rc == EC_OK and out.len and out.ptr[out.len - 1] != c'\n':
        rc = buf_add(out, b"\r\n", 2)
    if rc == EC_OK:
        rc = add_appended(bytes, used, out)
    rest[0] = slice_make(message.ptr + w.at, message.len - w.at)
    replaced = body_of(bytes, rest)
    if rc == EC_OK and (w.ended or replaced):
        rc = buf_add(out, b"\r\n", 2)
    return rc


# ---- from Python -------------------------------------------------------------------

KINDS = {"prepend": OVERLAY_PREPEND, "append": OVERLAY_APPEND, "replace": OVERLAY_REPLACE, "remove": OVERLAY_REMOVE,
         "body": OVERLAY_BODY}
WORDS = {kind: word for word, kind in KINDS.items()}


cdef class Overlay:
    """Edits of a message; `copy` shares them until one side edits."""
    cdef overlay_t *o

    def __dealloc__(self):
        overlay_unref(self.o)

    def edit(self, str kind not None, bytes name not None=b"", bytes value not None=b""):
        """prepend, append, replace, remove a field by name; body replaces what stands behind the header."""
        cdef int rc = overlay_edit(&self.o, KINDS[kind], slice_of_bytes(name), slice_of_bytes(value))
        if rc == EC_SYNTAX:
            raise ValueError(f"not a header field: {name[:40]!r} {value[:40]!r}")
        if rc != EC_OK:
            raise OverflowError("too many or too long edits") if rc == EC_LIMIT else MemoryError
        return self

    def copy(self):
        cdef Overlay other = Overlay()
        other.o = overlay_ref(self.o)
        return other

    def encode(self):
        """As the spool keeps it."""
        return slice_bytes(overlay_bytes(self.o))


def decode(bytes encoded not None):
    """The edits as (kind, name, value); a damaged end is left out, a kind of a later version is its number."""
    cdef slice_t b = slice_of_bytes(encoded)
    cdef size_t cursor = 0
    cdef edit_t e
    found = []
    while overlay_next(b, &cursor, &e):
        found.append((WORDS.get(e.kind, e.kind), slice_bytes(e.name), slice_bytes(e.value)))
    return found


def render(bytes message not None, bytes encoded not None):
    """A message in wire form with its edits; answers (header, what stands behind it)."""
    cdef buf_t out
    cdef slice_t rest
    cdef int rc
    memset(&out, 0, sizeof(out))
    try:
        rc = overlay_render(slice_of_bytes(message), slice_of_bytes(encoded), &out, &rest)
        if rc != EC_OK:
            raise MemoryError
        return slice_bytes(buf_slice(&out)), slice_bytes(rest)
    finally:
        buf_free(&out)
