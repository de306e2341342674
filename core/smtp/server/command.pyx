"""The verbs of RFC 5321, one function each, in the order of a session."""
from libc.stdint cimport int64_t, uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memcpy, memset

from pymomentum.core.base.arena cimport arena_alloc, arena_calloc, arena_copy, arena_reset, arena_t
from pymomentum.core.base.buf cimport buf_free, buf_t
from pymomentum.core.base.cidr cimport cidr_find, cidr_set_t, sockaddr
from pymomentum.core.base.clock cimport clock_mono_ns
from pymomentum.core.base.slice cimport slice_eq, slice_ieq, slice_make, slice_of, slice_t
from pymomentum.core.base.status cimport EC_IO, EC_LIMIT, EC_OK, EC_REFUSED
from pymomentum.core.base.throttle cimport throttle_ask
from pymomentum.core.c.openssl cimport SSL_CIPHER_get_name, SSL_CTX, SSL_get_current_cipher, SSL_get_version
from pymomentum.core.config.generation cimport config_delivery, config_number
from pymomentum.core.config.globs cimport globs_hold
from pymomentum.core.config.values cimport *
from pymomentum.core.log.level cimport LEVEL_DEBUG, LEVEL_INFO, LEVEL_WARNING, OF_SMTP, OF_SSL, log_says
from pymomentum.core.log.writer cimport LOG_MAIN, log_at, log_room
from pymomentum.core.loop.loop cimport LOOP_DRAINING
from pymomentum.core.message.context cimport context_set
from pymomentum.core.message.message cimport address_domain
from pymomentum.core.net.stream cimport stream_feed, stream_secure, stream_t
from pymomentum.core.policy.phases cimport *
from pymomentum.core.smtp.command cimport *
from pymomentum.core.smtp.path cimport *
from pymomentum.core.queue.insert cimport lower
from pymomentum.core.queue.memory cimport memory_full
from pymomentum.core.spool.spool cimport spool_main, spool_ready
from pymomentum.core.tls.context cimport tls_server_context, tls_server_ready, tls_verified
from .session cimport *
from .transaction cimport transaction_data, transaction_feed
from .xclient cimport xclient_announce, xclient_take

cdef enum:
    LOG_RESERVE = 4096          # bytes a reception may need in the mainlog's ring
    TURN_MS = 1000              # between two looks of a session that waits for a throttle


cdef void commands_start() noexcept nogil:
    session_set_handlers(on_line, transaction_feed, on_opened)


# ---- connect -----------------------------------------------------------------------

cdef void on_opened(session_t *s) noexcept nogil:
    if log_says(LEVEL_INFO, OF_SMTP):
        log_at(s.loop, LEVEL_INFO, b"SMTP", b"%s connected to %s", s.peer_text, s.local_text)
    s.xclient = session_extension(s, b"XCLIENT")
    if opt_number(s.values, OPT_USE_SSL) == 1 and s.stream.ssl == NULL:
        open_tls(s)
    else:
        meet(s)


cdef void meet(session_t *s) noexcept nogil:
    s.state = AT_CONNECT
    session_phase(s, HOOK_CORE_VALIDATE_ACCEPT, after_accept)


cdef void after_accept(session_t *s) noexcept nogil:
    session_taken(s)
    if policy_said(s):
        session_end(s)
        return
    session_phase(s, HOOK_VALIDATE_CONNECT, after_connect)


cdef bint policy_said(session_t *s) noexcept nogil:
    """True where a provider gave an answer: it has been sent."""
    cdef int code = s.phase.code
    if code == 0 or s.phase.discard:
        return False
    session_reject(s, code, s.phase.text)
    s.phase.code = 0                    # what is rejected from now on is not this provider's
    if s.phase.disconnect or code == 421:
        session_end(s)
    return True


cdef bint starts_with_code(slice_t banner) noexcept nogil:
    """The manual of version 3 has static_banner with its 220."""
    return slice_eq(slice_make(banner.ptr, min(banner.len, <size_t>4)), slice_of(b"220 " if banner.len > 3 else b"220"))


