# pool_t: named threads for work that may block.  A job is embedded in what it
# is about; its `done` runs on the loop that gave it.
from libc.stdint cimport uint8_t, uint32_t

from pymomentum.core.c.posix cimport pthread_cond_t, pthread_mutex_t, pthread_t
from pymomentum.core.loop.loop cimport loop_t
from pymomentum.core.loop.post cimport post_t

cdef enum:
    POOL_THREADS = 64
    STACK_MIN = 65536       # a smaller one is made so large
    THREAD_NONE = 0
    THREAD_LIVE = 1
    THREAD_OVER = 2         # to be joined

ctypedef void (*job_fn)(job_t *j) noexcept nogil

cdef struct job_t:
    post_t post             # first: comes back to its loop by it
    job_t *next
    loop_t *loop            # NULL: nobody waits
    job_fn run              # on a pool thread
    job_fn done             # on `loop`; the job may be freed in it

cdef struct pool_t:
    char name[32]
    pthread_mutex_t lock
    pthread_cond_t ready
    job_t *head
    job_t *tail
    uint32_t queued
    uint32_t busy
    uint32_t threads            # at work or waiting for it
    uint32_t wanted
    size_t stack                # bytes of a thread's; 0: the system's
    bint patient                # its threads leave the CPU to the loops
    bint stopping
    pthread_t ids[POOL_THREADS]
    uint8_t life[POOL_THREADS]  # THREAD_...


cdef pool_t *pool_new(const char *name, uint32_t threads, size_t stack, bint patient) noexcept nogil   # NULL: no memory or no threads
cdef void pool_submit(pool_t *p, job_t *j, loop_t *loop, job_fn run, job_fn done) noexcept nogil
cdef void pool_resize(pool_t *p, uint32_t threads) noexcept nogil           # surplus ones end when they have nothing in hand
cdef void pool_stop(pool_t *p) noexcept nogil                               # runs what is queued, then joins
