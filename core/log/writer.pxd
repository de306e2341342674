# log_t: a file, its writer thread and a ring per loop.  Loops never write to files.
# Which kinds of lines are wanted is one word, asked before a line is made.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from pymomentum.core.base.slice cimport slice_t
from pymomentum.core.c.posix cimport pthread_cond_t, pthread_mutex_t, pthread_t
from pymomentum.core.loop.loop cimport LOOP_MAX, loop_t

cdef enum:
    LOG_MAIN
    LOG_BOUNCE
    LOG_REJECT
    LOG_PANIC
    LOG_COUNT

cdef enum:                      # kinds of lines that an option switches on and off
    WANT_RECEPTIONS = 1
    WANT_DELIVERIES = 2
    WANT_TRANSIENT = 4          # of the mainlog
    WANT_PERMANENT = 8
    WANT_REJECTIONS = 16
    WANT_ERRORS = 32
    WANT_INBAND = 64            # of the bouncelog
    WANT_BOUNCE_TRANSIENT = 128

cdef struct ring_t:             # bytes of whole lines; one loop puts, the writer takes
    char *data
    uint64_t size               # power of two
    uint64_t head               # written so far; atomic, the loop's
    uint64_t tail               # free again up to here, a page's begin; atomic, the writer's
    uint64_t taken              # written to the file so far; the writer's
    uint64_t dropped            # lines that found it full

cdef struct log_t:
    int which
    char path[1024]             # empty: what comes is dropped; under lock
    int fd                      # the writer's
    int next_fd                 # handed over: goes on there; -1: none; under lock
    uint32_t mode               # under lock
    ring_t rings[LOOP_MAX + 1]  # the last is for threads that are no loop, under lock
    pthread_t thread
    pthread_mutex_t lock
    pthread_cond_t work
    uint32_t idle               # the writer sleeps until told; atomic
    uint32_t reopen             # atomic: next_fd, or path by name again
    uint32_t stopping
    uint32_t failed             # errno of the last write; 0: fine
    uint64_t heartbeat_ms       # 0: none; atomic
    uint64_t written            # bytes


cdef bint log_wants(uint32_t kind) noexcept nogil                           # one load; before the line is made
cdef int log_put(loop_t *loop, int which, slice_t line) noexcept nogil      # with its newline; EC_LIMIT: full. loop NULL: any thread
cdef bint log_room(loop_t *loop, int which, uint64_t bytes) noexcept nogil
cdef void log_panic(loop_t *loop, const char *subsystem, const char *format, ...) noexcept nogil     # an error
cdef void log_at(loop_t *loop, int level, const char *subsystem, const char *format, ...) noexcept nogil
cdef uint64_t log_time(uint64_t wall_us) noexcept nogil                     # the first field of a line
