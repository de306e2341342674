"""Options that several layers may answer, the most specific first."""
from libc.stdint cimport uint32_t
from libc.stdlib cimport free


cdef value_t values_layered(const values_t *v, int option) noexcept nogil:
    cdef const pairs_t *said
    cdef int i
    cdef uint32_t k
    if v.layers[option] & LAYER_DOMAIN:
        for i in range(3):
            said = v.domain[i]
            if said != NULL:
                for k in range(said.n):
                    if said.at[k].option == option:
                        return said.at[k].value
    if v.binding != NULL and v.binding.said[option >> 6] >> (option & 63) & 1:
        return v.binding.v[option]
    return v.outer.v[option]


cdef bint values_same(const values_t *a, const values_t *b) noexcept nogil:
    return a == b or (a.layers == b.layers and a.outer == b.outer and a.binding == b.binding and a.domain[0] == b.domain[0]
                      and a.domain[1] == b.domain[1] and a.domain[2] == b.domain[2])


cdef void values_free(const values_t *v) noexcept nogil:
    if v != NULL and v.kept:
        free(<void*>v)


