"""Levels of the paniclog: a word of bits for each, one bit for each subsystem.

A level stands by itself: who wants errors and warnings names both.  Up to
NOTICE equal lines may be throttled; equal is what one format makes.
"""
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset, strcmp

from pymomentum.core.base.atomic cimport atomic_add32, atomic_load32, atomic_load64, atomic_store32, atomic_store64

cdef enum:
    FORMATS = 64                # remembered; two that meet in one place count as one

cdef struct format_t:
    const char *format
    uint64_t begun_ms           # its period
    uint32_t lines              # in it

cdef uint64_t says[LEVEL_COUNT]     # atomic
cdef uint32_t most = 0              # equal lines in a period; 0: any number; atomic
cdef uint64_t period_ms = 1000      # atomic
cdef format_t formats[FORMATS]
cdef const char *NAMES[OF_COUNT]
NAMES[:] = [
    b"ERROR", b"TIME", b"FD", b"SMTP", b"LOG1", b"DANE", b"DNS", b"DNSDS", b"MTA_STS", b"NET", b"SIG", b"MEM", b"DB", b"LIC",
    b"SSL", b"MOD", b"START", b"CONFIG", b"QUEUE", b"SPOOL", b"BOUNCE", b"VCTX"]
memset(formats, 0, sizeof(formats))
for _i in range(LEVEL_COUNT):
    says[_i] = <uint64_t>-1 if _i >= LEVEL_ERROR else 0


cdef bint log_says(int level, int subsystem) noexcept nogil:
    return atomic_load64(&says[level]) >> subsystem & 1


cdef int level_subsystem(const char *name) noexcept nogil:
    cdef int i
    if strcmp(name, b"TLS") == 0:
        return OF_SSL
    if strcmp(name, b"LISTENER") == 0 or strcmp(name, b"CONNECT") == 0:
        return OF_NET
    for i in range(OF_COUNT):
        if strcmp(name, NAMES[i]) == 0:
            return i
    return OF_ERROR


cdef bint level_repeats(int level, const char *format, uint64_t now_ms) noexcept nogil:
    cdef uint32_t allowed = atomic_load32(&most)
    cdef format_t *f = &formats[(<size_t>format >> 3) % FORMATS]
    if allowed == 0 or level > LEVEL_NOTICE:
        return False
    if f.format != format or now_ms - f.begun_ms >= atomic_load64(&period_ms):      # a race costs a line more or less
        f.format = format
        f.begun_ms = now_ms
        atomic_store32(&f.lines, 0)
    return atomic_add32(&f.lines, 1) > allowed


def is_subsystem(str name not None):
    """Whether something of the server is called so, or it is ALL."""
    return name.upper() == "ALL" or name.upper().encode() in NAMES[:OF_COUNT]


def set_levels(levels, uint32_t equal=0, period=1):
    """Have these subsystems speak, a list of names for each level; names that are none say nothing.

    equal: lines of one kind in a period of so many seconds, up to NOTICE; 0: any number.
    """
    cdef uint64_t word
    known = [name.decode() for name in NAMES[:OF_COUNT]]
    for level, names in enumerate(levels):
        word = 0
        for name in names or ():
            if name.upper() == "ALL":
                word = <uint64_t>-1
            elif name.upper() in known:
                word |= <uint64_t>1 << <int>known.index(name.upper())
        atomic_store64(&says[<int>level], word)
    atomic_store64(&period_ms, <uint64_t>(period * 1000))
    atomic_store32(&most, equal)
