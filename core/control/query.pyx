"""Questions to the loops, for console, REST and tests.

A question is posted to a loop, which formats its answer as JSON; the asking
thread waits without the GIL.  Work on the loop is bounded by `limit`.
"""
import json

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from pymomentum.core.base.buf cimport buf_add, buf_add_number, buf_free, buf_t
from pymomentum.core.base.hash cimport hash_next
from pymomentum.core.base.list cimport list_node_t
from pymomentum.core.base.slice cimport slice_eq, slice_make, slice_of, slice_of_bytes, slice_t
from pymomentum.core.base.status cimport EC_OK
from pymomentum.core.c.posix cimport (cond_init_monotonic, pthread_cond_destroy, pthread_cond_signal, pthread_cond_t,
                                      pthread_cond_wait, pthread_mutex_destroy, pthread_mutex_init, pthread_mutex_lock,
                                      pthread_mutex_t, pthread_mutex_unlock)
from pymomentum.core.c.uv cimport as_handle, uv_fileno
from pymomentum.core.config.generation cimport config_binding, config_binding_t, config_current, config_generation_t, config_unref
from pymomentum.core.dns.mx cimport MX_FAILED, MX_NONE, MX_NULL, MX_NXDOMAIN, MX_OK, mx_address_t, mx_host_t
from pymomentum.core.loop.loop cimport *
from pymomentum.core.loop.post cimport post_t
from pymomentum.core.message.id cimport MESSAGE_ID_TEXT, message_id_parse, message_id_t, message_id_text
from pymomentum.core.message.message cimport (RECV_INTERNAL, blob_slice, ec_message_t, message_count, resident_bytes)
from pymomentum.core.queue.domain cimport *
from pymomentum.core.queue.host cimport queue_port
from pymomentum.core.queue.route cimport route_find, route_t
from pymomentum.core.queue.swap cimport swap_in
from pymomentum.core.smtp.client.session cimport client_t, stage_name

cdef extern from *:
    """
    #include <arpa/inet.h>
    static void query_ntop(int family, const unsigned char *bytes, char *out, size_t n) {
        inet_ntop(family == 4 ? AF_INET : AF_INET6, bytes, out, n); }
    """
    void query_ntop(int family, const unsigned char *bytes, char *out, size_t n) noexcept nogil

ctypedef void (*answer_fn)(question_t *q) noexcept nogil

cdef struct question_t:
    post_t post                 # first
    pthread_mutex_t lock
    pthread_cond_t ready
    bint done
    loop_t *loop
    answer_fn fn
    buf_t out
    slice_t name                # what it is about
    slice_t binding
    message_id_t id
    uint64_t limit
    uint64_t offset
    ec_message_t *held          # its envelope is being read back
    bint body

cdef const char *WAITS[WAIT_COUNT]
WAITS[:] = [b"", b"dns", b"max_outbound_connections", b"server_max_outbound_connections", b"scope_max_outbound_connections",
            b"outbound_throttle_connections", b"outbound_throttle_messages", b"no valid hosts", b"suspended"]


# ---- JSON --------------------------------------------------------------------------

cdef void js(buf_t *b, slice_t s) noexcept nogil:
    """A string; bytes beyond ASCII are escaped one by one."""
    cdef const char *hex_ = b"0123456789abcdef"
    cdef size_t i
    cdef unsigned char c
    cdef char u[6]
    buf_add(b, b'"', 1)
    for i in range(s.len):
        c = <unsigned char>s.ptr[i]
        if c == c'"' or c == c'\\':
            u[0] = c'\\'
            u[1] = <char>c
            buf_add(b, u, 2)
        elif c < 32 or c > 126:
            u[0] = c'\\'
            u[1] = c'u'
            u[2] = c'0'
            u[3] = c'0'
            u[4] = hex_[c >> 4]
            u[5] = hex_[c & 15]
            buf_add(b, u, 6)
        else:
            buf_add(b, <char*>&c, 1)
    buf_add(b, b'"', 1)


cdef void key(buf_t *b, const char *name) noexcept nogil:
    if b.len and b.ptr[b.len - 1] != c'{':
        buf_add(b, b",", 1)
    js(b, slice_of(name))
    buf_add(b, b":", 1)


cdef void num(buf_t *b, const char *name, int64_t v) noexcept nogil:
    key(b, name)
    buf_add_number(b, v)


cdef void txt(buf_t *b, const char *name, slice_t s) noexcept nogil:
    key(b, name)
    js(b, s)


cdef void comma(buf_t *b) noexcept nogil:
    if b.len and b.ptr[b.len - 1] != c'[':
        buf_add(b, b",", 1)


