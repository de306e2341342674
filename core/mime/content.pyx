"""What a message in hand holds: its bytes with their edits, its MIME tree.

A large body is not read for it: whoever needs one asks for it as a stream.
"""
from libc.stdint cimport uint32_t
from libc.string cimport memcpy, memset

from ..base.arena cimport arena_alloc, arena_free
from ..base.buf cimport buf_free, buf_t
from ..base.slice cimport slice_bytes, slice_make, slice_of_bytes
from ..base.status cimport EC_LIMIT, EC_NOMEM, EC_NOTFOUND, EC_OK
from ..config.values cimport (OPT_LEGACY_MESSAGE_THRESHOLD, OPT_MAX_HEADER_BYTES, OPT_MAX_MIME_DEPTH, OPT_MAX_MIME_PARTS,
                              opt_number)
from ..message.message cimport blob_slice, blob_t, envelope_t
from .overlay cimport overlay_render
from .part cimport mime_open, mime_part_t, mime_walk


cdef void content_limits(const values_t *session, const values_t *globals, mime_limits_t *out) noexcept nogil:
    out.bytes = opt_number(globals, OPT_LEGACY_MESSAGE_THRESHOLD)
    out.header_bytes = opt_number(session, OPT_MAX_HEADER_BYTES)
    out.parts = <uint32_t>opt_number(session, OPT_MAX_MIME_PARTS)
    out.depth = <uint32_t>opt_number(session, OPT_MAX_MIME_DEPTH)


cdef int message_content(ec_message_t *m, size_t most, arena_t *arena, slice_t *out) noexcept nogil:
    cdef slice_t body, rest
    cdef buf_t head
    cdef char *p
    cdef int rc
    if m.blob == NULL or m.env == NULL:
        return EC_NOTFOUND
    body = blob_slice(m.blob)
    if m.env.overlay.len == 0:
        out[0] = body
        return EC_OK if body.len <= most else EC_LIMIT
    memset(&head, 0, sizeof(head))
    rc = overlay_render(body, m.env.overlay, &head, &rest)
    if rc == EC_OK and head.len + rest.len > most:
        rc = EC_LIMIT
    if rc == EC_OK:
        p = <char*>arena_alloc(arena, head.len + rest.len + 1)
        if p != NULL:
            memcpy(p, head.ptr, head.len)
            if rest.len:
                memcpy(p + head.len, rest.ptr, rest.len)
            out[0] = slice_make(p, head.len + rest.len)
        else:
            rc = EC_NOMEM
    buf_free(&head)
    return rc


cdef int message_parts(ec_message_t *m, const mime_limits_t *limits, arena_t *arena, mime_tree_t *out) noexcept nogil:
    cdef slice_t content
    cdef int rc = message_content(m, limits.bytes, arena, &content)
    return mime_open(out, content, limits, arena) if rc == EC_OK else rc


def parts(bytes body, bytes overlay not None=b"", size_t size=1 << 20, size_t header=1 << 20, uint32_t parts=1000,
          uint32_t depth=50):
    """The parts of a message, each as (type, header, text); body None: swapped out.  Raises LookupError, OverflowError."""
    cdef arena_t arena
    cdef mime_tree_t t
    cdef mime_limits_t limits
    cdef mime_part_t *p
    cdef ec_message_t m
    cdef blob_t blob
    cdef envelope_t env
    cdef uint32_t i
    cdef int rc
    memset(&arena, 0, sizeof(arena))
    memset(&m, 0, sizeof(m))
    memset(&blob, 0, sizeof(blob))
    memset(&env, 0, sizeof(env))
    limits.bytes, limits.header_bytes, limits.parts, limits.depth = size, header, parts, depth
    m.env = &env
    env.overlay = slice_of_bytes(overlay)
    if body is not None:
        blob.ptr, blob.len = <char*><bytes>body, len(body)
        m.blob = &blob
    try:
        with nogil:
            rc = message_parts(&m, &limits, &arena, &t)
            if rc == EC_OK:
                rc = mime_walk(&t)
        if rc == EC_NOTFOUND:
            raise LookupError("the body is not in memory")
        if rc != EC_OK:
            raise OverflowError("larger than its limits") if rc == EC_LIMIT else MemoryError
        found = []
        for i in range(t.n):
            p = &t.parts[i]
            found.append((slice_bytes(p.type) + b"/" + slice_bytes(p.subtype),
                          t.message.ptr[p.headers_start:p.preamble_start], t.message.ptr[p.body_start:p.body_end]))
        return found
    finally:
        arena_free(&arena)
