"""Routing a message to its domain record.

The routing domain is the recipient's domain, or what policy set; then the
`reroute_domain`, then the `gateway` of the scopes that apply.  The message itself travels to the
record's loop: its list node is a post while it is in no queue.
"""
from libc.stdint cimport int64_t, uint16_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from pymomentum.core.base.list cimport list_init
from pymomentum.core.base.slice cimport slice_eq, slice_ieq, slice_make, slice_of, slice_t
from pymomentum.core.config.generation cimport config_delivery, config_generation_t
from pymomentum.core.config.values cimport (OPT_GATEWAY, OPT_MAX_RESIDENT_ACTIVE_QUEUE, OPT_MAX_RESIDENT_MESSAGES,
                                            OPT_MAX_RESIDENT_MESSAGES_PER_BINDING, OPT_DELAYED_REROUTE_DOMAIN, OPT_REROUTE_DOMAIN, opt_number,
                                            opt_text, values_t)
from pymomentum.core.log.writer cimport log_panic
from pymomentum.core.loop.loop cimport loop_at, loop_post, loop_t
from pymomentum.core.loop.post cimport post_t
from pymomentum.core.message.message cimport (MSG_SPOOLED, MSG_STATE_PENDING, address_domain, ec_message_t, message_free,
                                              message_swap_out)
from pymomentum.core.base.status cimport EC_OK
from .domain cimport (binding_residents, domain_make, domain_owner, domain_queue, domain_t, domain_touch, mail_queue_t, queue_loop, queue_residents,
                      queue_push_active, queue_push_delayed)

cdef enum:
    NAME_MAX = 255

cdef struct move_t:             # a message on its way to a domain of another loop
    post_t post                 # first
    ec_message_t *m
    loop_t *loop
    bint rollup
    bint gateway
    size_t len
    char name[256]


cdef slice_t lower(slice_t s, char *out) noexcept nogil:
    cdef size_t i, n = s.len if s.len <= NAME_MAX else NAME_MAX
    for i in range(n):
        out[i] = s.ptr[i] + 32 if c'A' <= s.ptr[i] <= c'Z' else s.ptr[i]
    if n and out[n - 1] == c'.':
        n -= 1
    return slice_make(out, n)


cdef bint destination(config_generation_t *g, uint16_t binding, slice_t *name, char *room) noexcept nogil:
    """Where a domain's mail is queued: under its own name, or its gateway's; then its own Domain stanza counts no more."""
    cdef values_t values
    cdef const slice_t *gateway = opt_text(config_delivery(g, binding, name[0], &values), OPT_GATEWAY)
    if gateway == NULL or gateway.len == 0:
        return False
    name[0] = lower(gateway[0], room)
    return True


cdef slice_t own_domain(loop_t *loop, ec_message_t *m, char *room) noexcept nogil:
    """The domain whose mail a message is."""
    cdef config_generation_t *g = queue_loop(loop).generation
    cdef slice_t domain = m.env.routing if m.env.routing.len else address_domain(m.env.rcptto)
    cdef slice_t name = lower(domain if domain.len else slice_of(b"localhost"), room)
    cdef values_t values
    cdef char other_room[256]
    cdef slice_t other = reroute_name(opt_text(config_delivery(g, m.binding, name, &values), OPT_REROUTE_DOMAIN), other_room)
    return lower(other, room) if other.len else name


cdef bint route(loop_t *loop, ec_message_t *m, char *room, slice_t *name) noexcept nogil:
    """The name of the record that a message goes to; True: it is that of a gateway."""
    name[0] = own_domain(loop, m, room)
    return destination(queue_loop(loop).generation, m.binding, name, room)


cdef void arrive(post_t *p) noexcept nogil:
    cdef ec_message_t *m = <ec_message_t*>p
    cdef loop_t *loop = <loop_t*>m.domain
    list_init(&m.node)
    queue_insert(loop, m)                   # a reload may have given it to another loop meanwhile