cdef void more(buf_t *b, uint64_t v) noexcept nogil:
    buf_add(b, b",", 1)
    buf_add_number(b, v)


# ---- asking ------------------------------------------------------------------------

cdef void finish(question_t *q) noexcept nogil:
    pthread_mutex_lock(&q.lock)
    q.done = True
    pthread_cond_signal(&q.ready)
    pthread_mutex_unlock(&q.lock)


cdef void on_question(post_t *p) noexcept nogil:
    cdef question_t *q = <question_t*>p
    q.fn(q)
    if q.held == NULL:
        finish(q)


cdef object ask(question_t *q, int index, answer_fn fn):
    """The loop's JSON as Python; None where it said nothing."""
    pthread_mutex_init(&q.lock, NULL)
    cond_init_monotonic(&q.ready)
    q.loop = loop_at(index)
    q.fn = fn
    with nogil:
        loop_call(q.loop, &q.post, on_question)
        pthread_mutex_lock(&q.lock)
        while not q.done:
            pthread_cond_wait(&q.ready, &q.lock)
        pthread_mutex_unlock(&q.lock)
    pthread_mutex_destroy(&q.lock)
    pthread_cond_destroy(&q.ready)
    try:
        if q.body:
            return q.out.ptr[:q.out.len] if q.out.ptr != NULL else None
        return json.loads(q.out.ptr[:q.out.len]) if q.out.len else None
    finally:
        buf_free(&q.out)


# ---- counters ----------------------------------------------------------------------

def counters():
    """Everything that is counted, by name; DNS times in milliseconds."""
    cdef int64_t sums[COUNT_COUNT]
    cdef int64_t peak = 0
    cdef int i, k
    for k in range(COUNT_COUNT):
        sums[k] = 0
        for i in range(loop_count()):
            sums[k] += loop_at(i).counters[k]
    for i in range(loop_count()):
        peak = max(peak, loop_at(i).counters[COUNT_DNS_PEAK_US])
    answers = sums[COUNT_DNS_ANSWERS]
    return {
        "outbound": sums[COUNT_OUTBOUND], "inbound": sums[COUNT_INBOUND], "active_domains": sums[COUNT_DOMAINS],
        "active": sums[COUNT_ACTIVE], "delayed": sums[COUNT_DELAYED], "received": sums[COUNT_RECEIVED],
        "rejected": sums[COUNT_REJECTED], "delivered": sums[COUNT_DELIVERED], "failed": sums[COUNT_FAILED],
        "transfail": sums[COUNT_TRANSFAIL], "dns_a": sums[COUNT_DNS_A], "dns_a_timeout": sums[COUNT_DNS_A_TIMEOUT],
        "dns_aaaa": sums[COUNT_DNS_AAAA], "dns_aaaa_timeout": sums[COUNT_DNS_AAAA_TIMEOUT], "dns_mx": sums[COUNT_DNS_MX],
        "dns_mx_timeout": sums[COUNT_DNS_MX_TIMEOUT], "dns_txt": sums[COUNT_DNS_TXT],
        "dns_txt_timeout": sums[COUNT_DNS_TXT_TIMEOUT], "dns_pending": sums[COUNT_DNS_PENDING], "dns_peak_ms": peak / 1000,
        "dns_average_ms": sums[COUNT_DNS_TIME_US] / answers / 1000 if answers else 0,
        "resident_bytes": resident_bytes(), "messages": message_count(),
    }


# ---- domains -----------------------------------------------------------------------

cdef void sum_domain(domain_t *d, uint64_t *c, uint64_t *a, uint64_t *del_, uint64_t *sent, uint64_t *failed) noexcept nogil:
    cdef mail_queue_t *q = d.queues
    c[0] = a[0] = del_[0] = sent[0] = failed[0] = 0
    while q != NULL:
        c[0] += q.connections
        a[0] += q.active_count
        del_[0] += q.delayed.len
        sent[0] += q.delivered
        failed[0] += q.failed
        q = q.next


cdef void list_domains(question_t *q) noexcept nogil:
    cdef size_t cursor = 0
    cdef domain_t *d
    cdef uint64_t c, a, delayed, sent, failed
    buf_add(&q.out, b"[", 1)
    while True:
        d = <domain_t*>hash_next(&queue_loop(q.loop).domains, &cursor)
        if d == NULL:
            break
        sum_domain(d, &c, &a, &delayed, &sent, &failed)
        comma(&q.out)
        buf_add(&q.out, b"[", 1)
        js(&q.out, d.name)
        more(&q.out, c)
        more(&q.out, a)
        more(&q.out, delayed)
        more(&q.out, sent)
        buf_add(&q.out, b"]", 1)
    buf_add(&q.out, b"]", 1)


