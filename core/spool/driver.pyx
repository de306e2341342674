"""The open spool as its callers see it, from Python: one call at a time, each on loop 0 and waited for.

For tests that need no mail server around the spool; loops must run.
"""
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from pymomentum.core.base.atomic cimport atomic_add32, atomic_load32
from pymomentum.core.base.buf cimport buf_free, buf_t
from pymomentum.core.base.slice cimport slice_make
from pymomentum.core.base.status cimport EC_OK
from pymomentum.core.c.posix cimport usleep
from pymomentum.core.loop.loop cimport loop_at, loop_call
from pymomentum.core.loop.post cimport post_t
from .layout cimport record_header_t
from .reader cimport spool_read
from .recover cimport recovered_keep, recovered_t, spool_recover
from .spool cimport (spool_commit, spool_forget, spool_main, spool_meta_t, spool_state, spool_state_new, spool_state_t, spool_take_seq,
                     spool_t, spool_tomb_t, spool_txn_t)

cdef struct work_t:             # what one call hands to the loop
    post_t post                 # first
    uint32_t left               # that the spool has not answered; atomic
    uint32_t txns_count
    spool_txn_t *txns
    uint32_t tombs_count
    spool_tomb_t *tombs
    spool_state_t *state
    uint32_t handle

cdef work_t *current = NULL     # calls come one at a time


cdef void on_txn(spool_txn_t *t, int rc) noexcept nogil:
    atomic_add32(&current.left, -1)


cdef void on_state(spool_state_t *st) noexcept nogil:
    current.handle = st.handle
    atomic_add32(&current.left, -1)


cdef void on_loop(post_t *p) noexcept nogil:
    cdef work_t *w = <work_t*>p
    cdef uint32_t i
    for i in range(w.txns_count):
        spool_commit(spool_main(), loop_at(0), &w.txns[i])
    for i in range(w.tombs_count):
        spool_forget(spool_main(), loop_at(0), w.tombs[i].seq, w.tombs[i].meta, w.tombs[i].state, w.tombs[i].body)
    if w.state != NULL:
        spool_state(w.state)
    atomic_add32(&w.left, -1)


cdef run(work_t *w):
    global current
    current = w
    w.left = 1 + w.txns_count + (w.state != NULL)
    with nogil:
        loop_call(loop_at(0), &w.post, on_loop)
        while atomic_load32(&w.left):
            usleep(50)


cdef class Entry:
    """One message of the spool: its META, STATE and BODY."""
    cdef readonly uint64_t seq, transaction
    cdef readonly bytes meta, state
    cdef uint32_t meta_handle, state_handle, body_handle, version

    def body(self):
        """Its bytes, read back; None where they cannot be read."""
        cdef buf_t b
        cdef record_header_t h
        memset(&b, 0, sizeof(b))
        try:
            return b.ptr[:b.len] if spool_read(spool_main(), self.body_handle, self.transaction, &h, &b) == EC_OK else None
        finally:
            buf_free(&b)


def accept(list transactions not None):
    """Commit pairs (body, [meta, ...]) handed over at once; a list of Entry for each, or None where the spool refused it."""
    cdef work_t w
    cdef spool_txn_t *t
    cdef uint32_t i, k, n = <uint32_t>len(transactions)
    memset(&w, 0, sizeof(w))
    w.txns = <spool_txn_t*>calloc(n + 1, sizeof(spool_txn_t))
    if w.txns == NULL:
        raise MemoryError
    w.txns_count = n
    for i in range(n):
        body, metas = transactions[i]
        t = &w.txns[i]
        t.metas_count = <uint32_t>len(metas)
        t.metas = <spool_meta_t*>calloc(t.metas_count + 1, sizeof(spool_meta_t))
        t.seq = spool_take_seq(spool_main(), t.metas_count + 1)
        t.body = slice_make(<bytes>body, len(body))
        t.done = on_txn
        for k in range(t.metas_count):
            t.metas[k].seq = t.seq + 1 + k
            t.metas[k].bytes = slice_make(<bytes>metas[k], len(metas[k]))
    run(&w)
    answers = []
    for i in range(n):
        t = &w.txns[i]
        answers.append([entry_of(t, k, transactions[i][1][k]) for k in range(t.metas_count)] if t.rc == EC_OK else None)
        free(t.metas)
    free(w.txns)
    return answers


cdef Entry entry_of(spool_txn_t *t, uint32_t k, bytes meta):
    cdef Entry e = Entry()
    e.seq = t.metas[k].seq
    e.transaction = t.seq
    e.meta = meta
    e.state = b""
    e.meta_handle = t.metas[k].handle
    e.body_handle = t.body_handle
    return e


def forget(list entries not None):
    """Settle messages: their tombstones are written soon, not waited for."""
    cdef work_t w
    cdef Entry e
    cdef uint32_t i = 0
    memset(&w, 0, sizeof(w))
    w.tombs = <spool_tomb_t*>calloc(len(entries) + 1, sizeof(spool_tomb_t))
    if w.tombs == NULL:
        raise MemoryError
    for e in entries:
        w.tombs[i].seq = e.seq
        w.tombs[i].meta = e.meta_handle
        w.tombs[i].state = e.state_handle
        w.tombs[i].body = e.body_handle
        i += 1
    w.tombs_count = i
    run(&w)
    free(w.tombs)


def defer(Entry e not None, bytes state not None):
    """Write a new state and wait until it is synced."""
    cdef work_t w
    memset(&w, 0, sizeof(w))
    w.state = spool_state_new(<uint32_t>len(state))
    if w.state == NULL:
        raise MemoryError
    memcpy(w.state.bytes, <char*>state, len(state))
    e.version += 1
    w.state.loop = loop_at(0)
    w.state.seq = e.seq
    w.state.version = e.version
    w.state.meta = e.meta_handle
    w.state.old = e.state_handle
    w.state.done = on_state
    run(&w)
    e.state_handle = w.handle
    e.state = state


def recover_all():
    """What an earlier process left, as a list of Entry; to be called once."""
    cdef buf_t all
    cdef recovered_t r
    cdef size_t at = 0
    cdef Entry e
    memset(&all, 0, sizeof(all))
    with nogil:
        spool_recover(spool_main(), True, recovered_keep, &all)
    found = []
    while at < all.len:
        memcpy(&r, all.ptr + at, sizeof(r))
        at += sizeof(r)
        e = Entry()
        e.meta = all.ptr[at:at + r.meta_bytes.len]
        at += r.meta_bytes.len
        e.state = all.ptr[at:at + r.state_bytes.len] if r.state_bytes.len else b""
        at += r.state_bytes.len
        e.seq = r.seq
        e.transaction = r.body_seq
        e.meta_handle = r.meta
        e.state_handle = r.state
        e.body_handle = r.body
        e.version = <uint32_t>r.version
        found.append(e)
    buf_free(&all)
    return found
