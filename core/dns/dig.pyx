"""Lookups for Python: console commands and tests.  Asked on loop 0, awaited without the GIL."""
from ipaddress import ip_address

from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from pymomentum.core.base.cidr cimport sockaddr
from pymomentum.core.base.clock cimport clock_mono_ms, clock_mono_ns
from pymomentum.core.base.slice cimport slice_bytes, slice_of_bytes, slice_t
from pymomentum.core.base.status cimport EC_OK
from pymomentum.core.c.posix cimport (cond_init_monotonic, cond_wait_ms, pthread_cond_broadcast, pthread_cond_destroy,
                                      pthread_cond_t, pthread_mutex_destroy, pthread_mutex_init, pthread_mutex_lock,
                                      pthread_mutex_t, pthread_mutex_unlock)
from pymomentum.core.loop.loop cimport PLACE_DNS, loop_at, loop_call, loop_count
from pymomentum.core.loop.post cimport post_t
from pymomentum.core.net.address cimport ADDRESS_TEXT, address_port_text
from .mx cimport mx_address_t, mx_answer_free, mx_answer_literal, mx_answer_t, mx_cancel, mx_lookup, mx_query_t
from .resolver cimport resolver_t

STATUS = ("ok", "null", "nxdomain", "none", "failed")

cdef struct item_t:
    mx_query_t query            # first
    batch_t *batch
    slice_t name
    bint over                   # answered or cancelled
    bint at_once                # wholly from the cache

cdef struct batch_t:
    post_t post                 # first
    post_t stop
    pthread_mutex_t lock
    pthread_cond_t changed
    item_t *items
    size_t n
    size_t left
    int flags
    bint chain                  # every callback cancels the next lookup
    int finished                # ANSWERED, then CANCELLED if that was asked for
    uint64_t asking_ns          # what mx_lookup took


cdef enum:
    ANSWERED = 1
    CANCELLED = 2


cdef void wake(batch_t *b, int finished) noexcept nogil:
    """Under the lock, so that the waiter cannot free the batch before we let go of it."""
    pthread_mutex_lock(&b.lock)
    b.finished = finished
    pthread_cond_broadcast(&b.changed)
    pthread_mutex_unlock(&b.lock)


cdef void finish(item_t *it) noexcept nogil:
    it.over = True
    it.batch.left -= 1


cdef void on_done(mx_query_t *q) noexcept nogil:
    cdef item_t *it = <item_t*>q
    cdef batch_t *b = it.batch
    cdef item_t *next = it + 1
    finish(it)
    if b.chain and next < b.items + b.n and not next.over:
        mx_cancel(&next.query)
        finish(next)
    if b.left == 0:
        wake(b, ANSWERED)


cdef void ask_all(post_t *p) noexcept nogil:
    cdef batch_t *b = <batch_t*>p
    cdef uint64_t began = clock_mono_ns()
    cdef size_t i
    for i in range(b.n):
        if mx_lookup(loop_at(0), b.items[i].name, b.flags, &b.items[i].query, on_done) == EC_OK:
            b.items[i].at_once = True
            finish(&b.items[i])
    b.asking_ns = clock_mono_ns() - began
    if b.left == 0:
        wake(b, ANSWERED)


cdef void cancel_all(post_t *p) noexcept nogil:
    cdef batch_t *b = <batch_t*>(<char*>p - sizeof(post_t))
    cdef size_t i
    for i in range(b.n):
        if not b.items[i].over:
            mx_cancel(&b.items[i].query)
            finish(&b.items[i])
    wake(b, CANCELLED)


cdef bint wait(batch_t *b, int finished, uint64_t until_ms) noexcept nogil:
    """False: the time is over."""
    cdef uint64_t now = clock_mono_ms()
    cdef bint reached
    pthread_mutex_lock(&b.lock)
    while b.finished < finished and now < until_ms:
        cond_wait_ms(&b.changed, &b.lock, <long>(until_ms - now))
        now = clock_mono_ms()
    reached = b.finished >= finished
    pthread_mutex_unlock(&b.lock)
    return reached


