"""Limits that cross loops.

Taking and giving is one compare-and-swap.  Who is refused joins the limit's
list once; each unit given back wakes the first, who asks again, and passes
the call on where it leaves room.
"""
from libc.stdint cimport uint32_t

from pymomentum.core.base.atomic cimport atomic_add32, atomic_fence, atomic_load32, atomic_load64, atomic_store32
from pymomentum.core.base.list cimport list_append, list_empty, list_init, list_remove
from pymomentum.core.c.posix cimport pthread_mutex_lock, pthread_mutex_unlock
from .loop cimport loop_call
from .post cimport post_t


cdef inline size_t node_at() noexcept nogil:
    cdef limit_waiter_t *w = NULL
    return <size_t>(<char*>&w.node - <char*>w)


cdef inline bint has_room(limit_t *l) noexcept nogil:
    return atomic_load64(&l.used) < atomic_load64(&l.most)


cdef void on_call(post_t *p) noexcept nogil:
    cdef limit_waiter_t *w = <limit_waiter_t*>p
    cdef limit_t *l = w.limit
    atomic_store32(&w.state, WAITER_IDLE)
    w.fn(w)                             # may free it
    limit_pass(l)


cdef void limit_pass(limit_t *l) noexcept nogil:
    cdef limit_waiter_t *w = NULL
    if not atomic_load32(&l.waiting) or not has_room(l):
        return
    pthread_mutex_lock(&l.lock)
    if l.waiters.next != NULL and not list_empty(&l.waiters):
        w = <limit_waiter_t*>(<char*>l.waiters.next - node_at())
        list_remove(&w.node)
        atomic_add32(&l.waiting, -1)
        atomic_store32(&w.state, WAITER_POSTED)
    pthread_mutex_unlock(&l.lock)
    if w != NULL:
        loop_call(w.loop, &w.post, on_call)


cdef bint limit_wait(limit_t *l, limit_waiter_t *w) noexcept nogil:
    if atomic_load32(&w.state) != WAITER_IDLE and (w.limit == l or not limit_forget(w)):
        return True
    pthread_mutex_lock(&l.lock)
    if l.waiters.next == NULL:
        list_init(&l.waiters)
    w.limit = l
    list_append(&l.waiters, &w.node)
    atomic_store32(&w.state, WAITER_QUEUED)
    atomic_add32(&l.waiting, 1)
    atomic_fence()
    if not has_room(l):
        pthread_mutex_unlock(&l.lock)
        return True
    list_remove(&w.node)
    atomic_add32(&l.waiting, -1)
    atomic_store32(&w.state, WAITER_IDLE)
    pthread_mutex_unlock(&l.lock)
    return False


cdef bint limit_forget(limit_waiter_t *w) noexcept nogil:
    cdef limit_t *l = w.limit
    cdef uint32_t state = atomic_load32(&w.state)
    if state == WAITER_IDLE:
        return True
    pthread_mutex_lock(&l.lock)
    state = atomic_load32(&w.state)
    if state == WAITER_QUEUED:
        list_remove(&w.node)
        atomic_add32(&l.waiting, -1)
        atomic_store32(&w.state, WAITER_IDLE)
        state = WAITER_IDLE
    pthread_mutex_unlock(&l.lock)
    return state == WAITER_IDLE
