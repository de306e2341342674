"""The keeper: what may take its time.

Prepares a segment ahead, recycles dead ones (header FREE, synced,
then a spare or removed), reads the survivors of a segment to be compacted in
chunks that the flusher writes to the cold log, removes files of large messages.
"""
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc, qsort
from libc.string cimport memcpy

from pymomentum.core.base.atomic cimport atomic_add64, atomic_load32
from pymomentum.core.base.buf cimport buf_add, buf_clear, buf_t
from pymomentum.core.base.clock cimport clock_mono_ms
from pymomentum.core.base.status cimport EC_CORRUPT, EC_OK
from pymomentum.core.c.posix cimport (cond_wait_ms, pthread_cond_signal, pthread_cond_wait,
                                      pthread_mutex_lock, pthread_mutex_unlock, pthread_self, pthread_setname_np,
                                      usleep)
from .bulk cimport bulk_remove, bulk_remove_fd
from .layout cimport SPOOL_BLOCK, record_header_t
from .places cimport places_of
from .reader cimport record_read
from .segment cimport segment_free, segment_make
from .spool cimport SEGMENT_GONE, segment_t, spool_chunk_t, spool_large_path, spool_t

cdef enum:
    CHUNK_BYTES = 256 << 10
    ROOM = 128 << 10            # of a segment, for headers and tombstones
    PAUSE_US = 2000             # between chunks: commits go first
    SPARES = 3
    IDLE_MS = 1000

cdef struct survivor_t:
    uint32_t offset
    uint32_t handle


cdef int by_offset(const void *a, const void *b) noexcept nogil:
    cdef uint32_t x = (<const survivor_t*>a).offset, y = (<const survivor_t*>b).offset
    return (x > y) - (x < y)


cdef bint recycle(spool_t *s, segment_t *seg) noexcept nogil:
    """False where the disk refuses: until it is void on disk, nothing newer may go."""
    cdef bint kept = False
    cdef bint same = seg.size + SPOOL_BLOCK == s.segment_size
    if segment_free(s, seg.fd, seg.size + SPOOL_BLOCK) != EC_OK:
        return False
    pthread_mutex_lock(&s.lock)
    if same and s.spares_n < SPARES:
        s.spares[s.spares_n] = seg.fd
        s.spares_n += 1
        kept = True
    pthread_mutex_unlock(&s.lock)
    if not kept:
        bulk_remove_fd(seg.fd, &s.stopping)
    pthread_mutex_lock(&s.lock)
    s.dead = seg.next
    seg.fd = -1
    seg.state = SEGMENT_GONE
    pthread_mutex_unlock(&s.lock)
    atomic_add64(&s.stat_recycled, 1)
    return True


cdef bint hand_over(spool_t *s) noexcept nogil:
    """Give the chunk to the flusher, which owns it until it answers; False where it failed."""
    cdef spool_chunk_t *c = &s.chunk
    cdef bint ok
    pthread_mutex_lock(&s.lock)
    c.waiting = not s.flushed
    c.failed = s.flushed
    if s.waiting:
        pthread_cond_signal(&s.work)
    while c.waiting:
        pthread_cond_wait(&s.chores, &s.lock)
    ok = not c.failed
    pthread_mutex_unlock(&s.lock)
    c.n = 0
    buf_clear(&c.bytes)
    return ok


