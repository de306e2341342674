"""A provider of every hook, for tests: it parks, is resumed in every way there is, and answers as addresses tell.

Loaded into a server by `debug_flags { extensions = ( tests.harness.provider ) }`.  One call in
PARK_ONE_IN parks for up to 50 ms; its thread, a timer of the loop, or the deadline wakes it, and the
former two resume once more at once and once more late.  An address that holds `<hook>=<action>` gets
that action from that hook: of the recipient in hooks that run for each, else of the sender.  Actions:
550, 451, discard, drop, top (a field ahead of all), header (one behind all, with the address),
subject (replaced), unreceived (no Received), body (replaced), park (nobody resumes it), binding.NAME (of a recipient:
that it goes out by), context (a pair of the message's).  What happened is counted in the file that EC_PROVIDER names (provided.py).
"""
import mmap
import os

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcpy, memset, strlen

from pymomentum.core.base.atomic cimport atomic_add64, atomic_store64
from pymomentum.core.base.clock cimport clock_mono_ns
from pymomentum.core.base.slice cimport slice_make, slice_of, slice_starts_i, slice_t
from pymomentum.core.base.status cimport EC_AGAIN, EC_OK, EC_TIMEOUT
from pymomentum.core.base.timewheel cimport timer_entry_t, timer_init
from pymomentum.core.c.posix cimport (pthread_create, pthread_mutex_init, pthread_mutex_lock, pthread_mutex_t,
                                      pthread_mutex_unlock, pthread_t, usleep)
from pymomentum.core.config.generation cimport config_binding_slot
from pymomentum.core.loop.loop cimport loop_at, loop_count, loop_t, loop_timer_set
from pymomentum.core.loop.token cimport token_count, token_on_cancel, token_resume, token_t
from pymomentum.core.message.context cimport context_set
from pymomentum.core.mime.overlay cimport (OVERLAY_APPEND, OVERLAY_BODY, OVERLAY_PREPEND, OVERLAY_REMOVE, OVERLAY_REPLACE,
                                           overlay_edit, overlay_t)
from pymomentum.core.policy.phases cimport *
from pymomentum.core.smtp.server.session cimport session_overlay, session_t
from pymomentum.hooks import HOOKS

cdef extern from "string.h" nogil:
    void *memmem(const void*, size_t, const void*, size_t)

cdef enum:
    PARK_ONE_IN = 3
    PARK_MS = 50
    FIELDS = 8              # counters of a hook, in provided.py's order
    CALLS = 0
    PARKS = 1
    BY_THREAD = 2
    BY_LOOP = 3
    BY_DEADLINE = 4
    CANCELLED = 5
    WRONG = 6               # woken by somebody else's resume
    AGAIN = 7               # second resumes that woke somebody

cdef struct wake_t:         # resumes to come
    timer_entry_t timer     # first
    wake_t *next
    loop_t *loop
    token_t token
    int result
    int hook
    int left                # resumes still to do
    uint64_t due_ns

cdef uint64_t *counters     # in the shared file: FIELDS for each hook, then the tokens in use
cdef char names[HOOK_COUNT][64]
cdef bint each[HOOK_COUNT]
cdef wake_t *waiting        # for the thread
cdef pthread_mutex_t lock
cdef uint64_t serial = 0
cdef object shared


cdef void count(int hook, int field) noexcept nogil:
    atomic_add64(&counters[hook * FIELDS + field], 1)


cdef uint64_t chance(uint64_t n) noexcept nogil:
    cdef uint64_t v = atomic_add64(&serial, 1) * <uint64_t>0x9e3779b97f4a7c15 ^ clock_mono_ns()
    v = (v ^ (v >> 31)) * <uint64_t>0xbf58476d1ce4e5b9
    return (v ^ (v >> 29)) % n


# ---- waking ------------------------------------------------------------------------

