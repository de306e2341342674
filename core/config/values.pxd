# values_t: every core option as one chain of scopes answers it, compiled on
# first use; reading one is one load.  Lives as long as its generation.
from libc.stdint cimport int64_t, uint64_t

from pymomentum.core.base.cidr cimport cidr_set_t
from pymomentum.core.base.slice cimport slice_t
from pymomentum.core.loop.limit cimport limit_t

include "option_ids.pxi"      # OPT_<NAME>, OPT_COUNT, and one enum per enumerated option

cdef struct opt_list_t:
    size_t n
    slice_t *items              # a dictionary is key, value, key, value

cdef struct throttle_t:         # one per declaring scope instance, shared by reference; it outlives generations
    uint64_t arrival_ns         # theoretical arrival time, advanced by compare-and-swap
    uint64_t interval_ns        # between two takes at the even rate; 0: unlimited
    uint64_t window_ns

cdef struct limit_ref_t:        # what a scope instance declares
    limit_t *limit              # all that fall back to it count there; it outlives generations
    int64_t most
    limit_ref_t *outer          # counts too; NULL: none

cdef union value_t:
    int64_t number              # numbers, booleans, octals, enum ids; seconds and bytes unless the row says so
    const slice_t *text         # NULL: unset
    const opt_list_t *items     # lists and dictionaries; NULL: unset
    const cidr_set_t *nets      # lists of networks; NULL: unset
    throttle_t *throttle        # NULL: unlimited
    limit_ref_t *limit          # NULL: unlimited

cdef struct values_t:
    value_t v[OPT_COUNT]


cdef inline int64_t opt_number(const values_t *v, int option) noexcept nogil:
    return v.v[option].number


cdef inline const slice_t *opt_text(const values_t *v, int option) noexcept nogil:
    return v.v[option].text


cdef inline const opt_list_t *opt_list(const values_t *v, int option) noexcept nogil:
    return v.v[option].items


cdef inline const cidr_set_t *opt_nets(const values_t *v, int option) noexcept nogil:
    return v.v[option].nets


cdef inline const limit_ref_t *opt_limit(const values_t *v, int option) noexcept nogil:
    return v.v[option].limit


cdef inline throttle_t *opt_throttle(const values_t *v, int option) noexcept nogil:
    return v.v[option].throttle
