"""One SMTP connection: input, replies, parking, the end.

All on the loop that owns it.  Input is consumed from the loop's read buffer
where it is whole; a part of a line, and what comes while a phase is parked,
waits in `input`, bounded: above INPUT_MAX the session stops reading.
"""
from libc.stdint cimport int64_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free
from libc.string cimport memchr, memset, strlen, strncpy
from libc.time cimport time_t

from pymomentum.core.base.atomic cimport atomic_cas32, atomic_store32
from pymomentum.core.base.arena cimport arena_free, arena_reset
from pymomentum.core.base.buf cimport buf_add, buf_consume, buf_free, buf_t
from pymomentum.core.base.cidr cimport sockaddr
from pymomentum.core.base.list cimport list_append, list_empty, list_init, list_node_t, list_remove
from pymomentum.core.base.slice cimport slice_ieq, slice_make, slice_of, slice_t
from pymomentum.core.base.status cimport EC_AGAIN, EC_OK
from pymomentum.core.base.timewheel cimport timer_entry_t, timer_init
from pymomentum.core.loop.limit cimport limit_give, limit_take
from pymomentum.core.c.posix cimport posix_close, posix_write
from pymomentum.core.c.uv cimport uv_tcp_getpeername, uv_tcp_getsockname
from pymomentum.core.config.generation cimport (config_current, config_generation_t, config_listen_t, config_number,
                                                config_pathway, config_pathway_t, config_reception, config_unref)
from pymomentum.core.config.values cimport (OPT_ALWAYS_ALLOW, OPT_ALWAYS_DENY, OPT_BANNER_HOSTNAME, OPT_COMMAND_TIMEOUT,
                                            OPT_CONTEXT, OPT_GENERATION_MAX_AGE, OPT_HOSTNAME, OPT_IDLE_TIME,
                                            OPT_MAX_BAD_COMMANDS, OPT_MAX_COMMAND_LENGTH,
                                            OPT_PROXY_PROTOCOL, OPT_RECEIVED_HOSTNAME, OPT_RECONFIG_MESSAGE,
                                            OPT_SMTP_EXTENSIONS, opt_list, opt_list_t, opt_number, opt_text)
from pymomentum.core.log.level cimport LEVEL_DEBUG, LEVEL_INFO, LEVEL_NOTICE, LEVEL_WARNING, OF_NET, OF_SMTP, log_says
from pymomentum.core.log.record cimport log_rejection, rejection_t
from pymomentum.core.log.writer cimport log_at
from pymomentum.core.loop.loop cimport (COUNT_INBOUND, COUNT_REJECTED, LOOP_DRAINING, LOOP_RUNNING, PLACE_SERVER, loop_at, loop_call,
                                        loop_count, loop_t, loop_timer_clear, loop_timer_set)
from pymomentum.core.loop.post cimport post_t
from pymomentum.core.message.context cimport context_bytes, context_get, context_next, context_set, context_unref
from pymomentum.core.message.id cimport message_id_new
from pymomentum.core.message.message cimport blob_unref, message_free
from pymomentum.core.mime.overlay cimport overlay_t, overlay_unref
from pymomentum.core.net.address cimport address_parse, address_port_text, address_text
from pymomentum.core.net.budget cimport budget_sockets
from pymomentum.core.net.listener cimport listener_accepted, listener_conf, listener_start, listener_t
from pymomentum.core.net.stream cimport (stream_close, stream_finish, stream_flush, stream_init, stream_open, stream_pending,
                                         stream_read_start, stream_read_stop, stream_t, stream_write)
from pymomentum.core.smtp.server.seats cimport seats_give, seats_renew, seats_take
from pymomentum.core.spool.large cimport large_abandon
from pymomentum.core.policy.phases cimport (HOOK_CORE_SERVER_ESMTP_SESSION_ABORT, phase_abandon, phase_begin, phase_run, phase_t,
                                            phase_tell)

cdef extern from *:
    """
    #include <sys/socket.h>
    #include <time.h>
    static void session_date(time_t t, char *out, size_t n) {
        struct tm tm; gmtime_r(&t, &tm); strftime(out, n, "%a, %d %b %Y %H:%M:%S +0000", &tm); }
    """
    void session_date(time_t, char*, size_t) noexcept nogil
    int AF_UNIX

