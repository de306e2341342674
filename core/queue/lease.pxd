# lease_t: a client session's claim on the mail of one queue.  The session lives on
# any loop, the queue on its domain's; where they differ, the lease travels by post.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from pymomentum.core.base.list cimport list_node_t
from pymomentum.core.config.values cimport throttle_t, values_t
from pymomentum.core.log.record cimport attempt_t
from pymomentum.core.loop.loop cimport loop_t
from pymomentum.core.loop.post cimport post_t
from pymomentum.core.message.id cimport message_id_t
from pymomentum.core.message.message cimport ec_message_t
from pymomentum.core.queue.domain cimport domain_t, mail_queue_t
from pymomentum.core.queue.permit cimport permit_t
from pymomentum.core.queue.route cimport route_t

ctypedef void (*lease_fn)(lease_t *l) noexcept nogil

cdef struct lease_t:            # embedded in the client session; its address must hold while `asking`
    post_t post                 # first; questions and answers
    post_t leave                # the last one
    list_node_t idle            # in mail_queue_t.idle; this and the next two are touched on the queue's loop only
    list_node_t spare           # in route_t.idle
    list_node_t node            # in domain_t.connections
    route_t *route              # the queue's loop's
    loop_t *loop                # the session's
    mail_queue_t *queue         # while `asking` it may change to a sibling's, on the same loop
    lease_fn granted            # on `loop`: `batch` holds n messages, 0: nothing now
    lease_fn wake               # on `loop`: the queue has mail again
    list_node_t batch           # of one transaction: equal content, one binding
    uint32_t n
    uint32_t most               # recipients it may take
    uint32_t own                # grants in a row from one queue
    bint asking                 # a question is under way: the session waits for `granted` before it leaves
    bint resting                # waits for `wake`; it may leave
    uint32_t deliver_us         # what the transaction took that is settled next; 0: told already
    permit_t permit             # the queue's loop's until it has left
    const char *host            # MX host name; the session's
    throttle_t *host_throttle   # outbound_throttle_messages of the Host stanza; NULL: none
    uint64_t wait_ms            # with n = 0: throttled for so long, or the session is to end; 0: no mail
    bint wanted                 # with n = 0: others wait for what the permit holds


# From the session's loop.  `granted` may be called before lease_ask returns.
cdef void lease_ask(lease_t *l, uint32_t most) noexcept nogil
# The messages come back with what became of them; a is copied where it must be.  Order is kept.
cdef void lease_settle(lease_t *l, ec_message_t *m, int outcome, const attempt_t *a) noexcept nogil
cdef void lease_rest(lease_t *l) noexcept nogil             # wake me when there is mail
cdef void lease_wake(lease_t *l) noexcept nogil             # for the maintainer, on the queue's loop, as the next three
# Counts as a connection of the queue and the route; scope: of the Host stanza, or NULL.
cdef void lease_join(lease_t *l, mail_queue_t *q, route_t *route, const values_t *scope) noexcept nogil
cdef void lease_renew(lease_t *l) noexcept nogil            # after a reload: it goes where it has no place any more, and rests no more
cdef void lease_switch(lease_t *l, mail_queue_t *q) noexcept nogil                  # to a sibling
cdef void lease_leave(lease_t *l, lease_fn gone) noexcept nogil    # the session ends; `gone` on its loop, then it may be freed
cdef void lease_set_remote(bint on) noexcept nogil          # debug_flags { lease = remote }
cdef bint lease_is_remote(lease_t *l) noexcept nogil
