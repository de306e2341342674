# What the peer answers.

cdef void response_start() noexcept nogil       # before loops run
