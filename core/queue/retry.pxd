# When a message is tried again, and when never.
from libc.stdint cimport int64_t, uint32_t

from pymomentum.core.config.values cimport values_t

cdef uint32_t retry_delay(const values_t *v, uint32_t retries) noexcept nogil       # seconds before the next attempt
cdef int64_t retry_limit(const values_t *v) noexcept nogil                          # max_retries as a number; -1: none
