# Reading a spool that an earlier process left.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from pymomentum.core.base.slice cimport slice_t
from pymomentum.core.spool.spool cimport spool_t

cdef struct recovered_t:        # one message that is still to be delivered
    uint64_t seq
    uint64_t body_seq           # its transaction
    uint32_t meta               # handles
    uint32_t state              # 0: none
    uint32_t body
    uint32_t body_length
    uint8_t body_flags
    bint large
    uint64_t version            # of the state
    slice_t meta_bytes          # borrowed during the call
    slice_t state_bytes

ctypedef void (*recovered_fn)(void *ctx, recovered_t *r) noexcept nogil

# On a thread of its own; answers how many it gave.  Then compaction may run.  Without `indexes` every record is read.
cdef long spool_recover(spool_t *s, bint indexes, recovered_fn fn, void *ctx) noexcept nogil

# A recovered_fn that keeps everything: ctx is a buf_t, to which it adds the struct, whose slices
# are lengths from then on, and their bytes.
cdef void recovered_keep(void *ctx, recovered_t *r) noexcept nogil