cdef void after_connect(session_t *s) noexcept nogil:
    cdef char line[900]
    cdef slice_t host = session_hostname(s)
    cdef const slice_t *fixed = opt_text(s.values, OPT_STATIC_BANNER)
    s.state = AT_BANNER
    if policy_said(s):
        session_end(s)
        return
    if fixed != NULL and fixed.len:
        snprintf(line, sizeof(line), b"%s%.*s", b"" if starts_with_code(fixed[0]) else b"220 ", <int>fixed.len, fixed.ptr)
    else:
        snprintf(line, sizeof(line), b"220 2.0.0 %.*s ESMTP ecelerity %s %s", <int>host.len, host.ptr, server_version(),
                 rfc_date(s.loop))
    session_reply(s, line)
    s.state = AT_AWAIT_EHLO


# ---- dispatch ----------------------------------------------------------------------

cdef bint before_hello(int verb) noexcept nogil:
    """Commands that need no EHLO, whatever the options."""
    return verb == SMTP_EHLO or verb == SMTP_HELO or verb == SMTP_NOOP or verb == SMTP_RSET or verb == SMTP_HELP or verb == SMTP_QUIT


cdef bint blanks_allowed(session_t *s) noexcept nogil:
    """Around an address and behind a command: the manual has what either option does under the name of the other, too."""
    return opt_number(s.values, OPT_ALLOW_TRAILING_WHITESPACE_IN_COMMANDS) == 1 \
        or opt_number(s.values, OPT_RFC2821_ALLOW_WHITESPACE_IN_ENVELOPE) == 1


cdef void on_line(session_t *s, slice_t line) noexcept nogil:
    cdef smtp_command_t c
    session_wait(s, opt_number(s.values, OPT_COMMAND_TIMEOUT))
    if smtp_command_parse(line, &c) != EC_OK:
        session_bad(s, 500, b"5.5.2 unrecognized command")
        return
    if log_says(LEVEL_DEBUG, OF_SMTP):
        log_at(s.loop, LEVEL_DEBUG, b"SMTP", b"%s < %.*s %.*s", s.peer_text, <int>c.name.len, c.name.ptr,
               <int>(c.args.len if c.verb != SMTP_AUTH else 0), c.args.ptr)         # no secrets
    if s.helo.len == 0 and not before_hello(c.verb) and opt_number(s.values, OPT_REQUIRE_EHLO) == 1:
        session_bad(s, 550, b"5.5.1 RFC2821 HELO/EHLO needed")
        return
    if c.trailing and not blanks_allowed(s) and (c.verb == SMTP_MAIL or c.verb == SMTP_RCPT):
        session_bad(s, 501, b"5.5.2 MAIL FROM syntax error" if c.verb == SMTP_MAIL else b"5.5.2 RCPT TO syntax error")
        return
    if c.verb == SMTP_RCPT:
        do_rcpt(s, c.args)
    elif c.verb == SMTP_MAIL:
        do_mail(s, c.args)
    elif c.verb == SMTP_DATA:
        do_data(s, c.args)
    elif c.verb == SMTP_EHLO or c.verb == SMTP_HELO:
        do_ehlo(s, c.args, c.verb == SMTP_EHLO)
    elif c.verb == SMTP_RSET:
        do_rset(s, c.args)
    elif c.verb == SMTP_QUIT:
        do_quit(s, c.args)
    elif c.verb == SMTP_NOOP:
        session_reply(s, b"250 2.0.0 OK")
    elif c.verb == SMTP_STARTTLS:
        do_starttls(s, c.args)
    elif c.verb == SMTP_XCLIENT:
        if xclient_take(s, c.args):
            meet(s)                     # its reply is the greeting
    elif c.verb == SMTP_VRFY:
        session_reply(s, b"252 2.1.5 cannot verify, send it anyway")        # RFC 5321 3.5.3
    elif c.verb == SMTP_HELP:
        session_reply(s, b"214 2.0.0 EHLO HELO MAIL RCPT DATA RSET NOOP QUIT VRFY STARTTLS")
    elif c.verb == SMTP_UNKNOWN:
        session_bad(s, 500, b"5.5.2 unrecognized command")
    else:
        session_bad(s, 502, b"5.5.1 command not implemented")


