# client_t: one outbound connection.  Lives on any loop; its mail comes by lease.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from pymomentum.core.base.buf cimport buf_t
from pymomentum.core.base.cidr cimport sockaddr_storage
from pymomentum.core.base.list cimport list_node_t
from pymomentum.core.base.slice cimport slice_t
from pymomentum.core.base.timewheel cimport timer_entry_t
from pymomentum.core.config.generation cimport config_generation_t
from pymomentum.core.config.values cimport DELIVERY_METHOD_LMTP, OPT_DELIVERY_METHOD, opt_number, values_t
from pymomentum.core.loop.loop cimport loop_range_t, loop_t, loop_timer_set
from pymomentum.core.loop.post cimport post_t
from pymomentum.core.message.id cimport message_id_t
from pymomentum.core.message.message cimport ec_message_t
from pymomentum.core.net.address cimport ADDRESS_TEXT
from pymomentum.core.net.proxy_out cimport PROXY_HEADER
from pymomentum.core.net.stream cimport stream_read_fn, stream_t
from pymomentum.core.queue.domain cimport mail_queue_t
from pymomentum.core.queue.lease cimport lease_fn, lease_t
from pymomentum.core.queue.route cimport route_t
from pymomentum.core.smtp.dotstuff cimport dot_encode_t
from pymomentum.core.smtp.downconvert cimport downconvert_t
from pymomentum.core.spool.large cimport large_reader_t

cdef enum stage_t:              # connection_stages, outbound; a field of the logs
    STAGE_NOT_CONNECTED = 0
    STAGE_IDLE = 1
    STAGE_MAILFROM = 3
    STAGE_RCPTTO = 5
    STAGE_DATA = 7
    STAGE_BODY = 8
    STAGE_CONFIRMATION = 9
    STAGE_EHLO = 11
    STAGE_BANNER = 12
    STAGE_RSET = 14
    STAGE_STARTTLS = 16
    STAGE_TLS = 17
    STAGE_XCLIENT = 20

cdef enum:
    EXPECT_SIZE = 256           # replies that may be outstanding
    BATCH_MAX = 100             # recipients of one transaction, so that two fit
    REPLY_ROOM = 1024           # of a reply's text kept
    XCLIENT_ROOM = 512          # of an XCLIENT line

cdef enum expect_t:
    EXPECT_BANNER
    EXPECT_EHLO
    EXPECT_HELO
    EXPECT_STARTTLS
    EXPECT_AUTH
    EXPECT_XCLIENT
    EXPECT_MAIL
    EXPECT_RCPT
    EXPECT_DATA
    EXPECT_DOT
    EXPECT_RSET
    EXPECT_QUIT

cdef struct expected_t:
    uint8_t kind                # expect_t
    uint8_t which               # transaction: 0 or 1
    ec_message_t *m             # RCPT's; of the dot of LMTP, which has a reply for each

cdef struct transfer_t:         # one transaction under way
    list_node_t batch           # messages not settled yet
    uint32_t n                  # of them
    uint32_t accepted           # recipients the peer took
    bint active
    bint data_sent              # DATA is on the wire
    bint body_sent
    int mail_code
    uint64_t bytes

