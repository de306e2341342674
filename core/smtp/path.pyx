"""Reverse-path and forward-path with their parameters (RFC 5321 4.1.2, 4.1.3; RFC 1870, 3461, 4954, 6152, 6531).

Pure: no I/O, no allocation; every slice points into the arguments.
"""
from collections import namedtuple

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memchr, memcpy, memset

from ..base.slice cimport (slice_bytes, slice_eq, slice_ieq, slice_make, slice_number, slice_of, slice_of_bytes,
                           slice_starts_i, slice_t)
from ..base.status cimport EC_LIMIT, EC_OK, EC_REFUSED, EC_SYNTAX

cdef extern from "arpa/inet.h" nogil:
    int AF_INET
    int AF_INET6
    int inet_pton(int family, const char *text, void *out)

Path = namedtuple("Path", "local domain whole null_path literal quoted eightbit")
MailParams = namedtuple("MailParams", "size body ret envid auth smtputf8")
RcptParams = namedtuple("RcptParams", "notify orcpt")

cdef enum:
    ENVID_MAX = 100     # RFC 3461 4.4
    ORCPT_MAX = 500     # RFC 3461 4.2

cdef enum parameter_t:  # in the order of PARAMETER_NAMES; MAIL first
    PARAM_SIZE
    PARAM_BODY
    PARAM_RET
    PARAM_ENVID
    PARAM_AUTH
    PARAM_SMTPUTF8
    PARAM_NOTIFY
    PARAM_ORCPT
    PARAMETERS

cdef const char *PARAMETER_NAMES[PARAMETERS]
PARAMETER_NAMES = ["SIZE", "BODY", "RET", "ENVID", "AUTH", "SMTPUTF8", "NOTIFY", "ORCPT"]
cdef const char *NOTIFY_NAMES[4]                # bit n is 1 << n
NOTIFY_NAMES = ["NEVER", "SUCCESS", "FAILURE", "DELAY"]

cdef struct cursor_t:
    const char *p
    const char *end
    int flags
    bint eightbit       # set when UTF-8 was met


cdef inline bint is_alnum(char c) noexcept nogil:
    return c'a' <= c <= c'z' or c'A' <= c <= c'Z' or c'0' <= c <= c'9'


cdef inline bint is_atext(char c) noexcept nogil:
    return is_alnum(c) or (c != 0 and memchr(<const char*>b"!#$%&'*+-/=?^_`{|}~", c, 19) != NULL)


cdef inline bint at(cursor_t *c, char what) noexcept nogil:
    return c.p < c.end and c.p[0] == what


cdef inline void skip_space(cursor_t *c) noexcept nogil:
    while c.p < c.end and (c.p[0] == c' ' or c.p[0] == c'\t'):
        c.p += 1


cdef size_t utf8_length(const char *p, const char *end) noexcept nogil:
    """Octets of the well-formed character of two octets or more at p; 0 where there is none (RFC 3629)."""
    cdef const unsigned char *u = <const unsigned char*>p
    cdef size_t n, i
    if u[0] < 0xc2 or u[0] > 0xf4:
        return 0
    n = 2 if u[0] < 0xe0 else 3 if u[0] < 0xf0 else 4
    if <size_t>(end - p) < n:
        return 0
    for i in range(1, n):
        if u[i] & 0xc0 != 0x80:
            return 0
    if ((u[0] == 0xe0 and u[1] < 0xa0) or (u[0] == 0xed and u[1] > 0x9f)         # overlong, surrogate
            or (u[0] == 0xf0 and u[1] < 0x90) or (u[0] == 0xf4 and u[1] > 0x8f)):
        return 0
    return n


cdef bint take_utf8(cursor_t *c) noexcept nogil:
    cdef size_t n = utf8_length(c.p, c.end)
    c.p += n
    if n:
        c.eightbit = True
    return n != 0


cdef int take_quoted(cursor_t *c) noexcept nogil:
    c.p += 1
    while c.p < c.end and c.p[0] != c'"':
        if c.p[0] == c'\\':
            c.p += 1
            if c.p == c.end or not 32 <= c.p[0] < 127:
                return EC_SYNTAX
            c.p += 1
        elif 32 <= c.p[0] < 127:
            c.p += 1
        elif not take_utf8(c):
            return EC_SYNTAX
    if c.p == c.end:
        return EC_SYNTAX
    c.p += 1
    return EC_OK


