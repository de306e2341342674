# Megabytes written and removed so that a small message's sync does not stand behind them.
from libc.stdint cimport uint64_t

cdef bint bulk_write(int fd, const char *p, size_t n, uint64_t at) noexcept nogil          # False: errno
cdef void bulk_remove(const char *path, const bint *hurry) noexcept nogil                   # the name at once, the blocks in steps until *hurry; NULL: no steps
cdef void bulk_remove_fd(int fd, const bint *hurry) noexcept nogil                          # the same of an open file; closes it
