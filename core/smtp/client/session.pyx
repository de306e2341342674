"""One outbound SMTP connection, from connect to its end.

connect, banner, EHLO, STARTTLS, AUTH; transaction.pyx then takes mail by lease until
there is no more, a limit is met or something breaks.  Every way a peer can
misbehave ends in `client_broken`, which gives each message in hand its outcome:
sent without a final reply is a transient failure, not yet sent goes back to the
queue.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memchr, memcpy, memset, strlen, strncpy

from pymomentum.core.base.atomic cimport atomic_add64
from pymomentum.core.base.buf cimport buf_clear, buf_free
from pymomentum.core.base.cidr cimport cidr_find, cidr_set_t, sockaddr, sockaddr_storage
from pymomentum.core.base.clock cimport clock_mono_ns
from pymomentum.core.base.list cimport list_empty, list_init
from pymomentum.core.base.slice cimport slice_eq, slice_ieq, slice_number, slice_of, slice_t
from pymomentum.core.base.status cimport EC_LIMIT, EC_NOTFOUND, EC_OK, EC_REFUSED
from pymomentum.core.base.timewheel cimport timer_entry_t, timer_init
from pymomentum.core.c.openssl cimport SSL_CTX, SSL_get_verify_result
from pymomentum.core.c.uv cimport UV_ECONNRESET
from pymomentum.core.config.generation cimport (config_binding, config_binding_t, config_current, config_delivery, config_generation_t,
                                                config_number, config_unref)
from pymomentum.core.config.values cimport *
from pymomentum.core.log.record cimport attempt_t
from pymomentum.core.log.writer cimport log_panic
from pymomentum.core.loop.loop cimport (COUNT_OUTBOUND, loop_at, loop_call, loop_range_t, loop_t, loop_timer_clear,
                                        loop_timer_set)
from pymomentum.core.loop.post cimport post_t
from pymomentum.core.message.id cimport message_id_new
from pymomentum.core.message.message cimport address_domain, ec_message_t
from pymomentum.core.net.address cimport address_parse, address_set_port, address_text, split_port
from pymomentum.core.net.proxy_out cimport proxy_header, proxy_server, proxy_source
from pymomentum.core.net.stream cimport *
from pymomentum.core.queue.domain cimport domain_t, mail_queue_t, queue_pause, refusal_t
from pymomentum.core.queue.host cimport choice_t, host_answered, host_failed
from pymomentum.core.queue.lease cimport *
from pymomentum.core.queue.maintainer cimport maintainer_start
from pymomentum.core.queue.outcome cimport OUTCOME_RETURN, OUTCOME_TRANSIENT
from pymomentum.core.queue.permit cimport permit_give, permit_t
from pymomentum.core.queue.route cimport route_key_t, route_t
from pymomentum.core.smtp.downconvert cimport downconvert_free
from pymomentum.core.smtp.extension cimport EXT_STARTTLS, EXT_XCLIENT
from pymomentum.core.spool.large cimport large_reader_free
from pymomentum.core.tls.context cimport tls_client_context

cdef enum:
    QUIT_MS = 5000              # for the peer's last word
    SPREAD = 8                  # connections of one queue before others go to other loops
    X509_V_OK = 0
    SHORT_MS = 60000            # between two lines about missing sockets

cdef uint64_t short_ms = 0
cdef uint64_t turn = 0              # atomic: of the loops that deliver
cdef loop_range_t deliverers        # delivery_pool
cdef login_fn on_login
cdef client_fn on_ready
cdef lease_fn on_granted
cdef lease_fn on_wake
cdef stream_read_fn on_read

cdef const char *STAGES[23]
STAGES[:] = [
    b"not connected", b"idle", b"during MAIL FROM", b"after MAIL FROM", b"during RCPT TO", b"after RCPT TO", b"during DATA",
    b"after DATA", b"sending BODY", b"reading confirmation", b"during EHLO", b"after EHLO", b"reading BANNER",
    b"during RSET", b"after RSET", b"during STARTTLS", b"after STARTTLS", b"handshaking TLS", b"renegotiating TLS",
    b"during XCLIENT", b"after XCLIENT", b"out of band bounce", b"in unknown state"]


cdef const char *stage_name(int stage) noexcept nogil:
    return STAGES[stage if 0 <= stage < 23 else 22]


cdef void client_start(loop_range_t loops) noexcept nogil:
    global deliverers
    deliverers = loops
    maintainer_start(client_connect)


cdef void client_set_login(login_fn login) noexcept nogil:
    global on_login
    on_login = login


cdef void client_set_mail(client_fn ask, lease_fn granted, lease_fn wake) noexcept nogil:
    global on_ready, on_granted, on_wake
    on_ready = ask
    on_granted = granted
    on_wake = wake


cdef void client_set_input(stream_read_fn read) noexcept nogil:
    global on_read
    on_read = read


# ---- birth -------------------------------------------------------------------------

cdef bint client_connect(mail_queue_t *q, const choice_t *to, const permit_t *permit) noexcept nogil:
    """On the domain's loop; the connection may live on another."""
    cdef domain_t *d = q.domain
    cdef client_t *c
    cdef loop_t *where
    cdef slice_t name
    c = <client_t*>calloc(1, sizeof(client_t))
    if c == NULL:
        return False
    where = place_for(q)
    c.lease.permit = permit[0]
    c.loop = where
    c.route = to.route
    c.generation = config_current()
    c.values = config_delivery(c.generation, q.binding, d.option_name, &c.own_values)
    fill_peer(c)
    name = d.mx.host[to.host].name
    memcpy(c.host, name.ptr, name.len if name.len < sizeof(c.host) - 1 else sizeof(c.host) - 1)
    note_sender(c, q)
    list_init(&c.tx[0].batch)
    list_init(&c.tx[1].batch)
    timer_init(&c.timer, on_timeout)
    c.lease.loop = where
    c.lease.granted = on_granted
    c.lease.wake = on_wake
    c.lease.host = c.host
    lease_join(&c.lease, q, to.route, to.scope)
    c.conn = message_id_new()
    if where == d.loop:
        begin(c)
    else:
        loop_call(where, &c.start, on_start)
    return True


