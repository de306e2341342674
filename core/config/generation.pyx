"""Generations: lookups that any thread may make, and the Builder that publishes one.

Answers are compiled on first use, under the generation's mutex: one answers_t for a
binding with its group, one for a Domain, one for a chain of listener and Peer.  All
who ask share them; a pair of binding and Domain is a values_t that points to both.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from pymomentum.core.base.arena cimport arena_alloc, arena_calloc, arena_chunk_t, arena_copy, arena_free, arena_t
from pymomentum.core.base.atomic cimport (
    atomic_add32, atomic_load32, atomic_load64, atomic_loadp, atomic_store32, atomic_store64, atomic_storep,
)
from pymomentum.core.base.cidr cimport cidr_parse, cidr_set_t, cidr_sort, cidr_t, sockaddr
from pymomentum.core.base.clock cimport clock_mono_ms
from pymomentum.core.base.hash cimport hash_free, hash_get, hash_next, hash_put, hash_t
from pymomentum.core.base.slice cimport slice_bytes, slice_make, slice_of_bytes, slice_t
from pymomentum.core.base.status cimport EC_NOMEM, EC_NOTFOUND, EC_OK
from pymomentum.core.c.posix cimport pthread_mutex_destroy, pthread_mutex_init, pthread_mutex_lock, pthread_mutex_t, pthread_mutex_unlock
from pymomentum.core.loop.limit cimport limit_t
from .match cimport match_cache_t, match_free, match_init
from .scope cimport (
    CHAIN_MAX, chain_add, chain_add_peers, chain_apply, chain_t, chain_value, instance_t, names_add, names_find,
    names_free, names_t, regex_t, scope_add_peer, scope_set,
)
from .values cimport (
    LAYER_BINDING, LAYER_DOMAIN, OPT_COUNT, OPT_MATCH_CACHE_LIFE, OPT_MATCH_CACHE_SIZE, OPT_PATHWAY, answers_t, limit_ref_t,
    opt_list_t, opt_number, opt_value, pairs_t, throttle_t, value_t, values_free, values_same, values_t,
)

cdef extern from "arpa/inet.h" nogil:
    enum:
        AF_INET
        AF_INET6
    int inet_pton(int family, const char *text, void *out)
    unsigned short htons(unsigned short)

cdef extern from "netinet/in.h" nogil:
    cdef struct in_addr:
        pass
    cdef struct sockaddr_in:
        unsigned short sin_family
        unsigned short sin_port
        in_addr sin_addr
    cdef struct in6_addr:
        pass
    cdef struct sockaddr_in6:
        unsigned short sin6_family
        unsigned short sin6_port
        in6_addr sin6_addr

cdef struct compiled_t:         # a chain's ids, and what it answers
    slice_t key
    answers_t answers
    values_t values             # nothing but the answers

cdef struct binding_t:
    config_binding_t front      # first: what callers see
    instance_t *inner           # Binding inside its group
    instance_t *own             # Binding outside any group
    instance_t *group
    values_t values             # for names without a Domain stanza
    uint32_t ready              # atomic: `values` is filled

cdef struct listen_t:
    config_listen_t front       # first
    instance_t *listener
    instance_t *listen
    compiled_t *bare            # without peer; set once, atomically

cdef struct pathway_t:
    instance_t *inner           # Pathway inside its group
    instance_t *own
    instance_t *group

cdef struct tables_t:
    arena_t arena               # grows under the lock when chains are compiled
    pthread_mutex_t lock
    hash_t chains               # ids of instances -> compiled_t
    compiled_t base             # defaults and the global scope
    compiled_t unset            # what a host scope starts from
    uint8_t[OPT_COUNT] none     # layers of who has but one
    uint8_t[OPT_COUNT] layers   # layer_t of every option
    match_cache_t matches
    instance_t *top             # the global scope
    names_t *names              # all of them
    binding_t **bindings        # by slot; NULL: not in this generation
    size_t slots
    hash_t binding_names
    listen_t **listens
    size_t listen_n
    hash_t pathways
    uint32_t instances

cdef pthread_mutex_t current_lock
cdef config_generation_t *current = NULL
cdef config_generation_t *newest = NULL     # of all that were published and are in memory
cdef uint64_t current_number = 0
cdef config_generation_t *dead = NULL       # nobody holds them; they wait for config_reap
cdef uint32_t alive = 0
pthread_mutex_init(&current_lock, NULL)


cdef inline tables_t *tables(config_generation_t *g) noexcept nogil:
    return <tables_t*>g.opaque


cdef void unlist(config_generation_t *g) noexcept nogil:
    cdef config_generation_t **at = &newest
    pthread_mutex_lock(&current_lock)
    while at[0] != NULL and at[0] != g:
        at = &at[0].older
    if at[0] != NULL:
        at[0] = g.older
    pthread_mutex_unlock(&current_lock)


cdef void destroy(config_generation_t *g) noexcept nogil:
    cdef tables_t *t = tables(g)
    cdef names_t *names = t.names
    while names != NULL:
        names_free(names)
        names = names.next
    hash_free(&t.chains)
    hash_free(&t.binding_names)
    hash_free(&t.pathways)
    match_free(&t.matches)
    pthread_mutex_destroy(&t.lock)
    arena_free(&t.arena)
    free(t)
    free(g)
    atomic_add32(&alive, -1)


cdef config_generation_t *config_current() noexcept nogil:
    cdef config_generation_t *g
    pthread_mutex_lock(&current_lock)
    g = current
    if g != NULL:
        config_ref(g)
    pthread_mutex_unlock(&current_lock)
    return g


cdef uint64_t config_number() noexcept nogil:
    return atomic_load64(&current_number)


cdef config_generation_t *config_ref(config_generation_t *g) noexcept nogil:
    atomic_add32(&g.refs, 1)
    return g


cdef void config_unref(config_generation_t *g) noexcept nogil:
    global dead
    if atomic_add32(&g.refs, -1) == 0:
        if g.number:
            unlist(g)
        pthread_mutex_lock(&current_lock)
        g.older = dead
        dead = g
        pthread_mutex_unlock(&current_lock)


def reap():
    """Free the generations that nobody holds any more: no loop spends its time on it."""
    global dead
    cdef config_generation_t *g
    cdef config_generation_t *next
    with nogil:
        pthread_mutex_lock(&current_lock)
        g = dead
        dead = NULL
        pthread_mutex_unlock(&current_lock)
        while g != NULL:
            next = g.older
            destroy(g)
            g = next


cdef compiled_t *compiled(tables_t *t, const chain_t *c, compiled_t *start) noexcept nogil:
    """What a chain answers, shared by all who ask it; `start` is what stands behind it."""
    cdef uint32_t[CHAIN_MAX + 1] ids
    cdef compiled_t *found
    cdef slice_t key
    cdef size_t i
    if c.n == 0:
        return start
    ids[0] = start == &t.unset
    for i in range(c.n):
        ids[i + 1] = c.at[i].id
    key = slice_make(<const char*>ids, (c.n + 1) * sizeof(uint32_t))
    pthread_mutex_lock(&t.lock)
    found = <compiled_t*>hash_get(&t.chains, key)
    if found == NULL:
        found = <compiled_t*>arena_calloc(&t.arena, sizeof(compiled_t))
        if found != NULL:
            found.answers = start.answers
            chain_apply(c, &found.answers)
            found.values.layers = t.none
            found.values.outer = &found.answers
            found.key = arena_copy(&t.arena, key)
            if found.key.ptr == NULL or hash_put(&t.chains, found.key, found) != EC_OK:
                found = NULL
    pthread_mutex_unlock(&t.lock)
    return start if found == NULL else found        # out of memory: the global answers


cdef binding_t *binding_at(tables_t *t, uint16_t slot) noexcept nogil:
    """The binding in a slot; the default one for a binding that this generation has not."""
    if slot < t.slots and t.bindings[slot] != NULL:
        return t.bindings[slot]
    return t.bindings[0]


cdef const pairs_t *domain_in(tables_t *t, instance_t *s, slice_t domain) noexcept nogil:
    """What the Domain stanza of a name inside a scope sets; NULL: nothing."""
    cdef instance_t *found = names_find(&t.matches, s.domains, domain) if s != NULL else NULL
    return &found.pairs if found != NULL and found.pairs.n else NULL


cdef const values_t *without_domain(tables_t *t, binding_t *b) noexcept nogil:
    cdef chain_t c
    cdef compiled_t *said
    if atomic_load32(&b.ready):
        return &b.values
    c.n = 0
    chain_add(&c, b.inner)
    chain_add(&c, b.own)
    chain_add(&c, b.group)
    if c.n == 0:
        return &t.base.values
    said = compiled(t, &c, &t.base)
    if said == &t.base:                     # no memory
        return &t.base.values
    pthread_mutex_lock(&t.lock)
    b.values.layers = t.layers
    b.values.outer = &t.base.answers
    b.values.binding = &said.answers
    atomic_store32(&b.ready, 1)
    pthread_mutex_unlock(&t.lock)
    return &b.values


cdef compiled_t *alone(tables_t *t, instance_t *s) noexcept nogil:
    """What one scope answers, over the global one."""
    cdef compiled_t *found = <compiled_t*>atomic_loadp(&s.compiled)
    cdef chain_t c
    if found == NULL:
        c.n = 0
        chain_add(&c, s)
        found = compiled(t, &c, &t.base)
        if found != &t.base:                # there was memory
            atomic_storep(&s.compiled, found)
    return found


cdef const values_t *config_delivery(config_generation_t *g, uint16_t binding, slice_t domain, values_t *room) noexcept nogil:
    cdef tables_t *t = tables(g)
    cdef binding_t *b = binding_at(t, binding)
    cdef const values_t *bare = without_domain(t, b)
    cdef instance_t *d = names_find(&t.matches, t.top.domains, domain)
    cdef const pairs_t *inner = domain_in(t, b.inner, domain)
    cdef const pairs_t *own = domain_in(t, b.own, domain)
    cdef const pairs_t *group = domain_in(t, b.group, domain)
    cdef bint within = inner != NULL or own != NULL or group != NULL
    if d != NULL and d.pairs.n == 0:
        d = NULL
    if d == NULL and not within:
        return bare
    if not within and bare.binding == NULL:
        return &alone(t, d).values
    room.layers = t.layers
    room.outer = &alone(t, d).answers if d != NULL else &t.base.answers
    room.binding = bare.binding
    room.domain[0] = inner
    room.domain[1] = own
    room.domain[2] = group
    room.kept = False
    return room


cdef const values_t *config_delivery_kept(config_generation_t *g, uint16_t binding, slice_t domain) noexcept nogil:
    cdef values_t room
    cdef const values_t *found = config_delivery(g, binding, domain, &room)
    cdef values_t *kept
    if found != &room:
        return found
    kept = <values_t*>malloc(sizeof(values_t))
    if kept == NULL:
        return without_domain(tables(g), binding_at(tables(g), binding))
    kept[0] = room
    kept.kept = True
    return kept


cdef const values_t *config_host(config_generation_t *g, uint16_t binding, slice_t host) noexcept nogil:
    cdef tables_t *t = tables(g)
    cdef binding_t *b = binding_at(t, binding)
    cdef chain_t c
    c.n = 0
    chain_add(&c, host_in(t, b.inner, host))
    chain_add(&c, host_in(t, b.group, host))
    chain_add(&c, host_in(t, b.own, host))
    chain_add(&c, host_in(t, t.top, host))
    return &compiled(t, &c, &t.unset).values


cdef inline instance_t *host_in(tables_t *t, instance_t *s, slice_t host) noexcept nogil:
    return names_find(&t.matches, s.hosts, host) if s != NULL else NULL


cdef void add_pathway(tables_t *t, chain_t *c) noexcept nogil:
    """Append the pathway that the chain so far names."""
    cdef const value_t *name = chain_value(c, OPT_PATHWAY)
    cdef pathway_t *p
    if name == NULL or name.text == NULL:
        return
    p = <pathway_t*>hash_get(&t.pathways, name.text[0])
    if p != NULL:
        chain_add(c, p.inner)
        chain_add(c, p.own)
        chain_add(c, p.group)


cdef const values_t *config_reception(config_generation_t *g, const config_listen_t *l,
                                      const sockaddr *peer) noexcept nogil:
    cdef tables_t *t = tables(g)
    cdef listen_t *listen = <listen_t*>l
    cdef compiled_t *bare
    cdef size_t before
    cdef bint peers
    cdef chain_t c
    c.n = 0
    chain_add_peers(&c, listen.listen, peer)
    peers = c.n > 0
    chain_add(&c, listen.listen)
    before = c.n
    chain_add_peers(&c, listen.listener, peer)
    peers = peers or c.n > before
    bare = <compiled_t*>atomic_loadp(&listen.bare)
    if bare != NULL and not peers:
        return &bare.values
    chain_add(&c, listen.listener)
    add_pathway(t, &c)
    bare = compiled(t, &c, &t.base)
    if not peers:
        atomic_storep(&listen.bare, bare)
    return &bare.values


cdef size_t config_listen_count(config_generation_t *g) noexcept nogil:
    return tables(g).listen_n


cdef const config_listen_t *config_listen(config_generation_t *g, size_t index) noexcept nogil:
    return &tables(g).listens[index].front if index < tables(g).listen_n else NULL


cdef size_t config_binding_count(config_generation_t *g) noexcept nogil:
    return tables(g).slots


cdef const config_binding_t *config_binding(config_generation_t *g, uint16_t slot) noexcept nogil:
    cdef tables_t *t = tables(g)
    return &t.bindings[slot].front if slot < t.slots and t.bindings[slot] != NULL else NULL


cdef int config_binding_slot(config_generation_t *g, slice_t name) noexcept nogil:
    cdef binding_t *b = <binding_t*>hash_get(&tables(g).binding_names, name)
    return EC_NOTFOUND if b == NULL else b.front.slot


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


# --- Python: building, and looking for tests and the console -----------------

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


cdef class Builder:
    """Collects one generation.  Scope 0 holds the defaults, scope 1 is the global one."""

    cdef config_generation_t *g
    cdef list scopes            # address of the instance_t
    cdef list paths             # where each stands in the configuration

    DEFAULTS = 0
    GLOBAL = 1

    def __cinit__(self):
        cdef tables_t *t
        self.g = <config_generation_t*>need(calloc(1, sizeof(config_generation_t)))
        self.g.refs = 1
        t = <tables_t*>calloc(1, sizeof(tables_t))
        if t == NULL:
            free(self.g)
            self.g = NULL
            raise MemoryError
        self.g.opaque = t
        pthread_mutex_init(&t.lock, NULL)
        match_init(&t.matches)
        atomic_add32(&alive, 1)
        self.scopes = []
        self.paths = []
        for _ in range(2):
            self.add_scope()
        t.top = self.scope(1)

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
            path = f"{self.paths[parent]}/{kind}:{name.lower()}"
        self.scopes.append(<size_t>s)
        self.paths.append(path)
        return len(self.scopes) - 1

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
                v.throttle.arrival_ns = old.arrival_ns if old != NULL else 0
                BUCKETS[key] = <size_t>v.throttle
        check(scope_set(&self.tables().arena, self.scope(scope), option, v[0]))

    def set_limit(self, size_t scope, int option, int64_t most, str path=None, outer=None):
        """Let all that fall back to a scope count together, up to `most`; below 0 is unlimited.

        `path` stands for the scope's own where several scopes share one count; the scope with number `outer` counts too.
        """
        cdef value_t *v = self.place(option, "limit")
        cdef instance_t *around
        cdef uint32_t i
        if most >= 0:
            key = (self.paths[scope] if path is None else path, option)
            if key not in BUCKETS:
                BUCKETS[key] = <size_t>need(calloc(1, sizeof(limit_t)))
            v.limit = <limit_ref_t*>need(arena_calloc(&self.tables().arena, sizeof(limit_ref_t)))
            v.limit.limit = <limit_t*><size_t>BUCKETS[key]
            v.limit.most = most
            if outer is not None:
                around = self.scope(outer)
                for i in range(around.pairs.n):
                    if around.pairs.at[i].option == option:
                        v.limit.outer = around.pairs.at[i].value.limit
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

    def add_pathway(self, str name not None, inner=None, own=None, group_scope=None):
        """Add a pathway with the scopes that speak for it."""
        cdef tables_t *t = self.tables()
        cdef pathway_t *p = <pathway_t*>need(arena_calloc(&t.arena, sizeof(pathway_t)))
        p.inner = NULL if inner is None else self.scope(inner)
        p.own = NULL if own is None else self.scope(own)
        p.group = NULL if group_scope is None else self.scope(group_scope)
        check(hash_put(&t.pathways, self.copy(name), p))

    def publish(self):
        """Make this the current generation; answers its number.  The builder is empty afterwards."""
        global current, newest
        cdef config_generation_t *g = self.g
        cdef config_generation_t *old
        cdef tables_t *t = self.tables()
        cdef chain_t c
        cdef int option
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
        g.born_ms = clock_mono_ms()
        self.g = NULL
        pthread_mutex_lock(&current_lock)
        g.number = current_number + 1
        old = current
        if old != NULL:
            old.outdated_ms = g.born_ms
        g.older = newest
        newest = g
        current = g
        atomic_store64(&current_number, g.number)
        pthread_mutex_unlock(&current_lock)
        if old != NULL:
            config_unref(old)
        return config_number()


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


def live_generations():
    """Answer how many generations are in memory that somebody holds."""
    reap()
    return alive


def generations():
    """Answer (number, age in ms, ms since it was replaced or None, holders) of those in memory, newest first, 64 at most."""
    cdef config_generation_t[64] seen
    cdef config_generation_t *g
    cdef uint64_t now = clock_mono_ms()
    cdef int i, n = 0
    pthread_mutex_lock(&current_lock)       # nothing of Python's in here: it might let go of one
    g = newest
    while g != NULL and n < 64:
        seen[n] = g[0]
        seen[n].refs -= g == current
        n += 1
        g = g.older
    pthread_mutex_unlock(&current_lock)
    return [(seen[i].number, now - seen[i].born_ms, now - seen[i].outdated_ms if seen[i].outdated_ms else None, seen[i].refs)
            for i in range(n)]
