"""Swap-in: the message's META and body records, read by the SwapIn pool.

The owner does not touch the message until `fn` is called.
"""
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from pymomentum.core.base.buf cimport buf_clear, buf_free, buf_slice, buf_t
from pymomentum.core.base.status cimport EC_NOMEM, EC_OK
from pymomentum.core.loop.loop cimport loop_t
from pymomentum.core.loop.pool cimport job_t, pool_new, pool_stop, pool_submit, pool_t
from pymomentum.core.message.message cimport BODY_LARGE, blob_add, blob_new, ec_message_t, meta_decode
from pymomentum.core.spool.layout cimport record_header_t
from pymomentum.core.spool.reader cimport spool_read
from pymomentum.core.spool.spool cimport spool_main

cdef struct swap_job_t:
    job_t job               # first
    ec_message_t *m
    bint with_body
    int rc
    swapped_fn fn
    void *ctx

cdef pool_t *pool = NULL


cdef int read_message(ec_message_t *m, bint with_body) noexcept nogil:
    cdef buf_t b
    cdef record_header_t h
    cdef int rc = EC_OK
    memset(&b, 0, sizeof(b))
    if m.env == NULL:
        rc = spool_read(spool_main(), m.meta, m.seq, &h, &b)
        if rc == EC_OK:
            rc = meta_decode(buf_slice(&b), m)
    if rc == EC_OK and with_body and m.blob == NULL and not m.flags & BODY_LARGE:
        buf_clear(&b)
        rc = spool_read(spool_main(), m.body, m.body_seq, &h, &b)
        if rc == EC_OK:
            m.blob = blob_new(b.len, 0)
            if m.blob == NULL:
                rc = EC_NOMEM
            else:
                blob_add(m.blob, b.ptr, b.len)
    buf_free(&b)
    return rc


cdef void on_thread(job_t *j) noexcept nogil:
    cdef swap_job_t *s = <swap_job_t*>j
    s.rc = read_message(s.m, s.with_body)


cdef void on_loop(job_t *j) noexcept nogil:
    cdef swap_job_t *s = <swap_job_t*>j
    cdef swap_job_t done = s[0]
    free(s)
    done.fn(done.m, done.ctx, done.rc)


cdef void swap_in(loop_t *loop, ec_message_t *m, bint with_body, swapped_fn fn, void *ctx) noexcept nogil:
    cdef swap_job_t *s = <swap_job_t*>calloc(1, sizeof(swap_job_t))
    if s == NULL:
        fn(m, ctx, EC_NOMEM)
        return
    s.m = m
    s.with_body = with_body
    s.fn = fn
    s.ctx = ctx
    pool_submit(pool, &s.job, loop, on_thread, on_loop)


def start(int threads=5):
    """Start the SwapIn pool."""
    global pool
    pool = pool_new(b"SwapIn", threads)
    if pool == NULL:
        raise MemoryError("SwapIn pool")


def stop():
    """Finish what is queued and join the threads."""
    global pool
    if pool != NULL:
        with nogil:
            pool_stop(pool)
        pool = NULL
