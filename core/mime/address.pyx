"""Address lists of header fields (RFC 5322 3.4), with groups, comments and quoted strings.

Pure: no I/O, no allocation, one pass.  White space and comments are read
between words and around `@`, not inside a dotted local-part or domain.
"""
from collections import namedtuple

from libc.string cimport memchr, memset

from ..base.slice cimport slice_bytes, slice_make, slice_of_bytes, slice_t, slice_trim
from ..base.status cimport EC_LIMIT, EC_NOTFOUND, EC_OK, EC_SYNTAX

Address = namedtuple("Address", "display local domain group")


cdef inline char peek(address_walk_t *w) noexcept nogil:
    """The byte at hand; NUL at the end, which no grammar rule takes."""
    return w.text.ptr[w.at] if w.at < w.text.len else 0


cdef inline bint is_atom(char c) noexcept nogil:
    """Also dots, and 8-bit bytes as they come."""
    return (33 <= c < 127 or <unsigned char>c > 127) and memchr(<const char*>b'()<>[]:;@\\,"', c, 12) == NULL


cdef bint skip_quoted(address_walk_t *w, char close) noexcept nogil:
    """From an opening quote or bracket to behind the closing one; False where it is missing."""
    cdef char c
    w.at += 1
    while w.at < w.text.len:
        c = w.text.ptr[w.at]
        w.at += 2 if c == c'\\' else 1
        if c == close:
            return w.at <= w.text.len
    w.at = w.text.len
    return False


cdef bint skip_comment(address_walk_t *w) noexcept nogil:
    cdef size_t depth = 0
    cdef char c
    while w.at < w.text.len:
        c = w.text.ptr[w.at]
        w.at += 2 if c == c'\\' else 1
        if c == c'(':
            depth += 1
        elif c == c')':
            depth -= 1
            if depth == 0:
                return True
    w.at = w.text.len
    return False


cdef bint skip_cfws(address_walk_t *w, slice_t *comment) noexcept nogil:
    """White space and comments; *comment is the inside of the last one."""
    cdef size_t start
    cdef char c
    while w.at < w.text.len:
        c = w.text.ptr[w.at]
        if c == c'(':
            start = w.at + 1
            if not skip_comment(w):
                return False
            comment[0] = slice_make(w.text.ptr + start, w.at - start - 1)
        elif c == c' ' or c == c'\t' or c == c'\r' or c == c'\n':
            w.at += 1
        else:
            break
    return True


cdef int take_word(address_walk_t *w, slice_t *word) noexcept nogil:
    """An atom with dots, or a quoted string; EC_NOTFOUND where neither begins."""
    cdef size_t start = w.at
    if peek(w) == c'"':
        if not skip_quoted(w, c'"'):
            return EC_SYNTAX
    else:
        while w.at < w.text.len and is_atom(w.text.ptr[w.at]):
            w.at += 1
    word[0] = slice_make(w.text.ptr + start, w.at - start)
    return EC_OK if word.len else EC_NOTFOUND


cdef int take_domain(address_walk_t *w, slice_t *domain) noexcept nogil:
    """Behind the `@`."""
    cdef slice_t comment
    cdef size_t start
    w.at += 1
    if not skip_cfws(w, &comment):
        return EC_SYNTAX
    start = w.at
    if peek(w) == c'[':
        if not skip_quoted(w, c']'):
            return EC_SYNTAX
        domain[0] = slice_make(w.text.ptr + start, w.at - start)
        return EC_OK
    return EC_OK if peek(w) != c'"' and take_word(w, domain) == EC_OK else EC_SYNTAX


cdef int take_angle(address_walk_t *w, address_t *out) noexcept nogil:
    """<local@domain>, a route in front of it read and dropped."""
    cdef slice_t comment
    w.at += 1
    if not skip_cfws(w, &comment):
        return EC_SYNTAX
    while peek(w) == c'@' or peek(w) == c',':
        if peek(w) == c',':
            w.at += 1
        elif take_domain(w, &out.domain) != EC_OK:
            return EC_SYNTAX
        if not skip_cfws(w, &comment):
            return EC_SYNTAX
        if peek(w) == c':':
            w.at += 1
            if not skip_cfws(w, &comment):
                return EC_SYNTAX
            break
    out.domain.len = 0
    if take_word(w, &out.local) != EC_OK or not skip_cfws(w, &comment):
        return EC_SYNTAX
    if peek(w) == c'@' and (take_domain(w, &out.domain) != EC_OK or not skip_cfws(w, &comment)):
        return EC_SYNTAX
    if peek(w) != c'>':
        return EC_SYNTAX
    w.at += 1
    return EC_OK