cdef int take_dot_string(cursor_t *c) noexcept nogil:
    cdef bint pedantic = c.flags & PATH_PEDANTIC
    cdef bint after_dot = True
    if at(c, c'.'):
        return EC_SYNTAX
    while c.p < c.end:
        if c.p[0] == c'.':
            if after_dot and pedantic:
                return EC_SYNTAX
            after_dot = True
            c.p += 1
        elif is_atext(c.p[0]):
            after_dot = False
            c.p += 1
        elif take_utf8(c):
            after_dot = False
        else:
            break
    return EC_SYNTAX if after_dot and pedantic else EC_OK


cdef int take_name(cursor_t *c) noexcept nogil:
    """A domain name: labels of 1 to 63 octets; `_` is let pass, as names in use hold it."""
    cdef const char *start = c.p
    cdef const char *label
    while True:
        label = c.p
        while c.p < c.end:
            if is_alnum(c.p[0]) or c.p[0] == c'-' or c.p[0] == c'_':
                c.p += 1
            elif not take_utf8(c):
                break
        if c.p == label or label[0] == c'-' or (c.p - 1)[0] == c'-':
            return EC_SYNTAX
        if c.p - label > 63 and not c.eightbit:     # a UTF-8 label is measured in its A-form, later
            return EC_LIMIT
        if not at(c, c'.'):
            break
        c.p += 1
    return EC_LIMIT if c.p - start > PATH_MAX_DOMAIN else EC_OK


cdef int take_literal(cursor_t *c) noexcept nogil:
    cdef char text[64]
    cdef char address[16]
    cdef slice_t ipv6 = slice_of("IPv6:")
    cdef int family = AF_INET
    cdef slice_t s
    c.p += 1
    s.ptr = c.p
    while c.p < c.end and c.p[0] != c']':
        c.p += 1
    if c.p == c.end:
        return EC_SYNTAX
    s.len = c.p - s.ptr
    c.p += 1
    if slice_starts_i(s, ipv6):
        family = AF_INET6
        s = slice_make(s.ptr + ipv6.len, s.len - ipv6.len)
    if s.len >= sizeof(text):
        return EC_SYNTAX
    memcpy(text, s.ptr, s.len)
    text[s.len] = 0
    if memchr(text, 0, s.len) != NULL or inet_pton(family, text, address) != 1:
        return EC_SYNTAX
    return EC_OK


cdef int take_route(cursor_t *c) noexcept nogil:
    """@a,@b: in front of the mailbox, read and dropped (RFC 5321 appendix C)."""
    cdef int rc
    while True:
        if not at(c, c'@'):
            return EC_SYNTAX
        c.p += 1
        rc = take_literal(c) if at(c, c'[') else take_name(c)
        if rc != EC_OK:
            return rc
        if at(c, c':'):
            c.p += 1
            return EC_OK
        if not at(c, c','):
            return EC_SYNTAX
        c.p += 1


cdef int take_mailbox(cursor_t *c, bint bare, smtp_path_t *path) noexcept nogil:
    """local@domain; `bare`: one without domain is welcome whatever the flags say."""
    cdef const char *start = c.p
    cdef slice_t postmaster = slice_of("postmaster")
    cdef int rc
    c.eightbit = False
    path.quoted = at(c, c'"')
    rc = take_quoted(c) if path.quoted else take_dot_string(c)
    if rc != EC_OK:
        return rc
    path.local = slice_make(start, c.p - start)
    if path.local.len == 0:
        return EC_SYNTAX
    if path.local.len > PATH_MAX_LOCAL:
        return EC_LIMIT
    path.domain = slice_make(c.p, 0)
    path.literal = False
    if at(c, c'@'):
        c.p += 1
        path.domain.ptr = c.p
        path.literal = at(c, c'[')
        rc = take_literal(c) if path.literal else take_name(c)
        if rc != EC_OK:
            return rc
        path.domain.len = c.p - path.domain.ptr
    path.whole = slice_make(start, c.p - start)
    path.eightbit = c.eightbit
    path.null_path = False
    if path.eightbit and not c.flags & PATH_UTF8:
        return EC_REFUSED
    if (path.literal or dotted_quad(path.domain)) and not c.flags & PATH_ALLOW_LITERAL:
        return EC_REFUSED
    if path.domain.len == 0 and not c.flags & PATH_ALLOW_UNQUALIFIED and not (bare and slice_ieq(path.local, postmaster)):
        return EC_REFUSED
    return EC_OK