def domains():
    """(name, connections, active, delayed, sent) of every domain record."""
    cdef question_t q
    found = []
    for i in range(loop_count()):
        memset(&q, 0, sizeof(q))
        found += [tuple(row) for row in ask(&q, i, list_domains)]
    return sorted(found)


cdef void list_queues(question_t *q) noexcept nogil:
    cdef size_t cursor = 0
    cdef domain_t *d
    cdef mail_queue_t *mq
    cdef const config_binding_t *b
    cdef config_generation_t *g = config_current()
    buf_add(&q.out, b"[", 1)
    while True:
        d = <domain_t*>hash_next(&queue_loop(q.loop).domains, &cursor)
        if d == NULL:
            break
        mq = d.queues
        while mq != NULL:
            b = config_binding(g, mq.binding)
            comma(&q.out)
            buf_add(&q.out, b"[", 1)
            js(&q.out, b.group if b != NULL else slice_of(b"default"))
            buf_add(&q.out, b",", 1)
            js(&q.out, b.name if b != NULL else slice_of(b"default"))
            buf_add(&q.out, b",", 1)
            js(&q.out, d.name)
            more(&q.out, mq.active_count)
            more(&q.out, mq.delayed.len)
            buf_add(&q.out, b"]", 1)
            mq = mq.next
    buf_add(&q.out, b"]", 1)
    config_unref(g)


def mailq():
    """(group, binding, domain, active, delayed) of every queue."""
    cdef question_t q
    found = []
    for i in range(loop_count()):
        memset(&q, 0, sizeof(q))
        found += [tuple(row) for row in ask(&q, i, list_queues)]
    return sorted(found)


cdef void show_addresses(question_t *q, domain_t *d, const mx_host_t *h) noexcept nogil:
    cdef uint32_t i
    cdef const mx_address_t *a
    cdef route_t *r
    cdef char text[64]
    for i in range(h.first, h.first + h.count):
        a = &d.mx.address[i]
        query_ntop(a.family, a.bytes, text, sizeof(text))
        comma(&q.out)
        buf_add(&q.out, b"{", 1)
        txt(&q.out, b"address", slice_of(text))
        num(&q.out, b"family", a.family)
        r = route_find(d.loop, d.queues.binding, a, queue_port(d.queues)) if d.queues != NULL else NULL
        num(&q.out, b"connect_us", r.connect_us if r != NULL else 0)
        num(&q.out, b"deliver_us", r.deliver_us if r != NULL else 0)
        num(&q.out, b"failed_ms", d.loop.now_ms - r.failed_ms if r != NULL and r.failed_ms else -1)
        buf_add(&q.out, b"}", 1)


