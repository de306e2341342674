# values_t: how every core option is answered for one asker, out of answers that
# many share.  An option that no binding sets is one load behind a check; what
# bindings and Domain stanzas inside them say is looked for among at most four
# places.  Answers live as long as their generation.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from pymomentum.core.base.cidr cimport cidr_set_t
from pymomentum.core.base.slice cimport slice_t
from pymomentum.core.loop.limit cimport limit_t

include "option_ids.pxi"      # OPT_<NAME>, OPT_COUNT, OPT_WORDS of 64 bits for as many, and one enum per enumerated option

cdef struct opt_list_t:
    size_t n
    slice_t *items              # a dictionary is key, value, key, value

cdef struct throttle_t:         # one per declaring scope instance, shared by reference; it outlives generations
    uint64_t arrival_ns         # theoretical arrival time, advanced by compare-and-swap
    uint64_t interval_ns        # between two takes at the even rate; 0: unlimited
    uint64_t window_ns

cdef struct limit_ref_t:        # what a scope instance declares, or a chain of them
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

cdef struct pair_t:
    int option
    value_t value

cdef struct pairs_t:            # what one stanza sets
    uint32_t n
    uint32_t room
    pair_t *at                  # arena

cdef struct answers_t:          # every option as one chain of scopes answers it
    value_t v[OPT_COUNT]
    uint64_t said[OPT_WORDS]   # a bit for each option that a scope of the chain sets

cdef enum layer_t:              # bits
    LAYER_DOMAIN = 1            # some Domain inside a binding or group sets the option
    LAYER_BINDING = 2           # some binding or group does

cdef struct values_t:
    const uint8_t *layers       # by option: layers to ask before `outer`
    const answers_t *outer      # of the Domain outside bindings, or global; of listener and Peer
    const answers_t *binding    # of the binding and its group; NULL: they say nothing
    const pairs_t *domain[3]    # Domain in Binding in its group, in Binding outside, in the group; NULL: there is none
    bint kept                   # owned by who asked for it


cdef value_t values_layered(const values_t *v, int option) noexcept nogil       # an option that layers[option] is not 0 for
cdef bint values_same(const values_t *a, const values_t *b) noexcept nogil      # whether all answers are the same
cdef void values_free(const values_t *v) noexcept nogil                         # one that is kept; leaves shared ones alone


cdef inline value_t opt_value(const values_t *v, int option) noexcept nogil:
    return v.outer.v[option] if v.layers[option] == 0 else values_layered(v, option)


cdef inline int64_t opt_number(const values_t *v, int option) noexcept nogil:
    return opt_value(v, option).number


cdef inline const slice_t *opt_text(const values_t *v, int option) noexcept nogil:
    return opt_value(v, option).text


cdef inline const opt_list_t *opt_list(const values_t *v, int option) noexcept nogil:
    return opt_value(v, option).items


cdef inline const cidr_set_t *opt_nets(const values_t *v, int option) noexcept nogil:
    return opt_value(v, option).nets


cdef inline const limit_ref_t *opt_limit(const values_t *v, int option) noexcept nogil:
    return opt_value(v, option).limit


cdef inline throttle_t *opt_throttle(const values_t *v, int option) noexcept nogil:
    return opt_value(v, option).throttle
