"""Opening and closing the spool, and what loops call.

What a loop's iteration brings is gathered on the loop and handed to the flusher
at its end, under one short lock, so that what one iteration accepts is one batch.
"""
import errno
import fcntl
import os

from libc.stdint cimport uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset, strncpy

from pymomentum.core.base.atomic cimport atomic_add64, atomic_load32, atomic_load64, atomic_store64
from pymomentum.core.base.buf cimport buf_add, buf_clear
from pymomentum.core.base.clock cimport clock_mono_ms, clock_mono_ns
from pymomentum.core.base.status cimport EC_IO, EC_LIMIT, EC_OK
from pymomentum.core.c.posix cimport (cond_init_monotonic, fdatasync, last_errno, posix_close, pthread_cond_signal, pthread_create, pthread_join,
                                      pthread_mutex_init, pthread_mutex_lock, pthread_mutex_unlock)
from pymomentum.core.loop.loop cimport PLACE_SPOOL, loop_add_flusher, loop_at, loop_count, loop_t
from pymomentum.core.loop.post cimport post_t
from .keeper cimport keeper_main
from .bulk cimport bulk_remove_fd
from .layout cimport SEGMENT_COLD, SEGMENT_FREE, SEGMENT_HOT, SPOOL_BLOCK, SPOOL_VERSION, segment_header_t
from .segment cimport segment_add, segment_enlist, segment_header_read
from .writer cimport flusher_main
from . import recover

cdef enum:
    SEQ_HEADROOM = 1 << 24      # no segment holds more sequences above its base
    STALE_NS = 5000000000       # a flusher silent for so long takes no new mail

cdef spool_t *main_spool = NULL


cdef spool_t *spool_main() noexcept nogil:
    return main_spool


cdef uint64_t spool_take_seq(spool_t *s, uint32_t n) noexcept nogil:
    return atomic_add64(&s.next_seq, n) - n


cdef int spool_ready(spool_t *s) noexcept nogil:
    cdef uint64_t oldest = atomic_load64(&s.oldest_ns)
    if atomic_load32(&s.degraded):
        return EC_IO
    if atomic_load64(&s.txn_count) >= atomic_load64(&s.backlog_max) or (oldest and clock_mono_ns() - oldest > <uint64_t>STALE_NS):
        return EC_LIMIT
    return EC_OK


cdef void on_txn(post_t *p) noexcept nogil:
    cdef spool_txn_t *t = <spool_txn_t*>p
    t.done(t, t.rc)


cdef void on_state(post_t *p) noexcept nogil:
    cdef spool_state_t *st = <spool_state_t*>p
    if st.done != NULL:
        st.done(st)
    free(st)


cdef inline spool_loop_t *local(loop_t *loop) noexcept nogil:
    return <spool_loop_t*>loop.places[PLACE_SPOOL]


cdef void spool_commit(spool_t *s, loop_t *loop, spool_txn_t *t) noexcept nogil:
    cdef spool_loop_t *l = local(loop)
    t.loop = loop
    t.post.fn = on_txn
    t.next = NULL
    t.since_ns = loop.now_ms * 1000000
    if l.txn_head == NULL:
        l.txn_head = t
    else:
        l.txn_tail.next = t
    l.txn_tail = t
    l.txn_count += 1


cdef void spool_forget(spool_t *s, loop_t *loop, uint64_t seq, uint32_t meta, uint32_t state, uint32_t body) noexcept nogil:
    cdef spool_tomb_t t
    t.seq = seq
    t.meta = meta
    t.state = state
    t.body = body
    buf_add(&local(loop).tombs, <char*>&t, sizeof(t))       # without memory it is delivered again after a restart


cdef void spool_forget_now(spool_t *s, const spool_tomb_t *t) noexcept nogil:
    pthread_mutex_lock(&s.lock)
    buf_add(&s.tombs, <const char*>t, sizeof(t[0]))
    if s.tombs_since_ms == 0:
        s.tombs_since_ms = clock_mono_ms()
    if s.waiting:
        pthread_cond_signal(&s.work)
    pthread_mutex_unlock(&s.lock)


