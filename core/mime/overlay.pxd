# overlay_t: edits of a message that leave the received bytes alone.  Counted and copied on write:
# recipients share one until one of them is edited.  What is in memory is what the spool keeps.
#
# Edits count as if made one after the other on what the ones before left.
from libc.stdint cimport uint8_t, uint32_t

from ..base.buf cimport buf_t
from ..base.slice cimport slice_t


cdef enum overlay_kind_t:       # in the spool: never renumbered
    OVERLAY_PREPEND = 1         # a field ahead of all others
    OVERLAY_APPEND = 2          # a field behind all others
    OVERLAY_REPLACE = 3         # the first field of that name gets the value, others go; appended where there is none
    OVERLAY_REMOVE = 4          # every field of that name
    OVERLAY_BODY = 5            # what stands behind the header; kept in wire form

cdef enum:
    OVERLAY_MAX = 1048576       # bytes of all edits
    OVERLAY_EDITS = 200

cdef struct overlay_t:
    uint32_t refs               # atomic
    uint32_t n
    buf_t bytes                 # of each edit: u8 kind, u8 0, u16 name length, u32 value length, name, value

cdef struct edit_t:
    int kind                    # overlay_kind_t, or one of a later version
    slice_t name                # borrowed, as the value
    slice_t value


# The pointer is NULL where nothing was edited.  A value may be folded (CR LF, white space); of a body any content is taken
# and no name.  EC_SYNTAX: no field name, or a value that would not stay in its field; EC_LIMIT; EC_NOMEM.
cdef int overlay_edit(overlay_t **o, int kind, slice_t name, slice_t value) noexcept nogil
cdef overlay_t *overlay_ref(overlay_t *o) noexcept nogil
cdef void overlay_unref(overlay_t *o) noexcept nogil
cdef slice_t overlay_bytes(const overlay_t *o) noexcept nogil
cdef bint overlay_next(slice_t bytes, size_t *cursor, edit_t *out) noexcept nogil           # walk; start with 0
cdef bint overlay_has_body(slice_t bytes) noexcept nogil
# Adds the edited header of `message`, in wire form and with its blank line, to out; *rest is what stands behind it, borrowed
# from the message or from the edits.  Of a large message the part that holds its header is enough.  EC_NOMEM.
cdef int overlay_render(slice_t message, slice_t bytes, buf_t *out, slice_t *rest) noexcept nogil
