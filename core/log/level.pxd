# Which subsystems speak in the paniclog, and at which levels: debug_flags.  Any thread may ask.
from libc.stdint cimport uint64_t

cdef enum:                      # levels, in the order of the options
    LEVEL_DEBUG
    LEVEL_INFO
    LEVEL_NOTICE
    LEVEL_WARNING
    LEVEL_ERROR
    LEVEL_CRITICAL
    LEVEL_COUNT

cdef enum:                      # subsystems, in the order of NAMES
    OF_ERROR                    # whatever has no name of its own
    OF_TIME
    OF_FD
    OF_SMTP
    OF_LOG1
    OF_DANE
    OF_DNS
    OF_DNSDS
    OF_MTA_STS
    OF_NET
    OF_SIG
    OF_MEM
    OF_DB
    OF_LIC
    OF_SSL
    OF_MOD
    OF_START
    OF_CONFIG
    OF_QUEUE
    OF_SPOOL
    OF_BOUNCE
    OF_VCTX
    OF_COUNT

cdef bint log_says(int level, int subsystem) noexcept nogil                 # one load; before the line is made
cdef int level_subsystem(const char *name) noexcept nogil                  # by the word a line begins with
cdef bint level_repeats(int level, const char *format, uint64_t now_ms) noexcept nogil     # debug_throttle_* drop this line
