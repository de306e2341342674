"""Phases: hook calls that may suspend.

A hook without providers costs one load and one branch.  `suspend(True)`
(`debug_flags { suspend = random }`) parks every hook call for up to 50 ms.
"""
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport strncpy

from pymomentum.core.base.clock cimport clock_mono_ns
from pymomentum.core.base.slice cimport slice_make, slice_t
from pymomentum.core.base.status cimport EC_AGAIN, EC_LIMIT, EC_OK
from pymomentum.core.loop.token cimport token_cancel, token_park, token_t

cdef struct hook_t:
    uint32_t n
    provider_t providers[PROVIDERS_MAX]

cdef extern from "stdlib.h" nogil:
    int rand_r(unsigned int*)

cdef hook_t hooks[HOOK_COUNT]
cdef bint shake = False
cdef enum:
    SHAKE_MS = 50


cdef int hook_add(int hook, provider_fn fn, void *state, slice_t name) noexcept nogil:
    cdef hook_t *h = &hooks[hook]
    if h.n == PROVIDERS_MAX:
        return EC_LIMIT
    h.providers[h.n].fn = fn
    h.providers[h.n].state = state
    h.providers[h.n].name = name
    h.n += 1
    return EC_OK


cdef void phase_begin(phase_t *ph, int hook) noexcept nogil:
    ph.hook = hook
    ph.provider = 0
    ph.visit = 0
    ph.local = NULL
    ph.result = EC_OK
    ph.shaken = False
    ph.code = 0
    ph.discard = False
    ph.disconnect = False


cdef int phase_run(phase_t *ph) noexcept nogil:
    cdef hook_t *h = &hooks[ph.hook]
    cdef unsigned int seed
    cdef int rc
    if shake and not ph.shaken:
        ph.shaken = True
        seed = <unsigned int>(clock_mono_ns() ^ <uint64_t>ph)
        # the deadline is the wake-up
        ph.token = token_park(ph.loop, ph, on_shaken, 1 + rand_r(&seed) % SHAKE_MS, b"suspend = random")
        if ph.token:
            return EC_AGAIN
    while ph.provider < h.n:
        rc = h.providers[ph.provider].fn(ph, h.providers[ph.provider].state)
        if rc == EC_AGAIN and ph.token:
            return EC_AGAIN
        if ph.code and ph.module.ptr == NULL:
            ph.module = h.providers[ph.provider].name
        ph.visit = 0
        ph.local = NULL
        if rc == PHASE_DONE:
            break
        ph.provider += 1
    return PHASE_CONT


cdef void on_resumed(void *owner, int result) noexcept nogil:
    cdef phase_t *ph = <phase_t*>owner
    ph.token = 0
    ph.result = result
    ph.visit += 1
    ph.resume(ph)


cdef void on_shaken(void *owner, int result) noexcept nogil:
    cdef phase_t *ph = <phase_t*>owner
    ph.token = 0
    ph.resume(ph)


cdef token_t phase_park(phase_t *ph, uint64_t deadline_ms, const char *reason) noexcept nogil:
    if ph.telling:
        return 0
    ph.token = token_park(ph.loop, ph, on_resumed, deadline_ms, reason)
    return ph.token


cdef void phase_answer(phase_t *ph, int code, const char *text) noexcept nogil:
    ph.code = code
    ph.discard = False
    ph.module = slice_make(NULL, 0)
    strncpy(ph.text, text, PHASE_TEXT - 1)
    ph.text[PHASE_TEXT - 1] = 0


cdef void phase_discard(phase_t *ph, const char *reason) noexcept nogil:
    cdef bint coded = (reason[0] == c'4' or reason[0] == c'5') and c'0' <= reason[1] <= c'9' and c'0' <= reason[2] <= c'9' \
        and reason[3] == c' '
    if coded:
        phase_answer(ph, (reason[0] - c'0') * 100 + (reason[1] - c'0') * 10 + reason[2] - c'0', reason + 4)
    else:
        phase_answer(ph, 550, b"5.7.1 [internal] discarded by policy")
    ph.discard = True


cdef void phase_disconnect(phase_t *ph, int code, const char *text) noexcept nogil:
    phase_answer(ph, code, text)
    ph.disconnect = True


cdef void phase_tell(phase_t *ph, int hook) noexcept nogil:
    cdef hook_t *h = &hooks[hook]
    phase_begin(ph, hook)
    ph.telling = True
    while ph.provider < h.n:
        h.providers[ph.provider].fn(ph, h.providers[ph.provider].state)
        ph.provider += 1
    ph.telling = False
    ph.code = 0


cdef void phase_abandon(phase_t *ph) noexcept nogil:
    if ph.token:
        token_cancel(ph.token)
        ph.token = 0


def suspend(bint on):
    """Park every hook call for a random time up to 50 ms (debug_flags { suspend = random })."""
    global shake
    shake = on
