"""Segment files: made ahead, headed when opened, headed FREE when recycled."""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from pymomentum.core.base.atomic cimport atomic_add64, atomic_load64, atomic_store32
from pymomentum.core.base.clock cimport clock_mono_ns
from pymomentum.core.base.crc cimport crc32c
from pymomentum.core.base.status cimport EC_CORRUPT, EC_IO, EC_OK
from pymomentum.core.c.posix cimport (EIO, ENOSPC, O_CLOEXEC, O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_RDWR, fdatasync, fsync,
                                      ftruncate, last_errno, open_mode, posix_close, pread, pthread_mutex_lock,
                                      pthread_mutex_unlock, pwrite, unlink)
from .bulk cimport bulk_remove_fd, bulk_write
from .layout cimport (SEGMENT_FREE, SPOOL_BLOCK, SPOOL_MAGIC, SPOOL_VERSION, segment_header_t)
from .spool cimport (SEGMENT_GONE, SEGMENT_OPEN, SEGMENTS, segment_t, spool_log_t, spool_t)

cdef extern from "sys/random.h" nogil:
    ssize_t getrandom(void*, size_t, unsigned int)

cdef extern from "errno.h" nogil:
    int EEXIST
    int EOPNOTSUPP

cdef extern from "fcntl.h" nogil:
    int fallocate(int, int, int64_t, int64_t)


cdef uint64_t random64() noexcept nogil:
    cdef uint64_t r = 0
    if getrandom(&r, sizeof(r), 0) != sizeof(r):
        r = clock_mono_ns() * <uint64_t>6364136223846793005
    return r if r else 1


cdef void segment_header_fill(segment_header_t *h, uint32_t kind, uint64_t number, uint64_t salt, uint64_t base_seq, uint64_t size) noexcept nogil:
    memset(h, 0, sizeof(h[0]))
    h.magic = SPOOL_MAGIC
    h.version = SPOOL_VERSION
    h.kind = kind
    h.number = number
    h.salt = salt
    h.base_seq = base_seq
    h.size = size
    h.crc = crc32c(0, h, sizeof(h[0]) - sizeof(h.crc))


cdef bint segment_header_ok(segment_header_t *h) noexcept nogil:
    return h.magic == SPOOL_MAGIC and h.crc == crc32c(0, h, sizeof(h[0]) - sizeof(h.crc))


cdef int write_header(int fd, segment_header_t *h) noexcept nogil:
    """In the first block and again in the last: one of them may rot."""
    cdef char block[4096]
    memset(block, 0, sizeof(block))
    memcpy(block, h, sizeof(h[0]))
    if pwrite(fd, block, 4096, 0) != 4096 or pwrite(fd, block, 4096, h.size - SPOOL_BLOCK) != 4096:
        return EC_IO
    return EC_OK


cdef int segment_header_read(int fd, uint64_t size, segment_header_t *out) noexcept nogil:
    """The valid copy with the higher number; EC_CORRUPT where there is none."""
    cdef segment_header_t h
    cdef int i, rc = EC_CORRUPT
    for i in range(2):
        if pread(fd, &h, sizeof(h), size - SPOOL_BLOCK if i else 0) != <ssize_t>sizeof(h) or not segment_header_ok(&h):
            continue
        if rc != EC_OK or h.number > out.number:
            out[0] = h
            rc = EC_OK
    return rc


cdef void free_header(spool_t *s, segment_header_t *h, uint64_t size) noexcept nogil:
    """Of a file that holds nothing; it remembers how far numbers and sequences have come."""
    segment_header_fill(h, SEGMENT_FREE, atomic_load64(&s.next_number) - 1, random64(), atomic_load64(&s.next_seq), size)


