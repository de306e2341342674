"""MX lookups: the MX records, then the addresses of every host, then one answer.

A lookup belongs to the loop of its query.  It holds the MX answer while it runs,
since host names are borrowed from it.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, qsort
from libc.string cimport memcpy, memset

from pymomentum.core.base.cidr cimport sockaddr
from pymomentum.core.base.clock cimport clock_mono_ns
from pymomentum.core.base.slice cimport slice_eq, slice_make, slice_mix, slice_of, slice_t
from pymomentum.core.base.status cimport EC_AGAIN, EC_OK, EC_SYNTAX
from .answer cimport (DNS_A, DNS_AAAA, DNS_KEY_MAX, DNS_MX, DNS_NODATA, DNS_NXDOMAIN, DNS_OK, dns_answer_next,
                      dns_answer_ttl, dns_answer_unref, dns_key)
from .resolver cimport dns_ask, dns_cancel, dns_query_t, resolver_of, resolver_t

cdef extern from "arpa/inet.h" nogil:
    int AF_INET
    int AF_INET6
    const char *inet_ntop(int family, const void *address, char *out, unsigned int n)

cdef enum:
    ADDRESSES_PER_HOST = 4      # on average: of dns_max_answers hosts
    FAILED_TTL = 5              # seconds, where nothing was answered
    PARTIAL_TTL = 60            # at most, where some host's addresses could not be had
    EARLY_TTL = 1               # of an answer that does not wait for all hosts
    LITERAL_TTL = 86400
    LITERAL_TEXT = 48

cdef struct slot_t:             # one host
    slice_t name                # borrowed from the MX answer, or the lookup's own
    uint16_t preference
    dns_query_t a
    dns_query_t aaaa

cdef struct lookup_t:
    mx_cancel_fn cancel         # first
    mx_query_t *query
    resolver_t *resolver
    loop_t *loop
    int flags
    int status                  # mx_status_t; MX_OK: the addresses decide
    bint exists                 # the domain: it answered the MX query
    bint missing                # the domain: its own address does not exist
    bint failed                 # some query did
    uint32_t pending            # queries, and one while more are being asked
    uint32_t ttl                # of the records seen; all ones: none
    uint32_t negative_ttl       # of the other answers
    uint32_t hosts
    dns_query_t mx
    slot_t *slots
    slice_t name
    char key[DNS_KEY_MAX]


# ---- what was learnt -------------------------------------------------------------

cdef void note_ttl(lookup_t *l, const dns_query_t *q) noexcept nogil:
    """Only records count where there are any."""
    cdef uint32_t ttl = dns_answer_ttl(q.answer, l.loop.now_ms)
    if q.answer.status == DNS_OK:
        l.ttl = ttl if ttl < l.ttl else l.ttl
    else:
        l.negative_ttl = ttl if ttl < l.negative_ttl else l.negative_ttl


cdef bint is_literal(slice_t name) noexcept nogil:
    """No name ends in a label of digits: an address stands where a host name should."""
    cdef size_t i = name.len
    while i and name.ptr[i - 1] != c'.':
        i -= 1
        if not c'0' <= name.ptr[i] <= c'9':
            return False
    return True


cdef void free_lookup(lookup_t *l) noexcept nogil:
    cdef uint32_t i
    dns_cancel(&l.mx)
    dns_answer_unref(l.mx.answer)
    for i in range(l.hosts):
        dns_cancel(&l.slots[i].a)
        dns_cancel(&l.slots[i].aaaa)
        dns_answer_unref(l.slots[i].a.answer)
        dns_answer_unref(l.slots[i].aaaa.answer)
    free(l.slots)
    free(l)


# ---- the answer ------------------------------------------------------------------

cdef uint32_t address_count(const dns_query_t *q) noexcept nogil:
    return q.answer.count if q.answer != NULL and q.answer.status == DNS_OK else 0


cdef int compare_keys(const void *a, const void *b) noexcept nogil:
    cdef uint64_t x = (<const uint64_t*>a)[0]
    cdef uint64_t y = (<const uint64_t*>b)[0]
    return (x > y) - (x < y)


cdef uint64_t *order_hosts(lookup_t *l) noexcept nogil:
    """Keys that sort by preference, then IPv6 if preferred, then by chance; the low 16 bits are the slot."""
    cdef uint64_t *keys = <uint64_t*>malloc((l.hosts + 1) * sizeof(uint64_t))
    cdef uint64_t chance = clock_mono_ns() ^ <uint64_t>l
    cdef uint32_t i
    cdef bint later
    if keys == NULL:
        return NULL
    for i in range(l.hosts):
        chance = slice_mix(chance + 0x9e3779b97f4a7c15ull, 0xe7037ed1a0b428dbull) ^ chance
        later = l.flags & MX_PREFER_IPV6 and not address_count(&l.slots[i].aaaa)
        keys[i] = <uint64_t>l.slots[i].preference << 48 | <uint64_t>later << 47 | (chance & 0x7fffffff) << 16 | i
    qsort(keys, l.hosts, sizeof(uint64_t), compare_keys)
    return keys


cdef void add_addresses(mx_answer_t *out, const dns_query_t *q, uint8_t family, uint32_t most) noexcept nogil:
    cdef size_t at = 0
    cdef slice_t item
    cdef mx_address_t *a
    if not address_count(q):
        return
    while out.addresses < most and dns_answer_next(q.answer, &at, &item):
        a = &out.address[out.addresses]
        a.family = family
        memset(a.bytes, 0, sizeof(a.bytes))
        memcpy(a.bytes, item.ptr, item.len)         # 4 or 16, the parser saw to that
        out.addresses += 1


cdef mx_answer_t *mx_answer_new(uint32_t hosts, uint32_t addresses, size_t names) noexcept nogil:
    cdef size_t n = sizeof(mx_answer_t) + hosts * sizeof(mx_host_t)
    cdef mx_answer_t *out = <mx_answer_t*>malloc(n + addresses * sizeof(mx_address_t) + names)
    if out != NULL:
        memset(out, 0, sizeof(out[0]))
        out.host = <mx_host_t*>(out + 1)
        out.address = <mx_address_t*>(<char*>out + n)
    return out


cdef void add_host(mx_answer_t *out, const lookup_t *l, const slot_t *s, uint32_t most, char **text) noexcept nogil:
    """The host with its addresses; without one it is left out."""
    cdef mx_host_t *h = &out.host[out.hosts]
    h.first = out.addresses
    if l.flags & MX_PREFER_IPV6:
        add_addresses(out, &s.aaaa, 6, most)
        add_addresses(out, &s.a, 4, most)
    else:
        add_addresses(out, &s.a, 4, most)
        add_addresses(out, &s.aaaa, 6, most)
    h.count = out.addresses - h.first
    if h.count == 0:
        return
    h.preference = s.preference
    h.port = 0
    h.name = slice_make(text[0], s.name.len)
    memcpy(text[0], s.name.ptr, s.name.len)
    text[0] += s.name.len
    out.hosts += 1


cdef uint32_t lifetime(const lookup_t *l) noexcept nogil:
    cdef uint32_t ttl = l.ttl
    if l.status == MX_OK:
        if l.pending:
            return EARLY_TTL
        return PARTIAL_TTL if l.failed and ttl > PARTIAL_TTL else ttl
    ttl = l.negative_ttl if l.negative_ttl < ttl else ttl
    return ttl if ttl != <uint32_t>-1 else FAILED_TTL


cdef mx_answer_t *compose(lookup_t *l) noexcept nogil:
    cdef uint64_t most = <uint64_t>l.resolver.max_answers * ADDRESSES_PER_HOST
    cdef uint64_t addresses = 0
    cdef size_t names = 0
    cdef mx_answer_t *out
    cdef uint64_t *keys
    cdef char *text
    cdef uint32_t i
    if l.status == MX_OK:
        for i in range(l.hosts):
            addresses += address_count(&l.slots[i].a) + address_count(&l.slots[i].aaaa)
            names += l.slots[i].name.len
        if addresses == 0:
            l.status = MX_NXDOMAIN if l.missing else MX_FAILED if l.failed else MX_NONE
    if most > 65535:
        most = 65535
    if most > addresses:
        most = addresses
    out = mx_answer_new(l.hosts if most else 0, most, names)
    if out == NULL:
        return NULL
    out.status = l.status
    out.ttl = lifetime(l)
    if l.status != MX_OK:
        return out
    keys = order_hosts(l)
    if keys == NULL:
        free(out)
        return NULL
    text = <char*>(out.address + most)
    for i in range(l.hosts):
        add_host(out, l, &l.slots[keys[i] & 0xffff], most, &text)
    free(keys)
    return out


# ---- the steps -------------------------------------------------------------------

cdef bint early(const lookup_t *l) noexcept nogil:
    """Some address is there, and the asker takes what there is: what is under way goes on, for the cache."""
    cdef uint32_t i
    if not l.flags & MX_EARLY or l.status != MX_OK:
        return False
    for i in range(l.hosts):
        if address_count(&l.slots[i].a) or address_count(&l.slots[i].aaaa):
            return True
    return False


cdef void step(lookup_t *l) noexcept nogil:
    """One query less; after the last one the asker hears of it."""
    cdef mx_query_t *q = l.query
    l.pending -= 1
    if l.pending and not early(l):
        return
    q.answer = compose(l)
    q.opaque = NULL
    free_lookup(l)
    q.done(q)


cdef void take_address(lookup_t *l, dns_query_t *q) noexcept nogil:
    if q.answer == NULL:
        l.failed = True
        return
    note_ttl(l, q)
    if q.answer.status == DNS_NXDOMAIN and not l.exists:
        l.missing = True
    elif q.answer.status not in (DNS_OK, DNS_NODATA, DNS_NXDOMAIN):
        l.failed = True


cdef void on_address(dns_query_t *q) noexcept nogil:
    cdef lookup_t *l = <lookup_t*>q.owner
    take_address(l, q)
    step(l)


cdef void ask_address(lookup_t *l, slice_t name, int type, dns_query_t *q) noexcept nogil:
    cdef int rc
    q.owner = l
    rc = dns_ask(l.resolver, name, type, l.flags & MX_FRESH, q, on_address)
    if rc == EC_AGAIN:
        l.pending += 1
    elif rc == EC_SYNTAX:
        if not l.exists:
            l.missing = True
    else:
        take_address(l, q)


cdef void ask_addresses(lookup_t *l) noexcept nogil:
    cdef uint32_t i
    for i in range(l.hosts):
        if l.exists and is_literal(l.slots[i].name):
            continue
        ask_address(l, l.slots[i].name, DNS_A, &l.slots[i].a)
        if l.flags & MX_IPV6:
            ask_address(l, l.slots[i].name, DNS_AAAA, &l.slots[i].aaaa)


cdef void use_domain(lookup_t *l) noexcept nogil:
    """RFC 5321 5.1: the domain is its own host, at preference 0."""
    l.slots = <slot_t*>calloc(1, sizeof(slot_t))
    if l.slots == NULL:
        l.status = MX_FAILED
        return
    l.hosts = 1
    l.slots[0].name = l.name
    ask_addresses(l)


cdef void add_slot(lookup_t *l, slice_t name, uint16_t preference) noexcept nogil:
    """A host named twice stands at its best preference."""
    cdef uint32_t i
    for i in range(l.hosts):
        if slice_eq(l.slots[i].name, name):
            if preference < l.slots[i].preference:
                l.slots[i].preference = preference
            return
    l.slots[l.hosts].name = name
    l.slots[l.hosts].preference = preference
    l.hosts += 1


cdef void use_hosts(lookup_t *l) noexcept nogil:
    cdef size_t at = 0
    cdef slice_t item
    l.slots = <slot_t*>calloc(l.mx.answer.count, sizeof(slot_t))
    if l.slots == NULL:
        l.status = MX_FAILED
        return
    while dns_answer_next(l.mx.answer, &at, &item):
        if item.len > 2:
            add_slot(l, slice_make(item.ptr + 2, item.len - 2),
                     <uint16_t>(<uint8_t>item.ptr[0] << 8 | <uint8_t>item.ptr[1]))
    if l.hosts == 0:                    # RFC 7505: the root alone; beside others it is passed over
        l.status = MX_NULL
    ask_addresses(l)


cdef void take_mx(lookup_t *l) noexcept nogil:
    cdef int status = l.mx.answer.status if l.mx.answer != NULL else -1
    if l.mx.answer != NULL:
        note_ttl(l, &l.mx)
    if status == DNS_OK:
        l.exists = True
        use_hosts(l)
    elif status == DNS_NODATA:
        l.exists = True
        use_domain(l)
    elif status == DNS_NXDOMAIN:
        l.status = MX_NXDOMAIN
    elif l.flags & MX_FALLBACK_A:
        l.failed = True
        use_domain(l)
    else:
        l.status = MX_FAILED


cdef void on_mx(dns_query_t *q) noexcept nogil:
    cdef lookup_t *l = <lookup_t*>q.owner
    take_mx(l)
    step(l)


cdef void begin(lookup_t *l) noexcept nogil:
    cdef int rc
    if l.flags & MX_ADDRESS_ONLY:
        use_domain(l)
        return
    l.mx.owner = l
    rc = dns_ask(l.resolver, l.name, DNS_MX, l.flags & MX_FRESH, &l.mx, on_mx)
    if rc == EC_AGAIN:
        l.pending += 1
    elif rc == EC_SYNTAX:
        l.status = MX_NXDOMAIN
    else:
        take_mx(l)


cdef int mx_lookup(loop_t *loop, slice_t domain, int flags, mx_query_t *q, mx_done_fn done) noexcept nogil:
    cdef lookup_t *l = <lookup_t*>calloc(1, sizeof(lookup_t))
    cdef size_t n
    q.loop = loop
    q.done = done
    q.answer = NULL
    q.opaque = NULL
    if l == NULL:
        return EC_OK
    l.cancel = on_cancel
    l.query = q
    l.loop = loop
    l.resolver = resolver_of(loop)
    if l.resolver == NULL:
        free(l)
        return EC_OK
    l.flags = flags
    l.status = MX_OK
    l.ttl = l.negative_ttl = <uint32_t>-1
    n = dns_key(domain, DNS_MX, l.key)
    l.pending = 1
    if n:
        l.name = slice_make(l.key + 2, n - 2)
        begin(l)
    else:
        l.status = MX_NXDOMAIN                  # longer than any name can be
    l.pending -= 1
    if l.pending and not early(l):
        q.opaque = l
        return EC_AGAIN
    q.answer = compose(l)
    free_lookup(l)
    return EC_OK


cdef void on_cancel(void *work) noexcept nogil:
    free_lookup(<lookup_t*>work)


cdef void mx_cancel(mx_query_t *q) noexcept nogil:
    if q.opaque != NULL:
        (<mx_cancel_fn*>q.opaque)[0](q.opaque)
        q.opaque = NULL


cdef void mx_address_of(const sockaddr *s, mx_address_t *out) noexcept nogil:
    memset(out, 0, sizeof(out[0]))
    out.family = 4 if s.sa_family == AF_INET else 6
    memcpy(out.bytes, <const char*>s + (4 if out.family == 4 else 8), 4 if out.family == 4 else 16)


cdef mx_answer_t *mx_answer_literal(const mx_address_t *address) noexcept nogil:
    cdef mx_answer_t *out = mx_answer_new(1, 1, LITERAL_TEXT)
    cdef char *text
    if out == NULL:
        return NULL
    text = <char*>(out.address + 1)
    inet_ntop(AF_INET if address.family == 4 else AF_INET6, address.bytes, text, LITERAL_TEXT)
    out.status = MX_OK
    out.ttl = LITERAL_TTL
    out.hosts = 1
    out.addresses = 1
    out.address[0] = address[0]
    memset(out.host, 0, sizeof(mx_host_t))
    out.host[0].count = 1
    out.host[0].name = slice_of(text)
    return out


cdef void mx_answer_free(mx_answer_t *a) noexcept nogil:
    free(a)
