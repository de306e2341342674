"""Stanzas and how they are found: by name, by regular expression, by address.

Expressions are compiled by the JIT and run with match limits: a name that
exhausts them does not match.
"""
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from pymomentum.core.base.arena cimport arena_alloc, arena_calloc, arena_copy, arena_t
from pymomentum.core.base.cidr cimport cidr_find, cidr_next, cidr_parse, cidr_t, sockaddr
from pymomentum.core.base.hash cimport hash_free, hash_get, hash_put, hash_slot_t
from pymomentum.core.base.slice cimport slice_make, slice_of_bytes, slice_t
from pymomentum.core.base.status cimport EC_NOMEM, EC_OK, EC_SYNTAX
from .match cimport match_cache_t, match_get, match_put
from .values cimport OPT_LISTENER_SESSIONS, OPT_SERVICE_SESSIONS, answers_t, limit_ref_t, pair_t, pairs_t, value_t

cdef extern from "pcre2.h" nogil:
    ctypedef struct pcre2_match_data:
        pass
    ctypedef struct pcre2_match_context:
        pass
    enum:
        PCRE2_CASELESS
        PCRE2_ERROR_NOMATCH
        PCRE2_JIT_COMPLETE
        PCRE2_NEVER_BACKSLASH_C
    pcre2_code *pcre2_compile(const unsigned char*, size_t, uint32_t, int*, size_t*, void*)
    void pcre2_code_free(pcre2_code*)
    int pcre2_jit_compile(pcre2_code*, uint32_t)
    pcre2_match_data *pcre2_match_data_create(uint32_t, void*)
    void pcre2_match_data_free(pcre2_match_data*)
    pcre2_match_context *pcre2_match_context_create(void*)
    int pcre2_set_match_limit(pcre2_match_context*, uint32_t)
    int pcre2_set_depth_limit(pcre2_match_context*, uint32_t)
    int pcre2_set_heap_limit(pcre2_match_context*, uint32_t)
    int pcre2_match(const pcre2_code*, const unsigned char*, size_t, size_t, uint32_t, pcre2_match_data*,
                    pcre2_match_context*)
    int pcre2_get_error_message(int, unsigned char*, size_t)

cdef enum:
    MATCH_LIMIT = 100000
    DEPTH_LIMIT = 1000
    HEAP_LIMIT_KIB = 1024

cdef pcre2_match_context *limits = pcre2_match_context_create(NULL)
if limits == NULL:
    raise MemoryError
pcre2_set_match_limit(limits, MATCH_LIMIT)
pcre2_set_depth_limit(limits, DEPTH_LIMIT)
pcre2_set_heap_limit(limits, HEAP_LIMIT_KIB)


cdef int scope_set(arena_t *a, instance_t *s, int option, value_t value) noexcept nogil:
    cdef pairs_t *said = &s.pairs
    cdef pair_t *grown
    cdef uint32_t i
    for i in range(said.n):
        if said.at[i].option == option:
            said.at[i].value = value
            return EC_OK
    if said.n == said.room:
        grown = <pair_t*>arena_alloc(a, (said.room * 2 + 2) * sizeof(pair_t))
        if grown == NULL:
            return EC_NOMEM
        if said.n:
            memcpy(grown, said.at, said.n * sizeof(pair_t))
        said.at = grown
        said.room = said.room * 2 + 2
    said.at[said.n].option = option
    said.at[said.n].value = value
    said.n += 1
    return EC_OK


cdef int scope_add_peer(arena_t *a, instance_t *s, slice_t network, instance_t *peer) noexcept nogil:
    cdef size_t n = s.peers.n
    cdef uint32_t room = s.peer_room * 2 + 4
    cdef cidr_t net
    cdef cidr_t *nets
    cdef instance_t **peers
    if cidr_parse(network, &net) != EC_OK:
        return EC_SYNTAX
    if n == s.peer_room:
        nets = <cidr_t*>arena_alloc(a, room * sizeof(cidr_t))
        peers = <instance_t**>arena_alloc(a, room * sizeof(instance_t*))
        if nets == NULL or peers == NULL:
            return EC_NOMEM
        if n:
            memcpy(nets, s.peers.nets, n * sizeof(cidr_t))
            memcpy(peers, s.peer, n * sizeof(instance_t*))
        s.peers.nets = nets
        s.peer = peers
        s.peer_room = room
    net.tag = <int>n
    peer.client = True
    s.peers.nets[n] = net
    s.peer[n] = peer
    s.peers.n = n + 1
    return EC_OK


cdef pcre2_code *compile(slice_t name, int *error, size_t *offset) noexcept nogil:
    """Compile what stands between the slashes."""
    return pcre2_compile(<const unsigned char*>name.ptr + 1, name.len - 2, PCRE2_CASELESS | PCRE2_NEVER_BACKSLASH_C,
                         error, offset, NULL)


