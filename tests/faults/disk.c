/* Stands between a server and its disk (LD_PRELOAD): writes down what it does to the files below EC_FAULTS_DIR, and
 * fails or blocks as the test says.
 *
 * EC_FAULTS_LOG: every event is appended, whole and in order, to this file: struct event, then `length` bytes.
 * A write is logged once it has returned, a sync when it begins and when it has succeeded.  Replies that settle mail
 * ("250 2.0.0 OK" going out, "250 2.0.0 taken" coming in) are logged among them: before they leave, after they came.
 * EC_FAULTS_CONTROL: struct control, mapped; the test writes to it while the server runs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { CREATE = 1, WRITE, TRUNCATE, UNLINK, RENAME, SYNC, SYNCED, ACKED, TAKEN };
enum { MAX_FD = 65536 };

struct event { uint32_t kind, length; uint64_t file, offset, ns; };
struct control {
    volatile int32_t write_error, sync_error, name_error;   /* errno; 0: fine */
    volatile int32_t stall;                                 /* writes and syncs block while it is set */
    volatile int32_t cut_short;                             /* writes write half of what they should */
    volatile int32_t blocked;                               /* how many do, out */
};

static struct control nothing, *control = &nothing;
static int log_fd = -1;
static char folder[PATH_MAX];
static size_t folder_length;
static uint64_t files[MAX_FD];                              /* inode of what is below the folder; 0: something else */

#define REAL(name) ({ static __typeof__(&name) real; if (!real) real = (__typeof__(real))dlsym(RTLD_NEXT, #name); real; })

__attribute__((constructor)) static void start(void) {
    const char *dir = getenv("EC_FAULTS_DIR"), *log = getenv("EC_FAULTS_LOG"), *path = getenv("EC_FAULTS_CONTROL");
    int fd;
    if (!dir)
        return;
    strncpy(folder, dir, sizeof folder - 1);
    folder_length = strlen(folder);
    if (log)
        log_fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (path && (fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0)) >= 0) {
        void *page = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (page != MAP_FAILED)
            control = page;
        syscall(SYS_close, fd);
    }
}

static int ours(const char *path) {
    return folder_length && strncmp(path, folder, folder_length) == 0 && (path[folder_length] == '/' || !path[folder_length]);
}

static uint64_t file_of(int fd) { return fd >= 0 && fd < MAX_FD ? files[fd] : 0; }

static void note(uint32_t kind, uint64_t file, uint64_t offset, const struct iovec *parts, int n, size_t length) {
    struct iovec out[1 + 1024];
    struct timespec now;
    struct event e = { kind, length, file, offset, 0 };
    int used = 1;
    size_t left = length;
    if (log_fd < 0)
        return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    e.ns = now.tv_sec * 1000000000ull + now.tv_nsec;
    out[0] = (struct iovec){ &e, sizeof e };
    for (int i = 0; i < n && left && used <= 1024; i++) {
        size_t one = parts[i].iov_len < left ? parts[i].iov_len : left;
        out[used++] = (struct iovec){ parts[i].iov_base, one };
        left -= one;
    }
    if (syscall(SYS_writev, log_fd, out, used) != (long)(sizeof e + length))
        abort();                                            /* a log with a hole proves nothing */
}

static void note_text(uint32_t kind, uint64_t file, uint64_t offset, const char *text, size_t length) {
    note(kind, file, offset, &(struct iovec){ (void *)text, length }, 1, length);
}

/* Blocks while the disk stalls, then says what it answers; 0: let it through. */
static int verdict(volatile int32_t *error) {
    if (control->stall) {
        __sync_fetch_and_add(&control->blocked, 1);
        while (control->stall)
            syscall(SYS_nanosleep, &(struct timespec){ 0, 5000000 }, NULL);
        __sync_fetch_and_sub(&control->blocked, 1);
    }
    return *error;
}

#define REFUSE(error) do { int e_ = verdict(error); if (e_) { errno = e_; return -1; } } while (0)

/* ---- names */

static int opened(int fd, const char *path, int flags, int existed) {
    struct stat st;
    if (fd >= 0 && fd < MAX_FD && ours(path) && fstat(fd, &st) == 0) {
        files[fd] = st.st_ino;
        if ((flags & O_CREAT) && !existed)
            note_text(CREATE, st.st_ino, 0, path + folder_length, strlen(path + folder_length));
        else if (flags & O_TRUNC)
            note(TRUNCATE, st.st_ino, 0, NULL, 0, 0);
    } else if (fd >= 0 && fd < MAX_FD)
        files[fd] = 0;
    return fd;
}

static int open_any(const char *path, int flags, int mode) {
    struct stat st;
    int existed = 1;
    if (ours(path)) {
        existed = stat(path, &st) == 0;
        if ((flags & O_ACCMODE) != O_RDONLY)
            REFUSE(existed && control->name_error != EROFS ? &nothing.name_error : &control->name_error);
    }
    return opened(syscall(SYS_openat, AT_FDCWD, path, flags, mode), path, flags, existed);
}

#define MODE(flags) ({ int mode_ = 0; if ((flags) & (O_CREAT | __O_TMPFILE)) { va_list a; va_start(a, flags); mode_ = va_arg(a, int); va_end(a); } mode_; })

int open(const char *path, int flags, ...) { return open_any(path, flags, MODE(flags)); }
int open64(const char *path, int flags, ...) { return open_any(path, flags, MODE(flags)); }

