"""Thread pools: plain threads without the GIL, first in first out."""
from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc
from libc.string cimport strncpy

from pymomentum.core.c.posix cimport (cond_init_monotonic, pthread_attr_destroy, pthread_attr_init, pthread_attr_setstacksize, pthread_attr_t,
                                      pthread_cond_broadcast, pthread_cond_signal, pthread_cond_wait,
                                      pthread_create, pthread_equal, pthread_join, pthread_mutex_init, pthread_mutex_lock,
                                      pthread_mutex_unlock, pthread_self, pthread_setname_np)
from pymomentum.core.c.sched cimport thread_patient
from .loop cimport loop_post, loop_t
from .post cimport post_t


cdef void on_done(post_t *p) noexcept nogil:
    cdef job_t *j = <job_t*>p
    j.done(j)


cdef void *worker(void *arg) noexcept nogil:
    cdef pool_t *p = <pool_t*>arg
    cdef job_t *j
    cdef int i
    pthread_setname_np(pthread_self(), p.name)
    if p.patient:
        thread_patient()
    pthread_mutex_lock(&p.lock)
    while True:
        while p.head == NULL and not p.stopping and p.threads <= p.wanted:
            pthread_cond_wait(&p.ready, &p.lock)
        j = p.head
        if j == NULL or p.threads > p.wanted and not p.stopping:
            break
        p.head = j.next
        p.queued -= 1
        p.busy += 1
        pthread_mutex_unlock(&p.lock)
        j.run(j)
        if j.loop != NULL:
            j.post.fn = on_done
            loop_post(j.loop, &j.post)
        pthread_mutex_lock(&p.lock)
        p.busy -= 1
    p.threads -= 1
    pthread_cond_signal(&p.ready)           # what woke it may have been meant for another
    for i in range(POOL_THREADS):
        if p.life[i] == THREAD_LIVE and pthread_equal(p.ids[i], pthread_self()):
            p.life[i] = THREAD_OVER
    pthread_mutex_unlock(&p.lock)
    return NULL


cdef int begin_thread(pool_t *p, pthread_t *id) noexcept nogil:
    cdef pthread_attr_t attr
    cdef int rc
    pthread_attr_init(&attr)
    if p.stack:
        pthread_attr_setstacksize(&attr, p.stack)
    rc = pthread_create(id, &attr, worker, p)
    pthread_attr_destroy(&attr)
    return rc


cdef pool_t *pool_new(const char *name, uint32_t threads, size_t stack, bint patient) noexcept nogil:
    cdef pool_t *p = <pool_t*>calloc(1, sizeof(pool_t))
    if p == NULL:
        return NULL
    strncpy(p.name, name, 15)
    p.patient = patient
    p.stack = max(stack, <size_t>STACK_MIN) if stack else 0
    pthread_mutex_init(&p.lock, NULL)
    cond_init_monotonic(&p.ready)
    pool_resize(p, threads)
    return p if p.threads else NULL


cdef void pool_resize(pool_t *p, uint32_t threads) noexcept nogil:
    cdef int i
    pthread_mutex_lock(&p.lock)
    p.wanted = min(max(threads, <uint32_t>1), <uint32_t>POOL_THREADS)
    for i in range(POOL_THREADS):
        if p.life[i] == THREAD_OVER:        # it waits for nothing any more
            pthread_join(p.ids[i], NULL)
            p.life[i] = THREAD_NONE
        if p.life[i] == THREAD_NONE and p.threads < p.wanted and begin_thread(p, &p.ids[i]) == 0:
            p.life[i] = THREAD_LIVE
            p.threads += 1
    pthread_cond_broadcast(&p.ready)
    pthread_mutex_unlock(&p.lock)


cdef void pool_submit(pool_t *p, job_t *j, loop_t *loop, job_fn run, job_fn done) noexcept nogil:
    j.loop = loop
    j.run = run
    j.done = done
    j.next = NULL
    pthread_mutex_lock(&p.lock)
    if p.head == NULL:
        p.head = j
    else:
        p.tail.next = j
    p.tail = j
    p.queued += 1
    pthread_cond_signal(&p.ready)
    pthread_mutex_unlock(&p.lock)


cdef void pool_stop(pool_t *p) noexcept nogil:
    cdef int i
    pthread_mutex_lock(&p.lock)
    p.stopping = True
    pthread_cond_broadcast(&p.ready)
    pthread_mutex_unlock(&p.lock)
    for i in range(POOL_THREADS):
        if p.life[i] != THREAD_NONE:
            pthread_join(p.ids[i], NULL)
            p.life[i] = THREAD_NONE
