"""Recovery: what the records of all old segments add up to.

One pass over the segments fills maps by sequence; a second gives every meta
that has its body and no tombstone, with its newest state, in the order it
lies on disk.  What cannot be read is told by `report()`.

Damage costs the records it hit: behind a header that does not verify the scan
looks for the next record that does.  A transaction without its last META is
dropped where it lies at the end of the newest hot segment (it was being
written, so never acknowledged), and given elsewhere.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, qsort
from libc.string cimport memcpy, memset

from pymomentum.core.base.buf cimport buf_add, buf_clear, buf_free, buf_printf, buf_reserve, buf_slice, buf_t
from pymomentum.core.base.crc cimport crc32c
from pymomentum.core.base.slice cimport slice_make, slice_mix, slice_t
from pymomentum.core.base.status cimport EC_NOMEM, EC_OK
from pymomentum.core.c.posix cimport pread, pthread_cond_signal, pthread_mutex_lock, pthread_mutex_unlock
from pymomentum.core.message.id cimport MESSAGE_ID_TEXT, message_id_text
from pymomentum.core.message.message cimport ec_message_t, message_free, message_new, meta_decode
from .index cimport index_find
from .layout cimport *
from .places cimport place_new
from .reader cimport record_read
from .spool cimport SEGMENT_SEALED, segment_t, spool_main, spool_t
from .window cimport window_read, windows_free, windows_t

cdef enum:
    WINDOW = 1 << 20            # read at a time while looking for something valid
    AHEAD = 16                  # entries fetched before they are needed

cdef extern from *:
    void prefetch "__builtin_prefetch"(const void*) noexcept nogil

# Open addressing, key 0 free; values live in one array so that they can be sorted.
cdef struct found_t:
    uint64_t seq
    uint64_t ref                # transaction; state: version
    uint32_t segment
    uint32_t offset
    uint32_t length
    uint32_t count              # commits: metas; body: metas still alive; meta: 1 where an index vouches for it
    uint8_t type
    uint8_t flags
    uint32_t handle

cdef struct gift_t:             # a message to be given, in the order of the disk
    uint64_t place              # segment << 32 | offset
    found_t *meta
    found_t *body

cdef struct map_t:
    found_t *slots
    size_t size
    size_t used

cdef struct scan_t:
    spool_t *spool
    map_t metas
    map_t bodies
    map_t commits               # transaction -> its last meta
    map_t states
    map_t tombs
    map_t aborts
    map_t seen                  # transaction -> metas found of it
    segment_t *newest           # hot segment
    uint64_t tail               # where its last batch begins
    bint indexes                # a sealed segment's index is asked first
    bint by_index               # while one is read
    bint out_of_memory

cdef buf_t notes                # one line per thing that could not be read


cdef inline size_t first_slot(const map_t *m, uint64_t seq) noexcept nogil:
    return <size_t>slice_mix(seq ^ <uint64_t>0x9e3779b97f4a7c15, <uint64_t>0xa0761d6478bd642f) & (m.size - 1)


cdef inline void map_soon(const map_t *m, uint64_t seq) noexcept nogil:
    """It will be asked for: millions of entries are in no cache."""
    if m.size:
        prefetch(&m.slots[first_slot(m, seq)])


cdef found_t *map_at(map_t *m, uint64_t seq) noexcept nogil:
    cdef size_t mask = m.size - 1, i
    if m.size == 0:
        return NULL
    i = first_slot(m, seq)
    while m.slots[i].seq and m.slots[i].seq != seq:
        i = (i + 1) & mask
    return &m.slots[i]


cdef found_t *map_get(map_t *m, uint64_t seq) noexcept nogil:
    cdef found_t *f = map_at(m, seq)
    return f if f != NULL and f.seq else NULL


cdef bint map_room(map_t *m, size_t n) noexcept nogil:
    """For n entries in all; False: no memory."""
    cdef map_t bigger
    cdef size_t i
    if n * 4 <= m.size * 3:
        return True
    bigger.size = m.size if m.size else 1024
    while n * 4 > bigger.size * 3:
        bigger.size *= 2
    bigger.used = m.used
    bigger.slots = <found_t*>calloc(bigger.size, sizeof(found_t))
    if bigger.slots == NULL:
        return False
    for i in range(m.size):
        if m.slots[i].seq:
            map_at(&bigger, m.slots[i].seq)[0] = m.slots[i]
    free(m.slots)
    m[0] = bigger
    return True


cdef found_t *map_put(map_t *m, uint64_t seq) noexcept nogil:
    """The entry of seq, made where it is missing (then its fields are zero); NULL: no memory."""
    cdef found_t *f
    if not map_room(m, m.used + 1):
        return NULL
    f = map_at(m, seq)
    if f.seq == 0:
        f.seq = seq
        m.used += 1
    return f


cdef void note(segment_t *seg, uint64_t offset, const char *what) noexcept nogil:
    buf_printf(&notes, b"segment %llu at %llu: %s\n", <unsigned long long>seg.number, <unsigned long long>offset, what)


cdef bint newer(spool_t *s, found_t *old, segment_t *seg) noexcept nogil:
    """Of two copies of one record the later written one counts; copies go from hot to cold."""
    if s.segments[old.segment].kind != seg.kind:
        return seg.kind == SEGMENT_COLD
    return s.segments[old.segment].number <= seg.number


cdef inline map_t *map_of(scan_t *c, uint8_t type) noexcept nogil:
    return &c.metas if type == RECORD_META else (&c.states if type == RECORD_STATE else &c.bodies)


cdef void take_index(scan_t *c, segment_t *seg, index_entry_t *list_, size_t n) noexcept nogil:
    cdef record_header_t h
    cdef size_t i
    for i in range(n):
        if i + AHEAD < n:
            map_soon(map_of(c, list_[i + AHEAD].type), list_[i + AHEAD].seq)
        h.type = list_[i].type
        h.flags = list_[i].flags
        h.seq = list_[i].seq
        h.ref = list_[i].ref
        h.length = list_[i].length
        if h.type < RECORD_TOMB:
            take(c, seg, list_[i].offset, &h, NULL)


cdef void take(scan_t *c, segment_t *seg, uint64_t offset, record_header_t *h, const char *payload) noexcept nogil:
    """One record; without payload it is known from an index."""
    cdef spool_t *s = c.spool
    cdef uint32_t where = <uint32_t>(seg - s.segments)
    cdef found_t *f = NULL
    cdef uint32_t i
    cdef map_t *m
    if h.type == RECORD_INDEX:
        if c.by_index:
            take_index(c, seg, <index_entry_t*>payload, h.length // sizeof(index_entry_t))
        return
    if h.type == RECORD_TOMB or h.type == RECORD_ABORT:
        m = &c.tombs if h.type == RECORD_TOMB else &c.aborts
        for i in range(h.length // 8):
            f = map_put(m, (<const uint64_t*>payload)[i])
            if f == NULL:
                c.out_of_memory = True
            elif seg.kind == SEGMENT_COLD:
                f.count = 1             # it may be the only one there is
        return
    if h.seq == 0:
        return
    if h.type == RECORD_META or h.type == RECORD_BODY or h.type == RECORD_LARGE or h.type == RECORD_STATE:
        m = map_of(c, h.type)
        f = map_put(m, h.seq)
        if f != NULL and f.type:
            if h.type == RECORD_META and s.segments[f.segment].kind != seg.kind:
                # a compaction that did not end: the hot segment must be finished before cold tombstones go
                (&s.segments[f.segment] if s.segments[f.segment].kind == SEGMENT_HOT else seg).forced = True
            if h.type == RECORD_STATE and h.ref != f.ref:
                if h.ref < f.ref:
                    return
            elif not newer(s, f, seg):
                return
        if f != NULL:
            f.ref = h.ref
            f.segment = where
            f.offset = <uint32_t>offset
            f.length = h.length
            f.type = h.type
            f.flags = h.flags
            if h.type == RECORD_META:
                f.count = payload == NULL
        if payload != NULL and h.type == RECORD_META and seg.kind == SEGMENT_HOT and f != NULL:
            f = map_put(&c.seen, h.ref)
            if f != NULL:
                f.count += 1
            if f != NULL and h.count:
                f = map_put(&c.commits, h.ref)
                if f != NULL:
                    f.count = h.count
                    f.segment = where
                    f.offset = <uint32_t>offset
    else:
        return
    if f == NULL:
        c.out_of_memory = True


cdef bint batch_ok(segment_t *seg, const char *p) noexcept nogil:
    cdef batch_header_t *b = <batch_header_t*>p
    return b.magic == SPOOL_BATCH_MAGIC and b.salt == seg.salt and b.length >= SPOOL_BLOCK \
        and b.length % SPOOL_BLOCK == 0 and b.crc == crc32c(0, p + 8, sizeof(batch_header_t) - 8)


cdef bint header_ok(segment_t *seg, const char *p) noexcept nogil:
    cdef record_header_t *h = <record_header_t*>p
    return RECORD_BODY <= h.type <= RECORD_INDEX and h.header_crc == crc32c(<uint32_t>seg.salt, h, sizeof(h[0]) - 4)


cdef bint take_at(scan_t *c, segment_t *seg, uint64_t at, buf_t *room) noexcept nogil:
    """One record whose header verifies; False where its payload does not."""
    cdef record_header_t h
    cdef int rc
    buf_clear(room)
    rc = record_read(seg.fd, at, seg.salt, &h, room)
    if rc == EC_NOMEM:
        c.out_of_memory = True
    if rc == EC_OK:
        take(c, seg, at, &h, room.ptr)
    else:
        buf_printf(&notes, b"segment %llu at %llu: payload damaged, record of type %u with sequence %llu\n",
                   <unsigned long long>seg.number, <unsigned long long>at, <unsigned int>h.type, <unsigned long long>h.seq)
    return rc == EC_OK


cdef uint32_t salvage(scan_t *c, segment_t *seg, uint64_t at, uint64_t end, buf_t *room) noexcept nogil:
    """All records that verify between at and end; how many."""
    cdef char *p = <char*>malloc(WINDOW)
    cdef record_header_t *h
    cdef uint64_t from_ = at
    cdef uint32_t n = 0
    cdef ssize_t got
    if p == NULL:
        c.out_of_memory = True
        return 0
    while at + sizeof(record_header_t) <= end:
        got = pread(seg.fd, p, WINDOW if end - at > WINDOW else <size_t>(end - at), at)
        if got < <ssize_t>sizeof(record_header_t):
            at += SPOOL_BLOCK
            continue
        from_ = at
        while at + sizeof(record_header_t) <= from_ + got:
            h = <record_header_t*>(p + (at - from_))
            if header_ok(seg, <char*>h) and at + record_space(h.length) <= end:
                n += take_at(c, seg, at, room)
                at += record_space(h.length)
            else:
                at += 8
    free(p)
    return n


cdef void walk_batch(scan_t *c, segment_t *seg, uint64_t at, uint64_t end, uint32_t records, buf_t *room) noexcept nogil:
    cdef record_header_t h
    cdef uint32_t n = 0
    at += sizeof(batch_header_t)
    while n < records:
        if at + sizeof(h) > end or pread(seg.fd, &h, sizeof(h), at) != <ssize_t>sizeof(h) or not header_ok(seg, <char*>&h) \
                or at + record_space(h.length) > end:
            note(seg, at, b"record header damaged")
            salvage(c, seg, at + 8, end, room)
            return
        take_at(c, seg, at, room)
        at += record_space(h.length)
        n += 1


cdef uint64_t next_batch(segment_t *seg, uint64_t at) noexcept nogil:
    """Where the next valid batch header lies, or the segment's end."""
    cdef char block[4096]
    while at + SPOOL_BLOCK <= seg.size:
        if pread(seg.fd, block, sizeof(block), at) == <ssize_t>sizeof(block) and batch_ok(seg, block):
            return at
        at += SPOOL_BLOCK
    return seg.size


