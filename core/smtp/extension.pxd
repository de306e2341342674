# What a server offers in its answer to EHLO, as a bit set.
from libc.stdint cimport uint32_t, uint64_t

from ..base.slice cimport slice_t


cdef enum smtp_extension_t:
    EXT_PIPELINING = 1 << 0
    EXT_SIZE = 1 << 1
    EXT_8BITMIME = 1 << 2
    EXT_ENHANCEDSTATUSCODES = 1 << 3
    EXT_STARTTLS = 1 << 4
    EXT_CHUNKING = 1 << 5
    EXT_SMTPUTF8 = 1 << 6
    EXT_DSN = 1 << 7
    EXT_AUTH = 1 << 8
    EXT_XCLIENT = 1 << 9
    EXT_AUTH_PLAIN = 1 << 10        # mechanisms named behind AUTH
    EXT_AUTH_LOGIN = 1 << 11
    EXT_AUTH_XOAUTH2 = 1 << 12
    EXT_XCLIENT_ADDR = 1 << 13      # attributes named behind XCLIENT
    EXT_XCLIENT_PORT = 1 << 14
    EXT_XCLIENT_PROTO = 1 << 15
    EXT_XCLIENT_NAME = 1 << 16
    EXT_XCLIENT_HELO = 1 << 17


# `text` is one line behind "250-".  Adds to *bits; *size is written where SIZE gives
# a number (0: no limit told).  EC_NOTFOUND: a keyword we do not know; EC_SYNTAX: none.
cdef int smtp_extension_parse(slice_t text, uint32_t *bits, uint64_t *size) noexcept nogil
