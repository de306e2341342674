"""Context dictionaries: a few short pairs in one run of bytes, in the order they were set.

What is in memory is what the spool keeps, so journalling one costs a copy.
"""
from libc.stdint cimport uint16_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memmove

from pymomentum.core.base.atomic cimport atomic_add32, atomic_load32
from pymomentum.core.base.buf cimport buf_add, buf_free, buf_reserve
from pymomentum.core.base.slice cimport slice_eq, slice_make, slice_of_bytes, slice_t
from pymomentum.core.base.status cimport EC_LIMIT, EC_NOMEM, EC_NOTFOUND, EC_OK

cdef enum:
    HEAD = 6


cdef bint context_next(slice_t bytes, size_t *cursor, slice_t *key, slice_t *value) noexcept nogil:
    cdef uint16_t k
    cdef uint32_t v
    cdef size_t at = cursor[0]
    if at > bytes.len or bytes.len - at < HEAD:
        return False
    memcpy(&k, bytes.ptr + at, 2)
    memcpy(&v, bytes.ptr + at + 2, 4)
    if bytes.len - at - HEAD < <size_t>k + v:
        return False
    key[0] = slice_make(bytes.ptr + at + HEAD, k)
    value[0] = slice_make(bytes.ptr + at + HEAD + k, v)
    cursor[0] = at + HEAD + k + v
    return True


cdef slice_t context_bytes(const context_t *c) noexcept nogil:
    return slice_make(c.bytes.ptr, c.bytes.len) if c != NULL else slice_make(NULL, 0)


cdef bint find(const context_t *c, slice_t key, size_t *start, size_t *end, slice_t *value) noexcept nogil:
    cdef slice_t bytes = context_bytes(c), k
    end[0] = 0
    start[0] = 0
    while context_next(bytes, end, &k, value):
        if slice_eq(k, key):
            return True
        start[0] = end[0]
    return False


cdef slice_t context_get(const context_t *c, slice_t key) noexcept nogil:
    cdef size_t start, end
    cdef slice_t value
    return value if find(c, key, &start, &end, &value) else slice_make(NULL, 0)


cdef int own(context_t **c) noexcept nogil:
    """Make it ours alone."""
    cdef context_t *copy
    if c[0] != NULL and atomic_load32(&c[0].refs) == 1:
        return EC_OK
    copy = <context_t*>calloc(1, sizeof(context_t))
    if copy == NULL:
        return EC_NOMEM
    copy.refs = 1
    if c[0] != NULL:
        copy.n = c[0].n
        if buf_add(&copy.bytes, c[0].bytes.ptr, c[0].bytes.len) != EC_OK:
            free(copy)
            return EC_NOMEM
        context_unref(c[0])
    c[0] = copy
    return EC_OK


cdef int context_remove(context_t **c, slice_t key) noexcept nogil:
    cdef size_t start, end
    cdef slice_t value
    if not find(c[0], key, &start, &end, &value):
        return EC_NOTFOUND
    if own(c) != EC_OK:
        return EC_NOMEM
    memmove(c[0].bytes.ptr + start, c[0].bytes.ptr + end, c[0].bytes.len - end)
    c[0].bytes.len -= end - start
    c[0].n -= 1
    return EC_OK


cdef int context_set(context_t **c, slice_t key, slice_t value) noexcept nogil:
    cdef uint16_t k = <uint16_t>key.len
    cdef uint32_t v = <uint32_t>value.len
    if key.len > CONTEXT_KEY_MAX or value.len > CONTEXT_MAX \
            or (c[0] != NULL and c[0].bytes.len + key.len + value.len + HEAD > CONTEXT_MAX):
        return EC_LIMIT
    if context_remove(c, key) == EC_NOMEM or own(c) != EC_OK or buf_reserve(&c[0].bytes, HEAD + key.len + value.len) != EC_OK:
        return EC_NOMEM
    buf_add(&c[0].bytes, <char*>&k, 2)
    buf_add(&c[0].bytes, <char*>&v, 4)
    buf_add(&c[0].bytes, key.ptr, key.len)
    buf_add(&c[0].bytes, value.ptr, value.len)
    c[0].n += 1
    return EC_OK


cdef context_t *context_ref(context_t *c) noexcept nogil:
    if c != NULL:
        atomic_add32(&c.refs, 1)
    return c


cdef void context_unref(context_t *c) noexcept nogil:
    if c != NULL and atomic_add32(&c.refs, -1) == 0:
        buf_free(&c.bytes)
        free(c)


def decode(bytes encoded not None):
    """The pairs of an encoded dictionary, as a dict of str; a damaged end is left out."""
    cdef slice_t bytes_ = slice_of_bytes(encoded), key, value
    cdef size_t cursor = 0
    pairs = {}
    while context_next(bytes_, &cursor, &key, &value):
        pairs[key.ptr[:key.len].decode("utf-8", "replace")] = value.ptr[:value.len].decode("utf-8", "replace")
    return pairs


cdef class Context:
    """A dictionary from Python; `copy` shares until one side changes."""
    cdef context_t *c

    def __dealloc__(self):
        context_unref(self.c)

    def __setitem__(self, str key not None, str value not None):
        cdef bytes k = key.encode(), v = value.encode()
        rc = context_set(&self.c, slice_of_bytes(k), slice_of_bytes(v))
        if rc != EC_OK:
            raise MemoryError if rc == EC_NOMEM else ValueError(f"context key or value is too long: {key[:40]!r}")

    def __getitem__(self, str key not None):
        cdef bytes k = key.encode()
        cdef slice_t v = context_get(self.c, slice_of_bytes(k))
        if v.ptr == NULL:
            raise KeyError(key)
        return v.ptr[:v.len].decode("utf-8", "replace")

    def __delitem__(self, str key not None):
        cdef bytes k = key.encode()
        if context_remove(&self.c, slice_of_bytes(k)) != EC_OK:
            raise KeyError(key)

    def __len__(self):
        return self.c.n if self.c != NULL else 0

    def copy(self):
        cdef Context other = Context()
        other.c = context_ref(self.c)
        return other

    def encode(self):
        """As the spool keeps it."""
        cdef slice_t b = context_bytes(self.c)
        return b.ptr[:b.len] if b.len else b""