# ---- EHLO, STARTTLS ----------------------------------------------------------------

cdef void do_ehlo(session_t *s, slice_t args, bint esmtp) noexcept nogil:
    cdef size_t i
    if args.len == 0 or args.len > 255:
        session_bad(s, 501, b"5.5.2 invalid EHLO" if esmtp else b"5.5.2 invalid HELO")
        return
    for i in range(args.len):
        if args.ptr[i] == c' ' or args.ptr[i] == c'\t':
            session_bad(s, 501, b"5.5.2 invalid EHLO" if esmtp else b"5.5.2 invalid HELO")
            return
    arena_reset(&s.arena)               # holds the name alone; clients may say it again and again
    s.helo = arena_copy(&s.arena, args)
    if s.helo.ptr == NULL:
        session_reject(s, 452, b"4.3.1 out of memory")
        return
    s.esmtp = esmtp
    session_reset(s)                    # RFC 5321 4.1.4
    s.state = AT_EHLO_REPLY
    session_phase(s, HOOK_VALIDATE_EHLO, after_ehlo)


cdef bint offered(session_t *s, const char *name) noexcept nogil:
    """SMTP_Extensions, or all we have where it is unset."""
    cdef const opt_list_t *list = opt_list(s.values, OPT_SMTP_EXTENSIONS)
    cdef size_t i
    if list == NULL:
        return True
    for i in range(list.n):
        if slice_ieq(list.items[i], slice_of(name)):
            return True
    return False


cdef void after_ehlo(session_t *s) noexcept nogil:
    cdef char line[512]
    cdef slice_t host = session_hostname(s)
    cdef int64_t most = opt_number(s.values, OPT_MAX_MESSAGE_SIZE)
    if policy_said(s):
        return
    s.state = AT_AWAIT_MAILFROM
    if not s.esmtp:
        snprintf(line, sizeof(line), b"250 %.*s says HELO to %s", <int>host.len, host.ptr, s.peer_text)
        session_reply(s, line)
        return
    snprintf(line, sizeof(line), b"250-%.*s says EHLO to %s", <int>host.len, host.ptr, s.peer_text)
    session_reply(s, line)
    if s.stream.ssl == NULL and offered(s, b"STARTTLS") and tls_server_ready(s.values):
        session_reply(s, b"250-STARTTLS")
    if offered(s, b"ENHANCEDSTATUSCODES"):
        session_reply(s, b"250-ENHANCEDSTATUSCODES")
    if xclient_announce(s, line, sizeof(line)):
        session_reply(s, line)
    if most > 0:
        snprintf(line, sizeof(line), b"250-SIZE %lld", <long long>most)
        session_reply(s, line)
    elif offered(s, b"SIZE"):
        session_reply(s, b"250-SIZE")
    session_reply(s, b"250-PIPELINING")
    session_reply(s, b"250 8BITMIME")


