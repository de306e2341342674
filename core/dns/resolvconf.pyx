"""resolv.conf(5): `nameserver` lines and the options timeout and attempts, which Momentum also calls retrans and retry."""
from libc.stdint cimport int64_t
from libc.string cimport memchr, memset

from pymomentum.core.base.cidr cimport sockaddr
from pymomentum.core.base.slice cimport slice_eq, slice_make, slice_number, slice_of, slice_of_bytes, slice_starts_i, slice_t
from pymomentum.core.base.status cimport EC_IO, EC_OK
from pymomentum.core.c.posix cimport O_CLOEXEC, O_RDONLY, open_mode, posix_close, posix_read
from pymomentum.core.net.address cimport ADDRESS_TEXT, address_parse, address_port_text

cdef enum:
    DNS_PORT = 53
    FILE_MAX = 16384


cdef slice_t word(slice_t *rest) noexcept nogil:
    """Cut the next word off; empty at the end."""
    cdef size_t n = 0
    while rest.len and rest.ptr[0] in b" \t\r":
        rest[0] = slice_make(rest.ptr + 1, rest.len - 1)
    while n < rest.len and not rest.ptr[n] in b" \t\r":
        n += 1
    cdef slice_t w = slice_make(rest.ptr, n)
    rest[0] = slice_make(rest.ptr + n, rest.len - n)
    return w


cdef void add_server(slice_t text, resolvconf_t *out) noexcept nogil:
    """"10.0.0.1", "::1", "10.0.0.1:5353" or "[::1]:5353"; what is none of them is left out."""
    cdef size_t i, colon = 0, colons = 0
    cdef int64_t port = DNS_PORT
    for i in range(text.len):
        if text.ptr[i] == c':':
            colon = i
            colons += 1
    if colons and (colons == 1 or text.ptr[colon - 1] == c']'):
        port = slice_number(slice_make(text.ptr + colon + 1, text.len - colon - 1))
        text.len = colon
    if out.servers < RESOLVCONF_SERVERS and 0 < port < 65536 and \
            address_parse(text, <int>port, &out.server[out.servers]) == EC_OK:
        out.servers += 1


cdef void set_option(slice_t text, const char *name, uint32_t least, uint32_t most, uint32_t unit, uint32_t *out) noexcept nogil:
    cdef slice_t wanted = slice_of(name)
    cdef int64_t v
    if slice_starts_i(text, wanted):
        v = slice_number(slice_make(text.ptr + wanted.len, text.len - wanted.len))
        if v >= 0:
            out[0] = <uint32_t>(least if v < least else most if v > most else v) * unit


cdef void resolvconf_parse(slice_t text, resolvconf_t *out) noexcept nogil:
    cdef slice_t line, w
    cdef const char *end
    memset(out, 0, sizeof(out[0]))
    out.timeout_ms = 5000
    out.attempts = 2
    while text.len:
        end = <const char*>memchr(text.ptr, c'\n', text.len)
        line = slice_make(text.ptr, end - text.ptr if end != NULL else text.len)
        text = slice_make(text.ptr + line.len, text.len - line.len)
        if text.len:
            text = slice_make(text.ptr + 1, text.len - 1)
        w = word(&line)
        if slice_eq(w, slice_of(b"nameserver")):
            add_server(word(&line), out)
        elif slice_eq(w, slice_of(b"options")):
            w = word(&line)
            while w.len:
                set_option(w, b"timeout:", 1, 30, 1000, &out.timeout_ms)
                set_option(w, b"retrans:", 1, 30, 1000, &out.timeout_ms)
                set_option(w, b"attempts:", 1, 5, 1, &out.attempts)
                set_option(w, b"retry:", 1, 5, 1, &out.attempts)
                w = word(&line)
    if out.servers == 0:
        add_server(slice_of(b"127.0.0.1"), out)


cdef int resolvconf_read(const char *path, resolvconf_t *out) noexcept nogil:
    cdef char text[FILE_MAX]
    cdef ssize_t n
    cdef int fd = open_mode(path, O_RDONLY | O_CLOEXEC, 0)
    if fd < 0:
        return EC_IO
    n = posix_read(fd, text, sizeof(text))
    posix_close(fd)
    if n < 0:
        return EC_IO
    resolvconf_parse(slice_make(text, n), out)
    return EC_OK


def parse_resolvconf(bytes text not None):
    """Parse the text of a resolv.conf."""
    cdef resolvconf_t conf
    cdef char[ADDRESS_TEXT] out
    cdef slice_t s = slice_of_bytes(text)
    cdef uint32_t i
    with nogil:
        resolvconf_parse(s, &conf)
    servers = []
    for i in range(conf.servers):
        n = address_port_text(<const sockaddr*>&conf.server[i], out)
        servers.append((<char*>out)[:n].decode())
    return {"servers": servers, "timeout_ms": conf.timeout_ms, "attempts": conf.attempts}


def without_effect(bytes text not None):
    """Answer the words in a resolv.conf that mail does not follow, each once: it asks for whole names, and DNS alone."""
    found = []
    for line in text.decode("latin-1").splitlines():
        first, *rest = line.split() or [""]
        words = [word.partition(":")[0].lower() for word in rest] if first == "options" else [first]
        found += [word for word in words if word in ("search", "domain", "sortlist", "lookup", "ndots", "rotate")]
    return list(dict.fromkeys(found))
