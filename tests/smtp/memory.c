/* Stands between a server and its memory (LD_PRELOAD): while the first byte of the file EC_MEMORY_SWITCH, mapped, is n > 0,
 * one in n allocations of threads without the GIL, the engine's, gets none.  libuv is spared: it aborts. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile unsigned char off, *one_in = &off;
static int (*holds_gil)(void);
static __thread unsigned seed;

__attribute__((constructor)) static void setup(void) {
    const char *path = getenv("EC_MEMORY_SWITCH");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *page;
    *(void **)&holds_gil = dlsym(RTLD_DEFAULT, "PyGILState_Check");
    if (fd < 0 || !holds_gil) return;
    page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    if (page != MAP_FAILED) one_in = page;
}

static int fails(void *caller) {
    unsigned n = *one_in;
    Dl_info info;
    if (n == 0 || holds_gil()) return 0;
    if (!seed) seed = (unsigned)(size_t)&seed;
    if (rand_r(&seed) / 7 % n || (dladdr(caller, &info) && info.dli_fname && strstr(info.dli_fname, "libuv"))) return 0;
    errno = ENOMEM;
    return 1;
}

#define FAILS() fails(__builtin_return_address(0))
#define NEXT(type, name) static type next; if (!next) next = (type)dlsym(RTLD_NEXT, name)
typedef void *(*one_fn)(size_t);
typedef void *(*many_fn)(size_t, size_t);
typedef void *(*again_fn)(void *, size_t);
void *malloc(size_t n) { NEXT(one_fn, "malloc"); return FAILS() ? NULL : next(n); }
void *calloc(size_t n, size_t m) { NEXT(many_fn, "calloc"); return FAILS() ? NULL : next(n, m); }
void *realloc(void *p, size_t n) { NEXT(again_fn, "realloc"); return n && FAILS() ? NULL : next(p, n); }
