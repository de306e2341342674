"""The PROXY protocol's header (haproxy.org, proxy-protocol.txt).  Pure: no I/O, no allocation.

Fields behind the addresses of version 2 are passed over, and its checksum with them.
"""
from collections import namedtuple

from libc.string cimport memchr, memcmp, memset

from pymomentum.core.base.cidr cimport sockaddr, sockaddr_storage
from pymomentum.core.base.slice cimport slice_eq, slice_make, slice_of, slice_of_bytes, slice_t
from pymomentum.core.base.status cimport EC_AGAIN, EC_OK, EC_SYNTAX
from .address cimport ADDRESS_TEXT, address_parse, address_port_text

Header = namedtuple("Header", "used source destination")

cdef enum:
    LINE_MAX = 107              # with its CR LF: section 2.1
    FIXED = 16                  # of version 2, before the addresses
    LOCAL = 0x20                # version and command
    PROXY = 0x21
    OVER_IPV4 = 0x11            # family and protocol
    OVER_IPV6 = 0x21
    FAMILIES = 3                # unspecified, IPv4, IPv6, unix
    PROTOCOLS = 2               # unspecified, stream, datagram

cdef extern from *:
    """
    #include <netinet/in.h>
    #include <string.h>
    #include <sys/socket.h>
    static void proxy_address(int v6, const char *address, const char *port, struct sockaddr_storage *out) {
        memset(out, 0, sizeof *out);
        if (v6) {
            struct sockaddr_in6 *a = (struct sockaddr_in6 *)out;
            a->sin6_family = AF_INET6; memcpy(&a->sin6_addr, address, 16); memcpy(&a->sin6_port, port, 2);
        } else {
            struct sockaddr_in *a = (struct sockaddr_in *)out;
            a->sin_family = AF_INET; memcpy(&a->sin_addr, address, 4); memcpy(&a->sin_port, port, 2);
        } }
    static int proxy_is_v6(const struct sockaddr_storage *a) { return a->ss_family == AF_INET6; }
    """
    void proxy_address(bint v6, const char *address, const char *port, sockaddr_storage *out) noexcept nogil
    bint proxy_is_v6(const sockaddr_storage*) noexcept nogil

cdef const char *SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
cdef size_t SIGNED = 12


cdef slice_t word(slice_t *line) noexcept nogil:
    """Up to the next single space, or the end."""
    cdef const char *end = <const char*>memchr(line.ptr, c' ', line.len) if line.len else NULL
    cdef slice_t w = slice_make(line.ptr, end - line.ptr if end != NULL else line.len)
    line[0] = slice_make(w.ptr + w.len, line.len - w.len)
    if line.len:
        line[0] = slice_make(line.ptr + 1, line.len - 1)
    return w


cdef int port_of(slice_t text) noexcept nogil:
    cdef int n = 0
    cdef size_t i
    if text.len == 0 or text.len > 5 or (text.ptr[0] == c'0' and text.len > 1):
        return -1
    for i in range(text.len):
        if not c'0' <= text.ptr[i] <= c'9':
            return -1
        n = n * 10 + text.ptr[i] - c'0'
    return n if n < 65536 else -1


cdef int endpoint(slice_t address, slice_t port, bint v6, sockaddr_storage *out) noexcept nogil:
    cdef int n = port_of(port)
    if n < 0 or address.len == 0 or address.ptr[0] == c'[' or address_parse(address, n, out) != EC_OK or proxy_is_v6(out) != v6:
        return EC_SYNTAX
    return EC_OK


cdef int parse_line(slice_t input, proxy_header_t *out) noexcept nogil:
    """PROXY TCP4 192.0.2.1 192.0.2.25 40000 25"""
    cdef const char *end = <const char*>memchr(input.ptr, c'\n', input.len if input.len < LINE_MAX else LINE_MAX)
    cdef slice_t line, family, source, destination, from_port, to_port
    if end == NULL:
        return EC_AGAIN if input.len < LINE_MAX else EC_SYNTAX
    out.used = end - input.ptr + 1
    if out.used < 8 or (end - 1)[0] != c'\r':
        return EC_SYNTAX
    line = slice_make(input.ptr + 6, out.used - 8)
    family = word(&line)
    if slice_eq(family, slice_of(b"UNKNOWN")):          # section 2.1: whatever follows is passed over
        return EC_OK
    if not slice_eq(family, slice_of(b"TCP4")) and not slice_eq(family, slice_of(b"TCP6")):
        return EC_SYNTAX
    source = word(&line)
    destination = word(&line)
    from_port = word(&line)
    to_port = line
    if endpoint(source, from_port, family.ptr[3] == c'6', &out.source) != EC_OK \
            or endpoint(destination, to_port, family.ptr[3] == c'6', &out.destination) != EC_OK:
        return EC_SYNTAX
    out.client = True
    return EC_OK


cdef int parse_binary(slice_t input, proxy_header_t *out) noexcept nogil:
    cdef const unsigned char *p = <const unsigned char*>input.ptr
    cdef size_t length, addresses
    cdef bint v6
    if input.len < FIXED:
        return EC_AGAIN
    length = p[14] << 8 | p[15]
    out.used = FIXED + length
    v6 = p[13] == OVER_IPV6
    addresses = 36 if v6 else 12 if p[13] == OVER_IPV4 else 0
    if (p[12] != LOCAL and p[12] != PROXY) or p[13] >> 4 > FAMILIES or (p[13] & 15) > PROTOCOLS or out.used > PROXY_MAX:
        return EC_SYNTAX
    if p[12] == PROXY and length < addresses:
        return EC_SYNTAX
    if input.len < out.used:
        return EC_AGAIN
    if p[12] == LOCAL or addresses == 0:
        return EC_OK
    length = 16 if v6 else 4            # of one address
    proxy_address(v6, input.ptr + FIXED, input.ptr + FIXED + 2 * length, &out.source)
    proxy_address(v6, input.ptr + FIXED + length, input.ptr + FIXED + 2 * length + 2, &out.destination)
    out.client = True
    return EC_OK


cdef int proxy_parse(slice_t input, proxy_header_t *out) noexcept nogil:
    memset(out, 0, sizeof(out[0]))
    if input.len == 0:
        return EC_AGAIN
    if input.ptr[0] == c'P':
        if memcmp(input.ptr, b"PROXY ", input.len if input.len < 6 else 6) != 0:
            return EC_SYNTAX
        return parse_line(input, out) if input.len > 6 else EC_AGAIN
    if memcmp(input.ptr, SIGNATURE, input.len if input.len < SIGNED else SIGNED) != 0:
        return EC_SYNTAX
    return parse_binary(input, out)


cdef str shown(sockaddr_storage *a):
    cdef char[ADDRESS_TEXT] text
    address_port_text(<sockaddr*>a, text)
    return text.decode()


def parse_header(bytes data not None):
    """Answer the Header that data begins with, its addresses None where it names no client; None: more is needed.

    Raises ValueError where it is no header.
    """
    cdef proxy_header_t h
    cdef int rc = proxy_parse(slice_of_bytes(data), &h)
    if rc == EC_SYNTAX:
        raise ValueError("not a PROXY header")
    if rc == EC_AGAIN:
        return None
    return Header(h.used, shown(&h.source), shown(&h.destination)) if h.client else Header(h.used, None, None)