cdef spool_state_t *spool_state_new(uint32_t length) noexcept nogil:
    cdef spool_state_t *st = <spool_state_t*>malloc(sizeof(spool_state_t) + length)
    if st != NULL:
        memset(st, 0, sizeof(spool_state_t))
        st.length = length
    return st


cdef void spool_state(spool_state_t *st) noexcept nogil:
    cdef spool_loop_t *l = local(st.loop)
    st.post.fn = on_state
    st.next = NULL
    if l.state_head == NULL:
        l.state_head = st
    else:
        l.state_tail.next = st
    l.state_tail = st


cdef void hand_over(loop_t *loop) noexcept nogil:
    """Once per iteration."""
    cdef spool_t *s = main_spool
    cdef spool_loop_t *l = local(loop)
    if l.txn_head == NULL and l.state_head == NULL and l.tombs.len == 0:
        return
    pthread_mutex_lock(&s.lock)
    if l.txn_head != NULL:
        if s.txn_head == NULL:
            s.txn_head = l.txn_head
        else:
            s.txn_tail.next = l.txn_head
        s.txn_tail = l.txn_tail
        s.txn_count += l.txn_count
        if s.oldest_ns == 0:
            s.oldest_ns = l.txn_head.since_ns
    if l.state_head != NULL:
        if s.state_head == NULL:
            s.state_head = l.state_head
        else:
            s.state_tail.next = l.state_head
        s.state_tail = l.state_tail
    buf_add(&s.tombs, l.tombs.ptr, l.tombs.len)
    if s.tombs_since_ms == 0 and (l.tombs.len or l.state_head != NULL):
        s.tombs_since_ms = clock_mono_ms()
    if s.waiting:
        pthread_cond_signal(&s.work)
    pthread_mutex_unlock(&s.lock)
    l.txn_head = NULL
    l.txn_count = 0
    l.state_head = NULL
    buf_clear(&l.tombs)


cdef void spool_large_path(spool_t *s, uint64_t seq, char *out, size_t size) noexcept nogil:
    snprintf(out, size, b"%s/large/%016llx", <char*>s.base, <unsigned long long>seq)


def lock_holder(str base):
    """The pid of the process that has the spool open, or None."""
    try:
        with open(os.path.join(base, "LOCK"), "r+") as f:
            try:
                fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return int(f.read().strip() or 0)
    except FileNotFoundError:
        pass
    return None


cdef void pace(spool_t *s, uint32_t ratio, uint64_t backlog, double retry_interval) noexcept nogil:
    s.ratio = ratio
    atomic_store64(&s.backlog_max, backlog)
    s.retry_ms = <uint64_t>(retry_interval * 1000)


def tune(*, ratio, backlog, retry_interval):
    """Take up what a reload says, as open_spool is told it at start."""
    pthread_mutex_lock(&main_spool.lock)
    pace(main_spool, ratio, backlog, retry_interval)
    pthread_mutex_unlock(&main_spool.lock)


