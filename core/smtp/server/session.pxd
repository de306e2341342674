# session_t: one inbound SMTP connection, on one loop from accept to close.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from pymomentum.core.base.arena cimport arena_t
from pymomentum.core.base.buf cimport buf_t
from pymomentum.core.base.cidr cimport sockaddr_storage
from pymomentum.core.base.list cimport list_node_t
from pymomentum.core.base.slice cimport slice_t
from pymomentum.core.base.timewheel cimport timer_entry_t
from pymomentum.core.config.generation cimport config_generation_t, config_listen_t
from pymomentum.core.config.values cimport values_t
from pymomentum.core.loop.loop cimport loop_t
from pymomentum.core.message.context cimport context_t
from pymomentum.core.message.id cimport message_id_t
from pymomentum.core.message.message cimport blob_t, ec_message_t
from pymomentum.core.mime.overlay cimport overlay_t
from pymomentum.core.net.address cimport ADDRESS_TEXT
from pymomentum.core.net.listener cimport listener_t
from pymomentum.core.net.stream cimport stream_t
from pymomentum.core.policy.phases cimport phase_t
from pymomentum.core.smtp.dotstuff cimport data_scan_t
from pymomentum.core.smtp.linebreak cimport line_break_t
from pymomentum.core.smtp.path cimport smtp_mail_params_t
from pymomentum.core.smtp.server.seats cimport seats_t
from pymomentum.core.spool.large cimport large_record_t, large_writer_t
from pymomentum.core.spool.spool cimport spool_meta_t, spool_txn_t

cdef enum reception_state_t:    # connection_stages, inbound; logged as P=
    AT_CONNECT = 0
    AT_BANNER = 1
    AT_AWAIT_EHLO = 2
    AT_EHLO_REPLY = 3
    AT_AWAIT_MAILFROM = 4
    AT_MAILFROM_REPLY = 5
    AT_AWAIT_RCPTTO = 6
    AT_RCPTTO_REPLY = 7
    AT_DATA_PHASE = 8
    AT_READING_BODY = 9
    AT_BODY_REPLY = 10
    AT_BODY_ASYNC = 11
    AT_RELAYING_DENIED = 13
    AT_CONCURRENCY = 18
    AT_SETUP = 21

ctypedef void (*session_fn)(session_t *s) noexcept nogil

cdef struct rcpt_t:             # arena of the transaction
    rcpt_t *next
    slice_t address             # local@domain
    slice_t said                # as RCPT TO had it; borrowed from `address`
    slice_t orcpt
    uint32_t notify
    int code                    # policy refused this one; 0: no
    slice_t text                # how
    slice_t module              # and who; borrowed from the provider
    overlay_t *overlay          # edits for this one; counted
    bint discarded              # policy drops it, the client does not hear of it
    bint bounced                # refused behind the body, when others were not: its sender is told by a bounce
    ec_message_t *message

cdef struct session_t:
    stream_t stream             # first
    phase_t phase
    timer_entry_t timer
    list_node_t node            # in the loop's list of sessions
    loop_t *loop
    config_generation_t *generation     # pinned
    listener_t *door            # where it came in
    const config_listen_t *listen
    const values_t *values      # of listener, Listen and Peer
    sockaddr_storage peer
    sockaddr_storage local
    char peer_text[ADDRESS_TEXT]        # address:port
    char local_text[ADDRESS_TEXT]
    char peer_ip[ADDRESS_TEXT]
    message_id_t conn
    int state                   # reception_state_t
    session_fn after            # what goes on when the phase in hand is over
    buf_t input                 # what came while parked, or a line not yet whole
    arena_t arena               # of the connection
    context_t *context          # of the connection
    slice_t helo                # as the client said it; empty: not yet
    bint esmtp                  # EHLO, not HELO
    bint can_relay
    bint counted                # in its listener's sessions
    bint accepting              # in its listener's accept phases
    seats_t seats               # as generation `seated` has it
    uint64_t seated
    const slice_t *xclient      # how SMTP_Extensions names it for who connected; NULL: it does not
    bint proxied                # the PROXY header is awaited
    bint sleeping               # parked until its timer
    bint parked
    bint in_data
    bint skipping               # the rest of a line that was too long
    bint ending                 # nothing more is read
    bint gone                   # the client closed
    bint half                   # it sends no more, but may read
    bint committing             # the spool has the transaction: not to be freed
    bint drop_input             # STARTTLS: what came behind it in clear is void
    bint more_input             # bytes came behind the line in hand
    bint feeding                # input is being consumed: a resume must not consume too
    uint32_t receptions
    uint32_t rcpts_in_all
    uint32_t bad_commands
    # the transaction
    arena_t tx
    context_t *mess_context
    bint has_mail
    bint discarded              # the whole message
    overlay_t *overlay          # edits for all recipients; counted
    bint each                   # the phase in hand is about one recipient: `at`
    slice_t mailfrom
    slice_t mailfrom_said       # as MAIL FROM had it, perhaps without a domain; borrowed from `mailfrom`
    smtp_mail_params_t params   # envid and auth point into tx
    rcpt_t *rcpts
    rcpt_t **last_rcpt
    rcpt_t *candidate           # of the last RCPT, taken or not
    slice_t own_name
    uint32_t rcpt_count
    uint32_t step               # of the phases behind the body
    rcpt_t *at                  # recipient in hand there
    data_scan_t scan
    blob_t *blob                # the body, or the head of a large one
    large_writer_t *large       # NULL: the body is in memory
    large_record_t large_record
    bint breaking               # the lines of a large one, by:
    line_break_t breaks
    int data_error              # DATA_..., first thing wrong while reading
    message_id_t batch
    message_id_t said           # id in the reply
    uint64_t body_seq
    spool_txn_t txn
    spool_meta_t *metas


