"""Log files: a ring per loop, a thread per log.

A line is copied whole into its loop's ring; the writer takes every 20 ms
while there is traffic and sleeps when there is none.  A ring that is full
says so to the caller; lines that had to go are counted in a gap line.

A new configuration hands the writer an open file, so that one that cannot be
written is told before anything has changed.
"""
import os

from libc.stdint cimport uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, strncpy

from pymomentum.core.base.atomic cimport atomic_load32, atomic_load64, atomic_store32, atomic_store64, atomic_storep
from pymomentum.core.base.clock cimport clock_mono_ms, clock_wall_us
from pymomentum.core.base.slice cimport slice_make, slice_t
from pymomentum.core.base.status cimport EC_LIMIT, EC_OK
from pymomentum.core.c.posix cimport (EINTR, cond_init_monotonic, cond_wait_ms, last_errno, posix_close, posix_write,
                                      pthread_cond_signal, pthread_create, pthread_join, pthread_mutex_init, pthread_mutex_lock,
                                      pthread_mutex_unlock, pthread_self, pthread_setname_np, usleep)
from pymomentum.core.loop.loop cimport LOOP_MAX, loop_count, loop_t
from .level cimport LEVEL_ERROR, LEVEL_NOTICE, level_repeats, level_subsystem, log_says

cdef extern from *:
    """
    #include <fcntl.h>
    #include <stdarg.h>
    #include <stdio.h>
    #include <sys/stat.h>
    typedef va_list log_va_list;
    #define log_va_start(a, l) va_start(a, l)
    /* The mode is the option's, whatever the umask says; devices keep theirs.  A pipe that nobody reads is an error (ENXIO). */
    static int log_open(const char *path, int mode) {
        struct stat st;
        int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, mode);
        if (fd >= 0 && fcntl(fd, F_SETFL, O_APPEND)) {}
        if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 07777) != (mode_t)mode && fchmod(fd, mode)) {}
        return fd; }
    """
    ctypedef struct log_va_list:
        pass
    void log_va_start(log_va_list, const char*) nogil
    void va_end(log_va_list) nogil
    int vsnprintf(char*, size_t, const char*, log_va_list) nogil
    int log_open(const char*, int) nogil

cdef extern from "sys/mman.h" nogil:
    int madvise(void*, size_t, int)
    int MADV_DONTNEED

cdef extern from "stdlib.h" nogil:
    int posix_memalign(void**, size_t, size_t)

cdef enum:
    BREATH_US = 20000           # between two takes while there is traffic
    NAP_MS = 1000
    PIECE = 262144              # written at a time
    PAGE = 4096

cdef log_t *logs[LOG_COUNT]
cdef uint32_t wanted = 0        # atomic: WANT_*
cdef uint32_t fine = 0          # atomic: microseconds


cdef bint log_wants(uint32_t kind) noexcept nogil:
    return atomic_load32(&wanted) & kind != 0


cdef inline bint fits(ring_t *r, uint64_t n) noexcept nogil:
    return r.head - atomic_load64(&r.tail) + n <= r.size


cdef void put(ring_t *r, const char *p, uint64_t n) noexcept nogil:
    cdef uint64_t at = r.head & (r.size - 1)
    cdef uint64_t first = r.size - at if r.size - at < n else n
    memcpy(r.data + at, p, first)
    if n > first:
        memcpy(r.data, p + first, n - first)
    atomic_store64(&r.head, r.head + n)


cdef bint log_room(loop_t *loop, int which, uint64_t bytes) noexcept nogil:
    cdef log_t *g = logs[which]
    return g == NULL or fits(&g.rings[loop.index], bytes)


cdef void nudge(log_t *g) noexcept nogil:
    if atomic_load32(&g.idle):
        pthread_mutex_lock(&g.lock)
        pthread_cond_signal(&g.work)
        pthread_mutex_unlock(&g.lock)


cdef int log_put(loop_t *loop, int which, slice_t line) noexcept nogil:
    cdef log_t *g = logs[which]
    cdef ring_t *r
    cdef int rc = EC_OK
    if g == NULL:
        return EC_OK
    r = &g.rings[loop.index if loop != NULL else LOOP_MAX]
    if loop == NULL:
        pthread_mutex_lock(&g.lock)
    if fits(r, line.len):
        put(r, line.ptr, line.len)
    else:
        r.dropped += 1
        rc = EC_LIMIT
    if loop == NULL:
        pthread_mutex_unlock(&g.lock)
    nudge(g)
    return rc


cdef uint64_t log_time(uint64_t wall_us) noexcept nogil:
    return wall_us if atomic_load32(&fine) else wall_us // 1000000