cdef void wake(wake_t *w, int field) noexcept nogil:
    """Resume, twice the first time: only the first of all may find anybody."""
    cdef int i
    for i in range(2 if w.left == 2 else 1):
        if token_resume(w.token, w.result) == EC_OK:
            count(w.hook, field if w.left == 2 and i == 0 else AGAIN)
    w.left -= 1


cdef void on_timer(timer_entry_t *t) noexcept nogil:
    cdef wake_t *w = <wake_t*>t
    wake(w, BY_LOOP)
    if w.left:
        loop_timer_set(w.loop, &w.timer, 1 + chance(PARK_MS))
    else:
        free(w)


cdef void *run(void *unused) noexcept nogil:
    cdef wake_t **at
    cdef wake_t *w
    cdef uint64_t now, tokens
    cdef int i
    while True:
        usleep(1000)
        now = clock_mono_ns()
        pthread_mutex_lock(&lock)
        at = &waiting
        while at[0] != NULL:
            w = at[0]
            if w.due_ns <= now:
                wake(w, BY_THREAD)
                w.due_ns = now + chance(PARK_MS) * 1000000
            if w.left == 0:
                at[0] = w.next
                free(w)
            else:
                at = &w.next
        pthread_mutex_unlock(&lock)
        tokens = 0
        for i in range(loop_count()):
            tokens += token_count(loop_at(i))
        atomic_store64(&counters[HOOK_COUNT * FIELDS], tokens)


cdef void on_cancel(void *hook) noexcept nogil:
    count(<int><size_t>hook, CANCELLED)


cdef bint park(phase_t *ph) noexcept nogil:
    cdef uint64_t how = chance(3), ms = 1 + chance(PARK_MS)
    cdef wake_t *w = NULL
    cdef int result = 1 + <int>chance(1 << 30)
    if how:
        w = <wake_t*>malloc(sizeof(wake_t))
        if w == NULL:
            return False
    if phase_park(ph, 60000 if how else ms, b"test provider") == 0:
        free(w)
        return False
    count(ph.hook, PARKS)
    ph.local = <void*><size_t>(result if how else 0)
    if how == 0:
        return True                 # the deadline wakes it
    token_on_cancel(ph.token, on_cancel, <void*><size_t>ph.hook)
    w.loop = ph.loop
    w.token = ph.token
    w.result = result
    w.hook = ph.hook
    w.left = 2
    if how == 1:
        timer_init(&w.timer, on_timer)
        loop_timer_set(w.loop, &w.timer, ms)
        return True
    w.due_ns = clock_mono_ns() + ms * 1000000
    pthread_mutex_lock(&lock)
    w.next = waiting
    (<wake_t**>&waiting)[0] = w
    pthread_mutex_unlock(&lock)
    return True


cdef void judge(phase_t *ph) noexcept nogil:
    """Was it our own resume that woke us?"""
    if ph.local == NULL:
        count(ph.hook, BY_DEADLINE if ph.result == EC_TIMEOUT else WRONG)
    elif ph.result != <int><size_t>ph.local:
        count(ph.hook, WRONG)


# ---- answering ---------------------------------------------------------------------

cdef slice_t action_of(slice_t address, int hook) noexcept nogil:
    cdef const char *at
    if address.len == 0:
        return address
    at = <const char*>memmem(address.ptr, address.len, names[hook], strlen(names[hook]))
    if at == NULL or (at > address.ptr and (at - 1)[0] == c'_'):        # another name's end
        return slice_make(NULL, 0)
    at += strlen(names[hook])
    return slice_make(at, address.len - (at - address.ptr))


cdef bint of_message(phase_t *ph) noexcept nogil:
    return ph.hook > HOOK_VALIDATE_EHLO and ph.hook != HOOK_CORE_SERVER_ESMTP_SESSION_ABORT


cdef slice_t address_of(phase_t *ph) noexcept nogil:
    cdef session_t *s = <session_t*>ph.owner
    if not each[ph.hook]:
        return s.mailfrom
    return s.candidate.address if ph.hook == HOOK_VALIDATE_RCPTTO else s.at.address


