# ec_message_t: one message for one recipient.  Owned by one place at a time: its
# session, its queue, or the lease that delivers it.
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t

from pymomentum.core.base.buf cimport buf_t
from pymomentum.core.base.list cimport list_node_t
from pymomentum.core.base.slice cimport slice_eq, slice_t
from pymomentum.core.message.id cimport message_id_t

cdef enum:                      # ec_message_t.flags; the low byte is kept with the body's record
    BODY_DOTS = 0x01            # has lines that begin with a dot (stuffed)
    BODY_UNCLEAN = 0x02         # has a lone CR or LF: goes out through the encoder
    BODY_8BIT = 0x04
    BODY_NUL = 0x08
    BODY_LARGE = 0x10           # in a file of its own
    MSG_PRIORITY = 0x100
    MSG_SPOOLED = 0x200         # handles are set
    MSG_FAILED_QUIET = 0x800    # no bounce
    MSG_STATE_PENDING = 0x1000  # a state is on its way to the spool
    MSG_STATE_AGAIN = 0x4000    # and has changed since
    MSG_STATE_LATER = 0x8000    # one is written when the server stops
    MSG_GONE = 0x2000           # settled while one was: forgotten when it arrives
    MSG_SWEPT = 0x400           # fails for now with its whole queue

cdef enum recv_method_t:
    RECV_ESMTP = 0
    RECV_SMTP = 1
    RECV_INTERNAL = 2
    RECV_REST = 3
    RECV_ECSTREAM = 4
    RECV_XFER = 5

cdef struct blob_t:             # counted: bytes of a body, shared by recipients
    uint32_t refs               # atomic
    uint32_t off                # where the body begins in ptr: room ahead for trace headers
    size_t len                  # of the body
    size_t cap                  # of ptr
    char *ptr

cdef struct envelope_t:         # one allocation; rebuilt from the spool after a swap-out
    message_id_t batch
    message_id_t conn
    uint8_t method              # recv_method_t
    uint64_t body_size          # as it is sent, edits and all; wire form: dots stuffed, without the final dot
    slice_t mailfrom            # without <>; empty: null sender
    slice_t rcptto
    slice_t peer                # address text, "unknown" where there is none
    slice_t binding             # name; the slot may differ after a restart
    slice_t routing             # routing domain where policy set one
    slice_t envid               # RFC 3461
    slice_t orcpt
    slice_t notify
    slice_t ret
    slice_t conn_context        # encoded pairs
    slice_t mess_context
    slice_t overlay             # edits of header and body, encoded (core/mime/overlay.pxd); empty: sent as received
    slice_t refusal             # policy refused this recipient behind the body: it is bounced with these words, never delivered

cdef struct ec_message_t:        # 96 bytes, for it stays when all else has left memory
    list_node_t node            # in an active queue; in a delayed one its first bytes are the heap's index; else its owner's
    message_id_t id
    uint64_t seq                # spool sequence; 0: not spooled
    uint64_t created_us         # wall clock
    uint32_t next_attempt       # unix seconds; 0: now
    uint32_t meta               # spool handles
    uint32_t state
    uint32_t body
    uint32_t body_back          # from seq to that of the transaction that brought the body; see body_seq
    uint32_t code               # last response: a word, shared by all that have the same; 0: none
    uint16_t flags
    uint16_t retries            # attempts that failed
    uint16_t binding            # slot
    void *domain                # domain_record_t
    envelope_t *env             # NULL: swapped out
    blob_t *blob                # as received; NULL: swapped out, or large


cdef blob_t *blob_new(size_t cap, uint32_t off) noexcept nogil          # NULL: no memory
cdef int blob_add(blob_t *b, const char *p, size_t n) noexcept nogil    # while there is one reference; EC_NOMEM
cdef int blob_prepend(blob_t *b, const char *p, size_t n) noexcept nogil
cdef blob_t *blob_ref(blob_t *b) noexcept nogil
cdef void blob_unref(blob_t *b) noexcept nogil
cdef void blob_seal(blob_t *b) noexcept nogil                           # gives back unused room


cdef inline slice_t blob_slice(const blob_t *b) noexcept nogil:
    cdef slice_t s
    s.ptr = b.ptr + b.off
    s.len = b.len
    return s


cdef inline uint64_t body_seq(const ec_message_t *m) noexcept nogil:
    """Names the file of a large body."""
    return m.seq - m.body_back


cdef inline bint same_content(const ec_message_t *a, const ec_message_t *b) noexcept nogil:
    """May both go out in one transaction?  The envelopes are in memory."""
    return body_seq(a) == body_seq(b) and a.flags == b.flags and slice_eq(a.env.overlay, b.env.overlay)


cdef ec_message_t *message_new() noexcept nogil                         # NULL: no memory
cdef void message_free(ec_message_t *m) noexcept nogil                  # drops envelope and body too
cdef void message_swap_out(ec_message_t *m) noexcept nogil              # envelope and body go; they are in the spool
cdef envelope_t *envelope_copy(const envelope_t *e) noexcept nogil
cdef int meta_encode(ec_message_t *m, buf_t *out) noexcept nogil        # payload of a META record
cdef int meta_decode(slice_t bytes, ec_message_t *m) noexcept nogil     # fills the message and makes its envelope
cdef int state_encode(ec_message_t *m, slice_t binding, buf_t *out) noexcept nogil
cdef int state_decode(slice_t bytes, ec_message_t *m, slice_t *binding) noexcept nogil
cdef int message_set_code(ec_message_t *m, slice_t code) noexcept nogil
cdef slice_t address_domain(slice_t address) noexcept nogil             # behind the last @; empty: none
cdef slice_t address_local(slice_t address) noexcept nogil
cdef uint64_t resident_bytes() noexcept nogil                           # of all bodies in memory
cdef uint64_t message_count() noexcept nogil
