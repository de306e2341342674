"""One uv loop, one thread, no GIL.

`create(n)` makes the loops; `run(i)` is called on a Python thread and stays in
libuv until `loop_stop`.  An iteration: poll, callbacks, inbox, then the
flushers (replies, spool batches, log lines) before the loop sleeps.  A loop
that is awake looks into its inbox by itself; only one asleep is woken.
"""
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, malloc

from pymomentum.core.base.atomic cimport (atomic_add64, atomic_casp, atomic_fence, atomic_load32, atomic_load64, atomic_loadp,
                                          atomic_store32, atomic_store64, atomic_swapp)
from pymomentum.core.base.clock cimport clock_mono_ms, clock_wall_us
from pymomentum.core.base.status cimport EC_LIMIT, EC_OK
from pymomentum.core.base.timewheel cimport (TIMEWHEEL_TICK_MS, timer_clear, timer_entry_t, timer_set, timewheel_advance,
                                             timewheel_init)
from pymomentum.core.c.sched cimport thread_prompt
from pymomentum.core.c.uv cimport (UV_RUN_DEFAULT, uv_async_init, uv_async_send, uv_async_t, uv_check_init, uv_check_start,
                                   uv_check_t, uv_loop_init, uv_prepare_init, uv_prepare_start, uv_prepare_t, uv_run,
                                   uv_stop, uv_strerror, uv_timer_init, uv_timer_start, uv_timer_t)
from .post cimport post_t

cdef loop_t *loops[LOOP_MAX]
cdef int count = 0


cdef int loop_count() noexcept nogil:
    return count


cdef loop_t *loop_at(int index) noexcept nogil:
    return loops[index]


cdef void loop_post(loop_t *loop, post_t *p) noexcept nogil:
    cdef post_t *head
    while True:
        head = <post_t*>atomic_loadp(&loop.inbox)
        p.next = head
        if atomic_casp(&loop.inbox, head, p):
            break
    atomic_fence()                      # the loop says that it sleeps, then looks; we put, then ask
    if head == NULL and atomic_load32(&loop.asleep):
        uv_async_send(&loop.wake)


cdef void drain_inbox(loop_t *loop) noexcept nogil:
    cdef post_t *p = <post_t*>atomic_swapp(&loop.inbox, NULL)
    cdef post_t *first = NULL
    cdef post_t *next
    while p != NULL:                    # newest first: turn it round
        next = p.next
        p.next = first
        first = p
        p = next
    while first != NULL:
        next = first.next
        first.fn(first)
        first = next


cdef void refresh_clock(loop_t *loop) noexcept nogil:
    loop.now_ms = clock_mono_ms()
    loop.wall_us = clock_wall_us()


cdef void on_wake(uv_async_t *h) noexcept nogil:
    cdef loop_t *loop = <loop_t*>h.data
    if atomic_load32(&loop.state) == LOOP_STOPPED:
        drain_inbox(loop)               # what was sent before the stop is done before it
        uv_stop(&loop.uv)


cdef void on_check(uv_check_t *h) noexcept nogil:
    cdef loop_t *loop = <loop_t*>h.data
    atomic_store32(&loop.asleep, 0)
    refresh_clock(loop)


cdef void on_prepare(uv_prepare_t *h) noexcept nogil:
    cdef loop_t *loop = <loop_t*>h.data
    cdef unsigned int i
    atomic_add64(loop.heartbeat, 1)
    drain_inbox(loop)
    loop.work_seq[0] = 0
    for i in range(loop.flusher_count):
        loop.flushers[i](loop)
    atomic_store32(&loop.asleep, 1)
    atomic_fence()
    if atomic_loadp(&loop.inbox) != NULL:
        uv_async_send(&loop.wake)       # the poll ends at once


cdef uint32_t timed_events = 1024      # atomic: timers of one turn


cdef void on_tick(uv_timer_t *h) noexcept nogil:
    cdef loop_t *loop = <loop_t*>h.data
    refresh_clock(loop)
    timewheel_advance(&loop.wheel, loop.now_ms, atomic_load32(&timed_events))


