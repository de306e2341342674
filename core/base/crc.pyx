"""CRC32C: by SSE4.2, by a table on other processors."""
from libc.stdint cimport uint32_t

cdef extern from *:
    """
    #include <stdint.h>
    #include <stddef.h>
    #include <string.h>
    static uint32_t ec_crc_table[256];
    static int ec_crc_hw = 0;
    static void ec_crc_setup(void) {
        for (uint32_t i = 0; i < 256; i++) { uint32_t c = i; for (int k = 0; k < 8; k++) c = (c >> 1) ^ (0x82f63b78u & (0u - (c & 1))); ec_crc_table[i] = c; }
    #if defined(__x86_64__)
        __builtin_cpu_init(); ec_crc_hw = __builtin_cpu_supports("sse4.2");
    #endif
    }
    #if defined(__x86_64__)
    #include <nmmintrin.h>
    __attribute__((target("sse4.2"))) static uint32_t ec_crc_sse(uint32_t crc, const unsigned char *p, size_t n) {
        uint64_t c = crc ^ 0xffffffffu, w;
        while (n >= 8) { memcpy(&w, p, 8); c = _mm_crc32_u64(c, w); p += 8; n -= 8; }
        while (n--) c = _mm_crc32_u8((uint32_t)c, *p++);
        return (uint32_t)c ^ 0xffffffffu; }
    #else
    static uint32_t ec_crc_sse(uint32_t crc, const unsigned char *p, size_t n) { (void)p; (void)n; return crc; }
    #endif
    static uint32_t ec_crc_soft(uint32_t crc, const unsigned char *p, size_t n) {
        crc ^= 0xffffffffu; while (n--) crc = (crc >> 8) ^ ec_crc_table[(crc ^ *p++) & 255]; return crc ^ 0xffffffffu; }
    """
    void ec_crc_setup() noexcept nogil
    int ec_crc_hw
    uint32_t ec_crc_sse(uint32_t, const unsigned char*, size_t) noexcept nogil
    uint32_t ec_crc_soft(uint32_t, const unsigned char*, size_t) noexcept nogil


ec_crc_setup()


cdef uint32_t crc32c(uint32_t crc, const void *p, size_t n) noexcept nogil:
    if ec_crc_hw:
        return ec_crc_sse(crc, <const unsigned char*>p, n)
    return ec_crc_soft(crc, <const unsigned char*>p, n)


def checksum(bytes data not None, bint hardware=True):
    """CRC32C of data; hardware=False takes the table."""
    cdef const unsigned char *p = <const unsigned char*><char*>data
    return ec_crc_sse(0, p, len(data)) if hardware and ec_crc_hw else ec_crc_soft(0, p, len(data))
