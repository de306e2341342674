"""Answers: struct, key, then items of {length in two bytes, bytes}."""
from libc.stdint cimport uint16_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from pymomentum.core.base.slice cimport slice_make, slice_t


cdef size_t dns_key(slice_t name, int type, char *out) noexcept nogil:
    cdef size_t i
    cdef char c
    if name.len and name.ptr[name.len - 1] == c'.':
        name.len -= 1
    if name.len == 0 or name.len > DNS_NAME_MAX:
        return 0
    out[0] = <char>(type >> 8)
    out[1] = <char>type
    for i in range(name.len):
        c = name.ptr[i]
        out[2 + i] = c + 32 if c'A' <= c <= c'Z' else c
    return name.len + 2


cdef dns_answer_t *dns_answer_new(slice_t key, int status, slice_t items, uint16_t count) noexcept nogil:
    cdef dns_answer_t *a = <dns_answer_t*>malloc(sizeof(dns_answer_t) + key.len + items.len)
    if a == NULL:
        return NULL
    a.expires_ms = 0
    a.refs = 1
    a.heap_index = 0
    a.size = <uint32_t>items.len
    a.count = count
    a.status = status
    a.key_len = <uint8_t>key.len
    a.secure = False
    memcpy(<char*>(a + 1), key.ptr, key.len)
    if items.len:
        memcpy(<char*>(a + 1) + key.len, items.ptr, items.len)
    return a


cdef void dns_answer_unref(dns_answer_t *a) noexcept nogil:
    if a != NULL:
        a.refs -= 1
        if a.refs == 0:
            free(a)


cdef bint dns_answer_next(const dns_answer_t *a, size_t *at, slice_t *item) noexcept nogil:
    cdef const char *p = <const char*>(a + 1) + a.key_len + at[0]
    cdef uint16_t n
    if at[0] >= a.size:
        return False
    memcpy(&n, p, 2)
    item[0] = slice_make(p + 2, n)
    at[0] += 2 + n
    return True
