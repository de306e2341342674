# A request on the console: its command and how it wants to be answered.
from pymomentum.core.base.slice cimport slice_t

cdef enum:
    COMMAND = 128               # the longest that is understood here, with its NUL

cdef struct request_t:
    char command[COMMAND]
    bint json
    bint xml


# As the registry would: xml ahead, --json anywhere, words in lower case; False where Python is to look at it.
cdef bint request_understand(slice_t frame, request_t *r) noexcept nogil
