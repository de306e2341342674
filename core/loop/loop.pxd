# loop_t: one uv loop on one thread.  What hangs on it is touched by that thread
# alone, save the inbox and what says atomic.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from pymomentum.core.base.atomic cimport atomic_store32
from pymomentum.core.base.list cimport list_node_t
from pymomentum.core.base.timewheel cimport timer_entry_t, timewheel_t
from pymomentum.core.c.uv cimport uv_async_t, uv_check_t, uv_loop_t, uv_prepare_t, uv_timer_t
from pymomentum.core.loop.post cimport post_fn, post_t

cdef enum:
    LOOP_MAX = 64
    LOOP_READ_BUFFER = 65536
    LOOP_FLUSHERS = 8

# Each subsystem keeps what it needs per loop in its own place.
cdef enum:
    PLACE_LOG
    PLACE_MESSAGE
    PLACE_DNS
    PLACE_SPOOL
    PLACE_QUEUE
    PLACE_SERVER
    PLACE_CLIENT
    PLACE_POLICY
    PLACE_COUNT

# Counters, one set per loop; a reader adds them up and tolerates tearing.
cdef enum:
    COUNT_INBOUND               # sessions now
    COUNT_OUTBOUND              # connections now
    COUNT_RECEIVED              # messages
    COUNT_REJECTED
    COUNT_DELIVERED
    COUNT_FAILED
    COUNT_TRANSFAIL
    COUNT_DOMAINS               # domain records now
    COUNT_ACTIVE                # messages in active queues now
    COUNT_DELAYED
    COUNT_DNS_A
    COUNT_DNS_A_TIMEOUT
    COUNT_DNS_AAAA
    COUNT_DNS_AAAA_TIMEOUT
    COUNT_DNS_MX
    COUNT_DNS_MX_TIMEOUT
    COUNT_DNS_TXT
    COUNT_DNS_TXT_TIMEOUT
    COUNT_DNS_PENDING           # queries now
    COUNT_DNS_TIME_US           # sum over answers
    COUNT_DNS_ANSWERS
    COUNT_DNS_PEAK_US
    COUNT_COUNT

cdef enum loop_state_t:
    LOOP_NEW
    LOOP_RUNNING
    LOOP_DRAINING           # no new sessions; those that run may finish
    LOOP_STOPPED

ctypedef void (*loop_fn)(loop_t *loop) noexcept nogil

cdef struct loop_range_t:       # loops of one EventLoop
    int first
    int n

cdef struct loop_t:
    uv_loop_t uv
    uv_prepare_t prepare
    uv_check_t check
    uv_async_t wake
    uv_timer_t tick
    uint16_t index
    uint32_t state              # loop_state_t; atomic
    post_t *inbox               # atomic stack, newest first
    uint32_t asleep             # atomic: a post must wake it
    uint64_t *heartbeat         # atomic; grows every iteration; on the supervisor's page where there is one
    uint64_t own_heartbeat
    uint64_t now_ms             # monotonic, of this iteration
    uint64_t wall_us
    timewheel_t wheel
    loop_fn flushers[LOOP_FLUSHERS]     # run once per iteration, before the loop sleeps
    uint32_t flusher_count
    uint64_t *work_seq          # spool sequence in hand, for the poison guard; 0: none; likewise
    uint64_t own_work_seq
    void *places[PLACE_COUNT]
    int64_t counters[COUNT_COUNT]
    void *tokens                # table of token.pyx, made at the first park; atomic
    char *read_buffer           # LOOP_READ_BUFFER bytes for whichever stream reads now


cdef int loop_count() noexcept nogil
cdef loop_t *loop_at(int index) noexcept nogil
cdef void loop_post(loop_t *loop, post_t *p) noexcept nogil            # any thread
cdef void loop_timer_set(loop_t *loop, timer_entry_t *t, uint64_t after_ms) noexcept nogil
cdef void loop_timer_clear(loop_t *loop, timer_entry_t *t) noexcept nogil
cdef int loop_add_flusher(loop_t *loop, loop_fn fn) noexcept nogil     # before the loop runs
cdef void loop_stop(loop_t *loop) noexcept nogil                       # any thread


cdef inline void loop_call(loop_t *loop, post_t *p, post_fn fn) noexcept nogil:
    p.fn = fn
    loop_post(loop, p)


cdef inline void loop_awake(loop_t *loop) noexcept nogil:
    """From a callback of the poll: posts need no wake from here on."""
    if loop.asleep:
        atomic_store32(&loop.asleep, 0)
