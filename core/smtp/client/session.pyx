"""One outbound SMTP connection.

connect, banner, EHLO, STARTTLS; then transactions by lease until there is no
more mail, a limit is met or something breaks.  With PIPELINING the envelope
of the next transaction follows the body of the one in hand in one write.
Every way a peer can misbehave ends in `broken`, which gives each message in
hand its outcome: sent without a final reply is a transient failure, not yet
sent goes back to the queue.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memchr, memcpy, memset, strlen, strncpy

from pymomentum.core.base.buf cimport buf_add, buf_clear, buf_free, buf_slice, buf_t
from pymomentum.core.base.cidr cimport sockaddr
from pymomentum.core.base.clock cimport clock_mono_ns
from pymomentum.core.base.limit cimport limit_give, limit_t, limit_take
from pymomentum.core.base.list cimport list_append, list_empty, list_init, list_node_t, list_remove
from pymomentum.core.base.slice cimport slice_ieq, slice_make, slice_of, slice_t
from pymomentum.core.base.status cimport EC_CLOSED, EC_CORRUPT, EC_OK
from pymomentum.core.base.timewheel cimport timer_entry_t, timer_init
from pymomentum.core.c.openssl cimport SSL_CTX, SSL_get_verify_result
from pymomentum.core.c.uv cimport uv_buf_t
from pymomentum.core.config.generation cimport config_binding, config_binding_t, config_current, config_delivery, config_unref
from pymomentum.core.config.values cimport *
from pymomentum.core.log.record cimport attempt_t
from pymomentum.core.loop.loop cimport (COUNT_OUTBOUND, loop_at, loop_call, loop_count, loop_t, loop_timer_clear,
                                        loop_timer_set)
from pymomentum.core.loop.post cimport post_t
from pymomentum.core.message.id cimport message_id_new
from pymomentum.core.message.message cimport BODY_8BIT, BODY_LARGE, BODY_UNCLEAN, blob_slice, ec_message_t
from pymomentum.core.net.address cimport address_set_port, address_text
from pymomentum.core.net.stream cimport *
from pymomentum.core.queue.domain cimport domain_t, mail_queue_t, refusal_t
from pymomentum.core.queue.lease cimport *
from pymomentum.core.queue.route cimport route_key_t, route_t
from pymomentum.core.queue.maintainer cimport host_answered, host_failed, maintainer_start
from pymomentum.core.queue.outcome cimport (OUTCOME_DELIVERED, OUTCOME_PERMANENT, OUTCOME_RETURN, OUTCOME_TRANSIENT)
from pymomentum.core.smtp.dotstuff cimport dot_encode, dot_encode_finish, dot_encode_init
from pymomentum.core.smtp.extension cimport EXT_8BITMIME, EXT_PIPELINING, EXT_SIZE, EXT_STARTTLS, smtp_extension_parse
from pymomentum.core.smtp.reply cimport smtp_reply_parse, smtp_reply_t
from pymomentum.core.spool.large cimport large_read, large_reader_free, large_reader_new
from pymomentum.core.tls.context cimport tls_client_context

cdef enum:
    QUIT_MS = 5000              # for the peer's last word
    SPREAD = 8                  # connections of one queue before others go to other loops
    X509_V_OK = 0

cdef limit_t server_connections
cdef char own_host[256]
memset(&server_connections, 0, sizeof(server_connections))

cdef const char *STAGES[23]
STAGES[:] = [
    b"not connected", b"idle", b"during MAIL FROM", b"after MAIL FROM", b"during RCPT TO", b"after RCPT TO", b"during DATA",
    b"after DATA", b"sending BODY", b"reading confirmation", b"during EHLO", b"after EHLO", b"reading BANNER",
    b"during RSET", b"after RSET", b"during STARTTLS", b"after STARTTLS", b"handshaking TLS", b"renegotiating TLS",
    b"during XCLIENT", b"after XCLIENT", b"out of band bounce", b"in unknown state"]


cdef const char *stage_name(int stage) noexcept nogil:
    return STAGES[stage if 0 <= stage < 23 else 22]


cdef void client_start() noexcept nogil:
    maintainer_start(client_connect)


def identity(str hostname not None):
    """The name said in EHLO where ehlo_hostname is __hostname__."""
    cdef bytes b = hostname.encode()
    strncpy(own_host, b, sizeof(own_host) - 1)


# ---- birth -------------------------------------------------------------------------

cdef bint client_connect(mail_queue_t *q, route_t *route, uint32_t host) noexcept nogil:
    """On the domain's loop; the connection may live on another."""
    cdef domain_t *d = q.domain
    cdef client_t *c
    cdef int64_t most = opt_number(d.generation.globals, OPT_SERVER_MAX_OUTBOUND_CONNECTIONS)
    cdef loop_t *where = d.loop
    cdef slice_t name
    if not limit_take(&server_connections, most if most > 0 else <uint64_t>-1):
        return False
    c = <client_t*>calloc(1, sizeof(client_t))
    if c == NULL:
        limit_give(&server_connections)
        return False
    if loop_count() > 1 and (remote_leases() or q.connections >= SPREAD):
        where = loop_at(<int>((d.loop.index + q.connections + 1) % <uint32_t>loop_count()))
    c.counted = True
    c.loop = where
    c.domain = d
    c.route = route
    c.generation = config_current()
    c.values = config_delivery(c.generation, q.binding, d.option_name)
    fill_peer(c)
    name = d.mx.host[host].name
    memcpy(c.host, name.ptr, name.len if name.len < sizeof(c.host) - 1 else sizeof(c.host) - 1)
    list_init(&c.tx[0].batch)
    list_init(&c.tx[1].batch)
    timer_init(&c.timer, on_timeout)
    c.lease.loop = where
    c.lease.granted = on_granted
    c.lease.wake = on_wake
    lease_join(&c.lease, q, route)
    c.conn = message_id_new()
    if where == d.loop:
        begin(c)
    else:
        loop_call(where, &c.start, on_start)
    return True


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


