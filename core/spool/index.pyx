"""Segment indexes: what a sealed segment holds, so that a start need not read all of it.

The last batch of a sealed segment names its tombstones, its aborts and the
records that lived when it was sealed; the trailer, in the segment's last
block, says where that batch is.  Both are written after everything else in
the segment is synced: an index that verifies is true, one that does not is
as if it were not there.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from pymomentum.core.base.buf cimport buf_add, buf_free, buf_t
from pymomentum.core.base.crc cimport crc32c
from pymomentum.core.base.slice cimport slice_make, slice_t
from pymomentum.core.base.status cimport EC_NOTFOUND, EC_OK
from pymomentum.core.c.posix cimport pread, pwrite
from .batch cimport batch_add, batch_begin, batch_t, batch_write
from .layout cimport *
from .places cimport place_get
from .spool cimport SEGMENT_SEALED, place_t, segment_t, spool_log_t, spool_t

cdef enum:
    PART = 1 << 20              # payload of one record of an index


cdef void index_record(spool_log_t *log, uint32_t handle, uint8_t type, uint8_t flags, uint64_t seq, uint64_t ref,
                       uint32_t offset, uint32_t length) noexcept nogil:
    cdef index_entry_t e
    e.seq = seq
    e.ref = ref
    e.offset = offset
    e.length = length
    e.type = type
    e.flags = flags
    e.reserved = 0
    e.handle = handle
    if buf_add(&log.index, <char*>&e, sizeof(e)) != EC_OK:
        log.blind = True


cdef void index_ids(spool_log_t *log, buf_t *ids, slice_t more) noexcept nogil:
    if buf_add(ids, more.ptr, more.len) != EC_OK:
        log.blind = True


cdef uint64_t index_space(const segment_t *seg, uint64_t entries, uint64_t ids) noexcept nogil:
    cdef uint64_t n = (seg.entries + entries) * sizeof(index_entry_t) + (seg.ids + ids) * 8
    return block_up(n + (n // PART + 4) * record_space(0) + sizeof(batch_header_t)) + SPOOL_BLOCK


cdef void keep_living(spool_t *s, spool_log_t *log) noexcept nogil:
    """Entries whose record still counts and lies here; the rest needs no finding."""
    cdef uint32_t here = <uint32_t>(log.current - s.segments)
    cdef size_t i, n = 0, all_ = log.index.len // sizeof(index_entry_t)
    cdef index_entry_t *list_ = <index_entry_t*>log.index.ptr
    cdef place_t p
    for i in range(all_):
        if place_get(s, list_[i].handle, &p) == EC_OK and p.segment == here and p.offset == list_[i].offset:
            list_[n] = list_[i]
            list_[n].handle = 0
            n += 1
    log.index.len = n * sizeof(index_entry_t)


cdef int add_parts(spool_t *s, batch_t *b, uint8_t kind, buf_t *from_) noexcept nogil:
    cdef size_t at = 0, n
    cdef uint32_t unused
    cdef int rc = EC_OK
    while rc == EC_OK and at < from_.len:
        n = from_.len - at
        if n > PART:
            n = PART
        rc = batch_add(s, b, kind, 0, 0, 0, 0, slice_make(from_.ptr + at, n), True, &unused)
        at += n
    return rc


cdef int write_index(spool_t *s, spool_log_t *log) noexcept nogil:
    cdef segment_t *seg = log.current
    cdef segment_trailer_t t
    cdef batch_t b
    cdef char block[4096]
    cdef uint64_t at = seg.used
    cdef int rc
    if seg.used + index_space(seg, 0, 0) > seg.size:
        return EC_NOTFOUND
    keep_living(s, log)
    rc = batch_begin(s, &b, seg)
    if rc == EC_OK:
        rc = add_parts(s, &b, RECORD_TOMB, &log.tombs)
    if rc == EC_OK:
        rc = add_parts(s, &b, RECORD_ABORT, &log.aborts)
    if rc == EC_OK:
        rc = add_parts(s, &b, RECORD_INDEX, &log.index)
    if rc == EC_OK:
        rc = batch_write(s, &b)
    if rc != EC_OK:
        return rc
    t.magic = SPOOL_TRAILER_MAGIC
    t.salt = seg.salt
    t.at = at
    t.length = <uint32_t>(seg.used - at)
    t.records = b.records
    t.crc = crc32c(0, &t, sizeof(t) - sizeof(t.crc))
    memset(block, 0, sizeof(block))
    memcpy(block, &t, sizeof(t))
    return EC_OK if pwrite(seg.fd, block, sizeof(block), seg.size - SPOOL_BLOCK) == <ssize_t>sizeof(block) else EC_NOTFOUND


cdef void index_clear(spool_log_t *log) noexcept nogil:
    """The next segment's begins; its memory goes, for one segment may have had many times more than the next."""
    buf_free(&log.index)
    buf_free(&log.tombs)
    buf_free(&log.aborts)
    log.blind = False


cdef void index_seal(spool_t *s, spool_log_t *log) noexcept nogil:
    if log.current == NULL:
        return
    if not log.blind:
        write_index(s, log)             # a disk that refuses it will refuse the next batch too
    log.current.state = SEGMENT_SEALED
    log.current = NULL
    index_clear(log)


cdef int index_find(segment_t *seg, segment_trailer_t *out) noexcept nogil:
    if pread(seg.fd, out, sizeof(out[0]), seg.size - SPOOL_BLOCK) != <ssize_t>sizeof(out[0]) \
            or out.magic != SPOOL_TRAILER_MAGIC or out.salt != seg.salt \
            or out.crc != crc32c(0, out, sizeof(out[0]) - sizeof(out.crc)) or out.at + out.length > seg.size:
        return EC_NOTFOUND
    return EC_OK
