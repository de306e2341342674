"""Message ids: `CC/CC-PPPPP-SSSSSSSS`, counter and second in hex with their digits reversed.

The counter starts at random; a second that has used all 65,536 borrows the
next one, so ids may run ahead of the clock but never repeat.
"""
import os

from libc.stdint cimport uint16_t, uint32_t, uint64_t

from pymomentum.core.base.atomic cimport atomic_cas64, atomic_load64
from pymomentum.core.base.clock cimport clock_wall_us
from pymomentum.core.base.slice cimport slice_of_bytes, slice_t
from pymomentum.core.base.status cimport EC_OK, EC_SYNTAX
from pymomentum.core.c.posix cimport getpid

cdef extern from "sys/random.h" nogil:
    ssize_t getrandom(void*, size_t, unsigned int)

cdef uint64_t state = 0             # second << 32 | ids given in it
cdef uint16_t first = 0
cdef uint16_t process = 0
cdef const char *DIGITS = b"0123456789ABCDEF"
if getrandom(&first, sizeof(first), 0) < 0:
    first = <uint16_t>clock_wall_us()


def know_process():
    """After a fork, too: the kernel is not asked for every id."""
    global process
    process = <uint16_t>getpid()


know_process()
os.register_at_fork(after_in_child=know_process)


cdef message_id_t message_id_new() noexcept nogil:
    cdef uint64_t old, new, second
    cdef message_id_t id
    while True:
        old = atomic_load64(&state)
        second = clock_wall_us() // 1000000
        if second > (old >> 32):
            new = second << 32
        elif <uint32_t>old < 65535:
            new = old + 1
        else:
            new = ((old >> 32) + 1) << 32
        if atomic_cas64(&state, old, new):
            break
    id.slot = <uint32_t>(new >> 32)
    id.pid = process
    id.counter = <uint16_t>(first + <uint32_t>new)
    return id


cdef void message_id_text(message_id_t id, char *out) noexcept nogil:
    cdef uint32_t v = id.counter
    cdef int i
    out[0] = DIGITS[v & 15]
    out[1] = DIGITS[(v >> 4) & 15]
    out[2] = c'/'
    out[3] = DIGITS[(v >> 8) & 15]
    out[4] = DIGITS[(v >> 12) & 15]
    out[5] = c'-'
    v = id.pid
    for i in range(5):
        out[10 - i] = <char>(c'0' + v % 10)
        v //= 10
    out[11] = c'-'
    v = id.slot
    for i in range(8):
        out[12 + i] = DIGITS[v & 15]
        v >>= 4


cdef inline int digit(char c) noexcept nogil:
    if c'0' <= c <= c'9':
        return c - c'0'
    if c'A' <= c <= c'F':
        return c - c'A' + 10
    if c'a' <= c <= c'f':
        return c - c'a' + 10
    return -1


cdef int message_id_parse(slice_t t, message_id_t *out) noexcept nogil:
    cdef uint32_t v = 0
    cdef int i, d
    if t.len != MESSAGE_ID_TEXT or t.ptr[2] != c'/' or t.ptr[5] != c'-' or t.ptr[11] != c'-':
        return EC_SYNTAX
    for i in range(4):
        d = digit(t.ptr[i if i < 2 else i + 1])
        if d < 0:
            return EC_SYNTAX
        v |= <uint32_t>d << (4 * i)
    out.counter = <uint16_t>v
    v = 0
    for i in range(6, 11):
        if not c'0' <= t.ptr[i] <= c'9':
            return EC_SYNTAX
        v = v * 10 + (t.ptr[i] - c'0')
    if v > 65535:
        return EC_SYNTAX
    out.pid = <uint16_t>v
    v = 0
    for i in range(8):
        d = digit(t.ptr[12 + i])
        if d < 0:
            return EC_SYNTAX
        v |= <uint32_t>d << (4 * i)
    out.slot = v
    return EC_OK


def new():
    """A fresh id as text."""
    cdef char text[20]
    message_id_text(message_id_new(), text)
    return text[:20].decode()


def parse(str text not None):
    """(second, pid, counter) of an id; raises ValueError where it is none."""
    cdef message_id_t id
    cdef bytes b = text.encode()
    if message_id_parse(slice_of_bytes(b), &id) != EC_OK:
        raise ValueError(f"not a message id: {text!r}")
    return id.slot, id.pid, id.counter


def text(int slot, int pid, int counter):
    """The text of an id given its parts."""
    cdef message_id_t id
    cdef char out[20]
    id.slot = slot
    id.pid = pid
    id.counter = counter
    message_id_text(id, out)
    return out[:20].decode()
