"""From the spool to the queues at start.

Recovery runs on a thread of its own and hands messages to loop 0 in batches,
a bounded number at a time; the loop files them as any other message and
drops what the spool has.  New mail is accepted meanwhile.
"""
import os
import re

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from pymomentum.core.base.atomic cimport atomic_add32, atomic_load32
from pymomentum.core.base.buf cimport buf_add, buf_free, buf_t
from pymomentum.core.base.hash cimport hash_get, hash_init, hash_put, hash_t
from pymomentum.core.base.slice cimport slice_make, slice_t
from pymomentum.core.base.status cimport EC_OK
from pymomentum.core.c.posix cimport usleep
from pymomentum.core.config.generation cimport config_binding_slot, config_current, config_generation_t, config_unref
from pymomentum.core.log.writer cimport log_panic
from pymomentum.core.loop.loop cimport loop_at, loop_call
from pymomentum.core.loop.post cimport post_t
from pymomentum.core.message.message cimport (BODY_LARGE, MSG_SPOOLED, ec_message_t, message_free, message_new, meta_decode,
                                              state_decode)
from pymomentum.core.spool.recover cimport recovered_t, spool_recover
from pymomentum.core.spool.spool cimport spool_forget_now, spool_main, spool_t, spool_tomb_t
from .bounce cimport bounce_refused
from .insert cimport queue_insert

cdef extern from "malloc.h" nogil:
    int malloc_trim(size_t)

cdef enum:
    BATCH = 100                 # disk_queue_drain_rate's default
    AHEAD = 64                  # batches on their way at once

cdef struct batch_t:
    post_t post                 # first
    uint32_t n
    ec_message_t *m[BATCH]

cdef struct restore_t:
    batch_t *batch
    config_generation_t *generation
    hash_t quarantined          # u64 sequences, keys are their bytes
    buf_t large                 # u64 transactions whose large file is needed
    long left_out
    uint32_t broken

cdef uint32_t under_way = 0
cdef void *HOLD = <void*>1
cdef void *DELETE = <void*>2


cdef void on_batch(post_t *p) noexcept nogil:
    cdef batch_t *b = <batch_t*>p
    cdef uint32_t i
    for i in range(b.n):
        if b.m[i].env.refusal.len:
            bounce_refused(loop_at(0), b.m[i])
        else:
            queue_insert(loop_at(0), b.m[i])
    free(b)
    atomic_add32(&under_way, -1)


cdef void send(restore_t *r) noexcept nogil:
    if r.batch == NULL or r.batch.n == 0:
        return
    while atomic_load32(&under_way) >= AHEAD:
        usleep(1000)
    atomic_add32(&under_way, 1)
    loop_call(loop_at(0), &r.batch.post, on_batch)
    r.batch = NULL


cdef void on_recovered(void *ctx, recovered_t *f) noexcept nogil:
    cdef restore_t *r = <restore_t*>ctx
    cdef ec_message_t *m
    cdef slice_t binding
    cdef spool_tomb_t tomb
    cdef int slot
    cdef void *verdict = hash_get(&r.quarantined, slice_make(<char*>&f.seq, 8))
    if f.large:                             # also of what is held or not understood
        buf_add(&r.large, <char*>&f.body_seq, 8)
    if verdict != NULL:
        r.left_out += 1
        if verdict == DELETE:
            tomb.seq = f.seq
            tomb.meta = f.meta
            tomb.state = f.state
            tomb.body = f.body
            spool_forget_now(spool_main(), &tomb)
        return
    m = message_new()
    if m == NULL or meta_decode(f.meta_bytes, m) != EC_OK:
        r.broken += 1
        log_panic(NULL, b"SPOOL", b"message with spool sequence %llu cannot be understood and stays in the spool",
                  <unsigned long long>f.seq)
        if m != NULL:
            message_free(m)
        return
    m.seq = f.seq
    m.body_back = <uint32_t>(f.seq - f.body_seq)
    m.meta = f.meta
    m.state = f.state
    m.body = f.body
    m.flags |= MSG_SPOOLED
    if f.large:
        m.flags |= BODY_LARGE
    binding = m.env.binding
    if f.state_bytes.len:
        state_decode(f.state_bytes, m, &binding)
        if binding.len == 0:
            binding = m.env.binding
    slot = config_binding_slot(r.generation, binding)
    m.binding = <unsigned short>(slot if slot >= 0 else 0)
    if r.batch == NULL:
        r.batch = <batch_t*>calloc(1, sizeof(batch_t))
        if r.batch == NULL:
            message_free(m)
            return
    r.batch.m[r.batch.n] = m
    r.batch.n += 1
    if r.batch.n == BATCH:
        send(r)


def remove_orphans(needed):
    """Large files of receptions that an earlier process did not finish."""
    cdef spool_t *s = spool_main()
    if not s.recovered:
        return                  # not everything was understood: keep all
    folder = os.path.join((<bytes>s.base).decode(), "large")
    for name in os.listdir(folder):
        if re.fullmatch("[0-9a-f]{16}", name) and int(name, 16) < s.first_seq and int(name, 16) not in needed:
            os.unlink(os.path.join(folder, name))


def restore(held=(), deleted=()):
    """Queue everything the spool holds, but for the held sequences; answers how many came back.

    Those of the held ones that are deleted too go from the spool.

    Runs on the calling thread without the GIL; loops must run.
    """
    cdef restore_t r
    cdef long given
    cdef uint64_t *keys
    cdef size_t i
    memset(&r, 0, sizeof(r))
    wanted = list(held)
    keys = <uint64_t*>malloc((len(wanted) + 1) * sizeof(uint64_t))
    if keys == NULL or hash_init(&r.quarantined, len(wanted) + 1) != EC_OK:
        raise MemoryError
    for i, seq in enumerate(wanted):
        keys[i] = seq
        hash_put(&r.quarantined, slice_make(<char*>&keys[i], 8), DELETE if seq in deleted else HOLD)
    with nogil:
        r.generation = config_current()
        given = spool_recover(spool_main(), True, on_recovered, &r)
        send(&r)
        while atomic_load32(&under_way):
            usleep(1000)
        config_unref(r.generation)
        malloc_trim(0)                      # maps and envelopes of all that came by
    remove_orphans({(<uint64_t*>r.large.ptr)[i] for i in range(r.large.len // 8)})
    buf_free(&r.large)
    return given - r.left_out - r.broken
