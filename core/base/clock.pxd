# Time: monotonic for waits, wall for records.  Nanoseconds unless the name says otherwise.
from libc.stdint cimport int64_t, uint64_t

cdef extern from *:
    """
    #include <time.h>
    #include <stdint.h>
    static inline uint64_t clock_mono_ns(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return (uint64_t)t.tv_sec * 1000000000ull + t.tv_nsec; }
    static inline uint64_t clock_wall_ns(void) { struct timespec t; clock_gettime(CLOCK_REALTIME, &t); return (uint64_t)t.tv_sec * 1000000000ull + t.tv_nsec; }
    static inline uint64_t clock_wall_us(void) { return clock_wall_ns() / 1000; }
    static inline uint64_t clock_mono_ms(void) { return clock_mono_ns() / 1000000; }
    """
    uint64_t clock_mono_ns() noexcept nogil
    uint64_t clock_mono_ms() noexcept nogil
    uint64_t clock_wall_ns() noexcept nogil
    uint64_t clock_wall_us() noexcept nogil
