# One SMTP command line, cut into verb and arguments.
from ..base.slice cimport slice_t


cdef enum smtp_verb_t:      # in the order of SMTP_VERB_NAMES
    SMTP_EHLO
    SMTP_HELO
    SMTP_LHLO
    SMTP_MAIL
    SMTP_RCPT
    SMTP_DATA
    SMTP_BDAT
    SMTP_RSET
    SMTP_NOOP
    SMTP_QUIT
    SMTP_VRFY
    SMTP_EXPN
    SMTP_HELP
    SMTP_STARTTLS
    SMTP_AUTH
    SMTP_XCLIENT
    SMTP_XREMOTEIP
    SMTP_XSETCONTEXT
    SMTP_XDUMPCONTEXT
    SMTP_UNKNOWN            # also the number of verbs known

cdef struct smtp_command_t:
    int verb                # smtp_verb_t
    bint trailing           # white space stood at the end of the line
    slice_t name            # borrowed; the verb as sent
    slice_t args            # borrowed; without white space around


# `line` comes without its CRLF.  EC_SYNTAX: empty, or holds control characters.
cdef int smtp_command_parse(slice_t line, smtp_command_t *out) noexcept nogil
cdef const char *smtp_verb_name(int verb) noexcept nogil