cdef enum:
    INPUT_MAX = 131072          # kept while parked; then the client waits
    OUTPUT_MAX = 65536          # replies a client may leave unread
    DRAIN_MS = 30000            # a closing session's last words
    RECOUNT = 200               # sessions in one turn
    SWEEP_MS = 1000             # between two looks for sessions of an outdated configuration

cdef struct server_loop_t:      # a loop's PLACE_SERVER
    loop_t *loop
    list_node_t sessions
    uint64_t date_second
    char date[64]
    post_t drain
    uint32_t draining           # atomic: it was sent
    post_t recount
    uint32_t recounting         # atomic, likewise
    timer_entry_t sweep         # set while there are sessions

cdef void (*on_line)(session_t*, slice_t) noexcept nogil
cdef size_t (*on_data)(session_t*, const char*, size_t) noexcept nogil
cdef session_fn on_opened
cdef session_fn on_proxied
cdef void (*on_proxy_bytes)(session_t*, const char*, size_t) noexcept nogil
cdef char host_name[256]
cdef char version[128]
cdef const char *STATE_NAMES[22]
STATE_NAMES[:] = [
    b"just connected", b"sending banner", b"awaiting ehlo/helo", b"sending ehlo/helo response", b"awaiting mailfrom",
    b"sending mailfrom response", b"awaiting rcptto", b"sending rcptto response", b"data phase", b"reading body",
    b"sending body response", b"async body handler", b"async body response", b"relaying denied", b"extension 1",
    b"extension 2", b"extension 3", b"extension 4", b"concurrency limit", b"rcptto list response",
    b"rcptto list final response", b"esmtp setup phase"]


cdef void session_set_handlers(void (*line)(session_t*, slice_t) noexcept nogil,
                               size_t (*data)(session_t*, const char*, size_t) noexcept nogil,
                               session_fn opened) noexcept nogil:
    global on_line, on_data, on_opened
    on_line = line
    on_data = data
    on_opened = opened
    listener_start(session_accept)


cdef void session_set_proxy(session_fn proxied, void (*bytes_)(session_t*, const char*, size_t) noexcept nogil) noexcept nogil:
    global on_proxied, on_proxy_bytes
    on_proxied = proxied
    on_proxy_bytes = bytes_


def identity(str hostname not None, str version_ not None):
    """Names for banners, replies and Received fields; once, before loops run."""
    cdef bytes h = hostname.encode(), v = version_.encode()
    strncpy(host_name, h, sizeof(host_name) - 1)
    strncpy(version, v, sizeof(version) - 1)


cdef const char *server_version() noexcept nogil:
    return version


cdef overlay_t **session_overlay(session_t *s) noexcept nogil:
    return &s.at.overlay if s.each else &s.overlay


cdef slice_t named(session_t *s, int option) noexcept nogil:
    """What the option says, else the server's name."""
    cdef const slice_t *name = opt_text(s.values, option)
    if name == NULL or name.len == 0:
        name = opt_text(s.generation.globals, OPT_HOSTNAME)
    return name[0] if name != NULL and name.len else slice_of(host_name)


cdef slice_t session_hostname(session_t *s) noexcept nogil:
    return named(s, OPT_BANNER_HOSTNAME)


cdef slice_t session_received_hostname(session_t *s) noexcept nogil:
    return named(s, OPT_RECEIVED_HOSTNAME)


cdef const slice_t *session_extension(session_t *s, const char *name) noexcept nogil:
    cdef const opt_list_t *list = opt_list(s.values, OPT_SMTP_EXTENSIONS)
    cdef size_t i, n = strlen(name)
    cdef slice_t item
    if list == NULL:
        return NULL
    for i in range(list.n):
        item = list.items[i]
        if item.len >= n and slice_ieq(slice_make(item.ptr, n), slice_make(name, n)) and (item.len == n or item.ptr[n] == c' '):
            return &list.items[i]
    return NULL


