# XCLIENT towards the peer: whose mail it is.
from pymomentum.core.config.values cimport OPT_XCLIENT, XCLIENT_NO, opt_number
from pymomentum.core.message.message cimport ec_message_t
from pymomentum.core.smtp.extension cimport EXT_XCLIENT
from .session cimport client_t

cdef enum xclient_need_t:
    XCLIENT_NEEDLESS            # MAIL may follow
    XCLIENT_SAID                # its reply is waited for
    XCLIENT_ELSEWHERE           # the peer takes what comes here for another client's, and cannot be told otherwise

cdef int xclient_say(client_t *c, const ec_message_t *m) noexcept nogil     # xclient_need_t
cdef void xclient_accepted(client_t *c) noexcept nogil                      # the dialogue begins anew


cdef inline bint xclient_speaks(const client_t *c) noexcept nogil:
    """Is the peer told of clients?"""
    return opt_number(c.values, OPT_XCLIENT) != XCLIENT_NO and (c.extensions & EXT_XCLIENT or c.said[0])
