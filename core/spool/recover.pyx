"""Recovery: what the records of all old segments add up to.

One pass over the segments fills maps by sequence; a second gives every meta
that is committed and has no tombstone, with its newest state, in the order it
lies on disk.  What cannot be read is told by `report()`.  A damaged batch
with nothing valid behind it in the newest hot segment is a torn tail: never
synced, so never acknowledged, and dropped whole.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, qsort, realloc
from libc.string cimport memcpy, memset

from pymomentum.core.base.buf cimport buf_add, buf_clear, buf_free, buf_printf, buf_t
from pymomentum.core.base.crc cimport crc32c
from pymomentum.core.base.slice cimport slice_make, slice_mix, slice_t
from pymomentum.core.base.status cimport EC_OK
from pymomentum.core.c.posix cimport pread, pthread_cond_signal, pthread_mutex_lock, pthread_mutex_unlock
from .layout cimport *
from .places cimport place_new
from .reader cimport record_read
from .spool cimport SEGMENT_GONE, SEGMENT_SEALED, segment_t, spool_main, spool_t

cdef enum:
    WINDOW = 4 << 20            # read at a time

# Open addressing, key 0 free; values live in one array so that they can be sorted.
cdef struct found_t:
    uint64_t seq
    uint64_t ref                # transaction; state: version
    uint32_t segment
    uint32_t offset
    uint32_t length
    uint32_t count              # commit: metas; body: metas still alive
    uint8_t type
    uint8_t flags
    uint32_t handle

cdef struct map_t:
    found_t *slots
    size_t size
    size_t used

cdef struct scan_t:
    spool_t *spool
    map_t metas
    map_t bodies
    map_t commits
    map_t states
    map_t tombs
    map_t aborts
    map_t torn                  # transactions of a torn tail
    map_t seen                  # commit -> metas found beside it
    bint out_of_memory

cdef buf_t notes                # one line per thing that could not be read


cdef found_t *map_at(map_t *m, uint64_t seq) noexcept nogil:
    cdef size_t mask = m.size - 1, i
    if m.size == 0:
        return NULL
    i = <size_t>slice_mix(seq ^ <uint64_t>0x9e3779b97f4a7c15, <uint64_t>0xa0761d6478bd642f) & mask
    while m.slots[i].seq and m.slots[i].seq != seq:
        i = (i + 1) & mask
    return &m.slots[i]


cdef found_t *map_get(map_t *m, uint64_t seq) noexcept nogil:
    cdef found_t *f = map_at(m, seq)
    return f if f != NULL and f.seq else NULL


cdef found_t *map_put(map_t *m, uint64_t seq) noexcept nogil:
    """The entry of seq, made where it is missing (then its fields are zero); NULL: no memory."""
    cdef map_t bigger
    cdef found_t *f
    cdef size_t i
    if (m.used + 1) * 4 > m.size * 3:
        bigger.size = m.size * 2 if m.size else 1024
        bigger.used = m.used
        bigger.slots = <found_t*>calloc(bigger.size, sizeof(found_t))
        if bigger.slots == NULL:
            return NULL
        for i in range(m.size):
            if m.slots[i].seq:
                map_at(&bigger, m.slots[i].seq)[0] = m.slots[i]
        free(m.slots)
        m[0] = bigger
    f = map_at(m, seq)
    if f.seq == 0:
        f.seq = seq
        m.used += 1
    return f


cdef void note(spool_t *s, segment_t *seg, uint64_t offset, const char *what) noexcept nogil:
    buf_printf(&notes, b"segment %llu at %llu: %s\n", <unsigned long long>seg.number, <unsigned long long>offset, what)


cdef bint newer(spool_t *s, found_t *old, segment_t *seg) noexcept nogil:
    """Two copies of one record: the later written one counts."""
    return s.segments[old.segment].number <= seg.number


cdef void take(scan_t *c, segment_t *seg, uint64_t offset, record_header_t *h, const char *payload, bint torn) noexcept nogil:
    cdef spool_t *s = c.spool
    cdef uint32_t where = <uint32_t>(seg - s.segments)
    cdef found_t *f = NULL
    cdef uint32_t i
    cdef map_t *m
    if h.type == RECORD_TOMB or h.type == RECORD_ABORT:
        m = &c.tombs if h.type == RECORD_TOMB else &c.aborts
        for i in range(h.length // 8):
            if map_put(m, (<const uint64_t*>payload)[i]) == NULL:
                c.out_of_memory = True
        return
    if h.seq == 0:
        return
    if h.type == RECORD_COMMIT and h.length == 4:
        f = map_put(&c.commits, h.seq)
        if f != NULL:
            memcpy(&f.count, payload, 4)
            f.segment = where
            f.offset = <uint32_t>offset
    elif h.type == RECORD_META or h.type == RECORD_BODY or h.type == RECORD_LARGE or h.type == RECORD_STATE:
        m = &c.metas if h.type == RECORD_META else (&c.states if h.type == RECORD_STATE else &c.bodies)
        f = map_put(m, h.seq)
        if f != NULL and f.type:
            if h.type == RECORD_META and s.segments[f.segment].kind != seg.kind:
                # an interrupted compaction: the older segment must be finished before cold tombstones go
                (&s.segments[f.segment] if s.segments[f.segment].kind == SEGMENT_HOT else seg).forced = True
            if h.type == RECORD_STATE and h.ref < f.ref:
                return
            if h.type != RECORD_STATE and not newer(s, f, seg):
                return
        if f != NULL:
            f.ref = h.ref
            f.segment = where
            f.offset = <uint32_t>offset
            f.length = h.length
            f.type = h.type
            f.flags = h.flags
        if h.type == RECORD_META and seg.kind == SEGMENT_HOT and f != NULL:
            f = map_put(&c.seen, h.ref)
            if f != NULL:
                f.count += 1
    else:
        return
    if f == NULL:
        c.out_of_memory = True
    elif torn and map_put(&c.torn, h.ref if h.type != RECORD_STATE else h.seq) == NULL:
        c.out_of_memory = True


cdef bint batch_ok(segment_t *seg, const char *p) noexcept nogil:
    cdef batch_header_t *b = <batch_header_t*>p
    return b.magic == SPOOL_BATCH_MAGIC and b.salt == seg.salt and b.length >= SPOOL_BLOCK \
        and b.length % SPOOL_BLOCK == 0 and b.crc == crc32c(0, p + 8, sizeof(batch_header_t) - 8)


cdef bint walk_batch(scan_t *c, segment_t *seg, uint64_t at, const char *p, bint deliver, bint torn) noexcept nogil:
    """Every record of a batch; False where one is damaged."""
    cdef batch_header_t *b = <batch_header_t*>p
    cdef record_header_t *h
    cdef uint64_t i = sizeof(batch_header_t)
    cdef uint32_t n = 0
    cdef bint whole = True
    while n < b.records:
        h = <record_header_t*>(p + i)
        if i + sizeof(record_header_t) > b.length or h.header_crc != crc32c(<uint32_t>seg.salt, h, sizeof(h[0]) - 4) \
                or i + record_space(h.length) > b.length:
            if deliver and not torn:
                note(c.spool, seg, at + i, b"record header damaged, the rest of its batch is lost")
            return False
        if h.payload_crc != crc32c(0, <char*>h + sizeof(h[0]), h.length):
            if deliver and not torn:
                note(c.spool, seg, at + i, b"payload damaged")
            whole = False
        elif deliver:
            take(c, seg, at + i, h, <char*>h + sizeof(h[0]), torn)
        i += record_space(h.length)
        n += 1
    return whole


cdef void scan_segment(scan_t *c, segment_t *seg, bint newest) noexcept nogil:
    """All valid batches.  In the newest hot segment a damaged last batch is a torn tail."""
    cdef uint64_t at = SPOOL_BLOCK, length
    cdef char *p = <char*>malloc(WINDOW)
    cdef char *grown
    cdef size_t cap = WINDOW
    cdef ssize_t n
    cdef bint whole, gap = False
    cdef uint64_t held_at = 0
    cdef char *held = NULL
    cdef uint64_t next_number = 0
    if p == NULL:
        c.out_of_memory = True
        return
    while at + SPOOL_BLOCK <= seg.size:
        n = pread(seg.fd, p, SPOOL_BLOCK, at)
        if n != <ssize_t>SPOOL_BLOCK:
            note(c.spool, seg, at, b"cannot be read")
            at += SPOOL_BLOCK
            continue
        if not batch_ok(seg, p):
            gap = True              # the end, most likely: but look on, a header may have rotted
            at += SPOOL_BLOCK
            continue
        length = (<batch_header_t*>p).length
        if length > cap:
            grown = <char*>malloc(length)
            if grown == NULL:
                c.out_of_memory = True
                break
            memcpy(grown, p, SPOOL_BLOCK)
            free(p)
            p = grown
            cap = length
        if length > seg.size - at or pread(seg.fd, p + SPOOL_BLOCK, length - SPOOL_BLOCK, at + SPOOL_BLOCK) != <ssize_t>(length - SPOOL_BLOCK):
            note(c.spool, seg, at, b"batch cannot be read whole")
            at += SPOOL_BLOCK
            continue
        if held != NULL:            # a damaged batch, and here is a valid one behind it: no torn tail
            walk_batch(c, seg, held_at, held, True, False)
            free(held)
            held = NULL
        if gap and (<batch_header_t*>p).number != next_number:
            note(c.spool, seg, at, b"batches missing before this one")
        gap = False
        next_number = (<batch_header_t*>p).number + 1
        whole = walk_batch(c, seg, at, p, False, False)
        if whole or not newest:
            walk_batch(c, seg, at, p, True, False)
        else:
            held = p
            held_at = at
            p = <char*>malloc(WINDOW)
            cap = WINDOW
            if p == NULL:
                c.out_of_memory = True
                break
        at += length
    if held != NULL:
        note(c.spool, seg, held_at, b"torn last batch, never acknowledged: dropped")
        walk_batch(c, seg, held_at, held, True, True)
        free(held)
    free(p)


cdef int by_place(const void *a, const void *b) noexcept nogil:
    cdef const found_t *x = <const found_t*>a
    cdef const found_t *y = <const found_t*>b
    if x.segment != y.segment:
        return -1 if x.segment < y.segment else 1
    return (x.offset > y.offset) - (x.offset < y.offset)


cdef long give_all(scan_t *c, recovered_fn fn, void *ctx) noexcept nogil:
    cdef spool_t *s = c.spool
    cdef found_t *list = <found_t*>malloc((c.metas.used + 1) * sizeof(found_t))
    cdef found_t *f
    cdef found_t *b
    cdef found_t *st
    cdef size_t i, n = 0
    cdef long given = 0
    cdef buf_t meta
    cdef buf_t state
    cdef record_header_t h
    cdef recovered_t r
    if list == NULL:
        c.out_of_memory = True
        return 0
    for i in range(c.metas.size):
        f = &c.metas.slots[i]
        if f.seq == 0 or map_get(&c.tombs, f.seq) != NULL:
            continue
        if s.segments[f.segment].kind == SEGMENT_HOT and (map_get(&c.commits, f.ref) == NULL or map_get(&c.aborts, f.ref) != NULL
                                                          or map_get(&c.torn, f.ref) != NULL):
            continue
        b = map_get(&c.bodies, f.ref)
        if b == NULL:
            note(s, &s.segments[f.segment], f.offset, b"message without its body, lost")
            continue
        b.count += 1
        list[n] = f[0]
        n += 1
    qsort(list, n, sizeof(found_t), by_place)
    memset(&meta, 0, sizeof(meta))
    memset(&state, 0, sizeof(state))
    for i in range(n):
        f = &list[i]
        buf_clear(&meta)
        if record_read(s.segments[f.segment].fd, f.offset, s.segments[f.segment].salt, &h, &meta) != EC_OK:
            note(s, &s.segments[f.segment], f.offset, b"message cannot be read, lost")
            continue
        memset(&r, 0, sizeof(r))
        b = map_get(&c.bodies, f.ref)
        if b.handle == 0:
            b.handle = place_new(s, b.segment, b.offset, b.length, b.count)
        r.seq = f.seq
        r.body_seq = f.ref
        r.meta = place_new(s, f.segment, f.offset, f.length, 1)
        r.body = b.handle
        r.body_length = b.length
        r.body_flags = b.flags
        r.large = b.type == RECORD_LARGE
        r.meta_bytes = slice_make(meta.ptr, meta.len)
        st = map_get(&c.states, f.seq)
        buf_clear(&state)
        if st != NULL and record_read(s.segments[st.segment].fd, st.offset, s.segments[st.segment].salt, &h, &state) == EC_OK:
            r.state = place_new(s, st.segment, st.offset, st.length, 1)
            r.version = st.ref
            r.state_bytes = slice_make(state.ptr, state.len)
        if r.meta == 0 or r.body == 0:
            c.out_of_memory = True
            break
        fn(ctx, &r)
        given += 1
    buf_free(&meta)
    buf_free(&state)
    free(list)
    return given


cdef long spool_recover(spool_t *s, recovered_fn fn, void *ctx) noexcept nogil:
    cdef scan_t c
    cdef uint32_t i, last = s.old_segments
    cdef uint64_t newest = 0
    cdef long given
    cdef found_t *f
    memset(&c, 0, sizeof(c))
    c.spool = s
    for i in range(last):
        if s.segments[i].state == SEGMENT_SEALED and s.segments[i].kind == SEGMENT_HOT and s.segments[i].number > newest:
            newest = s.segments[i].number
    for i in range(last):
        if s.segments[i].state == SEGMENT_SEALED:
            scan_segment(&c, &s.segments[i], s.segments[i].number == newest)
            s.recover_done += 1
    for i in range(c.commits.size):
        f = &c.commits.slots[i]
        if f.seq and map_get(&c.torn, f.seq) == NULL and map_get(&c.aborts, f.seq) == NULL:
            if (map_get(&c.seen, f.seq).count if map_get(&c.seen, f.seq) != NULL else 0) < f.count:
                note(s, &s.segments[f.segment], f.offset, b"recipients of this transaction are missing")
    given = give_all(&c, fn, ctx)
    if c.out_of_memory:
        buf_printf(&notes, b"out of memory while reading the spool: messages stay on disk until the next start\n")
    free(c.metas.slots)
    free(c.bodies.slots)
    free(c.commits.slots)
    free(c.states.slots)
    free(c.tombs.slots)
    free(c.aborts.slots)
    free(c.torn.slots)
    free(c.seen.slots)
    pthread_mutex_lock(&s.lock)
    s.recovered = not c.out_of_memory
    if s.waiting:
        pthread_cond_signal(&s.work)
    pthread_cond_signal(&s.chores)
    pthread_mutex_unlock(&s.lock)
    return given


def report():
    """What recovery could not read, one line each."""
    cdef bytes text = notes.ptr[:notes.len] if notes.len else b""
    return text.decode().splitlines()