cdef void compose(loop_t *loop, const char *subsystem, const char *format, log_va_list args) noexcept nogil:
    cdef char line[2048]
    cdef int n, i
    n = snprintf(line, sizeof(line), b"%llu:%s ", <unsigned long long>log_time(clock_wall_us()), subsystem)
    n += vsnprintf(line + n, sizeof(line) - n - 1, format, args)
    if n > <int>sizeof(line) - 2:
        n = sizeof(line) - 2
    for i in range(n):
        if line[i] == c'\n' or line[i] == c'\r':
            line[i] = c' '
    line[n] = c'\n'
    log_put(loop, LOG_PANIC, slice_make(line, n + 1))


cdef void say(loop_t *loop, const char *subsystem, const char *format, ...) noexcept nogil:
    cdef log_va_list args
    log_va_start(args, format)
    compose(loop, subsystem, format, args)
    va_end(args)


cdef void log_panic(loop_t *loop, const char *subsystem, const char *format, ...) noexcept nogil:
    cdef log_va_list args
    if log_wants(WANT_ERRORS) and log_says(LEVEL_ERROR, level_subsystem(subsystem)):
        log_va_start(args, format)
        compose(loop, subsystem, format, args)
        va_end(args)


cdef void log_at(loop_t *loop, int level, const char *subsystem, const char *format, ...) noexcept nogil:
    cdef log_va_list args
    if log_wants(WANT_ERRORS) and log_says(level, level_subsystem(subsystem)) and not level_repeats(level, format, clock_mono_ms()):
        log_va_start(args, format)
        compose(loop, subsystem, format, args)
        va_end(args)


cdef void write_all(log_t *g, const char *p, uint64_t n) noexcept nogil:
    """A disk that refuses keeps the writer here; the rings fill and say so."""
    cdef ssize_t wrote
    while n and g.fd >= 0:
        wrote = posix_write(g.fd, p, n)
        if wrote < 0:
            if last_errno() == EINTR:
                continue
            g.failed = last_errno()
            if g.stopping:
                return
            usleep(BREATH_US * 5)
            if atomic_load32(&g.reopen):
                open_again(g)           # there may be room elsewhere
            continue
        g.failed = 0
        p += wrote
        n -= wrote
        g.written += wrote


cdef void give_back(ring_t *r) noexcept nogil:
    """Whole pages that were written need no memory until the ring comes round; then the loop may write there again."""
    cdef uint64_t keep = r.taken & ~<uint64_t>(PAGE - 1)
    if keep > r.tail:
        madvise(r.data + (r.tail & (r.size - 1)), keep - r.tail, MADV_DONTNEED)
        atomic_store64(&r.tail, keep)


cdef uint64_t take(log_t *g, ring_t *r) noexcept nogil:
    """All that is there, in pieces, so that there is room again after the first."""
    cdef uint64_t n = atomic_load64(&r.head) - r.taken, left = n, at, piece
    cdef char gap[128]
    cdef int m
    while left:
        at = r.taken & (r.size - 1)
        piece = left if left < PIECE else <uint64_t>PIECE
        if piece > r.size - at:
            piece = r.size - at
        write_all(g, r.data + at, piece)
        r.taken += piece
        left -= piece
        give_back(r)
    if r.dropped:
        m = snprintf(gap, sizeof(gap), b"%llu:LOG ring full, %llu lines dropped\n",
                     <unsigned long long>log_time(clock_wall_us()), <unsigned long long>r.dropped)
        r.dropped = 0
        write_all(g, gap, m)
    return n


cdef void heartbeat(log_t *g) noexcept nogil:
    cdef char line[64]
    cdef const char *form = b"%llu@@@@M\n"
    if g.which == LOG_BOUNCE:
        form = b"%llu@@@@M1\n"
    elif g.which == LOG_REJECT:
        form = b"%llu: Marker 1\n"
    elif g.which == LOG_PANIC:
        return
    write_all(g, line, snprintf(line, sizeof(line), form, <unsigned long long>log_time(clock_wall_us())))


cdef void open_again(log_t *g) noexcept nogil:
    """Go on in the file that was handed over, or in the one that has the name now."""
    cdef int fd
    pthread_mutex_lock(&g.lock)
    atomic_store32(&g.reopen, 0)
    fd = g.next_fd
    g.next_fd = -1
    if fd < 0 and g.path[0]:
        fd = log_open(g.path, g.mode)
        if fd < 0:
            g.failed = last_errno()
    if g.fd >= 0 and (fd >= 0 or not g.path[0]):
        posix_close(g.fd)
        g.fd = -1
    if fd >= 0:
        g.fd = fd
    pthread_mutex_unlock(&g.lock)


cdef void *writer_main(void *arg) noexcept nogil:
    cdef log_t *g = <log_t*>arg
    cdef uint64_t got, every, beat = clock_mono_ms()
    cdef int i
    pthread_setname_np(pthread_self(), b"log")
    while True:
        if atomic_load32(&g.reopen):
            open_again(g)
        got = 0
        for i in range(LOOP_MAX + 1):
            if g.rings[i].size:
                got += take(g, &g.rings[i])
        every = atomic_load64(&g.heartbeat_ms)
        if every and clock_mono_ms() - beat >= every:
            beat = clock_mono_ms()
            heartbeat(g)
        if got:
            if got < PIECE and not atomic_load32(&g.stopping):
                usleep(BREATH_US)
            continue
        if atomic_load32(&g.stopping):
            return NULL
        pthread_mutex_lock(&g.lock)
        atomic_store32(&g.idle, 1)
        # a line put between the last take and this mark waits for the nap at most
        cond_wait_ms(&g.work, &g.lock, NAP_MS if every == 0 or every > NAP_MS else every)
        atomic_store32(&g.idle, 0)
        pthread_mutex_unlock(&g.lock)


