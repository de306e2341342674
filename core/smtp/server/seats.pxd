# seats_t: what a session holds of listener_sessions and service_sessions, one of each scope that counts for it.
from libc.stdint cimport uint32_t

from pymomentum.core.config.values cimport values_t
from pymomentum.core.loop.limit cimport limit_t

cdef enum:
    SEATS_MOST = 16             # Peer, Listen, listener and three of pathways, twice, and some to spare

cdef struct seats_t:            # zeroed: none
    limit_t *held[SEATS_MOST]   # each once; they outlive generations
    uint32_t n


cdef bint seats_take(seats_t *s, const values_t *values) noexcept nogil         # False: there is no room in one, and none is held
cdef void seats_give(seats_t *s) noexcept nogil
cdef void seats_renew(seats_t *s, const values_t *values) noexcept nogil        # those of other values, room or not