cdef void loop_timer_set(loop_t *loop, timer_entry_t *t, uint64_t after_ms) noexcept nogil:
    timer_set(&loop.wheel, t, loop.now_ms + after_ms)


cdef void loop_timer_clear(loop_t *loop, timer_entry_t *t) noexcept nogil:
    timer_clear(&loop.wheel, t)


cdef int loop_add_flusher(loop_t *loop, loop_fn fn) noexcept nogil:
    if loop.flusher_count == LOOP_FLUSHERS:
        return EC_LIMIT
    loop.flushers[loop.flusher_count] = fn
    loop.flusher_count += 1
    return EC_OK


cdef void loop_stop(loop_t *loop) noexcept nogil:
    atomic_store32(&loop.state, LOOP_STOPPED)
    uv_async_send(&loop.wake)


cdef loop_t *new_loop(int index) except NULL:
    cdef loop_t *loop = <loop_t*>calloc(1, sizeof(loop_t))
    cdef int rc
    if loop == NULL:
        raise MemoryError
    loop.index = index
    loop.heartbeat = &loop.own_heartbeat
    loop.work_seq = &loop.own_work_seq
    loop.read_buffer = <char*>malloc(LOOP_READ_BUFFER)
    if loop.read_buffer == NULL:
        raise MemoryError
    rc = uv_loop_init(&loop.uv)
    if rc == 0:
        rc = uv_prepare_init(&loop.uv, &loop.prepare)
    if rc == 0:
        rc = uv_check_init(&loop.uv, &loop.check)
    if rc == 0:
        rc = uv_async_init(&loop.uv, &loop.wake, on_wake)
    if rc == 0:
        rc = uv_timer_init(&loop.uv, &loop.tick)
    if rc:
        raise OSError(-rc, uv_strerror(rc).decode())
    loop.uv.data = loop.prepare.data = loop.check.data = loop.wake.data = loop.tick.data = loop
    uv_prepare_start(&loop.prepare, on_prepare)
    uv_check_start(&loop.check, on_check)
    uv_timer_start(&loop.tick, on_tick, TIMEWHEEL_TICK_MS, TIMEWHEEL_TICK_MS)
    refresh_clock(loop)
    timewheel_init(&loop.wheel, loop.now_ms)
    return loop


def create(int n):
    """Make n event loops, once per process; raises ValueError where n is out of range."""
    global count
    if count or not 1 <= n <= LOOP_MAX:
        raise ValueError(f"1 to {LOOP_MAX} loops, once")
    for i in range(n):
        loops[i] = new_loop(i)
    count = n


def run(int index):
    """Run loop `index` on the calling thread until it is stopped."""
    cdef loop_t *loop = loops[index]
    atomic_store32(&loop.state, LOOP_RUNNING)
    with nogil:
        thread_prompt()
        uv_run(&loop.uv, UV_RUN_DEFAULT)
    atomic_store64(loop.heartbeat, 0)       # not hung: done


def pace(int timers):
    """So many timers of a loop are run before it looks at its sockets again."""
    atomic_store32(&timed_events, timers)


def share(unsigned char[::1] page not None, int step, int in_hand):
    """Keep heartbeats at page[i * step] and sequences in hand at page[in_hand + i * step]; the page outlives the loops."""
    cdef int i
    if page.shape[0] < in_hand + count * step:
        raise ValueError("the page is too small")
    for i in range(count):
        loops[i].heartbeat = <uint64_t*>&page[i * step]
        loops[i].work_seq = <uint64_t*>&page[in_hand + i * step]


def stop_all():
    """Make every loop leave its `run`, at once."""
    for i in range(count):
        loop_stop(loops[i])


def heartbeats():
    """A number per loop that grows with every iteration."""
    return [atomic_load64(loops[i].heartbeat) for i in range(count)]


def counters():
    """The sum over loops of every counter, in the order of loop.pxd."""
    return [sum(loops[i].counters[k] for i in range(count)) for k in range(COUNT_COUNT)]