def open_spool(str base not None, *, segment_size=64 << 20, ratio=2, mode=0o640, backlog=10000, retry_interval=1):
    """Open the spool in `base` and start its threads; loops must exist.

    Sizes in bytes, retry_interval in seconds.  Raises OSError: EBUSY where another process has it, EINVAL for
    a segment of an unknown version.
    """
    global main_spool
    cdef spool_t *s
    cdef segment_header_t h
    cdef uint32_t i
    cdef uint64_t top = 0, number = 0
    cdef bytes path = base.encode()
    if len(path) > 480:
        raise OSError(errno.ENAMETOOLONG, "spoolbase is too long", base)
    os.makedirs(os.path.join(base, "large"), mode=0o750, exist_ok=True)
    for folder in (base, os.path.dirname(os.path.abspath(base))):      # their names are durable before any mail is
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        os.fsync(fd)
        os.close(fd)
    lock_fd = os.open(os.path.join(base, "LOCK"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock_fd)
        raise OSError(errno.EBUSY, f"spool is in use by process {lock_holder(base)}", base) from None
    os.ftruncate(lock_fd, 0)
    os.pwrite(lock_fd, b"%d\n" % os.getpid(), 0)
    s = <spool_t*>calloc(1, sizeof(spool_t))
    if s == NULL:
        raise MemoryError
    strncpy(s.base, path, sizeof(s.base) - 1)
    s.lock_fd = lock_fd
    s.segment_size = segment_size
    s.mode = mode
    pace(s, ratio, backlog, retry_interval)
    s.want_spare = True
    s.busy_ms = clock_mono_ms()         # nobody knows yet what comes
    s.hot.kind = SEGMENT_HOT
    s.cold.kind = SEGMENT_COLD
    pthread_mutex_init(&s.lock, NULL)
    pthread_mutex_init(&s.places_lock, NULL)
    cond_init_monotonic(&s.work)
    cond_init_monotonic(&s.chores)
    for name in sorted(os.listdir(base)):
        if not name.endswith(".seg"):
            continue
        full = os.path.join(base, name)
        fd = os.open(full, os.O_RDWR | os.O_CLOEXEC)
        size = os.fstat(fd).st_size
        if size < 3 * 4096 or segment_header_read(fd, size, &h) != EC_OK:
            # never opened for mail whole (its header is synced with the first batch), or beyond reading
            os.close(fd)
            if size < 3 * 4096 or not any_batch(full):
                os.unlink(full)
            else:
                os.rename(full, full + ".damaged")
                recover.tell(f"{name}: no readable header; what it holds is lost, the file is kept as {name}.damaged")
            continue
        if h.version != SPOOL_VERSION:
            os.close(fd)
            raise OSError(errno.EINVAL, f"spool segment has format {h.version}, this server reads {SPOOL_VERSION}", full)
        top = max(top, h.base_seq)
        number = max(number, h.number)
        if h.kind == SEGMENT_FREE:
            if size == segment_size and s.spares_n < 3:
                s.spares[s.spares_n] = fd
                s.spares_n += 1
            else:
                bulk_remove_fd(fd, NULL)
            continue
        enlist_old(s, fd, &h, size)
    s.next_seq = (top + SEQ_HEADROOM) if top else 1
    s.first_seq = s.next_seq
    s.next_number = number + 1
    s.old_segments = s.segments_used
    # what a killed process wrote is readable, but a power cut could still take it: compaction counts on it
    for i in range(s.old_segments):
        if fdatasync(s.segments[i].fd) != 0:
            recover.tell(f"segment {s.segments[i].number} cannot be synced: {os.strerror(last_errno())}")
    main_spool = s
    for i in range(<uint32_t>loop_count()):
        loop_at(i).places[PLACE_SPOOL] = calloc(1, sizeof(spool_loop_t))
        if loop_at(i).places[PLACE_SPOOL] == NULL:
            raise MemoryError
        loop_add_flusher(loop_at(i), hand_over)
    if pthread_create(&s.flusher, NULL, flusher_main, s) or pthread_create(&s.keeper, NULL, keeper_main, s):
        raise OSError(errno.EAGAIN, "cannot start the spool's threads")


def any_batch(str path):
    """Does a file without a readable header hold anything that looks like a batch?"""
    with open(path, "rb") as f:
        while block := f.read(1 << 20):
            if any(block[i:i + 4] == b"BTCH" for i in range(0, len(block), 4096)):
                return True
    return False


cdef enlist_old(spool_t *s, int fd, segment_header_t *h, uint64_t size):
    cdef segment_t *seg
    cdef uint64_t whole = h.size
    h.size = size
    seg = segment_add(s, fd, h)
    if seg == NULL:
        raise OSError(errno.EMFILE, "too many spool segments")
    if size < whole:
        recover.tell(f"segment {h.number} is cut short: {size} of {whole} bytes")
        seg.size = size // 4096 * 4096          # no copy of the header behind it
    seg.state = SEGMENT_SEALED
    seg.used = seg.size
    seg.synced = True
    s.total_bytes += seg.size + SPOOL_BLOCK
    segment_enlist(&s.cold if h.kind == SEGMENT_COLD else &s.hot, seg)


cdef spool_t *spool_look(str base) except NULL:
    """A spool as its files show it, for reading: no lock, no threads, nothing written.  Free it with spool_unlook."""
    cdef spool_t *s = <spool_t*>calloc(1, sizeof(spool_t))
    cdef segment_header_t h
    if s == NULL:
        raise MemoryError
    pthread_mutex_init(&s.lock, NULL)
    pthread_mutex_init(&s.places_lock, NULL)
    cond_init_monotonic(&s.work)
    cond_init_monotonic(&s.chores)
    strncpy(s.base, base.encode(), sizeof(s.base) - 1)
    try:
        for name in sorted(os.listdir(base)):
            if not name.endswith(".seg"):
                continue
            try:
                fd = os.open(os.path.join(base, name), os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue                    # recycled meanwhile
            size = os.fstat(fd).st_size
            if size < 3 * 4096 or segment_header_read(fd, size, &h) != EC_OK:
                os.close(fd)
                if size >= 3 * 4096 and any_batch(os.path.join(base, name)):
                    recover.tell(f"{name}: no readable header")
            elif h.version != SPOOL_VERSION:
                os.close(fd)
                raise OSError(errno.EINVAL, f"spool segment has format {h.version}, this program reads {SPOOL_VERSION}", name)
            elif h.kind == SEGMENT_FREE:
                os.close(fd)
            else:
                enlist_old(s, fd, &h, size)
        s.old_segments = s.segments_used
    except BaseException:
        spool_unlook(s)
        raise
    return s


cdef void spool_unlook(spool_t *s) noexcept:
    cdef uint32_t i
    for i in range(s.segments_used):
        posix_close(s.segments[i].fd)
    for i in range(PLACE_PAGES):
        free(s.places[i])
    free(s)


def close_spool():
    """Write what waits, sync, stop the threads, give the lock back.  Loops must have stopped."""
    global main_spool
    cdef spool_t *s = main_spool
    if s == NULL:
        return
    for i in range(loop_count()):
        hand_over(loop_at(i))           # what a loop's last iteration brought
    with nogil:
        pthread_mutex_lock(&s.lock)
        s.stopping = True
        pthread_cond_signal(&s.work)
        pthread_cond_signal(&s.chores)
        pthread_mutex_unlock(&s.lock)
        pthread_join(s.flusher, NULL)
        pthread_mutex_lock(&s.lock)
        pthread_cond_signal(&s.chores)
        pthread_mutex_unlock(&s.lock)
        pthread_join(s.keeper, NULL)
    for i in range(s.segments_used):
        if s.segments[i].state != SEGMENT_GONE and s.segments[i].fd >= 0:
            posix_close(s.segments[i].fd)
    for i in range(s.spares_n):
        posix_close(s.spares[i])
    posix_close(s.lock_fd)
    main_spool = NULL


def stats():
    """Counters of the spool as a dict; bytes where not said otherwise."""
    cdef spool_t *s = main_spool
    return {
        "transactions": s.stat_txns, "batches": s.stat_batches, "syncs": s.stat_syncs, "written": s.stat_bytes,
        "recycled": s.stat_recycled, "copied": s.stat_copied, "live": s.live_bytes, "total": s.total_bytes,
        "segments": sum(1 for i in range(s.segments_used) if s.segments[i].state != SEGMENT_GONE),
        "places": s.places_used, "degraded": s.degraded, "backlog": s.txn_count, "recovered": bool(s.recovered),
        "recover_done": s.recover_done, "recover_scanned": s.recover_scanned, "recover_total": s.old_segments, "next_seq": s.next_seq,
    }
