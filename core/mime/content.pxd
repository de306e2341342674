# A message in hand as whoever reads it sees it: body and edits together.
from ..base.arena cimport arena_t
from ..base.slice cimport slice_t
from ..config.values cimport values_t
from ..message.message cimport ec_message_t
from .part cimport mime_limits_t, mime_tree_t

# Its bytes in wire form: borrowed from the body where nothing was edited, else a copy in the arena.
# EC_NOTFOUND: the body is not in memory; EC_LIMIT: longer than that; EC_NOMEM.
cdef int message_content(ec_message_t *m, size_t most, arena_t *arena, slice_t *out) noexcept nogil
# Its MIME tree, to be walked by mime_walk; EC_NOTFOUND, EC_LIMIT, EC_NOMEM.  It lives as long as arena and body.
cdef int message_parts(ec_message_t *m, const mime_limits_t *limits, arena_t *arena, mime_tree_t *out) noexcept nogil
cdef void content_limits(const values_t *session, const values_t *globals, mime_limits_t *out) noexcept nogil