cdef void act(phase_t *ph) noexcept nogil:
    cdef slice_t address = address_of(ph)
    cdef slice_t action = action_of(address, ph.hook)
    edit(<session_t*>ph.owner, address, action)
    if slice_starts_i(action, slice_of(b"binding.")):
        bind(<session_t*>ph.owner, slice_make(action.ptr + 8, action.len - 8))
    if slice_starts_i(action, slice_of(b"550")):
        phase_answer(ph, 550, b"5.7.1 refused by the test")
    elif slice_starts_i(action, slice_of(b"451")):
        phase_answer(ph, 451, b"4.7.1 not now, says the test")
    elif slice_starts_i(action, slice_of(b"drop")):
        phase_disconnect(ph, 554, b"5.7.1 go away, says the test")
    elif slice_starts_i(action, slice_of(b"discard")):
        phase_discard(ph, b"because of the test")


cdef void bind(session_t *s, slice_t name) noexcept nogil:
    cdef int slot
    cdef const char *end = <const char*>memchr(name.ptr, c'@', name.len)
    slot = config_binding_slot(s.generation, slice_make(name.ptr, end - name.ptr if end != NULL else name.len))
    if slot >= 0:
        s.at.message.binding = <unsigned short>slot


cdef void edit(session_t *s, slice_t address, slice_t action) noexcept nogil:
    cdef overlay_t **o = session_overlay(s)
    if slice_starts_i(action, slice_of(b"top")):
        overlay_edit(o, OVERLAY_PREPEND, slice_of(b"X-Top"), slice_of(b"by policy"))
    elif slice_starts_i(action, slice_of(b"header")):
        overlay_edit(o, OVERLAY_APPEND, slice_of(b"X-Policy"), address)
    elif slice_starts_i(action, slice_of(b"subject")):
        overlay_edit(o, OVERLAY_REPLACE, slice_of(b"subject"), slice_of(b"another\r\n one"))
    elif slice_starts_i(action, slice_of(b"unreceived")):
        overlay_edit(o, OVERLAY_REMOVE, slice_of(b"Received"), slice_of(b""))
    elif slice_starts_i(action, slice_of(b"context")):
        context_set(&s.mess_context, slice_of(b"by_policy"), slice_of(b"noted by the test"))
    elif slice_starts_i(action, slice_of(b"body")):
        overlay_edit(o, OVERLAY_BODY, slice_of(b""), slice_of(b".the new body\nof policy"))


cdef int provide(phase_t *ph, void *state) noexcept nogil:
    if ph.visit == 0:
        count(ph.hook, CALLS)
    else:
        judge(ph)
    if of_message(ph) and slice_starts_i(action_of(address_of(ph), ph.hook), slice_of(b"park")) \
            and phase_park(ph, 600000, b"for ever, nearly"):
        return EC_AGAIN
    if ph.visit < 3 and chance(PARK_ONE_IN) == 0 and park(ph):
        return EC_AGAIN
    if of_message(ph):
        act(ph)
    return PHASE_CONT


def start():
    """Provide for every hook; before the loops run."""
    global counters, shared
    cdef pthread_t thread
    cdef size_t address
    cdef bytes name
    cdef const unsigned char[:] view
    with open(os.environ["EC_PROVIDER"], "r+b") as f:
        shared = mmap.mmap(f.fileno(), 0)
    view = shared
    counters = <uint64_t*>&view[0]
    pthread_mutex_init(&lock, NULL)
    for i, hook in enumerate(HOOKS):
        name = hook.name.encode() + b"="
        memcpy(names[i], <char*>name, len(name) + 1)
        each[i] = hook.each
        hook_add(i, provide, NULL, slice_of(b"test_provider"))
    pthread_create(&thread, NULL, run, NULL)