cdef void on_start(post_t *p) noexcept nogil:
    cdef client_t *c = NULL
    begin(<client_t*>(<char*>p - (<char*>&c.start - <char*>c)))


cdef void begin(client_t *c) noexcept nogil:
    c.loop.counters[COUNT_OUTBOUND] += 1
    c.connect_ns = clock_mono_ns()
    stage(c, STAGE_NOT_CONNECTED, opt_number(c.values, OPT_CONNECT_TIMEOUT))
    if stream_init(&c.stream, c.loop) != EC_OK:
        c.stream.closed = True
        failed_connect(c)
        return
    c.stream.on_connect = on_connect
    c.stream.on_read = on_read
    c.stream.on_secure = on_secure
    c.stream.on_closed = on_closed
    if stream_connect(&c.stream, <sockaddr*>&c.peer, NULL) != EC_OK:
        failed_connect(c)


cdef inline void stage(client_t *c, int which, int64_t seconds) noexcept nogil:
    c.stage = which
    c.since_ms = c.loop.now_ms
    loop_timer_set(c.loop, &c.timer, <uint64_t>seconds * 1000)


# ---- reports to the domain's loop -----------------------------------------------

cdef struct report_t:
    post_t post                 # first
    domain_t *domain
    route_t *route
    uint32_t connect_us
    bint failed
    refusal_t why               # failed: empty text where there was no connection


cdef void report_here(report_t *r) noexcept nogil:
    if r.failed:
        host_failed(r.domain, r.route, &r.why if r.why.text[0] else NULL)
    else:
        host_answered(r.domain, r.route, r.connect_us)


cdef void on_report(post_t *p) noexcept nogil:
    report_here(<report_t*>p)
    free(p)


