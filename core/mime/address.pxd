# RFC 5322 address lists: From, To, Cc, Reply-To.
from libc.stdint cimport uint32_t

from ..base.slice cimport slice_t


cdef struct address_t:
    slice_t display         # borrowed, as all here; raw, may hold quotes, folds, encoded words; empty: none
    slice_t local           # as written, with quotes
    slice_t domain          # empty: none; a literal with its brackets
    slice_t group           # display name of the group it stands in; empty: none

cdef struct address_walk_t:
    slice_t text            # borrowed
    size_t at
    uint32_t left           # addresses it will still answer
    bint in_group
    slice_t group


cdef void address_walk_init(address_walk_t *w, slice_t text, uint32_t limit) noexcept nogil
# EC_NOTFOUND: no more; EC_SYNTAX: one that is none, the next call goes on behind the
# next comma; EC_LIMIT: more of them than it may read.
cdef int address_next(address_walk_t *w, address_t *out) noexcept nogil
