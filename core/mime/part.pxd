# The MIME tree as byte offsets into the message; nothing is copied or decoded.
#
#     headers_start  preamble_start   body_start          body_end   epilogue_end
#     | header fields and blank line | preamble | parts or text | epilogue |
#
# A leaf has no preamble and no epilogue.  Offsets count the bytes given: wire form or
# content, whichever the caller walks.
from libc.stdint cimport int32_t, uint32_t

from ..base.arena cimport arena_t
from ..base.slice cimport slice_ieq, slice_of, slice_t


cdef enum:
    BOUNDARY_MAX = 200      # RFC 2046 5.1.1 says 70

cdef enum mime_state_t:
    MIME_OK
    MIME_INVALID            # malformed, yet walked: the offsets hold
    MIME_FATAL              # a limit ended the walk; parts behind it are not told apart

cdef struct mime_limits_t:
    size_t bytes            # of the message
    size_t header_bytes     # of one part's header
    uint32_t parts
    uint32_t depth          # of parts in parts; the message itself has depth 0

cdef struct mime_part_t:
    size_t headers_start
    size_t preamble_start
    size_t body_start
    size_t body_end
    size_t epilogue_end
    slice_t type            # borrowed, as all here; "text" where none is told
    slice_t subtype
    slice_t boundary        # empty: no multipart, or one without
    slice_t charset         # empty: not told
    slice_t encoding        # Content-Transfer-Encoding; empty: not told
    int32_t parent          # index in the tree; -1: none
    int32_t child           # the first
    int32_t next            # the next with the same parent
    int32_t last            # the last child
    uint32_t depth
    int state               # mime_state_t
    bint begun              # its first boundary was met
    bint closed             # its closing boundary was met

cdef struct mime_tree_t:
    slice_t message         # borrowed; outlives the tree
    arena_t *arena          # parts live here
    mime_limits_t limits
    mime_part_t *parts      # moves while the walk adds parts; in order of headers_start, [0] is the message
    uint32_t n
    uint32_t cap
    int state               # the worst of its parts
    bint walked


# Reads the message's own header only; part 0 is then complete but for its children.
# EC_LIMIT: too long, `state` is FATAL.
cdef int mime_open(mime_tree_t *t, slice_t message, const mime_limits_t *limits, arena_t *arena) noexcept nogil
# Finds all parts, once.  EC_LIMIT with what was found until then; EC_NOMEM.
cdef int mime_walk(mime_tree_t *t) noexcept nogil
# Content-Type into type, subtype, boundary, charset of *out; EC_SYNTAX leaves what was read.
cdef int content_type_parse(slice_t value, mime_part_t *out) noexcept nogil
cdef void mime_part_init(mime_part_t *p, bint in_digest) noexcept nogil
# Reads the fields about content out of a header block; answers MIME_OK or MIME_INVALID.
cdef int mime_part_read(mime_part_t *p, slice_t header) noexcept nogil
cdef bint holds_message(const mime_part_t *p) noexcept nogil
# Is this line, which begins with `--`, that boundary?
cdef bint mime_boundary(slice_t boundary, slice_t line, bint *close) noexcept nogil


cdef inline bint is_multipart(const mime_part_t *p) noexcept nogil:
    return p.boundary.len != 0


cdef inline bint is_digest(const mime_part_t *p) noexcept nogil:
    """RFC 2046 5.1.5: what a digest holds are messages unless it says otherwise."""
    return is_multipart(p) and slice_ieq(p.subtype, slice_of("digest"))