cdef loop_t *place_for(mail_queue_t *q) noexcept nogil:
    """Its domain's loop, if that delivers, for the first connections of a queue; others in turn."""
    cdef loop_t *own = q.domain.loop
    cdef bint delivers = deliverers.first <= <int>own.index < deliverers.first + deliverers.n
    if delivers and (deliverers.n == 1 or not remote_leases() and q.connections < SPREAD):
        return own
    return loop_at(deliverers.first + <int>(atomic_add64(&turn, 1) % <uint64_t>deliverers.n))


cdef void note_sender(client_t *c, mail_queue_t *q) noexcept nogil:
    """For EHLO, of the first mail that waits, if its envelope is in memory."""
    cdef const slice_t *name = opt_text(c.values, OPT_EHLO_HOSTNAME)
    cdef ec_message_t *m = NULL
    cdef slice_t domain
    if name == NULL or not slice_ieq(name[0], slice_of(b"__message__")) or list_empty(&q.active):
        return
    m = <ec_message_t*>(<char*>q.active.next - (<char*>&m.node - <char*>m))
    if m.env != NULL:
        domain = address_domain(m.env.mailfrom)
        memcpy(c.sender, domain.ptr, domain.len if domain.len < sizeof(c.sender) - 1 else sizeof(c.sender) - 1)


cdef bint remote_leases() noexcept nogil:
    cdef lease_t probe
    cdef mail_queue_t q
    cdef domain_t d
    d.loop = loop_at(0)
    q.domain = &d
    probe.queue = &q
    probe.loop = loop_at(0)
    return lease_is_remote(&probe)


cdef void fill_peer(client_t *c) noexcept nogil:
    cdef char *p = <char*>&c.peer
    cdef route_key_t *k = &c.route.key
    if k.family == 4:
        (<sockaddr*>&c.peer).sa_family = 2
        memcpy(p + 4, k.address, 4)
    else:
        (<sockaddr*>&c.peer).sa_family = 10
        memcpy(p + 8, k.address, 16)
    address_set_port(&c.peer, k.port)
    address_text(<sockaddr*>&c.peer, c.peer_text)


