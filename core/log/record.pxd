# One function per kind of record; field order is a public interface and never changes.
# Each does nothing where its kind is not wanted (writer.pxd).
from libc.stdint cimport uint64_t

from pymomentum.core.base.buf cimport buf_t
from pymomentum.core.base.slice cimport slice_t
from pymomentum.core.loop.loop cimport loop_t
from pymomentum.core.message.id cimport message_id_t
from pymomentum.core.message.message cimport ec_message_t

# What an attempt adds to a message's record.
cdef struct attempt_t:
    message_id_t conn           # outbound
    slice_t domain              # routing domain
    slice_t group
    slice_t binding
    slice_t peer                # address text; empty: none
    slice_t text                # response, for failures
    int stage                   # connection_stages
    uint64_t bytes              # sent

cdef struct rejection_t:
    slice_t remote              # ip:port
    slice_t local
    message_id_t conn
    slice_t pathway
    slice_t pathway_group
    slice_t phase
    int code
    slice_t module
    slice_t conn_context        # k=v,k=v
    slice_t mess_context
    slice_t text


cdef int log_reception(loop_t *loop, ec_message_t *m, slice_t group, slice_t binding) noexcept nogil
cdef int log_delivery(loop_t *loop, ec_message_t *m, const attempt_t *a) noexcept nogil
cdef int log_failure(loop_t *loop, ec_message_t *m, const attempt_t *a, bint permanent) noexcept nogil
cdef int log_bounce(loop_t *loop, ec_message_t *m, const attempt_t *a, bint permanent, int klass) noexcept nogil
cdef int log_rejection(loop_t *loop, const rejection_t *r) noexcept nogil
cdef void field(buf_t *b, slice_t s) noexcept nogil                         # escaped, without its delimiter