int openat(int dir, const char *path, int flags, ...) {
    int mode = MODE(flags);
    if (dir == AT_FDCWD || path[0] == '/')
        return open_any(path, flags, mode);
    return syscall(SYS_openat, dir, path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...) { return openat(dir, path, flags, MODE(flags)); }

int close(int fd) {
    if (fd >= 0 && fd < MAX_FD)
        files[fd] = 0;
    return REAL(close)(fd);
}

int unlink(const char *path) {
    int rc;
    if (!ours(path))
        return REAL(unlink)(path);
    REFUSE(control->name_error == EROFS ? &control->name_error : &nothing.name_error);
    rc = REAL(unlink)(path);
    if (rc == 0)
        note_text(UNLINK, 0, 0, path + folder_length, strlen(path + folder_length));
    return rc;
}

int rename(const char *from, const char *to) {
    int rc = REAL(rename)(from, to);
    if (rc == 0 && ours(from) && ours(to)) {
        struct iovec parts[] = { { (void *)(from + folder_length), strlen(from + folder_length) + 1 },
                                 { (void *)(to + folder_length), strlen(to + folder_length) } };
        note(RENAME, 0, 0, parts, 2, parts[0].iov_len + parts[1].iov_len);
    }
    return rc;
}

/* ---- content */

ssize_t pwrite(int fd, const void *p, size_t n, off_t at) {
    ssize_t wrote;
    if (!file_of(fd))
        return syscall(SYS_pwrite64, fd, p, n, at);
    REFUSE(&control->write_error);
    wrote = syscall(SYS_pwrite64, fd, p, control->cut_short && n > 8192 ? n / 2 : n, at);
    if (wrote > 0)
        note_text(WRITE, file_of(fd), at, p, wrote);
    return wrote;
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at) { return pwrite(fd, p, n, at); }

ssize_t pwritev(int fd, const struct iovec *parts, int n, off_t at) {
    ssize_t wrote;
    if (!file_of(fd))
        return syscall(SYS_pwritev, fd, parts, n, at, 0);
    REFUSE(&control->write_error);
    if (control->cut_short && n > 1)
        n = (n + 1) / 2;
    wrote = syscall(SYS_pwritev, fd, parts, n, at, 0);
    if (wrote > 0)
        note(WRITE, file_of(fd), at, parts, n, wrote);
    return wrote;
}

ssize_t pwritev64(int fd, const struct iovec *parts, int n, off64_t at) { return pwritev(fd, parts, n, at); }

int ftruncate(int fd, off_t size) {
    int rc;
    if (file_of(fd))
        REFUSE(&control->write_error);
    rc = syscall(SYS_ftruncate, fd, size);
    if (rc == 0 && file_of(fd))
        note(TRUNCATE, file_of(fd), size, NULL, 0, 0);
    return rc;
}

int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

static int sync_by(long call, int fd) {
    uint64_t file = file_of(fd);
    int rc;
    if (!file)
        return syscall(call, fd);
    REFUSE(&control->sync_error);
    note(SYNC, file, 0, NULL, 0, 0);
    rc = getenv("EC_FAULTS_LOG") ? 0 : syscall(call, fd);   /* recorded: the simulation decides what it was worth */
    if (rc == 0)
        note(SYNCED, file, 0, NULL, 0, 0);
    return rc;
}

int fsync(int fd) { return sync_by(SYS_fsync, fd); }
int fdatasync(int fd) { return sync_by(SYS_fdatasync, fd); }

/* ---- replies */

static void replies(uint32_t kind, const char *mark, const char *p, size_t n) {
    const char *end = p + n, *at = p;
    size_t length = strlen(mark);
    if (log_fd < 0)
        return;
    while ((at = memmem(at, end - at, mark, length))) {
        const char *stop = memchr(at, '\r', end - at);
        note_text(kind, 0, 0, at + length, (stop ? stop : end) - at - length);
        at += length;
    }
}

static void going_out(const struct iovec *parts, int n) {
    for (int i = 0; i < n; i++)
        replies(ACKED, "250 2.0.0 OK ", parts[i].iov_base, parts[i].iov_len);
}

ssize_t write(int fd, const void *p, size_t n) {
    replies(ACKED, "250 2.0.0 OK ", p, n);
    ssize_t wrote = syscall(SYS_write, fd, p, n);
    if (wrote > 0 && file_of(fd))
        abort();                                            /* the spool writes at offsets */
    return wrote;
}

ssize_t writev(int fd, const struct iovec *parts, int n) { going_out(parts, n); return syscall(SYS_writev, fd, parts, n); }

ssize_t sendmsg(int fd, const struct msghdr *m, int flags) {
    going_out(m->msg_iov, m->msg_iovlen);
    return syscall(SYS_sendmsg, fd, m, flags);
}

ssize_t read(int fd, void *p, size_t n) {
    ssize_t got = syscall(SYS_read, fd, p, n);
    if (got > 0)
        replies(TAKEN, "250 2.0.0 taken ", p, got);
    return got;
}

ssize_t recvmsg(int fd, struct msghdr *m, int flags) {
    ssize_t got = syscall(SYS_recvmsg, fd, m, flags);
    if (got > 0 && m->msg_iovlen)
        replies(TAKEN, "250 2.0.0 taken ", m->msg_iov[0].iov_base, got < (ssize_t)m->msg_iov[0].iov_len ? got : (ssize_t)m->msg_iov[0].iov_len);
    return got;
}
