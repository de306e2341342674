"""Left-glob lists, such as relay_domains."""
from pymomentum.core.base.slice cimport slice_ends_i, slice_ieq, slice_make, slice_t
from .values cimport opt_list_t


cdef bint globs_hold(const opt_list_t *list, slice_t domain) noexcept nogil:
    cdef size_t i
    cdef slice_t g
    if list == NULL:
        return False
    for i in range(list.n):
        g = list.items[i]
        if g.len and g.ptr[0] == c'*':
            if slice_ends_i(domain, slice_make(g.ptr + 1, g.len - 1)):
                return True
        elif slice_ieq(g, domain):
            return True
    return False
