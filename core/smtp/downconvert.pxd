# downconvert_t: a body in wire form made one that a peer without 8BITMIME can take
# (RFC 6152 3), in wire form too.  It goes through twice: to be judged, then to be sent.
from pymomentum.core.base.buf cimport buf_t
from pymomentum.core.base.slice cimport slice_t
from pymomentum.core.mime.part cimport mime_limits_t
from pymomentum.core.mime.sevenbit cimport sevenbit_t
from .dotstuff cimport dot_decode_t, dot_encode_t

cdef struct downconvert_t:
    dot_encode_t clean          # lone CR and LF become line ends
    dot_decode_t plain          # dots off
    dot_encode_t wire           # dots on
    sevenbit_t *seven           # NULL: high bits are stripped
    buf_t made                  # by it, of the piece at hand
    bint judging


cdef downconvert_t *downconvert_new(bint strip, const mime_limits_t *limits) noexcept nogil     # NULL: no memory
cdef void downconvert_free(downconvert_t *d) noexcept nogil                                     # NULL is fine
# EC_NOMEM.  While it judges nothing is added to out.
cdef int downconvert_feed(downconvert_t *d, slice_t wire, buf_t *out) noexcept nogil
cdef int downconvert_end(downconvert_t *d, buf_t *out) noexcept nogil
cdef bint downconvert_whole(const downconvert_t *d) noexcept nogil      # judged: nothing 8-bit will be left
cdef void downconvert_rewind(downconvert_t *d) noexcept nogil           # judged: the next time it is sent