cdef bint dotted_quad(slice_t domain) noexcept nogil:
    """An IPv4 address without its brackets: four numbers, as no top-level domain is one."""
    cdef size_t i
    cdef int dots = 0
    for i in range(domain.len):
        if domain.ptr[i] == c'.':
            dots += 1
        elif not c'0' <= domain.ptr[i] <= c'9':
            return False
    return dots == 3


cdef int take_path(cursor_t *c, bint forward, smtp_path_t *path) noexcept nogil:
    cdef const char *start
    cdef int rc
    if c.flags & PATH_ALLOW_SPACE:
        skip_space(c)
    if not at(c, c'<'):
        if c.flags & PATH_PEDANTIC:
            return EC_SYNTAX
        return take_mailbox(c, forward, path)
    c.p += 1
    if c.flags & PATH_ALLOW_SPACE:
        skip_space(c)
    start = c.p
    if at(c, c'>') and not forward:
        memset(path, 0, sizeof(smtp_path_t))
        path.null_path = True
        path.local = path.domain = path.whole = slice_make(start, 0)
        rc = EC_OK
    else:
        rc = take_route(c) if at(c, c'@') else EC_OK
        if rc == EC_OK:
            rc = take_mailbox(c, forward, path)
    if rc != EC_OK and rc != EC_REFUSED:
        return rc
    if c.p - start > PATH_MAX_WHOLE:
        return EC_LIMIT
    if c.flags & PATH_ALLOW_SPACE:
        skip_space(c)
    if not at(c, c'>'):
        return EC_SYNTAX                # a malformed path is that before it is an unwelcome one
    c.p += 1
    return rc


cdef int take_parameter(cursor_t *c, slice_t *whole, slice_t *key, slice_t *value) noexcept nogil:
    """One KEY or KEY=VALUE behind white space; `whole` is empty at the end."""
    cdef const char *before = c.p
    cdef const char *mark
    skip_space(c)
    whole[0] = slice_make(c.p, 0)
    if c.p == c.end:
        return EC_OK
    while c.p < c.end and c.p[0] != c' ' and c.p[0] != c'\t':
        c.p += 1
    whole.len = c.p - whole.ptr
    if whole.ptr == before:             # nothing between the path and this
        return EC_SYNTAX
    mark = <const char*>memchr(whole.ptr, c'=', whole.len)
    key[0] = slice_make(whole.ptr, (mark - whole.ptr) if mark != NULL else whole.len)
    value[0] = slice_make(mark + 1, c.p - mark - 1) if mark != NULL else slice_make(NULL, 0)
    return EC_OK if well_formed(key[0], value[0], c.flags) else EC_SYNTAX


cdef bint well_formed(slice_t key, slice_t value, int flags) noexcept nogil:
    """RFC 5321 4.1.2 esmtp-keyword and esmtp-value."""
    cdef size_t i
    if key.len == 0 or key.ptr[0] == c'-' or (value.ptr != NULL and value.len == 0):
        return False
    for i in range(key.len):
        if not is_alnum(key.ptr[i]) and key.ptr[i] != c'-':
            return False
    for i in range(value.len):
        if not 33 <= value.ptr[i] < 127 and not (<unsigned char>value.ptr[i] > 127 and flags & PATH_UTF8):
            return False
        if value.ptr[i] == c'=':
            return False
    return True


cdef bint is_xtext(slice_t s) noexcept nogil:
    """RFC 3461 4: `+` begins two upper case hexadecimal digits."""
    cdef size_t i = 0
    cdef int digit
    while i < s.len:
        if s.ptr[i] == c'+':
            if s.len - i < 3:
                return False
            for digit in range(1, 3):
                if not (c'0' <= s.ptr[i + digit] <= c'9' or c'A' <= s.ptr[i + digit] <= c'F'):
                    return False
            i += 3
        else:
            i += 1
    return s.len > 0


cdef int parameter_of(slice_t key, int first, int past) noexcept nogil:
    cdef int i
    for i in range(first, past):
        if slice_ieq(key, slice_of(PARAMETER_NAMES[i])):
            return i
    return PARAMETERS


cdef bint all_digits(slice_t s) noexcept nogil:
    """RFC 1870 4: up to 20."""
    cdef size_t i
    for i in range(s.len):
        if not c'0' <= s.ptr[i] <= c'9':
            return False
    return 0 < s.len <= 20


