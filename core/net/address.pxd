# Socket addresses as text.
from pymomentum.core.base.cidr cimport sockaddr, sockaddr_storage
from pymomentum.core.base.slice cimport slice_t

cdef enum:
    ADDRESS_TEXT = 64           # longest "[v6]:port" with NUL

cdef size_t address_text(const sockaddr *a, char *out) noexcept nogil               # "10.1.2.3", "::1"; length
cdef size_t address_port_text(const sockaddr *a, char *out) noexcept nogil          # "10.1.2.3:25", "[::1]:25"
cdef int address_parse(slice_t text, int port, sockaddr_storage *out) noexcept nogil    # bare or bracketed literal; EC_SYNTAX
cdef int address_port(const sockaddr *a) noexcept nogil
cdef void address_set_port(sockaddr_storage *a, int port) noexcept nogil
cdef bint address_equal(const sockaddr *a, const sockaddr *b) noexcept nogil        # without ports
cdef void split_port(slice_t text, slice_t *name, slice_t *port) noexcept nogil
