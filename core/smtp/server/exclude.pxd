from pymomentum.core.base.buf cimport buf_t
from pymomentum.core.base.slice cimport slice_t
from pymomentum.core.config.values cimport opt_list_t

# The pairs of a context whose names match none of the expressions; answers the context, or what is in `room`.
cdef slice_t exclude_pairs(slice_t pairs, const opt_list_t *expressions, buf_t *room) noexcept nogil