cdef const slice_t *source_of(client_t *c) noexcept nogil:
    """bind_address, or bind_address_secondary where that is of the peer's family."""
    cdef const slice_t *first = opt_text(c.values, OPT_BIND_ADDRESS)
    cdef const slice_t *second = opt_text(c.values, OPT_BIND_ADDRESS_SECONDARY)
    cdef bint six = c.route.key.family == 6
    if second == NULL or second.len == 0 or (memchr(second.ptr, c':', second.len) != NULL) != six:
        return first
    if first == NULL or first.len == 0 or first.ptr[0] == c'*' or (memchr(first.ptr, c':', first.len) != NULL) != six:
        return second
    return first


cdef int connect_to_peer(client_t *c) noexcept nogil:
    """EC_REFUSED: the source address is none of this machine's."""
    cdef const slice_t *source = source_of(c)
    cdef sockaddr_storage own
    cdef int rc
    if source == NULL or source.len == 0 or slice_eq(source[0], slice_of(b"*")):
        return stream_connect(&c.stream, <sockaddr*>&c.peer, NULL)
    rc = address_parse(source[0], 0, &own)
    return stream_connect(&c.stream, <sockaddr*>&c.peer, <sockaddr*>&own) if rc == EC_OK else rc


cdef int connect_to_proxy(client_t *c) noexcept nogil:
    """EC_NOTFOUND: no source address is named for the peer's family."""
    cdef sockaddr_storage server, source
    cdef slice_t host, port
    cdef const slice_t *own = proxy_source(c.values, c.route.key.family)
    cdef int rc
    c.proxied = True
    if own == NULL or address_parse(own[0], 0, &source) != EC_OK:
        return EC_NOTFOUND
    c.proxy_bytes = <uint32_t>proxy_header(<sockaddr*>&source, <sockaddr*>&c.peer, c.proxy)
    split_port(proxy_server(c.values)[0], &host, &port)
    rc = address_parse(host, <int>slice_number(port), &server)
    return stream_connect(&c.stream, <sockaddr*>&server, NULL) if rc == EC_OK else rc


cdef void on_start(post_t *p) noexcept nogil:
    cdef client_t *c = NULL
    begin(<client_t*>(<char*>p - (<char*>&c.start - <char*>c)))


cdef void begin(client_t *c) noexcept nogil:
    cdef const slice_t *source
    cdef char why[160]
    cdef int rc
    c.loop.counters[COUNT_OUTBOUND] += 1
    c.connect_ns = clock_mono_ns()
    client_stage(c, STAGE_NOT_CONNECTED, opt_number(c.values, OPT_CONNECT_TIMEOUT))
    if stream_init(&c.stream, c.loop) != EC_OK:
        c.stream.closed = True
        failed_connect(c)
        return
    c.stream.on_connect = on_connect
    c.stream.on_read = on_read
    c.stream.on_secure = client_secured
    c.stream.on_closed = on_closed
    rc = connect_to_proxy(c) if proxy_server(c.values) != NULL else connect_to_peer(c)
    if rc == EC_NOTFOUND:
        client_broken(c, b"451 4.4.1 [internal] ha_proxy_src_addr is not set")
    elif rc == EC_REFUSED:
        source = source_of(c)
        snprintf(why, sizeof(why), b"451 4.4.1 [internal] bind_address %.*s is not an address of this machine",
                 <int>source.len, source.ptr)
        client_broken(c, why)
    elif rc == EC_LIMIT:
        short_of_sockets(c)
    elif rc != EC_OK:
        failed_connect(c)


# ---- a newer configuration ---------------------------------------------------------

cdef enum:
    SHAPE_NUMBERS = 9
    SHAPE_ALL = 23

cdef int SHAPE[SHAPE_ALL]       # options that an open connection was made by, numbers first
SHAPE[:] = [OPT_TLS, OPT_TLS_VERIFY, OPT_TLS_IFAVAILABLE_FALLBACK, OPT_DELIVERY_METHOD, OPT_OUTBOUND_SMTP_AUTH_TYPE, OPT_XCLIENT,
            OPT_REMOTE_SMTP_PORT, OPT_LMTP_PORT, OPT_HA_PROXY_BYPASS,
            OPT_TLS_CERTIFICATE, OPT_TLS_KEY, OPT_TLS_CA, OPT_TLS_CIPHERS, OPT_TLSV13_CIPHERSUITES, OPT_TLS_PROTOCOLS,
            OPT_OUTBOUND_SMTP_AUTH_USER, OPT_OUTBOUND_SMTP_AUTH_PASS, OPT_EHLO_HOSTNAME,
            OPT_BIND_ADDRESS, OPT_BIND_ADDRESS_SECONDARY, OPT_HA_PROXY_SERVER, OPT_HA_PROXY_SRC_ADDR, OPT_HA_PROXY_IPV6_SRC_ADDR]


