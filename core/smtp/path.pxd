# Arguments of MAIL and RCPT: a path and its parameters.
from libc.stdint cimport uint32_t, uint64_t

from ..base.slice cimport slice_t


cdef enum:
    PATH_PEDANTIC = 1           # rfc2821_pedantic_address_rules; off permits a..b@x, ab.@x and no <>
    PATH_ALLOW_SPACE = 2        # rfc2821_allow_whitespace_in_envelope: "FROM: < a@b >"
    PATH_ALLOW_LITERAL = 4      # allow_ip_literal
    PATH_ALLOW_UNQUALIFIED = 8  # an address without domain
    PATH_UTF8 = 16              # SMTPUTF8: offered for MAIL, in use for RCPT

    PATH_MAX_LOCAL = 64         # RFC 5321 4.5.3.1, octets
    PATH_MAX_DOMAIN = 255
    PATH_MAX_WHOLE = 1000       # source route included

cdef enum smtp_body_t:
    BODY_UNSTATED
    BODY_7BIT
    BODY_8BITMIME

cdef enum smtp_ret_t:           # RFC 3461 4.3
    RET_UNSTATED
    RET_FULL
    RET_HDRS

cdef enum smtp_notify_t:        # RFC 3461 4.1; 0: not stated
    NOTIFY_NEVER = 1
    NOTIFY_SUCCESS = 2
    NOTIFY_FAILURE = 4
    NOTIFY_DELAY = 8

cdef struct smtp_path_t:
    slice_t local               # borrowed, as all here; as written, with quotes
    slice_t domain              # a literal with its brackets
    slice_t whole               # local@domain, without <> and source route
    bint null_path              # <>
    bint literal                # the domain is an address literal
    bint quoted                 # the local-part is a quoted string
    bint eightbit               # holds UTF-8

cdef struct smtp_mail_params_t:
    bint has_size
    uint64_t size               # octets
    int body                    # smtp_body_t
    int ret                     # smtp_ret_t
    slice_t envid               # xtext; borrowed, as all slices here
    slice_t auth                # xtext or "<>"
    bint smtputf8
    slice_t bad                 # written on failure: the parameter at fault; empty: the path is

cdef struct smtp_rcpt_params_t:
    uint32_t notify             # smtp_notify_t bits
    slice_t orcpt               # "type;xtext"
    slice_t bad


# `args` is what follows the verb: "FROM:<a@b> SIZE=1", "TO:<a@b>".
# EC_SYNTAX: path or parameter is malformed; EC_LIMIT: too long; EC_REFUSED: well
# formed, but not taken here - an unknown parameter (in `bad`), or a literal,
# an unqualified or an 8-bit address without its flag (`bad` empty).
cdef int smtp_mail_parse(slice_t args, int flags, smtp_path_t *path, smtp_mail_params_t *params) noexcept nogil
cdef int smtp_rcpt_parse(slice_t args, int flags, smtp_path_t *path, smtp_rcpt_params_t *params) noexcept nogil
# "user@example.com" alone, for addresses that come from elsewhere than the wire.
cdef int smtp_address_parse(slice_t text, int flags, smtp_path_t *path) noexcept nogil