cdef domain_t *file_message(loop_t *loop, ec_message_t *m, slice_t name, bint gateway) noexcept nogil:
    """On the owner's loop; NULL: no memory."""
    cdef domain_t *d = domain_make(loop, name)
    cdef mail_queue_t *q = domain_queue(d, m.binding) if d != NULL else NULL
    cdef int64_t most
    if q == NULL:
        # It is in the spool and comes back with the next start.
        log_panic(loop, b"QUEUE", b"out of memory: a message stays in the spool until the next start")
        message_free(m)
        return NULL
    d.gateway = d.gateway or gateway
    m.domain = d
    d.messages += 1
    q.received += 1
    if m.next_attempt and m.next_attempt > loop.wall_us // 1000000:
        if m.flags & MSG_SPOOLED:
            message_swap_out(m)
        if queue_push_delayed(q, m) != EC_OK:
            queue_push_active(q, m, False)
    else:
        most = opt_number(q.values, OPT_MAX_RESIDENT_ACTIVE_QUEUE)
        if m.flags & MSG_SPOOLED and ((most >= 0 and q.resident >= most) or resident_full(q) or binding_full(q)):
            message_swap_out(m)
        queue_push_active(q, m, False)
    domain_touch(d)
    return d


cdef inline bint resident_full(mail_queue_t *q) noexcept nogil:
    cdef int64_t most = opt_number(q.values, OPT_MAX_RESIDENT_MESSAGES)
    return most > 0 and <int64_t>queue_residents() >= most


cdef inline bint binding_full(mail_queue_t *q) noexcept nogil:
    cdef int64_t most = opt_number(q.values, OPT_MAX_RESIDENT_MESSAGES_PER_BINDING)
    return most >= 0 and binding_residents(q.binding) >= most


cdef void queue_insert(loop_t *loop, ec_message_t *m) noexcept nogil:
    cdef char room[256]
    cdef slice_t name
    cdef bint gateway = route(loop, m, room, &name)
    cdef int owner
    cdef post_t *p
    owner = domain_owner(name)
    if owner == loop.index:
        file_message(loop, m, name, gateway)
        return
    m.domain = loop_at(owner)
    p = <post_t*>m
    p.fn = arrive
    loop_post(loop_at(owner), p)


# ---- to another domain -------------------------------------------------------------

cdef slice_t reroute_name(const slice_t *text, char *room) noexcept nogil:
    if text == NULL or slice_ieq(text[0], slice_of(b"disabled")):
        return slice_make(NULL, 0)
    return lower(text[0], room)


cdef void file_moved(loop_t *loop, ec_message_t *m, slice_t name, bint gateway, bint rollup) noexcept nogil:
    cdef domain_t *d = file_message(loop, m, name, gateway)
    if d != NULL and rollup:
        d.target = True


cdef void on_moved(post_t *p) noexcept nogil:
    cdef move_t *v = <move_t*>p
    file_moved(v.loop, v.m, slice_make(v.name, v.len), v.gateway, v.rollup)
    free(v)


cdef slice_t queue_leaves_gateway(mail_queue_t *q, ec_message_t *m, char *room) noexcept nogil:
    cdef config_generation_t *g = queue_loop(q.domain.loop).generation
    cdef slice_t none = slice_make(NULL, 0), own, there
    cdef char there_room[256]
    cdef char other_room[256]
    cdef values_t values
    if not q.domain.gateway or q.domain.target or m.env == NULL:
        return none
    own = there = own_domain(q.domain.loop, m, room)
    if reroute_name(opt_text(config_delivery(g, m.binding, own, &values), OPT_DELAYED_REROUTE_DOMAIN), other_room).len:
        return none                     # it may be by that that it is here
    destination(g, m.binding, &there, there_room)
    return none if slice_eq(there, q.domain.name) else own


cdef bint queue_move(mail_queue_t *q, ec_message_t *m, slice_t name, bint rollup) noexcept nogil:
    cdef domain_t *d = q.domain
    cdef char room[256]
    cdef bint gateway = name.len > 0 and destination(d.generation, m.binding, &name, room)
    cdef int owner
    cdef move_t *v
    if name.len == 0 or slice_eq(name, d.name):
        return False
    owner = domain_owner(name)
    if owner == d.loop.index:
        file_moved(d.loop, m, name, gateway, rollup)
    else:
        if m.flags & MSG_STATE_PENDING:     # this loop hears of its state soon
            return False
        v = <move_t*>malloc(sizeof(move_t))
        if v == NULL:
            return False
        v.m = m
        v.loop = loop_at(owner)
        v.rollup = rollup
        v.gateway = gateway
        v.len = name.len
        memcpy(v.name, name.ptr, name.len)
        m.domain = v.loop
        v.post.fn = on_moved
        loop_post(v.loop, &v.post)
    d.messages -= 1
    domain_touch(d)
    return True
