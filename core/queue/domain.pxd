# domain_t: the mail of one routing domain.  It lives on one loop; others post to it.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from pymomentum.core.base.hash cimport hash_t
from pymomentum.core.base.heap cimport heap_t
from pymomentum.core.base.list cimport list_node_t
from pymomentum.core.base.slice cimport slice_t
from pymomentum.core.base.timewheel cimport timer_entry_t
from pymomentum.core.config.generation cimport config_generation_t
from pymomentum.core.config.values cimport (DEFAULT_BINDING_SUSPENDED, OPT_DEFAULT_BINDING, OPT_SUSPEND_DELIVERY, opt_list_t, opt_number,
                                            values_t)
from pymomentum.core.dns.mx cimport mx_address_t, mx_answer_t, mx_query_t
from pymomentum.core.loop.limit cimport limit_waiter_t
from pymomentum.core.loop.loop cimport loop_range_t, loop_t
from pymomentum.core.loop.post cimport post_t
from pymomentum.core.message.id cimport message_id_t
from pymomentum.core.message.message cimport BODY_LARGE, ec_message_t
from pymomentum.core.net.address cimport ADDRESS_TEXT

cdef enum wait_t:               # why a queue with active mail opens no connection
    WAIT_NOTHING
    WAIT_DNS
    WAIT_CONNECTIONS            # max_outbound_connections
    WAIT_SERVER                 # server_max_outbound_connections
    WAIT_SCOPE                  # scope_max_outbound_connections
    WAIT_THROTTLE               # outbound_throttle_connections
    WAIT_MESSAGES               # outbound_throttle_messages
    WAIT_HOSTS                  # every host failed a moment ago
    WAIT_SUSPENDED
    WAIT_COUNT

cdef struct mail_queue_t:       # of one binding in one domain
    mail_queue_t *next
    domain_t *domain
    const values_t *values      # options, of generation `domain.generation`; values_free()d with it
    list_node_t active          # messages, priority first
    list_node_t idle            # leases whose session waits for mail
    list_node_t hungry          # in hungry_in.hungry
    void *hungry_in             # route_t; NULL: listed nowhere
    heap_t delayed              # by next_attempt
    uint32_t active_count
    uint32_t resident           # of the active ones with body and envelope in memory
    uint32_t connections
    uint32_t going              # of them, those that are told to end
    uint16_t binding
    uint16_t waiting            # wait_t
    uint64_t waiting_until_ms   # monotonic; 0: until something happens
    uint64_t starved_ms         # since when the server's limit denies it a first connection; 0: it does not
    limit_waiter_t waiter       # for a limit that was full
    bint sweeping               # all of it is put off
    bint alone                  # connections to its host have other options: none will come for it
    uint32_t charged            # domain.failures that a message has answered for
    uint64_t received
    uint64_t delivered
    uint64_t failed
    uint64_t transfailed

cdef struct refusal_t:          # how a host that was reached took no mail at all
    message_id_t conn
    int stage
    char peer[ADDRESS_TEXT]
    char text[256]

cdef struct domain_t:
    loop_t *loop
    slice_t name                # routing domain, lower case; behind the struct
    slice_t option_name         # whose Domain stanza applies: the name, without the port of a gateway
    timer_entry_t timer         # the maintainer
    list_node_t connections     # leases of its client sessions, on any loop
    mail_queue_t *queues
    config_generation_t *generation     # pinned: values point into it
    mx_answer_t *mx
    uint64_t mx_until_ms
    uint64_t mx_counted         # mx_until_ms of the answer that dns_failures counted last
    mx_query_t query
    uint64_t born_ms
    uint64_t contact_ms         # last connection that answered
    uint64_t failing_ms         # since when no host of it answers; 0: one did
    refusal_t *refusal          # why mail was put off last; owned; NULL: none
    uint32_t failures           # connections failed in a row
    uint32_t dns_failures
    uint32_t messages           # in queues and in hand
    bint gateway                # mail comes here by that option: routes do not count
    bint target                 # mail of other domains was queued for it (rollup_mx): it stays here
    bint resolving
    bint dirty                  # a maintainer run is due in this iteration
    domain_t *next_dirty

cdef struct queue_loop_t:       # a loop's PLACE_QUEUE
    config_generation_t *generation     # the current one as of this iteration; pinned
    hash_t domains
    hash_t routes               # route_key_t -> route_t
    list_node_t waking          # routes whose hungry queues are being called
    uint64_t swept_ms
    list_node_t put_by          # messages that failed for now, to be seen to in a later turn
    uint32_t put_by_count
    timer_entry_t put_by_timer
    timer_entry_t expirer       # dns_expire_interval
    size_t expire_cursor
    uint64_t seed               # of host choices
    domain_t *dirty
    loop_t *loop
    post_t drain
    uint32_t draining           # atomic: it was sent
    post_t refresh              # in use while a reload is taken up
    uint32_t refreshing         # atomic
    size_t refresh_cursor

ctypedef void (*domain_fn)(domain_t *d) noexcept nogil

cdef void domain_set_maintainer(domain_fn fn) noexcept nogil                # before loops run
cdef domain_t *domain_get(loop_t *loop, slice_t name) noexcept nogil        # NULL: there is none
cdef domain_t *domain_make(loop_t *loop, slice_t name) noexcept nogil       # finds or makes; NULL: no memory
cdef void domain_free(domain_t *d) noexcept nogil                           # empty, without connections
cdef mail_queue_t *domain_queue(domain_t *d, uint16_t binding) noexcept nogil
cdef void domain_refresh(domain_t *d) noexcept nogil                        # values of the current generation
cdef void domain_touch(domain_t *d) noexcept nogil                          # maintain at the end of this iteration
cdef int domain_owner(slice_t name) noexcept nogil                          # index of the loop
cdef void domain_set_loops(loop_range_t loops) noexcept nogil               # maintainer_pool, before loops run
cdef int domain_share_out(const opt_list_t *hot) noexcept nogil             # hot_domains, before loops run; EC_NOMEM
cdef uint32_t binding_residents(uint16_t binding) noexcept nogil            # the sum of `resident` of all its queues
cdef uint32_t queue_residents() noexcept nogil                              # likewise of all queues
cdef void queue_count_resident(mail_queue_t *q, int more) noexcept nogil
cdef queue_loop_t *queue_loop(loop_t *loop) noexcept nogil

cdef void queue_pause(mail_queue_t *q) noexcept nogil          # no connection for a second: this machine has none to give
cdef void queue_push_active(mail_queue_t *q, ec_message_t *m, bint front) noexcept nogil
cdef int queue_push_delayed(mail_queue_t *q, ec_message_t *m) noexcept nogil
cdef void queue_remove_active(mail_queue_t *q, ec_message_t *m) noexcept nogil
cdef void queue_remove_delayed(mail_queue_t *q, ec_message_t *m) noexcept nogil


cdef inline bint message_resident(ec_message_t *m) noexcept nogil:
    """Can be sent without reading the spool first (a large body is read while it is sent)."""
    return m.env != NULL and (m.blob != NULL or m.flags & BODY_LARGE)


cdef inline bint queue_suspended(mail_queue_t *q) noexcept nogil:
    return opt_number(q.values, OPT_SUSPEND_DELIVERY) == 1 \
        or (q.binding == 0 and opt_number(q.values, OPT_DEFAULT_BINDING) == DEFAULT_BINDING_SUSPENDED)


cdef inline mail_queue_t *queue_of(ec_message_t *m) noexcept nogil:
    return domain_queue(<domain_t*>m.domain, m.binding)
