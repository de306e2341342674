# message_id_t: creation second, process, counter; batches and connections have the same.
from libc.stdint cimport uint16_t, uint32_t

from pymomentum.core.base.slice cimport slice_t

cdef enum:
    MESSAGE_ID_TEXT = 20        # "CC/CC-PPPPP-SSSSSSSS"

cdef struct message_id_t:
    uint32_t slot               # unix seconds, low 32 bits
    uint16_t pid
    uint16_t counter


cdef message_id_t message_id_new() noexcept nogil                           # unique in the process; any thread
cdef void message_id_text(message_id_t id, char *out) noexcept nogil        # MESSAGE_ID_TEXT characters, no NUL
cdef int message_id_parse(slice_t text, message_id_t *out) noexcept nogil   # EC_SYNTAX