cdef inline bint is_regex(slice_t name) noexcept nogil:
    return name.len > 2 and name.ptr[0] == c'/' and name.ptr[name.len - 1] == c'/'


cdef int names_add(arena_t *a, names_t *names, slice_t name, instance_t *s) noexcept nogil:
    cdef regex_t *r
    cdef int error
    cdef size_t offset
    if not is_regex(name):
        name = arena_copy(a, name)
        return EC_NOMEM if name.ptr == NULL else hash_put(&names.exact, name, s)
    r = <regex_t*>arena_calloc(a, sizeof(regex_t))
    if r == NULL:
        return EC_NOMEM
    r.code = compile(name, &error, &offset)
    if r.code == NULL:
        return EC_SYNTAX
    pcre2_jit_compile(r.code, PCRE2_JIT_COMPLETE)       # without the JIT it matches too, only slower
    r.instance = s
    if names.last == NULL:
        names.last = &names.regexes
    names.last[0] = r
    names.last = &r.next
    return EC_OK


cdef instance_t *names_match(const names_t *names, slice_t low) noexcept nogil:
    """The first stanza whose expression matches a lower-case name."""
    cdef regex_t *r = names.regexes
    cdef pcre2_match_data *m = pcre2_match_data_create(1, NULL)
    if m == NULL:
        return NULL
    while r != NULL and pcre2_match(r.code, <const unsigned char*>low.ptr, low.len, 0, 0, m, limits) < 0:
        r = r.next
    pcre2_match_data_free(m)
    return r.instance if r != NULL else NULL


cdef int scope_complete(arena_t *a, instance_t *s, const instance_t *more) noexcept nogil:
    cdef uint32_t own = s.pairs.n, i, k
    cdef int rc = EC_OK
    for i in range(more.pairs.n):
        for k in range(own):
            if s.pairs.at[k].option == more.pairs.at[i].option:
                break
        else:
            rc = scope_set(a, s, more.pairs.at[i].option, more.pairs.at[i].value)
            if rc != EC_OK:
                break
    return rc


cdef int names_complete(arena_t *a, names_t *names) noexcept nogil:
    cdef hash_slot_t *slot
    cdef instance_t *found
    cdef size_t i
    cdef int rc
    if names.regexes == NULL:
        return EC_OK
    for i in range(names.exact.size):
        slot = &names.exact.slots[i]
        if slot.key != NULL:
            found = names_match(names, slice_make(slot.key, slot.len))
            rc = scope_complete(a, <instance_t*>slot.value, found) if found != NULL else EC_OK
            if rc != EC_OK:
                return rc
    return EC_OK


cdef instance_t *names_find(match_cache_t *cache, names_t *names, slice_t name) noexcept nogil:
    cdef char[8 + NAME_MAX_LEN] room       # the container, then the name in lower case
    cdef slice_t low
    cdef slice_t key
    cdef size_t i
    cdef char c
    cdef instance_t *found = NULL
    if names == NULL or name.len > NAME_MAX_LEN:
        return NULL
    low = slice_make(room + 8, name.len)
    for i in range(name.len):
        c = name.ptr[i]
        room[8 + i] = c + 32 if c'A' <= c <= c'Z' else c
    found = <instance_t*>hash_get(&names.exact, low)
    if found != NULL or names.regexes == NULL:
        return found
    memcpy(room, &names, 8)
    key = slice_make(room, 8 + name.len)
    if not match_get(cache, key, <void**>&found):
        found = names_match(names, low)
        match_put(cache, key, found)
    return found


cdef void names_free(names_t *names) noexcept nogil:
    cdef regex_t *r = names.regexes
    while r != NULL:
        pcre2_code_free(r.code)
        r = r.next
    hash_free(&names.exact)


cdef void chain_add(chain_t *c, instance_t *s) noexcept nogil:
    if s != NULL and s.pairs.n and c.n < CHAIN_MAX:
        c.at[c.n] = s
        c.n += 1


cdef void chain_add_peers(chain_t *c, instance_t *s, const sockaddr *peer) noexcept nogil:
    cdef const cidr_t *net
    if s == NULL or peer == NULL:
        return
    net = cidr_find(&s.peers, peer)
    while net != NULL:
        chain_add(c, s.peer[net.tag])
        net = cidr_next(&s.peers, net, peer)


cdef const value_t *own_value(const instance_t *s, int option) noexcept nogil:
    cdef uint32_t k
    for k in range(s.pairs.n):
        if s.pairs.at[k].option == option:
            return &s.pairs.at[k].value
    return NULL


cdef const value_t *chain_value(const chain_t *c, int option) noexcept nogil:
    cdef const value_t *found = NULL
    cdef size_t i
    for i in range(c.n):
        found = own_value(c.at[i], option)
        if found != NULL:
            break
    return found