cdef void do_starttls(session_t *s, slice_t args) noexcept nogil:
    cdef SSL_CTX *ctx = NULL
    cdef int64_t policy = opt_number(s.values, OPT_STARTTLS_INJECTION_POLICY)
    if args.len:
        session_bad(s, 501, b"5.5.4 Syntax error (no parameters allowed)")
        return
    if s.stream.ssl == NULL and offered(s, b"STARTTLS"):
        ctx = tls_server_context(s.values)
    if ctx == NULL:
        session_bad(s, 502 if s.stream.ssl == NULL else 503, b"5.5.1 STARTTLS not available")
        return
    # What was pipelined behind the command came in clear: it must not count as said under TLS (RFC 3207 4.2).
    if s.more_input and policy == STARTTLS_INJECTION_POLICY_REJECT:
        s.state = AT_SETUP
        session_reject(s, 503, b"5.5.1 commands behind STARTTLS dropped")
        session_end(s)
        return
    session_reset(s)
    session_reply(s, b"220 2.0.0 continue")
    s.stream.on_secure = on_secure
    s.parked = True
    s.after = after_secure
    s.drop_input = policy != STARTTLS_INJECTION_POLICY_ALLOW
    stream_secure(&s.stream, ctx, True, NULL)


cdef void open_tls(session_t *s) noexcept nogil:
    """TLS from the first byte on, which may have come behind a PROXY header."""
    cdef SSL_CTX *ctx = tls_server_context(s.values)
    cdef buf_t early = s.input
    memset(&s.input, 0, sizeof(s.input))
    s.state = AT_SETUP
    if ctx == NULL:
        session_log_rejection(s, 421, slice_of(b"4.7.0 use_ssl without a certificate"))
        session_abort(s)
    else:
        s.stream.on_secure = on_secure
        s.parked = True
        s.after = meet
        if stream_secure(&s.stream, ctx, True, NULL) != EC_OK:
            session_abort(s)
        elif early.len:
            stream_feed(&s.stream, early.ptr, early.len)
    buf_free(&early)


cdef void on_secure(stream_t *st, int status) noexcept nogil:
    cdef session_t *s = <session_t*>st
    if status != EC_OK:
        s.state = AT_SETUP
        if log_says(LEVEL_WARNING, OF_SSL):
            log_at(s.loop, LEVEL_WARNING, b"SSL", b"%s: the handshake failed", s.peer_text)
        session_log_rejection(s, 421, slice_of(b"4.7.0 TLS Negotiation failed."))
        session_abort(s)
        return
    if log_says(LEVEL_INFO, OF_SSL):
        log_at(s.loop, LEVEL_INFO, b"SSL", b"%s: %s, %s", s.peer_text, SSL_get_version(s.stream.ssl),
               SSL_CIPHER_get_name(SSL_get_current_cipher(s.stream.ssl)))
    if tls_verified(s.stream.ssl) and opt_number(s.values, OPT_TLS_VERIFIED_PEER_CAN_RELAY) == 1:
        s.can_relay = True
        context_set(&s.context, slice_of(b"can_relay"), slice_of(b"true"))
    s.parked = False
    s.after(s)
    if not s.stream.closing:
        session_resume(s)


cdef void after_secure(session_t *s) noexcept nogil:
    s.helo = slice_make(NULL, 0)        # RFC 3207 4.2: as if just connected
    s.esmtp = False
    s.state = AT_AWAIT_EHLO
    s.drop_input = False


# ---- MAIL --------------------------------------------------------------------------

cdef int path_flags(session_t *s) noexcept nogil:
    cdef int f = 0
    if opt_number(s.values, OPT_RFC2821_PEDANTIC_ADDRESS_RULES) == 1:
        f |= PATH_PEDANTIC
    if blanks_allowed(s):
        f |= PATH_ALLOW_SPACE
    if opt_number(s.values, OPT_ALLOW_IP_LITERAL) == 1:
        f |= PATH_ALLOW_LITERAL
    return f


cdef bint stale(session_t *s) noexcept nogil:
    """The configuration changed: the session ends here, its next one finds the new."""
    if s.generation.number == config_number() and s.loop.state != LOOP_DRAINING:
        return False
    session_outdated(s)
    return True


cdef const char *no_room() noexcept nogil:
    """Why mail cannot be taken now; NULL: it can."""
    cdef int rc = spool_ready(spool_main())
    if rc == EC_IO:
        return b"4.3.1 spool does not take mail now"
    if rc == EC_LIMIT:
        return b"4.3.1 too much mail waits for the disk"
    if memory_full():
        return b"4.3.0 Resource limitations, please try later"
    return NULL


