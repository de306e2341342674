"""Down-conversion of 8-bit content, as it comes, in memory that does not depend on its length.

8-bit data in header fields, preambles and in parts whose type or encoding
forbids it cannot be encoded: `whole` tells, and such bytes stay as they are.
"""
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memchr, memcpy, memset

from ..base.base64 cimport base64_add
from ..base.buf cimport buf_add, buf_add_slice, buf_add_z, buf_clear, buf_free, buf_slice, buf_t
from ..base.slice cimport slice_8bit, slice_bytes, slice_ieq, slice_make, slice_of, slice_of_bytes, slice_t
from ..base.status cimport EC_NOMEM, EC_NOTFOUND, EC_OK
from .header cimport header_field_t, header_next, header_walk_init, header_walk_t
from .part cimport holds_message, is_digest, is_multipart, mime_boundary, mime_part_init, mime_part_read, mime_part_t

cdef enum:
    LINE_MAX = 998              # of a line that may be a boundary
    QP_COLUMNS = 75             # and a soft line end
    BASE64_BYTES = 57           # 76 columns

cdef const char *HEX = b"0123456789ABCDEF"
cdef const char *NAMES[3]       # by sevenbit_coding_t
NAMES[:] = [b"7bit", b"quoted-printable", b"base64"]


cdef sevenbit_t *sevenbit_new(const mime_limits_t *limits) noexcept nogil:
    cdef sevenbit_t *s = <sevenbit_t*>calloc(1, sizeof(sevenbit_t))
    if s == NULL:
        return NULL
    s.limits = limits[0]
    s.whole = True
    begin(s)
    return s


cdef void sevenbit_free(sevenbit_t *s) noexcept nogil:
    if s != NULL:
        buf_free(&s.held)
        free(s.levels)
        free(s.eight)
        free(s)


cdef void begin(sevenbit_t *s) noexcept nogil:
    s.part = 0
    s.n_levels = 0
    s.lost = s.in_line = s.line_end = False
    s.blank = 0
    s.column = s.n_three = 0
    begin_header(s, False, True)


cdef void sevenbit_rewind(sevenbit_t *s) noexcept nogil:
    s.writing = True
    begin(s)


cdef void sevenbit_strip(char *p, size_t n) noexcept nogil:
    cdef size_t i
    for i in range(n):
        if p[i] & 0x80:
            p[i] &= 0x7f
            if p[i] < 32 or p[i] == 127:
                p[i] = c'?'


# ---- what is 8-bit where -----------------------------------------------------------

