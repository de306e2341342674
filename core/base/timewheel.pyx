"""Hashed timing wheel: 4096 slots of 16 ms, longer waits go round again.

One loop owns a wheel.  A callback may set, clear or free any entry but those
of other loops.
"""
from libc.stdint cimport uint64_t

from .list cimport list_append, list_empty, list_init, list_node_t, list_remove


cdef void timewheel_init(timewheel_t *w, uint64_t now_ms) noexcept nogil:
    cdef int i
    for i in range(TIMEWHEEL_SLOTS):
        list_init(&w.slots[i])
    list_init(&w.late)
    w.now_ms = now_ms - now_ms % TIMEWHEEL_TICK_MS
    w.armed = 0


cdef void timer_init(timer_entry_t *t, timer_fn fn) noexcept nogil:
    list_init(&t.node)
    t.due_ms = 0
    t.slot_ms = 0
    t.fn = fn


cdef inline void hang(timewheel_t *w, timer_entry_t *t) noexcept nogil:
    cdef uint64_t at = t.due_ms
    cdef uint64_t furthest = w.now_ms + (TIMEWHEEL_SLOTS - 1) * TIMEWHEEL_TICK_MS
    if at <= w.now_ms:
        at = w.now_ms + TIMEWHEEL_TICK_MS
    if at > furthest:
        at = furthest
    at = (at + TIMEWHEEL_TICK_MS - 1) // TIMEWHEEL_TICK_MS
    t.slot_ms = at * TIMEWHEEL_TICK_MS
    list_append(&w.slots[at % TIMEWHEEL_SLOTS], &t.node)


cdef void timer_set(timewheel_t *w, timer_entry_t *t, uint64_t due_ms) noexcept nogil:
    if t.due_ms:
        t.due_ms = due_ms if due_ms else 1
        if due_ms >= t.slot_ms:
            return                  # its slot comes first and sends it on
        list_remove(&t.node)
    else:
        t.due_ms = due_ms if due_ms else 1
        w.armed += 1
    hang(w, t)


cdef void timer_clear(timewheel_t *w, timer_entry_t *t) noexcept nogil:
    if t.due_ms:
        t.due_ms = 0
        w.armed -= 1
        list_remove(&t.node)


cdef bint run(timewheel_t *w, uint64_t *most) noexcept nogil:
    """Those that are late; False: some are left."""
    cdef timer_entry_t *t
    while not list_empty(&w.late):
        t = <timer_entry_t*>w.late.next
        if t.due_ms <= w.now_ms and most[0] == 0:
            return False
        list_remove(&t.node)
        if t.due_ms > w.now_ms:
            hang(w, t)
            continue
        most[0] -= 1
        t.due_ms = 0
        w.armed -= 1
        t.fn(t)
    return True


cdef void timewheel_advance(timewheel_t *w, uint64_t now_ms, uint64_t most) noexcept nogil:
    cdef list_node_t *slot
    while run(w, &most) and w.now_ms + TIMEWHEEL_TICK_MS <= now_ms:
        w.now_ms += TIMEWHEEL_TICK_MS
        slot = &w.slots[(w.now_ms // TIMEWHEEL_TICK_MS) % TIMEWHEEL_SLOTS]
        if list_empty(slot):
            continue
        # Take the slot's list as it is: callbacks may hang entries into it anew.
        w.late.next = slot.next
        w.late.prev = slot.prev
        w.late.next.prev = &w.late
        w.late.prev.next = &w.late
        list_init(slot)
