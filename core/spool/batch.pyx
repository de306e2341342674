"""Batches: header, records, zeros to the block, in one write.

The address of spool.stage may change while a batch grows, so iovecs into it
hold lengths until the batch is written.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport realloc
from libc.string cimport memset

from pymomentum.core.base.atomic cimport atomic_add64, atomic_store32
from pymomentum.core.base.buf cimport buf_add, buf_reserve
from pymomentum.core.base.crc cimport crc32c
from pymomentum.core.base.slice cimport slice_t
from pymomentum.core.base.status cimport EC_IO, EC_OK
from pymomentum.core.c.posix cimport EINTR, iovec, last_errno, pwritev
from .layout cimport *
from .spool cimport segment_t, spool_t

cdef enum:
    IOV_STEP = 1024             # IOV_MAX

cdef char ZEROS[4096]
memset(ZEROS, 0, sizeof(ZEROS))


cdef int iov_add(spool_t *s, void *base, size_t n) noexcept nogil:
    cdef void *grown
    if s.iov_len + 1 >= s.iov_cap:
        grown = realloc(s.iov, (s.iov_cap * 2 + 64) * sizeof(iovec))
        if grown == NULL:
            return EC_IO
        s.iov = <iovec*>grown
        s.iov_cap = s.iov_cap * 2 + 64
    s.iov[s.iov_len].iov_base = base
    s.iov[s.iov_len].iov_len = n
    s.iov_len += 1
    return EC_OK


cdef int stage_cut(spool_t *s, batch_t *b) noexcept nogil:
    """End the run of staged bytes; base NULL marks 'in stage, next in order'."""
    cdef size_t n = s.stage.len - b.stage_from
    b.stage_from = <uint32_t>s.stage.len
    return iov_add(s, NULL, n) if n else EC_OK


cdef int batch_begin(spool_t *s, batch_t *b, segment_t *seg) noexcept nogil:
    memset(b, 0, sizeof(b[0]))
    b.seg = seg
    b.at = seg.used
    b.length = sizeof(batch_header_t)
    s.stage.len = 0
    s.iov_len = 0
    if buf_reserve(&s.stage, sizeof(batch_header_t)) != EC_OK:
        return EC_IO
    s.stage.len = sizeof(batch_header_t)
    return EC_OK


cdef int batch_add(spool_t *s, batch_t *b, uint8_t kind, uint8_t flags, uint16_t count, uint64_t seq, uint64_t ref,
                   slice_t payload, bint borrow, uint32_t *offset) noexcept nogil:
    cdef record_header_t h
    cdef uint32_t pad = (8 - (payload.len & 7)) & 7
    h.type = kind
    h.flags = flags
    h.count = count
    h.length = <uint32_t>payload.len
    h.seq = seq
    h.ref = ref
    h.payload_crc = crc32c(0, payload.ptr, payload.len)
    h.header_crc = crc32c(<uint32_t>b.seg.salt, &h, sizeof(h) - 4)
    offset[0] = <uint32_t>(b.at + b.length)
    if buf_add(&s.stage, <char*>&h, sizeof(h)) != EC_OK:
        return EC_IO
    if borrow:
        if stage_cut(s, b) != EC_OK or iov_add(s, <void*>payload.ptr, payload.len) != EC_OK:
            return EC_IO
    elif buf_add(&s.stage, payload.ptr, payload.len) != EC_OK:
        return EC_IO
    if pad and buf_add(&s.stage, ZEROS, pad) != EC_OK:
        return EC_IO
    b.length += record_space(h.length)
    b.records += 1
    if kind == RECORD_TOMB or kind == RECORD_ABORT:
        b.seg.ids += payload.len // 8
    elif kind != RECORD_INDEX:
        b.seg.entries += 1
    return EC_OK


cdef int batch_write(spool_t *s, batch_t *b) noexcept nogil:
    """Header, records, zeros to the block; all or an error."""
    cdef batch_header_t *h
    cdef uint64_t total = block_up(b.length), at = b.at
    cdef size_t pad = total - b.length, staged = 0
    cdef uint32_t i, first = 0, n
    cdef ssize_t wrote
    if stage_cut(s, b) != EC_OK or (pad and iov_add(s, ZEROS, pad) != EC_OK):
        return EC_IO
    h = <batch_header_t*>s.stage.ptr
    h.magic = SPOOL_BATCH_MAGIC
    h.salt = b.seg.salt
    h.number = b.seg.batches
    h.length = <uint32_t>total
    h.records = b.records
    h.crc = crc32c(0, <char*>h + 8, sizeof(batch_header_t) - 8)
    for i in range(s.iov_len):
        if s.iov[i].iov_base == NULL:
            s.iov[i].iov_base = s.stage.ptr + staged
            staged += s.iov[i].iov_len
    while first < s.iov_len:
        n = s.iov_len - first
        wrote = pwritev(b.seg.fd, s.iov + first, n if n < IOV_STEP else IOV_STEP, at)
        if wrote < 0 and last_errno() == EINTR:
            continue
        if wrote <= 0:
            atomic_store32(&s.degraded, last_errno() if wrote < 0 else 5)
            return EC_IO
        at += wrote
        while first < s.iov_len and <size_t>wrote >= s.iov[first].iov_len:
            wrote -= s.iov[first].iov_len
            first += 1
        if wrote:
            s.iov[first].iov_base = <char*>s.iov[first].iov_base + wrote
            s.iov[first].iov_len -= wrote
    b.seg.used += total
    b.seg.batches += 1
    atomic_add64(&s.stat_bytes, total)
    atomic_add64(&s.stat_batches, 1)
    return EC_OK