cdef int sync_directory(spool_t *s) noexcept nogil:
    cdef int fd = open_mode(s.base, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
    cdef int rc
    if fd < 0:
        return -last_errno()
    rc = fsync(fd)
    if rc:
        rc = -last_errno()
    posix_close(fd)
    return rc


cdef int segment_make(spool_t *s, bint fill) noexcept nogil:
    """A new file of segment_size bytes, on disk with its name.  With `fill` its blocks are written ahead, else only reserved."""
    cdef char path[600]
    cdef segment_header_t h
    cdef char *zeros
    cdef uint64_t at = 0, step
    cdef int fd = -1, rc = 0, tries
    for tries in range(64):
        snprintf(path, sizeof(path), b"%s/%016llx.seg", <char*>s.base, <unsigned long long>random64())
        fd = open_mode(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, s.mode)
        if fd >= 0 or last_errno() != EEXIST:
            break
    if fd < 0:
        return -last_errno()
    if ftruncate(fd, s.segment_size) != 0 or (not fill and fallocate(fd, 0, 0, s.segment_size) != 0 and last_errno() != EOPNOTSUPP):
        rc = -last_errno()
    if rc == 0 and fill:
        step = 1 << 20
        zeros = <char*>calloc(1, step)
        while zeros != NULL and at < s.segment_size and rc == 0:
            if step > s.segment_size - at:
                step = s.segment_size - at
            if not bulk_write(fd, zeros, step, at):
                rc = -last_errno() if last_errno() else -EIO
            at += step
        free(zeros)
        atomic_add64(&s.stat_bytes, at)
    free_header(s, &h, s.segment_size)
    if rc == 0 and write_header(fd, &h) != EC_OK:
        rc = -last_errno() if last_errno() else -EIO
    if rc == 0 and fsync(fd) != 0:
        rc = -last_errno()
    if rc == 0:
        rc = sync_directory(s)
    if rc:
        posix_close(fd)
        unlink(path)
        return rc
    return fd


cdef segment_t *segment_add(spool_t *s, int fd, segment_header_t *h) noexcept nogil:
    cdef segment_t *seg = NULL
    cdef uint32_t i
    for i in range(s.segments_used):
        if s.segments[i].state == SEGMENT_GONE:
            seg = &s.segments[i]
            break
    if seg == NULL:
        if s.segments_used == SEGMENTS:
            return NULL
        seg = &s.segments[s.segments_used]
        s.segments_used += 1
    memset(seg, 0, sizeof(seg[0]))
    seg.fd = fd
    seg.number = h.number
    seg.salt = h.salt
    seg.base_seq = h.base_seq
    seg.size = h.size - SPOOL_BLOCK         # the last block is the header's copy
    seg.kind = h.kind
    seg.state = SEGMENT_OPEN
    seg.used = SPOOL_BLOCK
    return seg


cdef void segment_enlist(spool_log_t *log, segment_t *seg) noexcept nogil:
    """Into the log's list, by number."""
    cdef segment_t **at = &log.oldest
    while at[0] != NULL and at[0].number < seg.number:
        at = &at[0].next
    seg.next = at[0]
    at[0] = seg


cdef int segment_open(spool_t *s, spool_log_t *log) noexcept nogil:
    cdef int fd = -1
    cdef segment_header_t h
    cdef segment_t *seg
    pthread_mutex_lock(&s.lock)
    if s.spares_n:
        s.spares_n -= 1
        fd = s.spares[s.spares_n]
    pthread_mutex_unlock(&s.lock)
    if fd < 0:
        fd = segment_make(s, False)
        if fd < 0:
            atomic_store32(&s.degraded, -fd)
            return EC_IO
    segment_header_fill(&h, log.kind, s.next_number, random64(), atomic_load64(&s.next_seq), s.segment_size)
    if write_header(fd, &h) != EC_OK:
        atomic_store32(&s.degraded, last_errno() if last_errno() else EIO)
        bulk_remove_fd(fd, NULL)
        return EC_IO
    seg = segment_add(s, fd, &h)
    if seg == NULL:
        atomic_store32(&s.degraded, ENOSPC)     # the table of segments is full
        bulk_remove_fd(fd, NULL)
        return EC_IO
    s.next_number += 1
    segment_enlist(log, seg)
    log.current = seg
    atomic_add64(<uint64_t*>&s.total_bytes, h.size)
    return EC_OK


cdef int segment_free(spool_t *s, int fd, uint64_t size) noexcept nogil:
    """What the file held is void from here on, also after a power cut."""
    cdef segment_header_t h
    free_header(s, &h, size)
    if write_header(fd, &h) != EC_OK or fdatasync(fd) != 0:
        return EC_IO
    return EC_OK