cdef server_loop_t *server_loop(loop_t *loop) noexcept nogil:
    cdef server_loop_t *sl = <server_loop_t*>loop.places[PLACE_SERVER]
    if sl == NULL:
        sl = <server_loop_t*>calloc(1, sizeof(server_loop_t))
        if sl == NULL:
            return NULL
        sl.loop = loop
        list_init(&sl.sessions)
        timer_init(&sl.sweep, on_sweep)
        loop.places[PLACE_SERVER] = sl
    return sl


cdef const char *rfc_date(loop_t *loop) noexcept nogil:
    cdef server_loop_t *sl = server_loop(loop)
    cdef uint64_t second = loop.wall_us // 1000000
    if second != sl.date_second:
        sl.date_second = second
        session_date(<time_t>second, sl.date, sizeof(sl.date))
    return sl.date


# ---- birth and death ---------------------------------------------------------------

cdef void turn_away(int fd, const char *text) noexcept nogil:
    """Best effort: a fresh socket takes a line."""
    posix_write(fd, text, strlen(text))
    posix_close(fd)


cdef void session_taken(session_t *s) noexcept nogil:
    if s.accepting:
        s.accepting = False
        listener_accepted(s.door)


cdef void session_accept(loop_t *loop, int fd, listener_t *door, bint counted) noexcept nogil:
    cdef config_generation_t *g = config_current()
    cdef const config_listen_t *listen = listener_conf(door, g)
    cdef server_loop_t *sl = server_loop(loop)
    cdef session_t *s = NULL
    if listen == NULL or loop.state != LOOP_RUNNING:
        turn_away(fd, b"421 4.3.2 Service shutting down\r\n")
    else:
        s = <session_t*>calloc(1, sizeof(session_t))
        if s == NULL or sl == NULL or stream_init(&s.stream, loop) != EC_OK:
            turn_away(fd, b"421 4.3.2 out of memory\r\n")
            free(s)
            s = NULL
    if s == NULL:
        config_unref(g)
        if counted:
            listener_accepted(door)
        return
    s.accepting = counted
    s.stream.on_read = on_read
    s.stream.on_drain = on_drain
    s.stream.on_closed = on_closed
    s.loop = loop
    s.generation = g
    s.listen = listen
    s.door = door
    timer_init(&s.timer, on_timeout)
    list_init(&s.node)
    if list_empty(&sl.sessions):
        loop_timer_set(loop, &sl.sweep, SWEEP_MS)
    list_append(&sl.sessions, &s.node)
    limit_take(budget_sockets(), -1)
    loop.counters[COUNT_INBOUND] += 1
    s.phase.loop = loop
    s.phase.owner = s
    s.phase.resume = on_phase_resumed
    s.last_rcpt = &s.rcpts
    s.conn = message_id_new()
    if stream_open(&s.stream, fd) != EC_OK:
        posix_close(fd)
        stream_close(&s.stream)
        return
    open_session(s)


cdef bint configured_context(session_t *s) noexcept nogil:
    """What the scopes that apply say of this client.  All of it or, without memory, no session."""
    cdef const opt_list_t *pairs = opt_list(s.values, OPT_CONTEXT)
    cdef size_t i = 0
    context_unref(s.context)
    s.context = NULL
    while pairs != NULL and i + 1 < pairs.n:
        if context_set(&s.context, pairs.items[i], pairs.items[i + 1]) != EC_OK:
            return False
        i += 2
    s.can_relay = slice_ieq(context_get(s.context, slice_of(b"can_relay")), slice_of(b"true"))
    if opt_number(s.values, OPT_ALWAYS_DENY) != 1 \
            and (opt_number(s.values, OPT_ALWAYS_ALLOW) == 1 or session_extension(s, b"ALWAYS-ALLOW") != NULL):
        s.can_relay = True              # as whoever authenticates may
        return context_set(&s.context, slice_of(b"can_relay"), slice_of(b"true")) == EC_OK \
            and context_set(&s.context, slice_of(b"auth_user"), slice_of(b"anonymous")) == EC_OK
    return True


