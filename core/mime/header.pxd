# Header fields in place: a walk over a header block, in order, without copies.
# Lines end in CR LF or LF; a line that begins with white space continues the field.
from ..base.slice cimport slice_t


cdef struct header_field_t:
    slice_t name            # borrowed
    slice_t value           # borrowed; raw: all behind the colon, folds included, last line end excluded
    size_t unfolded         # length of the value without its line ends
    size_t start            # offset of the name in the block
    size_t end              # behind the last line end

cdef struct header_walk_t:
    slice_t block           # borrowed; header fields, perhaps the body behind them
    size_t at               # where the next field begins
    size_t limit            # bytes of header it will read
    size_t bad              # after EC_SYNTAX: offset of the line that is no field
    bint ended              # the blank line was met; `at` is the body's first byte


cdef void header_walk_init(header_walk_t *w, slice_t block, size_t limit) noexcept nogil
# EC_NOTFOUND: no more fields; EC_SYNTAX: a line that is no field, the next call goes on
# behind it; EC_LIMIT: the header is longer than it may be.
cdef int header_next(header_walk_t *w, header_field_t *out) noexcept nogil
cdef int header_find(slice_t block, size_t limit, slice_t name, header_field_t *out) noexcept nogil    # the first; EC_NOTFOUND
# Offset of the body: behind the blank line, or the block's length where there is none.
cdef int header_end(slice_t block, size_t limit, size_t *body) noexcept nogil                          # EC_LIMIT
cdef size_t header_unfold(slice_t value, char *out) noexcept nogil      # out holds `unfolded` bytes; answers it
