# What each verb does.

cdef void commands_start() noexcept nogil       # before loops run