cdef log_t *log_new(int which, uint64_t least) except NULL:
    """A log without a file whose writer runs; least: bytes of each loop's ring, rounded up to a power of two."""
    cdef log_t *g = <log_t*>calloc(1, sizeof(log_t))
    cdef uint64_t size = 4096
    cdef int i
    if g == NULL:
        raise MemoryError
    while size < least:
        size *= 2
    g.which = which
    g.fd = g.next_fd = -1
    for i in range(LOOP_MAX + 1):
        if i < loop_count() or i == LOOP_MAX:
            g.rings[i].size = size if i < LOOP_MAX else 65536
            if posix_memalign(<void**>&g.rings[i].data, PAGE, g.rings[i].size) != 0:
                raise MemoryError
    pthread_mutex_init(&g.lock, NULL)
    cond_init_monotonic(&g.work)
    if pthread_create(&g.thread, NULL, writer_main, g):
        raise OSError(11, "cannot start a log thread")
    return g


def open_file(str path not None, int mode):
    """Open a log file to add to, with these permissions; answers its descriptor, raises OSError with the path."""
    cdef bytes name = path.encode()
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    fd = log_open(name, mode)
    if fd < 0:
        code = last_errno()
        raise OSError(code, os.strerror(code), path)
    return fd


def open_log(int which, int fd, str path not None="", *, int mode=0o644, ring=64 << 20, heartbeat=60):
    """From now on write a log to an open file, which is handed over; fd -1 and no path: write it no more.

    path and mode serve reopen_logs.  ring: bytes per loop, which the first call decides; heartbeat: seconds, 0 for none.
    """
    cdef bytes name = path.encode()
    cdef log_t *g = logs[which]
    if len(name) >= sizeof(g.path):
        raise OSError(36, "log path is too long", path)
    if g == NULL:
        if fd < 0:
            return
        g = log_new(which, ring)
    pthread_mutex_lock(&g.lock)
    if g.next_fd >= 0:
        posix_close(g.next_fd)
    g.next_fd = fd
    g.mode = mode
    strncpy(g.path, name, sizeof(g.path) - 1)
    atomic_store64(&g.heartbeat_ms, <uint64_t>(heartbeat * 1000))
    atomic_store32(&g.reopen, 1)
    pthread_cond_signal(&g.work)
    pthread_mutex_unlock(&g.lock)
    atomic_storep(&logs[which], g)


def beat(int which, heartbeat):
    """Change the time between two heartbeats of a log that is open, in seconds; 0: none."""
    if logs[which] != NULL:
        atomic_store64(&logs[which].heartbeat_ms, <uint64_t>(heartbeat * 1000))
        nudge(logs[which])


def want(uint32_t kinds):
    """Tell which kinds of lines are made from now on: a sum of WANT_*."""
    atomic_store32(&wanted, kinds)


def reopen_logs():
    """Have every writer open its file by name again (`reopen logs`)."""
    cdef log_t *g
    for i in range(LOG_COUNT):
        g = logs[i]
        if g == NULL:
            continue
        pthread_mutex_lock(&g.lock)
        if g.next_fd >= 0:              # what was handed over just before may have another name by now
            posix_close(g.next_fd)
            g.next_fd = -1
        atomic_store32(&g.reopen, 1)
        pthread_cond_signal(&g.work)
        pthread_mutex_unlock(&g.lock)


def close_logs():
    """Write what is in the rings and stop the writers; loops must have stopped."""
    for i in range(LOG_COUNT):
        if logs[i] != NULL:
            atomic_store32(&logs[i].stopping, 1)
            nudge(logs[i])
            with nogil:
                pthread_join(logs[i].thread, NULL)
            if logs[i].fd >= 0:
                posix_close(logs[i].fd)
            logs[i].fd = -1


def panic(str subsystem not None, str text not None):
    """One paniclog line from Python."""
    cdef bytes s = subsystem.encode(), t = text.encode()
    log_panic(NULL, s, b"%s", <char*>t)


def notice(str subsystem not None, str text not None):
    """One paniclog line from Python, for those who want notices."""
    cdef bytes s = subsystem.encode(), t = text.encode()
    if log_wants(WANT_ERRORS) and log_says(LEVEL_NOTICE, level_subsystem(s)):
        say(NULL, s, b"%s", <char*>t)


def microseconds(bint asked):
    """Have lines begin with microseconds, not seconds."""
    atomic_store32(&fine, asked)