cdef int set_mail_parameter(smtp_mail_params_t *params, int which, slice_t value) noexcept nogil:
    cdef int64_t number
    if which == PARAM_SIZE:
        number = slice_number(value)
        if number < 0 and not all_digits(value):
            return EC_SYNTAX
        params.has_size = True
        params.size = <uint64_t>number          # -1: more than anybody takes
    elif which == PARAM_BODY:
        params.body = (BODY_7BIT if slice_ieq(value, slice_of("7BIT"))
                       else BODY_8BITMIME if slice_ieq(value, slice_of("8BITMIME")) else BODY_UNSTATED)
        return EC_OK if params.body else EC_SYNTAX
    elif which == PARAM_RET:
        params.ret = (RET_FULL if slice_ieq(value, slice_of("FULL"))
                      else RET_HDRS if slice_ieq(value, slice_of("HDRS")) else RET_UNSTATED)
        return EC_OK if params.ret else EC_SYNTAX
    elif which == PARAM_ENVID:
        params.envid = value
        return EC_LIMIT if value.len > ENVID_MAX else EC_OK if is_xtext(value) else EC_SYNTAX
    elif which == PARAM_AUTH:
        params.auth = value
        return EC_OK if slice_eq(value, slice_of("<>")) or is_xtext(value) else EC_SYNTAX
    elif which == PARAM_SMTPUTF8:
        params.smtputf8 = True
        return EC_OK if value.ptr == NULL else EC_SYNTAX
    return EC_OK


cdef int set_notify(smtp_rcpt_params_t *params, slice_t value) noexcept nogil:
    """NEVER alone, or a list of the others."""
    cdef slice_t word
    cdef const char *comma
    cdef uint32_t bit
    cdef int i
    while True:
        comma = <const char*>memchr(value.ptr, c',', value.len) if value.len else NULL
        word = slice_make(value.ptr, (comma - value.ptr) if comma != NULL else value.len)
        bit = 0
        for i in range(4):
            if slice_ieq(word, slice_of(NOTIFY_NAMES[i])):
                bit = 1u << i
        if bit == 0 or params.notify == NOTIFY_NEVER or (bit == NOTIFY_NEVER and params.notify):
            return EC_SYNTAX
        params.notify |= bit
        if comma == NULL:
            return EC_OK
        value = slice_make(comma + 1, value.ptr + value.len - comma - 1)


cdef int set_rcpt_parameter(smtp_rcpt_params_t *params, int which, slice_t value) noexcept nogil:
    cdef const char *mark
    if which == PARAM_NOTIFY:
        return set_notify(params, value)
    params.orcpt = value
    if value.len > ORCPT_MAX:
        return EC_LIMIT
    mark = <const char*>memchr(value.ptr, c';', value.len) if value.len else NULL
    if mark == NULL or mark == value.ptr:
        return EC_SYNTAX
    return EC_OK if is_xtext(slice_make(mark + 1, value.ptr + value.len - mark - 1)) else EC_SYNTAX


cdef int start(cursor_t *c, slice_t args, slice_t prefix, int flags) noexcept nogil:
    c.p = args.ptr
    c.end = args.ptr + args.len
    c.flags = flags
    c.eightbit = False
    if not slice_starts_i(args, prefix):
        return EC_SYNTAX
    c.p += prefix.len
    return EC_OK


cdef int next_parameter(cursor_t *c, int first, int past, uint32_t *seen, slice_t *bad, slice_t *value) noexcept nogil:
    """Answers the parameter's number, PARAMETERS at the end, or a status with *bad set."""
    cdef slice_t key
    cdef int which
    if take_parameter(c, bad, &key, value) != EC_OK:
        return EC_SYNTAX
    if bad.len == 0:
        return PARAMETERS
    which = parameter_of(key, first, past)
    if which == PARAMETERS or (which == PARAM_SMTPUTF8 and not c.flags & PATH_UTF8):
        return EC_REFUSED
    if seen[0] & 1u << which:           # RFC 5321 4.1.1.11: once each
        return EC_SYNTAX
    seen[0] |= 1u << which
    return which


cdef int smtp_mail_parse(slice_t args, int flags, smtp_path_t *path, smtp_mail_params_t *params) noexcept nogil:
    cdef cursor_t c
    cdef uint32_t seen = 0
    cdef slice_t bad, value
    cdef int rc, which
    memset(params, 0, sizeof(smtp_mail_params_t))
    rc = start(&c, args, slice_of("FROM:"), flags)
    if rc == EC_OK:
        rc = take_path(&c, False, path)
    while rc == EC_OK:
        which = next_parameter(&c, PARAM_SIZE, PARAM_NOTIFY, &seen, &bad, &value)
        if which == PARAMETERS:
            break
        rc = which if which < 0 else set_mail_parameter(params, which, value)
        if rc != EC_OK:
            params.bad = bad
    if rc == EC_OK and path.eightbit and not params.smtputf8:
        return EC_REFUSED
    return rc