cdef void scan_segment(scan_t *c, segment_t *seg) noexcept nogil:
    cdef uint64_t at = SPOOL_BLOCK, start, expected = 0, end
    cdef batch_header_t b
    cdef buf_t room
    cdef bint lost
    memset(&room, 0, sizeof(room))
    while at < seg.size:
        start = next_batch(seg, at)
        lost = start > at and salvage(c, seg, at, start, &room) > 0
        if lost:
            note(seg, at, b"batch header damaged")
        if start == seg.size:
            break
        if seg == c.newest:
            c.tail = start
        if pread(seg.fd, &b, sizeof(b), start) != <ssize_t>sizeof(b):
            note(seg, start, b"cannot be read")
            at = start + SPOOL_BLOCK
            continue
        if b.number != expected and not lost:
            note(seg, start, b"batches missing before this one")
        expected = b.number + 1
        end = start + b.length
        if end > seg.size:
            note(seg, start, b"batch cut off")
            end = seg.size
        walk_batch(c, seg, start, end, b.records, &room)
        at = end
    buf_free(&room)


cdef bint read_index(scan_t *c, segment_t *seg) noexcept nogil:
    """Instead of a scan; False where there is no index that verifies as a whole."""
    cdef segment_trailer_t t
    cdef record_header_t *h
    cdef buf_t b
    cdef uint64_t at = sizeof(batch_header_t)
    cdef uint32_t n = 0
    if index_find(seg, &t) != EC_OK:
        return False
    memset(&b, 0, sizeof(b))
    if buf_reserve(&b, t.length) != EC_OK:
        return False
    if pread(seg.fd, b.ptr, t.length, t.at) != <ssize_t>t.length or not batch_ok(seg, b.ptr):
        buf_free(&b)
        return False
    while n < t.records:                # first whether all of it is sound, then what it says
        h = <record_header_t*>(b.ptr + at)
        if at + sizeof(h[0]) > t.length or not header_ok(seg, b.ptr + at) or at + record_space(h.length) > t.length \
                or h.payload_crc != crc32c(0, b.ptr + at + sizeof(h[0]), h.length):
            buf_free(&b)
            return False
        at += record_space(h.length)
        n += 1
    at = sizeof(batch_header_t)
    c.by_index = True
    while n:
        h = <record_header_t*>(b.ptr + at)
        take(c, seg, t.at + at, h, b.ptr + at + sizeof(h[0]))
        at += record_space(h.length)
        n -= 1
    c.by_index = False
    buf_free(&b)
    return True


