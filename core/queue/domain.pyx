"""Domain records and their queues: the table, the lists, the books.

Everything here runs on the record's loop.  A record is made with its first
message and goes when it is empty, without connections and its MX is stale.
"""
from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy

from pymomentum.core.base.atomic cimport atomic_add32, atomic_load32
from pymomentum.core.base.hash cimport hash_del, hash_get, hash_put, hash_t
from pymomentum.core.base.heap cimport heap_free, heap_insert, heap_remove
from pymomentum.core.base.list cimport list_append, list_init, list_prepend, list_remove
from pymomentum.core.base.slice cimport slice_hash, slice_make, slice_t
from pymomentum.core.base.status cimport EC_NOMEM, EC_OK
from pymomentum.core.base.timewheel cimport timer_entry_t, timer_init
from pymomentum.core.config.generation cimport config_current, config_delivery_kept, config_number, config_unref
from pymomentum.core.config.values cimport opt_list_t, values_free
from pymomentum.core.dns.mx cimport mx_answer_free, mx_cancel
from pymomentum.core.loop.limit cimport limit_waiter_t
from pymomentum.core.loop.loop cimport (COUNT_ACTIVE, COUNT_DELAYED, COUNT_DOMAINS, PLACE_QUEUE, loop_range_t, loop_t,
                                        loop_timer_clear)
from pymomentum.core.message.message cimport MSG_PRIORITY, ec_message_t
from pymomentum.core.net.address cimport split_port

cdef domain_fn maintainer = NULL
cdef loop_range_t maintainers       # maintainer_pool
cdef hash_t hot                     # name -> place in hot_domains, from 1; of all loops, they only read it
cdef uint32_t all_residents = 0     # atomic: the sum of the next
cdef uint32_t residents[65536]      # atomic, by binding: messages of active queues that are in memory
cdef enum:
    OWNER_SEED = 0x5eed


cdef void domain_set_maintainer(domain_fn fn) noexcept nogil:
    global maintainer
    maintainer = fn


cdef queue_loop_t *queue_loop(loop_t *loop) noexcept nogil:
    if loop.places[PLACE_QUEUE] == NULL:
        loop.places[PLACE_QUEUE] = calloc(1, sizeof(queue_loop_t))
        if loop.places[PLACE_QUEUE] != NULL:
            (<queue_loop_t*>loop.places[PLACE_QUEUE]).loop = loop
            list_init(&(<queue_loop_t*>loop.places[PLACE_QUEUE]).waking)
            list_init(&(<queue_loop_t*>loop.places[PLACE_QUEUE]).put_by)
    return <queue_loop_t*>loop.places[PLACE_QUEUE]


cdef int domain_share_out(const opt_list_t *names) noexcept nogil:
    """The loops get them in turn."""
    cdef size_t i, k
    cdef char *p
    for i in range(names.n if names != NULL else 0):
        p = <char*>malloc(names.items[i].len + 1)
        if p == NULL:
            return EC_NOMEM
        for k in range(names.items[i].len):
            p[k] = names.items[i].ptr[k] | (32 if c'A' <= names.items[i].ptr[k] <= c'Z' else 0)
        if hash_put(&hot, slice_make(p, names.items[i].len), <void*>(i + 1)) != EC_OK:
            return EC_NOMEM
    return EC_OK


cdef int domain_owner(slice_t name) noexcept nogil:
    cdef size_t place = <size_t>hash_get(&hot, name) if hot.used else 0
    return maintainers.first + <int>(((place - 1) if place else slice_hash(name, OWNER_SEED)) % <uint64_t>maintainers.n)


cdef void domain_set_loops(loop_range_t loops) noexcept nogil:
    global maintainers
    maintainers = loops


cdef domain_t *domain_get(loop_t *loop, slice_t name) noexcept nogil:
    return <domain_t*>hash_get(&queue_loop(loop).domains, name)


cdef slice_t copy(char *p, slice_t s) noexcept nogil:
    memcpy(p, s.ptr, s.len)
    p[s.len] = 0
    return slice_make(p, s.len)


cdef void on_timer(timer_entry_t *t) noexcept nogil:
    cdef domain_t *d = NULL
    d = <domain_t*>(<char*>t - (<char*>&d.timer - <char*>d))
    maintainer(d)


cdef domain_t *domain_make(loop_t *loop, slice_t name) noexcept nogil:
    cdef domain_t *d = domain_get(loop, name)
    cdef slice_t port
    if d != NULL:
        return d
    d = <domain_t*>calloc(1, sizeof(domain_t) + name.len + 1)
    if d == NULL:
        return NULL
    d.loop = loop
    d.name = copy(<char*>(d + 1), name)
    split_port(d.name, &d.option_name, &port)
    d.born_ms = loop.now_ms
    d.contact_ms = loop.now_ms
    timer_init(&d.timer, on_timer)
    list_init(&d.connections)
    if hash_put(&queue_loop(loop).domains, d.name, d) != EC_OK:
        free(d)
        return NULL
    loop.counters[COUNT_DOMAINS] += 1
    return d