cdef bint session_meet(session_t *s) noexcept nogil:
    address_text(<sockaddr*>&s.peer, s.peer_ip)
    address_port_text(<sockaddr*>&s.peer, s.peer_text)
    address_port_text(<sockaddr*>&s.local, s.local_text)
    s.values = config_reception(s.generation, s.listen, <sockaddr*>&s.peer)
    return configured_context(s)


cdef bint session_count_in(session_t *s) noexcept nogil:
    s.seated = s.generation.number
    return seats_take(&s.seats, s.values)


cdef void session_count_out(session_t *s) noexcept nogil:
    seats_give(&s.seats)


cdef void open_session(session_t *s) noexcept nogil:
    cdef int n = sizeof(s.peer)
    uv_tcp_getpeername(&s.stream.tcp, <sockaddr*>&s.peer, &n)
    n = sizeof(s.local)
    uv_tcp_getsockname(&s.stream.tcp, <sockaddr*>&s.local, &n)
    if s.peer.ss_family == AF_UNIX:       # who comes by the file system is on this machine
        address_parse(slice_of(b"127.0.0.1"), 0, &s.peer)
        address_parse(slice_of(b"127.0.0.1"), 0, &s.local)
    if not session_meet(s):
        session_reject(s, 421, b"4.3.0 out of memory")
        session_end(s)
        return
    session_wait(s, opt_number(s.values, OPT_COMMAND_TIMEOUT))
    limit_take(&s.door.sessions, -1)
    s.counted = True
    if not session_count_in(s):
        session_too_many(s)
        return
    if opt_number(s.values, OPT_PROXY_PROTOCOL) == 1:
        on_proxied(s)
        return
    stream_read_start(&s.stream)
    session_begin(s)


cdef void session_begin(session_t *s) noexcept nogil:
    on_opened(s)
    session_resume(s)


cdef void session_too_many(session_t *s) noexcept nogil:
    s.state = AT_CONCURRENCY
    session_reject(s, 421, b"4.4.5 Service unavailable, concurrency limit reached.")
    session_end(s)


cdef void session_unproxied(session_t *s, const char *why) noexcept nogil:
    """No word to the client: it does not wait for SMTP yet."""
    s.loop.counters[COUNT_REJECTED] += 1
    if log_says(LEVEL_WARNING, OF_NET):
        log_at(s.loop, LEVEL_WARNING, b"NET", b"%s on %s: %s", s.peer_text, s.local_text, why)
    session_log_rejection(s, 550, slice_of(why))
    session_abort(s)


cdef void on_closed(stream_t *st, int status) noexcept nogil:
    cdef session_t *s = <session_t*>st
    if not s.ending:                    # a reply could not be written
        s.ending = True
        lost(s)
    if not s.committing:
        session_free(s)
    else:
        s.gone = True               # the commit's answer frees it


cdef void lost(session_t *s) noexcept nogil:
    """The client is gone in the middle."""
    phase_abandon(&s.phase)
    phase_tell(&s.phase, HOOK_CORE_SERVER_ESMTP_SESSION_ABORT)


cdef void session_free(session_t *s) noexcept nogil:
    if log_says(LEVEL_INFO, OF_SMTP):
        log_at(s.loop, LEVEL_INFO, b"SMTP", b"%s is gone after %u messages", s.peer_text, s.receptions)
    session_taken(s)
    session_reset(s)
    list_remove(&s.node)
    limit_give(budget_sockets())
    s.loop.counters[COUNT_INBOUND] -= 1
    if s.counted:
        limit_give(&s.door.sessions)
    session_count_out(s)
    loop_timer_clear(s.loop, &s.timer)
    buf_free(&s.input)
    context_unref(s.context)
    arena_free(&s.arena)
    arena_free(&s.tx)
    config_unref(s.generation)
    free(s)


cdef void session_abort(session_t *s) noexcept nogil:
    s.ending = True
    phase_abandon(&s.phase)
    loop_timer_clear(s.loop, &s.timer)
    stream_close(&s.stream)


cdef void session_end(session_t *s) noexcept nogil:
    s.ending = True
    phase_abandon(&s.phase)
    loop_timer_set(s.loop, &s.timer, DRAIN_MS)
    stream_finish(&s.stream)


