"""Looking into a generation from Python, for tests and tools: what a chain of scopes answers."""
from libc.stdint cimport uint16_t
from libc.string cimport memset

from pymomentum.core.base.arena cimport arena_chunk_t
from pymomentum.core.base.cidr cimport sockaddr
from pymomentum.core.base.slice cimport slice_bytes, slice_of_bytes, slice_t
from pymomentum.core.c.posix cimport pthread_mutex_lock, pthread_mutex_unlock
from pymomentum.core.c.inet cimport AF_INET, AF_INET6, inet_pton, sockaddr_in, sockaddr_in6
from pymomentum.core.config.builder import KINDS, NAMES
from .generation cimport (
    config_binding, config_binding_count, config_binding_slot, config_current, config_delivery, config_delivery_kept, config_generation_t,
    config_host, config_listen, config_listen_count, config_listen_t, config_number, config_reception, config_unref,
)
from .match cimport match_cache_t
from .tables cimport tables, tables_t
from .values cimport opt_value, value_t, values_free, values_same, values_t


cdef class Generation:
    """A reference to a generation, for looking."""

    cdef config_generation_t *g

    def __cinit__(self):
        self.g = config_current()
        if self.g == NULL:
            raise LookupError("no configuration is published")

    def __dealloc__(self):
        if self.g != NULL:
            config_unref(self.g)

    @property
    def number(self):
        return self.g.number

    @property
    def chains(self):
        """How many chains are compiled."""
        return tables(self.g).chains.used

    @property
    def matches(self):
        """How many names the match cache knows."""
        cdef match_cache_t *c = &tables(self.g).matches
        return c.fresh.found.used + c.stale.found.used

    @property
    def memory(self):
        """How many bytes its arena holds."""
        cdef tables_t *t = tables(self.g)
        cdef size_t n = 0
        cdef arena_chunk_t *chunk
        pthread_mutex_lock(&t.lock)
        chunk = t.arena.head
        while chunk != NULL:
            n += chunk.size
            chunk = chunk.next
        pthread_mutex_unlock(&t.lock)
        return n

    @property
    def globals(self):
        return View.of(self, self.g.globals)

    def bindings(self):
        """Answer name -> (group, slot)."""
        found = {}
        for slot in range(config_binding_count(self.g)):
            b = config_binding(self.g, slot)
            if b != NULL:
                found[slice_bytes(b.name).decode()] = (slice_bytes(b.group).decode(), b.slot)
        return found

    def listens(self):
        """Answer (kind, name, whether it is a path) of every address."""
        cdef size_t i
        cdef const config_listen_t *l
        found = []
        for i in range(config_listen_count(self.g)):
            l = config_listen(self.g, i)
            found.append((l.kind, slice_bytes(l.name).decode(), l.address_len == 0))
        return found

    cdef int slot(self, str name) except -1:
        cdef bytes text = name.encode()
        cdef int slot = config_binding_slot(self.g, slice_of_bytes(text))
        if slot < 0:
            raise KeyError(name)
        return slot

    def lookup_delivery(self, str binding, str domain):
        cdef bytes text = domain.encode()
        cdef slice_t name = slice_of_bytes(text)
        cdef uint16_t slot = <uint16_t>self.slot(binding)
        cdef const values_t *values
        with nogil:
            values = config_delivery_kept(self.g, slot, name)
        return View.of(self, values)

    def look_up_all(self, domains):
        """Ask for each of the domains under every binding, as a server with mail for all of them would; answers how often."""
        cdef bytes text
        cdef values_t room
        cdef slice_t name
        cdef size_t slot, n = 0
        for domain in domains:
            text = domain.encode()
            name = slice_of_bytes(text)
            with nogil:
                for slot in range(config_binding_count(self.g)):
                    config_delivery(self.g, <uint16_t>slot, name, &room)
                    n += 1
        return n

    def lookup_host(self, str binding, str host):
        cdef bytes text = host.encode()
        return View.of(self, config_host(self.g, self.slot(binding), slice_of_bytes(text)))

    def lookup_reception(self, size_t index, str address):
        cdef bytes text = address.encode()
        cdef sockaddr_in6 storage
        cdef sockaddr_in *in4 = <sockaddr_in*>&storage
        cdef const config_listen_t *l = config_listen(self.g, index)
        if l == NULL:
            raise IndexError(index)
        memset(&storage, 0, sizeof(storage))
        if inet_pton(AF_INET, text, &in4.sin_addr) == 1:
            in4.sin_family = AF_INET
        elif inet_pton(AF_INET6, text, &storage.sin6_addr) == 1:
            storage.sin6_family = AF_INET6
        else:
            raise ValueError(f"not an address: {address!r}")
        return View.of(self, config_reception(self.g, l, <sockaddr*>&storage))


cdef class View:
    """Options by name as a chain answers them."""

    cdef Generation owner
    cdef const values_t *values         # freed with this where it is kept

    def __dealloc__(self):
        values_free(self.values)

    @staticmethod
    cdef View of(Generation owner, const values_t *values):
        cdef View v = View.__new__(View)
        v.owner = owner
        v.values = values
        return v

    def same(self, View other not None):
        """Answer whether both share all answers."""
        return values_same(self.values, other.values)

    def __getitem__(self, str name):
        """Answer a number, str, list of str, list of (address, bits), (interval, window, where) of a throttle, or
        (most, where) of a limit."""
        cdef int option = NAMES.index(name)
        cdef value_t v = opt_value(self.values, option)
        cdef size_t i
        kind = KINDS[option]
        if kind == "number":
            return v.number
        if v.text == NULL:
            return None
        if kind == "text":
            return slice_bytes(v.text[0]).decode()
        if kind == "list":
            return [slice_bytes(v.items.items[i]).decode() for i in range(v.items.n)]
        if kind == "nets":
            return [(<bytes>(<char*>v.nets.nets[i].address)[:16], v.nets.nets[i].bits) for i in range(v.nets.n)]
        if kind == "limit":
            return v.limit.most, <size_t>v.limit.limit
        return v.throttle.interval_ns, v.throttle.window_ns, <size_t>v.throttle


def current_generation():
    """Answer the current Generation, or None before the first."""
    return Generation() if config_number() else None
