"""Sessions are counted where listener_sessions and service_sessions are said.

A session that is open when a reload brings a limit counts there, too; it goes
on where the limit is exceeded by that.
"""
from libc.stdint cimport uint32_t

from pymomentum.core.config.values cimport OPT_LISTENER_SESSIONS, OPT_SERVICE_SESSIONS, limit_ref_t, opt_limit, values_t
from pymomentum.core.loop.limit cimport limit_give, limit_take, limit_t


cdef bint holds(const seats_t *s, const limit_t *l) noexcept nogil:
    cdef uint32_t i
    for i in range(s.n):
        if s.held[i] == l:
            return True
    return False


cdef bint take_chain(seats_t *s, const limit_ref_t *r) noexcept nogil:
    while r != NULL and s.n < SEATS_MOST:
        if not holds(s, r.limit):
            if not limit_take(r.limit, r.most):
                return False
            s.held[s.n] = r.limit
            s.n += 1
        r = r.outer
    return True


cdef bint seats_take(seats_t *s, const values_t *values) noexcept nogil:
    if take_chain(s, opt_limit(values, OPT_LISTENER_SESSIONS)) and take_chain(s, opt_limit(values, OPT_SERVICE_SESSIONS)):
        return True
    seats_give(s)
    return False


cdef void seats_give(seats_t *s) noexcept nogil:
    while s.n:
        s.n -= 1
        limit_give(s.held[s.n])


cdef void renew_chain(seats_t *now, const seats_t *before, const limit_ref_t *r) noexcept nogil:
    while r != NULL and now.n < SEATS_MOST:
        if not holds(now, r.limit):
            if not holds(before, r.limit):
                limit_take(r.limit, -1)
            now.held[now.n] = r.limit
            now.n += 1
        r = r.outer


cdef void seats_renew(seats_t *s, const values_t *values) noexcept nogil:
    cdef seats_t before = s[0]
    cdef uint32_t i
    s.n = 0
    renew_chain(s, &before, opt_limit(values, OPT_LISTENER_SESSIONS))
    renew_chain(s, &before, opt_limit(values, OPT_SERVICE_SESSIONS))
    for i in range(before.n):
        if not holds(s, before.held[i]):
            limit_give(before.held[i])
