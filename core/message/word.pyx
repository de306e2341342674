"""Texts of which many messages have the same: last responses, above all.

One table under one lock; a word goes with its last holder, its number to the next.
"""
from libc.stdint cimport uint32_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy

from pymomentum.core.c.posix cimport pthread_mutex_lock, pthread_mutex_t, pthread_mutex_unlock
from pymomentum.core.base.hash cimport hash_del, hash_get, hash_init, hash_put, hash_t
from pymomentum.core.base.slice cimport slice_make, slice_t
from pymomentum.core.base.status cimport EC_OK

cdef struct word_t:
    uint32_t refs
    uint32_t len
    uint32_t number             # of its place
    char text[1]

cdef union place_t:
    word_t *word
    size_t free_next            # of a free place: the next one

cdef pthread_mutex_t lock
cdef hash_t words
cdef bint made = False
cdef place_t *places = NULL     # the first is nobody's
cdef uint32_t places_cap = 0
cdef uint32_t places_used = 1
cdef size_t free_first = 0      # 0: none


cdef uint32_t take_place() noexcept nogil:
    """0: no memory."""
    global places, places_cap, places_used, free_first
    cdef uint32_t n = <uint32_t>free_first
    cdef place_t *grown
    if n:
        free_first = places[n].free_next
        return n
    if places_used >= places_cap:
        n = places_cap * 2 if places_cap else 64
        grown = <place_t*>realloc(places, n * sizeof(place_t))
        if grown == NULL:
            return 0
        places = grown
        places_cap = n
    places_used += 1
    return places_used - 1


cdef void leave_place(uint32_t n) noexcept nogil:
    global free_first
    places[n].free_next = free_first
    free_first = n


cdef word_t *fresh(slice_t text) noexcept nogil:
    cdef word_t *w = <word_t*>malloc(sizeof(word_t) + text.len)
    if w == NULL:
        return NULL
    w.refs = 0
    w.len = <uint32_t>text.len
    if text.len:
        memcpy(w.text, text.ptr, text.len)
    w.text[text.len] = 0
    w.number = take_place()
    if w.number == 0:
        free(w)
        return NULL
    if hash_put(&words, slice_make(w.text, w.len), w) != EC_OK:
        leave_place(w.number)
        free(w)
        return NULL
    places[w.number].word = w
    return w


cdef uint32_t word_ref(slice_t text) noexcept nogil:
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
    return w.number if w != NULL else 0


cdef void word_unref(uint32_t number) noexcept nogil:
    cdef word_t *w
    if number == 0:
        return
    pthread_mutex_lock(&lock)
    w = places[number].word
    w.refs -= 1
    if w.refs == 0:
        hash_del(&words, slice_make(w.text, w.len))
        leave_place(number)
        free(w)
    pthread_mutex_unlock(&lock)


cdef const char *word_text(uint32_t number) noexcept nogil:
    cdef const char *text
    if number == 0:
        return NULL
    pthread_mutex_lock(&lock)
    text = places[number].word.text
    pthread_mutex_unlock(&lock)
    return text


def held():
    """How many different words are held."""
    return words.used