cdef bint same_text(const slice_t *a, const slice_t *b) noexcept nogil:
    return a == b or a != NULL and b != NULL and slice_eq(a[0], b[0])


cdef bint same_shape(const values_t *a, const values_t *b) noexcept nogil:
    cdef int i
    for i in range(SHAPE_ALL):
        if i < SHAPE_NUMBERS:
            if opt_number(a, SHAPE[i]) != opt_number(b, SHAPE[i]):
                return False
        elif not same_text(opt_text(a, SHAPE[i]), opt_text(b, SHAPE[i])):
            return False
    return True


cdef bint shunned(client_t *c, config_generation_t *g) noexcept nogil:
    """Mail may not go to its peer, or is to go to another."""
    cdef const cidr_set_t *prohibited = opt_nets(g.globals, OPT_PROHIBITED_HOSTS)
    cdef const cidr_set_t *skipped = opt_nets(g.globals, OPT_SKIP_HOSTS)
    return prohibited != NULL and cidr_find(prohibited, <sockaddr*>&c.peer) != NULL \
        or skipped != NULL and cidr_find(skipped, <sockaddr*>&c.peer) != NULL


cdef bint client_current(client_t *c) noexcept nogil:
    """Seldom more than one load: then the newer options are taken over, if the connection would have been made alike."""
    cdef config_generation_t *g
    cdef const values_t *values
    cdef values_t room
    if c.generation.number == config_number():
        return True
    g = config_current()
    values = config_delivery(g, c.lease.queue.binding, c.lease.queue.domain.option_name, &room)
    if shunned(c, g) or not same_shape(c.values, values):
        config_unref(g)
        return False
    c.own_values = room
    c.values = &c.own_values if values == &room else values
    config_unref(c.generation)
    c.generation = g
    return True


# ---- reports to the domain's loop -----------------------------------------------

cdef struct report_t:
    post_t post                 # first
    lease_t *lease              # lives until its last post, which comes behind this one
    route_t *route
    uint32_t connect_us
    bint failed
    bint unable                 # to open a socket: the host has no part in it
    refusal_t why               # failed: empty text where there was no connection


cdef void report_here(report_t *r) noexcept nogil:
    if r.unable:
        queue_pause(r.lease.queue)
    elif r.failed:
        host_failed(r.lease.queue.domain, r.route, &r.why if r.why.text[0] else NULL)
    else:
        host_answered(r.lease.queue.domain, r.route, r.connect_us)


cdef void on_report(post_t *p) noexcept nogil:
    report_here(<report_t*>p)
    free(p)


cdef void report(client_t *c, bint failed, const char *why) noexcept nogil:
    tell(c, failed, False, why)


