# Lists of domain names with a star in front.
from pymomentum.core.base.slice cimport slice_t
from .values cimport opt_list_t

# "*.example.com" holds every name below, not the bare one; "*" holds all.  NULL holds none.
cdef bint globs_hold(const opt_list_t *list, slice_t domain) noexcept nogil
