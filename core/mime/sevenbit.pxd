# sevenbit_t: content on its way to a peer that takes 7 bits only (RFC 6152 3).
# Text with 8-bit data becomes quoted-printable, anything else base64; parts without
# any stay as they are.  Content comes twice: once to be judged, once to be written.
from libc.stdint cimport uint8_t, uint32_t

from ..base.buf cimport buf_t
from ..base.slice cimport slice_t
from .part cimport BOUNDARY_MAX, mime_limits_t

cdef enum sevenbit_coding_t:
    CODING_NONE                 # as it is
    CODING_QUOTED_PRINTABLE
    CODING_BASE64

cdef struct sevenbit_level_t:   # an open multipart
    char boundary[BOUNDARY_MAX]
    uint8_t len
    bint digest                 # its parts are messages where they do not say otherwise

cdef struct sevenbit_t:
    mime_limits_t limits        # bytes is not looked at
    bint writing                # the second time
    bint whole                  # judged: all 8-bit data stands where it can be encoded
    bint lost                   # a limit was met: what follows is not told apart
    bint in_header
    bint in_leaf                # behind the header of a part that may be encoded
    bint in_line
    bint in_digest              # the header being read is of a digest's part
    bint of_message             # likewise of a message
    buf_t held                  # the header block so far, or a line that may be a boundary
    size_t line_at              # in `held`: the header line at hand
    sevenbit_level_t *levels    # innermost last
    uint32_t n_levels
    uint32_t cap_levels
    uint32_t part               # number of the part at hand, the message itself is 1
    uint8_t *eight              # bit per part: it holds 8-bit data; grows
    size_t cap_eight
    int coding                  # of the part at hand, while writing
    uint32_t column             # of the quoted-printable line
    char blank                  # a blank that waits for what follows it; 0: none
    bint line_end               # base64: a line end that waits, as the last one belongs to the boundary
    char three[57]              # base64: a line's worth
    uint32_t n_three


cdef sevenbit_t *sevenbit_new(const mime_limits_t *limits) noexcept nogil       # NULL: no memory
cdef void sevenbit_free(sevenbit_t *s) noexcept nogil                           # NULL is fine
# The next bytes of content (not wire form: no stuffed dots), lines ended by CR LF; `out` is added to.  EC_NOMEM.
cdef int sevenbit_feed(sevenbit_t *s, slice_t content, buf_t *out) noexcept nogil
cdef int sevenbit_end(sevenbit_t *s, buf_t *out) noexcept nogil
cdef void sevenbit_rewind(sevenbit_t *s) noexcept nogil                         # judged: from now on write
# In place: high bits off.  What would become a control character becomes a question mark: it could end a line or a field.
cdef void sevenbit_strip(char *p, size_t n) noexcept nogil
