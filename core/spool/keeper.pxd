# The keeper thread: spares, recycling, reading survivors, removing large files.

cdef void *keeper_main(void *spool) noexcept nogil
