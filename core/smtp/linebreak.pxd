# line_break_t: a body in wire form whose lines get no longer than a limit, by chunks of
# any size.  A line ends with CR LF or a lone LF; no UTF-8 character is cut.
from ..base.slice cimport slice_t

cdef struct line_break_t:
    size_t most                 # bytes of a line, its end and a stuffed dot not counted
    size_t column               # of the output
    bint in_start               # behind CR LF, or nothing read yet
    bint cr                     # a CR was read and waits for its LF; not written yet
    bint stuffed                # a line begins with a dot only now

cdef enum:
    LINE_BREAK_MIN = 8

cdef void line_break_init(line_break_t *b, size_t most) noexcept nogil
# Reads *used and writes *made bytes; call again while input is left.  `cap` is at least LINE_BREAK_MIN.
cdef void line_break(line_break_t *b, slice_t chunk, char *out, size_t cap, size_t *used, size_t *made) noexcept nogil
cdef size_t line_break_finish(line_break_t *b, char *out) noexcept nogil    # the end: writes what waits; bytes, at most four
