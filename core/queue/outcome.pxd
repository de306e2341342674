# What became of an attempt: log line, then tombstone, retry or bounce.
from pymomentum.core.base.slice cimport slice_t
from pymomentum.core.base.timewheel cimport timer_entry_t
from pymomentum.core.log.record cimport attempt_t
from pymomentum.core.loop.loop cimport loop_t
from pymomentum.core.message.message cimport ec_message_t
from pymomentum.core.queue.domain cimport domain_t, mail_queue_t

cdef enum outcome_t:
    OUTCOME_DELIVERED
    OUTCOME_TRANSIENT
    OUTCOME_PERMANENT
    OUTCOME_RETURN          # not tried after all: first in the active queue again

# On the domain's loop; the message is in no queue and its envelope in memory.  Slices of `a` may go after the call.
cdef void message_settle(mail_queue_t *q, ec_message_t *m, int outcome, const attempt_t *a) noexcept nogil
# Without a connection: an [internal] text; swapped-out messages are read first.
cdef void message_fail(mail_queue_t *q, ec_message_t *m, bint permanent, const char *text) noexcept nogil
cdef void message_forget(domain_t *d, ec_message_t *m) noexcept nogil          # tombstone and free; no log line
cdef void attempt_init(attempt_t *a, mail_queue_t *q, const char *text) noexcept nogil
cdef void outcome_next_turn(timer_entry_t *t) noexcept nogil                            # queue_loop_t.put_by_timer's
cdef void message_lost(mail_queue_t *q, ec_message_t *m, int rc) noexcept nogil         # swap_in answered rc
cdef void outcome_save(loop_t *loop, ec_message_t *m) noexcept nogil       # what swap_out_meta_after_each_tempfail left unwritten
