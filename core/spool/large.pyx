"""Large bodies, written and read by the SwapOut pool.

A writer has two buffers: one fills while a thread writes the other.  Its file
is synced, and its name with it, before the transaction that refers to it is
handed to the flusher; a file that no record refers to is removed at start.
"""
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from pymomentum.core.base.buf cimport buf_add_slice, buf_clear, buf_free, buf_reserve, buf_t
from pymomentum.core.base.slice cimport slice_make, slice_t
from pymomentum.core.base.status cimport EC_AGAIN, EC_CORRUPT, EC_IO, EC_NOMEM, EC_OK
from pymomentum.core.c.posix cimport (O_CLOEXEC, O_CREAT, O_DIRECTORY, O_RDONLY, O_RDWR, O_TRUNC, fdatasync, fsync,
                                      last_errno, open_mode, posix_close, pread)
from pymomentum.core.loop.loop cimport loop_t
from pymomentum.core.loop.pool cimport job_t, pool_new, pool_resize, pool_stop, pool_submit, pool_t
from .bulk cimport bulk_remove, bulk_write
from .layout cimport record_header_t
from .reader cimport spool_read
from .spool cimport spool_large_path, spool_main

cdef pool_t *pool = NULL


cdef int sync_name() noexcept nogil:
    cdef char path[600]
    cdef int fd, rc
    spool_large_path(spool_main(), 0, path, sizeof(path))
    path[directory_length(path)] = 0
    fd = open_mode(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
    if fd < 0:
        return EC_IO
    rc = fsync(fd)
    posix_close(fd)
    return EC_OK if rc == 0 else EC_IO


cdef size_t directory_length(const char *path) noexcept nogil:
    cdef size_t i = 0, slash = 0
    while path[i]:
        if path[i] == c'/':
            slash = i
        i += 1
    return slash


# ---- writing -----------------------------------------------------------------------

cdef large_writer_t *large_writer_new(loop_t *loop, uint64_t seq, uint64_t room, void *owner, large_fn ready) noexcept nogil:
    cdef large_writer_t *w = <large_writer_t*>calloc(1, sizeof(large_writer_t))
    if w != NULL:
        w.loop = loop
        w.seq = seq
        w.room = (room + 4095) & ~<uint64_t>4095
        w.fd = -1
        w.owner = owner
        w.ready = ready
    return w


cdef void on_write(job_t *j) noexcept nogil:
    cdef large_writer_t *w = <large_writer_t*>j
    cdef char path[600]
    if w.fd < 0:
        spool_large_path(spool_main(), w.seq, path, sizeof(path))
        w.fd = open_mode(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, spool_main().mode)
    w.rc = EC_OK
    if w.fd < 0 or not bulk_write(w.fd, w.writing.ptr, w.writing.len, w.room + w.at):
        w.rc = EC_IO
    elif w.last:
        if not bulk_write(w.fd, w.head.ptr, w.head.len, w.room - w.head.len) or fdatasync(w.fd) != 0 or sync_name() != EC_OK:
            w.rc = EC_IO


cdef void submit(large_writer_t *w) noexcept nogil:
    cdef buf_t swap = w.writing
    w.writing = w.fill
    w.fill = swap
    buf_clear(&w.fill)
    w.at = w.tail - w.writing.len
    w.busy = True
    pool_submit(pool, &w.job, w.loop, on_write, on_written)


cdef void on_written(job_t *j) noexcept nogil:
    cdef large_writer_t *w = <large_writer_t*>j
    w.busy = False
    if w.abandoned:
        large_abandon(w)
        return
    if w.rc != EC_OK:
        w.failed = True
    if w.last:
        w.finished(w.owner, EC_IO if w.failed else EC_OK)
        return
    if w.finished != NULL:              # the end was asked for meanwhile
        w.last = True
        submit(w)
        return
    if w.fill.len >= LARGE_CHUNK:
        submit(w)
    if w.waiting:
        w.waiting = False
        w.ready(w.owner, w.rc)


cdef int large_write(large_writer_t *w, slice_t part) noexcept nogil:
    if w.failed:
        return EC_IO
    if buf_add_slice(&w.fill, part) != EC_OK:
        return EC_NOMEM
    w.tail += part.len
    if w.fill.len < LARGE_CHUNK:
        return EC_OK
    if not w.busy:
        submit(w)
        return EC_OK
    w.waiting = True
    return EC_AGAIN


cdef void large_finish(large_writer_t *w, slice_t head, large_fn finished) noexcept nogil:
    w.head = head
    w.finished = finished
    w.waiting = False
    if not w.busy:
        w.last = True
        submit(w)


cdef uint64_t large_start(large_writer_t *w) noexcept nogil:
    return w.room - w.head.len


cdef void release(large_writer_t *w) noexcept nogil:
    if w.fd >= 0:
        posix_close(w.fd)
    buf_free(&w.fill)
    buf_free(&w.writing)
    free(w)


cdef void large_close(large_writer_t *w) noexcept nogil:
    release(w)


cdef void on_removed(job_t *j) noexcept nogil:
    release(<large_writer_t*>j)


cdef void on_remove(job_t *j) noexcept nogil:
    cdef large_writer_t *w = <large_writer_t*>j
    cdef char path[600]
    spool_large_path(spool_main(), w.seq, path, sizeof(path))
    bulk_remove(path, &spool_main().stopping)


cdef void large_abandon(large_writer_t *w) noexcept nogil:
    w.abandoned = True
    if w.busy:
        return                          # its job comes back here
    if w.fd < 0:
        release(w)
    else:
        pool_submit(pool, &w.job, w.loop, on_remove, on_removed)


# ---- reading -----------------------------------------------------------------------

cdef large_reader_t *large_reader_new(loop_t *loop, uint64_t seq, uint32_t handle, void *owner, large_fn ready) noexcept nogil:
    cdef large_reader_t *r = <large_reader_t*>calloc(1, sizeof(large_reader_t))
    if r != NULL:
        r.loop = loop
        r.seq = seq
        r.handle = handle
        r.fd = -1
        r.owner = owner
        r.ready = ready
    return r


cdef int open_large(large_reader_t *r) noexcept nogil:
    cdef buf_t b
    cdef record_header_t h
    cdef large_record_t record
    cdef char path[600]
    cdef int rc
    memset(&b, 0, sizeof(b))
    rc = spool_read(spool_main(), r.handle, r.seq, &h, &b)
    if rc == EC_OK and b.len != sizeof(record):
        rc = EC_CORRUPT
    if rc == EC_OK:
        memcpy(&record, b.ptr, sizeof(record))
        r.at = record.start
        r.left = record.size
        spool_large_path(spool_main(), r.seq, path, sizeof(path))
        r.fd = open_mode(path, O_RDONLY | O_CLOEXEC, 0)
        if r.fd < 0:
            rc = EC_CORRUPT
    buf_free(&b)
    return rc


cdef void on_read(job_t *j) noexcept nogil:
    cdef large_reader_t *r = <large_reader_t*>j
    cdef size_t n
    cdef ssize_t got
    buf_clear(&r.bytes)
    r.rc = open_large(r) if r.fd < 0 else EC_OK
    n = <size_t>(r.left if r.left < LARGE_CHUNK else LARGE_CHUNK)
    if r.rc != EC_OK or n == 0:
        return
    if buf_reserve(&r.bytes, n) != EC_OK:
        r.rc = EC_NOMEM
        return
    got = pread(r.fd, r.bytes.ptr, n, r.at)
    if got <= 0:
        r.rc = EC_IO if got < 0 else EC_CORRUPT
        return
    r.bytes.len = got
    r.at += got
    r.left -= got


cdef void on_read_done(job_t *j) noexcept nogil:
    cdef large_reader_t *r = <large_reader_t*>j
    r.busy = False
    if r.abandoned:
        large_reader_free(r)
    else:
        r.ready(r.owner, r.rc)


cdef void large_read(large_reader_t *r) noexcept nogil:
    r.busy = True
    pool_submit(pool, &r.job, r.loop, on_read, on_read_done)


cdef void large_reader_free(large_reader_t *r) noexcept nogil:
    r.abandoned = True
    if r.busy:
        return
    if r.fd >= 0:
        posix_close(r.fd)
    buf_free(&r.bytes)
    free(r)


def start(int threads=5, size_t stack=0):
    """Start the SwapOut pool, threads with a stack of so many bytes; 0: the system's."""
    global pool
    pool = pool_new(b"SwapOut", threads, stack, True)
    if pool == NULL:
        raise MemoryError("SwapOut pool")


def resize(int threads):
    """Let the SwapOut pool have so many threads."""
    if pool != NULL:
        with nogil:
            pool_resize(pool, threads)


def stop():
    """Finish what is queued and join the threads."""
    global pool
    if pool != NULL:
        with nogil:
            pool_stop(pool)
        pool = NULL
