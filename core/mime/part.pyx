"""The MIME walker (RFC 2045, 2046): one pass over the lines, an explicit chain of open parts instead of recursion.

Cost: each line is looked at once; one that begins with `--` is compared with the
boundaries of the open multiparts, at most `limits.depth` of them.
"""
from collections import namedtuple

from libc.stdint cimport int32_t, uint32_t
from libc.string cimport memchr, memcmp, memcpy, memset

from ..base.arena cimport arena_alloc, arena_free, arena_t
from ..base.slice cimport slice_bytes, slice_ieq, slice_make, slice_of, slice_of_bytes, slice_t, slice_trim
from ..base.status cimport EC_LIMIT, EC_NOMEM, EC_NOTFOUND, EC_OK, EC_SYNTAX
from .header cimport header_end, header_field_t, header_next, header_walk_init, header_walk_t

Part = namedtuple("Part", "headers_start preamble_start body_start body_end epilogue_end type boundary charset encoding "
                          "parent child next depth state")
Tree = namedtuple("Tree", "state parts")

cdef struct walker_t:
    mime_tree_t *tree
    int32_t part            # the innermost open one
    bint in_header          # its header is being read


cdef inline bint ends_token(char c) noexcept nogil:
    return not 33 <= c < 127 or memchr(<const char*>b'()<>@,;:\\"/[]?=', c, 15) != NULL


cdef void skip_blank(slice_t s, size_t *at) noexcept nogil:
    """White space, folds and comments."""
    cdef size_t depth = 0
    cdef char c
    while at[0] < s.len:
        c = s.ptr[at[0]]
        if c == c'(':
            depth += 1
        elif c == c')' and depth:
            depth -= 1
        elif c == c'\\' and depth:
            at[0] += 1
        elif depth == 0 and c != c' ' and c != c'\t' and c != c'\r' and c != c'\n':
            break
        at[0] += 1
    if at[0] > s.len:
        at[0] = s.len


cdef slice_t take_token(slice_t s, size_t *at) noexcept nogil:
    cdef size_t start = at[0]
    while at[0] < s.len and not ends_token(s.ptr[at[0]]):
        at[0] += 1
    return slice_make(s.ptr + start, at[0] - start)


cdef slice_t take_value(slice_t s, size_t *at) noexcept nogil:
    """A parameter's value: quoted, or all to the next blank or semicolon, as mailers write `=` and `/` bare."""
    cdef size_t start = at[0]
    cdef char c
    if start < s.len and s.ptr[start] == c'"':
        at[0] += 1
        while at[0] < s.len and s.ptr[at[0]] != c'"':
            at[0] += 2 if s.ptr[at[0]] == c'\\' else 1
        if at[0] >= s.len:
            at[0] = s.len
            return slice_make(s.ptr + start, 0)
        at[0] += 1
        return slice_make(s.ptr + start + 1, at[0] - start - 2)
    while at[0] < s.len:
        c = s.ptr[at[0]]
        if c == c';' or c == c' ' or c == c'\t' or c == c'\r' or c == c'\n':
            break
        at[0] += 1
    return slice_make(s.ptr + start, at[0] - start)


cdef int content_type_parse(slice_t value, mime_part_t *out) noexcept nogil:
    cdef size_t at = 0
    cdef slice_t type, subtype, name, text
    skip_blank(value, &at)
    type = take_token(value, &at)
    skip_blank(value, &at)
    if type.len == 0 or at >= value.len or value.ptr[at] != c'/':
        return EC_SYNTAX
    at += 1
    skip_blank(value, &at)
    subtype = take_token(value, &at)
    if subtype.len == 0:
        return EC_SYNTAX
    out.type = type
    out.subtype = subtype
    while True:
        skip_blank(value, &at)
        if at >= value.len:
            return EC_OK
        if value.ptr[at] != c';':
            return EC_SYNTAX
        at += 1
        skip_blank(value, &at)
        if at >= value.len or value.ptr[at] == c';':    # a semicolon too many
            continue
        name = take_token(value, &at)
        skip_blank(value, &at)
        if name.len == 0 or at >= value.len or value.ptr[at] != c'=':
            return EC_SYNTAX
        at += 1
        skip_blank(value, &at)
        text = take_value(value, &at)
        if slice_ieq(name, slice_of("boundary")):
            if out.boundary.len or text.len == 0:
                return EC_SYNTAX
            out.boundary = text
        elif slice_ieq(name, slice_of("charset")) and out.charset.len == 0:
            out.charset = text


