"""What a spool holds, read from its files alone: no lock, nothing written.

Beside a running server the answer is what was on disk at some moment of the
reading; a message that was moved or delivered meanwhile may be missing.
"""
import os

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy, memset

from pymomentum.core.base.buf cimport buf_free, buf_t
from pymomentum.core.base.slice cimport slice_of_bytes, slice_t
from pymomentum.core.base.status cimport EC_OK
from pymomentum.core.message.id cimport MESSAGE_ID_TEXT, message_id_t, message_id_text
from pymomentum.core.message.message cimport (ec_message_t, message_free, message_new, meta_decode, state_decode)
from pymomentum.core.message.word cimport word_text
from .large cimport large_record_t
from .layout cimport SEGMENT_COLD, record_header_t
from .reader cimport spool_read
from .recover cimport recovered_keep, recovered_t, spool_recover
from .spool cimport segment_t, spool_look, spool_t, spool_unlook
from . import recover

cdef class Survey:
    """Segments, messages and damage of one spool, whose files stay open for `body`.

    segments   dicts: file, number, kind, size, live (records), live_bytes
    messages   dicts: seq, transaction, large, size, meta, state (bytes; b"" where there is none), version
    damage     lines
    """
    cdef spool_t *spool
    cdef readonly list segments, messages, damage

    def __dealloc__(self):
        if self.spool != NULL:
            spool_unlook(self.spool)

    def body(self, message):
        """Its bytes; None where they cannot be read."""
        if not message["large"]:
            return record_of(self.spool, message)
        size, start = large_of(self.spool, message)
        try:
            with open(large_path((<bytes>self.spool.base).decode(), message["transaction"]), "rb") as f:
                f.seek(start)
                data = f.read(size)
        except OSError:
            return None
        return data if size and len(data) == size else None


def survey(str base not None, bint bodies=False, bint indexes=False):
    """Read the spool in `base`; with `bodies` every message has its `body`.

    With `indexes` sealed segments are asked for their index, as a start does; else every record is verified.

    Raises OSError where there is no spool, or one of an unknown version.
    """
    cdef Survey found = Survey()
    cdef spool_t *s
    cdef segment_t *seg
    cdef buf_t all
    cdef recovered_t r
    cdef size_t at = 0
    cdef uint32_t i
    memset(&all, 0, sizeof(all))
    found.segments, found.messages = [], []
    recover.report()
    found.spool = s = spool_look(base)
    with nogil:
        spool_recover(s, indexes, recovered_keep, &all)
    found.damage = recover.report()
    while at < all.len:
        memcpy(&r, all.ptr + at, sizeof(r))
        at += sizeof(r)
        meta = all.ptr[at:at + r.meta_bytes.len]
        at += r.meta_bytes.len
        state = all.ptr[at:at + r.state_bytes.len] if r.state_bytes.len else b""
        at += r.state_bytes.len
        message = {"seq": r.seq, "transaction": r.body_seq, "large": bool(r.large), "size": r.body_length, "meta": meta,
                   "state": state, "version": r.version, "handle": r.body}
        if r.large:
            message["size"] = large_of(s, message)[0]
        if bodies:
            message["body"] = found.body(message)
        found.messages.append(message)
    buf_free(&all)
    for i in range(s.segments_used):
        seg = &s.segments[i]
        found.segments.append({
            "file": os.path.basename(os.readlink(f"/proc/self/fd/{seg.fd}")), "number": seg.number,
            "kind": "cold" if seg.kind == SEGMENT_COLD else "hot", "size": seg.size, "live": seg.live,
            "live_bytes": seg.live_bytes})
    found.segments.sort(key=lambda entry: entry["number"])
    return found


cdef bytes record_of(spool_t *s, dict message):
    cdef buf_t b
    cdef record_header_t h
    memset(&b, 0, sizeof(b))
    try:
        return b.ptr[:b.len] if spool_read(s, message["handle"], message["transaction"], &h, &b) == EC_OK else None
    finally:
        buf_free(&b)


cdef tuple large_of(spool_t *s, dict message):
    """Size of the body, where it begins in its file."""
    cdef large_record_t large
    record = record_of(s, message)
    if record is None or len(record) != sizeof(large):
        return 0, 0
    memcpy(&large, <char*>record, sizeof(large))
    return large.size, large.start


def large_path(base, seq):
    """Where the body of a large message is."""
    return os.path.join(base, "large", f"{seq:016x}")


def describe(bytes meta not None, bytes state not None=b""):
    """A message's envelope and its newest state as a dict; ValueError where they are of an unknown form."""
    cdef ec_message_t *m = message_new()
    cdef slice_t binding
    if m == NULL:
        raise MemoryError
    try:
        if meta_decode(slice_of_bytes(meta), m) != EC_OK:
            raise ValueError("envelope of an unknown form")
        binding = m.env.binding
        if state and state_decode(slice_of_bytes(state), m, &binding) != EC_OK:
            raise ValueError("state of an unknown form")
        if binding.len == 0:
            binding = m.env.binding
        return {
            "id": id_text(m.id), "id_parts": id_parts(m.id), "batch": id_parts(m.env.batch), "conn": id_parts(m.env.conn),
            "created": m.created_us / 1e6, "next_attempt": m.next_attempt, "retries": m.retries, "method": m.env.method,
            "peer": text(m.env.peer), "sender": text(m.env.mailfrom), "recipient": text(m.env.rcptto),
            "code": word_text(m.code).decode("utf-8", "replace") if m.code else "", "size": m.env.body_size,
            "binding": text(binding)}
    finally:
        message_free(m)


cdef str text(slice_t s):
    return s.ptr[:s.len].decode("utf-8", "surrogateescape") if s.len else ""


cdef str id_text(message_id_t id):
    cdef char out[MESSAGE_ID_TEXT]
    message_id_text(id, out)
    return out[:MESSAGE_ID_TEXT].decode()


cdef tuple id_parts(message_id_t id):
    return id.slot, id.pid, id.counter
