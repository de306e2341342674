# The body between DATA and its lone dot: finding the end, making foreign line ends
# right, and taking the stuffed dots off.
#
# *Wire form* is what stands on the wire and in the spool: lines that begin with a dot
# have one more, the final dot line is not there.  Only CR LF ends a line; a lone CR
# or LF is kept as it came and judged by the flags.
from libc.stdint cimport uint64_t

from ..base.slice cimport slice_t


cdef enum data_flag_t:
    DATA_LONE_CR = 1
    DATA_LONE_LF = 2
    DATA_NUL = 4
    DATA_8BIT = 8
    DATA_STUFFED = 16           # a line begins with a dot: wire form and content differ

cdef struct data_scan_t:
    int state                   # where the last byte stands in its line
    int flags                   # data_flag_t
    uint64_t body               # bytes of the message so far, wire form
    uint64_t stuffed            # of them, dots that the receiver takes off
    uint64_t line               # of the line at hand, its line end not counted
    uint64_t longest            # line, likewise; any LF ends it

cdef struct data_piece_t:
    slice_t lead                # bytes held back from the chunk before, to be stored first; static
    slice_t body                # bytes of the chunk that belong to the message; borrowed
    size_t used                 # bytes of the chunk read; behind it is the next command

cdef struct dot_encode_t:
    bint wire                   # input is wire form; else plain content (BDAT, made mail)
    bint in_start               # input stands at the start of a line
    bint out_start              # output likewise
    bint cr                     # a CR was read and waits for its LF

cdef struct dot_decode_t:
    bint text                   # inside a line; cleared: at its start
    bint cr                     # the last byte was a CR


cdef void data_scan_init(data_scan_t *s) noexcept nogil
# Feed bytes as they come.  EC_OK: the end was found; EC_AGAIN: more, please.
# The message is every lead and body in turn.
cdef int data_scan_feed(data_scan_t *s, slice_t chunk, data_piece_t *out) noexcept nogil

# Writes wire form in which only CR LF ends a line.  Reads *used and writes *made bytes;
# call again while input is left.  `cap` is at least DOT_ENCODE_MIN.
cdef enum:
    DOT_ENCODE_MIN = 4
cdef void dot_encode_init(dot_encode_t *e, bint wire) noexcept nogil
cdef void dot_encode(dot_encode_t *e, slice_t chunk, char *out, size_t cap, size_t *used, size_t *made) noexcept nogil
# The end: writes the CR LF that is missing, at most two bytes; answers how many.
cdef size_t dot_encode_finish(dot_encode_t *e, char *out) noexcept nogil

cdef void dot_decode_init(dot_decode_t *d) noexcept nogil
# Wire form to content; out holds chunk.len bytes or is the chunk itself; answers bytes written.
cdef size_t dot_decode(dot_decode_t *d, slice_t chunk, char *out) noexcept nogil