cdef void domain_free(domain_t *d) noexcept nogil:
    cdef mail_queue_t *q = d.queues
    cdef mail_queue_t *next
    cdef domain_t **at = &queue_loop(d.loop).dirty
    while at[0] != NULL:
        if at[0] == d:
            at[0] = d.next_dirty
            break
        at = &at[0].next_dirty
    hash_del(&queue_loop(d.loop).domains, d.name)
    loop_timer_clear(d.loop, &d.timer)
    if d.resolving:
        mx_cancel(&d.query)
    while q != NULL:
        next = q.next
        heap_free(&q.delayed)
        list_remove(&q.hungry)
        values_free(q.values)
        free(q)
        q = next
    mx_answer_free(d.mx)
    free(d.refusal)
    if d.generation != NULL:
        config_unref(d.generation)
    d.loop.counters[COUNT_DOMAINS] -= 1
    free(d)


cdef void domain_refresh(domain_t *d) noexcept nogil:
    cdef mail_queue_t *q
    if d.generation != NULL and d.generation.number == config_number():
        return
    if d.generation != NULL:
        config_unref(d.generation)
    d.generation = config_current()
    q = d.queues
    while q != NULL:
        values_free(q.values)
        q.values = config_delivery_kept(d.generation, q.binding, d.option_name)
        q.waiting_until_ms = 0          # what it waits for may be different now
        q.alone = False
        q = q.next


cdef void on_room(limit_waiter_t *w) noexcept nogil:
    """A limit that was full has room."""
    cdef mail_queue_t *q = NULL
    q = <mail_queue_t*>(<char*>w - (<char*>&q.waiter - <char*>q))
    q.waiting_until_ms = 0
    maintainer(q.domain)


cdef mail_queue_t *domain_queue(domain_t *d, uint16_t binding) noexcept nogil:
    cdef mail_queue_t *q = d.queues
    while q != NULL:
        if q.binding == binding:
            return q
        q = q.next
    q = <mail_queue_t*>calloc(1, sizeof(mail_queue_t))
    if q == NULL:
        return NULL
    domain_refresh(d)
    q.domain = d
    q.binding = binding
    q.values = config_delivery_kept(d.generation, binding, d.option_name)
    q.delayed.index_at = heap_index_at()
    list_init(&q.active)
    list_init(&q.idle)
    list_init(&q.hungry)
    list_init(&q.waiter.node)
    q.waiter.loop = d.loop
    q.waiter.fn = on_room
    q.next = d.queues
    d.queues = q
    return q


cdef inline size_t heap_index_at() noexcept nogil:
    cdef ec_message_t *m = NULL
    return <size_t>(<char*>&m.node - <char*>m)


cdef void domain_touch(domain_t *d) noexcept nogil:
    cdef queue_loop_t *ql = queue_loop(d.loop)
    if not d.dirty:
        d.dirty = True
        d.next_dirty = ql.dirty
        ql.dirty = d


cdef void queue_pause(mail_queue_t *q) noexcept nogil:
    q.waiting = WAIT_SERVER
    q.waiting_until_ms = q.domain.loop.now_ms + 1000
    domain_touch(q.domain)


cdef uint32_t binding_residents(uint16_t binding) noexcept nogil:
    return atomic_load32(&residents[binding])


cdef uint32_t queue_residents() noexcept nogil:
    return atomic_load32(&all_residents)


cdef void queue_count_resident(mail_queue_t *q, int more) noexcept nogil:
    q.resident += more
    atomic_add32(&all_residents, more)
    atomic_add32(&residents[q.binding], more)


cdef void queue_push_active(mail_queue_t *q, ec_message_t *m, bint front) noexcept nogil:
    m.next_attempt = 0                  # in an active queue it is due; by this the console tells the two queues apart
    if front or m.flags & MSG_PRIORITY:
        list_prepend(&q.active, &m.node)
    else:
        list_append(&q.active, &m.node)
    q.active_count += 1
    if message_resident(m):
        queue_count_resident(q, 1)
    q.domain.loop.counters[COUNT_ACTIVE] += 1


cdef void queue_remove_active(mail_queue_t *q, ec_message_t *m) noexcept nogil:
    list_remove(&m.node)
    q.active_count -= 1
    if message_resident(m) and q.resident:
        queue_count_resident(q, -1)
    q.domain.loop.counters[COUNT_ACTIVE] -= 1


cdef int queue_push_delayed(mail_queue_t *q, ec_message_t *m) noexcept nogil:
    if heap_insert(&q.delayed, m.next_attempt, m) != EC_OK:
        return EC_NOMEM
    q.domain.loop.counters[COUNT_DELAYED] += 1
    return EC_OK


cdef void queue_remove_delayed(mail_queue_t *q, ec_message_t *m) noexcept nogil:
    heap_remove(&q.delayed, m)
    q.domain.loop.counters[COUNT_DELAYED] -= 1
