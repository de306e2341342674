# The flusher thread: batches, syncs, books.
from pymomentum.core.spool.spool cimport spool_t

cdef void *flusher_main(void *spool) noexcept nogil