cdef void tell(client_t *c, bint failed, bint unable, const char *why) noexcept nogil:
    """How the host did; why: what it said or did before it took any mail."""
    cdef report_t here
    cdef report_t *r = &here
    if lease_is_remote(&c.lease):
        r = <report_t*>malloc(sizeof(report_t))
        if r == NULL:
            return              # the host keeps the state it had
    memset(r, 0, sizeof(report_t))
    r.lease = &c.lease
    r.route = c.route
    r.connect_us = <uint32_t>((clock_mono_ns() - c.connect_ns) // 1000)
    r.failed = failed
    r.unable = unable
    if why != NULL:
        strncpy(r.why.text, why, sizeof(r.why.text) - 1)
        strncpy(r.why.peer, c.peer_text, sizeof(r.why.peer) - 1)
        r.why.conn = c.conn
        r.why.stage = c.stage
    if r == &here:
        report_here(r)
    else:
        loop_call(c.lease.queue.domain.loop, &r.post, on_report)


# ---- death -------------------------------------------------------------------------

cdef void on_closed(stream_t *st, int status) noexcept nogil:
    client_leave(<client_t*>st)


cdef void client_close(client_t *c) noexcept nogil:
    """The connection ends; what is in hand has its outcome already."""
    loop_timer_clear(c.loop, &c.timer)
    if c.reader != NULL:
        large_reader_free(c.reader)
        c.reader = NULL
    if c.stream.closed:
        client_leave(c)
    else:
        stream_close(&c.stream)


cdef void client_leave(client_t *c) noexcept nogil:
    """When the stream is closed and no question is open."""
    if c.leaving or c.lease.asking or not c.stream.closed:
        return
    c.leaving = True
    lease_leave(&c.lease, on_gone)


cdef void on_gone(lease_t *l) noexcept nogil:
    cdef client_t *c = NULL
    c = <client_t*>(<char*>l - (<char*>&c.lease - <char*>c))
    c.loop.counters[COUNT_OUTBOUND] -= 1
    permit_give(&c.lease.permit)
    buf_free(&c.line)
    buf_free(&c.head)
    downconvert_free(c.down)
    config_unref(c.generation)
    free(c)


cdef void short_of_sockets(client_t *c) noexcept nogil:
    """No descriptor or no local port is left: the mail waits a second in the active queue."""
    global short_ms
    if short_ms == 0 or c.loop.now_ms - short_ms > SHORT_MS:
        short_ms = c.loop.now_ms
        log_panic(c.loop, b"CONNECT", b"out of file descriptors or local ports for outbound connections "
                  b"(server_max_outbound_connections, server_max_file_descriptors)")
    tell(c, False, True, NULL)
    client_close(c)


cdef void failed_connect(client_t *c) noexcept nogil:
    report(c, True, NULL)
    client_close(c)


cdef void client_settle(client_t *c, ec_message_t *m, int outcome, slice_t text, uint64_t bytes) noexcept nogil:
    cdef attempt_t a
    cdef const config_binding_t *b = config_binding(c.generation, m.binding)
    memset(&a, 0, sizeof(a))
    a.conn = c.conn
    a.domain = (<domain_t*>m.domain).name
    a.group = b.group if b != NULL else slice_of(b"default")
    a.binding = b.name if b != NULL else slice_of(b"default")
    a.peer = slice_of(c.peer_text)
    a.text = text
    a.stage = c.stage
    a.bytes = bytes
    lease_settle(&c.lease, m, outcome, &a)


cdef void client_settle_all(client_t *c, transfer_t *t, int outcome, slice_t text) noexcept nogil:
    while not list_empty(&t.batch):
        client_settle(c, <ec_message_t*>t.batch.next, outcome, text, t.bytes)
    t.n = 0


cdef void client_broken(client_t *c, const char *text) noexcept nogil:
    """The connection is of no more use: the one in hand fails for now, the one behind it goes back."""
    cdef transfer_t *t = &c.tx[c.now]
    if not c.connected:
        report(c, True, text)
    if c.tx[1 - c.now].active:
        client_settle_all(c, &c.tx[1 - c.now], OUTCOME_RETURN, slice_of(text))
    if t.active:
        client_settle_all(c, t, OUTCOME_TRANSIENT, slice_of(text))
        if c.connected and not t.body_sent and c.deliveries == 0:
            report(c, True, NULL)
    c.tx[0].active = False
    c.tx[1].active = False
    client_close(c)


cdef void client_check(client_t *c) noexcept nogil:
    if c.stream.failed and not c.stream.closing:
        client_broken(c, b"451 4.3.0 [internal] out of memory")


cdef const char *client_broken_text(client_t *c) noexcept nogil:
    if c.stage == STAGE_BANNER:
        return b"451 4.4.2 [internal] no banner"
    if c.stage == STAGE_EHLO:
        return b"451 4.4.2 [internal] no HELO/EHLO response"
    if c.stage == STAGE_MAILFROM:
        return b"451 4.4.2 [internal] no MAIL FROM response"
    if c.stage == STAGE_RCPTTO:
        return b"451 4.4.2 [internal] no RCPT TO response"
    if c.stage == STAGE_DATA:
        return b"451 4.4.2 [internal] no DATA response"
    if c.stage == STAGE_BODY:
        return b"451 4.4.2 [internal] send BODY failed"
    if c.stage == STAGE_CONFIRMATION:
        return b"451 4.4.2 [internal] no BODY response"
    if c.stage == STAGE_RSET:
        return b"451 4.4.2 [internal] no RSET response"
    if c.stage == STAGE_STARTTLS:
        return b"451 4.7.5 [internal] no tls go-ahead"
    if c.stage == STAGE_XCLIENT:
        return b"451 4.4.2 [internal] no XCLIENT response"
    if c.stage == STAGE_TLS:
        return b"451 4.7.5 [internal] TLS negotiation failed"
    return b"451 4.4.2 [internal] connection closed by remote host"


cdef void on_timeout(timer_entry_t *t) noexcept nogil:
    cdef client_t *c = NULL
    c = <client_t*>(<char*>t - (<char*>&c.timer - <char*>c))
    if c.quitting:
        client_close(c)
    elif c.stage == STAGE_NOT_CONNECTED:
        failed_connect(c)
    elif c.stage == STAGE_IDLE:
        if c.lease.asking:
            loop_timer_set(c.loop, &c.timer, 1000)      # an answer is on its way
        else:
            client_quit(c)
    else:
        client_broken(c, client_broken_text(c))


cdef void client_quit(client_t *c) noexcept nogil:
    if c.quitting or c.stream.closing:
        return
    c.quitting = True
    client_expect(c, EXPECT_QUIT, 0, NULL)
    stream_write(&c.stream, b"QUIT\r\n", 6)
    stream_flush(&c.stream)
    loop_timer_set(c.loop, &c.timer, QUIT_MS)


# ---- connect, greet, secure ------------------------------------------------------

cdef void on_connect(stream_t *st, int status) noexcept nogil:
    cdef client_t *c = <client_t*>st
    if status < 0 and status != UV_ECONNRESET:
        failed_connect(c)
        return
    client_stage(c, STAGE_BANNER, opt_number(c.values, OPT_EHLO_TIMEOUT))
    if status < 0:                      # it was open, and was reset before we looked
        client_broken(c, client_broken_text(c))
        return
    client_expect(c, EXPECT_BANNER, 0, NULL)
    if c.proxied:
        stream_write(st, c.proxy, c.proxy_bytes)
        stream_flush(st)
    stream_read_start(st)


cdef void client_hello(client_t *c, bint helo) noexcept nogil:
    cdef char line[512]
    cdef const slice_t *name = opt_text(c.values, OPT_EHLO_HOSTNAME)
    cdef slice_t host = opt_text(c.generation.globals, OPT_HOSTNAME)[0]
    if c.sender[0]:
        host = slice_of(c.sender)
    elif name != NULL and name.len and not slice_ieq(name[0], slice_of(b"__hostname__")) and name.ptr[0] != c'_':
        host = name[0]
    client_stage(c, STAGE_EHLO, opt_number(c.values, OPT_EHLO_TIMEOUT))
    c.extensions = 0
    c.peer_size = 0
    client_expect(c, EXPECT_HELO if helo else EXPECT_EHLO, 0, NULL)
    stream_write(&c.stream, line, snprintf(line, sizeof(line), b"%s %.*s\r\n",
                                           b"HELO" if helo else b"LHLO" if client_lmtp(c) else b"EHLO",
                                           <int>(host.len if host.len < 400 else 400), host.ptr))
    stream_flush(&c.stream)


cdef void client_refused(client_t *c) noexcept nogil:
    """The peer wants no mail on this connection: the host rests, mail goes to the next one or hears why."""
    if c.tx[c.now].active:              # greeted anew behind XCLIENT
        client_broken(c, c.reply)
        return
    report(c, True, c.reply)
    client_quit(c)


cdef void client_greeted(client_t *c) noexcept nogil:
    cdef int64_t tls = opt_number(c.values, OPT_TLS)
    if not c.secured and not c.said[0] and tls > TLS_NO and not (c.tls_failed and tls == TLS_IFAVAILABLE):
        if c.extensions & EXT_STARTTLS:
            client_stage(c, STAGE_STARTTLS, opt_number(c.values, OPT_EHLO_TIMEOUT))
            client_expect(c, EXPECT_STARTTLS, 0, NULL)
            stream_write(&c.stream, b"STARTTLS\r\n", 10)
            stream_flush(&c.stream)
            return
        if tls == TLS_REQUIRED:
            client_no_tls(c, b"451 4.7.6 [internal] STARTTLS required but not advertised")
            return
    if not c.said[0] and opt_number(c.values, OPT_XCLIENT) == XCLIENT_REQUIRED and not c.extensions & EXT_XCLIENT:
        client_unfit(c, STAGE_XCLIENT, b"451 4.7.6 [internal] XCLIENT required but not advertised")
    elif not on_login(c):
        client_ready(c)


cdef void client_ready(client_t *c) noexcept nogil:
    if not c.connected:
        c.connected = True
        report(c, False, NULL)
    c.ready = True
    on_ready(c)


cdef void client_no_tls(client_t *c, const char *text) noexcept nogil:
    client_unfit(c, STAGE_STARTTLS, text)


cdef void client_unfit(client_t *c, int stage, const char *text) noexcept nogil:
    strncpy(c.reply, text, REPLY_ROOM - 1)
    c.reply_len = <uint32_t>strlen(c.reply)
    c.stage = stage
    client_refused(c)


cdef void client_start_tls(client_t *c) noexcept nogil:
    cdef SSL_CTX *ctx = tls_client_context(c.values)
    client_stage(c, STAGE_TLS, opt_number(c.values, OPT_EHLO_TIMEOUT))
    if ctx == NULL or stream_secure(&c.stream, ctx, False, c.host) != EC_OK:
        client_secured(&c.stream, -1)


cdef bint verified(client_t *c) noexcept nogil:
    cdef int64_t how = opt_number(c.values, OPT_TLS_VERIFY)
    cdef long result
    if how <= TLS_VERIFY_NO or how == TLS_VERIFY_OPTIONAL:
        return True
    result = SSL_get_verify_result(c.stream.ssl)
    return result == X509_V_OK and (how != TLS_VERIFY_HOST or host_matches(c.stream.ssl, c.host) or domain_matches(c))


cdef bint domain_matches(client_t *c) noexcept nogil:
    """Likewise the domain that mail goes to."""
    cdef char name[256]
    cdef slice_t domain = c.lease.queue.domain.option_name
    if domain.len >= sizeof(name):
        return False
    memcpy(name, domain.ptr, domain.len)
    name[domain.len] = 0
    return host_matches(c.stream.ssl, name)


cdef extern from *:
    """
    #include <openssl/ssl.h>
    #include <openssl/x509v3.h>
    static int host_matches(SSL *ssl, const char *host) {
        X509 *x = SSL_get1_peer_certificate(ssl); int ok;
        if (!x) return 0;
        ok = X509_check_host(x, host, 0, 0, NULL) == 1; X509_free(x); return ok; }
    """
    bint host_matches(void *ssl, const char *host) noexcept nogil


cdef void client_secured(stream_t *st, int status) noexcept nogil:
    cdef client_t *c = <client_t*>st
    cdef int64_t tls = opt_number(c.values, OPT_TLS)
    if status == EC_OK and verified(c):
        c.secured = True
        client_hello(c, False)
    elif status == EC_OK:
        client_no_tls(c, b"451 4.7.5 [internal] SSL certificate subject does not match host"
               if SSL_get_verify_result(st.ssl) == X509_V_OK else b"451 4.7.5 [internal] remote node SSL certificate not signed by a valid CA")
    elif tls == TLS_IFAVAILABLE and opt_number(c.values, OPT_TLS_IFAVAILABLE_FALLBACK) == 1 and not c.tls_failed:
        c.tls_failed = True
        again_in_clear(c)
    else:
        client_broken(c, b"451 4.7.5 [internal] TLS negotiation failed")


cdef void client_in_clear(client_t *c) noexcept nogil:
    """STARTTLS was refused: mail goes in clear."""
    c.tls_failed = True
    if opt_number(c.generation.globals, OPT_TLS_FALLBACK_ALWAYS_NEW_CONNECTION) == 1:
        again_in_clear(c)
    else:
        client_greeted(c)


cdef void again_in_clear(client_t *c) noexcept nogil:
    """The same host anew, without STARTTLS."""
    c.stream.on_closed = on_closed_for_clear
    loop_timer_clear(c.loop, &c.timer)
    stream_close(&c.stream)


cdef void on_closed_for_clear(stream_t *st, int status) noexcept nogil:
    cdef client_t *c = <client_t*>st
    c.expect_head = c.expect_tail
    buf_clear(&c.line)
    c.loop.counters[COUNT_OUTBOUND] -= 1            # begin counts it again
    begin(c)
