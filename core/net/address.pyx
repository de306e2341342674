"""Socket addresses and their text, IPv4 and IPv6."""
from libc.stdio cimport snprintf
from libc.string cimport memchr, memcpy, strlen

from pymomentum.core.base.slice cimport slice_make, slice_t
from pymomentum.core.base.status cimport EC_OK, EC_SYNTAX

cdef extern from *:
    """
    #include <arpa/inet.h>
    #include <netinet/in.h>
    #include <string.h>
    static int ec_mapped(const struct sockaddr *a) {
        return a->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&((const struct sockaddr_in6 *)a)->sin6_addr); }
    static void ec_ntop(const struct sockaddr *a, char *out, size_t n) {
        out[0] = 0;
        if (a->sa_family == AF_INET) inet_ntop(AF_INET, &((const struct sockaddr_in *)a)->sin_addr, out, n);
        else if (ec_mapped(a)) inet_ntop(AF_INET, ((const struct sockaddr_in6 *)a)->sin6_addr.s6_addr + 12, out, n);
        else if (a->sa_family == AF_INET6) inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)a)->sin6_addr, out, n);
        else strcpy(out, "local"); }
    static int ec_port(const struct sockaddr *a) {
        return a->sa_family == AF_INET ? ntohs(((const struct sockaddr_in *)a)->sin_port)
             : a->sa_family == AF_INET6 ? ntohs(((const struct sockaddr_in6 *)a)->sin6_port) : 0; }
    static void ec_set_port(struct sockaddr_storage *a, int port) {
        if (a->ss_family == AF_INET) ((struct sockaddr_in *)a)->sin_port = htons(port);
        else if (a->ss_family == AF_INET6) ((struct sockaddr_in6 *)a)->sin6_port = htons(port); }
    static int ec_pton(const char *text, struct sockaddr_storage *out) {
        struct sockaddr_in *v4 = (struct sockaddr_in *)out; struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
        memset(out, 0, sizeof *out);
        if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) { v4->sin_family = AF_INET; return 1; }
        if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) { v6->sin6_family = AF_INET6; return 1; }
        return 0; }
    static int ec_same(const struct sockaddr *a, const struct sockaddr *b) {
        if (a->sa_family != b->sa_family) return 0;
        if (a->sa_family == AF_INET) return ((const struct sockaddr_in *)a)->sin_addr.s_addr == ((const struct sockaddr_in *)b)->sin_addr.s_addr;
        if (a->sa_family == AF_INET6) return memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr, &((const struct sockaddr_in6 *)b)->sin6_addr, 16) == 0;
        return 0; }
    """
    bint ec_mapped(const sockaddr*) noexcept nogil
    void ec_ntop(const sockaddr*, char*, size_t) noexcept nogil
    int ec_port(const sockaddr*) noexcept nogil
    void ec_set_port(sockaddr_storage*, int) noexcept nogil
    int ec_pton(const char*, sockaddr_storage*) noexcept nogil
    bint ec_same(const sockaddr*, const sockaddr*) noexcept nogil
    int AF_INET6


cdef size_t address_text(const sockaddr *a, char *out) noexcept nogil:
    ec_ntop(a, out, ADDRESS_TEXT)
    return strlen(out)


cdef size_t address_port_text(const sockaddr *a, char *out) noexcept nogil:
    cdef char text[ADDRESS_TEXT]
    ec_ntop(a, text, sizeof(text))
    return snprintf(out, ADDRESS_TEXT, b"[%s]:%d" if a.sa_family == AF_INET6 and not ec_mapped(a) else b"%s:%d",
                    text, ec_port(a))


cdef int address_parse(slice_t text, int port, sockaddr_storage *out) noexcept nogil:
    cdef char z[ADDRESS_TEXT]
    if text.len >= 2 and text.ptr[0] == c'[' and text.ptr[text.len - 1] == c']':
        text.ptr += 1
        text.len -= 2
    if text.len == 0 or text.len >= sizeof(z):
        return EC_SYNTAX
    memcpy(z, text.ptr, text.len)
    z[text.len] = 0
    if not ec_pton(z, out):
        return EC_SYNTAX
    ec_set_port(out, port)
    return EC_OK


cdef int address_port(const sockaddr *a) noexcept nogil:
    return ec_port(a)


cdef void address_set_port(sockaddr_storage *a, int port) noexcept nogil:
    ec_set_port(a, port)


cdef bint address_equal(const sockaddr *a, const sockaddr *b) noexcept nogil:
    return ec_same(a, b)


cdef void split_port(slice_t text, slice_t *name, slice_t *port) noexcept nogil:
    """host[:port], [v6]:port; a bare v6 address has no port."""
    cdef const char *colon
    cdef const char *end
    name[0] = text
    port[0] = slice_make(NULL, 0)
    if text.len and text.ptr[0] == c'[':
        end = <const char*>memchr(text.ptr, c']', text.len)
        if end != NULL:
            name[0] = slice_make(text.ptr, end + 1 - text.ptr)
            if end + 2 < text.ptr + text.len and end[1] == c':':
                port[0] = slice_make(end + 2, text.ptr + text.len - end - 2)
        return
    colon = <const char*>memchr(text.ptr, c':', text.len)
    if colon != NULL and memchr(colon + 1, c':', text.ptr + text.len - colon - 1) == NULL:
        name[0] = slice_make(text.ptr, colon - text.ptr)
        port[0] = slice_make(colon + 1, text.ptr + text.len - colon - 1)