cdef slice_t completed(arena_t *a, slice_t local, const slice_t *domain) noexcept nogil:
    cdef char *p = <char*>arena_alloc(a, local.len + 1 + domain.len)
    if p == NULL:
        return slice_make(NULL, 0)
    memcpy(p, local.ptr, local.len)
    p[local.len] = c'@'
    memcpy(p + local.len + 1, domain.ptr, domain.len)
    return slice_make(p, local.len + 1 + domain.len)


cdef void do_mail(session_t *s, slice_t args) noexcept nogil:
    cdef smtp_path_t path
    cdef const char *why
    cdef const slice_t *unqualified = opt_text(s.values, OPT_DOMAIN_FOR_UNQUALIFIED_SENDER_ADDRESS)
    cdef int64_t most = opt_number(s.values, OPT_MAX_RECEPTIONS_PER_CONNECTION)
    cdef int64_t size = opt_number(s.values, OPT_MAX_MESSAGE_SIZE)
    cdef int flags = path_flags(s), rc
    s.state = AT_AWAIT_MAILFROM
    if s.has_mail:
        session_bad(s, 501, b"5.5.1 MAIL FROM already established")
        return
    if stale(s):
        return
    if most > 0 and s.receptions >= most:
        session_reject(s, 452, b"4.5.3 Service unavailable, batch limit reached")
        return
    why = no_room()
    if why == NULL and not log_room(s.loop, LOG_MAIN, LOG_RESERVE) \
            and opt_number(s.generation.globals, OPT_LOG_FULL) == LOG_FULL_TEMPFAIL:
        why = b"4.3.1 the log does not keep up"
    if why != NULL:
        session_reject(s, 452, why)
        return
    if unqualified != NULL and unqualified.len:
        flags |= PATH_ALLOW_UNQUALIFIED
    rc = smtp_mail_parse(args, flags, &path, &s.params)
    if rc == EC_REFUSED and s.params.bad.len:
        session_bad(s, 555, b"5.5.4 unsupported MAIL FROM parameter")
        return
    if rc == EC_REFUSED and path.eightbit:
        session_reject(s, 553, b"5.6.7 non-ASCII addresses are not taken here")      # RFC 6531 3.5
        return
    if rc != EC_OK:
        session_bad(s, 501, b"5.5.2 MAIL FROM syntax error")
        return
    if path.null_path and opt_number(s.values, OPT_ALLOW_NULL_ENVELOPE_SENDER) == 0:
        session_reject(s, 550, b"5.7.1 null sender not accepted")
        return
    if size > 0 and s.params.has_size and s.params.size > <uint64_t>size:
        session_reject(s, 552, b"5.3.4 message size limit exceeded")
        return
    if path.null_path:
        s.mailfrom = slice_make(b"", 0)
    elif path.domain.len == 0:
        s.mailfrom = completed(&s.tx, path.local, unqualified)
    else:
        s.mailfrom = arena_copy(&s.tx, path.whole)
    s.mailfrom_said = slice_make(s.mailfrom.ptr, path.local.len if path.domain.len == 0 else s.mailfrom.len)
    s.params.envid = arena_copy(&s.tx, s.params.envid)
    if s.mailfrom.ptr == NULL or s.params.envid.ptr == NULL:    # else it would count as the null sender
        session_reject(s, 452, b"4.3.1 out of memory")
        return
    s.has_mail = True
    s.state = AT_MAILFROM_REPLY
    take_turn(s)


