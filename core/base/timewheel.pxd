# timewheel_t: many coarse timers on one loop.  Setting a later deadline is one
# store; the entry moves when its old slot comes round.
from libc.stdint cimport uint64_t

from .list cimport list_node_t

cdef enum:
    TIMEWHEEL_SLOTS = 4096
    TIMEWHEEL_TICK_MS = 16

ctypedef void (*timer_fn)(timer_entry_t *t) noexcept nogil

cdef struct timer_entry_t:
    list_node_t node        # first: a node is its entry
    uint64_t due_ms         # monotonic; 0: not armed
    uint64_t slot_ms        # where it hangs now
    timer_fn fn

cdef struct timewheel_t:
    list_node_t slots[TIMEWHEEL_SLOTS]
    list_node_t late        # due, but the turn was over
    uint64_t now_ms         # last tick begun
    size_t armed


cdef void timewheel_init(timewheel_t *w, uint64_t now_ms) noexcept nogil
# Runs what is due, `most` callbacks; the others are the first of the next call.
cdef void timewheel_advance(timewheel_t *w, uint64_t now_ms, uint64_t most) noexcept nogil
cdef void timer_init(timer_entry_t *t, timer_fn fn) noexcept nogil
cdef void timer_set(timewheel_t *w, timer_entry_t *t, uint64_t due_ms) noexcept nogil
cdef void timer_clear(timewheel_t *w, timer_entry_t *t) noexcept nogil
