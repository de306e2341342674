"""Listening sockets.

Python binds them (an error there is a configuration error with a line), the
engine polls them on loop 0 and hands each accepted descriptor to the loop
with the fewest sessions among those of the listener's pool.  A socket outlives
reloads that keep its address.  Where `concurrency` bounds the accept phases of a
listener, further connections wait in a queue, and when that is full in the kernel.
"""
from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport strncpy

from pymomentum.core.base.atomic cimport atomic_add32, atomic_cas32, atomic_load32, atomic_store32
from pymomentum.core.base.slice cimport slice_eq, slice_of
from pymomentum.core.base.timewheel cimport timer_entry_t, timer_init
from pymomentum.core.c.posix cimport last_errno, posix_close
from pymomentum.core.c.uv cimport (UV_READABLE, as_handle, uv_close, uv_handle_t, uv_is_closing, uv_poll_init, uv_poll_start, uv_poll_stop, uv_poll_t)
from pymomentum.core.config.generation cimport config_generation_t, config_listen, config_listen_count, config_listen_t
from pymomentum.core.log.level cimport LEVEL_CRITICAL
from pymomentum.core.log.writer cimport log_at
from pymomentum.core.loop.loop cimport COUNT_INBOUND, loop_at, loop_call, loop_count, loop_t, loop_timer_clear, loop_timer_set
from pymomentum.core.loop.post cimport post_t
from .budget cimport budget_accepts

cdef extern from "sys/socket.h" nogil:
    int accept4(int, void*, void*, int)
    int SOCK_NONBLOCK
    int SOCK_CLOEXEC

cdef extern from "errno.h" nogil:
    int EMFILE
    int ENFILE
    int ENOBUFS
    int ENOMEM

cdef enum:
    ACCEPTS = 64                # per wake-up, so that sessions get their turn
    PAUSE_MS = 250
    TELL_MS = 60000
    LISTENERS = 4096            # those that are closed and have sessions count

cdef struct arrival_t:          # a descriptor on its way to another loop
    post_t post                 # first
    arrival_t *next             # that waits
    loop_t *loop
    listener_t *listener
    int fd
    bint counted

cdef accept_fn accepted = NULL
cdef listener_t *listeners[LISTENERS]
cdef int count = 0


cdef void listener_start(accept_fn fn) noexcept nogil:
    global accepted
    accepted = fn


cdef const config_listen_t *listener_conf(listener_t *l, config_generation_t *g) noexcept nogil:
    cdef size_t i
    cdef const config_listen_t *c
    for i in range(config_listen_count(g)):
        c = config_listen(g, i)
        if slice_eq(c.name, slice_of(l.name)):
            return c
    return NULL


cdef void on_arrival(post_t *p) noexcept nogil:
    cdef arrival_t *a = <arrival_t*>p
    accepted(a.loop, a.fd, a.listener, a.counted)
    free(a)


cdef loop_t *least_loaded(const listener_t *l) noexcept nogil:
    cdef int i
    cdef loop_t *best = loop_at(l.first)
    for i in range(l.first + 1, l.first + l.loops):
        if loop_at(i).counters[COUNT_INBOUND] < best.counters[COUNT_INBOUND]:
            best = loop_at(i)
    return best


cdef void on_pause_over(timer_entry_t *t) noexcept nogil:
    cdef listener_t *l = NULL
    l = <listener_t*>(<char*>t - (<char*>&l.timer - <char*>l))
    uv_poll_start(&l.poll, UV_READABLE, on_ready)


cdef void pause(listener_t *l) noexcept nogil:
    """Nothing can be accepted now: who knocks waits in the backlog, and the loop does not spin."""
    cdef loop_t *loop = loop_at(0)
    uv_poll_stop(&l.poll)
    loop_timer_set(loop, &l.timer, PAUSE_MS)
    if l.told_ms == 0 or loop.now_ms - l.told_ms > TELL_MS:
        l.told_ms = loop.now_ms
        log_at(loop, LEVEL_CRITICAL, b"LISTENER", b"%s: out of file descriptors or memory for more connections (server_max_file_descriptors)", l.name)


cdef void hand_over(listener_t *l, int fd, bint counted) noexcept nogil:
    cdef loop_t *loop = least_loaded(l)
    cdef arrival_t *a
    l.accepting += counted
    if loop == loop_at(0):
        accepted(loop, fd, l, counted)
        return
    a = <arrival_t*>calloc(1, sizeof(arrival_t))
    if a == NULL:
        posix_close(fd)
        l.accepting -= counted
        return
    a.loop = loop
    a.listener = l
    a.fd = fd
    a.counted = counted
    loop_call(loop, &a.post, on_arrival)


cdef void wait(listener_t *l, int fd) noexcept nogil:
    cdef arrival_t *a = <arrival_t*>calloc(1, sizeof(arrival_t))
    if a == NULL:
        posix_close(fd)
        return
    a.fd = fd
    l.last_waiting[0] = a
    l.last_waiting = <void**>&a.next
    l.waiting += 1


