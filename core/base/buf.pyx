"""Growable byte buffer, doubling, freed by its owner."""
from libc.stdint cimport int64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memmove, strlen

from .status cimport EC_NOMEM, EC_OK
from .slice cimport slice_t

cdef extern from *:
    """
    #include <stdarg.h>
    #include <stdio.h>
    typedef va_list ec_va_list;
    #define ec_va_start(a, l) va_start(a, l)
    """
    ctypedef struct ec_va_list:
        pass
    void ec_va_start(ec_va_list, const char*) nogil
    void va_end(ec_va_list) nogil
    int vsnprintf(char*, size_t, const char*, ec_va_list) nogil


cdef int buf_reserve(buf_t *b, size_t more) noexcept nogil:
    cdef size_t cap
    cdef char *p
    if b.cap - b.len >= more:
        return EC_OK
    cap = b.cap if b.cap else 256
    while cap - b.len < more:
        cap *= 2
    p = <char*>realloc(b.ptr, cap)
    if p == NULL:
        return EC_NOMEM
    b.ptr = p
    b.cap = cap
    return EC_OK


cdef int buf_add(buf_t *b, const char *p, size_t n) noexcept nogil:
    if buf_reserve(b, n) != EC_OK:
        return EC_NOMEM
    if n:
        memcpy(b.ptr + b.len, p, n)
        b.len += n
    return EC_OK


cdef int buf_add_slice(buf_t *b, slice_t s) noexcept nogil:
    return buf_add(b, s.ptr, s.len)


cdef int buf_add_z(buf_t *b, const char *z) noexcept nogil:
    return buf_add(b, z, strlen(z))


cdef int buf_add_number(buf_t *b, int64_t v) noexcept nogil:
    cdef char digits[24]
    cdef int n = 24
    cdef bint negative = v < 0
    cdef unsigned long long u = <unsigned long long>(-v if negative else v)
    while True:
        n -= 1
        digits[n] = <char>(c'0' + u % 10)
        u //= 10
        if u == 0:
            break
    if negative:
        n -= 1
        digits[n] = c'-'
    return buf_add(b, digits + n, 24 - n)


cdef int buf_printf(buf_t *b, const char *format, ...) noexcept nogil:
    cdef ec_va_list args
    cdef int n
    if buf_reserve(b, 256) != EC_OK:
        return EC_NOMEM
    ec_va_start(args, format)
    n = vsnprintf(b.ptr + b.len, b.cap - b.len, format, args)
    va_end(args)
    if n >= 0 and <size_t>n >= b.cap - b.len:
        if buf_reserve(b, n + 1) != EC_OK:
            return EC_NOMEM
        ec_va_start(args, format)
        n = vsnprintf(b.ptr + b.len, b.cap - b.len, format, args)
        va_end(args)
    if n > 0:
        b.len += n
    return EC_OK


cdef void buf_consume(buf_t *b, size_t n) noexcept nogil:
    if n >= b.len:
        b.len = 0
        return
    memmove(b.ptr, b.ptr + n, b.len - n)
    b.len -= n


cdef void buf_free(buf_t *b) noexcept nogil:
    free(b.ptr)
    b.ptr = NULL
    b.len = 0
    b.cap = 0
