# The option `routes`: several lookups, one answer.
from pymomentum.core.base.slice cimport slice_t
from pymomentum.core.config.values cimport opt_list_t
from pymomentum.core.loop.loop cimport loop_t
from .mx cimport mx_done_fn, mx_query_t

cdef enum:
    ROUTE_FIELDS = 5            # of one route in the list: host, port, preference, TTL, type

# As mx_lookup, which `domain` and flags are for where a route says __mx__; mx_cancel ends it too.
cdef int routes_lookup(loop_t *loop, const opt_list_t *routes, slice_t domain, int flags, mx_query_t *q, mx_done_fn done) noexcept nogil
