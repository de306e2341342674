# limit_t: a number that must not be exceeded, shared by loops; who is refused may wait for it.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from pymomentum.core.base.atomic cimport atomic_cas64, atomic_fence, atomic_load32, atomic_load64, atomic_store64
from pymomentum.core.base.list cimport list_node_t
from pymomentum.core.c.posix cimport pthread_mutex_t
from pymomentum.core.loop.loop cimport loop_t
from pymomentum.core.loop.post cimport post_t

cdef struct limit_t:            # zeroed: ready for use
    uint64_t used               # atomic
    uint64_t going              # atomic: of them, those that are about to be given back
    uint64_t most               # atomic; as the last asker had it
    uint32_t waiting            # atomic: how many
    pthread_mutex_t lock        # of the list
    list_node_t waiters         # limit_waiter_t.node

cdef enum limit_waiter_state_t:
    WAITER_IDLE
    WAITER_QUEUED
    WAITER_POSTED               # on its way: its owner must live on

ctypedef void (*limit_fn)(limit_waiter_t *w) noexcept nogil

cdef struct limit_waiter_t:     # embedded in who asks; waits for one limit at a time
    post_t post                 # first
    list_node_t node
    loop_t *loop                # where fn runs
    limit_fn fn                 # there may be room: ask again
    limit_t *limit
    uint32_t state              # atomic


# False: there is room meanwhile, ask again.  It is called once, then forgotten.
cdef bint limit_wait(limit_t *l, limit_waiter_t *w) noexcept nogil
cdef bint limit_forget(limit_waiter_t *w) noexcept nogil        # from its loop; False: a call is on its way
cdef void limit_pass(limit_t *l) noexcept nogil                 # the next waiter, if there is room


cdef inline bint limit_take(limit_t *l, int64_t most) noexcept nogil:
    """One of at most `most`, a negative one being none; False: all are taken."""
    cdef uint64_t used
    if most >= 0 and atomic_load64(&l.most) != <uint64_t>most:
        atomic_store64(&l.most, most)
    while True:
        used = atomic_load64(&l.used)
        if most >= 0 and used >= <uint64_t>most:
            return False
        if atomic_cas64(&l.used, used, used + 1):
            return True


cdef inline bint limit_exceeded(limit_t *l, int64_t most) noexcept nogil:
    """More are taken than may be, those that go not counted."""
    if most >= 0 and atomic_load64(&l.most) != <uint64_t>most:
        atomic_store64(&l.most, most)
    return most >= 0 and <int64_t>(atomic_load64(&l.used) - atomic_load64(&l.going)) > most


cdef inline void limit_give(limit_t *l) noexcept nogil:
    cdef uint64_t used
    while True:
        used = atomic_load64(&l.used)
        if used == 0 or atomic_cas64(&l.used, used, used - 1):
            break
    atomic_fence()                      # who waits lists itself, then looks; we give, then look for it
    if atomic_load32(&l.waiting):
        limit_pass(l)
