# listener_t: one listening socket, on loop 0; what it accepts goes to the least loaded loop.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from pymomentum.core.loop.limit cimport limit_t
from pymomentum.core.base.timewheel cimport timer_entry_t
from pymomentum.core.c.uv cimport uv_poll_t
from pymomentum.core.config.generation cimport config_generation_t, config_listen_t
from pymomentum.core.loop.loop cimport loop_t
from pymomentum.core.loop.post cimport post_t

# Takes the descriptor over; runs on the loop the connection will live on.  `counted`: it owes a listener_accepted.
ctypedef void (*accept_fn)(loop_t *loop, int fd, listener_t *l, bint counted) noexcept nogil

cdef struct listener_t:         # never freed: sessions point to it
    uv_poll_t poll
    post_t post
    int fd                      # -1: closed
    char name[256]              # as the configuration writes it
    int first                   # loop, of those that serve what it accepts
    int loops
    limit_t sessions            # those that point to it
    uint64_t accepted
    uint32_t events             # accepted in one turn of the loop; events_per_iter; atomic, as the next two
    uint32_t most               # in their accept phase at once; 0: any number; concurrency
    uint32_t room               # for those that wait for that; 0: any number; accept_queue_backlog
    uint32_t accepting          # now; loop 0's
    uint32_t waiting
    void *first_waiting         # arrival_t, in the order they came
    void **last_waiting
    uint32_t done               # left their accept phase and not yet counted out; atomic
    uint32_t told               # that some did; atomic
    post_t telling
    bint full                   # accepts nothing until one that waits goes on
    timer_entry_t timer         # until it accepts again
    uint64_t told_ms            # when the paniclog heard last that descriptors are short

cdef void listener_start(accept_fn fn) noexcept nogil           # before loops run
cdef void listener_accepted(listener_t *l) noexcept nogil       # one that was counted is behind its accept phase; any loop
# The listen of the current generation that this socket serves; NULL: it has gone.
cdef const config_listen_t *listener_conf(listener_t *l, config_generation_t *g) noexcept nogil