cdef void chain_apply(const chain_t *c, answers_t *out) noexcept nogil:
    cdef size_t i = c.n
    cdef uint32_t k
    cdef int option
    while i > 0:            # the most specific speaks last
        i -= 1
        for k in range(c.at[i].pairs.n):
            option = c.at[i].pairs.at[k].option
            out.v[option] = c.at[i].pairs.at[k].value
            out.said[option >> 6] |= <uint64_t>1 << (option & 63)


cdef int add_ceiling(arena_t *a, limit_ref_t **first, const limit_ref_t *said) noexcept nogil:
    """Add a limit to those that count; of several for one count the lowest."""
    cdef limit_ref_t **at = first
    while at[0] != NULL and at[0].limit != said.limit:
        at = &at[0].outer
    if at[0] == NULL:
        at[0] = <limit_ref_t*>arena_calloc(a, sizeof(limit_ref_t))
        if at[0] == NULL:
            return EC_NOMEM
        at[0].limit = said.limit
        at[0].most = said.most
    at[0].most = min(at[0].most, said.most)
    return EC_OK


cdef int ceilings(arena_t *a, const chain_t *c, int option, answers_t *out) noexcept nogil:
    cdef limit_ref_t **first = &out.v[option].limit
    cdef const value_t *said
    cdef bint client = False
    cdef size_t i
    if not out.said[option >> 6] >> (option & 63) & 1:
        return EC_OK
    first[0] = NULL
    for i in range(c.n):
        said = own_value(c.at[i], option) if not (client and c.at[i].client) else NULL
        if said == NULL:
            continue
        client = client or c.at[i].client
        if said.limit != NULL and add_ceiling(a, first, said.limit) != EC_OK:
            return EC_NOMEM
    return EC_OK


cdef int chain_ceilings(arena_t *a, const chain_t *c, answers_t *out) noexcept nogil:
    cdef int rc = ceilings(a, c, OPT_LISTENER_SESSIONS, out)
    return rc if rc != EC_OK else ceilings(a, c, OPT_SERVICE_SESSIONS, out)


def check_regex(str name not None):
    """Check a "/pcre/" name; raises ValueError saying where the expression fails."""
    cdef bytes text = name.encode()
    cdef int error = 0
    cdef size_t offset = 0
    cdef pcre2_code *code = compile(slice_of_bytes(text), &error, &offset)
    if code == NULL:
        raise ValueError(f"bad expression at character {offset + 1}: {complaint(error)}")
    pcre2_code_free(code)


cdef str complaint(int error):
    cdef unsigned char[256] message
    pcre2_get_error_message(error, message, sizeof(message))
    return (<char*>message).decode()


def regex_search(str expression not None, list names not None):
    """List those of some names that an expression is found in, whatever their case; raises ValueError where it is none, or takes too long."""
    cdef bytes text = f"/{expression}/".encode("utf-8", "surrogateescape"), subject
    cdef int error = 0, rc = 0
    cdef size_t offset = 0, length
    cdef const char *begin
    cdef pcre2_code *code = compile(slice_of_bytes(text), &error, &offset)
    cdef pcre2_match_data *m = pcre2_match_data_create(1, NULL)
    cdef list found = []
    if code == NULL or m == NULL:
        pcre2_match_data_free(m)
        pcre2_code_free(code)
        raise ValueError(complaint(error))
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE)
    for name in names:
        subject = name.encode("utf-8", "surrogateescape")
        begin, length = subject, len(subject)
        with nogil:
            rc = pcre2_match(code, <const unsigned char*>begin, length, 0, 0, m, limits)
        if rc >= 0:
            found.append(name)
        elif rc != PCRE2_ERROR_NOMATCH:
            break
    pcre2_match_data_free(m)
    pcre2_code_free(code)
    if rc < 0 and rc != PCRE2_ERROR_NOMATCH:
        raise ValueError(f"it takes too long: {complaint(rc)}")
    return found


def regex_matches(str name not None, str text not None):
    """Answer whether a "/pcre/" name stands for a text, as a lookup would find it."""
    cdef bytes expression = name.encode(), subject = text.lower().encode("utf-8", "surrogateescape")
    cdef int error = 0, rc
    cdef size_t offset = 0
    cdef pcre2_code *code = compile(slice_of_bytes(expression), &error, &offset)
    cdef pcre2_match_data *m = pcre2_match_data_create(1, NULL)
    if code == NULL or m == NULL:
        pcre2_match_data_free(m)
        raise ValueError(f"{name} cannot be matched")
    rc = pcre2_match(code, <const unsigned char*><const char*>subject, len(subject), 0, 0, m, limits)
    pcre2_match_data_free(m)
    pcre2_code_free(code)
    return rc >= 0
