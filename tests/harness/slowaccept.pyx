"""A provider of core_validate_accept that takes its time, for tests: 0.4 seconds for each connection."""
from pymomentum.core.base.slice cimport slice_of
from pymomentum.core.base.status cimport EC_AGAIN
from pymomentum.core.policy.phases cimport HOOK_CORE_VALIDATE_ACCEPT, PHASE_CONT, hook_add, phase_park, phase_t


cdef int provide(phase_t *ph, void *state) noexcept nogil:
    return EC_AGAIN if ph.visit == 0 and phase_park(ph, 400, b"a slow test") else PHASE_CONT


def start():
    hook_add(HOOK_CORE_VALIDATE_ACCEPT, provide, NULL, slice_of(b"slow_accept"))
