"""Messages, their envelopes and bodies in memory, and their form in the spool.

Messages move between loops but have one owner; only blobs are shared, and
counted.  A META payload is a fixed part and tagged strings; unknown tags are
skipped, a higher version is refused.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove, memset

from pymomentum.core.base.atomic cimport atomic_add32, atomic_add64, atomic_load64
from pymomentum.core.base.buf cimport buf_add, buf_t
from pymomentum.core.message.slab cimport slab_free, slab_new
from pymomentum.core.message.word cimport word_ref, word_text, word_unref
from pymomentum.core.base.list cimport list_init
from pymomentum.core.base.slice cimport slice_make, slice_of, slice_t
from pymomentum.core.base.status cimport EC_CORRUPT, EC_NOMEM, EC_OK

cdef extern from "string.h" nogil:
    void *memrchr(const void*, int, size_t)

cdef enum:
    META_VERSION = 2
    STATE_VERSION = 1
    TAGS = 13
    SEVENS = 5                  # bytes of a number
    SLACK = 2048                # a sealed blob keeps no more unused bytes than this

cdef extern from *:
    """
    typedef struct __attribute__((packed)) {
        uint8_t version, method; uint16_t strings;
        uint32_t id_slot; uint16_t id_pid, id_counter;
        uint32_t batch_slot; uint16_t batch_pid, batch_counter;
        uint32_t conn_slot; uint16_t conn_pid, conn_counter;
        uint64_t created_us, body_size; uint32_t flags, next_attempt; uint16_t retries;
    } meta_fixed_t;
    typedef struct __attribute__((packed)) { uint8_t version, reserved; uint16_t retries; uint32_t next_attempt; uint16_t binding_len; uint16_t code_len; } state_fixed_t;
    """
    ctypedef struct meta_fixed_t:
        uint8_t version
        uint8_t method
        uint16_t strings
        uint32_t id_slot
        uint16_t id_pid
        uint16_t id_counter
        uint32_t batch_slot
        uint16_t batch_pid
        uint16_t batch_counter
        uint32_t conn_slot
        uint16_t conn_pid
        uint16_t conn_counter
        uint64_t created_us
        uint64_t body_size
        uint32_t flags
        uint32_t next_attempt
        uint16_t retries
    ctypedef struct state_fixed_t:
        uint8_t version
        uint16_t retries
        uint32_t next_attempt
        uint16_t binding_len
        uint16_t code_len

cdef uint64_t resident = 0
cdef uint64_t messages = 0


cdef uint64_t resident_bytes() noexcept nogil:
    return atomic_load64(&resident)


cdef uint64_t message_count() noexcept nogil:
    return atomic_load64(&messages)


cdef blob_t *blob_new(size_t cap, uint32_t off) noexcept nogil:
    cdef blob_t *b = <blob_t*>malloc(sizeof(blob_t))
    if b == NULL:
        return NULL
    b.cap = cap + off if cap + off else 1
    b.ptr = <char*>malloc(b.cap)
    if b.ptr == NULL:
        free(b)
        return NULL
    b.refs = 1
    b.off = off
    b.len = 0
    atomic_add64(&resident, b.cap)
    return b


cdef int resize(blob_t *b, size_t cap) noexcept nogil:
    cdef char *p = <char*>realloc(b.ptr, cap)
    if p == NULL:
        return EC_NOMEM
    atomic_add64(&resident, <int64_t>cap - <int64_t>b.cap)
    b.ptr = p
    b.cap = cap
    return EC_OK


cdef int blob_add(blob_t *b, const char *p, size_t n) noexcept nogil:
    cdef size_t need = b.off + b.len + n, cap = b.cap
    if need > cap:
        while cap < need:
            cap *= 2
        if resize(b, cap) != EC_OK:
            return EC_NOMEM
    memcpy(b.ptr + b.off + b.len, p, n)
    b.len += n
    return EC_OK


cdef int blob_prepend(blob_t *b, const char *p, size_t n) noexcept nogil:
    if n > b.off:
        if b.off + b.len + n > b.cap and resize(b, b.off + b.len + n) != EC_OK:
            return EC_NOMEM
        memmove(b.ptr + n, b.ptr + b.off, b.len)
        b.off = <uint32_t>n
    b.off -= <uint32_t>n
    memcpy(b.ptr + b.off, p, n)
    b.len += n
    return EC_OK


cdef void blob_seal(blob_t *b) noexcept nogil:
    if b.cap - b.off - b.len > SLACK:
        resize(b, b.off + b.len)


cdef blob_t *blob_ref(blob_t *b) noexcept nogil:
    atomic_add32(&b.refs, 1)
    return b


cdef void blob_unref(blob_t *b) noexcept nogil:
    if b != NULL and atomic_add32(&b.refs, -1) == 0:
        atomic_add64(&resident, -<int64_t>b.cap)
        free(b.ptr)
        free(b)


cdef ec_message_t *message_new() noexcept nogil:
    cdef ec_message_t *m = <ec_message_t*>slab_new()
    if m != NULL:
        list_init(&m.node)
        atomic_add64(&messages, 1)
    return m


cdef void message_swap_out(ec_message_t *m) noexcept nogil:
    free(m.env)
    m.env = NULL
    blob_unref(m.blob)
    m.blob = NULL


cdef void message_free(ec_message_t *m) noexcept nogil:
    message_swap_out(m)
    word_unref(m.code)
    slab_free(m)
    atomic_add64(&messages, -1)


cdef slice_t *string_of(envelope_t *e, int tag) noexcept nogil:
    """The strings of an envelope by their tag in the spool: append only."""
    if tag == 1:
        return &e.mailfrom
    if tag == 2:
        return &e.rcptto
    if tag == 3:
        return &e.peer
    if tag == 4:
        return &e.binding
    if tag == 5:
        return &e.routing
    if tag == 6:
        return &e.envid
    if tag == 7:
        return &e.orcpt
    if tag == 8:
        return &e.notify
    if tag == 9:
        return &e.ret
    if tag == 10:
        return &e.conn_context
    if tag == 11:
        return &e.mess_context
    if tag == 12:
        return &e.refusal
    if tag == 13:
        return &e.overlay
    return NULL


cdef envelope_t *envelope_copy(const envelope_t *e) noexcept nogil:
    cdef size_t n = sizeof(envelope_t)
    cdef envelope_t *copy
    cdef slice_t *s
    cdef char *p
    cdef int tag
    for tag in range(1, TAGS + 1):
        n += string_of(<envelope_t*>e, tag).len
    copy = <envelope_t*>malloc(n)
    if copy == NULL:
        return NULL
    copy[0] = e[0]
    p = <char*>copy + sizeof(envelope_t)
    for tag in range(1, TAGS + 1):
        s = string_of(copy, tag)
        if s.len:
            memcpy(p, s.ptr, s.len)
        s.ptr = p
        p += s.len
    return copy


cdef int sevens_put(uint8_t *p, size_t n) noexcept nogil:
    """A number by seven bits a byte, low ones first, all but the last byte with the high bit; how many bytes."""
    cdef int i = 0
    while n > 127:
        p[i] = <uint8_t>(n | 128)
        n >>= 7
        i += 1
    p[i] = <uint8_t>n
    return i + 1


cdef bint sevens_get(slice_t bytes, size_t *at, size_t *n) noexcept nogil:
    cdef int shift = 0
    cdef uint8_t c = 128
    n[0] = 0
    while c > 127:
        if at[0] >= bytes.len or shift >= 7 * SEVENS:
            return False
        c = <uint8_t>bytes.ptr[at[0]]
        n[0] |= <size_t>(c & 127) << shift
        at[0] += 1
        shift += 7
    return True


cdef int meta_encode(ec_message_t *m, buf_t *out) noexcept nogil:
    cdef meta_fixed_t f
    cdef envelope_t *e = m.env
    cdef slice_t *s
    cdef uint8_t head[1 + SEVENS]
    cdef int tag
    memset(&f, 0, sizeof(f))
    f.version = META_VERSION
    f.method = e.method
    f.id_slot = m.id.slot
    f.id_pid = m.id.pid
    f.id_counter = m.id.counter
    f.batch_slot = e.batch.slot
    f.batch_pid = e.batch.pid
    f.batch_counter = e.batch.counter
    f.conn_slot = e.conn.slot
    f.conn_pid = e.conn.pid
    f.conn_counter = e.conn.counter
    f.created_us = m.created_us
    f.body_size = e.body_size
    f.flags = m.flags & ~<uint32_t>(MSG_SPOOLED | MSG_STATE_PENDING | MSG_GONE)
    f.next_attempt = m.next_attempt
    f.retries = m.retries
    for tag in range(1, TAGS + 1):
        if string_of(e, tag).len:
            f.strings += 1
    if buf_add(out, <char*>&f, sizeof(f)) != EC_OK:
        return EC_NOMEM
    for tag in range(1, TAGS + 1):
        s = string_of(e, tag)
        if s.len == 0:
            continue
        head[0] = <uint8_t>tag
        if buf_add(out, <char*>head, 1 + sevens_put(head + 1, s.len)) != EC_OK or buf_add(out, s.ptr, s.len) != EC_OK:
            return EC_NOMEM
    return EC_OK


cdef int meta_decode(slice_t bytes, ec_message_t *m) noexcept nogil:
    cdef meta_fixed_t f
    cdef envelope_t e
    cdef size_t at = sizeof(f), n
    cdef slice_t *s
    cdef int i, tag
    if bytes.len < sizeof(f):
        return EC_CORRUPT
    memcpy(&f, bytes.ptr, sizeof(f))
    if f.version != META_VERSION:
        return EC_CORRUPT
    memset(&e, 0, sizeof(e))
    for i in range(f.strings):
        if at >= bytes.len:
            return EC_CORRUPT
        tag = <uint8_t>bytes.ptr[at]
        at += 1
        if not sevens_get(bytes, &at, &n) or n > bytes.len - at:
            return EC_CORRUPT
        s = string_of(&e, tag)
        if s != NULL:
            s[0] = slice_make(bytes.ptr + at, n)
        at += n
    m.id.slot = f.id_slot
    m.id.pid = f.id_pid
    m.id.counter = f.id_counter
    e.method = f.method
    e.batch.slot = f.batch_slot
    e.batch.pid = f.batch_pid
    e.batch.counter = f.batch_counter
    e.conn.slot = f.conn_slot
    e.conn.pid = f.conn_pid
    e.conn.counter = f.conn_counter
    m.created_us = f.created_us
    e.body_size = f.body_size
    m.flags = f.flags | (m.flags & (MSG_SPOOLED | MSG_STATE_PENDING))
    if m.retries == 0:
        m.retries = f.retries
        m.next_attempt = f.next_attempt
    free(m.env)
    m.env = envelope_copy(&e)
    return EC_OK if m.env != NULL else EC_NOMEM


cdef int state_encode(ec_message_t *m, slice_t binding, buf_t *out) noexcept nogil:
    cdef state_fixed_t f
    cdef slice_t code = slice_of(word_text(m.code)) if m.code else slice_make(NULL, 0)
    memset(&f, 0, sizeof(f))
    f.version = STATE_VERSION
    f.retries = m.retries
    f.next_attempt = m.next_attempt
    f.binding_len = <uint16_t>binding.len
    f.code_len = <uint16_t>code.len
    if buf_add(out, <char*>&f, sizeof(f)) != EC_OK or buf_add(out, binding.ptr, binding.len) != EC_OK:
        return EC_NOMEM
    return buf_add(out, code.ptr, f.code_len)


cdef int state_decode(slice_t bytes, ec_message_t *m, slice_t *binding) noexcept nogil:
    cdef state_fixed_t f
    if bytes.len < sizeof(f):
        return EC_CORRUPT
    memcpy(&f, bytes.ptr, sizeof(f))
    if f.version != STATE_VERSION or bytes.len < sizeof(f) + f.binding_len + f.code_len:
        return EC_CORRUPT
    m.retries = f.retries
    m.next_attempt = f.next_attempt
    binding[0] = slice_make(bytes.ptr + sizeof(f), f.binding_len)
    return message_set_code(m, slice_make(bytes.ptr + sizeof(f) + f.binding_len, f.code_len))


cdef int message_set_code(ec_message_t *m, slice_t code) noexcept nogil:
    cdef uint32_t word = word_ref(code)     # what it holds already is still being read
    if word == 0:
        return EC_NOMEM
    word_unref(m.code)
    m.code = word
    return EC_OK


cdef slice_t address_domain(slice_t a) noexcept nogil:
    cdef const char *at = <const char*>memrchr(a.ptr, c'@', a.len) if a.len else NULL
    if at == NULL:
        return slice_make(a.ptr, 0)
    return slice_make(at + 1, a.len - (at + 1 - a.ptr))


cdef slice_t address_local(slice_t a) noexcept nogil:
    cdef const char *at = <const char*>memrchr(a.ptr, c'@', a.len) if a.len else NULL
    return a if at == NULL else slice_make(a.ptr, at - a.ptr)