cdef void session_reset(session_t *s) noexcept nogil:
    cdef rcpt_t *r = s.rcpts
    while r != NULL:
        if r.message != NULL:
            message_free(r.message)
        overlay_unref(r.overlay)
        r = r.next
    overlay_unref(s.overlay)
    s.overlay = NULL
    s.each = False
    context_unref(s.mess_context)
    s.mess_context = NULL
    blob_unref(s.blob)
    s.blob = NULL
    if s.large != NULL:
        large_abandon(s.large)
        s.large = NULL
    s.has_mail = False
    s.discarded = False
    s.in_data = False
    s.rcpts = NULL
    s.candidate = NULL
    s.last_rcpt = &s.rcpts
    s.rcpt_count = 0
    s.metas = NULL
    s.data_error = 0
    arena_reset(&s.tx)


# ---- time --------------------------------------------------------------------------

cdef void session_wait(session_t *s, uint64_t seconds) noexcept nogil:
    """RFC 5321 4.5.3.2.7: at least five minutes between commands; idle_time, where it is set, is what counts."""
    cdef int64_t idle = opt_number(s.values, OPT_IDLE_TIME)
    if idle > 0:
        seconds = idle
    loop_timer_set(s.loop, &s.timer, seconds * 1000)


cdef void session_sleep(session_t *s, uint64_t ms, session_fn after) noexcept nogil:
    s.after = after
    s.sleeping = True
    s.parked = True
    loop_timer_set(s.loop, &s.timer, ms)


cdef void on_timeout(timer_entry_t *t) noexcept nogil:
    cdef session_t *s = NULL
    s = <session_t*>(<char*>t - (<char*>&s.timer - <char*>s))
    if s.ending:
        stream_close(&s.stream)
    elif s.proxied:
        session_unproxied(s, b"4.4.2 no PROXY header in time")
    elif s.stream.handshaking:
        session_abort(s)                # there is no way to say it
    elif s.sleeping:
        s.sleeping = False
        s.parked = False
        session_wait(s, opt_number(s.values, OPT_COMMAND_TIMEOUT))
        s.after(s)
        if not s.stream.closing:
            session_resume(s)
    elif s.parked and s.after != on_unread:
        session_wait(s, opt_number(s.values, OPT_COMMAND_TIMEOUT))      # ours to end, not the client's
    elif s.parked:
        session_abort(s)                # it reads nothing of what we say
    else:
        session_reply(s, b"421 4.4.2 timeout")
        session_end(s)


# ---- input -------------------------------------------------------------------------

cdef void on_read(stream_t *st, const char *p, size_t n) noexcept nogil:
    cdef session_t *s = <session_t*>st
    cdef size_t used
    if s.proxied:
        on_proxy_bytes(s, p, n)
        return
    if n == 0:
        if s.committing or (not st.reset and s.parked and s.state == AT_BODY_ASYNC):
            s.half = True               # it may have closed its side only: replies to what it sent still go out
        else:
            s.gone = True
            if not s.ending:
                lost(s)
            session_abort(s)
        return
    if s.ending:
        return
    if s.parked or s.feeding or s.input.len:
        keep_input(s, p, n)
        if s.input.len > INPUT_MAX and s.parked:
            stream_read_stop(st)
        if not s.parked and not s.feeding:
            session_resume(s)
        return
    s.feeding = True
    used = consume(s, p, n)
    s.feeding = False
    if s.stream.closing:
        return
    if used < n and not s.ending and not s.drop_input:
        keep_input(s, p + used, n - used)
    stream_flush(st)


cdef void keep_input(session_t *s, const char *p, size_t n) noexcept nogil:
    if buf_add(&s.input, p, n) != EC_OK:
        session_abort(s)                # with a hole in it the rest would mean something else