cdef void run(batch_t *b, uint64_t timeout_ms) noexcept nogil:
    loop_call(loop_at(0), &b.post, ask_all)
    if not wait(b, ANSWERED, clock_mono_ms() + timeout_ms):
        loop_call(loop_at(0), &b.stop, cancel_all)
        while not wait(b, CANCELLED, clock_mono_ms() + 1000):
            pass


cdef as_dict(mx_answer_t *a):
    hosts = []
    for i in range(a.hosts):
        addresses = []
        for k in range(a.host[i].first, a.host[i].first + a.host[i].count):
            raw = (<char*>a.address[k].bytes)[:4 if a.address[k].family == 4 else 16]
            addresses.append(str(ip_address(raw)))
        hosts.append((a.host[i].preference, slice_bytes(a.host[i].name).decode(), addresses))
    return {"status": STATUS[a.status], "ttl": a.ttl, "hosts": hosts}


def lookup_all(names, int flags=0, double timeout=10, bint chain=False):
    """Look all names up at once; answers a list of dicts and the nanoseconds it took to ask.

    None stands for a lookup cancelled at the timeout or, with `chain`, by the one before it.
    """
    cdef batch_t *b
    cdef uint64_t ms = <uint64_t>(timeout * 1000)
    cdef item_t *it
    keep = [name.encode() if isinstance(name, str) else bytes(name) for name in names]
    if loop_count() == 0:
        raise RuntimeError("no event loop")
    if not keep:
        return [], 0
    b = <batch_t*>calloc(1, sizeof(batch_t))
    if b == NULL:
        raise MemoryError
    b.items = <item_t*>calloc(len(keep), sizeof(item_t))
    if b.items == NULL:
        free(b)
        raise MemoryError
    b.n = b.left = len(keep)
    b.flags = flags
    b.chain = chain
    for i, name in enumerate(keep):
        b.items[i].batch = b
        b.items[i].name = slice_of_bytes(name)
    pthread_mutex_init(&b.lock, NULL)
    cond_init_monotonic(&b.changed)
    with nogil:
        run(b, ms)
    found = []
    for i in range(len(keep)):
        it = &b.items[i]
        if it.query.answer == NULL:
            found.append(None)
            continue
        found.append({**as_dict(it.query.answer), "cached": bool(it.at_once)})
        mx_answer_free(it.query.answer)
    took = b.asking_ns
    pthread_cond_destroy(&b.changed)
    pthread_mutex_destroy(&b.lock)
    free(b.items)
    free(b)
    return found, took


def lookup(name, int flags=0, double timeout=10):
    """Where mail for `name` goes, as a dict; None: no answer in time."""
    return lookup_all([name], flags, timeout)[0][0]


def literal(bytes packed not None):
    """The answer for an address of 4 or 16 bytes, as a dict."""
    cdef mx_address_t address
    cdef mx_answer_t *a
    if len(packed) not in (4, 16):
        raise ValueError("4 or 16 bytes")
    address.family = 4 if len(packed) == 4 else 6
    memcpy(address.bytes, <const char*>packed, len(packed))
    a = mx_answer_literal(&address)
    if a == NULL:
        raise MemoryError
    found = as_dict(a)
    mx_answer_free(a)
    return found


def stats():
    """Per event loop: name servers, queries under way and the cache, as dicts."""
    cdef resolver_t *r
    cdef char[ADDRESS_TEXT] text
    found = []
    for i in range(loop_count()):
        r = <resolver_t*>loop_at(i).places[PLACE_DNS]
        if r == NULL:
            continue
        servers = []
        for k in range(r.servers.servers):
            n = address_port_text(<const sockaddr*>&r.servers.server[k], text)
            servers.append((<char*>text)[:n].decode())
        found.append({"loop": i, "servers": servers, "servers_read": bool(r.servers_read), "edns": bool(r.edns),
                      "pending": r.pending, "entries": r.cache.soonest.len, "hits": r.cache.hits,
                      "misses": r.cache.misses, "evicted": r.cache.evicted})
    return found
