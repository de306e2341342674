"""Questions to name servers: c-ares sends and repeats, we build and read the messages.

A question under way is a flight; who asks the same meanwhile waits for it.
c-ares only ever puts a flight on the list `ready`.  Landing, that is caching,
asking again and calling back, happens after c-ares has returned, so a callback
may ask and cancel as it likes.

An answer cut short (TC) or broken is asked for again by TCP.  Without
dns_fallback_to_tcp a cut answer is used as it is where it holds any record of
use, since those are enough to deliver.  A server that answers without EDNS is
taken at its word: queries go without, until the servers are read again.

The rate limit counts the MX questions of all loops together.  One above it
waits its turn; when too many wait already, it is sent all the same.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from pymomentum.core.base.buf cimport buf_free, buf_slice
from pymomentum.core.base.cidr cimport sockaddr
from pymomentum.core.base.clock cimport clock_mono_ns
from pymomentum.core.base.hash cimport hash_del, hash_get, hash_put
from pymomentum.core.base.list cimport list_append, list_empty, list_init, list_node_t, list_remove
from pymomentum.core.base.slice cimport slice_make, slice_t
from pymomentum.core.base.status cimport EC_AGAIN, EC_CORRUPT, EC_NOMEM, EC_OK, EC_SYNTAX
from pymomentum.core.base.timewheel cimport timer_entry_t, timer_init
from pymomentum.core.c.cares cimport *
from pymomentum.core.c.uv cimport (UV_READABLE, UV_WRITABLE, as_handle, uv_close, uv_handle_t, uv_poll_init, uv_poll_start,
                                   uv_poll_stop, uv_poll_t)
from pymomentum.core.config.generation cimport config_current, config_generation_t, config_number, config_unref
from pymomentum.core.config.values cimport (
    OPT_DNS_CACHE_PURGE_INTERVAL, OPT_DNS_CACHE_SIZE, OPT_DNS_FALLBACK_TO_TCP, OPT_DNS_MAX_ANSWERS, OPT_DNS_MAX_CNAME,
    OPT_DNS_MAX_PENDING, OPT_DNS_MAX_UDP_QUERIES_PER_PORT,
    OPT_DNS_RATE_LIMIT_MX_QUERIES, OPT_DNS_RATE_LIMIT_PERIOD, OPT_DNS_UDP_RCVBUF_SIZE, OPT_DNS_UDP_SNDBUF_SIZE, OPT_MAX_DNS_TTL, OPT_MIN_DNS_TTL,
    OPT_RESOLV_CONF, opt_number, opt_text, values_t,
)
from pymomentum.core.log.level cimport LEVEL_DEBUG, LEVEL_WARNING, OF_DNS, log_says
from pymomentum.core.log.writer cimport log_at
from pymomentum.core.loop.loop cimport (
    COUNT_DNS_A, COUNT_DNS_AAAA, COUNT_DNS_ANSWERS, COUNT_DNS_MX, COUNT_DNS_PEAK_US, COUNT_DNS_PENDING,
    COUNT_DNS_TIME_US, COUNT_DNS_TXT, PLACE_DNS, loop_call, loop_t, loop_timer_set,
)
from pymomentum.core.loop.post cimport post_t
from pymomentum.core.net.address cimport address_port
from .answer cimport (
    DNS_A, DNS_AAAA, DNS_FAILED, DNS_KEY_MAX, DNS_MX, DNS_OK, DNS_TIMEOUT, DNS_TXT,
    dns_answer_new, dns_answer_ref, dns_answer_t, dns_answer_unref, dns_key,
)
from .cache cimport dns_cache_get, dns_cache_init, dns_cache_limit, dns_cache_purge, dns_cache_put
from .rate cimport dns_rate_hold, dns_rate_immediate, dns_rate_release, dns_rate_room, dns_rate_take
from .resolvconf cimport RESOLVCONF_SERVERS, resolvconf_parse, resolvconf_read
from .wire cimport WIRE_FORMERR, WIRE_QUERY_MAX, wire_parse, wire_query, wire_reply_t

cdef enum:
    DRAIN_MS = 100              # how often held-back questions are looked at
    TICK_MS = 48                # how often c-ares looks at its timeouts
    PURGE_WORK = 4096           # entries in one go
    FAILED_TTL = 5              # seconds; not clamped
    NEGATIVE_TTL = 60           # where no SOA says it
    NEGATIVE_TTL_MAX = 10800    # RFC 2308 5
    UDP_BUFFER = 4096           # what c-ares reads at most
    PATH_SIZE = 4096

cdef extern from *:
    """
    #include <ares.h>
    #include <arpa/inet.h>
    #include <string.h>
    #include <sys/random.h>
    static void ec_ares_server(const struct sockaddr *a, int port, struct ares_addr_port_node *out) {
        out->family = a->sa_family; out->udp_port = out->tcp_port = port;
        if (a->sa_family == AF_INET) out->addr.addr4 = ((const struct sockaddr_in *)a)->sin_addr;
        else memcpy(&out->addr.addr6, &((const struct sockaddr_in6 *)a)->sin6_addr, 16); }
    static uint16_t ec_random_id(void) { uint16_t v = 0; (void)!getrandom(&v, sizeof v, 0); return v; }
    """
    void ec_ares_server(const sockaddr*, int port, ares_addr_port_node *out) noexcept nogil
    uint16_t ec_random_id() noexcept nogil

cdef const char *STATUS_NAMES[5]
STATUS_NAMES[:] = [b"answered", b"no such records", b"no such name", b"failed", b"timed out"]

cdef struct flight_t:
    list_node_t node            # first: `waiting` or `ready`
    resolver_t *resolver
    channel_t *channel
    list_node_t askers          # dns_query_t
    uint64_t sent_ns            # 0: not yet
    dns_answer_t *answer        # once landed; NULL: no memory
    bint again                  # landed without an answer, to be sent once more
    bint by_tcp
    uint16_t type
    uint8_t key_len
    char key[DNS_KEY_MAX]

cdef struct socket_t:
    uv_poll_t poll              # first
    channel_t *channel
    int fd
    socket_t *next

ares_library_init(ARES_LIB_INIT_ALL)


cdef inline slice_t key_of(flight_t *f) noexcept nogil:
    return slice_make(f.key, f.key_len)


# ---- settings --------------------------------------------------------------------

cdef void read_servers(resolver_t *r, const slice_t *text) noexcept nogil:
    cdef char path[PATH_SIZE]
    memcpy(path, b"/etc/resolv.conf", 17)
    if text != NULL and 0 < text.len < PATH_SIZE:
        memcpy(path, text.ptr, text.len)
        path[text.len] = 0
    r.servers_read = resolvconf_read(path, &r.servers) == EC_OK
    if not r.servers_read and r.servers.servers == 0:
        resolvconf_parse(slice_make(b"", 0), &r.servers)


cdef void configure(resolver_t *r) noexcept nogil:
    cdef config_generation_t *g = config_current()
    cdef const values_t *v = g.globals if g != NULL else NULL
    cdef channel_t *c = r.channels
    while c != NULL:
        c.retired = True
        c = c.next
    r.udp = r.tcp = NULL
    r.edns = True
    r.generation = config_number()
    if g == NULL:                               # a server has one; a tool may do without
        read_servers(r, NULL)
        return
    r.generation = g.number
    read_servers(r, opt_text(v, OPT_RESOLV_CONF))
    r.max_answers = <uint32_t>opt_number(v, OPT_DNS_MAX_ANSWERS)
    r.max_cname = <uint32_t>opt_number(v, OPT_DNS_MAX_CNAME)
    r.max_pending = <uint32_t>opt_number(v, OPT_DNS_MAX_PENDING)
    r.min_ttl = <uint32_t>opt_number(v, OPT_MIN_DNS_TTL)
    r.max_ttl = <uint32_t>opt_number(v, OPT_MAX_DNS_TTL)
    r.purge_ms = <uint32_t>opt_number(v, OPT_DNS_CACHE_PURGE_INTERVAL) * 1000
    r.send_buffer = <uint32_t>opt_number(v, OPT_DNS_UDP_SNDBUF_SIZE)
    r.receive_buffer = <uint32_t>opt_number(v, OPT_DNS_UDP_RCVBUF_SIZE)
    r.port_queries = <uint32_t>opt_number(v, OPT_DNS_MAX_UDP_QUERIES_PER_PORT)
    r.rate_most = <uint32_t>opt_number(v, OPT_DNS_RATE_LIMIT_MX_QUERIES)
    r.rate_period = <uint32_t>opt_number(v, OPT_DNS_RATE_LIMIT_PERIOD)
    r.rate_room = dns_rate_room(v)
    r.always_tcp = opt_number(v, OPT_DNS_FALLBACK_TO_TCP) != 0
    dns_cache_limit(&r.cache, opt_number(v, OPT_DNS_CACHE_SIZE))
    config_unref(g)


cdef resolver_t *resolver_of(loop_t *loop) noexcept nogil:
    cdef resolver_t *r = <resolver_t*>loop.places[PLACE_DNS]
    if r == NULL:
        r = <resolver_t*>calloc(1, sizeof(resolver_t))
        if r == NULL:
            return NULL
        r.loop = loop
        r.generation = <uint64_t>-1
        r.max_answers = 64
        r.max_cname = 8
        r.max_pending = 1000
        r.max_ttl = <uint32_t>-1
        r.purge_ms = 60000
        dns_cache_init(&r.cache, 100000)
        list_init(&r.waiting)
        list_init(&r.limited)
        list_init(&r.ready)
        timer_init(&r.ticker, on_tick)
        timer_init(&r.purger, on_purge)
        timer_init(&r.drainer, on_drain)
        loop.places[PLACE_DNS] = r
    if r.generation != config_number():
        configure(r)
        loop_timer_set(loop, &r.purger, r.purge_ms)
    return r


cdef void on_purge(timer_entry_t *t) noexcept nogil:
    cdef resolver_t *r = <resolver_t*>(<char*>t - <size_t>&(<resolver_t*>NULL).purger)
    cdef size_t before = r.cache.soonest.len
    dns_cache_purge(&r.cache, r.loop.now_ms, PURGE_WORK)
    loop_timer_set(r.loop, t, r.purge_ms if before - r.cache.soonest.len < PURGE_WORK else TICK_MS)


# ---- channels and their sockets --------------------------------------------------

cdef void on_poll_closed(uv_handle_t *h) noexcept nogil:
    free(h)


cdef void on_poll(uv_poll_t *h, int status, int events) noexcept nogil:
    cdef socket_t *s = <socket_t*>h
    cdef resolver_t *r = s.channel.resolver
    r.working = True
    ares_process_fd(s.channel.ares, s.fd if status < 0 or events & UV_READABLE else ARES_SOCKET_BAD,
                    s.fd if status < 0 or events & UV_WRITABLE else ARES_SOCKET_BAD)
    land_all(r)


cdef void on_socket(void *arg, ares_socket_t fd, int readable, int writable) noexcept nogil:
    """c-ares tells what it waits for; neither: it is about to close the socket."""
    cdef channel_t *c = <channel_t*>arg
    cdef socket_t **link = <socket_t**>&c.sockets
    cdef socket_t *s
    while link[0] != NULL and link[0].fd != fd:
        link = &link[0].next
    s = link[0]
    if not readable and not writable:
        if s != NULL:
            link[0] = s.next
            uv_poll_stop(&s.poll)
            uv_close(as_handle(&s.poll), on_poll_closed)
        return
    if s == NULL:
        s = <socket_t*>calloc(1, sizeof(socket_t))
        if s == NULL:
            return                              # its queries time out
        if uv_poll_init(&c.resolver.loop.uv, &s.poll, fd) != 0:
            free(s)
            return
        s.channel = c
        s.fd = fd
        s.next = <socket_t*>c.sockets
        c.sockets = s
    uv_poll_start(&s.poll, (UV_READABLE if readable else 0) | (UV_WRITABLE if writable else 0), on_poll)


cdef channel_t *open_channel(resolver_t *r, bint tcp) noexcept nogil:
    cdef ares_addr_port_node node[RESOLVCONF_SERVERS]
    cdef ares_options o
    cdef channel_t *c = <channel_t*>calloc(1, sizeof(channel_t))
    cdef uint32_t i
    cdef int mask = (ARES_OPT_FLAGS | ARES_OPT_TRIES | ARES_OPT_TIMEOUTMS | ARES_OPT_DOMAINS | ARES_OPT_LOOKUPS |
                     ARES_OPT_SOCK_STATE_CB | ARES_OPT_RESOLVCONF | ARES_OPT_EDNSPSZ)
    if c == NULL:
        return NULL
    c.resolver = r
    c.tcp = tcp
    c.edns = r.edns and not tcp
    memset(&o, 0, sizeof(o))
    o.flags = ARES_FLAG_NOSEARCH | (ARES_FLAG_USEVC if tcp else ARES_FLAG_IGNTC) | (ARES_FLAG_EDNS if c.edns else 0)
    o.tries = <int>r.servers.attempts if r.rate_room == 0 else 1     # a repetition would be one more query
    o.timeout = <int>r.servers.timeout_ms
    o.ednspsz = UDP_BUFFER
    o.lookups = b"b"
    o.resolvconf_path = b"/dev/null"
    o.sock_state_cb = on_socket
    o.sock_state_cb_data = c
    if r.send_buffer:
        o.socket_send_buffer_size = <int>r.send_buffer
        mask |= ARES_OPT_SOCK_SNDBUF
    if r.receive_buffer:
        o.socket_receive_buffer_size = <int>r.receive_buffer
        mask |= ARES_OPT_SOCK_RCVBUF
    if ares_init_options(&c.ares, &o, mask) != ARES_SUCCESS:
        free(c)
        return NULL
    for i in range(r.servers.servers):
        ec_ares_server(<sockaddr*>&r.servers.server[i], address_port(<sockaddr*>&r.servers.server[i]), &node[i])
        node[i].next = &node[i + 1] if i + 1 < r.servers.servers else NULL
    if ares_set_servers_ports(c.ares, node) != ARES_SUCCESS:
        ares_destroy(c.ares)
        free(c)
        return NULL
    c.next = r.channels
    r.channels = c
    return c


cdef channel_t *channel_for(resolver_t *r, bint tcp) noexcept nogil:
    if tcp:
        if r.tcp == NULL:
            r.tcp = open_channel(r, True)
        return r.tcp
    if r.udp != NULL and r.port_queries and r.udp.sent >= r.port_queries:
        r.udp.retired = True                    # another channel has another port
        r.udp = NULL
    if r.udp == NULL:
        r.udp = open_channel(r, False)
    return r.udp


cdef void drop_edns(resolver_t *r) noexcept nogil:
    """For c-ares too: on FORMERR it would cut an OPT off a query that has none."""
    r.edns = False
    if r.udp != NULL:
        r.udp.retired = True
        r.udp = NULL


cdef void on_tick(timer_entry_t *t) noexcept nogil:
    cdef resolver_t *r = <resolver_t*>(<char*>t - <size_t>&(<resolver_t*>NULL).ticker)
    cdef channel_t **link = &r.channels
    cdef channel_t *c
    cdef bint more = False
    r.working = True
    c = r.channels
    while c != NULL:
        if c.pending:
            ares_process_fd(c.ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD)
        c = c.next
    land_all(r)
    while link[0] != NULL:
        c = link[0]
        if c.retired and c.pending == 0:
            link[0] = c.next
            ares_destroy(c.ares)                # closes its sockets
            free(c)
            continue
        more = more or c.pending or c.retired
        link = &c.next
    if more:
        loop_timer_set(r.loop, t, TICK_MS)


# ---- flights ---------------------------------------------------------------------

cdef int counter_of(int type) noexcept nogil:
    """Its timeouts are counted one further."""
    return (COUNT_DNS_A if type == DNS_A else COUNT_DNS_AAAA if type == DNS_AAAA else
            COUNT_DNS_MX if type == DNS_MX else COUNT_DNS_TXT if type == DNS_TXT else -1)


cdef void count_query(resolver_t *r, int type, int further) noexcept nogil:
    cdef int counter = counter_of(type)
    if counter >= 0:
        r.loop.counters[counter + further] += 1


cdef void settle(flight_t *f, int status, slice_t items, uint16_t count, bint secure, uint32_t ttl) noexcept nogil:
    if log_says(LEVEL_DEBUG, OF_DNS):
        log_at(f.resolver.loop, LEVEL_DEBUG, b"DNS", b"%.*s type %d: %s, %d records for %u seconds", f.key_len - 2, f.key + 2, f.type,
               STATUS_NAMES[status], count, ttl)
    if (status == DNS_FAILED or status == DNS_TIMEOUT) and log_says(LEVEL_WARNING, OF_DNS):
        log_at(f.resolver.loop, LEVEL_WARNING, b"DNS", b"%.*s type %d: %s", f.key_len - 2, f.key + 2, f.type, STATUS_NAMES[status])
    f.answer = dns_answer_new(key_of(f), status, items, count)
    if f.answer != NULL:
        f.answer.secure = secure
        f.answer.expires_ms = f.resolver.loop.now_ms + <uint64_t>ttl * 1000


cdef void settle_failed(flight_t *f, int status) noexcept nogil:
    settle(f, status, slice_make(b"", 0), 0, False, FAILED_TTL)


cdef void send(flight_t *f) noexcept nogil:
    """Hand the question to c-ares, which may answer at once that it cannot."""
    cdef uint8_t packet[WIRE_QUERY_MAX]
    cdef resolver_t *r = f.resolver
    cdef channel_t *c = channel_for(r, f.by_tcp)
    cdef int n
    r.pending += 1
    r.loop.counters[COUNT_DNS_PENDING] = r.pending
    count_query(r, f.type, 0)
    f.again = False
    if f.sent_ns == 0:
        f.sent_ns = clock_mono_ns()
    n = wire_query(slice_make(f.key + 2, f.key_len - 2), f.type, ec_random_id(), c != NULL and c.edns, packet)
    if c == NULL or n < 0:
        settle_failed(f, DNS_FAILED)
        list_append(&r.ready, &f.node)
    else:
        f.channel = c
        c.pending += 1
        c.sent += 1
        ares_send(c.ares, packet, n, on_answer, f)
        if r.ticker.due_ms == 0:
            loop_timer_set(r.loop, &r.ticker, TICK_MS)
    if not list_empty(&r.ready):
        land_later(r)


cdef void launch(flight_t *f) noexcept nogil:
    if f.resolver.pending < f.resolver.max_pending:
        send(f)
    else:
        list_append(&f.resolver.waiting, &f.node)


cdef void drop_unwanted(flight_t *f) noexcept nogil:
    """Nobody waits for it any more."""
    hash_del(&f.resolver.flights, key_of(f))
    free(f)


cdef inline bint rate_take(resolver_t *r) noexcept nogil:
    """One of the MX queries of this period."""
    return dns_rate_take(r.loop.now_ms // 1000, r.rate_most, r.rate_period)


cdef bint hold_back(flight_t *f) noexcept nogil:
    """True where the rate limit keeps it for later."""
    cdef resolver_t *r = f.resolver
    if r.rate_room == 0 or f.type != DNS_MX:
        return False
    if list_empty(&r.limited) and rate_take(r):
        dns_rate_immediate()
        return False
    if not dns_rate_hold(r.rate_room):
        return False
    if list_empty(&r.limited):
        loop_timer_set(r.loop, &r.drainer, DRAIN_MS)
    list_append(&r.limited, &f.node)
    return True


cdef void on_drain(timer_entry_t *t) noexcept nogil:
    cdef resolver_t *r = <resolver_t*>(<char*>t - <size_t>&(<resolver_t*>NULL).drainer)
    cdef flight_t *f
    cdef bint wanted
    while not list_empty(&r.limited):
        f = <flight_t*>r.limited.next
        wanted = not list_empty(&f.askers)
        if wanted and not rate_take(r):
            loop_timer_set(r.loop, t, DRAIN_MS)
            return
        list_remove(&f.node)
        dns_rate_release(wanted)
        if wanted:
            launch(f)
        else:
            drop_unwanted(f)


cdef uint32_t lifetime(resolver_t *r, wire_reply_t *reply) noexcept nogil:
    cdef uint32_t ttl = reply.ttl if reply.has_ttl else NEGATIVE_TTL
    if reply.status != DNS_OK and ttl > NEGATIVE_TTL_MAX:
        ttl = NEGATIVE_TTL_MAX
    if ttl < r.min_ttl:
        ttl = r.min_ttl
    return ttl if ttl < r.max_ttl else r.max_ttl


cdef void read_answer(flight_t *f, const uint8_t *p, size_t n) noexcept nogil:
    cdef resolver_t *r = f.resolver
    cdef channel_t *c = f.channel
    cdef wire_reply_t reply
    cdef int rc = wire_parse(p, n, slice_make(f.key + 2, f.key_len - 2), f.type, r.max_answers, r.max_cname, &reply)
    if rc == EC_OK and c.edns and not c.retired and not reply.edns and not reply.cut:
        if reply.rcode == WIRE_FORMERR or reply.status != DNS_FAILED:
            drop_edns(r)
    if rc == EC_OK and reply.rcode == WIRE_FORMERR and c.edns:
        f.again = True
    elif not c.tcp and (rc == EC_CORRUPT or rc == EC_OK and reply.cut and (r.always_tcp or reply.count == 0)):
        f.again = f.by_tcp = True
    elif rc != EC_OK or reply.status == DNS_FAILED:
        settle_failed(f, DNS_FAILED)
    else:
        settle(f, reply.status, buf_slice(&reply.items), reply.count, reply.secure, lifetime(r, &reply))
    buf_free(&reply.items)


cdef void on_answer(void *arg, int status, int timeouts, unsigned char *abuf, int alen) noexcept nogil:
    cdef flight_t *f = <flight_t*>arg
    f.channel.pending -= 1
    if status == ARES_SUCCESS and abuf != NULL:
        read_answer(f, abuf, alen)
    else:
        settle_failed(f, DNS_TIMEOUT if status == ARES_ETIMEOUT else DNS_FAILED)
    list_append(&f.resolver.ready, &f.node)


cdef void land_later(resolver_t *r) noexcept nogil:
    if not r.working and not r.posted:
        r.posted = True
        loop_call(r.loop, &r.post, on_post)


cdef void on_post(post_t *p) noexcept nogil:
    cdef resolver_t *r = <resolver_t*>(<char*>p - <size_t>&(<resolver_t*>NULL).post)
    r.posted = False
    r.working = True
    land_all(r)


cdef void count_answer(flight_t *f) noexcept nogil:
    cdef loop_t *loop = f.resolver.loop
    cdef uint64_t took = (clock_mono_ns() - f.sent_ns) // 1000
    loop.counters[COUNT_DNS_ANSWERS] += 1
    loop.counters[COUNT_DNS_TIME_US] += took
    if took > <uint64_t>loop.counters[COUNT_DNS_PEAK_US]:
        loop.counters[COUNT_DNS_PEAK_US] = took
    if f.answer != NULL and f.answer.status == DNS_TIMEOUT:
        count_query(f.resolver, f.type, 1)


cdef void land(flight_t *f) noexcept nogil:
    """Whoever asks from a callback finds the cache, or starts a new flight."""
    cdef resolver_t *r = f.resolver
    cdef dns_query_t *q
    hash_del(&r.flights, key_of(f))
    count_answer(f)
    if f.answer != NULL:
        dns_cache_put(&r.cache, f.answer, r.loop.now_ms)
    while not list_empty(&f.askers):
        q = <dns_query_t*>f.askers.next
        list_remove(&q.node)
        q.waiting = False
        q.answer = dns_answer_ref(f.answer) if f.answer != NULL else NULL
        q.done(q)
    dns_answer_unref(f.answer)
    free(f)


cdef void land_all(resolver_t *r) noexcept nogil:
    cdef flight_t *f
    while True:
        if not list_empty(&r.ready):
            f = <flight_t*>r.ready.next
            list_remove(&f.node)
            r.pending -= 1
            if f.again:
                send(f)
            else:
                land(f)
        elif r.pending < r.max_pending and not list_empty(&r.waiting):
            f = <flight_t*>r.waiting.next
            list_remove(&f.node)
            if list_empty(&f.askers):
                drop_unwanted(f)
            else:
                send(f)
        else:
            break
    r.loop.counters[COUNT_DNS_PENDING] = r.pending
    r.working = False


cdef int dns_ask(resolver_t *r, slice_t name, int type, bint fresh, dns_query_t *q, dns_done_fn done) noexcept nogil:
    cdef uint8_t packet[WIRE_QUERY_MAX]
    cdef char key[DNS_KEY_MAX]
    cdef slice_t k = slice_make(key, dns_key(name, type, key))
    cdef dns_answer_t *known = NULL
    cdef flight_t *f
    q.answer = NULL
    q.waiting = False
    if k.len == 0:
        return EC_SYNTAX
    if not fresh:
        known = dns_cache_get(&r.cache, k, r.loop.now_ms)
        if known != NULL:
            q.answer = dns_answer_ref(known)
            return EC_OK
    f = <flight_t*>hash_get(&r.flights, k)
    if f == NULL:
        if wire_query(name, type, 0, False, packet) < 0:
            return EC_SYNTAX
        f = <flight_t*>calloc(1, sizeof(flight_t))
        if f == NULL:
            return EC_NOMEM
        f.resolver = r
        f.type = <uint16_t>type
        f.key_len = <uint8_t>k.len
        memcpy(f.key, key, k.len)
        list_init(&f.askers)
        list_init(&f.node)
        if hash_put(&r.flights, key_of(f), f) != EC_OK:
            free(f)
            return EC_NOMEM
        if not hold_back(f):
            launch(f)
    q.done = done
    q.waiting = True
    list_append(&f.askers, &q.node)
    return EC_AGAIN


cdef void dns_cancel(dns_query_t *q) noexcept nogil:
    """What is on its way goes on, for the cache."""
    if q.waiting:
        q.waiting = False
        list_remove(&q.node)