cdef void take_turn(session_t *s) noexcept nogil:
    """inbound_throttle_messages delays, it does not refuse.  Whoever waits hears of a reload as who says MAIL does."""
    cdef throttle_t *t = opt_throttle(s.values, OPT_INBOUND_THROTTLE_MESSAGES)
    cdef uint64_t wait = 0
    if stale(s):
        return
    if t != NULL and t.interval_ns:
        wait = throttle_ask(&t.arrival_ns, t.interval_ns, clock_mono_ns())
    if wait:
        session_sleep(s, min(wait // 1000000 + 1, <uint64_t>TURN_MS), take_turn)
    else:
        session_phase(s, HOOK_VALIDATE_MAILFROM, after_mail)


cdef void after_mail(session_t *s) noexcept nogil:
    if policy_said(s):
        if not s.ending:
            session_reset(s)
            s.state = AT_AWAIT_MAILFROM
        return
    s.discarded = session_discards(s)
    session_reply(s, b"250 2.0.0 MAIL FROM accepted")
    s.state = AT_AWAIT_RCPTTO


# ---- RCPT --------------------------------------------------------------------------

cdef bint may_relay(session_t *s, slice_t domain) noexcept nogil:
    cdef const cidr_set_t *hosts = opt_nets(s.values, OPT_RELAY_HOSTS)
    cdef const opt_list_t *senders = opt_list(s.values, OPT_RELAY_FOR_SENDING_DOMAINS)
    if s.can_relay or opt_number(s.values, OPT_OPEN_RELAY) == 1:
        return True
    if hosts != NULL and cidr_find(hosts, <sockaddr*>&s.peer) != NULL:
        s.can_relay = True
        context_set(&s.context, slice_of(b"can_relay"), slice_of(b"true"))
        return True
    if senders != NULL and senders.n == 0:      # "( )" is said: an open relay, for the null sender, too
        return True
    if s.mailfrom.len and globs_hold(senders, address_domain(s.mailfrom)):
        return True
    return globs_hold(opt_list(s.values, OPT_RELAY_DOMAINS), domain) or globs_hold(opt_list(s.values, OPT_BOUNCE_DOMAINS), domain)


cdef bint blackholed(session_t *s, slice_t domain) noexcept nogil:
    """Whether mail to it is refused at once; `internal` takes it and fails it in the queue.  Its binding is not known yet."""
    cdef char room[256]
    cdef values_t values
    cdef int64_t how = opt_number(config_delivery(s.generation, 0, lower(domain, room), &values), OPT_BLACKHOLE)
    return how == BLACKHOLE_TRUE or how == BLACKHOLE_INLINE


cdef void do_rcpt(session_t *s, slice_t args) noexcept nogil:
    cdef smtp_path_t path
    cdef smtp_rcpt_params_t params
    cdef rcpt_t *r
    cdef const slice_t *unqualified = opt_text(s.values, OPT_DOMAIN_FOR_UNQUALIFIED_RECIPIENT_ADDRESSES)
    cdef int64_t per_message = opt_number(s.values, OPT_MAX_RECIPIENTS_PER_MESSAGE)
    cdef int64_t per_connection = opt_number(s.values, OPT_MAX_RECIPIENTS_PER_CONNECTION)
    cdef int flags = path_flags(s), rc
    if not s.has_mail:
        session_bad(s, 503, b"5.5.1 RCPT TO without MAIL FROM")
        return
    s.state = AT_AWAIT_RCPTTO
    if per_message > 0 and s.rcpt_count >= per_message:
        session_reject(s, 452, b"4.5.3 Service unavailable, recipients per message limit reached")
        return
    if per_connection > 0 and s.rcpts_in_all >= per_connection:
        session_reject(s, 452, b"4.5.3 Service unavailable, recipients per connection limit reached")
        return
    if unqualified != NULL and unqualified.len:
        flags |= PATH_ALLOW_UNQUALIFIED
    rc = smtp_rcpt_parse(args, flags, &path, &params)
    if rc == EC_REFUSED and params.bad.len:
        session_bad(s, 555, b"5.5.4 unsupported RCPT TO parameter")
        return
    if rc == EC_REFUSED and path.eightbit:
        session_reject(s, 553, b"5.6.7 non-ASCII addresses are not taken here")
        return
    if rc != EC_OK:
        session_bad(s, 501, b"5.5.2 RCPT TO syntax error")
        return
    r = <rcpt_t*>arena_calloc(&s.tx, sizeof(rcpt_t))
    if r == NULL:
        session_reject(s, 452, b"4.3.1 out of memory")
        return
    if path.domain.len == 0:
        if unqualified != NULL and unqualified.len:
            r.address = completed(&s.tx, path.local, unqualified)
        else:
            r.address = completed(&s.tx, path.local, host_of(s))        # Postmaster, RFC 5321 4.5.1
    else:
        r.address = arena_copy(&s.tx, path.whole)
    r.said = slice_make(r.address.ptr, path.local.len if path.domain.len == 0 else r.address.len)
    if params.orcpt.len:
        r.orcpt = arena_copy(&s.tx, params.orcpt)
    if r.address.ptr == NULL or (params.orcpt.len and r.orcpt.ptr == NULL):
        session_reject(s, 452, b"4.3.1 out of memory")
        return
    s.candidate = r
    if not may_relay(s, address_domain(r.address)):
        s.state = AT_RELAYING_DENIED
        session_reject(s, 550, b"5.7.1 relaying denied")
        s.state = AT_AWAIT_RCPTTO
        return
    if blackholed(s, address_domain(r.address)):
        session_reject(s, 551, b"5.7.1 recipient blackholed")
        return
    r.notify = params.notify
    s.last_rcpt[0] = r
    s.state = AT_RCPTTO_REPLY
    session_phase(s, HOOK_VALIDATE_RCPTTO, after_rcpt)


cdef const slice_t *host_of(session_t *s) noexcept nogil:
    s.own_name = session_hostname(s)
    return &s.own_name


cdef void after_rcpt(session_t *s) noexcept nogil:
    s.state = AT_AWAIT_RCPTTO
    if policy_said(s):
        s.last_rcpt[0] = NULL           # the candidate is out again
        return
    s.candidate.discarded = session_discards(s)
    s.last_rcpt = &s.candidate.next
    s.rcpt_count += 1
    s.rcpts_in_all += 1
    session_reply(s, b"250 2.0.0 RCPT TO accepted")


# ---- DATA, RSET, QUIT --------------------------------------------------------------

cdef void do_data(session_t *s, slice_t args) noexcept nogil:
    if args.len:
        session_bad(s, 501, b"5.5.4 unexpected argument to DATA")
    elif not s.has_mail:
        session_bad(s, 503, b"5.5.1 DATA without MAIL FROM")
    elif s.rcpt_count == 0:
        session_bad(s, 503, b"5.5.1 DATA without RCPT TO")
    else:
        s.state = AT_DATA_PHASE
        session_phase(s, HOOK_VALIDATE_RCPTTO_LIST, after_list)


cdef void after_list(session_t *s) noexcept nogil:
    if policy_said(s):
        return
    s.discarded |= session_discards(s)
    session_phase(s, HOOK_VALIDATE_RCPTTO_LIST_FINAL, after_list_final)


cdef void after_list_final(session_t *s) noexcept nogil:
    if not policy_said(s):
        s.discarded |= session_discards(s)
        transaction_data(s)


cdef void do_rset(session_t *s, slice_t args) noexcept nogil:
    if args.len:
        session_bad(s, 501, b"5.5.4 invalid arguments to RSET")
        return
    if stale(s):
        return
    session_reset(s)
    s.state = AT_AWAIT_MAILFROM
    session_reply(s, b"250 2.0.0 OK")


cdef void do_quit(session_t *s, slice_t args) noexcept nogil:
    cdef char line[400]
    cdef slice_t host = session_hostname(s)
    if args.len:
        session_bad(s, 501, b"5.5.4 Syntax error (no parameters allowed)")
        return
    snprintf(line, sizeof(line), b"221 2.3.0 %.*s closing connection", <int>host.len, host.ptr)
    session_reply(s, line)
    session_end(s)
