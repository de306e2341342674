"""Questions to the loops, for console, REST and tests.

A question is posted to a loop, which formats its answer as JSON; the asking
thread waits without the GIL.  A walk over all domain records is cut up: a
bounded part of it per iteration, mail flows in between.  A single queue is
walked in one go, from the nearer end.
"""
import json
import time

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memset

from pymomentum.core.base.buf cimport buf_add, buf_add_number, buf_free, buf_slice, buf_t
from pymomentum.core.base.hash cimport hash_t
from pymomentum.core.base.list cimport list_node_t
from pymomentum.core.base.slice cimport slice_bytes, slice_eq, slice_make, slice_of, slice_of_bytes, slice_t
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
from pymomentum.core.message.message cimport RECV_INTERNAL, blob_slice, ec_message_t, meta_decode
from pymomentum.core.message.word cimport word_text
from pymomentum.core.queue.domain cimport *
from pymomentum.core.queue.host cimport queue_port
from pymomentum.core.queue.route cimport route_find, route_t
from pymomentum.core.queue.swap cimport swap_in
from pymomentum.core.smtp.client.session cimport client_t, stage_name
from pymomentum.core.spool.layout cimport record_header_t
from pymomentum.core.spool.reader cimport spool_read
from pymomentum.core.spool.spool cimport spool_main
from . import summary
from .json cimport json_comma, json_key, json_more, json_number, json_string, json_text

cdef extern from *:
    """
    #include <arpa/inet.h>
    static void query_ntop(int family, const unsigned char *bytes, char *out, size_t n) {
        inet_ntop(family == 4 ? AF_INET : AF_INET6, bytes, out, n); }
    """
    void query_ntop(int family, const unsigned char *bytes, char *out, size_t n) noexcept nogil

cdef enum:
    SLOTS = 2048                # of a table of domains, looked at per iteration
    MESSAGES = 20000            # looked at per iteration, and then to the end of a queue
    HOSTS = 32                  # of a domain whose other users are looked for
    SIBLINGS = 10               # of them named, of each host
    PAGE = 1000                 # messages listed per question

cdef enum progress_t:
    DONE
    MORE                        # to be called again in the next iteration
    LATER                       # whoever is waited for calls finish

ctypedef progress_t (*answer_fn)(question_t *q) noexcept nogil

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
    bint body
    size_t cursor               # of a walk over the domains: slots still to be looked at
    size_t table                # how many there were when it began
    int slots                   # left of this iteration
    int64_t messages
    uint32_t hosts              # whose users are looked for
    slice_t host[HOSTS]
    uint32_t users[HOSTS]

cdef const char *WAITS[WAIT_COUNT]
WAITS[:] = [b"", b"dns", b"max_outbound_connections", b"server_max_outbound_connections", b"scope_max_outbound_connections",
            b"outbound_throttle_connections", b"outbound_throttle_messages", b"no valid hosts", b"suspended"]


# ---- asking ------------------------------------------------------------------------

cdef void finish(question_t *q) noexcept nogil:
    pthread_mutex_lock(&q.lock)
    q.done = True
    pthread_cond_signal(&q.ready)
    pthread_mutex_unlock(&q.lock)


cdef void on_question(post_t *p) noexcept nogil:
    cdef question_t *q = <question_t*>p
    cdef progress_t progress
    q.slots = SLOTS
    q.messages = MESSAGES
    progress = q.fn(q)
    if progress == MORE:
        loop_call(q.loop, p, on_question)
    elif progress == DONE:
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


cdef domain_t *next_domain(question_t *q) noexcept nogil:
    """NULL: enough for this iteration, and all where q.cursor is 0.

    Records that move when another is removed move to lower slots: walking down, none is missed, and
    one may come twice.  A table that has grown meanwhile is walked anew.
    """
    cdef hash_t *h = &queue_loop(q.loop).domains
    if q.table != h.size:
        q.table = q.cursor = h.size
    while q.cursor and q.slots:
        q.cursor -= 1
        q.slots -= 1
        if h.slots[q.cursor].key != NULL:
            return <domain_t*>h.slots[q.cursor].value
    return NULL


