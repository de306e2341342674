# PROXY headers ahead of sessions.

cdef void proxied_start() noexcept nogil        # before loops run