cdef void next_waiting(listener_t *l, bint close) noexcept nogil:
    cdef arrival_t *a = <arrival_t*>l.first_waiting
    l.first_waiting = a.next
    if a.next == NULL:
        l.last_waiting = &l.first_waiting
    l.waiting -= 1
    if close:
        posix_close(a.fd)
    else:
        hand_over(l, a.fd, True)
    free(a)


cdef void on_told(post_t *p) noexcept nogil:
    cdef listener_t *l = NULL
    cdef uint32_t n, most
    l = <listener_t*>(<char*>p - (<char*>&l.telling - <char*>l))
    atomic_store32(&l.told, 0)
    n = atomic_load32(&l.done)
    atomic_add32(&l.done, -<int>n)
    l.accepting -= n
    most = atomic_load32(&l.most)
    while l.waiting and (most == 0 or l.accepting < most):
        next_waiting(l, False)
    if l.full and not has_gone(l) and not is_full(l):
        l.full = False
        uv_poll_start(&l.poll, UV_READABLE, on_ready)


cdef void listener_accepted(listener_t *l) noexcept nogil:
    atomic_add32(&l.done, 1)
    if atomic_cas32(&l.told, 0, 1):
        loop_call(loop_at(0), &l.telling, on_told)


cdef inline bint has_gone(listener_t *l) noexcept nogil:
    return l.fd < 0 or uv_is_closing(as_handle(&l.poll))


cdef inline bint is_full(listener_t *l) noexcept nogil:
    """Nobody else may wait."""
    cdef uint32_t most = atomic_load32(&l.most), room = atomic_load32(&l.room)
    return most and room and l.accepting >= most and l.waiting >= room


cdef void on_ready(uv_poll_t *h, int status, int events) noexcept nogil:
    cdef listener_t *l = <listener_t*>h.data
    cdef uint32_t most = atomic_load32(&l.most), turn = atomic_load32(&l.events), i
    cdef int fd
    for i in range(turn if turn else <uint32_t>ACCEPTS):
        if not budget_accepts():
            pause(l)
            return
        if is_full(l):
            l.full = True
            uv_poll_stop(h)
            return
        fd = accept4(l.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)
        if fd < 0:
            if last_errno() in (EMFILE, ENFILE, ENOBUFS, ENOMEM):
                pause(l)
            return
        l.accepted += 1
        if most and l.accepting >= most:
            wait(l, fd)
        else:
            hand_over(l, fd, most > 0)


cdef void on_open(post_t *p) noexcept nogil:
    cdef listener_t *l = NULL
    l = <listener_t*>(<char*>p - (<char*>&l.post - <char*>l))
    uv_poll_init(&loop_at(0).uv, &l.poll, l.fd)
    l.poll.data = l
    uv_poll_start(&l.poll, UV_READABLE, on_ready)


cdef void on_poll_closed(uv_handle_t *h) noexcept nogil:
    cdef listener_t *l = <listener_t*>h.data
    posix_close(l.fd)
    l.fd = -1


cdef void on_close(post_t *p) noexcept nogil:
    cdef listener_t *l = NULL
    l = <listener_t*>(<char*>p - (<char*>&l.post - <char*>l))
    loop_timer_clear(loop_at(0), &l.timer)
    while l.waiting:
        next_waiting(l, True)
    uv_close(as_handle(&l.poll), on_poll_closed)


def open_listener(str name not None, int fd, int first, int loops):
    """Serve a bound, listening, non-blocking socket on these loops; the engine owns it from here.  Answers its number."""
    global count
    cdef listener_t *l
    cdef bytes b = name.encode()
    cdef int i
    for i in range(count):
        if listeners[i].fd < 0 and listeners[i].sessions.used == 0 and listeners[i].accepting == 0:
            break
    else:
        i = count
    if loops < 1 or not 0 <= first <= loop_count() - loops:
        raise ValueError(f"no loops {first} to {first + loops - 1}")
    if i == LISTENERS or len(b) >= sizeof(l.name):
        raise ValueError("too many listeners, or too long a name")
    if i == count:
        listeners[i] = <listener_t*>calloc(1, sizeof(listener_t))
        if listeners[i] == NULL:
            raise MemoryError
        count += 1
    l = listeners[i]
    strncpy(l.name, b, sizeof(l.name) - 1)
    l.fd = fd
    l.first = first
    l.loops = loops
    l.full = False
    l.last_waiting = &l.first_waiting
    timer_init(&l.timer, on_pause_over)
    loop_call(loop_at(0), &l.post, on_open)
    return i


def pace_listener(int number, uint32_t events, uint32_t most, uint32_t room):
    """Set how it accepts: in one turn of the loop, in their accept phase at once, waiting for that; 0: our own bound, or none."""
    atomic_store32(&listeners[number].events, events)
    atomic_store32(&listeners[number].most, most)
    atomic_store32(&listeners[number].room, room)
    if atomic_cas32(&listeners[number].told, 0, 1):     # some may go on now
        loop_call(loop_at(0), &listeners[number].telling, on_told)


def close_listener(int number):
    """Stop accepting; sessions go on."""
    loop_call(loop_at(0), &listeners[number].post, on_close)