cdef int smtp_rcpt_parse(slice_t args, int flags, smtp_path_t *path, smtp_rcpt_params_t *params) noexcept nogil:
    cdef cursor_t c
    cdef uint32_t seen = 0
    cdef slice_t bad, value
    cdef int rc, which
    memset(params, 0, sizeof(smtp_rcpt_params_t))
    rc = start(&c, args, slice_of("TO:"), flags)
    if rc == EC_OK:
        rc = take_path(&c, True, path)
    while rc == EC_OK:
        which = next_parameter(&c, PARAM_NOTIFY, PARAMETERS, &seen, &bad, &value)
        if which == PARAMETERS:
            break
        rc = which if which < 0 else set_rcpt_parameter(params, which, value)
        if rc != EC_OK:
            params.bad = bad
    return rc


cdef int smtp_address_parse(slice_t text, int flags, smtp_path_t *path) noexcept nogil:
    cdef cursor_t c
    cdef int rc = start(&c, text, slice_make(text.ptr, 0), flags)
    if rc == EC_OK:
        rc = take_mailbox(&c, True, path)
    return EC_SYNTAX if (rc == EC_OK or rc == EC_REFUSED) and c.p != c.end else rc


FLAGS = {"pedantic": PATH_PEDANTIC, "space": PATH_ALLOW_SPACE, "literal": PATH_ALLOW_LITERAL,
         "unqualified": PATH_ALLOW_UNQUALIFIED, "utf8": PATH_UTF8}


class PathError(ValueError):
    """`reason` is syntax, limit or refused; `parameter` the one at fault, or empty."""

    def __init__(self, reason, parameter):
        super().__init__(f"{reason}: {parameter!r}" if parameter else reason)
        self.reason = reason
        self.parameter = parameter


cdef raise_path_error(int rc, slice_t bad):
    raise PathError({EC_LIMIT: "limit", EC_REFUSED: "refused"}.get(rc, "syntax"), slice_bytes(bad))


cdef path_tuple(smtp_path_t *p):
    return Path(slice_bytes(p.local), slice_bytes(p.domain), slice_bytes(p.whole), bool(p.null_path),
                bool(p.literal), bool(p.quoted), bool(p.eightbit))


cdef int flag_bits(flags):
    cdef int bits = 0
    for name in flags:
        bits |= <int>FLAGS[name]
    return bits


def parse_mail(bytes args not None, flags=("pedantic", "literal")):
    """Parse what follows MAIL into (Path, MailParams); raises PathError."""
    cdef slice_t s = slice_of_bytes(args)
    cdef int bits = flag_bits(flags)
    cdef smtp_path_t p
    cdef smtp_mail_params_t m
    cdef int rc
    with nogil:
        rc = smtp_mail_parse(s, bits, &p, &m)
    if rc < 0:
        raise_path_error(rc, m.bad)
    return path_tuple(&p), MailParams(
        m.size if m.has_size else None, [None, "7BIT", "8BITMIME"][m.body], [None, "FULL", "HDRS"][m.ret],
        slice_bytes(m.envid), slice_bytes(m.auth), bool(m.smtputf8))


def parse_rcpt(bytes args not None, flags=("pedantic", "literal")):
    """Parse what follows RCPT into (Path, RcptParams); raises PathError."""
    cdef slice_t s = slice_of_bytes(args)
    cdef int bits = flag_bits(flags)
    cdef smtp_path_t p
    cdef smtp_rcpt_params_t r
    cdef int rc
    with nogil:
        rc = smtp_rcpt_parse(s, bits, &p, &r)
    if rc < 0:
        raise_path_error(rc, r.bad)
    return path_tuple(&p), RcptParams({NOTIFY_NAMES[i].decode() for i in range(4) if r.notify >> i & 1},
                                      slice_bytes(r.orcpt))


def parse_address(bytes text not None, flags=("pedantic", "literal")):
    """Parse local@domain alone into a Path; raises PathError."""
    cdef slice_t s = slice_of_bytes(text)
    cdef int bits = flag_bits(flags)
    cdef smtp_path_t p
    cdef int rc
    with nogil:
        rc = smtp_address_parse(s, bits, &p)
    if rc < 0:
        raise_path_error(rc, slice_make(NULL, 0))
    return path_tuple(&p)