cdef size_t consume(session_t *s, const char *p, size_t n) noexcept nogil:
    """Whole lines, or body; answers what was used.  Stops when the session parks or ends."""
    cdef size_t at = 0, len_
    cdef const char *nl
    cdef size_t most = opt_number(s.values, OPT_MAX_COMMAND_LENGTH)
    while at < n and not s.parked and not s.ending:
        if s.in_data:
            at += on_data(s, p + at, n - at)
            continue
        nl = <const char*>memchr(p + at, c'\n', n - at)
        if nl == NULL:
            if s.skipping:
                return n
            if n - at >= most:
                too_long(s)
                s.skipping = True
                return n
            break
        len_ = nl - (p + at)
        if s.skipping:
            s.skipping = False
        elif len_ >= most:
            too_long(s)
        else:
            s.more_input = at + len_ + 1 < n
            on_line(s, slice_make(p + at, len_ - 1 if len_ and (nl - 1)[0] == c'\r' else len_))
        at += len_ + 1
        if stream_pending(&s.stream) > OUTPUT_MAX:      # reads nothing of what we say
            stream_flush(&s.stream)
            if stream_pending(&s.stream) > OUTPUT_MAX:
                s.parked = True
                s.after = on_unread
                stream_read_stop(&s.stream)
    return at


cdef void on_unread(session_t *s) noexcept nogil:
    pass


cdef void on_drain(stream_t *st, int status) noexcept nogil:
    cdef session_t *s = <session_t*>st
    if s.parked and s.after == on_unread:
        s.parked = False
        s.after = NULL
        session_resume(s)


cdef void too_long(session_t *s) noexcept nogil:
    session_bad(s, 500, b"5.5.2 line too long")


cdef void session_resume(session_t *s) noexcept nogil:
    """A wait is over: consume what came meanwhile, then send what there is to say."""
    cdef size_t used
    if s.feeding or s.stream.closing:
        return
    s.feeding = True
    while s.input.len and not s.parked and not s.ending:
        used = consume(s, s.input.ptr, s.input.len)
        if s.stream.closing:
            return
        buf_consume(&s.input, used)
        if s.drop_input:
            s.input.len = 0
        if used == 0:
            break
    s.feeding = False
    if s.stream.closing:
        return
    if s.input.len == 0 and s.input.cap > 16384:
        buf_free(&s.input)
    if not s.parked and not s.ending and not s.half:
        stream_read_start(&s.stream)
    stream_flush(&s.stream)
    if not s.half or s.ending or s.committing:
        return
    if not s.parked:
        session_end(s)                  # that was all it sent
    elif s.state != AT_BODY_ASYNC:
        s.gone = True                   # it sent no body that could still be accepted
        lost(s)
        session_abort(s)


# ---- phases ------------------------------------------------------------------------

cdef void on_phase_resumed(phase_t *ph) noexcept nogil:
    cdef session_t *s = <session_t*>ph.owner
    if s.stream.closing or s.ending:
        return
    if phase_run(ph) == EC_AGAIN:
        return
    s.parked = False
    s.after(s)
    if not s.stream.closing:
        session_resume(s)


cdef void session_phase(session_t *s, int hook, session_fn after) noexcept nogil:
    s.after = after
    phase_begin(&s.phase, hook)
    if phase_run(&s.phase) == EC_AGAIN:
        s.parked = True
        return
    after(s)


# ---- output ------------------------------------------------------------------------

cdef void session_reply(session_t *s, const char *text) noexcept nogil:
    if log_says(LEVEL_DEBUG, OF_SMTP):
        log_at(s.loop, LEVEL_DEBUG, b"SMTP", b"%s > %s", s.peer_text, text)
    stream_write(&s.stream, text, strlen(text))
    stream_write(&s.stream, b"\r\n", 2)
    if s.stream.failed:
        session_abort(s)                # the client would take the next reply for this one


cdef void pairs(slice_t bytes, buf_t *out) noexcept nogil:
    cdef size_t cursor = 0
    cdef slice_t key, value
    while context_next(bytes, &cursor, &key, &value):
        if out.len:
            buf_add(out, b",", 1)
        buf_add(out, key.ptr, key.len)
        buf_add(out, b"=", 1)
        buf_add(out, value.ptr, value.len)