cdef int mark(sevenbit_t *s) noexcept nogil:
    """8-bit data in the part at hand."""
    cdef uint8_t *eight
    cdef size_t need = s.part // 8 + 1
    if not s.in_leaf:
        s.whole = False
        return EC_OK
    if need > s.cap_eight:
        eight = <uint8_t*>realloc(s.eight, need * 2)
        if eight == NULL:
            return EC_NOMEM
        memset(eight + s.cap_eight, 0, need * 2 - s.cap_eight)
        s.eight = eight
        s.cap_eight = need * 2
    s.eight[s.part // 8] |= 1 << (s.part % 8)
    return EC_OK


cdef bint marked(const sevenbit_t *s) noexcept nogil:
    return s.part // 8 < s.cap_eight and s.eight[s.part // 8] >> (s.part % 8) & 1


cdef bint encodable(const mime_part_t *p) noexcept nogil:
    """RFC 2045 6.4, RFC 2046 5.2: what is encoded already, or must not be, is left alone."""
    if slice_ieq(p.type, slice_of(b"message")) and (holds_message(p) or slice_ieq(p.subtype, slice_of(b"partial"))
                                                   or slice_ieq(p.subtype, slice_of(b"external-body"))):
        return False
    return not is_multipart(p) and (p.encoding.len == 0 or slice_ieq(p.encoding, slice_of(b"7bit")) or states_8bit(p))


cdef bint states_8bit(const mime_part_t *p) noexcept nogil:
    return slice_ieq(p.encoding, slice_of(b"8bit")) or slice_ieq(p.encoding, slice_of(b"binary"))


# ---- codings -----------------------------------------------------------------------

cdef int quote(sevenbit_t *s, const char *token, uint32_t n, buf_t *out) noexcept nogil:
    cdef int rc = EC_OK
    if s.column + n > QP_COLUMNS:
        rc = buf_add(out, b"=\r\n", 3)
        s.column = 0
    s.column += n
    return buf_add(out, token, n) if rc == EC_OK else rc


cdef int quote_byte(sevenbit_t *s, char c, buf_t *out) noexcept nogil:
    cdef char token[3]
    token[0] = c'='
    token[1] = HEX[<uint8_t>c >> 4]
    token[2] = HEX[<uint8_t>c & 15]
    return quote(s, token, 3, out)


cdef int settle_blank(sevenbit_t *s, bint last, buf_t *out) noexcept nogil:
    """RFC 2045 6.7: a blank at the end of a line is encoded."""
    cdef char c = s.blank
    s.blank = 0
    if c == 0:
        return EC_OK
    return quote_byte(s, c, out) if last else quote(s, &c, 1, out)


cdef inline bint starts_line(const sevenbit_t *s) noexcept nogil:
    """A hyphen there might make a soft line end's second half a boundary."""
    return s.column == 0 or s.column == QP_COLUMNS


cdef int quoted_printable(sevenbit_t *s, slice_t text, buf_t *out) noexcept nogil:
    cdef size_t i
    cdef int rc = EC_OK
    cdef char c
    for i in range(text.len):
        c = text.ptr[i]
        if c == c'\r' and (i + 1 == text.len or text.ptr[i + 1] == c'\n'):
            continue
        rc = settle_blank(s, c == c'\n', out)
        if rc != EC_OK:
            return rc
        if c == c'\n':
            s.column = 0
            rc = buf_add(out, b"\r\n", 2)
        elif c == c' ' or c == c'\t':
            s.blank = c
        elif 32 < c < 127 and c != c'=' and not (c == c'-' and starts_line(s)):
            rc = quote(s, &c, 1, out)
        else:
            rc = quote_byte(s, c, out)
        if rc != EC_OK:
            return rc
    return EC_OK


cdef int write_base64(sevenbit_t *s, buf_t *out) noexcept nogil:
    cdef int rc = base64_add(out, slice_make(s.three, s.n_three)) if s.n_three else EC_OK
    if rc == EC_OK and s.n_three:
        rc = buf_add(out, b"\r\n", 2)
    s.n_three = 0
    return rc


cdef int base64_byte(sevenbit_t *s, char c, buf_t *out) noexcept nogil:
    s.three[s.n_three] = c
    s.n_three += 1
    return write_base64(s, out) if s.n_three == BASE64_BYTES else EC_OK


cdef int base64_line_end(sevenbit_t *s, buf_t *out) noexcept nogil:
    cdef int rc = EC_OK
    if s.line_end:
        s.line_end = False
        rc = base64_byte(s, c'\r', out)
        if rc == EC_OK:
            rc = base64_byte(s, c'\n', out)
    return rc


cdef int base64(sevenbit_t *s, slice_t text, buf_t *out) noexcept nogil:
    cdef size_t i
    cdef int rc = EC_OK
    for i in range(text.len):
        if text.ptr[i] == c'\r' and (i + 1 == text.len or text.ptr[i + 1] == c'\n'):
            continue
        rc = base64_line_end(s, out)
        if rc == EC_OK and text.ptr[i] == c'\n':
            s.line_end = True
        elif rc == EC_OK:
            rc = base64_byte(s, text.ptr[i], out)
        if rc != EC_OK:
            return rc
    return EC_OK


cdef int end_coding(sevenbit_t *s, buf_t *out) noexcept nogil:
    """The part at hand ends; a line end that waits was its boundary's."""
    cdef int rc = settle_blank(s, True, out)
    if rc == EC_OK:
        rc = write_base64(s, out)
    s.line_end = False
    s.column = 0
    s.coding = CODING_NONE
    return rc


cdef int body(sevenbit_t *s, slice_t text, buf_t *out) noexcept nogil:
    """Bytes behind a header that are no boundary."""
    if not s.writing:
        return mark(s) if slice_8bit(text) else EC_OK
    if s.coding == CODING_QUOTED_PRINTABLE:
        return quoted_printable(s, text, out)
    if s.coding == CODING_BASE64:
        return base64(s, text, out)
    return buf_add_slice(out, text)


# ---- headers -----------------------------------------------------------------------

cdef void begin_header(sevenbit_t *s, bint in_digest, bint of_message) noexcept nogil:
    s.part += 1
    s.in_header = True
    s.of_message = of_message
    s.in_leaf = False
    s.in_digest = in_digest
    s.coding = CODING_NONE
    s.line_at = 0
    buf_clear(&s.held)
    if s.part > s.limits.parts:
        lose(s)


cdef void lose(sevenbit_t *s) noexcept nogil:
    """A limit is met: all that follows stays as it is."""
    s.lost = True
    s.in_header = s.in_leaf = False
    s.coding = CODING_NONE


cdef int open_level(sevenbit_t *s, const mime_part_t *p) noexcept nogil:
    cdef sevenbit_level_t *level
    cdef uint32_t cap
    if s.n_levels == s.cap_levels:
        cap = s.cap_levels * 2 if s.cap_levels else 4
        level = <sevenbit_level_t*>realloc(s.levels, cap * sizeof(sevenbit_level_t))
        if level == NULL:
            return EC_NOMEM
        s.levels = level
        s.cap_levels = cap
    level = &s.levels[s.n_levels]
    memcpy(level.boundary, p.boundary.ptr, p.boundary.len)
    level.len = <uint8_t>p.boundary.len
    level.digest = is_digest(p)
    s.n_levels += 1
    return EC_OK


cdef int write_header(sevenbit_t *s, slice_t block, buf_t *out) noexcept nogil:
    """The block with another Content-Transfer-Encoding, and what RFC 1428 wants of mail that states nothing."""
    cdef header_walk_t w
    cdef header_field_t f
    cdef bint typed = False, versioned = not s.of_message
    cdef size_t at = 0
    cdef int rc, walked
    header_walk_init(&w, block, block.len)
    while True:
        walked = header_next(&w, &f)
        if walked == EC_NOTFOUND:
            break
        if walked != EC_OK:
            continue
        typed = typed or slice_ieq(f.name, slice_of(b"Content-Type"))
        versioned = versioned or slice_ieq(f.name, slice_of(b"MIME-Version"))
        if slice_ieq(f.name, slice_of(b"Content-Transfer-Encoding")):
            rc = buf_add(out, block.ptr + at, f.start - at)
            if rc != EC_OK:
                return rc
            at = f.end
    rc = buf_add(out, block.ptr + at, blank_at(block) - at)
    if rc == EC_OK and not versioned:
        rc = buf_add_z(out, b"MIME-Version: 1.0\r\n")
    if rc == EC_OK and not typed and s.coding != CODING_NONE:
        rc = buf_add_z(out, b"Content-Type: text/plain; charset=unknown-8bit\r\n")
    if rc == EC_OK:
        rc = buf_add_z(out, b"Content-Transfer-Encoding: ")
    if rc == EC_OK:
        rc = buf_add_z(out, NAMES[s.coding])
    if rc == EC_OK:
        rc = buf_add_z(out, b"\r\n\r\n")
    return rc


cdef size_t blank_at(slice_t block) noexcept nogil:
    """Where its blank line begins, with which it ends."""
    return block.len - (2 if block.len > 1 and block.ptr[block.len - 2] == c'\r' else 1)


cdef int end_header(sevenbit_t *s, buf_t *out) noexcept nogil:
    """All of the block is held, with its blank line."""
    cdef slice_t block = buf_slice(&s.held)
    cdef mime_part_t p
    cdef int rc = EC_OK
    mime_part_init(&p, s.in_digest)
    mime_part_read(&p, block)
    if slice_8bit(block):
        s.whole = False
    s.in_header = False
    s.in_leaf = encodable(&p)
    if s.writing and s.in_leaf and marked(s):
        s.coding = CODING_QUOTED_PRINTABLE if slice_ieq(p.type, slice_of(b"text")) else CODING_BASE64
    if s.writing and (s.coding != CODING_NONE or s.whole and states_8bit(&p)):
        rc = write_header(s, block, out)
    elif s.writing:
        rc = buf_add_slice(out, block)
    if rc == EC_OK and is_multipart(&p):
        if s.n_levels >= s.limits.depth:
            lose(s)
        else:
            rc = open_level(s, &p)
    buf_clear(&s.held)
    if holds_message(&p) and not s.lost:
        begin_header(s, False, True)
    return rc


cdef int cut_header(sevenbit_t *s, buf_t *out) noexcept nogil:
    """The block ends without a blank line."""
    cdef int rc = EC_OK
    if slice_8bit(buf_slice(&s.held)):
        s.whole = False
    if s.writing:
        rc = buf_add_slice(out, buf_slice(&s.held))
    buf_clear(&s.held)
    s.in_header = False
    return rc


# ---- lines -------------------------------------------------------------------------

cdef slice_t without_end(slice_t line) noexcept nogil:
    while line.len and (line.ptr[line.len - 1] == c'\n' or line.ptr[line.len - 1] == c'\r'):
        line.len -= 1
    return line


cdef int level_of(sevenbit_t *s, slice_t line, bint *close) noexcept nogil:
    """The open multipart whose boundary the line is; -1: none."""
    cdef int i = <int>s.n_levels - 1
    line = without_end(line)
    if line.len < 2 or line.ptr[0] != c'-' or line.ptr[1] != c'-':
        return -1
    while i >= 0 and not mime_boundary(slice_make(s.levels[i].boundary, s.levels[i].len), line, close):
        i -= 1
    return i


cdef int at_boundary(sevenbit_t *s, int level, bint close, slice_t line, buf_t *out) noexcept nogil:
    cdef bint digest = s.levels[level].digest
    cdef int rc = end_coding(s, out)
    if slice_8bit(line):
        s.whole = False
    if rc == EC_OK and s.writing:
        rc = buf_add_slice(out, line)
    s.n_levels = level + (0 if close else 1)
    s.in_leaf = s.in_header = False
    buf_clear(&s.held)
    if not close:
        begin_header(s, digest, False)
    return rc


cdef int header_line(sevenbit_t *s, slice_t piece, bint ends, buf_t *out) noexcept nogil:
    cdef slice_t line
    cdef bint close = False
    cdef int level, rc = buf_add_slice(&s.held, piece)
    if rc != EC_OK:
        return rc
    if s.held.len > s.limits.header_bytes:
        rc = cut_header(s, out)
        lose(s)
        s.in_line = not ends
        return rc
    if not ends:
        return EC_OK
    line = slice_make(s.held.ptr + s.line_at, s.held.len - s.line_at)
    level = level_of(s, line, &close)
    if level >= 0:
        return cut_by_boundary(s, level, close, line, out)
    if without_end(line).len == 0:
        return end_header(s, out)
    s.line_at = s.held.len
    return EC_OK


cdef int cut_by_boundary(sevenbit_t *s, int level, bint close, slice_t line, buf_t *out) noexcept nogil:
    cdef buf_t kept                     # the line lies in what is cut
    cdef int rc
    memset(&kept, 0, sizeof(kept))
    rc = buf_add_slice(&kept, line)
    s.held.len -= line.len
    if rc == EC_OK:
        rc = cut_header(s, out)
    if rc == EC_OK:
        rc = at_boundary(s, level, close, buf_slice(&kept), out)
    buf_free(&kept)
    return rc


cdef int body_line(sevenbit_t *s, slice_t piece, bint ends, buf_t *out) noexcept nogil:
    cdef bint close = False
    cdef int level, rc
    if s.in_line or s.n_levels == 0 or s.held.len == 0 and piece.ptr[0] != c'-':
        s.in_line = not ends
        return body(s, piece, out)
    rc = buf_add_slice(&s.held, piece)
    if rc != EC_OK or not ends and s.held.len <= LINE_MAX:
        return rc                       # it may be a boundary
    level = level_of(s, buf_slice(&s.held), &close) if ends else -1
    if level >= 0:
        return cut_by_boundary(s, level, close, buf_slice(&s.held), out)
    s.in_line = not ends
    rc = body(s, buf_slice(&s.held), out)
    buf_clear(&s.held)
    return rc


cdef int sevenbit_feed(sevenbit_t *s, slice_t content, buf_t *out) noexcept nogil:
    cdef const char *lf
    cdef slice_t piece
    cdef int rc = EC_OK
    while content.len and rc == EC_OK:
        lf = <const char*>memchr(content.ptr, c'\n', content.len)
        piece = slice_make(content.ptr, lf + 1 - content.ptr if lf != NULL else content.len)
        content = slice_make(content.ptr + piece.len, content.len - piece.len)
        if s.lost:
            rc = body(s, piece, out)
        elif s.in_header:
            rc = header_line(s, piece, lf != NULL, out)
        else:
            rc = body_line(s, piece, lf != NULL, out)
    return rc


cdef int sevenbit_end(sevenbit_t *s, buf_t *out) noexcept nogil:
    cdef bint close = False
    cdef int rc = EC_OK
    if s.in_header:
        rc = cut_header(s, out)
    elif s.held.len:                    # a last line without its end
        if level_of(s, buf_slice(&s.held), &close) >= 0:
            rc = end_coding(s, out)
        if rc == EC_OK:
            rc = body(s, buf_slice(&s.held), out)
        buf_clear(&s.held)
    if rc == EC_OK and s.coding == CODING_BASE64:
        rc = base64_line_end(s, out)
    return end_coding(s, out) if rc == EC_OK else rc


# ---- for tests ---------------------------------------------------------------------

def convert(chunks, uint32_t parts=1000, uint32_t depth=50, size_t header=1 << 20):
    """Content for a 7-bit peer; answers (bytes, whether all 8-bit data could be encoded)."""
    cdef mime_limits_t limits
    cdef sevenbit_t *s
    cdef buf_t out
    cdef slice_t chunk
    cdef int rc = EC_OK
    memset(&out, 0, sizeof(out))
    limits.bytes, limits.header_bytes, limits.parts, limits.depth = 0, header, parts, depth
    s = sevenbit_new(&limits)
    if s == NULL:
        raise MemoryError
    try:
        for writing in range(2):
            for data in chunks:
                chunk = slice_of_bytes(data)
                with nogil:
                    rc = sevenbit_feed(s, chunk, &out)
                if rc != EC_OK:
                    raise MemoryError
            if sevenbit_end(s, &out) != EC_OK:
                raise MemoryError
            if not writing:
                sevenbit_rewind(s)
        return slice_bytes(buf_slice(&out)), bool(s.whole)
    finally:
        sevenbit_free(s)
        buf_free(&out)


def strip(bytes content not None):
    """Content with all high bits off."""
    cdef bytearray room = bytearray(content)
    sevenbit_strip(room, len(room))
    return bytes(room)