cdef void skip_rest(address_walk_t *w) noexcept nogil:
    """To the comma or semicolon that ends a bad address."""
    cdef char c
    while w.at < w.text.len:
        c = w.text.ptr[w.at]
        if c == c',' or c == c';':
            break
        if c == c'"':
            skip_quoted(w, c)
        elif c == c'(':
            skip_comment(w)
        else:
            w.at += 1


cdef int take_address(address_walk_t *w, address_t *out) noexcept nogil:
    cdef slice_t word, comment
    cdef size_t start
    cdef size_t words = 0
    cdef int rc
    memset(&comment, 0, sizeof(comment))
    while True:
        memset(out, 0, sizeof(address_t))
        words = 0
        start = w.at
        while True:
            rc = take_word(w, &word)
            if rc == EC_NOTFOUND:
                break
            if rc != EC_OK:
                return rc
            if words == 0:
                out.local = word
            words += 1
            out.display = slice_make(w.text.ptr + start, w.at - start)
            if not skip_cfws(w, &comment):
                return EC_SYNTAX
        if peek(w) != c':' or w.in_group or words == 0:
            break
        w.at += 1                       # a group begins; it may be empty
        w.in_group = True
        w.group = out.display
        if not skip_cfws(w, &comment):
            return EC_SYNTAX
        if peek(w) == c';' or peek(w) == c',' or w.at >= w.text.len:
            return EC_NOTFOUND
    if peek(w) == c'<':
        rc = take_angle(w, out)
    else:
        out.display.len = 0
        rc = EC_OK if words == 1 else EC_SYNTAX
        if rc == EC_OK and peek(w) == c'@':
            rc = take_domain(w, &out.domain)
    if rc != EC_OK or not skip_cfws(w, &comment):
        return EC_SYNTAX
    if w.at < w.text.len and peek(w) != c',' and not (peek(w) == c';' and w.in_group):
        return EC_SYNTAX
    if out.display.len == 0:            # the old form: a@b (Name)
        out.display = slice_trim(comment)
    out.group = w.group
    return EC_OK


cdef void address_walk_init(address_walk_t *w, slice_t text, uint32_t limit) noexcept nogil:
    memset(w, 0, sizeof(address_walk_t))
    w.text = text
    w.left = limit


cdef int address_next(address_walk_t *w, address_t *out) noexcept nogil:
    cdef address_t found
    cdef slice_t comment
    cdef int rc
    while True:
        if not skip_cfws(w, &comment):
            return EC_SYNTAX
        if w.at >= w.text.len:
            return EC_NOTFOUND
        if peek(w) == c';':
            w.in_group = False
            w.group.len = 0
            w.at += 1
            continue
        if peek(w) == c',':
            w.at += 1
            continue
        if w.left == 0:
            return EC_LIMIT
        w.left -= 1
        rc = take_address(w, &found)
        if rc == EC_NOTFOUND:           # an empty group
            continue
        if rc == EC_OK:
            out[0] = found
        else:
            skip_rest(w)
        return rc


def parse_addresses(bytes text not None, uint32_t limit=10000):
    """List the addresses; None stands for one that is malformed.  ValueError past limit."""
    cdef address_walk_t w
    cdef address_t a
    cdef int rc
    found = []
    address_walk_init(&w, slice_of_bytes(text), limit)
    while True:
        rc = address_next(&w, &a)
        if rc == EC_NOTFOUND:
            return found
        if rc == EC_LIMIT:
            raise ValueError("more addresses than the limit")
        found.append(Address(slice_bytes(a.display), slice_bytes(a.local), slice_bytes(a.domain), slice_bytes(a.group))
                     if rc == EC_OK else None)