cdef void compact(spool_t *s, segment_t *source) noexcept nogil:
    cdef spool_chunk_t *c = &s.chunk
    cdef uint32_t *handles = NULL
    cdef uint32_t *offsets = NULL
    cdef uint32_t n = places_of(s, <uint32_t>(source - s.segments), &handles, &offsets), i = 0
    cdef survivor_t *all = <survivor_t*>malloc((n + 1) * sizeof(survivor_t))
    cdef record_header_t h
    cdef size_t start
    cdef bint ok = all != NULL
    cdef int rc
    c.cap = CHUNK_BYTES // 40
    c.handles = <uint32_t*>malloc(c.cap * sizeof(uint32_t))
    c.offsets = <uint32_t*>malloc(c.cap * sizeof(uint32_t))
    c.new_offsets = <uint32_t*>malloc(c.cap * sizeof(uint32_t))
    c.starts = <size_t*>malloc(c.cap * sizeof(size_t))
    ok = ok and c.handles != NULL and c.offsets != NULL and c.new_offsets != NULL and c.starts != NULL
    if ok:
        for i in range(n):
            all[i].handle = handles[i]
            all[i].offset = offsets[i]
        qsort(all, n, sizeof(survivor_t), by_offset)
        i = 0
    c.n = 0
    buf_clear(&c.bytes)
    while ok and i < n and not s.stopping:
        start = c.bytes.len
        rc = buf_add(&c.bytes, <char*>&h, sizeof(h))
        if rc == EC_OK:
            rc = record_read(source.fd, all[i].offset, source.salt, &h, &c.bytes)
        if rc == EC_OK and c.bytes.len - start + ROOM > s.segment_size:
            rc = EC_CORRUPT             # segments have become smaller than it is
        if rc != EC_OK:
            c.bytes.len = start
            if rc == EC_CORRUPT:        # as unreadable as it will be to its delivery, which then drops it
                source.stuck = True
                i += 1
                continue
            pthread_mutex_lock(&s.lock)
            cond_wait_ms(&s.chores, &s.lock, s.retry_ms)
            pthread_mutex_unlock(&s.lock)
            break
        if c.n and c.bytes.len > s.segment_size // 2:
            c.bytes.len = start         # too much for one batch: this one comes next
        else:
            memcpy(c.bytes.ptr + start, &h, sizeof(h))
            c.handles[c.n] = all[i].handle
            c.offsets[c.n] = all[i].offset
            c.starts[c.n] = start
            c.n += 1
            i += 1
            if c.n < c.cap and c.bytes.len < CHUNK_BYTES:
                continue
        ok = hand_over(s)
        usleep(PAUSE_US)
    if ok and c.n and not s.stopping:
        hand_over(s)
    free(all)
    free(handles)
    free(offsets)
    free(c.handles)
    free(c.offsets)
    free(c.new_offsets)
    free(c.starts)
    pthread_mutex_lock(&s.lock)
    c.source = NULL
    s.tidy = True
    if s.waiting:
        pthread_cond_signal(&s.work)
    pthread_mutex_unlock(&s.lock)


cdef void *keeper_main(void *arg) noexcept nogil:
    cdef spool_t *s = <spool_t*>arg
    cdef segment_t *seg
    cdef segment_t *source
    cdef char path[600]
    cdef buf_t unlinks
    cdef size_t i
    cdef int fd
    cdef bint done, idle
    pthread_setname_np(pthread_self(), b"keeper")
    pthread_mutex_lock(&s.lock)
    while not s.stopping:
        if s.dead != NULL:
            seg = s.dead
            pthread_mutex_unlock(&s.lock)
            done = recycle(s, seg)
            pthread_mutex_lock(&s.lock)
            if not done and not s.stopping:
                cond_wait_ms(&s.chores, &s.lock, s.retry_ms)
        elif s.unlinks.len:
            unlinks = s.unlinks
            s.unlinks.ptr = NULL
            s.unlinks.len = 0
            s.unlinks.cap = 0
            pthread_mutex_unlock(&s.lock)
            for i in range(unlinks.len // 8):
                spool_large_path(s, (<uint64_t*>unlinks.ptr)[i], path, sizeof(path))
                bulk_remove(path, &s.stopping)
            free(unlinks.ptr)
            pthread_mutex_lock(&s.lock)
        elif s.want_spare and s.spares_n == 0 and atomic_load32(&s.degraded) == 0:
            # blocks written ahead sync quicker, but cost as many writes as the mail in them: for idle times
            idle = clock_mono_ms() - s.busy_ms >= IDLE_MS
            pthread_mutex_unlock(&s.lock)
            fd = segment_make(s, idle)
            pthread_mutex_lock(&s.lock)
            if fd >= 0:
                s.spares[s.spares_n] = fd
                s.spares_n += 1
            else:
                cond_wait_ms(&s.chores, &s.lock, s.retry_ms)
        elif s.chunk.source != NULL:
            source = s.chunk.source
            pthread_mutex_unlock(&s.lock)
            compact(s, source)
            pthread_mutex_lock(&s.lock)
        else:
            pthread_cond_wait(&s.chores, &s.lock)
    pthread_mutex_unlock(&s.lock)
    return NULL
