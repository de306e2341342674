"""Places of live records.

The flusher and recovery make, move and drop them; pool threads that read a
message back look them up.  A dropped place lowers its segment's live count.
"""
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc

from pymomentum.core.base.atomic cimport atomic_add64
from pymomentum.core.base.status cimport EC_NOTFOUND, EC_OK
from pymomentum.core.c.posix cimport pthread_mutex_lock, pthread_mutex_unlock
from .layout cimport record_space
from .spool cimport PLACE_PAGE, PLACE_PAGES, place_t, segment_t, spool_t


cdef inline place_t *at(spool_t *s, uint32_t handle) noexcept nogil:
    return &s.places[handle // PLACE_PAGE][handle % PLACE_PAGE]


cdef inline void count(spool_t *s, uint32_t segment, uint32_t length, int by) noexcept nogil:
    cdef int64_t bytes = by * <int64_t>record_space(length)
    atomic_add64(<uint64_t*>&s.segments[segment].live_bytes, bytes)
    atomic_add64(<uint64_t*>&s.segments[segment].live, by)
    atomic_add64(<uint64_t*>&s.live_bytes, bytes)


cdef uint32_t place_new(spool_t *s, uint32_t segment, uint32_t offset, uint32_t length, uint32_t refs) noexcept nogil:
    cdef uint32_t handle = 0
    cdef uint32_t page
    cdef place_t *p
    pthread_mutex_lock(&s.places_lock)
    if s.places_free:
        handle = s.places_free
        s.places_free = at(s, handle).length
    else:
        if s.places_used == 0:
            s.places_used = 1           # handle 0 is none
        page = s.places_used // PLACE_PAGE
        if page < PLACE_PAGES and s.places[page] == NULL:
            s.places[page] = <place_t*>calloc(PLACE_PAGE, sizeof(place_t))
        if page < PLACE_PAGES and s.places[page] != NULL:
            handle = s.places_used
            s.places_used += 1
    if handle:
        p = at(s, handle)
        p.segment = <uint16_t>(segment + 1)
        p.offset = offset
        p.length = length
        p.refs = <uint16_t>refs
        count(s, segment, length, 1)
    pthread_mutex_unlock(&s.places_lock)
    return handle


cdef int place_get(spool_t *s, uint32_t handle, place_t *out) noexcept nogil:
    cdef int rc = EC_NOTFOUND
    pthread_mutex_lock(&s.places_lock)
    if handle and handle < s.places_used and at(s, handle).segment:
        out[0] = at(s, handle)[0]
        out.segment -= 1
        rc = EC_OK
    pthread_mutex_unlock(&s.places_lock)
    return rc


cdef bint place_drop(spool_t *s, uint32_t handle) noexcept nogil:
    cdef place_t *p
    cdef bint last = False
    pthread_mutex_lock(&s.places_lock)
    if handle and handle < s.places_used and at(s, handle).segment:
        p = at(s, handle)
        p.refs -= 1
        if p.refs == 0:
            last = True
            count(s, p.segment - 1, p.length, -1)
            p.segment = 0
            p.length = s.places_free
            s.places_free = handle
    pthread_mutex_unlock(&s.places_lock)
    return last


cdef bint place_move(spool_t *s, uint32_t handle, uint32_t source, uint32_t old_offset, uint32_t segment, uint32_t offset) noexcept nogil:
    """False where the record has died or moved since it was read."""
    cdef place_t *p
    cdef bint moved = False
    pthread_mutex_lock(&s.places_lock)
    p = at(s, handle)
    if p.segment == source + 1 and p.offset == old_offset:
        count(s, source, p.length, -1)
        p.segment = <uint16_t>(segment + 1)
        p.offset = offset
        count(s, segment, p.length, 1)
        moved = True
    pthread_mutex_unlock(&s.places_lock)
    return moved


cdef uint32_t places_of(spool_t *s, uint32_t segment, uint32_t **handles, uint32_t **offsets) noexcept nogil:
    """All live places of a segment, a page of the table at a time; the caller frees both arrays."""
    cdef uint32_t n = 0, cap = 0, page = 0, i, first
    cdef place_t *p
    cdef uint32_t *h = NULL
    cdef uint32_t *o = NULL
    cdef void *grown_h
    cdef void *grown_o
    while page < PLACE_PAGES:
        pthread_mutex_lock(&s.places_lock)
        if s.places[page] == NULL:
            pthread_mutex_unlock(&s.places_lock)
            break
        for i in range(PLACE_PAGE):
            p = &s.places[page][i]
            if p.segment != segment + 1:
                continue
            if n == cap:
                cap = cap * 2 if cap else 1024
                grown_h = realloc(h, cap * sizeof(uint32_t))
                if grown_h != NULL:
                    h = <uint32_t*>grown_h
                grown_o = realloc(o, cap * sizeof(uint32_t))
                if grown_o != NULL:
                    o = <uint32_t*>grown_o
                if grown_h == NULL or grown_o == NULL:
                    pthread_mutex_unlock(&s.places_lock)
                    handles[0] = h
                    offsets[0] = o
                    return n
            h[n] = page * PLACE_PAGE + i
            o[n] = p.offset
            n += 1
        pthread_mutex_unlock(&s.places_lock)
        page += 1
    handles[0] = h
    offsets[0] = o
    return n