cdef void note_without_body(found_t *f, segment_t *seg) noexcept nogil:
    cdef record_header_t h
    cdef char id[MESSAGE_ID_TEXT]
    cdef buf_t b
    cdef ec_message_t *m = message_new()
    memset(&b, 0, sizeof(b))
    if m != NULL and record_read(seg.fd, f.offset, seg.salt, &h, &b) == EC_OK and meta_decode(buf_slice(&b), m) == EC_OK:
        message_id_text(m.id, id)
        buf_printf(&notes, b"message %.20s without its body, lost\n", id)
    else:
        note(seg, f.offset, b"message without its body, lost")
    buf_free(&b)
    if m != NULL:
        message_free(m)


cdef int by_place(const void *a, const void *b) noexcept nogil:
    cdef uint64_t x = (<const gift_t*>a).place, y = (<const gift_t*>b).place
    return (x > y) - (x < y)


cdef long give_all(scan_t *c, recovered_fn fn, void *ctx) noexcept nogil:
    cdef spool_t *s = c.spool
    cdef gift_t *list = <gift_t*>malloc((c.metas.used + 1) * sizeof(gift_t))
    cdef found_t *f
    cdef found_t *b
    cdef found_t *st
    cdef found_t *tomb
    cdef size_t i, n = 0
    cdef long given = 0
    cdef segment_t *seg
    cdef buf_t meta
    cdef buf_t state
    cdef record_header_t h
    cdef recovered_t r
    cdef windows_t *windows = <windows_t*>calloc(1, sizeof(windows_t))
    if list == NULL or windows == NULL:
        free(list)
        free(windows)
        c.out_of_memory = True
        return 0
    for i in range(c.metas.size):
        if i + AHEAD < c.metas.size and c.metas.slots[i + AHEAD].seq:
            map_soon(&c.tombs, c.metas.slots[i + AHEAD].seq)
            map_soon(&c.bodies, c.metas.slots[i + AHEAD].ref)
        f = &c.metas.slots[i]
        if f.seq == 0:
            continue
        seg = &s.segments[f.segment]
        tomb = map_get(&c.tombs, f.seq)
        if tomb != NULL:
            # its copy was compacted and died in the cold log, whose index does not speak of the dead: the hot segment
            # must be finished before that tombstone goes
            if tomb.count and seg.kind == SEGMENT_HOT:
                seg.forced = True
            continue
        if seg.kind == SEGMENT_HOT and map_get(&c.aborts, f.ref) != NULL:
            continue
        if seg.kind == SEGMENT_HOT and not f.count and map_get(&c.commits, f.ref) == NULL:
            if seg == c.newest and f.offset >= c.tail:
                note(seg, f.offset, b"transaction that was not written whole, never acknowledged: dropped")
                continue
            note(seg, f.offset, b"transaction has lost its end; what can be read of it is delivered")
        b = map_get(&c.bodies, f.ref)
        if b == NULL:
            note_without_body(f, seg)
            continue
        b.count += 1
        list[n].place = <uint64_t>f.segment << 32 | f.offset
        list[n].meta = f
        list[n].body = b
        n += 1
    qsort(list, n, sizeof(gift_t), by_place)
    memset(&meta, 0, sizeof(meta))
    memset(&state, 0, sizeof(state))
    for i in range(n):
        if i + AHEAD < n:
            prefetch(list[i + AHEAD].meta)
            prefetch(list[i + AHEAD].body)
        if i + AHEAD // 2 < n:
            map_soon(&c.states, list[i + AHEAD // 2].meta.seq)
        f = list[i].meta
        seg = &s.segments[f.segment]
        buf_clear(&meta)
        if window_read(windows, seg, f.offset, f.length, &h, &meta) != EC_OK:
            note(seg, f.offset, b"message cannot be read, lost")
            continue
        memset(&r, 0, sizeof(r))
        b = list[i].body
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
        if st != NULL and window_read(windows, &s.segments[st.segment], st.offset, st.length, &h, &state) == EC_OK:
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
    windows_free(windows)
    free(windows)
    free(list)
    return given


cdef int newest_first(const void *a, const void *b) noexcept nogil:
    cdef const segment_t *x = (<segment_t**>a)[0]
    cdef const segment_t *y = (<segment_t**>b)[0]
    return (x.number < y.number) - (x.number > y.number)


cdef void expect(scan_t *c, segment_t **list_, uint32_t n) noexcept nogil:
    """Room in the maps for what the indexes name: a third of it each, by experience."""
    cdef segment_trailer_t t
    cdef uint64_t entries = 0
    cdef uint32_t i
    for i in range(n):
        if index_find(list_[i], &t) == EC_OK:
            entries += t.length // sizeof(index_entry_t)
    map_room(&c.metas, entries // 3)
    map_room(&c.bodies, entries // 3)


cdef void read_segments(scan_t *c) noexcept nogil:
    cdef spool_t *s = c.spool
    cdef segment_t **list_ = <segment_t**>malloc((s.old_segments + 1) * sizeof(segment_t*))
    cdef uint32_t i, n = 0
    if list_ == NULL:
        c.out_of_memory = True
        return
    for i in range(s.old_segments):
        if s.segments[i].state == SEGMENT_SEALED:
            list_[n] = &s.segments[i]
            n += 1
    qsort(list_, n, sizeof(segment_t*), newest_first)
    for i in range(n):
        if list_[i].kind == SEGMENT_HOT and c.newest == NULL:
            c.newest = list_[i]
    if c.indexes:
        expect(c, list_, n)
    for i in range(n):
        if not c.indexes or not read_index(c, list_[i]):
            scan_segment(c, list_[i])
            s.recover_scanned += 1
        s.recover_done += 1
    free(list_)


cdef long spool_recover(spool_t *s, bint indexes, recovered_fn fn, void *ctx) noexcept nogil:
    cdef scan_t c
    cdef uint32_t i
    cdef long given
    cdef found_t *f
    memset(&c, 0, sizeof(c))
    c.spool = s
    c.indexes = indexes
    read_segments(&c)
    for i in range(c.commits.size):
        f = &c.commits.slots[i]
        if f.seq and map_get(&c.aborts, f.seq) == NULL:
            if (map_get(&c.seen, f.seq).count if map_get(&c.seen, f.seq) != NULL else 0) < f.count:
                note(&s.segments[f.segment], f.offset, b"recipients of this transaction are missing")
    given = give_all(&c, fn, ctx)
    if c.out_of_memory:
        buf_printf(&notes, b"out of memory while reading the spool: messages stay on disk until the next start\n")
    free(c.metas.slots)
    free(c.bodies.slots)
    free(c.commits.slots)
    free(c.states.slots)
    free(c.tombs.slots)
    free(c.aborts.slots)
    free(c.seen.slots)
    pthread_mutex_lock(&s.lock)
    s.recovered = not c.out_of_memory
    s.tidy = True
    if s.waiting:
        pthread_cond_signal(&s.work)
    pthread_cond_signal(&s.chores)
    pthread_mutex_unlock(&s.lock)
    return given


cdef void recovered_keep(void *ctx, recovered_t *r) noexcept nogil:
    cdef buf_t *all = <buf_t*>ctx
    cdef size_t before = all.len
    if buf_add(all, <char*>r, sizeof(r[0])) != EC_OK or buf_add(all, r.meta_bytes.ptr, r.meta_bytes.len) != EC_OK \
            or buf_add(all, r.state_bytes.ptr, r.state_bytes.len) != EC_OK:
        all.len = before


def report():
    """What could not be read since the last call, one line each."""
    cdef bytes text = notes.ptr[:notes.len] if notes.len else b""
    buf_clear(&notes)
    return text.decode().splitlines()


def tell(str line):
    """Add a line to the report."""
    cdef bytes text = line.encode("utf-8", "surrogateescape") + b"\n"
    buf_add(&notes, text, len(text))
