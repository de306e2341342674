# slice_t: borrowed bytes, valid while their owner lives, never freed.
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy, strlen


cdef extern from *:
    """
    #include <strings.h>
    #include <string.h>
    #include <stdint.h>
    typedef struct { const char *ptr; size_t len; } slice_t;
    #define SLICE(lit) ((slice_t){(lit), sizeof(lit) - 1})
    static inline slice_t slice_make(const char *p, size_t n) { slice_t s = {p, n}; return s; }
    static inline int slice_eq(slice_t a, slice_t b) { return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0); }
    static inline int slice_ieq(slice_t a, slice_t b) { return a.len == b.len && (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0); }
    static inline int slice_starts_i(slice_t a, slice_t b) { return a.len >= b.len && (b.len == 0 || strncasecmp(a.ptr, b.ptr, b.len) == 0); }
    static inline int slice_ends_i(slice_t a, slice_t b) { return a.len >= b.len && (b.len == 0 || strncasecmp(a.ptr + a.len - b.len, b.ptr, b.len) == 0); }
    static inline slice_t slice_trim(slice_t a) {
        while (a.len && (a.ptr[0] == ' ' || a.ptr[0] == '\\t')) { a.ptr++; a.len--; }
        while (a.len && (a.ptr[a.len - 1] == ' ' || a.ptr[a.len - 1] == '\\t')) a.len--;
        return a; }
    /* decimal without sign; -1 where it is none or does not fit */
    static inline int64_t slice_number(slice_t a) {
        int64_t v = 0; size_t i;
        if (a.len == 0 || a.len > 18) return -1;
        for (i = 0; i < a.len; i++) { if (a.ptr[i] < '0' || a.ptr[i] > '9') return -1; v = v * 10 + (a.ptr[i] - '0'); }
        return v; }
    static inline int slice_8bit(slice_t a) {
        uint64_t any = 0, w[4]; size_t i = 0;
        for (; i + 32 <= a.len; i += 32) { memcpy(w, a.ptr + i, 32); any |= w[0] | w[1] | w[2] | w[3]; }
        for (; i < a.len; i++) any |= (uint8_t)a.ptr[i];
        return (any & 0x8080808080808080ull) != 0; }
    /* 64-bit mixing hash with a seed; names from the wire are hashed with a random one */
    static inline uint64_t slice_mix(uint64_t a, uint64_t b) { __uint128_t r = (__uint128_t)a * b; return (uint64_t)r ^ (uint64_t)(r >> 64); }
    static inline uint64_t slice_hash(slice_t s, uint64_t seed) {
        const uint8_t *p = (const uint8_t *)s.ptr; size_t n = s.len; uint64_t h = seed ^ 0x9e3779b97f4a7c15ull, w;
        while (n >= 8) { memcpy(&w, p, 8); h = slice_mix(h ^ w, 0xa0761d6478bd642full); p += 8; n -= 8; }
        w = 0; if (n) memcpy(&w, p, n);
        h = slice_mix(h ^ w ^ ((uint64_t)s.len << 56), 0xe7037ed1a0b428dbull);
        return slice_mix(h, 0x8ebc6af09c88c6e3ull); }
    """
    ctypedef struct slice_t:
        const char *ptr
        size_t len
    slice_t slice_make(const char *p, size_t n) noexcept nogil
    bint slice_eq(slice_t a, slice_t b) noexcept nogil
    bint slice_ieq(slice_t a, slice_t b) noexcept nogil          # ASCII case folded
    bint slice_starts_i(slice_t a, slice_t prefix) noexcept nogil
    bint slice_ends_i(slice_t a, slice_t suffix) noexcept nogil
    slice_t slice_trim(slice_t a) noexcept nogil                 # spaces and tabs off both ends
    int64_t slice_number(slice_t a) noexcept nogil               # -1 where it is no decimal
    bint slice_8bit(slice_t a) noexcept nogil                    # has a byte above 127
    uint64_t slice_hash(slice_t s, uint64_t seed) noexcept nogil
    uint64_t slice_mix(uint64_t a, uint64_t b) noexcept nogil


cdef inline slice_t slice_of(const char *z) noexcept nogil:
    """A slice over a C string, without its NUL."""
    return slice_make(z, strlen(z))


cdef inline slice_t slice_of_bytes(bytes b):
    """Borrowed from a bytes object: keep the object alive."""
    return slice_make(<const char*>b, len(b))


cdef inline bytes slice_bytes(slice_t s):
    """A copy as bytes."""
    return s.ptr[:s.len] if s.len else b""