cdef void context(session_t *s, slice_t pathway, buf_t *conn, buf_t *mess) noexcept nogil:
    """The two dictionaries as the rejectlog shows them."""
    cdef rcpt_t *r = s.candidate
    buf_add(conn, b"pathway=", 8)
    buf_add(conn, pathway.ptr, pathway.len)
    if s.helo.len:
        buf_add(conn, b',ehlo_string="', 14)
        buf_add(conn, b"EHLO " if s.esmtp else b"HELO ", 5)
        buf_add(conn, s.helo.ptr, s.helo.len)
        buf_add(conn, b'",ehlo_domain=', 14)
        buf_add(conn, s.helo.ptr, s.helo.len)
    pairs(context_bytes(s.context), conn)
    pairs(context_bytes(s.mess_context), mess)
    if s.has_mail:
        buf_add(mess, b'mailfrom_string="MAIL FROM:<', 28)
        buf_add(mess, s.mailfrom_said.ptr, s.mailfrom_said.len)
        buf_add(mess, b'>"', 2)
    if r != NULL:
        buf_add(mess, b',rcptto_string="RCPT TO:<', 25)
        buf_add(mess, r.said.ptr, r.said.len)
        buf_add(mess, b'>"', 2)


cdef void session_log_rejection(session_t *s, int code, slice_t text) noexcept nogil:
    cdef const config_pathway_t *pathway = config_pathway(s.generation, s.values)
    cdef rejection_t r
    cdef buf_t conn
    cdef buf_t mess
    if log_says(LEVEL_NOTICE, OF_SMTP):
        log_at(s.loop, LEVEL_NOTICE, b"SMTP", b"%s refused in %s: %d %.*s", s.peer_text, STATE_NAMES[s.state], code, <int>text.len, text.ptr)
    memset(&r, 0, sizeof(r))
    memset(&conn, 0, sizeof(conn))
    memset(&mess, 0, sizeof(mess))
    r.pathway = pathway.name if pathway != NULL else slice_of(b"default")
    r.pathway_group = pathway.group if pathway != NULL else slice_of(b"default")
    context(s, r.pathway, &conn, &mess)
    r.remote = slice_of(s.peer_text)
    r.local = slice_of(s.local_text)
    r.conn = s.conn
    r.phase = slice_of(STATE_NAMES[s.state])
    r.code = code
    r.module = s.phase.module if s.phase.code and s.phase.module.len else slice_of(b"esmtp")
    r.conn_context = slice_make(conn.ptr, conn.len)
    r.mess_context = slice_make(mess.ptr, mess.len)
    r.text = text
    log_rejection(s.loop, &r)
    buf_free(&conn)
    buf_free(&mess)


cdef void session_reject(session_t *s, int code, const char *text) noexcept nogil:
    cdef char line[640]
    snprintf(line, sizeof(line), b"%d %s", code, text)
    session_reply(s, line)
    s.loop.counters[COUNT_REJECTED] += 1
    session_log_rejection(s, code, slice_of(line + 4))


cdef bint session_discards(session_t *s) noexcept nogil:
    if not s.phase.discard:
        return False
    s.loop.counters[COUNT_REJECTED] += 1
    session_log_rejection(s, s.phase.code, slice_of(s.phase.text))
    s.phase.code = 0
    return True


cdef void session_bad(session_t *s, int code, const char *text) noexcept nogil:
    """A command that is wrong in form or order; too many of them end the session."""
    cdef int64_t most = opt_number(s.values, OPT_MAX_BAD_COMMANDS)
    s.bad_commands += 1
    session_reject(s, code, text)
    if most > 0 and s.bad_commands > most:
        session_reply(s, b"421 4.7.0 too many errors")
        session_end(s)


# ---- outdated configurations -------------------------------------------------------

cdef void session_outdated(session_t *s) noexcept nogil:
    cdef const slice_t *text = opt_text(s.values, OPT_RECONFIG_MESSAGE)
    cdef char line[600]
    if s.stream.handshaking:            # there is no way to say it
        session_abort(s)
        return
    if text != NULL and text.len:
        snprintf(line, sizeof(line), b"421 %.*s", <int>text.len, text.ptr)
    else:
        snprintf(line, sizeof(line), b"421 4.3.2 Reconfiguration in progress")
    session_reply(s, line)
    session_end(s)


