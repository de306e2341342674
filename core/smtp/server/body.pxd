# What a received body must satisfy and what is put before it.
from pymomentum.core.smtp.server.session cimport session_t

# EC_OK, or EC_REFUSED with s.phase's answer set: code and text.
cdef int body_judge(session_t *s) noexcept nogil
cdef int body_trace(session_t *s) noexcept nogil           # Return-Path, Received, what was missing; EC_NOMEM
# The rest of the body goes to a file: whether s.breaks is to break its lines, and where in a line it begins.
cdef void body_breaks_begin(session_t *s) noexcept nogil