cdef inline void blame(mime_tree_t *t, mime_part_t *p, int state) noexcept nogil:
    if p.state < state:
        p.state = state
    if t.state < state:
        t.state = state


cdef bint holds_message(const mime_part_t *p) noexcept nogil:
    """RFC 2046 5.2.1: such a part is never encoded; one that is stays a leaf."""
    return (slice_ieq(p.type, slice_of("message"))
            and (slice_ieq(p.subtype, slice_of("rfc822")) or slice_ieq(p.subtype, slice_of("global")))
            and (p.encoding.len == 0 or slice_ieq(p.encoding, slice_of("7bit")) or slice_ieq(p.encoding, slice_of("8bit"))
                 or slice_ieq(p.encoding, slice_of("binary"))))


cdef int add_part(mime_tree_t *t, int32_t parent, size_t at, int32_t *index) noexcept nogil:
    cdef mime_part_t *parts
    cdef mime_part_t *p
    cdef uint32_t cap
    cdef uint32_t depth = t.parts[parent].depth + 1 if parent >= 0 else 0
    if t.n >= t.limits.parts or depth > t.limits.depth:
        return EC_LIMIT
    if t.n == t.cap:
        cap = t.cap * 2 if t.cap else 4
        parts = <mime_part_t*>arena_alloc(t.arena, cap * sizeof(mime_part_t))
        if parts == NULL:
            return EC_NOMEM
        if t.n:
            memcpy(parts, t.parts, t.n * sizeof(mime_part_t))
        t.parts = parts
        t.cap = cap
    p = &t.parts[t.n]
    mime_part_init(p, parent >= 0 and is_digest(&t.parts[parent]))
    p.headers_start = p.preamble_start = p.body_start = p.body_end = p.epilogue_end = at
    p.parent = parent
    p.depth = depth
    if parent >= 0:
        if t.parts[parent].last >= 0:
            t.parts[t.parts[parent].last].next = <int32_t>t.n
        else:
            t.parts[parent].child = <int32_t>t.n
        t.parts[parent].last = <int32_t>t.n
    index[0] = <int32_t>t.n
    t.n += 1
    return EC_OK


cdef void mime_part_init(mime_part_t *p, bint in_digest) noexcept nogil:
    memset(p, 0, sizeof(mime_part_t))
    p.parent = p.child = p.next = p.last = -1
    p.type = slice_of(b"message" if in_digest else b"text")
    p.subtype = slice_of(b"rfc822" if in_digest else b"plain")


cdef int mime_part_read(mime_part_t *p, slice_t header) noexcept nogil:
    cdef header_walk_t w
    cdef header_field_t f
    cdef bint typed = False
    cdef int rc, state = MIME_OK
    header_walk_init(&w, header, header.len)
    while True:
        rc = header_next(&w, &f)
        if rc == EC_NOTFOUND:
            break
        if rc != EC_OK:
            state = MIME_INVALID
        elif slice_ieq(f.name, slice_of("Content-Type")):
            if typed or content_type_parse(f.value, p) != EC_OK:
                state = MIME_INVALID
            typed = True
        elif slice_ieq(f.name, slice_of("Content-Transfer-Encoding")) and p.encoding.len == 0:
            p.encoding = slice_trim(f.value)
    p.boundary = slice_trim(p.boundary)
    if not slice_ieq(p.type, slice_of("multipart")):
        p.boundary.len = 0
    elif p.boundary.len == 0 or p.boundary.len > BOUNDARY_MAX or memchr(p.boundary.ptr, c'\\', p.boundary.len) != NULL:
        state = MIME_INVALID                # walked as a leaf
        p.boundary.len = 0
    return state


