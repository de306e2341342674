"""One SMTP command line (RFC 5321 4.1.1).  Pure: no I/O, no allocation."""
from collections import namedtuple

from ..base.slice cimport slice_bytes, slice_ieq, slice_make, slice_of, slice_of_bytes, slice_t, slice_trim
from ..base.status cimport EC_OK, EC_SYNTAX

Command = namedtuple("Command", "verb name args trailing")

cdef const char *SMTP_VERB_NAMES[SMTP_UNKNOWN + 1]
SMTP_VERB_NAMES = [
    "EHLO", "HELO", "LHLO", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "QUIT", "VRFY", "EXPN", "HELP",
    "STARTTLS", "AUTH", "XCLIENT", "XREMOTEIP", "XSETCONTEXT", "XDUMPCONTEXT", "UNKNOWN",
]


cdef const char *smtp_verb_name(int verb) noexcept nogil:
    return SMTP_VERB_NAMES[verb if 0 <= verb < SMTP_UNKNOWN else SMTP_UNKNOWN]


cdef int smtp_command_parse(slice_t line, smtp_command_t *out) noexcept nogil:
    cdef size_t i
    cdef size_t n = line.len
    cdef unsigned char c
    cdef int verb
    for i in range(line.len):
        c = <unsigned char>line.ptr[i]
        if (c < 32 and c != 9) or c == 127:     # a NUL, or a CR or LF that ends no line
            return EC_SYNTAX
        if n == line.len and (c == 32 or c == 9):
            n = i
    if n == 0:
        return EC_SYNTAX
    c = <unsigned char>line.ptr[line.len - 1]
    out.trailing = c == 32 or c == 9
    out.name = slice_make(line.ptr, n)
    out.args = slice_trim(slice_make(line.ptr + n, line.len - n))
    out.verb = SMTP_UNKNOWN
    for verb in range(<int>SMTP_UNKNOWN):
        if slice_ieq(out.name, slice_of(SMTP_VERB_NAMES[verb])):
            out.verb = verb
            break
    return EC_OK


def parse_command(bytes line not None):
    """Parse one command line without CRLF; raises ValueError where it is none."""
    cdef slice_t s = slice_of_bytes(line)
    cdef smtp_command_t c
    cdef int rc
    with nogil:
        rc = smtp_command_parse(s, &c)
    if rc < 0:
        raise ValueError(f"not an SMTP command: {line!r}")
    return Command(smtp_verb_name(c.verb).decode(), slice_bytes(c.name), slice_bytes(c.args), bool(c.trailing))
