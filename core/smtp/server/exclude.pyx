"""exclude_vctx_conn and exclude_vctx_mess: what of a context is not kept with a message.

Any loop may ask.  An expression is compiled when it is first wanted and kept
for the life of the process; one that cannot be is named in the paniclog, and
excludes nothing.
"""
from libc.stdlib cimport calloc
from libc.string cimport memcpy, memset

from pymomentum.core.base.buf cimport buf_add, buf_clear, buf_slice, buf_t
from pymomentum.core.base.hash cimport hash_get, hash_put, hash_t
from pymomentum.core.base.slice cimport slice_make, slice_t
from pymomentum.core.base.status cimport EC_OK
from pymomentum.core.c.pcre2 cimport *
from pymomentum.core.c.posix cimport pthread_mutex_init, pthread_mutex_lock, pthread_mutex_t, pthread_mutex_unlock
from pymomentum.core.config.values cimport opt_list_t
from pymomentum.core.log.writer cimport log_panic
from pymomentum.core.message.context cimport context_next

cdef enum:
    MATCH_LIMIT = 100000

cdef struct expression_t:
    slice_t text
    pcre2_code *code            # NULL: it cannot be used

cdef hash_t table
cdef pthread_mutex_t lock
cdef pcre2_match_context *limits = pcre2_match_context_create(NULL)
if limits == NULL:
    raise MemoryError
pcre2_set_match_limit(limits, MATCH_LIMIT)
memset(&table, 0, sizeof(table))
pthread_mutex_init(&lock, NULL)


cdef pcre2_code *made(slice_t text) noexcept nogil:
    cdef char why[120]
    cdef int error = 0
    cdef size_t at = 0
    cdef pcre2_code *code = pcre2_compile(<const unsigned char*>text.ptr, text.len, PCRE2_NEVER_BACKSLASH_C, &error, &at, NULL)
    if code == NULL:
        pcre2_get_error_message(error, <unsigned char*>why, sizeof(why))
        log_panic(NULL, b"VCTX", b"exclude_vctx: /%.*s/: %s", <int>text.len, text.ptr, <char*>why)
    else:
        pcre2_jit_compile(code, PCRE2_JIT_COMPLETE)
    return code


cdef pcre2_code *compiled(slice_t text) noexcept nogil:
    cdef expression_t *e
    pthread_mutex_lock(&lock)
    e = <expression_t*>hash_get(&table, text)
    if e == NULL:
        e = <expression_t*>calloc(1, sizeof(expression_t) + text.len)
        if e != NULL:
            e.text = slice_make(<char*>e + sizeof(expression_t), text.len)
            memcpy(<char*>e.text.ptr, text.ptr, text.len)
            e.code = made(text)
            hash_put(&table, e.text, e)
    pthread_mutex_unlock(&lock)
    return e.code if e != NULL else NULL


cdef bint excluded(slice_t key, const opt_list_t *expressions, pcre2_match_data *m) noexcept nogil:
    cdef pcre2_code *code
    cdef size_t i
    if key.len and key.ptr[0] == c'#':      # the server's own
        return False
    for i in range(expressions.n):
        code = compiled(expressions.items[i])
        if code != NULL and pcre2_match(code, <const unsigned char*>key.ptr, key.len, 0, 0, m, limits) >= 0:
            return True
    return False


cdef slice_t exclude_pairs(slice_t pairs, const opt_list_t *expressions, buf_t *room) noexcept nogil:
    cdef pcre2_match_data *m
    cdef size_t cursor = 0, start = 0
    cdef slice_t key, value
    cdef int rc = EC_OK
    if expressions == NULL or expressions.n == 0 or pairs.len == 0:
        return pairs
    m = pcre2_match_data_create(1, NULL)
    if m == NULL:
        return pairs
    buf_clear(room)
    while context_next(pairs, &cursor, &key, &value):
        if not excluded(key, expressions, m) and rc == EC_OK:
            rc = buf_add(room, pairs.ptr + start, cursor - start)
        start = cursor
    pcre2_match_data_free(m)
    return buf_slice(room) if rc == EC_OK else pairs