cdef void read_header(mime_tree_t *t, mime_part_t *p, size_t end) noexcept nogil:
    """What stands in [headers_start, end)."""
    blame(t, p, mime_part_read(p, slice_make(t.message.ptr + p.headers_start, end - p.headers_start)))
    p.preamble_start = p.body_start = p.body_end = p.epilogue_end = end


cdef int begin_body(walker_t *w, size_t at) noexcept nogil:
    """The header of the open part ends at `at`; a message in it begins there."""
    cdef mime_tree_t *t = w.tree
    w.in_header = holds_message(&t.parts[w.part])
    return add_part(t, w.part, at, &w.part) if w.in_header else EC_OK


cdef void finish_part(walker_t *w, size_t *end) noexcept nogil:
    """Close the innermost part at *end, or where its own bytes end if that is later; *end becomes its end."""
    cdef mime_tree_t *t = w.tree
    cdef mime_part_t *p = &t.parts[w.part]
    if w.in_header:
        read_header(t, p, end[0] if end[0] > p.headers_start else p.headers_start)
        w.in_header = False
    if end[0] < p.epilogue_end:
        end[0] = p.epilogue_end
    p.epilogue_end = end[0]
    if not p.closed:
        p.body_end = end[0]
    if is_multipart(p) and not p.closed:
        blame(t, p, MIME_INVALID)
        if not p.begun:
            p.body_start = end[0]
    w.part = p.parent


cdef bint mime_boundary(slice_t boundary, slice_t line, bint *close) noexcept nogil:
    while line.len > 2 and (line.ptr[line.len - 1] == c' ' or line.ptr[line.len - 1] == c'\t'):
        line.len -= 1
    line = slice_make(line.ptr + 2, line.len - 2)
    if line.len < boundary.len or memcmp(line.ptr, boundary.ptr, boundary.len) != 0:
        return False
    close[0] = line.len == boundary.len + 2 and line.ptr[boundary.len] == c'-' and line.ptr[boundary.len + 1] == c'-'
    return close[0] or line.len == boundary.len


cdef int32_t match_boundary(walker_t *w, slice_t line, bint *close) noexcept nogil:
    """The open multipart whose boundary this line is, innermost first; -1: none.  `line` begins with `--`."""
    cdef mime_tree_t *t = w.tree
    cdef int32_t i = w.part
    while i >= 0:
        if t.parts[i].boundary.len and not t.parts[i].closed and mime_boundary(t.parts[i].boundary, line, close):
            return i
        i = t.parts[i].parent
    return -1


cdef int at_boundary(walker_t *w, int32_t match, bint close, size_t at, size_t next) noexcept nogil:
    """A boundary line [at, next) of part `match`: what is open inside it ends here."""
    cdef mime_tree_t *t = w.tree
    cdef const char *s = t.message.ptr
    cdef size_t end = at
    cdef mime_part_t *p
    if not w.in_header and end and s[end - 1] == c'\n':         # RFC 2046 5.1.1: this line end is the boundary's
        end -= 2 if end > 1 and s[end - 2] == c'\r' else 1
    while w.part != match:
        finish_part(w, &end)
    p = &t.parts[match]
    if not p.begun:
        p.begun = True
        p.body_start = at
    if close:
        p.closed = True
        p.body_end = p.epilogue_end = next
        return EC_OK
    w.in_header = True
    return add_part(t, match, next, &w.part)


