"""Texts of which many messages have the same: last responses, above all.

One table under one lock; a word goes with its last holder.
"""
from libc.stdint cimport uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from pymomentum.core.c.posix cimport pthread_mutex_lock, pthread_mutex_t, pthread_mutex_unlock
from pymomentum.core.base.hash cimport hash_del, hash_get, hash_init, hash_put, hash_t
from pymomentum.core.base.slice cimport slice_make, slice_t
from pymomentum.core.base.status cimport EC_OK

cdef struct word_t:
    uint32_t refs
    uint32_t len
    char text[1]

cdef pthread_mutex_t lock
cdef hash_t words
cdef bint made = False


cdef inline word_t *word_of(const char *text) noexcept nogil:
    cdef word_t *w = NULL
    return <word_t*>(<char*>text - (<char*>&w.text - <char*>w))


cdef word_t *fresh(slice_t text) noexcept nogil:
    cdef word_t *w = <word_t*>malloc(sizeof(word_t) + text.len)
    if w == NULL:
        return NULL
    w.refs = 0
    w.len = <uint32_t>text.len
    if text.len:
        memcpy(w.text, text.ptr, text.len)
    w.text[text.len] = 0
    if hash_put(&words, slice_make(w.text, w.len), w) != EC_OK:
        free(w)
        return NULL
    return w


cdef const char *word_ref(slice_t text) noexcept nogil:
    global made
    cdef word_t *w = NULL
    if text.ptr == NULL:
        text = slice_make(b"", 0)           # a key that is there
    pthread_mutex_lock(&lock)
    if not made:
        made = hash_init(&words, 64) == EC_OK
    if made:
        w = <word_t*>hash_get(&words, text)
        if w == NULL:
            w = fresh(text)
        if w != NULL:
            w.refs += 1
    pthread_mutex_unlock(&lock)
    return w.text if w != NULL else NULL


cdef void word_unref(const char *text) noexcept nogil:
    cdef word_t *w
    if text == NULL:
        return
    w = word_of(text)
    pthread_mutex_lock(&lock)
    w.refs -= 1
    if w.refs == 0:
        hash_del(&words, slice_make(w.text, w.len))
        free(w)
    pthread_mutex_unlock(&lock)


def held():
    """How many different words are held."""
    return words.used
