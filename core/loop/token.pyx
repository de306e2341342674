"""Suspension tokens: per loop a table of slots in pages that never move.

A slot's word is serial << 2 | state.  Resuming is one compare-and-swap from
PARKED to RESUMED, so exactly one of many resumers wins, and then posts the
slot to its loop.  Slots are taken and given back by their loop alone.
"""
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc

from pymomentum.core.base.atomic cimport atomic_add32, atomic_cas64, atomic_load32, atomic_load64, atomic_loadp, atomic_store64, atomic_storep
from pymomentum.core.base.status cimport EC_NOTFOUND, EC_OK, EC_TIMEOUT
from pymomentum.core.base.timewheel cimport timer_entry_t, timer_init
from .loop cimport loop_at, loop_count, loop_post, loop_t, loop_timer_clear, loop_timer_set
from .post cimport post_t

cdef enum:
    PAGE = 256
    PAGES = 4096
    FREE = 0
    PARKED = 1
    RESUMED = 2

cdef struct slot_t:
    post_t post                 # first: the post is the slot
    timer_entry_t timer
    uint64_t word               # serial << 2 | state; atomic
    loop_t *loop
    uint32_t index
    int result
    void *owner
    token_fn fn
    token_cancel_fn cancel
    void *cancel_state
    const char *reason
    slot_t *next_free

cdef struct table_t:
    slot_t *pages[PAGES]        # atomic
    uint32_t page_count
    uint32_t used               # atomic
    slot_t *free


cdef inline token_t pack(slot_t *s, uint64_t serial) noexcept nogil:
    return (<uint64_t>s.loop.index << 56) | (<uint64_t>s.index << 32) | serial


cdef slot_t *slot_of(token_t t) noexcept nogil:
    cdef table_t *table
    cdef slot_t *page
    cdef uint32_t index = <uint32_t>(t >> 32) & 0xffffff
    if t == 0 or <int>(t >> 56) >= loop_count():
        return NULL
    table = <table_t*>atomic_loadp(&loop_at(t >> 56).tokens)
    if table == NULL or index // PAGE >= PAGES:
        return NULL
    page = <slot_t*>atomic_loadp(&table.pages[index // PAGE])
    return page + index % PAGE if page != NULL else NULL


cdef void release(slot_t *s) noexcept nogil:
    cdef table_t *table = <table_t*>s.loop.tokens
    cdef uint32_t serial = <uint32_t>(s.word >> 2) + 1
    loop_timer_clear(s.loop, &s.timer)
    atomic_store64(&s.word, (<uint64_t>(serial if serial else 1) << 2) | FREE)
    s.cancel = NULL
    s.reason = NULL
    s.next_free = table.free
    table.free = s
    atomic_add32(&table.used, -1)


cdef void on_resume(post_t *p) noexcept nogil:
    cdef slot_t *s = <slot_t*>p
    cdef void *owner = s.owner
    cdef token_fn fn = s.fn
    cdef int result = s.result
    release(s)
    if fn != NULL:
        fn(owner, result)


cdef void on_deadline(timer_entry_t *t) noexcept nogil:
    cdef slot_t *s = <slot_t*>(<char*>t - sizeof(post_t))
    cdef uint64_t word = atomic_load64(&s.word)
    cdef token_cancel_fn cancel = s.cancel
    if (word & 3) == PARKED and atomic_cas64(&s.word, word, (word & ~<uint64_t>3) | RESUMED):
        s.result = EC_TIMEOUT
        if cancel != NULL:
            cancel(s.cancel_state)
        on_resume(&s.post)


cdef token_t token_park(loop_t *loop, void *owner, token_fn fn, uint64_t deadline_ms, const char *reason) noexcept nogil:
    cdef table_t *table = <table_t*>loop.tokens
    cdef slot_t *s
    cdef slot_t *page
    cdef uint32_t i
    if table == NULL:
        table = <table_t*>calloc(1, sizeof(table_t))
        if table == NULL:
            return 0
        atomic_storep(&loop.tokens, table)
    if table.free == NULL:
        if table.page_count == PAGES:
            return 0
        page = <slot_t*>calloc(PAGE, sizeof(slot_t))
        if page == NULL:
            return 0
        for i in range(PAGE):
            s = page + PAGE - 1 - i
            s.loop = loop
            s.index = table.page_count * PAGE + PAGE - 1 - i
            s.word = (1 << 2) | FREE
            timer_init(&s.timer, on_deadline)
            s.next_free = table.free
            table.free = s
        atomic_storep(&table.pages[table.page_count], page)
        table.page_count += 1
    s = table.free
    table.free = s.next_free
    atomic_add32(&table.used, 1)
    s.owner = owner
    s.fn = fn
    s.reason = reason
    s.post.fn = on_resume
    if deadline_ms:
        loop_timer_set(loop, &s.timer, deadline_ms)
    atomic_store64(&s.word, (s.word & ~<uint64_t>3) | PARKED)
    return pack(s, s.word >> 2)


cdef void token_on_cancel(token_t t, token_cancel_fn fn, void *state) noexcept nogil:
    cdef slot_t *s = slot_of(t)
    if s != NULL and (s.word >> 2) == <uint32_t>t:
        s.cancel = fn
        s.cancel_state = state


cdef int token_resume(token_t t, int result) noexcept nogil:
    cdef slot_t *s = slot_of(t)
    cdef uint64_t word
    if s == NULL:
        return EC_NOTFOUND
    word = atomic_load64(&s.word)
    if (word >> 2) != <uint32_t>t or (word & 3) != PARKED:
        return EC_NOTFOUND
    if not atomic_cas64(&s.word, word, (word & ~<uint64_t>3) | RESUMED):
        return EC_NOTFOUND
    s.result = result
    loop_post(s.loop, &s.post)
    return EC_OK


cdef void token_cancel(token_t t) noexcept nogil:
    cdef slot_t *s = slot_of(t)
    cdef uint64_t word
    cdef token_cancel_fn cancel
    if s == NULL:
        return
    word = atomic_load64(&s.word)
    if (word >> 2) != <uint32_t>t or (word & 3) == FREE:
        return
    s.fn = NULL                     # a resume already on its way finds nobody
    if (word & 3) == PARKED and atomic_cas64(&s.word, word, (word & ~<uint64_t>3) | RESUMED):
        cancel = s.cancel
        if cancel != NULL:
            cancel(s.cancel_state)
        release(s)


cdef uint32_t token_count(loop_t *loop) noexcept nogil:
    cdef table_t *table = <table_t*>atomic_loadp(&loop.tokens)
    return atomic_load32(&table.used) if table != NULL else 0


cdef const char *token_reason(token_t t) noexcept nogil:
    cdef slot_t *s = slot_of(t)
    if s == NULL or (s.word >> 2) != <uint32_t>t or (s.word & 3) == FREE:
        return NULL
    return s.reason