cdef int walk_lines(walker_t *w, size_t at) noexcept nogil:
    cdef mime_tree_t *t = w.tree
    cdef slice_t s = t.message
    cdef const char *lf
    cdef size_t next, stop
    cdef int32_t match
    cdef bint close = False
    cdef int rc = EC_OK
    while at < s.len and rc == EC_OK:
        lf = <const char*>memchr(s.ptr + at, c'\n', s.len - at)
        next = <size_t>(lf - s.ptr) + 1 if lf != NULL else s.len
        stop = next - 1 if lf != NULL else next
        if lf != NULL and stop > at and s.ptr[stop - 1] == c'\r':
            stop -= 1
        match = -1
        if stop - at >= 2 and s.ptr[at] == c'-' and s.ptr[at + 1] == c'-':
            match = match_boundary(w, slice_make(s.ptr + at, stop - at), &close)
        if match >= 0:
            rc = at_boundary(w, match, close, at, next)
        elif w.in_header:
            if next - t.parts[w.part].headers_start > t.limits.header_bytes:
                rc = EC_LIMIT
            elif stop == at:
                read_header(t, &t.parts[w.part], next)
                rc = begin_body(w, next)
        at = next
    return rc


cdef int mime_open(mime_tree_t *t, slice_t message, const mime_limits_t *limits, arena_t *arena) noexcept nogil:
    cdef int32_t root
    cdef size_t body = 0
    cdef int rc
    memset(t, 0, sizeof(mime_tree_t))
    t.message = message
    t.arena = arena
    t.limits = limits[0]
    if t.limits.parts == 0:
        t.limits.parts = 1
    rc = add_part(t, -1, 0, &root)
    if rc != EC_OK:
        t.state = MIME_FATAL
        return rc
    rc = EC_LIMIT if message.len > limits.bytes else header_end(message, limits.header_bytes, &body)
    if rc == EC_OK:
        read_header(t, t.parts, body)
    else:
        blame(t, t.parts, MIME_FATAL)
        t.walked = True
    t.parts.body_end = t.parts.epilogue_end = message.len
    return rc


cdef int mime_walk(mime_tree_t *t) noexcept nogil:
    cdef walker_t w
    cdef size_t end = t.message.len
    cdef int rc
    if t.walked:
        return EC_LIMIT if t.state == MIME_FATAL else EC_OK
    t.walked = True
    if not is_multipart(t.parts) and not holds_message(t.parts):
        return EC_OK
    w.tree = t
    w.part = 0
    t.parts.body_end = t.parts.epilogue_end = t.parts.preamble_start
    rc = begin_body(&w, t.parts.preamble_start)
    if rc == EC_OK:
        rc = walk_lines(&w, t.parts.preamble_start)
    if rc != EC_OK:
        blame(t, &t.parts[w.part], MIME_FATAL)
        w.in_header = False                 # an unfinished header is not read: it may be of any length
    while w.part >= 0:
        finish_part(&w, &end)
    return rc


def walk(bytes message not None, size_t size=1 << 30, size_t header=1 << 20, uint32_t parts=10000, uint32_t depth=100):
    """Walk a message under limits into Tree(state, parts)."""
    cdef arena_t arena
    cdef mime_tree_t t
    cdef mime_limits_t limits
    cdef mime_part_t *p
    cdef uint32_t i
    cdef int rc
    memset(&arena, 0, sizeof(arena))
    limits.bytes, limits.header_bytes, limits.parts, limits.depth = size, header, parts, depth
    cdef slice_t s = slice_of_bytes(message)
    with nogil:
        rc = mime_open(&t, s, &limits, &arena)
        if rc == EC_OK:
            mime_walk(&t)
    found = []
    for i in range(t.n):
        p = &t.parts[i]
        found.append(Part(p.headers_start, p.preamble_start, p.body_start, p.body_end, p.epilogue_end,
                          slice_bytes(p.type) + b"/" + slice_bytes(p.subtype), slice_bytes(p.boundary),
                          slice_bytes(p.charset), slice_bytes(p.encoding), p.parent, p.child, p.next, p.depth, p.state))
    tree = Tree(["ok", "invalid", "fatal"][t.state], found)
    arena_free(&arena)
    return tree