cdef struct client_t:
    stream_t stream             # first
    lease_t lease
    timer_entry_t timer
    post_t start
    loop_t *loop
    config_generation_t *generation     # pinned
    const values_t *values
    values_t own_values         # what `values` may point to
    route_t *route              # touched on the domain's loop only
    sockaddr_storage peer
    char peer_text[ADDRESS_TEXT]
    char host[256]              # MX host name
    char sender[256]            # domain of the sender of the mail it was opened for; empty unless ehlo_hostname is __message__
    char proxy[PROXY_HEADER]    # what a proxy is told first
    uint32_t proxy_bytes
    bint proxied
    message_id_t conn
    uint64_t since_ms           # of the stage
    uint64_t connect_ns
    int stage                   # stage_t
    expected_t expect[EXPECT_SIZE]
    uint32_t expect_head
    uint32_t expect_tail
    transfer_t tx[2]            # one in hand, one pipelined behind it
    uint32_t now                # index of the one in hand
    large_reader_t *reader      # of the large body being sent
    dot_encode_t encoder        # where that body is unclean
    buf_t head                  # of an edited large body, until all of its header is there
    bint edited                 # the edited header is on its way
    downconvert_t *down         # while a body is made 7-bit
    char said[XCLIENT_ROOM]     # by XCLIENT, and accepted; empty: the peer takes mail for ours
    char saying[XCLIENT_ROOM]   # likewise, and not answered yet
    uint32_t asked              # EXT_XCLIENT_...: attributes the peer takes
    buf_t line                  # part of a reply line
    char reply[REPLY_ROOM]      # text of the reply so far, lines joined by blanks
    uint32_t reply_len
    int reply_code
    uint32_t reply_lines
    uint32_t extensions
    uint64_t peer_size          # SIZE it announced; 0: none
    uint32_t deliveries
    uint32_t recipients
    bint connected              # the host was reported as answering
    bint ready                  # greeted: mail may be sent
    bint tls_failed             # this attempt goes in clear (tls_ifavailable_fallback)
    bint secured
    int login_step              # step_t of auth.pyx
    bint need_rset
    bint quitting
    bint leaving
    uint64_t resting_ms

ctypedef void (*client_fn)(client_t *c) noexcept nogil
ctypedef bint (*login_fn)(client_t *c) noexcept nogil        # False: no login is needed

cdef void client_start(loop_range_t loops) noexcept nogil   # those that deliver; before loops run, as the next two
cdef void client_set_login(login_fn login) noexcept nogil                                   # auth.pyx
cdef void client_set_mail(client_fn ask, lease_fn granted, lease_fn wake) noexcept nogil    # transaction.pyx
cdef void client_set_input(stream_read_fn read) noexcept nogil                              # response.pyx
cdef const char *stage_name(int stage) noexcept nogil

cdef void client_hello(client_t *c, bint helo) noexcept nogil                   # says EHLO or HELO
cdef void client_greeted(client_t *c) noexcept nogil                            # the peer answered it
cdef void client_ready(client_t *c) noexcept nogil                              # mail may be sent
cdef void client_start_tls(client_t *c) noexcept nogil
cdef void client_in_clear(client_t *c) noexcept nogil                           # STARTTLS was refused, and need not be had
cdef void client_secured(stream_t *st, int status) noexcept nogil               # the handshake is over
cdef void client_no_tls(client_t *c, const char *text) noexcept nogil
cdef void client_unfit(client_t *c, int stage, const char *text) noexcept nogil  # it cannot have mail by us; `text` says why
cdef void client_refused(client_t *c) noexcept nogil                            # the peer wants no mail here
cdef void client_settle(client_t *c, ec_message_t *m, int outcome, slice_t text, uint64_t bytes) noexcept nogil
cdef void client_settle_all(client_t *c, transfer_t *t, int outcome, slice_t text) noexcept nogil
cdef void client_broken(client_t *c, const char *text) noexcept nogil           # of no more use; settles what is in hand
cdef const char *client_broken_text(client_t *c) noexcept nogil                 # by its stage
cdef bint client_current(client_t *c) noexcept nogil                            # False: a reload has changed what it was opened with
cdef void client_check(client_t *c) noexcept nogil                              # broken where memory did not suffice for what was written
cdef void client_quit(client_t *c) noexcept nogil
cdef void client_close(client_t *c) noexcept nogil
cdef void client_leave(client_t *c) noexcept nogil                              # once closed and without a question


cdef inline bint client_lmtp(client_t *c) noexcept nogil:
    return opt_number(c.values, OPT_DELIVERY_METHOD) == DELIVERY_METHOD_LMTP


cdef inline void client_stage(client_t *c, int which, int64_t seconds) noexcept nogil:
    c.stage = which
    c.since_ms = c.loop.now_ms
    loop_timer_set(c.loop, &c.timer, <uint64_t>seconds * 1000)


cdef inline void client_expect(client_t *c, int kind, uint32_t which, ec_message_t *m) noexcept nogil:
    cdef expected_t *e = &c.expect[c.expect_tail % EXPECT_SIZE]
    e.kind = <uint8_t>kind
    e.which = <uint8_t>which
    e.m = m
    c.expect_tail += 1