cdef void report(client_t *c, bint failed, const char *why) noexcept nogil:
    """How the host did; why: what it said or did before it took any mail."""
    cdef report_t here
    cdef report_t *r = &here
    if lease_is_remote(&c.lease):
        r = <report_t*>malloc(sizeof(report_t))
        if r == NULL:
            return              # the host keeps the state it had
    memset(r, 0, sizeof(report_t))
    r.domain = c.domain
    r.route = c.route
    r.connect_us = <uint32_t>((clock_mono_ns() - c.connect_ns) // 1000)
    r.failed = failed
    if why != NULL:
        strncpy(r.why.text, why, sizeof(r.why.text) - 1)
        strncpy(r.why.peer, c.peer_text, sizeof(r.why.peer) - 1)
        r.why.conn = c.conn
        r.why.stage = c.stage
    if r == &here:
        report_here(r)
    else:
        loop_call(c.domain.loop, &r.post, on_report)


# ---- death -------------------------------------------------------------------------

cdef void on_closed(stream_t *st, int status) noexcept nogil:
    leave(<client_t*>st)


cdef void close(client_t *c) noexcept nogil:
    """The connection ends; what is in hand has its outcome already."""
    loop_timer_clear(c.loop, &c.timer)
    if c.reader != NULL:
        large_reader_free(c.reader)
        c.reader = NULL
    if c.stream.closed:
        leave(c)
    else:
        stream_close(&c.stream)


cdef void leave(client_t *c) noexcept nogil:
    """When the stream is closed and no question is open."""
    if c.leaving or c.lease.asking or not c.stream.closed:
        return
    c.leaving = True
    lease_leave(&c.lease, on_gone)


cdef void on_gone(lease_t *l) noexcept nogil:
    cdef client_t *c = NULL
    c = <client_t*>(<char*>l - (<char*>&c.lease - <char*>c))
    c.loop.counters[COUNT_OUTBOUND] -= 1
    if c.counted:
        limit_give(&server_connections)
    buf_free(&c.line)
    config_unref(c.generation)
    free(c)


cdef void failed_connect(client_t *c) noexcept nogil:
    report(c, True, NULL)
    close(c)


cdef void settle(client_t *c, ec_message_t *m, int outcome, slice_t text, uint64_t bytes) noexcept nogil:
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


cdef void settle_all(client_t *c, transfer_t *t, int outcome, slice_t text) noexcept nogil:
    while not list_empty(&t.batch):
        settle(c, <ec_message_t*>t.batch.next, outcome, text, t.bytes)
    t.n = 0


cdef void broken(client_t *c, const char *text) noexcept nogil:
    """The connection is of no more use: the one in hand fails for now, the one behind it goes back."""
    cdef transfer_t *t = &c.tx[c.now]
    if not c.connected:
        report(c, True, text)
    if c.tx[1 - c.now].active:
        settle_all(c, &c.tx[1 - c.now], OUTCOME_RETURN, slice_of(text))
    if t.active:
        settle_all(c, t, OUTCOME_TRANSIENT, slice_of(text))
        if c.connected and not t.body_sent and c.deliveries == 0:
            report(c, True, NULL)
    c.tx[0].active = False
    c.tx[1].active = False
    close(c)


cdef const char *broken_text(client_t *c) noexcept nogil:
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
    if c.stage == STAGE_TLS:
        return b"451 4.7.5 [internal] TLS negotiation failed"
    return b"451 4.4.2 [internal] connection closed by remote host"


cdef void on_timeout(timer_entry_t *t) noexcept nogil:
    cdef client_t *c = NULL
    c = <client_t*>(<char*>t - (<char*>&c.timer - <char*>c))
    if c.quitting:
        close(c)
    elif c.stage == STAGE_NOT_CONNECTED:
        failed_connect(c)
    elif c.stage == STAGE_IDLE:
        if c.lease.asking:
            loop_timer_set(c.loop, &c.timer, 1000)      # an answer is on its way
        else:
            quit(c)
    else:
        broken(c, broken_text(c))


cdef void quit(client_t *c) noexcept nogil:
    if c.quitting or c.stream.closing:
        return
    c.quitting = True
    expect(c, EXPECT_QUIT, 0, NULL)
    stream_write(&c.stream, b"QUIT\r\n", 6)
    stream_flush(&c.stream)
    loop_timer_set(c.loop, &c.timer, QUIT_MS)


# ---- connect, greet, secure ------------------------------------------------------

cdef void expect(client_t *c, int kind, int which, ec_message_t *m) noexcept nogil:
    cdef expected_t *e = &c.expect[c.expect_tail % EXPECT_SIZE]
    e.kind = <unsigned char>kind
    e.which = <unsigned char>which
    e.m = m
    c.expect_tail += 1


cdef void on_connect(stream_t *st, int status) noexcept nogil:
    cdef client_t *c = <client_t*>st
    if status < 0:
        failed_connect(c)
        return
    stage(c, STAGE_BANNER, opt_number(c.values, OPT_EHLO_TIMEOUT))
    expect(c, EXPECT_BANNER, 0, NULL)
    stream_read_start(st)


cdef void say_hello(client_t *c, bint helo) noexcept nogil:
    cdef char line[512]
    cdef const slice_t *name = opt_text(c.values, OPT_EHLO_HOSTNAME)
    cdef slice_t host = slice_of(own_host)
    if name != NULL and name.len and not slice_ieq(name[0], slice_of(b"__hostname__")) and name.ptr[0] != c'_':
        host = name[0]
    stage(c, STAGE_EHLO, opt_number(c.values, OPT_EHLO_TIMEOUT))
    c.extensions = 0
    c.peer_size = 0
    expect(c, EXPECT_HELO if helo else EXPECT_EHLO, 0, NULL)
    stream_write(&c.stream, line, snprintf(line, sizeof(line), b"%s %.*s\r\n", b"HELO" if helo else b"EHLO",
                                           <int>(host.len if host.len < 400 else 400), host.ptr))
    stream_flush(&c.stream)


cdef void refused(client_t *c) noexcept nogil:
    """The peer wants no mail on this connection: the host rests, mail goes to the next one or hears why."""
    report(c, True, c.reply)
    quit(c)


cdef void after_ehlo(client_t *c) noexcept nogil:
    cdef int64_t tls = opt_number(c.values, OPT_TLS)
    if not c.secured and tls > TLS_NO and not (c.tls_failed and tls == TLS_IFAVAILABLE):
        if c.extensions & EXT_STARTTLS:
            stage(c, STAGE_STARTTLS, opt_number(c.values, OPT_EHLO_TIMEOUT))
            expect(c, EXPECT_STARTTLS, 0, NULL)
            stream_write(&c.stream, b"STARTTLS\r\n", 10)
            stream_flush(&c.stream)
            return
        if tls == TLS_REQUIRED:
            no_tls(c, b"451 4.7.6 [internal] STARTTLS required but not advertised")
            return
    if not c.connected:
        c.connected = True
        report(c, False, NULL)
    c.ready = True
    ask(c)


cdef void no_tls(client_t *c, const char *text) noexcept nogil:
    strncpy(c.reply, text, REPLY_ROOM - 1)
    c.reply_len = <uint32_t>strlen(c.reply)
    c.stage = STAGE_STARTTLS
    refused(c)


cdef void start_tls(client_t *c) noexcept nogil:
    cdef SSL_CTX *ctx = tls_client_context(c.values)
    stage(c, STAGE_TLS, opt_number(c.values, OPT_EHLO_TIMEOUT))
    if ctx == NULL or stream_secure(&c.stream, ctx, False, c.host) != EC_OK:
        on_secure(&c.stream, -1)


cdef bint verified(client_t *c) noexcept nogil:
    cdef int64_t how = opt_number(c.values, OPT_TLS_VERIFY)
    cdef long result
    if how <= TLS_VERIFY_NO or how == TLS_VERIFY_OPTIONAL:
        return True
    result = SSL_get_verify_result(c.stream.ssl)
    return result == X509_V_OK and (how != TLS_VERIFY_HOST or host_matches(c.stream.ssl, c.host))


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


cdef void on_secure(stream_t *st, int status) noexcept nogil:
    cdef client_t *c = <client_t*>st
    cdef int64_t tls = opt_number(c.values, OPT_TLS)
    if status == EC_OK and verified(c):
        c.secured = True
        say_hello(c, False)
    elif status == EC_OK:
        no_tls(c, b"451 4.7.5 [internal] SSL certificate subject does not match host"
               if SSL_get_verify_result(st.ssl) == X509_V_OK else b"451 4.7.5 [internal] remote node SSL certificate not signed by a valid CA")
    elif tls == TLS_IFAVAILABLE and opt_number(c.values, OPT_TLS_IFAVAILABLE_FALLBACK) == 1 and not c.tls_failed:
        c.tls_failed = True
        again_in_clear(c)
    else:
        broken(c, b"451 4.7.5 [internal] TLS negotiation failed")


cdef void again_in_clear(client_t *c) noexcept nogil:
    """tls_ifavailable_fallback: the same host anew, without STARTTLS."""
    c.stream.on_closed = on_closed_for_clear
    loop_timer_clear(c.loop, &c.timer)
    stream_close(&c.stream)


cdef void on_closed_for_clear(stream_t *st, int status) noexcept nogil:
    cdef client_t *c = <client_t*>st
    c.expect_head = c.expect_tail
    buf_clear(&c.line)
    c.loop.counters[COUNT_OUTBOUND] -= 1            # begin counts it again
    begin(c)


# ---- transactions ------------------------------------------------------------------

cdef bint more_allowed(client_t *c) noexcept nogil:
    cdef int64_t deliveries = opt_number(c.values, OPT_MAX_DELIVERIES_PER_CONNECTION)
    cdef int64_t recipients = opt_number(c.values, OPT_MAX_RECIPIENTS_PER_CONNECTION)
    cdef uint32_t hoped = c.deliveries + (c.tx[c.now].n if c.tx[c.now].active else 0)      # with those in hand
    return not c.quitting and (deliveries <= 0 or hoped < deliveries) and (recipients <= 0 or c.recipients < recipients)


cdef uint32_t batch_most(client_t *c) noexcept nogil:
    cdef int64_t most = opt_number(c.values, OPT_MAX_RECIPIENTS_PER_BATCH)
    return <uint32_t>(most if 0 < most < BATCH_MAX else BATCH_MAX)


cdef void ask(client_t *c) noexcept nogil:
    """More mail, if this connection may carry it and no question is open."""
    if c.lease.asking or c.stream.closing or c.lease.resting:
        return
    if not more_allowed(c):
        if not c.tx[0].active and not c.tx[1].active:
            quit(c)
        return
    lease_ask(&c.lease, batch_most(c))


cdef void on_granted(lease_t *l) noexcept nogil:
    cdef client_t *c = NULL
    cdef transfer_t *t
    cdef uint32_t which
    c = <client_t*>(<char*>l - (<char*>&c.lease - <char*>c))
    if l.n == 0:
        nothing(c)
        return
    which = c.now if not c.tx[c.now].active else 1 - c.now
    t = &c.tx[which]
    memset(t, 0, sizeof(t[0]))
    list_init(&t.batch)
    while not list_empty(&l.batch):
        take(t, l.batch.next)
    t.active = True
    c.domain = l.queue.domain           # a sibling's, it may be
    if c.stream.closing or c.stream.closed or c.quitting:
        settle_all(c, t, OUTCOME_RETURN, slice_make(NULL, 0))
        t.active = False
        leave(c)
        return
    if which == c.now:
        send_envelope(c, which)
        stream_flush(&c.stream)
        prefetch(c)


cdef inline void take(transfer_t *t, list_node_t *node) noexcept nogil:
    list_remove(node)
    list_append(&t.batch, node)
    t.n += 1


cdef void nothing(client_t *c) noexcept nogil:
    """No mail for this connection now."""
    if c.stream.closing or c.stream.closed:
        leave(c)
        return
    if c.tx[0].active or c.tx[1].active or c.quitting:
        return
    if c.lease.wait_ms:
        quit(c)                     # throttled: mail stays in the active queue
        return
    stage(c, STAGE_IDLE, opt_number(c.values, OPT_IDLE_TIMEOUT))
    lease_rest(&c.lease)


cdef void on_wake(lease_t *l) noexcept nogil:
    cdef client_t *c = NULL
    c = <client_t*>(<char*>l - (<char*>&c.lease - <char*>c))
    if not c.stream.closing and not c.quitting:
        ask(c)


cdef void prefetch(client_t *c) noexcept nogil:
    """With PIPELINING: have the next transaction at hand when the body of this one goes out."""
    if c.extensions & EXT_PIPELINING and c.tx[c.now].active and not c.tx[1 - c.now].active and more_allowed(c):
        ask(c)


cdef void send_envelope(client_t *c, uint32_t which) noexcept nogil:
    """MAIL, and behind it RCPT and DATA where the peer takes them at once."""
    cdef transfer_t *t = &c.tx[which]
    cdef ec_message_t *m = <ec_message_t*>t.batch.next
    cdef char tail[64]
    cdef int n
    cdef slice_t sender = m.env.mailfrom
    if c.need_rset:
        c.need_rset = False
        expect(c, EXPECT_RSET, which, NULL)
        stream_write(&c.stream, b"RSET\r\n", 6)
    expect(c, EXPECT_MAIL, which, NULL)
    stream_write(&c.stream, b"MAIL FROM:<", 11)
    stream_write(&c.stream, sender.ptr, sender.len)
    n = 1
    tail[0] = c'>'
    if c.extensions & EXT_SIZE:
        n += snprintf(tail + n, sizeof(tail) - n, b" SIZE=%llu", <unsigned long long>m.body_size)
    if c.extensions & EXT_8BITMIME and m.flags & BODY_8BIT and opt_number(c.values, OPT_SEND_8BITMIME) == SEND_8BITMIME_IFAVAILABLE:
        n += snprintf(tail + n, sizeof(tail) - n, b" BODY=8BITMIME")
    n += snprintf(tail + n, sizeof(tail) - n, b"\r\n")
    stream_write(&c.stream, tail, n)
    if which == c.now:
        stage(c, STAGE_MAILFROM, opt_number(c.values, OPT_MAILFROM_TIMEOUT))
    if c.extensions & EXT_PIPELINING:
        send_rcpts(c, which)
        send_data(c, which)


cdef void send_rcpts(client_t *c, uint32_t which) noexcept nogil:
    cdef list_node_t *node = c.tx[which].batch.next
    while node != &c.tx[which].batch:
        send_rcpt(c, which, <ec_message_t*>node)
        node = node.next


cdef void send_rcpt(client_t *c, uint32_t which, ec_message_t *m) noexcept nogil:
    expect(c, EXPECT_RCPT, which, m)
    stream_write(&c.stream, b"RCPT TO:<", 9)
    stream_write(&c.stream, m.env.rcptto.ptr, m.env.rcptto.len)
    stream_write(&c.stream, b">\r\n", 3)
    c.recipients += 1


cdef void send_data(client_t *c, uint32_t which) noexcept nogil:
    c.tx[which].data_sent = True
    expect(c, EXPECT_DATA, which, NULL)
    stream_write(&c.stream, b"DATA\r\n", 6)


cdef void send_body(client_t *c) noexcept nogil:
    """Body, dot, and the next envelope, in one write."""
    cdef transfer_t *t = &c.tx[c.now]
    cdef ec_message_t *m = <ec_message_t*>t.batch.next
    cdef uint32_t other = 1 - c.now
    cdef slice_t body
    cdef uv_buf_t b[2]
    cdef buf_t held
    if m.flags & BODY_LARGE:
        send_large(c, m)
        return
    body = blob_slice(m.blob)
    expect(c, EXPECT_DOT, c.now, NULL)
    t.body_sent = True
    c.loop.work_seq[0] = m.seq
    t.bytes = body.len
    stage(c, STAGE_CONFIRMATION, opt_number(c.values, OPT_BODY_TIMEOUT))
    stream_flush(&c.stream)
    if m.flags & BODY_UNCLEAN or c.stream.ssl != NULL or c.stream.writing or c.stream.out.len:
        if m.flags & BODY_UNCLEAN:
            dot_encode_init(&c.encoder, True)
            send_encoded(c, body)
            end_encoded(c)
        else:
            stream_write(&c.stream, body.ptr, body.len)
        send_dot(c)
        return
    # what follows the body is gathered in `out`, then both go in one call
    stream_write(&c.stream, b".\r\n", 3)
    if c.tx[other].active:
        send_envelope(c, other)
    held = c.stream.out
    memset(&c.stream.out, 0, sizeof(held))
    b[0].base = <char*>body.ptr
    b[0].len = body.len
    b[1].base = held.ptr
    b[1].len = held.len
    stream_writev(&c.stream, b, 2)
    if c.stream.out.ptr == NULL:
        held.len = 0
        c.stream.out = held         # its memory serves again
    else:
        buf_free(&held)


cdef void send_dot(client_t *c) noexcept nogil:
    """The final dot, and the next envelope behind it."""
    cdef uint32_t other = 1 - c.now
    stream_write(&c.stream, b".\r\n", 3)
    if c.tx[other].active:
        send_envelope(c, other)
    stream_flush(&c.stream)


cdef void send_encoded(client_t *c, slice_t body) noexcept nogil:
    cdef char room[8192]
    cdef size_t used = 0, made = 0
    while body.len:
        dot_encode(&c.encoder, body, room, sizeof(room), &used, &made)
        stream_write(&c.stream, room, made)
        body = slice_make(body.ptr + used, body.len - used)


cdef void end_encoded(client_t *c) noexcept nogil:
    cdef char room[4]
    stream_write(&c.stream, room, dot_encode_finish(&c.encoder, room))


cdef void send_large(client_t *c, ec_message_t *m) noexcept nogil:
    """A body in a file: a chunk is read while the kernel takes the one before."""
    stage(c, STAGE_BODY, opt_number(c.values, OPT_BODY_TIMEOUT))
    dot_encode_init(&c.encoder, True)
    c.stream.on_drain = on_drain
    c.reader = large_reader_new(c.loop, m.body_seq, m.body, c, on_chunk)
    if c.reader == NULL:
        broken(c, b"451 4.3.0 [internal] out of memory")
        return
    large_read(c.reader)


cdef void on_chunk(void *owner, int rc) noexcept nogil:
    cdef client_t *c = <client_t*>owner
    cdef transfer_t *t = &c.tx[c.now]
    cdef ec_message_t *m
    cdef slice_t chunk = buf_slice(&c.reader.bytes)
    if rc != EC_OK:
        # the peer has half a message: only closing tells it so
        if rc == EC_CORRUPT:
            settle_all(c, t, OUTCOME_PERMANENT, slice_of(b"550 5.3.0 [internal] message body missing"))
        broken(c, b"451 4.3.0 [internal] spool cannot be read now")
        return
    m = <ec_message_t*>t.batch.next
    if chunk.len == 0:
        large_reader_free(c.reader)
        c.reader = NULL
        if m.flags & BODY_UNCLEAN:
            end_encoded(c)
        t.body_sent = True
        t.bytes = m.body_size
        expect(c, EXPECT_DOT, c.now, NULL)
        stage(c, STAGE_CONFIRMATION, opt_number(c.values, OPT_BODY_TIMEOUT))
        send_dot(c)
        return
    stage(c, STAGE_BODY, opt_number(c.values, OPT_BODY_TIMEOUT))
    if m.flags & BODY_UNCLEAN:
        send_encoded(c, chunk)
    else:
        stream_write(&c.stream, chunk.ptr, chunk.len)
    stream_flush(&c.stream)
    if c.reader != NULL and stream_pending(&c.stream) == 0:
        large_read(c.reader)


cdef void on_drain(stream_t *st, int status) noexcept nogil:
    cdef client_t *c = <client_t*>st
    if c.reader != NULL and not c.reader.busy:
        large_read(c.reader)


# ---- replies -----------------------------------------------------------------------

cdef void on_read(stream_t *st, const char *p, size_t n) noexcept nogil:
    cdef client_t *c = <client_t*>st
    cdef const char *nl
    cdef size_t len_, most = opt_number(c.values, OPT_MAX_REPLY_LENGTH)
    if n == 0:
        on_eof(c)
        return
    while n and not st.closing:
        nl = <const char*>memchr(p, c'\n', n)
        if nl == NULL or c.line.len:
            len_ = nl + 1 - p if nl != NULL else n
            if c.line.len + len_ > most * 2 + 2:
                broken(c, b"451 4.4.2 [internal] reply line too long")
                return
            buf_add(&c.line, p, len_)
            p += len_
            n -= len_
            if nl == NULL:
                return
            on_line(c, buf_slice(&c.line))
            buf_clear(&c.line)
            continue
        len_ = nl + 1 - p
        on_line(c, slice_make(p, len_))
        p += len_
        n -= len_
    if not st.closing:
        stream_flush(st)


cdef void on_eof(client_t *c) noexcept nogil:
    if c.quitting or (c.stage == STAGE_IDLE and not c.tx[0].active and not c.tx[1].active):
        close(c)
    elif c.deliveries and c.stage == STAGE_MAILFROM:
        give_back(c)
    elif c.stage == STAGE_TLS:
        on_secure(&c.stream, EC_CLOSED)
    elif STAGE_MAILFROM <= c.stage <= STAGE_CONFIRMATION:
        broken(c, b"451 4.4.2 [internal] connection closed by remote host")
    else:
        broken(c, broken_text(c))


cdef void on_line(client_t *c, slice_t line) noexcept nogil:
    cdef smtp_reply_t r
    cdef uint64_t size = 0
    while line.len and (line.ptr[line.len - 1] == c'\n' or line.ptr[line.len - 1] == c'\r'):
        line = slice_make(line.ptr, line.len - 1)
    if c.expect_head == c.expect_tail or smtp_reply_parse(line, &r) != EC_OK:
        # 421 out of turn is a good-bye (RFC 5321 3.8); anything else is no SMTP
        broken(c, b"451 4.4.2 [internal] connection closed by remote host" if line.len >= 3 and line.ptr[0] == c'4'
               else b"451 4.4.2 [internal] peer does not speak SMTP")
        return
    if c.reply_lines == 0:
        c.reply_len = 0
    c.reply_lines += 1
    if c.reply_lines > opt_number(c.values, OPT_MAX_REPLY_LINES):
        broken(c, b"451 4.4.2 [internal] reply has too many lines")
        return
    keep_text(c, line)
    if c.expect[c.expect_head % EXPECT_SIZE].kind == EXPECT_EHLO and c.reply_lines > 1:
        smtp_extension_parse(slice_make(line.ptr + 4, line.len - 4 if line.len > 4 else 0), &c.extensions, &size)
        if size:
            c.peer_size = size
    if r.more:
        return
    c.reply_lines = 0
    c.reply_code = r.code               # the last line decides
    on_reply(c)


cdef void keep_text(client_t *c, slice_t line) noexcept nogil:
    """The text that logs carry: lines joined by blanks, the code once."""
    cdef uint32_t n
    if c.reply_len:
        line = slice_make(line.ptr + 4, line.len - 4) if line.len > 4 else slice_make(line.ptr, 0)
        if c.reply_len < REPLY_ROOM - 1 and line.len:
            c.reply[c.reply_len] = c' '
            c.reply_len += 1
    n = <uint32_t>(line.len if line.len < REPLY_ROOM - 1 - c.reply_len else REPLY_ROOM - 1 - c.reply_len)
    memcpy(c.reply + c.reply_len, line.ptr, n)
    c.reply_len += n
    c.reply[c.reply_len] = 0
    if c.reply_len > 3 and c.reply[3] == c'-':
        c.reply[3] = c' '


cdef inline int outcome_of(int code) noexcept nogil:
    if code >= 500:
        return OUTCOME_PERMANENT
    return OUTCOME_TRANSIENT if code >= 400 else OUTCOME_DELIVERED


cdef void on_reply(client_t *c) noexcept nogil:
    cdef expected_t e = c.expect[c.expect_head % EXPECT_SIZE]
    cdef int code = c.reply_code
    c.expect_head += 1
    if code == 421 and EXPECT_MAIL <= e.kind <= EXPECT_RSET:
        farewell(c, e.kind)
    elif e.kind == EXPECT_DOT:
        on_confirmation(c, &c.tx[e.which], code)
    elif e.kind == EXPECT_MAIL:
        on_mail(c, e.which, code)
    elif e.kind == EXPECT_RCPT:
        on_rcpt(c, e.which, e.m, code)
    elif e.kind == EXPECT_DATA:
        on_data(c, e.which, code)
    elif e.kind == EXPECT_BANNER:
        if code // 100 == 2:
            say_hello(c, False)
        else:
            refused(c)
    elif e.kind == EXPECT_EHLO:
        if code // 100 == 2:
            after_ehlo(c)
        elif code >= 500 and not c.secured:
            say_hello(c, True)
        else:
            refused(c)
    elif e.kind == EXPECT_HELO:
        if code // 100 == 2:
            after_ehlo(c)
        else:
            refused(c)
    elif e.kind == EXPECT_STARTTLS:
        if code // 100 == 2:
            start_tls(c)
        elif opt_number(c.values, OPT_TLS) == TLS_IFAVAILABLE:
            c.tls_failed = True
            after_ehlo(c)
        else:
            no_tls(c, b"451 4.7.5 [internal] no tls go-ahead")
    elif e.kind == EXPECT_QUIT:
        close(c)
    elif e.kind == EXPECT_RSET and code // 100 != 2:
        broken(c, b"451 4.4.2 [internal] no RSET response")


cdef void farewell(client_t *c, int kind) noexcept nogil:
    """421: the peer is about to close (RFC 5321 3.8).  To MAIL after some deliveries it means no message."""
    c.stage = (STAGE_MAILFROM if kind == EXPECT_MAIL else STAGE_RCPTTO if kind == EXPECT_RCPT else
               STAGE_DATA if kind == EXPECT_DATA else STAGE_CONFIRMATION if kind == EXPECT_DOT else STAGE_RSET)
    if c.deliveries and (kind == EXPECT_MAIL or kind == EXPECT_RSET):
        give_back(c)
    else:
        broken(c, c.reply)


cdef void give_back(client_t *c) noexcept nogil:
    """The connection served and ends between two messages: those it holds are as if never taken."""
    settle_all(c, &c.tx[1 - c.now], OUTCOME_RETURN, slice_make(NULL, 0))
    settle_all(c, &c.tx[c.now], OUTCOME_RETURN, slice_make(NULL, 0))
    c.tx[0].active = False
    c.tx[1].active = False
    close(c)


cdef void on_mail(client_t *c, uint32_t which, int code) noexcept nogil:
    cdef transfer_t *t = &c.tx[which]
    t.mail_code = code
    if code // 100 == 2:
        if which == c.now:
            stage(c, STAGE_RCPTTO, opt_number(c.values, OPT_RCPTTO_TIMEOUT))
        if not c.extensions & EXT_PIPELINING:
            send_rcpt(c, which, <ec_message_t*>t.batch.next)
        return
    settle_all(c, t, outcome_of(code), slice_make(c.reply, c.reply_len))
    t.mail_code = code
    if not t.data_sent:                 # else the replies to RCPT and DATA are still to come
        over(c)


cdef void on_rcpt(client_t *c, uint32_t which, ec_message_t *m, int code) noexcept nogil:
    cdef transfer_t *t = &c.tx[which]
    cdef list_node_t *next = NULL
    if t.mail_code // 100 != 2:
        return                          # settled with MAIL
    if not c.extensions & EXT_PIPELINING:
        next = m.node.next
    if code // 100 == 2:
        t.accepted += 1
    else:
        c.stage = STAGE_RCPTTO
        t.n -= 1
        settle(c, m, outcome_of(code) if code >= 400 else OUTCOME_TRANSIENT, slice_make(c.reply, c.reply_len), 0)
    if c.extensions & EXT_PIPELINING:
        return
    if next != &t.batch:
        send_rcpt(c, which, <ec_message_t*>next)
    elif t.accepted:
        stage(c, STAGE_DATA, opt_number(c.values, OPT_RCPTTO_TIMEOUT))
        send_data(c, which)
    else:
        c.need_rset = True
        over(c)


cdef void on_data(client_t *c, uint32_t which, int code) noexcept nogil:
    cdef transfer_t *t = &c.tx[which]
    if t.mail_code // 100 == 2 and t.accepted and code // 100 == 3:
        send_body(c)
        return
    if code // 100 == 3:                # RFC 2920 3.1: no recipient, but the peer waits for a body
        expect(c, EXPECT_DOT, which, NULL)
        stream_write(&c.stream, b".\r\n", 3)
        return
    if t.mail_code // 100 == 2 and t.accepted:
        c.stage = STAGE_DATA
        settle_all(c, t, outcome_of(code) if code >= 400 else OUTCOME_TRANSIENT, slice_make(c.reply, c.reply_len))
    if t.mail_code // 100 == 2:
        c.need_rset = True
    over(c)


cdef void on_confirmation(client_t *c, transfer_t *t, int code) noexcept nogil:
    if code // 100 == 2:
        c.deliveries += t.n
        settle_all(c, t, OUTCOME_DELIVERED, slice_make(c.reply, c.reply_len))
    else:
        settle_all(c, t, outcome_of(code) if code >= 400 else OUTCOME_TRANSIENT, slice_make(c.reply, c.reply_len))
    over(c)


cdef void over(client_t *c) noexcept nogil:
    """The transaction in hand is over: the one behind it comes up, or new mail is asked for."""
    cdef uint32_t other = 1 - c.now
    c.tx[c.now].active = False
    if c.stream.closing:
        return
    if c.tx[other].active:
        c.now = other
        if c.tx[other].mail_code == 0 and not envelope_out(c, other):
            send_envelope(c, other)
        else:
            stage(c, STAGE_MAILFROM, opt_number(c.values, OPT_MAILFROM_TIMEOUT))
        prefetch(c)
        return
    ask(c)


cdef bint envelope_out(client_t *c, uint32_t which) noexcept nogil:
    """Is its MAIL on the wire already?"""
    cdef uint32_t i = c.expect_head
    while i != c.expect_tail:
        if c.expect[i % EXPECT_SIZE].kind == EXPECT_MAIL and c.expect[i % EXPECT_SIZE].which == which:
            return True
        i += 1
    return False
