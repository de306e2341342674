"""The flusher: one thread per spool that writes every batch.

A round takes what the loops handed over while the last sync ran, writes one
batch to the hot log (transactions, states, tombstones, aborts) and, where
tombstones or survivors belong there, to the cold log; syncs when a
transaction waits or SYNC_MS have passed; then answers.  A write or sync that
fails condemns the segment: its transactions are refused and aborted by id in
the next one, tombstones and states not yet synced are written again there.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from pymomentum.core.base.atomic cimport atomic_add64, atomic_load32, atomic_store32
from pymomentum.core.base.buf cimport buf_add, buf_clear, buf_consume, buf_free, buf_t
from pymomentum.core.base.clock cimport clock_mono_ms, clock_mono_ns
from pymomentum.core.base.slice cimport slice_make, slice_t
from pymomentum.core.base.status cimport EC_IO, EC_LIMIT, EC_OK
from pymomentum.core.c.posix cimport (cond_wait_ms, fdatasync, last_errno, pread, pthread_cond_signal, pthread_cond_wait,
                                      pthread_mutex_lock, pthread_mutex_unlock, pthread_self, pthread_setname_np)
from pymomentum.core.c.sched cimport thread_prompt
from pymomentum.core.loop.loop cimport loop_post
from .batch cimport batch_add, batch_begin, batch_t, batch_write
from .index cimport index_clear, index_ids, index_record, index_seal, index_space
from .bulk cimport bulk_remove_fd
from .layout cimport *
from .places cimport place_drop, place_get, place_move, place_new
from .segment cimport segment_open
from .spool cimport *

cdef enum:
    BATCH_BYTES = 4 << 20       # a round takes no more, unless one transaction is larger
    TOMB_MS = 10                # a tombstone waits no longer for company
    SYNC_MS = 100               # and is synced at the latest then
    LARGE_PAYLOAD = 16          # sizeof large_record_t
    PART = 64 << 10             # bytes of tombstones, of aborts, of states in one batch

cdef struct need_t:             # what goes into a batch takes of a segment
    uint64_t bytes
    uint64_t entries            # of the index
    uint64_t ids                # likewise


cdef int sync_segment(spool_t *s, segment_t *seg) noexcept nogil:
    atomic_add64(&s.stat_syncs, 1)
    if fdatasync(seg.fd) != 0:
        atomic_store32(&s.degraded, last_errno())
        return EC_IO
    seg.synced = True
    return EC_OK


cdef int sync_hot(spool_t *s) noexcept nogil:
    """What was written to the current hot segment counts from here on."""
    if sync_segment(s, s.hot.current) != EC_OK:
        return EC_IO
    settle_states(s, s.hot.current)
    index_ids(&s.hot, &s.hot.tombs, slice_make(s.redo_tombs.ptr, s.hot_tombs_written))
    index_ids(&s.hot, &s.hot.aborts, slice_make(s.aborts.ptr, s.aborts_written))
    buf_consume(&s.redo_tombs, s.hot_tombs_written)
    buf_consume(&s.aborts, s.aborts_written)
    s.hot_tombs_written = 0
    s.aborts_written = 0
    s.unsynced_ms = 0
    return EC_OK


cdef int room(spool_t *s, spool_log_t *log, need_t need) noexcept nogil:
    """A current segment that takes it; a full one is synced and sealed first."""
    if log.current != NULL and log.current.used + block_up(need.bytes + sizeof(batch_header_t)) \
            + index_space(log.current, need.entries, need.ids) > log.current.size:
        if (sync_hot(s) if log == &s.hot else sync_segment(s, log.current)) != EC_OK:
            return EC_IO
        index_seal(s, log)
    return segment_open(s, log) if log.current == NULL else EC_OK


cdef bint fits(spool_t *s, need_t need) noexcept nogil:
    """Into an empty segment, between its headers."""
    cdef segment_t empty
    empty.entries = 0
    empty.ids = 0
    return block_up(need.bytes + sizeof(batch_header_t)) + index_space(&empty, need.entries, need.ids) + 2 * SPOOL_BLOCK \
        <= s.segment_size


cdef inline need_t plus(need_t a, need_t b) noexcept nogil:
    a.bytes += b.bytes
    a.entries += b.entries
    a.ids += b.ids
    return a


cdef inline need_t need_of_ids(slice_t ids) noexcept nogil:
    cdef need_t n
    n.bytes = record_space(<uint32_t>ids.len)
    n.entries = 0
    n.ids = ids.len // 8
    return n


cdef need_t need_of_txn(spool_txn_t *t) noexcept nogil:
    cdef need_t n
    cdef uint32_t i
    n.bytes = record_space(<uint32_t>t.body.len)
    for i in range(t.metas_count):
        n.bytes += record_space(<uint32_t>t.metas[i].bytes.len)
    n.entries = 1 + t.metas_count
    n.ids = 0
    return n


cdef int add_txn(spool_t *s, batch_t *b, spool_txn_t *t, uint32_t *offsets) noexcept nogil:
    """Body, metas; the last one commits.  offsets: body first, then each meta."""
    cdef uint32_t i, n = t.metas_count
    cdef int rc = batch_add(s, b, RECORD_LARGE if t.large else RECORD_BODY, t.flags, 0, t.seq, t.seq, t.body,
                            t.body.len > 512, offsets)
    for i in range(n):
        if rc == EC_OK:
            rc = batch_add(s, b, RECORD_META, 0, <uint16_t>(n if i == n - 1 else 0), t.metas[i].seq, t.seq, t.metas[i].bytes, False,
                           offsets + 1 + i)
    return rc


cdef void condemn(spool_t *s, spool_log_t *log) noexcept nogil:
    """Nothing more is written to the current segment.  A hot one of which nothing was ever synced goes."""
    cdef segment_t *seg = log.current
    cdef segment_t **at = &log.oldest
    if seg != NULL:
        seg.state = SEGMENT_SEALED
        log.current = NULL
        index_clear(log)
    if log != &s.hot:
        return
    s.hot_tombs_written = 0
    s.aborts_written = 0
    s.unsynced_ms = 0
    s.held = join(s.written, s.held)
    s.written = NULL
    if seg == NULL or seg.synced:
        return
    while at[0] != seg:
        at = &at[0].next
    at[0] = seg.next
    atomic_add64(<uint64_t*>&s.total_bytes, -<int64_t>(seg.size + SPOOL_BLOCK))
    bulk_remove_fd(seg.fd, NULL)
    seg.fd = -1
    seg.state = SEGMENT_GONE


cdef void answer(spool_txn_t *t, int rc) noexcept nogil:
    t.rc = rc
    loop_post(t.loop, &t.post)


cdef void answer_state(spool_state_t *st) noexcept nogil:
    loop_post(st.loop, &st.post)


cdef slice_t part_of(buf_t *ids, size_t written) noexcept nogil:
    """What one batch takes of a list of sequences."""
    cdef size_t n = ids.len - written
    return slice_make(ids.ptr + written, n if n < PART else PART)


cdef int write_ids(spool_t *s, batch_t *b, uint8_t kind, slice_t ids) noexcept nogil:
    cdef uint32_t unused
    return batch_add(s, b, kind, 0, 0, 0, 0, ids, False, &unused) if ids.len else EC_OK


cdef spool_state_t *states_part(spool_state_t *list, need_t *need) noexcept nogil:
    """Where the next batch of states begins; what those before it need."""
    cdef spool_state_t *st = list
    need.bytes = 0
    need.entries = 0
    need.ids = 0
    while st != NULL and (need.bytes == 0 or need.bytes + record_space(st.length) <= PART):
        need.bytes += record_space(st.length)
        need.entries += 1
        st = st.next
    return st


cdef int write_states(spool_t *s, batch_t *b, spool_state_t *list, spool_state_t *end) noexcept nogil:
    cdef spool_state_t *st = list
    cdef int rc = EC_OK
    while st != end and rc == EC_OK:
        rc = batch_add(s, b, RECORD_STATE, 0, 0, st.seq, st.version, slice_make(st.bytes, st.length), False,
                       &st.handle)                          # its offset until it is synced
        st = st.next
    return rc


cdef void settle_states(spool_t *s, segment_t *seg) noexcept nogil:
    cdef spool_state_t *st = s.written
    cdef spool_state_t *next
    cdef uint32_t offset
    s.written = NULL
    while st != NULL:
        next = st.next
        offset = st.handle
        st.handle = place_new(s, <uint32_t>(seg - s.segments), offset, st.length, 1)
        index_record(&s.hot, st.handle, RECORD_STATE, 0, st.seq, st.version, offset, st.length)
        if st.old:
            place_drop(s, st.old)
        answer_state(st)
        st = next


cdef int settle_txn(spool_t *s, segment_t *seg, spool_txn_t *t, uint32_t *offsets) noexcept nogil:
    """Into the books; without memory for them it is refused, for what they do not hold could never be forgotten."""
    cdef uint32_t i, where = <uint32_t>(seg - s.segments)
    cdef int rc = EC_OK
    t.body_handle = place_new(s, where, offsets[0], <uint32_t>t.body.len, t.metas_count)
    for i in range(t.metas_count):
        t.metas[i].handle = place_new(s, where, offsets[1 + i], <uint32_t>t.metas[i].bytes.len, 1)
        if t.metas[i].handle == 0:
            rc = EC_IO
    if rc == EC_OK and t.body_handle:
        index_record(&s.hot, t.body_handle, RECORD_LARGE if t.large else RECORD_BODY, t.flags, t.seq, t.seq, offsets[0],
                     <uint32_t>t.body.len)
        for i in range(t.metas_count):
            index_record(&s.hot, t.metas[i].handle, RECORD_META, 0, t.metas[i].seq, t.seq, offsets[1 + i],
                         <uint32_t>t.metas[i].bytes.len)
        return EC_OK
    for i in range(t.metas_count):
        place_drop(s, t.metas[i].handle)
        place_drop(s, t.body_handle)
    buf_add(&s.aborts, <char*>&t.seq, 8)
    return EC_IO


cdef void take_tombs(spool_t *s, spool_tomb_t *tombs, size_t n) noexcept nogil:
    """Books first: the record is dead in memory; then its id goes to the log that holds it, or may hold a copy."""
    cdef size_t i
    cdef place_t p
    cdef uint64_t seq
    cdef segment_t *seg
    for i in range(n):
        if place_get(s, tombs[i].meta, &p) != EC_OK:
            continue
        seq = tombs[i].seq
        seg = &s.segments[p.segment]
        if seg.kind == SEGMENT_HOT:
            buf_add(&s.redo_tombs, <char*>&seq, 8)
        if seg.kind == SEGMENT_COLD or seg.forced:
            buf_add(&s.redo_cold, <char*>&seq, 8)
        place_drop(s, tombs[i].meta)
        if tombs[i].state:
            place_drop(s, tombs[i].state)
        if place_get(s, tombs[i].body, &p) == EC_OK and place_drop(s, tombs[i].body) and p.length == LARGE_PAYLOAD:
            drop_large(s, &p)


cdef void drop_large(spool_t *s, place_t *p) noexcept nogil:
    """A body of this length may stand for a large one, whose file is named by the transaction."""
    cdef record_header_t h
    if pread(s.segments[p.segment].fd, &h, sizeof(h), p.offset) == <ssize_t>sizeof(h) and h.type == RECORD_LARGE:
        buf_add(&s.large_gone, <char*>&h.ref, 8)


cdef void release_large(spool_t *s) noexcept nogil:
    """Files of large messages go when no crash can ask for them again."""
    if s.large_gone.len == 0 or s.redo_tombs.len or s.redo_cold.len:
        return
    pthread_mutex_lock(&s.lock)
    if buf_add(&s.unlinks, s.large_gone.ptr, s.large_gone.len) == EC_OK:
        buf_clear(&s.large_gone)
    pthread_cond_signal(&s.chores)
    pthread_mutex_unlock(&s.lock)


cdef int hot_batch(spool_t *s, spool_txn_t *txns, spool_txn_t **rest, spool_state_t **states, uint32_t **offsets,
                   segment_t **where) noexcept nogil:
    """Write one batch to the hot log; `rest` and `states` are what did not fit into it."""
    cdef batch_t b
    cdef spool_txn_t *t = txns
    cdef spool_state_t *end
    cdef spool_state_t *first = states[0]
    cdef slice_t tombs = part_of(&s.redo_tombs, s.hot_tombs_written), aborts = part_of(&s.aborts, s.aborts_written)
    cdef need_t need, one
    cdef uint32_t n = 0
    cdef void *grown
    cdef int rc
    end = states_part(first, &need)
    need = plus(plus(need, need_of_ids(tombs)), need_of_ids(aborts))
    if t != NULL:
        if t.metas_count > RECIPIENTS:
            return EC_LIMIT
        one = need_of_txn(t)
        if not fits(s, plus(need, one)):
            one.bytes += 2 * sizeof(record_header_t)
            if not fits(s, one):
                return EC_LIMIT
            if tombs.len or aborts.len or first != NULL:
                t = NULL            # it goes alone, into the next one
    rc = room(s, &s.hot, plus(need, one) if t != NULL else need)
    if rc != EC_OK:
        return rc
    tombs = part_of(&s.redo_tombs, s.hot_tombs_written)     # a segment that was full is synced now
    aborts = part_of(&s.aborts, s.aborts_written)
    if batch_begin(s, &b, s.hot.current) != EC_OK:
        return EC_IO
    where[0] = b.seg
    if write_ids(s, &b, RECORD_ABORT, aborts) != EC_OK or write_ids(s, &b, RECORD_TOMB, tombs) != EC_OK \
            or write_states(s, &b, first, end) != EC_OK:
        return EC_IO
    while t != NULL:
        if t.metas_count > RECIPIENTS:
            break
        one = need_of_txn(t)
        if b.at + block_up(b.length + one.bytes) + index_space(b.seg, one.entries, 0) > b.seg.size \
                or (b.length + one.bytes > BATCH_BYTES and t != txns):
            break
        if n + 1 + t.metas_count > s.offsets_cap:
            grown = realloc(s.offsets, (n + 1 + t.metas_count) * 2 * sizeof(uint32_t))
            if grown == NULL:
                return EC_IO
            s.offsets = <uint32_t*>grown
            s.offsets_cap = (n + 1 + t.metas_count) * 2
        if add_txn(s, &b, t, s.offsets + n) != EC_OK:
            return EC_IO
        n += 1 + t.metas_count
        t = t.next
    offsets[0] = s.offsets
    if b.records or atomic_load32(&s.degraded):             # an empty one probes the disk
        rc = batch_write(s, &b)
        if rc != EC_OK:
            return rc
    rest[0] = t if n else txns
    states[0] = end
    s.written = join_part(s.written, first, end)
    s.hot_tombs_written += tombs.len
    s.aborts_written += aborts.len
    return EC_OK


cdef int cold_batch(spool_t *s, spool_chunk_t *chunk) noexcept nogil:
    """Tombstones of the cold log and the survivors that the keeper read; synced at once."""
    cdef batch_t b
    cdef uint32_t i, source = 0
    cdef record_header_t h
    cdef place_t p
    cdef slice_t tombs = part_of(&s.redo_cold, 0), payload
    cdef need_t need = need_of_ids(tombs)
    cdef int rc
    if chunk != NULL:
        need.bytes += chunk.bytes.len + 8 * chunk.n
        need.entries = chunk.n
    rc = room(s, &s.cold, need) if fits(s, need) else EC_LIMIT
    if rc != EC_OK:
        return rc
    if batch_begin(s, &b, s.cold.current) != EC_OK or write_ids(s, &b, RECORD_TOMB, tombs) != EC_OK:
        return EC_IO
    if chunk != NULL:
        source = <uint32_t>(chunk.source - s.segments)
        for i in range(chunk.n):
            memcpy(&h, chunk.bytes.ptr + chunk.starts[i], sizeof(h))
            chunk.new_offsets[i] = 0
            if place_get(s, chunk.handles[i], &p) != EC_OK or p.segment != source or p.offset != chunk.offsets[i]:
                continue
            payload.ptr = chunk.bytes.ptr + chunk.starts[i] + sizeof(h)
            payload.len = h.length
            rc = batch_add(s, &b, h.type, h.flags, h.count, h.seq, h.ref, payload, payload.len > 512,
                           &chunk.new_offsets[i])
            if rc != EC_OK:
                return EC_IO
    if b.records and (batch_write(s, &b) != EC_OK or sync_segment(s, b.seg) != EC_OK):
        return EC_IO
    index_ids(&s.cold, &s.cold.tombs, tombs)
    buf_consume(&s.redo_cold, tombs.len)
    if chunk != NULL:
        for i in range(chunk.n):
            if chunk.new_offsets[i] and place_move(s, chunk.handles[i], source, chunk.offsets[i],
                                                   <uint32_t>(b.seg - s.segments), chunk.new_offsets[i]):
                memcpy(&h, chunk.bytes.ptr + chunk.starts[i], sizeof(h))
                index_record(&s.cold, chunk.handles[i], h.type, h.flags, h.seq, h.ref, chunk.new_offsets[i], h.length)
                atomic_add64(&s.stat_copied, 1)
    return EC_OK


cdef void fail_txns(spool_t *s, spool_txn_t *txns, spool_txn_t *end, bint written, int rc) noexcept nogil:
    cdef spool_txn_t *next
    while txns != end:
        next = txns.next
        if written:
            buf_add(&s.aborts, <char*>&txns.seq, 8)
        answer(txns, rc)
        txns = next


cdef bint flush_round(spool_t *s, spool_txn_t *txns, spool_state_t *states, spool_chunk_t *chunk) noexcept nogil:
    """False where the disk refused something."""
    cdef spool_txn_t *rest = NULL
    cdef spool_txn_t *next
    cdef segment_t *seg = NULL
    cdef uint32_t *offsets = NULL
    cdef uint32_t n
    cdef bint due, probe = atomic_load32(&s.degraded) != 0
    cdef int rc
    while probe or txns != NULL or states != NULL or s.redo_tombs.len > s.hot_tombs_written or s.aborts.len > s.aborts_written:
        rest = txns
        seg = NULL
        rc = hot_batch(s, txns, &rest, &states, &offsets, &seg)
        if rc == EC_LIMIT:                  # larger than a segment: this one never fits
            next = txns.next
            answer(txns, EC_LIMIT)
            txns = next
            continue
        if rc == EC_OK:
            due = probe or txns != rest or s.aborts.len > 0 or (s.unsynced_ms and clock_mono_ms() - s.unsynced_ms >= SYNC_MS)
            if due:
                rc = sync_hot(s)
            elif not s.unsynced_ms:
                s.unsynced_ms = clock_mono_ms()
        probe = False
        if rc != EC_OK:
            fail_txns(s, txns, NULL, seg != NULL, EC_IO)
            condemn(s, &s.hot)
            s.held = join(s.held, states)
            return False
        n = 0
        while txns != rest:
            next = txns.next
            rc = settle_txn(s, seg, txns, offsets + n)
            n += 1 + txns.metas_count
            atomic_add64(&s.stat_txns, 1)
            answer(txns, rc)
            txns = next
    if s.unsynced_ms and clock_mono_ms() - s.unsynced_ms >= SYNC_MS and sync_hot(s) != EC_OK:
        condemn(s, &s.hot)
        return False
    while s.redo_cold.len or chunk != NULL:
        if cold_batch(s, chunk) != EC_OK:
            condemn(s, &s.cold)
            return False
        chunk = NULL
    release_large(s)
    return True


cdef void bury(spool_t *s, segment_t *seg) noexcept nogil:
    """To the keeper, behind those that went before it."""
    cdef segment_t **at = &s.dead
    while at[0] != NULL:
        at = &at[0].next
    at[0] = seg
    seg.next = NULL
    atomic_add64(<uint64_t*>&s.total_bytes, -<int64_t>(seg.size + SPOOL_BLOCK))
    pthread_cond_signal(&s.chores)


cdef void housekeeping(spool_t *s) noexcept nogil:
    """Hand dead segments to the keeper, oldest first; ask for a compaction where dead bytes outweigh."""
    cdef spool_log_t *log
    cdef segment_t *seg
    cdef int which
    cdef bint forced = False, heavy
    pthread_mutex_lock(&s.lock)
    for which in range(2 if s.recovered else 0):
        log = &s.cold if which else &s.hot
        if which and (forced or s.chunk.source != NULL):
            break           # a dead copy may still lie in a hot segment: its tombstone must stay
        while log.oldest != NULL and log.oldest.state == SEGMENT_SEALED and log.oldest.live == 0 and log.oldest != s.chunk.source:
            seg = log.oldest
            log.oldest = seg.next
            bury(s, seg)
        seg = log.oldest
        # three segments of slack: the open ones are never dense
        heavy = s.total_bytes > s.ratio * s.live_bytes + 3 * <int64_t>s.segment_size
        if s.chunk.source == NULL and seg != NULL and seg.state == SEGMENT_SEALED and not seg.stuck and (heavy or seg.forced):
            seg.forced = not which
            s.chunk.source = seg
            pthread_cond_signal(&s.chores)
        while seg != NULL:
            forced = forced or seg.forced
            seg = seg.next
    s.want_spare = s.spares_n == 0 and (s.hot.current == NULL or s.hot.current.used * 2 >= s.hot.current.size)
    if s.want_spare:
        pthread_cond_signal(&s.chores)
    pthread_mutex_unlock(&s.lock)


cdef bint pending(spool_t *s) noexcept nogil:
    return s.tombs.len > 0 or s.state_head != NULL or s.held != NULL or s.redo_tombs.len > s.hot_tombs_written \
        or s.redo_cold.len > 0 or s.aborts.len > s.aborts_written


cdef void *flusher_main(void *arg) noexcept nogil:
    cdef spool_t *s = <spool_t*>arg
    cdef spool_txn_t *txns
    cdef spool_state_t *states
    cdef buf_t tombs
    cdef spool_chunk_t *chunk
    cdef uint64_t now, due, retry_at = 0
    cdef bint ok = True
    pthread_setname_np(pthread_self(), b"flusher")
    thread_prompt()
    pthread_mutex_lock(&s.lock)
    while True:
        while s.txn_head == NULL and not s.stopping:
            now = clock_mono_ms()
            due = retry_at
            if retry_at == 0 and pending(s):
                due = (s.tombs_since_ms if s.tombs_since_ms else now) + TOMB_MS
            if retry_at == 0 and s.unsynced_ms and (due == 0 or s.unsynced_ms + SYNC_MS < due):
                due = s.unsynced_ms + SYNC_MS
            if due and due <= now or retry_at == 0 and (s.chunk.waiting or s.tidy):
                break
            s.waiting = True
            if due:
                cond_wait_ms(&s.work, &s.lock, due - now)
            else:
                pthread_cond_wait(&s.work, &s.lock)
            s.waiting = False
        if s.stopping and s.txn_head == NULL and (not pending(s) or not ok):
            break
        txns = s.txn_head
        if txns != NULL:
            s.busy_ms = clock_mono_ms()
        s.txn_head = NULL
        s.txn_tail = NULL
        s.txn_count = 0
        states = s.state_head
        s.state_head = NULL
        s.state_tail = NULL
        tombs = s.tombs
        s.tombs.ptr = NULL
        s.tombs.len = 0
        s.tombs.cap = 0
        s.tombs_since_ms = 0
        s.tidy = False
        chunk = &s.chunk if s.chunk.waiting else NULL
        if s.oldest_ns == 0:                # a round that hangs takes no new mail either
            s.oldest_ns = clock_mono_ns()
        pthread_mutex_unlock(&s.lock)
        take_tombs(s, <spool_tomb_t*>tombs.ptr, tombs.len // sizeof(spool_tomb_t))
        buf_free(&tombs)
        states = join(s.held, states)
        s.held = NULL
        ok = flush_round(s, txns, states, chunk)
        retry_at = 0 if ok else clock_mono_ms() + s.retry_ms
        if ok and atomic_load32(&s.degraded):
            atomic_store32(&s.degraded, 0)
        pthread_mutex_lock(&s.lock)
        s.oldest_ns = s.txn_head.since_ns if s.txn_head != NULL else 0
        if chunk != NULL:
            chunk.waiting = False
            chunk.failed = not ok
            pthread_cond_signal(&s.chores)
        pthread_mutex_unlock(&s.lock)
        housekeeping(s)
        pthread_mutex_lock(&s.lock)
    s.flushed = True
    if s.chunk.waiting:
        s.chunk.waiting = False
        s.chunk.failed = True
        pthread_cond_signal(&s.chores)
    pthread_mutex_unlock(&s.lock)
    end_log(s, &s.hot)
    end_log(s, &s.cold)
    return NULL


cdef void end_log(spool_t *s, spool_log_t *log) noexcept nogil:
    """A clean stop: the next start reads the index alone."""
    cdef segment_t *seg = log.current
    if seg != NULL and (sync_hot(s) if log == &s.hot else sync_segment(s, seg)) == EC_OK:
        index_seal(s, log)
        fdatasync(seg.fd)


cdef spool_state_t *join(spool_state_t *a, spool_state_t *b) noexcept nogil:
    return join_part(a, b, NULL)


cdef spool_state_t *join_part(spool_state_t *a, spool_state_t *b, spool_state_t *end) noexcept nogil:
    """b up to `end`, behind a."""
    cdef spool_state_t *last = a
    if b == end:
        return a
    if a == NULL:
        a = b
    else:
        while last.next != NULL:
            last = last.next
        last.next = b
    while b.next != end:
        b = b.next
    b.next = NULL
    return a
