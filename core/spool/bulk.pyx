"""Work on large files that leaves the disk to the commits of small messages.

A disk serves what stands before a commit first, and a file system that frees
100 MB holds every sync meanwhile (40 ms where the disk is told of it).  So
bytes go to the disk in pieces, one under way at a time, the smaller while
transactions are committed, and files shrink in steps before they go.
"""
from libc.stdint cimport int64_t, uint64_t

from pymomentum.core.base.atomic cimport atomic_load64
from pymomentum.core.base.clock cimport clock_mono_ms
from pymomentum.core.c.posix cimport (EINTR, O_CLOEXEC, O_WRONLY, ftruncate, last_errno, open_mode, posix_close, pthread_mutex_init,
                                      pthread_mutex_lock, pthread_mutex_t, pthread_mutex_unlock, pwrite, unlink, usleep)
from .spool cimport spool_main, spool_t

cdef extern from "fcntl.h" nogil:
    int sync_file_range(int, int64_t, int64_t, unsigned int)
    int SYNC_FILE_RANGE_WRITE
    int SYNC_FILE_RANGE_WAIT_AFTER

cdef extern from *:
    """
    #include <stdio.h>
    #include <limits.h>
    #include <unistd.h>
    #include <sys/stat.h>
    /* The kernel knows the name of a file that is known by its descriptor. */
    static void ec_unlink_fd(int fd) {
        char link[64], path[PATH_MAX]; ssize_t n;
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        n = readlink(link, path, sizeof path - 1);
        if (n > 0) { path[n] = 0; unlink(path); } }
    static int64_t ec_file_size(int fd) { struct stat st; return fstat(fd, &st) ? 0 : st.st_size; }
    """
    void ec_unlink_fd(int fd) noexcept nogil
    int64_t ec_file_size(int fd) noexcept nogil

cdef enum:
    PIECE = 128 << 10
    PIECE_BESIDE = 64 << 10     # while others commit
    BESIDE_MS = 50              # since one did
    STEP = 2 << 20
    PAUSE_US = 1000

cdef pthread_mutex_t turn               # who may hand the disk a piece
pthread_mutex_init(&turn, NULL)


cdef bint write_all(int fd, const char *p, size_t n, uint64_t at) noexcept nogil:
    cdef ssize_t wrote
    while n:
        wrote = pwrite(fd, p, n, at)
        if wrote < 0 and last_errno() == EINTR:
            continue
        if wrote <= 0:
            return False
        p += wrote
        n -= wrote
        at += wrote
    return True


cdef bint beside_commits() noexcept nogil:
    cdef spool_t *s = spool_main()
    return s != NULL and clock_mono_ms() - atomic_load64(&s.busy_ms) < BESIDE_MS


cdef bint bulk_write(int fd, const char *p, size_t n, uint64_t at) noexcept nogil:
    """Written and on its way; it is on disk only once synced."""
    cdef size_t done = 0, size, piece
    cdef bint ok = True
    while ok and done < n:
        piece = PIECE_BESIDE if beside_commits() else <size_t>PIECE
        size = n - done if n - done < piece else piece
        ok = write_all(fd, p + done, size, at + done)
        if ok and size == piece:
            pthread_mutex_lock(&turn)
            sync_file_range(fd, at + done, size, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER)
            pthread_mutex_unlock(&turn)
        done += size
    return ok


cdef void shrink(int fd, const bint *hurry) noexcept nogil:
    cdef int64_t left = ec_file_size(fd)
    while hurry != NULL and not hurry[0] and left > STEP:
        left -= STEP
        if ftruncate(fd, left) != 0:
            break
        usleep(PAUSE_US)
    posix_close(fd)


cdef void bulk_remove(const char *path, const bint *hurry) noexcept nogil:
    cdef int fd = open_mode(path, O_WRONLY | O_CLOEXEC, 0)
    unlink(path)
    if fd >= 0:
        shrink(fd, hurry)


cdef void bulk_remove_fd(int fd, const bint *hurry) noexcept nogil:
    ec_unlink_fd(fd)
    shrink(fd, hurry)
