"""Generations: how long they live, and lookups that any thread may make.

Answers are compiled on first use, under the generation's mutex: one answers_t for a
binding with its group, one for a Domain, one for a chain of listener and Peer.  All
who ask share them; a pair of binding and Domain is a values_t that points to both.
"""
from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc

from pymomentum.core.base.arena cimport arena_calloc, arena_copy, arena_free
from pymomentum.core.base.atomic cimport (
    atomic_add32, atomic_load32, atomic_load64, atomic_loadp, atomic_store32, atomic_store64, atomic_storep,
)
from pymomentum.core.base.cidr cimport sockaddr
from pymomentum.core.base.clock cimport clock_mono_ms
from pymomentum.core.base.hash cimport hash_free, hash_get, hash_put
from pymomentum.core.base.slice cimport slice_make, slice_t
from pymomentum.core.base.status cimport EC_NOTFOUND, EC_OK
from pymomentum.core.c.posix cimport pthread_mutex_destroy, pthread_mutex_init, pthread_mutex_lock, pthread_mutex_t, pthread_mutex_unlock
from .match cimport match_free, match_init
from .scope cimport (
    CHAIN_MAX, chain_add, chain_add_peers, chain_apply, chain_ceilings, chain_t, chain_value, instance_t, names_find, names_free, names_t,
)
from .tables cimport binding_t, compiled_t, listen_t, pathway_t, tables, tables_t
from .values cimport OPT_PATHWAY, opt_text, pairs_t, value_t, values_t

cdef pthread_mutex_t current_lock
cdef config_generation_t *current = NULL
cdef config_generation_t *newest = NULL     # of all that were published and are in memory
cdef uint64_t current_number = 0
cdef config_generation_t *dead = NULL       # nobody holds them; they wait for config_reap
cdef uint32_t alive = 0
pthread_mutex_init(&current_lock, NULL)


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

cdef config_generation_t *generation_new() noexcept nogil:
    cdef config_generation_t *g = <config_generation_t*>calloc(1, sizeof(config_generation_t))
    cdef tables_t *t = <tables_t*>calloc(1, sizeof(tables_t))
    if g == NULL or t == NULL:
        free(g)
        free(t)
        return NULL
    g.refs = 1
    g.opaque = t
    pthread_mutex_init(&t.lock, NULL)
    match_init(&t.matches)
    atomic_add32(&alive, 1)
    return g


cdef uint64_t generation_publish(config_generation_t *g) noexcept nogil:
    global current, newest
    cdef config_generation_t *old
    cdef uint64_t number
    g.born_ms = clock_mono_ms()
    pthread_mutex_lock(&current_lock)
    number = g.number = current_number + 1
    old = current
    if old != NULL:
        old.outdated_ms = g.born_ms
    g.older = newest
    newest = g
    current = g
    atomic_store64(&current_number, number)
    pthread_mutex_unlock(&current_lock)
    if old != NULL:
        config_unref(old)
    return number


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
            if chain_ceilings(&t.arena, c, &found.answers) != EC_OK or found.key.ptr == NULL \
                    or hash_put(&t.chains, found.key, found) != EC_OK:
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
    cdef compiled_t *bare = <compiled_t*>atomic_loadp(&listen.bare)
    cdef bint peers
    cdef chain_t c
    c.n = 0
    chain_add_peers(&c, listen.listen, peer)
    chain_add_peers(&c, listen.listener, peer)
    peers = c.n > 0
    if bare != NULL and not peers:
        return &bare.values
    chain_add(&c, listen.listen)
    chain_add(&c, listen.listener)
    add_pathway(t, &c)
    bare = compiled(t, &c, &t.base)
    if not peers:
        atomic_storep(&listen.bare, bare)
    return &bare.values


cdef const config_pathway_t *config_pathway(config_generation_t *g, const values_t *reception) noexcept nogil:
    cdef const slice_t *name = opt_text(reception, OPT_PATHWAY)
    return <const config_pathway_t*>hash_get(&tables(g).pathways, name[0]) if name != NULL else NULL


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
