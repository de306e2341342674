# phase_t: the cursor of one hook call in one session: which provider, which recipient.
# Providers are called in order; each may answer, or park and be called again.
from libc.stdint cimport uint32_t, uint64_t

from pymomentum.core.base.slice cimport slice_t
from pymomentum.core.loop.loop cimport loop_t
from pymomentum.core.loop.token cimport token_t

include "hook_ids.pxi"          # HOOK_<NAME>, HOOK_COUNT

cdef enum:
    PHASE_CONT = 0              # the next provider
    PHASE_DONE = 1              # this phase is over
    PHASE_TEXT = 256
    PROVIDERS_MAX = 64

ctypedef int (*provider_fn)(phase_t *ph, void *state) noexcept nogil    # PHASE_CONT, PHASE_DONE, EC_AGAIN after phase_park
ctypedef void (*phase_fn)(phase_t *ph) noexcept nogil

cdef struct provider_t:
    provider_fn fn
    void *state
    slice_t name                # the module's, for logs

cdef struct phase_t:            # embedded in the session
    loop_t *loop
    void *owner                 # session_t
    phase_fn resume             # goes on after a park
    int hook
    uint32_t provider           # index of the one at work
    uint32_t visit              # 0: first call of this provider, grows with every resume
    void *local                 # the provider's own, NULL at its first visit
    int result                  # of the park that just ended
    uint32_t rcpt               # recipient in hand, where the hook has one
    token_t token               # 0: not parked
    bint shaken                 # suspend = random has had its way with this call
    # what providers decided
    int code                    # 4xx, 5xx: the answer; 0: none
    char text[PHASE_TEXT]       # enhanced code and text
    slice_t module              # who decided; borrowed from the provider
    bint discard                # the client hears 250 and nothing is delivered; code and text are for the log
    bint disconnect             # the session ends behind the answer
    bint telling                # phase_tell: nobody may park


# Before loops run.  EC_LIMIT: too many providers for the hook.
cdef int hook_add(int hook, provider_fn fn, void *state, slice_t name) noexcept nogil
cdef void phase_begin(phase_t *ph, int hook) noexcept nogil
# PHASE_CONT: all providers have answered; EC_AGAIN: parked, `resume` will be called, then run again.
cdef int phase_run(phase_t *ph) noexcept nogil
# For a provider that answers EC_AGAIN; the token is resumed from anywhere.  0: no slot, answer something else.
cdef token_t phase_park(phase_t *ph, uint64_t deadline_ms, const char *reason) noexcept nogil
# What a provider decides; the last word counts.  Of a recipient in hooks that run for each, of the whole message in others.
cdef void phase_answer(phase_t *ph, int code, const char *text) noexcept nogil
cdef void phase_discard(phase_t *ph, const char *reason) noexcept nogil     # from MAIL FROM on; reason: code and text, or anything
cdef void phase_disconnect(phase_t *ph, int code, const char *text) noexcept nogil
# A notice: every provider runs, none may park or answer.
cdef void phase_tell(phase_t *ph, int hook) noexcept nogil
cdef void phase_abandon(phase_t *ph) noexcept nogil             # the session ends while parked