cdef void show_domain(question_t *q) noexcept nogil:
    cdef domain_t *d = domain_get(q.loop, q.name)
    cdef mail_queue_t *mq
    cdef uint64_t c, a, delayed, sent, failed
    cdef uint32_t i
    cdef list_node_t *node
    cdef const config_binding_t *b
    cdef client_t *client = NULL
    cdef int fd = -1
    if d == NULL:
        return
    sum_domain(d, &c, &a, &delayed, &sent, &failed)
    buf_add(&q.out, b"{", 1)
    txt(&q.out, b"name", d.name)
    num(&q.out, b"status", d.mx.status if d.mx != NULL else -1)
    num(&q.out, b"ttl", <int64_t>(d.mx_until_ms - d.loop.now_ms) // 1000 if d.mx_until_ms > d.loop.now_ms else 0)
    num(&q.out, b"failures", d.failures)
    num(&q.out, b"active", a)
    num(&q.out, b"delayed", delayed)
    num(&q.out, b"delivered", sent)
    num(&q.out, b"failed", failed)
    num(&q.out, b"messages", d.messages)
    key(&q.out, b"mx")
    buf_add(&q.out, b"[", 1)
    if d.mx != NULL:
        for i in range(d.mx.hosts):
            comma(&q.out)
            buf_add(&q.out, b"{", 1)
            num(&q.out, b"preference", d.mx.host[i].preference)
            txt(&q.out, b"name", d.mx.host[i].name)
            key(&q.out, b"addresses")
            buf_add(&q.out, b"[", 1)
            show_addresses(q, d, &d.mx.host[i])
            buf_add(&q.out, b"]}", 2)
    buf_add(&q.out, b"]", 1)
    key(&q.out, b"connections")
    buf_add(&q.out, b"[", 1)
    node = d.connections.next
    while node != &d.connections:
        client = <client_t*>(<char*>node - client_node_at())
        fd = -1
        uv_fileno(as_handle(&client.stream.tcp), &fd)
        comma(&q.out)
        buf_add(&q.out, b"{", 1)
        num(&q.out, b"fd", fd)
        txt(&q.out, b"address", slice_of(client.peer_text))
        txt(&q.out, b"state", slice_of(stage_name(client.stage)))
        num(&q.out, b"elapsed_ms", d.loop.now_ms - client.since_ms if d.loop.now_ms > client.since_ms else 0)
        buf_add(&q.out, b"}", 1)
        node = node.next
    buf_add(&q.out, b"]", 1)
    key(&q.out, b"waiting")
    buf_add(&q.out, b"[", 1)
    mq = d.queues
    while mq != NULL:
        if mq.waiting:
            comma(&q.out)
            buf_add(&q.out, b"{", 1)
            b = config_binding(d.generation, mq.binding)
            txt(&q.out, b"binding", b.name if b != NULL else slice_of(b"default"))
            txt(&q.out, b"reason", slice_of(WAITS[mq.waiting]))
            num(&q.out, b"until_ms", mq.waiting_until_ms - d.loop.now_ms if mq.waiting_until_ms > d.loop.now_ms else 0)
            buf_add(&q.out, b"}", 1)
        mq = mq.next
    buf_add(&q.out, b"]}", 2)


cdef inline size_t client_node_at() noexcept nogil:
    cdef client_t *c = NULL
    return <size_t>(<char*>&c.lease.node - <char*>c)


def domain(str name not None):
    """One domain record as a dict, or None where there is none."""
    cdef question_t q
    cdef bytes b = name.lower().encode()
    memset(&q, 0, sizeof(q))
    q.name = slice_of_bytes(b)
    raw = ask(&q, domain_owner(q.name), show_domain)
    if raw is None:
        return None
    status = {-1: "", MX_OK: "ok", MX_NULL: "null MX", MX_NXDOMAIN: "does not exist", MX_NONE: "no MX or A", MX_FAILED: "lookup failed"}
    raw["status"] = status.get(raw["status"], "")
    for host in raw["mx"]:
        host["ttl"] = raw["ttl"]
        for a in host["addresses"]:
            a["connect_ms"] = a.pop("connect_us") / 1000
            a["deliver_ms"] = a.pop("deliver_us") / 1000
            ms = a.pop("failed_ms")
            a["failed_s"] = ms / 1000 if ms >= 0 else None
            a["next"] = False
    fit = [a for host in raw["mx"] for a in host["addresses"] if a["failed_s"] is None]
    if fit:
        fit[0]["next"] = True
    for w in raw["waiting"]:
        w["until_s"] = w.pop("until_ms") / 1000
    return raw


# ---- messages ----------------------------------------------------------------------

cdef void show_message(buf_t *b, ec_message_t *m) noexcept nogil:
    cdef char id[MESSAGE_ID_TEXT]
    message_id_text(m.id, id)
    txt(b, b"id", slice_make(id, MESSAGE_ID_TEXT))
    num(b, b"created", m.created_us // 1000000)
    num(b, b"next_attempt", m.next_attempt)
    num(b, b"retries", m.retries)
    num(b, b"size", m.body_size)
    txt(b, b"code", slice_of(m.code) if m.code != NULL else slice_make(NULL, 0))
    if m.env != NULL:
        txt(b, b"sender", m.env.mailfrom)
        txt(b, b"recipient", m.env.rcptto)
        txt(b, b"peer", m.env.peer)
        num(b, b"method", m.env.method)
    else:
        num(b, b"swapped", 1)


cdef void one_row(question_t *q, const char *where, mail_queue_t *mq, ec_message_t *m) noexcept nogil:
    cdef const config_binding_t *b
    if q.offset:
        q.offset -= 1
        return
    if q.limit == 0:
        return
    q.limit -= 1
    b = config_binding(mq.domain.generation, mq.binding)
    comma(&q.out)
    buf_add(&q.out, b"{", 1)
    txt(&q.out, b"where", slice_of(where))
    txt(&q.out, b"binding", b.name if b != NULL else slice_of(b"default"))
    show_message(&q.out, m)
    buf_add(&q.out, b"}", 1)


cdef void list_messages(question_t *q) noexcept nogil:
    cdef domain_t *d = domain_get(q.loop, q.name)
    cdef mail_queue_t *mq
    cdef list_node_t *node
    cdef const config_binding_t *b
    cdef size_t i
    if d == NULL:
        return
    buf_add(&q.out, b"[", 1)
    mq = d.queues
    while mq != NULL:
        b = config_binding(d.generation, mq.binding)
        if q.binding.len == 0 or (b != NULL and slice_eq(b.name, q.binding)):
            node = mq.active.next
            while node != &mq.active and q.limit:
                one_row(q, b"active", mq, <ec_message_t*>node)
                node = node.next
            for i in range(mq.delayed.len):
                if q.limit == 0:
                    break
                one_row(q, b"delayed", mq, <ec_message_t*>mq.delayed.slots[i].item)
        mq = mq.next
    buf_add(&q.out, b"]", 1)


def queue(str name not None, binding=None, int limit=100, int offset=0):
    """Messages queued for a domain; sender and recipient of swapped-out mail are read back from the spool."""
    cdef question_t q
    cdef bytes b = name.lower().encode()
    cdef bytes bb = (binding or "").encode()
    memset(&q, 0, sizeof(q))
    q.name = slice_of_bytes(b)
    q.binding = slice_of_bytes(bb)
    q.limit = limit
    q.offset = offset
    rows = ask(&q, domain_owner(q.name), list_messages) or []
    for row in rows:
        if row.pop("swapped", 0):
            full = message(row["id"]) or {}
            row["sender"] = full.get("sender", "")
            row["recipient"] = full.get("recipient", "")
    return rows


cdef ec_message_t *find_message(loop_t *loop, message_id_t id) noexcept nogil:
    """Of those in queues; what is being delivered is not seen."""
    cdef size_t cursor = 0, i
    cdef domain_t *d
    cdef mail_queue_t *mq
    cdef list_node_t *node
    cdef ec_message_t *m
    while True:
        d = <domain_t*>hash_next(&queue_loop(loop).domains, &cursor)
        if d == NULL:
            return NULL
        mq = d.queues
        while mq != NULL:
            node = mq.active.next
            while node != &mq.active:
                m = <ec_message_t*>node
                if m.id.slot == id.slot and m.id.counter == id.counter and m.id.pid == id.pid:
                    return m
                node = node.next
            for i in range(mq.delayed.len):
                m = <ec_message_t*>mq.delayed.slots[i].item
                if m.id.slot == id.slot and m.id.counter == id.counter and m.id.pid == id.pid:
                    return m
            mq = mq.next


cdef void give_message(question_t *q, ec_message_t *m) noexcept nogil:
    cdef slice_t body
    if q.body:
        if m.blob != NULL:
            body = blob_slice(m.blob)
            buf_add(&q.out, body.ptr, body.len)
        return
    buf_add(&q.out, b"{", 1)
    show_message(&q.out, m)
    buf_add(&q.out, b"}", 1)


cdef void on_read_back(ec_message_t *m, void *ctx, int rc) noexcept nogil:
    """The message went back to its queue's end with what was read."""
    cdef question_t *q = <question_t*>ctx
    cdef mail_queue_t *mq = queue_of(m)
    if rc == EC_OK:
        give_message(q, m)
    if m.next_attempt:
        queue_push_delayed(mq, m)
    else:
        queue_push_active(mq, m, True)
    domain_touch(mq.domain)
    finish(q)


cdef void one_message(question_t *q) noexcept nogil:
    cdef ec_message_t *m = find_message(q.loop, q.id)
    cdef mail_queue_t *mq
    if m == NULL:
        return
    if m.env != NULL and (not q.body or m.blob != NULL):
        give_message(q, m)
        return
    mq = queue_of(m)
    if m.next_attempt:
        queue_remove_delayed(mq, m)
    else:
        queue_remove_active(mq, m)
    q.held = m
    swap_in(q.loop, m, q.body, on_read_back, q)


cdef object find(str id, bint body):
    cdef question_t q
    cdef bytes b = id.encode()
    for i in range(loop_count()):
        memset(&q, 0, sizeof(q))
        if message_id_parse(slice_of_bytes(b), &q.id) != EC_OK:
            raise ValueError(f"not a message id: {id}")
        q.body = body
        found = ask(&q, i, one_message)
        if found is not None:
            return found
    return None


def message(str id not None):
    """Details of a queued message, or None; raises ValueError where `id` is none."""
    found = find(id, False)
    if found is not None:
        found["via"] = "internal" if found.get("method") == RECV_INTERNAL else f"SMTP {found.get('peer', 'unknown')}"
    return found


def message_body(str id not None):
    """The message in wire form, or None."""
    return find(id, True)
