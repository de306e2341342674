# CRC32C (Castagnoli), by SSE4.2 where the processor has it.
from libc.stdint cimport uint32_t

cdef uint32_t crc32c(uint32_t crc, const void *p, size_t n) noexcept nogil
