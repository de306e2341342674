"""Networks of IPv4 and IPv6 in one order: an IPv4 address is its v4-mapped IPv6 one.

A wide IPv6 network such as ::/0 holds no IPv4 address, however that arrives.
Sorted by prefix length and address, so a find is one binary search per length
in use.
"""
from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, malloc, qsort
from libc.string cimport memchr, memcmp, memcpy, memset

from .slice cimport slice_make, slice_number, slice_of_bytes, slice_t
from .status cimport EC_OK, EC_SYNTAX

cdef extern from "arpa/inet.h" nogil:
    enum:
        AF_INET
        AF_INET6
    int inet_pton(int family, const char *text, void *out)

cdef extern from "netinet/in.h" nogil:
    cdef struct in_addr:
        unsigned int s_addr
    cdef struct sockaddr_in:
        in_addr sin_addr
    cdef struct in6_addr:
        uint8_t s6_addr[16]
    cdef struct sockaddr_in6:
        in6_addr sin6_addr

cdef enum:
    MAPPED_BITS = 96        # ::ffff:0:0/96 is all of IPv4
    LONGEST_TEXT = 45

cdef const char *MAPPED = b"\0\0\0\0\0\0\0\0\0\0\xff\xff"


cdef inline bint is_mapped(const uint8_t *address) noexcept nogil:
    return memcmp(address, MAPPED, 12) == 0


cdef bint address_of(const sockaddr *a, uint8_t *out) noexcept nogil:
    """Write the sixteen bytes of a socket address; false for another family."""
    if a.sa_family == AF_INET:
        memcpy(out, MAPPED, 12)
        memcpy(out + 12, &(<const sockaddr_in*>a).sin_addr, 4)
    elif a.sa_family == AF_INET6:
        memcpy(out, &(<const sockaddr_in6*>a).sin6_addr, 16)
    else:
        return False
    return True


cdef void mask(uint8_t *address, int bits) noexcept nogil:
    cdef int whole = bits // 8
    if whole < 16:
        address[whole] &= <uint8_t>(0xff00 >> (bits % 8))
        memset(address + whole + 1, 0, 15 - whole)


cdef int cidr_parse(slice_t text, cidr_t *out) noexcept nogil:
    cdef char[LONGEST_TEXT + 1] z
    cdef cidr_t c
    cdef int64_t bits = -1
    cdef bint v4
    cdef const char *slash = <const char*>memchr(text.ptr, c'/', text.len) if text.len else NULL
    if slash != NULL:
        bits = slice_number(slice_make(slash + 1, text.len - (slash + 1 - text.ptr)))
        if bits < 0:
            return EC_SYNTAX
        text.len = slash - text.ptr
    if text.len == 0 or text.len > LONGEST_TEXT or memchr(text.ptr, 0, text.len) != NULL:
        return EC_SYNTAX
    memcpy(z, text.ptr, text.len)
    z[text.len] = 0
    memset(&c, 0, sizeof(c))
    v4 = memchr(z, c':', text.len) == NULL
    if v4:
        memcpy(c.address, MAPPED, 12)
    if inet_pton(AF_INET if v4 else AF_INET6, z, c.address + (12 if v4 else 0)) != 1:
        return EC_SYNTAX
    if bits > (32 if v4 else 128):
        return EC_SYNTAX
    if bits < 0:
        bits = 128
    elif v4:
        bits += MAPPED_BITS
    c.bits = <uint8_t>bits
    mask(c.address, c.bits)
    out[0] = c
    return EC_OK


cdef int compare(const void *a, const void *b) noexcept nogil:
    cdef const cidr_t *x = <const cidr_t*>a
    cdef const cidr_t *y = <const cidr_t*>b
    if x.bits != y.bits:
        return <int>y.bits - <int>x.bits
    return memcmp(x.address, y.address, 16)


cdef void cidr_sort(cidr_set_t *s) noexcept nogil:
    if s.n > 1:
        qsort(s.nets, s.n, sizeof(cidr_t), compare)


cdef size_t first_from(const cidr_set_t *s, size_t low, const cidr_t *wanted) noexcept nogil:
    """The first place at or after low whose network does not sort before the wanted one."""
    cdef size_t high = s.n, mid
    while low < high:
        mid = (low + high) // 2
        if compare(&s.nets[mid], wanted) < 0:
            low = mid + 1
        else:
            high = mid
    return low


cdef const cidr_t *search(const cidr_set_t *s, int longest, const uint8_t *address) noexcept nogil:
    """The most specific network of at most `longest` bits that holds the address."""
    cdef cidr_t wanted
    cdef size_t i = 0
    cdef int shortest = MAPPED_BITS if is_mapped(address) else 0
    while longest >= shortest:
        memset(wanted.address, 0, 16)
        wanted.bits = <uint8_t>longest
        i = first_from(s, i, &wanted)       # where this length, or the next one in use, begins
        if i == s.n:
            break
        longest = s.nets[i].bits
        if longest < shortest:
            break
        wanted.bits = <uint8_t>longest
        memcpy(wanted.address, address, 16)
        mask(wanted.address, longest)
        i = first_from(s, i, &wanted)
        if i < s.n and compare(&s.nets[i], &wanted) == 0:
            return &s.nets[i]
        longest -= 1
    return NULL


cdef const cidr_t *cidr_find(const cidr_set_t *s, const sockaddr *a) noexcept nogil:
    cdef uint8_t[16] address
    if s == NULL or s.n == 0 or not address_of(a, address):
        return NULL
    return search(s, 128, address)


cdef const cidr_t *cidr_next(const cidr_set_t *s, const cidr_t *found, const sockaddr *a) noexcept nogil:
    cdef uint8_t[16] address
    if not address_of(a, address):
        return NULL
    return search(s, <int>found.bits - 1, address)


cdef class Networks:
    """A set of networks for Python; `match` lists the places of those that hold an address."""

    cdef cidr_set_t nets

    def __cinit__(self, texts):
        cdef bytes text
        texts = list(texts)
        self.nets.nets = <cidr_t*>malloc(max(1, len(texts)) * sizeof(cidr_t))
        if self.nets.nets == NULL:
            raise MemoryError
        for t in texts:
            text = t.encode()
            if cidr_parse(slice_of_bytes(text), &self.nets.nets[self.nets.n]) != EC_OK:
                raise ValueError(f"not a network: {text.decode()!r}")
            self.nets.nets[self.nets.n].tag = <int>self.nets.n
            self.nets.n += 1
        cidr_sort(&self.nets)

    def __dealloc__(self):
        free(self.nets.nets)

    def match(self, str address not None):
        """Answer the places of all networks that hold an address, the most specific first."""
        cdef sockaddr_in6 storage
        cdef sockaddr *a = <sockaddr*>&storage
        cdef bytes text = address.encode()
        cdef const cidr_t *c
        memset(&storage, 0, sizeof(storage))
        if inet_pton(AF_INET, text, &(<sockaddr_in*>a).sin_addr) == 1:
            a.sa_family = AF_INET
        elif inet_pton(AF_INET6, text, &storage.sin6_addr) == 1:
            a.sa_family = AF_INET6
        else:
            raise ValueError(f"not an address: {address!r}")
        found = []
        c = cidr_find(&self.nets, a)
        while c != NULL:
            found.append(c.tag)
            c = cidr_next(&self.nets, c, a)
        return found