cdef progress_t list_domains(question_t *q) noexcept nogil:
    cdef domain_t *d
    cdef uint64_t c, a, delayed, sent, failed
    if q.out.len == 0:
        buf_add(&q.out, b"[", 1)
    while True:
        d = next_domain(q)
        if d == NULL:
            break
        sum_domain(d, &c, &a, &delayed, &sent, &failed)
        json_comma(&q.out)
        buf_add(&q.out, b"[", 1)
        json_string(&q.out, d.name)
        json_more(&q.out, c)
        json_more(&q.out, a)
        json_more(&q.out, delayed)
        json_more(&q.out, sent)
        buf_add(&q.out, b"]", 1)
    if q.cursor == 0:
        buf_add(&q.out, b"]", 1)
    return MORE if q.cursor else DONE


def domains():
    """(name, connections, active, delayed, sent) of every domain record."""
    cdef question_t q
    found = {}
    for i in range(loop_count()):
        memset(&q, 0, sizeof(q))
        found.update((row[0], tuple(row)) for row in ask(&q, i, list_domains))
    return sorted(found.values())


cdef progress_t list_queues(question_t *q) noexcept nogil:
    cdef domain_t *d
    cdef mail_queue_t *mq
    cdef const config_binding_t *b
    cdef config_generation_t *g = config_current()
    if q.out.len == 0:
        buf_add(&q.out, b"[", 1)
    while True:
        d = next_domain(q)
        if d == NULL:
            break
        mq = d.queues
        while mq != NULL:
            b = config_binding(g, mq.binding)
            json_comma(&q.out)
            buf_add(&q.out, b"[", 1)
            json_string(&q.out, b.group if b != NULL else slice_of(b"default"))
            buf_add(&q.out, b",", 1)
            json_string(&q.out, b.name if b != NULL else slice_of(b"default"))
            buf_add(&q.out, b",", 1)
            json_string(&q.out, d.name)
            json_more(&q.out, mq.active_count)
            json_more(&q.out, mq.delayed.len)
            buf_add(&q.out, b"]", 1)
            mq = mq.next
    config_unref(g)
    if q.cursor == 0:
        buf_add(&q.out, b"]", 1)
    return MORE if q.cursor else DONE


def mailq():
    """(group, binding, domain, active, delayed) of every queue."""
    cdef question_t q
    found = {}
    for i in range(loop_count()):
        memset(&q, 0, sizeof(q))
        found.update((tuple(row[:3]), tuple(row)) for row in ask(&q, i, list_queues))
    return sorted(found.values())


cdef progress_t list_users(question_t *q) noexcept nogil:
    """[index of the host, domain, preference] of other domains with these hosts; the first few, the others are counted."""
    cdef domain_t *d
    cdef uint32_t i, k
    if q.out.len == 0:
        buf_add(&q.out, b"[", 1)
    while True:
        d = next_domain(q)
        if d == NULL:
            break
        if d.mx == NULL or slice_eq(d.name, q.name):
            continue
        for i in range(d.mx.hosts):
            for k in range(q.hosts):
                if not slice_eq(d.mx.host[i].name, q.host[k]):
                    continue
                q.users[k] += 1
                if q.users[k] <= SIBLINGS:
                    json_comma(&q.out)
                    buf_add(&q.out, b"[", 1)
                    buf_add_number(&q.out, k)
                    buf_add(&q.out, b",", 1)
                    json_string(&q.out, d.name)
                    json_more(&q.out, d.mx.host[i].preference)
                    buf_add(&q.out, b"]", 1)
    if q.cursor == 0:
        buf_add(&q.out, b"]", 1)
    return MORE if q.cursor else DONE


cdef object users(bytes name, list hosts):
    """Who else uses the hosts, put into them: a few by name, and how many more there are."""
    cdef question_t q
    cdef list names = [host["name"].encode("utf-8", "surrogateescape") for host in hosts[:HOSTS]]
    cdef list found = [[] for _ in names]
    cdef list counts = [0] * len(names)
    cdef uint32_t k
    for i in range(loop_count()):
        memset(&q, 0, sizeof(q))
        q.name = slice_of_bytes(name)
        q.hosts = len(names)
        for k in range(q.hosts):
            q.host[k] = slice_of_bytes(names[k])
        for k, domain, preference in ask(&q, i, list_users):
            found[k].append((domain, preference))
        for k in range(q.hosts):
            counts[k] += q.users[k]
    for host, rows, n in zip(hosts, found, counts):
        rows = sorted(set(rows))[:SIBLINGS]
        host["also"] = [{"domain": domain, "preference": preference} for domain, preference in rows]
        host["further"] = n - len(rows)


