# Bodies above large_message_threshold: files of their own, streamed both ways by pool
# threads.  The file has room ahead for the message's head, which is known last:
#     zeros · head (right-aligned to `room`) · tail
from libc.stdint cimport int64_t, uint32_t, uint64_t

from pymomentum.core.base.buf cimport buf_t
from pymomentum.core.base.slice cimport slice_t
from pymomentum.core.loop.loop cimport loop_t
from pymomentum.core.loop.pool cimport job_t

cdef enum:
    LARGE_CHUNK = 131072        # bytes written or read at a time

ctypedef void (*large_fn)(void *owner, int rc) noexcept nogil

cdef struct large_record_t:     # payload of RECORD_LARGE
    uint64_t size               # of the body, wire form
    uint64_t start              # where it begins in the file

cdef struct large_writer_t:     # frees itself once abandoned or closed and idle
    job_t job                   # first
    loop_t *loop
    uint64_t seq                # the transaction: the file's name
    uint64_t room               # bytes kept free for the head
    int fd                      # -1: not made yet
    buf_t fill                  # what comes in
    buf_t writing               # what a thread writes
    uint64_t at                 # file offset of `writing`
    uint64_t tail               # bytes given in all
    slice_t head                # borrowed until finished
    bint busy
    bint last                   # the job under way is the final one
    bint abandoned
    bint failed                 # a write did not go through
    bint waiting                # the owner stopped giving: tell it
    int rc
    large_fn ready              # room again
    large_fn finished
    void *owner

cdef struct large_reader_t:     # the same
    job_t job                   # first
    loop_t *loop
    uint64_t seq
    uint32_t handle             # of the RECORD_LARGE
    int fd
    uint64_t at
    uint64_t left
    buf_t bytes                 # the chunk read
    bint busy
    bint abandoned
    int rc
    large_fn ready              # `bytes` holds the next chunk; empty: the end
    void *owner


cdef large_writer_t *large_writer_new(loop_t *loop, uint64_t seq, uint64_t room, void *owner, large_fn ready) noexcept nogil
cdef int large_write(large_writer_t *w, slice_t part) noexcept nogil        # EC_OK; EC_AGAIN: give no more until `ready`; EC_NOMEM
cdef void large_finish(large_writer_t *w, slice_t head, large_fn finished) noexcept nogil  # synced with its name; then close it
cdef uint64_t large_start(large_writer_t *w) noexcept nogil                 # large_record_t.start, once finished
cdef void large_close(large_writer_t *w) noexcept nogil                     # keep the file
cdef void large_abandon(large_writer_t *w) noexcept nogil                   # remove the file

cdef large_reader_t *large_reader_new(loop_t *loop, uint64_t seq, uint32_t handle, void *owner, large_fn ready) noexcept nogil
cdef void large_read(large_reader_t *r) noexcept nogil                      # `ready` follows
cdef void large_reader_free(large_reader_t *r) noexcept nogil               # at any time
