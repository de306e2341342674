"""Swap-in: the message's META and body records, read by the SwapIn pool.

The owner does not touch the message until `fn` is called.
"""
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from pymomentum.core.base.buf cimport buf_clear, buf_free, buf_slice, buf_t
from pymomentum.core.base.status cimport EC_NOMEM, EC_OK
from pymomentum.core.loop.loop cimport loop_t
from pymomentum.core.loop.pool cimport job_t, pool_new, pool_resize, pool_stop, pool_submit, pool_t
from pymomentum.core.message.message cimport BODY_LARGE, blob_add, blob_new, blob_t, blob_unref, body_seq, envelope_t, ec_message_t, meta_decode
from pymomentum.core.spool.layout cimport record_header_t
from pymomentum.core.spool.reader cimport spool_read
from pymomentum.core.spool.spool cimport spool_main

cdef struct swap_job_t:
    job_t job               # first
    ec_message_t *m
    bint with_body
    envelope_t *env         # what was read
    blob_t *blob
    int rc
    swapped_fn fn
    void *ctx

cdef pool_t *pool = NULL


cdef int read_envelope(swap_job_t *s, buf_t *b) noexcept nogil:
    """Into a message of its own: the loop may change flags and retries of the real one meanwhile."""
    cdef ec_message_t read
    cdef record_header_t h
    cdef int rc = spool_read(spool_main(), s.m.meta, s.m.seq, &h, b)
    if rc == EC_OK:
        memset(&read, 0, sizeof(read))
        rc = meta_decode(buf_slice(b), &read)
        s.env = read.env
    return rc


cdef int read_body(swap_job_t *s, buf_t *b) noexcept nogil:
    cdef record_header_t h
    cdef int rc = spool_read(spool_main(), s.m.body, body_seq(s.m), &h, b)
    if rc == EC_OK:
        s.blob = blob_new(b.len, 0)
        rc = blob_add(s.blob, b.ptr, b.len) if s.blob != NULL else EC_NOMEM
    return rc


cdef void on_thread(job_t *j) noexcept nogil:
    cdef swap_job_t *s = <swap_job_t*>j
    cdef buf_t b
    memset(&b, 0, sizeof(b))
    if s.m.env == NULL:
        s.rc = read_envelope(s, &b)
    if s.rc == EC_OK and s.with_body and s.m.blob == NULL and not s.m.flags & BODY_LARGE:
        buf_clear(&b)
        s.rc = read_body(s, &b)
    buf_free(&b)


cdef void on_loop(job_t *j) noexcept nogil:
    cdef swap_job_t *s = <swap_job_t*>j
    cdef swap_job_t done = s[0]
    free(s)
    if done.env != NULL:
        done.m.env = done.env
    if done.rc == EC_OK and done.blob != NULL:
        done.m.blob = done.blob
    else:
        blob_unref(done.blob)
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


def start(int threads=5, size_t stack=0):
    """Start the SwapIn pool, threads with a stack of so many bytes; 0: the system's."""
    global pool
    pool = pool_new(b"SwapIn", threads, stack, False)
    if pool == NULL:
        raise MemoryError("SwapIn pool")


def resize(int threads):
    """Let the SwapIn pool have so many threads."""
    if pool != NULL:
        with nogil:
            pool_resize(pool, threads)


def stop():
    """Finish what is queued and join the threads."""
    global pool
    if pool != NULL:
        with nogil:
            pool_stop(pool)
        pool = NULL
