from pymomentum.core.base.slice cimport slice_t
from .session cimport session_t

cdef bint xclient_announce(session_t *s, char *line, size_t size) noexcept nogil    # the EHLO line; False: not for this client
cdef bint xclient_take(session_t *s, slice_t args) noexcept nogil                   # True: the session begins anew as another's
