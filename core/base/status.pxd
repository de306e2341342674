# What every nogil function answers.  Zero or more is success; the out-parameter
# is written on success only.

cdef enum ec_status_t:
    EC_OK = 0
    EC_AGAIN = -1       # not yet: parked, or more input needed
    EC_NOMEM = -2
    EC_LIMIT = -3       # a configured limit says no
    EC_SYNTAX = -4      # the input does not follow its grammar
    EC_IO = -5          # disk or socket failed
    EC_NOTFOUND = -6
    EC_EXISTS = -7
    EC_CLOSED = -8      # the peer or the loop is gone
    EC_TIMEOUT = -9
    EC_CORRUPT = -10    # stored data fails its check
    EC_REFUSED = -11    # the peer or policy says no
    EC_CANCELLED = -12
