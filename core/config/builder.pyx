"""Builder: scopes and what they set, collected under the GIL into a generation that is then published."""
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc
from libc.string cimport memcpy, memset

from pymomentum.core.base.arena cimport arena_alloc, arena_calloc, arena_copy, arena_t
from pymomentum.core.base.cidr cimport cidr_parse, cidr_set_t, cidr_sort, cidr_t
from pymomentum.core.base.clock cimport clock_mono_ns
from pymomentum.core.base.hash cimport hash_get, hash_next, hash_put, hash_t
from pymomentum.core.base.slice cimport slice_of_bytes, slice_t
from pymomentum.core.base.status cimport EC_NOMEM, EC_OK
from pymomentum.core.c.inet cimport AF_INET, AF_INET6, htons, inet_pton, sockaddr_in, sockaddr_in6
from pymomentum.core.loop.limit cimport limit_t
from .generation cimport (
    LISTEN_CONTROL, LISTEN_ECSTREAM, LISTEN_ESMTP, LISTEN_HTTP, config_generation_t, config_unref, generation_new, generation_publish,
)
from .scope cimport (
    chain_add, chain_apply, chain_t, instance_t, names_add, names_complete, names_t, regex_t, scope_add_peer, scope_complete, scope_set,
)
from .tables cimport binding_t, compiled_t, listen_t, pathway_t, tables, tables_t
from .values cimport (
    LAYER_BINDING, LAYER_DOMAIN, OPT_COUNT, OPT_MATCH_CACHE_LIFE, OPT_MATCH_CACHE_SIZE, limit_ref_t, opt_list_t, opt_number,
    throttle_t, value_t,
)

KINDS = []          # per option id: "number", "text", "list", "nets", "throttle" or "limit"
NAMES = []          # per option id
BUCKETS = {}        # (path of the declaring scope, option) -> address of its throttle_t or limit_t, for the life of the process
cdef hash_t slot_names          # binding name -> slot + 1, for the life of the process
cdef arena_t slot_arena
cdef size_t slot_count = 0
LISTEN_KINDS = {"esmtp_listener": LISTEN_ESMTP, "control_listener": LISTEN_CONTROL, "http_listener": LISTEN_HTTP,
                "ecstream_listener": LISTEN_ECSTREAM}


def declare_options(options):
    """Tell the names and kinds of all options, in the order of their ids."""
    names, kinds = zip(*options)
    if len(names) != OPT_COUNT:
        raise RuntimeError("the core was built for other options: build again")
    NAMES[:] = names
    KINDS[:] = kinds


cdef int check(int rc) except -1:
    if rc == EC_NOMEM:
        raise MemoryError
    if rc < 0:
        raise ValueError("refused by the core")
    return 0


cdef void *need(void *p) except NULL:
    if p == NULL:
        raise MemoryError
    return p


cdef int slot_of(bytes name) except -1:
    """The slot of a binding name, taken now if it has none yet."""
    global slot_count
    cdef size_t slot = <size_t>hash_get(&slot_names, slice_of_bytes(name))
    cdef slice_t kept
    if slot == 0:
        if slot_count > 0xffff:
            raise ValueError("more than 65536 binding names since the server started")
        kept = arena_copy(&slot_arena, slice_of_bytes(name))
        if kept.ptr == NULL:
            raise MemoryError
        check(hash_put(&slot_names, kept, <void*><size_t>(slot_count + 1)))
        slot_count += 1
        slot = slot_count
    return <int>slot - 1


slot_of(b"default")


cdef void mark(tables_t *t, instance_t *s, int layer) noexcept nogil:
    cdef uint32_t k
    for k in range(s.pairs.n):
        t.layers[s.pairs.at[k].option] |= layer


cdef void mark_binding(tables_t *t, instance_t *s) noexcept nogil:
    """What a binding or group sets, and the Domain stanzas in it."""
    cdef instance_t *d
    cdef regex_t *r
    cdef size_t cursor = 0
    if s == NULL or s.layered:
        return
    s.layered = True
    mark(t, s, LAYER_BINDING)
    if s.domains == NULL:
        return
    d = <instance_t*>hash_next(&s.domains.exact, &cursor)
    while d != NULL:
        mark(t, d, LAYER_DOMAIN)
        d = <instance_t*>hash_next(&s.domains.exact, &cursor)
    r = s.domains.regexes
    while r != NULL:
        mark(t, r.instance, LAYER_DOMAIN)
        r = r.next