cdef inline session_t *session_at(list_node_t *node) noexcept nogil:
    cdef session_t *s = NULL
    return <session_t*>(<char*>node - (<char*>&s.node - <char*>s))


cdef void on_sweep(timer_entry_t *t) noexcept nogil:
    """Sessions stand in the order they came, so those of older generations stand first."""
    cdef server_loop_t *sl = NULL
    cdef list_node_t *node
    cdef session_t *s
    cdef config_generation_t *g
    cdef int64_t most
    sl = <server_loop_t*>(<char*>t - (<char*>&sl.sweep - <char*>sl))
    if list_empty(&sl.sessions):
        return
    loop_timer_set(sl.loop, &sl.sweep, SWEEP_MS)
    node = sl.sessions.next
    if session_at(node).generation.number == config_number():
        return
    g = config_current()
    most = opt_number(g.globals, OPT_GENERATION_MAX_AGE) * 1000
    while node != &sl.sessions:
        s = session_at(node)
        node = node.next
        if s.generation.number == g.number or <int64_t>(sl.loop.now_ms - s.generation.outdated_ms) < most:
            break
        if not s.ending and not s.committing:       # the reply to what is being written comes first
            session_outdated(s)
    config_unref(g)


cdef void on_recount(post_t *p) noexcept nogil:
    """Sessions count where the current configuration has it, a bounded number per turn."""
    cdef server_loop_t *sl = NULL
    cdef config_generation_t *g = config_current()
    cdef const config_listen_t *listen
    cdef list_node_t *node
    cdef session_t *s
    cdef uint64_t number = g.number
    cdef int left = RECOUNT
    sl = <server_loop_t*>(<char*>p - (<char*>&sl.recount - <char*>sl))
    node = sl.sessions.next
    while node != &sl.sessions and left:
        s = session_at(node)
        node = node.next
        if s.seated == 0 or s.seated >= number:         # 0: not met yet
            continue
        listen = listener_conf(s.door, g)
        if listen != NULL:
            seats_renew(&s.seats, config_reception(g, listen, <sockaddr*>&s.peer))
        s.seated = number
        left -= 1
    config_unref(g)
    if left:
        atomic_store32(&sl.recounting, 0)
        if config_number() == number or not atomic_cas32(&sl.recounting, 0, 1):
            return                      # else a reload came meanwhile, and found this one under way
    loop_call(sl.loop, p, on_recount)


def recount():
    """After a reload: sessions that are open count in limits that it brought."""
    cdef server_loop_t *sl
    cdef int i
    for i in range(loop_count()):
        sl = <server_loop_t*>loop_at(i).places[PLACE_SERVER]
        if sl != NULL and atomic_cas32(&sl.recounting, 0, 1):
            loop_call(loop_at(i), &sl.recount, on_recount)


# ---- the end of the server ---------------------------------------------------------

cdef void on_drain_all(post_t *p) noexcept nogil:
    """Sessions between transactions are told; the others finish what they do."""
    cdef server_loop_t *sl = NULL
    cdef list_node_t *node
    cdef list_node_t *next
    cdef session_t *s
    sl = <server_loop_t*>(<char*>p - (<char*>&sl.drain - <char*>sl))
    atomic_cas32(&sl.loop.state, LOOP_RUNNING, LOOP_DRAINING)
    node = sl.sessions.next
    while node != &sl.sessions:
        next = node.next
        s = session_at(node)
        if not s.has_mail and not s.ending and not s.parked:
            session_reply(s, b"421 4.3.2 Service shutting down")
            session_end(s)
        node = next


cdef void sessions_drain() noexcept nogil:
    cdef server_loop_t *sl
    cdef int i
    for i in range(loop_count()):
        sl = <server_loop_t*>loop_at(i).places[PLACE_SERVER]
        if sl == NULL:
            atomic_cas32(&loop_at(i).state, LOOP_RUNNING, LOOP_DRAINING)     # it never had a session
        elif atomic_cas32(&sl.draining, 0, 1):
            loop_call(loop_at(i), &sl.drain, on_drain_all)


def drain():
    """The server stops: idle sessions are told, no mail is taken or leased any more."""
    sessions_drain()
