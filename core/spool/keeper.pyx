"""The keeper: what may take its time.

Prepares a zero-filled segment ahead, recycles dead ones (header FREE, synced,
then a spare or removed), reads the survivors of a segment to be compacted in
chunks that the flusher writes to the cold log, removes files of large messages.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, qsort
from libc.string cimport memcpy

from pymomentum.core.base.atomic cimport atomic_add64, atomic_load32
from pymomentum.core.base.buf cimport buf_add, buf_clear, buf_t
from pymomentum.core.base.status cimport EC_OK
from pymomentum.core.c.posix cimport (cond_wait_ms, pthread_cond_signal, pthread_cond_wait,
                                      pthread_mutex_lock, pthread_mutex_unlock, pthread_self, pthread_setname_np, unlink,
                                      usleep)
from .layout cimport SPOOL_BLOCK, record_header_t
from .places cimport places_of
from .reader cimport record_read
from .segment cimport segment_free, segment_make
from .spool cimport SEGMENT_GONE, segment_t, spool_chunk_t, spool_large_path, spool_t

cdef enum:
    CHUNK_BYTES = 256 << 10
    PAUSE_US = 2000             # between chunks: commits go first
    SPARES = 3

cdef struct survivor_t:
    uint32_t offset
    uint32_t handle


cdef int by_offset(const void *a, const void *b) noexcept nogil:
    cdef uint32_t x = (<const survivor_t*>a).offset, y = (<const survivor_t*>b).offset
    return (x > y) - (x < y)


cdef void recycle(spool_t *s, segment_t *seg) noexcept nogil:
    cdef bint kept = False
    cdef bint same = seg.size + SPOOL_BLOCK == s.segment_size
    cdef int rc = segment_free(s, seg.fd, seg.size + SPOOL_BLOCK)
    if rc == EC_OK:
        pthread_mutex_lock(&s.lock)
        if same and s.spares_n < SPARES:
            s.spares[s.spares_n] = seg.fd
            s.spares_n += 1
            kept = True
        pthread_mutex_unlock(&s.lock)
    if not kept:
        remove_file(seg.fd)
    pthread_mutex_lock(&s.lock)
    seg.fd = -1
    seg.state = SEGMENT_GONE
    pthread_mutex_unlock(&s.lock)
    atomic_add64(&s.stat_recycled, 1)


cdef extern from *:
    """
    #include <stdio.h>
    #include <limits.h>
    #include <unistd.h>
    /* The file is known by its descriptor; the kernel knows its name. */
    static void ec_remove_by_fd(int fd) {
        char link[64], path[PATH_MAX]; ssize_t n;
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        n = readlink(link, path, sizeof path - 1);
        if (n > 0) { path[n] = 0; unlink(path); }
        close(fd); }
    """
    void ec_remove_by_fd(int fd) noexcept nogil


cdef void remove_file(int fd) noexcept nogil:
    ec_remove_by_fd(fd)


cdef bint hand_over(spool_t *s) noexcept nogil:
    """Give the chunk to the flusher and wait for it; False where it failed or the spool stops."""
    cdef spool_chunk_t *c = &s.chunk
    cdef bint ok
    pthread_mutex_lock(&s.lock)
    c.waiting = True
    c.failed = False
    if s.waiting:
        pthread_cond_signal(&s.work)
    while c.waiting and not s.stopping:
        pthread_cond_wait(&s.chores, &s.lock)
    ok = not c.failed and not c.waiting
    c.waiting = False
    pthread_mutex_unlock(&s.lock)
    c.n = 0
    buf_clear(&c.bytes)
    return ok


cdef void compact(spool_t *s, segment_t *source) noexcept nogil:
    cdef spool_chunk_t *c = &s.chunk
    cdef uint32_t *handles = NULL
    cdef uint32_t *offsets = NULL
    cdef uint32_t n = places_of(s, <uint32_t>(source - s.segments), &handles, &offsets), i
    cdef survivor_t *all = <survivor_t*>malloc((n + 1) * sizeof(survivor_t))
    cdef record_header_t h
    cdef size_t start
    cdef bint ok = all != NULL
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
    c.n = 0
    buf_clear(&c.bytes)
    for i in range(n):
        if not ok or s.stopping:
            break
        start = c.bytes.len
        if buf_add(&c.bytes, <char*>&h, sizeof(h)) != EC_OK:
            break
        if record_read(source.fd, all[i].offset, source.salt, &h, &c.bytes) != EC_OK:
            c.bytes.len = start         # as unreadable as it will be to its delivery, which then drops it
            source.stuck = True
            continue
        memcpy(c.bytes.ptr + start, &h, sizeof(h))
        c.handles[c.n] = all[i].handle
        c.offsets[c.n] = all[i].offset
        c.starts[c.n] = start
        c.n += 1
        if c.n == c.cap or c.bytes.len >= CHUNK_BYTES:
            ok = hand_over(s)
            usleep(PAUSE_US)
    if ok and c.n:
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
    source.forced = False
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
    pthread_setname_np(pthread_self(), b"keeper")
    pthread_mutex_lock(&s.lock)
    while not s.stopping:
        if s.dead != NULL:
            seg = s.dead
            s.dead = seg.next
            pthread_mutex_unlock(&s.lock)
            recycle(s, seg)
            pthread_mutex_lock(&s.lock)
        elif s.unlinks.len:
            unlinks = s.unlinks
            s.unlinks.ptr = NULL
            s.unlinks.len = 0
            s.unlinks.cap = 0
            pthread_mutex_unlock(&s.lock)
            for i in range(unlinks.len // 8):
                spool_large_path(s, (<uint64_t*>unlinks.ptr)[i], path, sizeof(path))
                unlink(path)
            free(unlinks.ptr)
            pthread_mutex_lock(&s.lock)
        elif s.spares_n == 0 and atomic_load32(&s.degraded) == 0:
            pthread_mutex_unlock(&s.lock)
            fd = segment_make(s, True)
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