cdef void mark_layers(tables_t *t) noexcept nogil:
    cdef size_t i
    for i in range(t.slots):
        if t.bindings[i] != NULL:
            mark_binding(t, t.bindings[i].inner)
            mark_binding(t, t.bindings[i].own)
            mark_binding(t, t.bindings[i].group)


cdef class Builder:
    """Collects one generation.  Scope 0 holds the defaults, scope 1 is the global one."""

    cdef config_generation_t *g
    cdef list scopes            # address of the instance_t
    cdef list paths             # where each stands in the configuration

    DEFAULTS = 0
    GLOBAL = 1

    def __cinit__(self):
        self.g = <config_generation_t*>need(generation_new())
        self.scopes = []
        self.paths = []
        for _ in range(2):
            self.add_scope()
        tables(self.g).top = self.scope(1)

    def __dealloc__(self):
        if self.g != NULL:
            config_unref(self.g)

    cdef tables_t *tables(self) except NULL:
        if self.g == NULL:
            raise RuntimeError("published already")
        return tables(self.g)

    cdef instance_t *scope(self, size_t number) except NULL:
        return <instance_t*><size_t>self.scopes[number]

    cdef value_t *place(self, int option, str kind) except NULL:
        """Check an option's kind; answers room for a cleared value."""
        if not 0 <= option < OPT_COUNT:
            raise IndexError(option)
        if KINDS[option] != kind:
            raise TypeError(f"{NAMES[option]} holds a {KINDS[option]}, not a {kind}")
        return <value_t*>need(arena_calloc(&self.tables().arena, sizeof(value_t)))

    cdef slice_t copy(self, str text) except *:
        cdef bytes data = text.encode()
        cdef slice_t s = arena_copy(&self.tables().arena, slice_of_bytes(data))
        need(<void*>s.ptr)
        return s

    def add_scope(self, kind=None, parent=None, str name=None, str path=""):
        """Add a stanza; `kind` (domain, host, peer) and name tell how its parent finds it.  Answers its number.

        Throttles and limits keep their state over reloads in scopes of the same path.
        """
        cdef tables_t *t = self.tables()
        cdef instance_t *s = <instance_t*>need(arena_calloc(&t.arena, sizeof(instance_t)))
        cdef instance_t *outer
        cdef bytes text
        s.id = t.instances
        t.instances += 1
        if kind is not None:
            outer = self.scope(parent)
            text = name.encode()
            if kind == "peer":
                check(scope_add_peer(&t.arena, outer, slice_of_bytes(text), s))
            elif kind == "domain":
                check(names_add(&t.arena, self.names(&outer.domains), slice_of_bytes(text), s))
            elif kind == "host":
                check(names_add(&t.arena, self.names(&outer.hosts), slice_of_bytes(text), s))
            else:
                raise ValueError(kind)
            if kind == "host":
                self.g.hosts = True
            path = f"{self.paths[parent]}/{kind}:{name}"
        self.scopes.append(<size_t>s)
        self.paths.append(path)
        return len(self.scopes) - 1

    def complete(self, size_t scope, size_t more):
        """Let a scope say what another one says and it does not; they share throttles and limits."""
        check(scope_complete(&self.tables().arena, self.scope(scope), self.scope(more)))

    cdef names_t *names(self, names_t **of) except NULL:
        if of[0] == NULL:
            of[0] = <names_t*>need(arena_calloc(&self.tables().arena, sizeof(names_t)))
            of[0].next = self.tables().names
            self.tables().names = of[0]
        return of[0]

    def set_number(self, size_t scope, int option, int64_t number):
        cdef value_t *v = self.place(option, "number")
        v.number = number
        check(scope_set(&self.tables().arena, self.scope(scope), option, v[0]))

    def set_text(self, size_t scope, int option, str text not None):
        cdef value_t *v = self.place(option, "text")
        cdef slice_t *s = <slice_t*>need(arena_alloc(&self.tables().arena, sizeof(slice_t)))
        s[0] = self.copy(text)
        v.text = s
        check(scope_set(&self.tables().arena, self.scope(scope), option, v[0]))

    def set_list(self, size_t scope, int option, items):
        cdef value_t *v = self.place(option, "list")
        cdef arena_t *a = &self.tables().arena
        cdef opt_list_t *l = <opt_list_t*>need(arena_alloc(a, sizeof(opt_list_t)))
        cdef size_t i
        l.n = len(items)
        l.items = <slice_t*>need(arena_alloc(a, (l.n + 1) * sizeof(slice_t)))
        for i in range(l.n):
            l.items[i] = self.copy(items[i])
        v.items = l
        check(scope_set(a, self.scope(scope), option, v[0]))

    def set_nets(self, size_t scope, int option, networks):
        cdef value_t *v = self.place(option, "nets")
        cdef arena_t *a = &self.tables().arena
        cdef cidr_set_t *s = <cidr_set_t*>need(arena_alloc(a, sizeof(cidr_set_t)))
        cdef size_t i
        cdef bytes text
        s.n = len(networks)
        s.nets = <cidr_t*>need(arena_calloc(a, (s.n + 1) * sizeof(cidr_t)))
        for i in range(s.n):
            text = networks[i].encode()
            check(cidr_parse(slice_of_bytes(text), &s.nets[i]))
            s.nets[i].tag = <int>i
        cidr_sort(s)
        v.nets = s
        check(scope_set(a, self.scope(scope), option, v[0]))

    def set_throttle(self, size_t scope, int option, uint64_t count, uint64_t seconds):
        """Give a scope a bucket of its own: `count` in `seconds`; 0 is unlimited."""
        cdef value_t *v = self.place(option, "throttle")
        cdef uint64_t window = seconds * 1000000000
        cdef throttle_t *old
        if count:
            key = (self.paths[scope], option)
            old = <throttle_t*><size_t>BUCKETS.get(key, 0)
            v.throttle = old
            if old == NULL or old.window_ns != window or old.interval_ns != window // count:
                # the old one stays for those that still serve by the old rate
                v.throttle = <throttle_t*>need(calloc(1, sizeof(throttle_t)))
                v.throttle.window_ns = window
                v.throttle.interval_ns = window // count
                if old != NULL:         # who waited for the old rate waits for the new one
                    v.throttle.arrival_ns = min(old.arrival_ns, clock_mono_ns() + v.throttle.interval_ns)
                BUCKETS[key] = <size_t>v.throttle
        check(scope_set(&self.tables().arena, self.scope(scope), option, v[0]))

    def set_limit(self, size_t scope, int option, int64_t most, str path=None):
        """Let all that fall back to a scope count together, up to `most`; below 0 is unlimited.

        `path` stands for the scope's own where several scopes share one count.
        """
        cdef value_t *v = self.place(option, "limit")
        if most >= 0:
            key = (self.paths[scope] if path is None else path, option)
            if key not in BUCKETS:
                BUCKETS[key] = <size_t>need(calloc(1, sizeof(limit_t)))
            v.limit = <limit_ref_t*>need(arena_calloc(&self.tables().arena, sizeof(limit_ref_t)))
            v.limit.limit = <limit_t*><size_t>BUCKETS[key]
            v.limit.most = most
        check(scope_set(&self.tables().arena, self.scope(scope), option, v[0]))

    def add_listen(self, str kind not None, str name not None, host, int port, size_t listener, size_t listen):
        """Add an address to accept on; host None: the name is the path of a unix socket."""
        cdef tables_t *t = self.tables()
        cdef listen_t *l = <listen_t*>need(arena_calloc(&t.arena, sizeof(listen_t)))
        cdef listen_t **grown
        cdef sockaddr_in *in4 = <sockaddr_in*>&l.front.address
        cdef sockaddr_in6 *in6 = <sockaddr_in6*>&l.front.address
        cdef bytes text
        if host is not None:
            text = host.encode()
            if inet_pton(AF_INET, text, &in4.sin_addr) == 1:
                in4.sin_family = AF_INET
                in4.sin_port = htons(port)
                l.front.address_len = sizeof(sockaddr_in)
            elif inet_pton(AF_INET6, text, &in6.sin6_addr) == 1:
                in6.sin6_family = AF_INET6
                in6.sin6_port = htons(port)
                l.front.address_len = sizeof(sockaddr_in6)
            else:
                raise ValueError(f"not an address: {host}")
        l.front.kind = LISTEN_KINDS[kind]
        l.front.name = self.copy(name)
        l.front.index = <int>t.listen_n
        l.listener = self.scope(listener)
        l.listen = self.scope(listen)
        grown = <listen_t**>need(arena_alloc(&t.arena, (t.listen_n + 1) * sizeof(listen_t*)))
        if t.listen_n:
            memcpy(grown, t.listens, t.listen_n * sizeof(listen_t*))
        grown[t.listen_n] = l
        t.listens = grown
        t.listen_n += 1

    def add_binding(self, str name not None, str group not None, inner=None, own=None, group_scope=None):
        """Add a binding with the scopes that speak for it: inside its group, outside, and the group's."""
        cdef tables_t *t = self.tables()
        cdef bytes text = name.encode()
        cdef int slot = slot_of(text)
        cdef binding_t *b = <binding_t*>need(arena_calloc(&t.arena, sizeof(binding_t)))
        cdef binding_t **grown
        cdef size_t room = max(2 * t.slots, <size_t>slot + 1)
        if <size_t>slot >= t.slots:
            grown = <binding_t**>need(arena_calloc(&t.arena, room * sizeof(binding_t*)))
            if t.slots:
                memcpy(grown, t.bindings, t.slots * sizeof(binding_t*))
            t.bindings = grown
            t.slots = room
        b.front.name = self.copy(name)
        b.front.group = self.copy(group)
        b.front.slot = <uint16_t>slot
        b.inner = NULL if inner is None else self.scope(inner)
        b.own = NULL if own is None else self.scope(own)
        b.group = NULL if group_scope is None else self.scope(group_scope)
        t.bindings[slot] = b
        check(hash_put(&t.binding_names, b.front.name, b))

    def add_pathway(self, str name not None, str group not None, inner=None, own=None, group_scope=None):
        """Add a pathway with the scopes that speak for it."""
        cdef tables_t *t = self.tables()
        cdef pathway_t *p = <pathway_t*>need(arena_calloc(&t.arena, sizeof(pathway_t)))
        p.front.name = self.copy(name)
        p.front.group = self.copy(group)
        p.inner = NULL if inner is None else self.scope(inner)
        p.own = NULL if own is None else self.scope(own)
        p.group = NULL if group_scope is None else self.scope(group_scope)
        check(hash_put(&t.pathways, p.front.name, p))

    def publish(self):
        """Make this the current generation; answers its number.  The builder is empty afterwards."""
        cdef config_generation_t *g = self.g
        cdef tables_t *t = self.tables()
        cdef names_t *names = t.names
        cdef chain_t c
        cdef int option, rc = EC_OK
        with nogil:
            while names != NULL and rc == EC_OK:
                rc = names_complete(&t.arena, names)
                names = names.next
        check(rc)
        if hash_get(&t.binding_names, slice_of_bytes(b"default")) == NULL:
            self.add_binding("default", "default")
        t.slots = min(t.slots, slot_count)
        for scope in self.scopes:
            cidr_sort(&(<instance_t*><size_t>scope).peers)
        for option in range(OPT_COUNT):
            if KINDS[option] == "number":
                t.unset.answers.v[option].number = -1
        t.base = t.unset
        c.n = 0
        chain_add(&c, self.scope(1))
        chain_add(&c, self.scope(0))
        chain_apply(&c, &t.base.answers)
        memset(t.base.answers.said, 0, sizeof(t.base.answers.said))
        for start in (<size_t>&t.base, <size_t>&t.unset):
            (<compiled_t*><size_t>start).values.layers = t.none
            (<compiled_t*><size_t>start).values.outer = &(<compiled_t*><size_t>start).answers
        mark_layers(t)
        g.globals = &t.base.values
        t.matches.most = <size_t>opt_number(g.globals, OPT_MATCH_CACHE_SIZE)
        t.matches.life_ms = <uint64_t>opt_number(g.globals, OPT_MATCH_CACHE_LIFE) * 1000
        self.g = NULL
        return generation_publish(g)
