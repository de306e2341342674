# token_t: a suspension.  Whoever parked resumes once, from any thread; a late
# or second resume does nothing.  A packed value may travel anywhere.
from libc.stdint cimport int32_t, uint32_t, uint64_t

from pymomentum.core.loop.loop cimport loop_t

ctypedef uint64_t token_t               # 8 bit loop, 24 bit slot, 32 bit serial; 0: none
ctypedef void (*token_fn)(void *owner, int result) noexcept nogil
ctypedef void (*token_cancel_fn)(void *state) noexcept nogil

# On the owner's loop.  fn runs there, once: with the resumer's result, EC_TIMEOUT at the deadline (ms, 0: none).
# 0 where no slot can be had.
cdef token_t token_park(loop_t *loop, void *owner, token_fn fn, uint64_t deadline_ms, const char *reason) noexcept nogil
# What to call, on the owner's loop, when the owner gives up or the deadline passes.
cdef void token_on_cancel(token_t t, token_cancel_fn fn, void *state) noexcept nogil
cdef int token_resume(token_t t, int result) noexcept nogil         # any thread; EC_NOTFOUND: not parked any more
cdef void token_cancel(token_t t) noexcept nogil                    # owner's loop: fn will not run
cdef uint32_t token_count(loop_t *loop) noexcept nogil                      # slots in use; any thread, of some moment
cdef const char *token_reason(token_t t) noexcept nogil             # owner's loop; NULL: not parked
