# batch_t: what is written at once, on its way to a segment.  The flusher's.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from pymomentum.core.base.slice cimport slice_t
from pymomentum.core.spool.spool cimport segment_t, spool_t

cdef struct batch_t:            # headers and small payloads go to spool.stage
    segment_t *seg
    uint64_t at                 # offset in the segment
    uint32_t length             # so far, with the batch header
    uint32_t records
    uint32_t stage_from         # where the current run in stage begins


# EC_IO, also where there is no memory.
cdef int batch_begin(spool_t *s, batch_t *b, segment_t *seg) noexcept nogil
# One record; with `borrow` the payload is written from where it is.
cdef int batch_add(spool_t *s, batch_t *b, uint8_t kind, uint8_t flags, uint16_t count, uint64_t seq, uint64_t ref,
                   slice_t payload, bint borrow, uint32_t *offset) noexcept nogil
cdef int batch_write(spool_t *s, batch_t *b) noexcept nogil     # errno in s.degraded