cdef void session_set_handlers(void (*line)(session_t*, slice_t) noexcept nogil,
                               size_t (*data)(session_t*, const char*, size_t) noexcept nogil,
                               session_fn opened) noexcept nogil
# proxied.pyx: before SMTP begins, and what a client sends until then; n = 0: it is gone.
cdef void session_set_proxy(session_fn proxied, void (*bytes_)(session_t*, const char*, size_t) noexcept nogil) noexcept nogil
# The server stops: idle sessions are told, no mail is taken or leased any more.  From any thread, more than once.
cdef void sessions_drain() noexcept nogil
cdef void session_accept(loop_t *loop, int fd, listener_t *door, bint counted) noexcept nogil      # for the listener
cdef void session_taken(session_t *s) noexcept nogil               # its accept phase is over
cdef void session_reply(session_t *s, const char *text) noexcept nogil             # with its CRLF added
cdef void session_reject(session_t *s, int code, const char *text) noexcept nogil  # reply "code text" and rejectlog
cdef void session_bad(session_t *s, int code, const char *text) noexcept nogil     # counted: max_bad_commands
cdef void session_log_rejection(session_t *s, int code, slice_t text) noexcept nogil
cdef bint session_discards(session_t *s) noexcept nogil            # did the phase discard?  Logged then
cdef void session_outdated(session_t *s) noexcept nogil            # 421 reconfig_message, and the end
# Run hook; then s.after, at once or when the phase ends.
cdef void session_phase(session_t *s, int hook, session_fn after) noexcept nogil
cdef void session_resume(session_t *s) noexcept nogil              # a wait is over: consume what came meanwhile
cdef void session_end(session_t *s) noexcept nogil                 # after what is written
cdef void session_abort(session_t *s) noexcept nogil               # now
cdef void session_free(session_t *s) noexcept nogil                # once its stream is closed
cdef void session_reset(session_t *s) noexcept nogil               # the transaction is over
cdef void session_wait(session_t *s, uint64_t seconds) noexcept nogil
cdef void session_sleep(session_t *s, uint64_t ms, session_fn after) noexcept nogil
# Take `peer` and `local` for who is there: their texts, options and context; False: no memory.
cdef bint session_meet(session_t *s) noexcept nogil
# In listener_sessions and service_sessions of all scopes that count for it; False: in one of them there are too many.
cdef bint session_count_in(session_t *s) noexcept nogil
cdef void session_count_out(session_t *s) noexcept nogil
cdef void session_too_many(session_t *s) noexcept nogil            # 421, and the end
cdef void session_unproxied(session_t *s, const char *why) noexcept nogil          # likewise, without a word
cdef void session_begin(session_t *s) noexcept nogil               # SMTP
# How SMTP_Extensions names an extension, with its arguments; NULL: the option is unset, or does not.
cdef const slice_t *session_extension(session_t *s, const char *name) noexcept nogil
# Edits, from MAIL FROM on: of the recipient in phases behind the body that run for each, of the whole message in all others.
cdef overlay_t **session_overlay(session_t *s) noexcept nogil
cdef slice_t session_hostname(session_t *s) noexcept nogil
cdef slice_t session_received_hostname(session_t *s) noexcept nogil
cdef const char *server_version() noexcept nogil                   # "0.1.0 r(...)"
cdef const char *rfc_date(loop_t *loop) noexcept nogil             # of this second; valid until the next call
