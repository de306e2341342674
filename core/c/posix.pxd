# The few POSIX calls the engine makes itself.
from libc.stdint cimport int64_t

cdef extern from "pthread.h" nogil:
    ctypedef struct pthread_mutex_t:
        pass
    ctypedef struct pthread_cond_t:
        pass
    ctypedef unsigned long pthread_t
    int pthread_mutex_init(pthread_mutex_t*, void*)
    int pthread_mutex_destroy(pthread_mutex_t*)
    int pthread_mutex_lock(pthread_mutex_t*)
    int pthread_mutex_unlock(pthread_mutex_t*)
    int pthread_cond_wait(pthread_cond_t*, pthread_mutex_t*)
    int pthread_cond_signal(pthread_cond_t*)
    int pthread_cond_broadcast(pthread_cond_t*)
    int pthread_cond_destroy(pthread_cond_t*)
    ctypedef struct pthread_attr_t:
        pass
    int pthread_attr_init(pthread_attr_t*)
    int pthread_attr_destroy(pthread_attr_t*)
    int pthread_attr_setstacksize(pthread_attr_t*, size_t)
    int pthread_create(pthread_t*, const pthread_attr_t*, void *(*)(void*) noexcept nogil, void*)
    int pthread_join(pthread_t, void**)
    int pthread_equal(pthread_t, pthread_t)
    pthread_t pthread_self()
    int pthread_setname_np(pthread_t, const char*)

cdef extern from *:
    """
    #include <pthread.h>
    #include <time.h>
    #include <errno.h>
    #include <unistd.h>
    #include <fcntl.h>
    #include <sys/uio.h>
    #include <sys/stat.h>
    #include <sys/mman.h>
    #include <sys/file.h>
    #include <dirent.h>
    #include <limits.h>
    static inline int cond_init_monotonic(pthread_cond_t *c) {
        pthread_condattr_t a; pthread_condattr_init(&a); pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
        return pthread_cond_init(c, &a); }
    static inline int cond_wait_ms(pthread_cond_t *c, pthread_mutex_t *m, long ms) {
        struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t);
        t.tv_sec += ms / 1000; t.tv_nsec += (ms % 1000) * 1000000; if (t.tv_nsec >= 1000000000) { t.tv_sec++; t.tv_nsec -= 1000000000; }
        return pthread_cond_timedwait(c, m, &t); }
    static inline int last_errno(void) { return errno; }
    static inline int open_mode(const char *p, int flags, int mode) { return open(p, flags, mode); }
    """
    int cond_init_monotonic(pthread_cond_t*) noexcept nogil
    int cond_wait_ms(pthread_cond_t*, pthread_mutex_t*, long ms) noexcept nogil    # 0 or ETIMEDOUT
    int last_errno() noexcept nogil
    int open_mode(const char *path, int flags, int mode) noexcept nogil

cdef extern from "sys/uio.h" nogil:
    cdef struct iovec:
        void *iov_base
        size_t iov_len
    ssize_t pwritev(int, const iovec*, int, int64_t)
    ssize_t writev(int, const iovec*, int)

cdef extern from "fcntl.h" nogil:
    int O_RDONLY
    int O_RDWR
    int O_WRONLY
    int O_CREAT
    int O_EXCL
    int O_TRUNC
    int O_APPEND
    int O_CLOEXEC
    int O_DIRECTORY

cdef extern from "errno.h" nogil:
    int EINTR
    int ENOSPC
    int EIO
    int EAGAIN

cdef extern from "unistd.h" nogil:
    ssize_t pread(int, void*, size_t, int64_t)
    ssize_t pwrite(int, const void*, size_t, int64_t)
    ssize_t posix_read "read"(int, void*, size_t)
    ssize_t posix_write "write"(int, const void*, size_t)
    int fdatasync(int)
    int fsync(int)
    int posix_close "close"(int)
    int ftruncate(int, int64_t)
    int unlink(const char*)
    int getpid()
    int usleep(unsigned int)
    int gethostname(char*, size_t)

cdef extern from "stdio.h" nogil:
    int rename(const char*, const char*)

cdef extern from "stdlib.h" nogil:
    int posix_memalign(void**, size_t, size_t)