cdef void show_addresses(question_t *q, domain_t *d, const mx_host_t *h) noexcept nogil:
    cdef uint32_t i
    cdef const mx_address_t *a
    cdef route_t *r
    cdef char text[64]
    for i in range(h.first, h.first + h.count):
        a = &d.mx.address[i]
        query_ntop(a.family, a.bytes, text, sizeof(text))
        json_comma(&q.out)
        buf_add(&q.out, b"{", 1)
        json_text(&q.out, b"address", slice_of(text))
        json_number(&q.out, b"family", a.family)
        r = route_find(d.loop, d.queues.binding, a, h.port if h.port else queue_port(d.queues)) if d.queues != NULL else NULL
        json_number(&q.out, b"connect_us", r.connect_us if r != NULL else 0)
        json_number(&q.out, b"deliver_us", r.deliver_us if r != NULL else 0)
        json_number(&q.out, b"failed_ms", d.loop.now_ms - r.failed_ms if r != NULL and r.failed_ms else -1)
        buf_add(&q.out, b"}", 1)


cdef progress_t show_domain(question_t *q) noexcept nogil:
    cdef domain_t *d = domain_get(q.loop, q.name)
    cdef mail_queue_t *mq
    cdef uint64_t c, a, delayed, sent, failed
    cdef uint32_t i
    cdef list_node_t *node
    cdef const config_binding_t *b
    cdef client_t *client = NULL
    cdef int fd = -1
    if d == NULL:
        return DONE
    sum_domain(d, &c, &a, &delayed, &sent, &failed)
    buf_add(&q.out, b"{", 1)
    json_text(&q.out, b"name", d.name)
    json_number(&q.out, b"status", d.mx.status if d.mx != NULL else -1)
    json_number(&q.out, b"ttl", <int64_t>(d.mx_until_ms - d.loop.now_ms) // 1000 if d.mx_until_ms > d.loop.now_ms else 0)
    json_number(&q.out, b"failures", d.failures)
    json_number(&q.out, b"active", a)
    json_number(&q.out, b"delayed", delayed)
    json_number(&q.out, b"delivered", sent)
    json_number(&q.out, b"failed", failed)
    json_number(&q.out, b"messages", d.messages)
    json_key(&q.out, b"mx")
    buf_add(&q.out, b"[", 1)
    if d.mx != NULL:
        for i in range(d.mx.hosts):
            json_comma(&q.out)
            buf_add(&q.out, b"{", 1)
            json_number(&q.out, b"preference", d.mx.host[i].preference)
            json_text(&q.out, b"name", d.mx.host[i].name)
            json_key(&q.out, b"addresses")
            buf_add(&q.out, b"[", 1)
            show_addresses(q, d, &d.mx.host[i])
            buf_add(&q.out, b"]}", 2)
    buf_add(&q.out, b"]", 1)
    json_key(&q.out, b"connections")
    buf_add(&q.out, b"[", 1)
    node = d.connections.next
    while node != &d.connections:
        client = <client_t*>(<char*>node - client_node_at())
        fd = -1
        uv_fileno(as_handle(&client.stream.tcp), &fd)
        json_comma(&q.out)
        buf_add(&q.out, b"{", 1)
        json_number(&q.out, b"fd", fd)
        json_text(&q.out, b"address", slice_of(client.peer_text))
        json_text(&q.out, b"state", slice_of(stage_name(client.stage)))
        json_number(&q.out, b"elapsed_ms", d.loop.now_ms - client.since_ms if d.loop.now_ms > client.since_ms else 0)
        buf_add(&q.out, b"}", 1)
        node = node.next
    buf_add(&q.out, b"]", 1)
    json_key(&q.out, b"waiting")
    buf_add(&q.out, b"[", 1)
    mq = d.queues
    while mq != NULL:
        if mq.waiting:
            json_comma(&q.out)
            buf_add(&q.out, b"{", 1)
            b = config_binding(d.generation, mq.binding)
            json_text(&q.out, b"binding", b.name if b != NULL else slice_of(b"default"))
            json_text(&q.out, b"reason", slice_of(WAITS[mq.waiting]))
            json_number(&q.out, b"until_ms", mq.waiting_until_ms - d.loop.now_ms if mq.waiting_until_ms > d.loop.now_ms else 0)
            buf_add(&q.out, b"}", 1)
        mq = mq.next
    buf_add(&q.out, b"]}", 2)
    return DONE


cdef inline size_t client_node_at() noexcept nogil:
    cdef client_t *c = NULL
    return <size_t>(<char*>&c.lease.node - <char*>c)


def domain(str name not None):
    """One domain record as a dict, or None where there is none."""
    cdef question_t q
    cdef bytes b = name.lower().encode("utf-8", "surrogateescape")
    memset(&q, 0, sizeof(q))
    q.name = slice_of_bytes(b)
    raw = ask(&q, domain_owner(q.name), show_domain)
    if raw is None:
        return None
    status = {-1: "", MX_OK: "ok", MX_NULL: "null MX", MX_NXDOMAIN: "does not exist", MX_NONE: "no MX or A", MX_FAILED: "lookup failed"}
    raw["status"] = status.get(raw["status"], "")
    users(b, raw["mx"])
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
    now = time.time()
    for w in raw["waiting"]:
        w["until_s"] = w.pop("until_ms") / 1000
        w["until"] = int(now + w["until_s"]) if w["until_s"] else None
    return raw


# ---- messages ----------------------------------------------------------------------

cdef void show_message(buf_t *b, ec_message_t *m) noexcept nogil:
    cdef char id[MESSAGE_ID_TEXT]
    message_id_text(m.id, id)
    json_text(b, b"id", slice_make(id, MESSAGE_ID_TEXT))
    json_number(b, b"created", m.created_us // 1000000)
    json_number(b, b"next_attempt", m.next_attempt)
    json_number(b, b"retries", m.retries)
    json_text(b, b"code", slice_of(word_text(m.code)) if m.code else slice_make(NULL, 0))
    if m.env != NULL:
        json_number(b, b"size", m.env.body_size)
        json_text(b, b"sender", m.env.mailfrom)
        json_text(b, b"recipient", m.env.rcptto)
        json_text(b, b"peer", m.env.peer)
        json_number(b, b"method", m.env.method)
    else:
        json_number(b, b"seq", <int64_t>m.seq)
        json_number(b, b"meta", m.meta)


cdef void one_row(question_t *q, const char *where, mail_queue_t *mq, ec_message_t *m) noexcept nogil:
    cdef const config_binding_t *b = config_binding(mq.domain.generation, mq.binding)
    q.limit -= 1
    json_comma(&q.out)
    buf_add(&q.out, b"{", 1)
    json_text(&q.out, b"where", slice_of(where))
    json_text(&q.out, b"binding", b.name if b != NULL else slice_of(b"default"))
    show_message(&q.out, m)
    buf_add(&q.out, b"}", 1)


cdef list_node_t *nth_active(mail_queue_t *mq, uint64_t n) noexcept nogil:
    """Of those there are, from the nearer end."""
    cdef list_node_t *node = &mq.active
    cdef uint64_t i
    if n < mq.active_count // 2:
        for i in range(n + 1):
            node = node.next
    else:
        for i in range(mq.active_count - n):
            node = node.prev
    return node


cdef progress_t list_messages(question_t *q) noexcept nogil:
    cdef domain_t *d = domain_get(q.loop, q.name)
    cdef mail_queue_t *mq
    cdef list_node_t *node
    cdef const config_binding_t *b
    cdef size_t i
    if d == NULL:
        return DONE
    buf_add(&q.out, b"[", 1)
    mq = d.queues
    while mq != NULL and q.limit:
        b = config_binding(d.generation, mq.binding)
        if q.binding.len and (b == NULL or not slice_eq(b.name, q.binding)):
            mq = mq.next
            continue
        if q.offset >= mq.active_count:
            q.offset -= mq.active_count
        else:
            node = nth_active(mq, q.offset)
            q.offset = 0
            while node != &mq.active and q.limit:
                one_row(q, b"active", mq, <ec_message_t*>node)
                node = node.next
        if q.offset >= mq.delayed.len:
            q.offset -= mq.delayed.len
        else:
            for i in range(q.offset, mq.delayed.len):
                if q.limit == 0:
                    break
                one_row(q, b"delayed", mq, <ec_message_t*>mq.delayed.slots[i].item)
            q.offset = 0
        mq = mq.next
    buf_add(&q.out, b"]", 1)
    return DONE


cdef object addresses(uint32_t meta, uint64_t seq):
    """Sender and recipient as the spool has them; empty where the message went meanwhile."""
    cdef ec_message_t m
    cdef record_header_t h
    cdef buf_t b
    cdef int rc
    memset(&m, 0, sizeof(m))
    memset(&b, 0, sizeof(b))
    with nogil:
        rc = spool_read(spool_main(), meta, seq, &h, &b)
        if rc == EC_OK:
            rc = meta_decode(buf_slice(&b), &m)
    buf_free(&b)
    if rc != EC_OK:
        return "", ""
    try:
        return (slice_bytes(m.env.mailfrom).decode("utf-8", "surrogateescape"),
                slice_bytes(m.env.rcptto).decode("utf-8", "surrogateescape"))
    finally:
        free(m.env)


def queue(str name not None, binding=None, limit=100, offset=0):
    """Messages queued for a domain; sender and recipient of swapped-out mail are read back from the spool."""
    cdef question_t q
    cdef bytes b = name.lower().encode("utf-8", "surrogateescape")
    cdef bytes bb = (binding or "").encode("utf-8", "surrogateescape")
    rows = []
    while len(rows) < limit:
        memset(&q, 0, sizeof(q))
        q.name = slice_of_bytes(b)
        q.binding = slice_of_bytes(bb)
        q.limit = min(PAGE, limit - len(rows))
        q.offset = offset + len(rows)
        page = ask(&q, domain_owner(q.name), list_messages)
        if not page:
            break
        for row in page:
            if "meta" in row:
                row["sender"], row["recipient"] = addresses(row.pop("meta"), row.pop("seq"))
        rows += page
    return rows


cdef ec_message_t *find_in(domain_t *d, message_id_t id) noexcept nogil:
    """Of those in its queues; what is being delivered is not seen."""
    cdef mail_queue_t *mq = d.queues
    cdef list_node_t *node
    cdef ec_message_t *m
    cdef size_t i
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
    return NULL


cdef ec_message_t *find_message(question_t *q) noexcept nogil:
    """NULL: not there, or not yet where q.cursor is not 0."""
    cdef domain_t *d
    cdef ec_message_t *m
    while q.messages > 0:
        d = next_domain(q)
        if d == NULL:
            return NULL
        m = find_in(d, q.id)
        if m != NULL:
            return m
        q.messages -= d.messages
    return NULL


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
    """The message goes back to its queue with what was read."""
    cdef question_t *q = <question_t*>ctx
    cdef mail_queue_t *mq = queue_of(m)
    if rc == EC_OK:
        give_message(q, m)
    if m.next_attempt == 0 or queue_push_delayed(mq, m) != EC_OK:
        queue_push_active(mq, m, True)
    domain_touch(mq.domain)
    finish(q)


cdef progress_t one_message(question_t *q) noexcept nogil:
    cdef ec_message_t *m = find_message(q)
    cdef mail_queue_t *mq
    if m == NULL:
        return MORE if q.cursor else DONE
    if m.env != NULL and (not q.body or m.blob != NULL):
        give_message(q, m)
        return DONE
    mq = queue_of(m)
    if m.next_attempt:
        queue_remove_delayed(mq, m)
    else:
        queue_remove_active(mq, m)
    swap_in(q.loop, m, q.body, on_read_back, q)
    return LATER


cdef object find(str id, bint body):
    cdef question_t q
    cdef bytes b = id.encode("utf-8", "surrogateescape")
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
        peer = found.get("peer", "unknown")
        family = "" if peer == "unknown" else " (IPv6)" if ":" in peer else " (IPv4)"
        found["via"] = "internal" if found.get("method") == RECV_INTERNAL else f"SMTP {peer}{family}"
    return found


def message_body(str id not None):
    """The message in wire form, or None."""
    return find(id, True)
