"""Memory pressure.

Loop 0 looks once a second at what the process holds.  Above memory_goal every
loop walks its queues, a bounded number of messages per turn, and drops
envelopes and bodies that the spool has; a pool thread then gives what was
freed back to the system.  Above memory_hwm new mail is refused as well.
Within mail_queue_check_vm_interval no second walk begins, unless the
high-water mark is passed.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc

from pymomentum.core.base.atomic cimport atomic_add32, atomic_cas64, atomic_load32, atomic_load64, atomic_store32, atomic_store64
from pymomentum.core.base.hash cimport hash_next
from pymomentum.core.base.list cimport list_node_t
from pymomentum.core.base.status cimport EC_NOMEM, EC_OK
from pymomentum.core.base.timewheel cimport timer_entry_t, timer_init
from pymomentum.core.config.generation cimport config_current, config_generation_t, config_unref
from pymomentum.core.config.values cimport OPT_MAIL_QUEUE_CHECK_VM_INTERVAL, OPT_MEMORY_GOAL, OPT_MEMORY_HWM, opt_number
from pymomentum.core.loop.loop cimport COUNT_RECEIVED, loop_at, loop_call, loop_count, loop_t, loop_timer_set
from pymomentum.core.loop.pool cimport job_t, pool_new, pool_stop, pool_submit, pool_t
from pymomentum.core.loop.post cimport post_t
from pymomentum.core.message.message cimport MSG_SPOOLED, ec_message_t, message_swap_out, resident_bytes
from .domain cimport domain_t, mail_queue_t, message_resident, queue_count_resident, queue_loop, queue_loop_t

cdef extern from *:
    """
    #include <fcntl.h>
    #include <malloc.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <unistd.h>
    /* Second field of statm, in pages.  The kernel answers from memory. */
    static unsigned long long ec_resident(void) {
        static int fd = -1; char text[128]; ssize_t n; unsigned long long all = 0, resident = 0;
        if (fd < 0) fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
        n = pread(fd, text, sizeof text - 1, 0);
        if (n <= 0) return 0;
        text[n] = 0;
        sscanf(text, "%llu %llu", &all, &resident);
        return resident * (unsigned long long)sysconf(_SC_PAGESIZE); }
    """
    unsigned long long ec_resident() noexcept nogil
    int malloc_trim(size_t) noexcept nogil

cdef enum:
    LOOK_MS = 1000
    CROWD = 10000               # messages after which a pause is worth a trim
    TURN = 1000                 # messages looked at per turn
    ENVELOPE = 512              # bytes that an envelope and its allocation take, about

cdef struct walk_t:             # of one loop
    post_t post                 # first
    loop_t *loop
    size_t cursor               # of its domains
    size_t skip                 # delayed messages of the one it stands at that were looked at

cdef walk_t *walks[64]
cdef timer_entry_t timer
cdef job_t trim
cdef pool_t *pool = NULL
cdef uint64_t total = 0         # physical memory, or what the control group leaves
cdef uint64_t used = 0          # atomic
cdef uint64_t excess = 0        # atomic: bytes still to be given back
cdef uint32_t full = 0          # atomic
cdef uint32_t walking = 0       # atomic: loops that have not finished, and the trim
cdef uint64_t walked_ms = 0
cdef int64_t seen = 0           # messages received, at the last look
cdef int64_t trimmed = 0        # at the last trim


cdef bint memory_full() noexcept nogil:
    return atomic_load32(&full) != 0


cdef uint64_t memory_used() noexcept nogil:
    return atomic_load64(&used)


cdef void give_back(ec_message_t *m) noexcept nogil:
    cdef uint64_t before, freed = ENVELOPE
    if not m.flags & MSG_SPOOLED or m.env == NULL:
        return
    if m.blob != NULL and atomic_load32(&m.blob.refs) == 1:
        freed += m.blob.cap
    message_swap_out(m)
    while True:
        before = atomic_load64(&excess)
        if atomic_cas64(&excess, before, before - freed if freed < before else 0):
            return


cdef uint32_t shrink_delayed(mail_queue_t *q, size_t first) noexcept nogil:
    """From `first` on; how many it looked at."""
    cdef size_t i = first
    while i < q.delayed.len and i < first + TURN and atomic_load64(&excess):
        give_back(<ec_message_t*>q.delayed.slots[i].item)
        i += 1
    return <uint32_t>(i - first)


cdef uint32_t shrink_active(mail_queue_t *q) noexcept nogil:
    """Those in memory stand in front, or behind others that went before; how many it looked at."""
    cdef list_node_t *node = q.active.next
    cdef ec_message_t *m
    cdef uint32_t n = 0
    while node != &q.active and n < 4 * TURN and q.resident and atomic_load64(&excess):
        m = <ec_message_t*>node
        node = node.next
        if message_resident(m):
            give_back(m)
            if not message_resident(m):
                queue_count_resident(q, -1)
        n += 1
    return n


cdef bint shrink(walk_t *w, domain_t *d, uint32_t *n) noexcept nogil:
    """False where the domain has more delayed mail than one turn takes."""
    cdef mail_queue_t *q = d.queues
    cdef size_t before = 0
    cdef uint32_t looked
    while q != NULL:
        if w.skip < before + q.delayed.len:
            looked = shrink_delayed(q, w.skip - before)
            n[0] += looked
            w.skip += looked
            if w.skip < before + q.delayed.len:
                return False
        before += q.delayed.len
        q = q.next
    q = d.queues
    while q != NULL:
        n[0] += shrink_active(q)
        q = q.next
    w.skip = 0
    return True


cdef void on_turn(post_t *p) noexcept nogil:
    cdef walk_t *w = <walk_t*>p
    cdef queue_loop_t *ql = queue_loop(w.loop)
    cdef uint32_t n = 0
    cdef size_t here
    cdef domain_t *d
    while atomic_load64(&excess):
        here = w.cursor
        d = <domain_t*>hash_next(&ql.domains, &w.cursor)
        if d == NULL:
            break
        n += 1
        if not shrink(w, d, &n):
            w.cursor = here             # the same again
        if n >= TURN:
            loop_call(w.loop, p, on_turn)
            return
    if atomic_add32(&walking, -1) == 1:
        pool_submit(pool, &trim, loop_at(0), on_trim, on_trimmed)


cdef void on_trim(job_t *j) noexcept nogil:
    malloc_trim(0)


cdef void on_trimmed(job_t *j) noexcept nogil:
    atomic_store32(&walking, 0)


cdef void on_look(timer_entry_t *t) noexcept nogil:
    global seen, trimmed
    cdef int64_t received = 0
    cdef int i
    cdef config_generation_t *g = config_current()
    cdef uint64_t now = loop_at(0).now_ms, goal = total // 100 * <uint64_t>opt_number(g.globals, OPT_MEMORY_GOAL)
    cdef uint64_t high = total // 100 * <uint64_t>opt_number(g.globals, OPT_MEMORY_HWM)
    cdef uint64_t every = <uint64_t>opt_number(g.globals, OPT_MAIL_QUEUE_CHECK_VM_INTERVAL) * 1000, held = ec_resident()
    config_unref(g)
    atomic_store64(&used, held)
    for i in range(loop_count()):
        received += loop_at(i).counters[COUNT_RECEIVED]
    if received == seen and received - trimmed > CROWD and atomic_load32(&walking) == 0:
        trimmed = received              # a crowd has come and gone: its pages go back
        atomic_store32(&walking, 1)
        pool_submit(pool, &trim, loop_at(0), on_trim, on_trimmed)
    atomic_store32(&full, held > high)
    if total and held > goal and atomic_load32(&walking) == 0 and (held > high or walked_ms == 0 or now - walked_ms >= every):
        start_walks(held - goal, now)
    seen = received
    loop_timer_set(loop_at(0), &timer, LOOK_MS)


cdef void start_walks(uint64_t bytes, uint64_t now) noexcept nogil:
    global walked_ms
    cdef int i
    walked_ms = now
    atomic_store64(&excess, bytes)
    atomic_store32(&walking, loop_count() + 1)
    for i in range(loop_count()):
        walks[i].cursor = 0
        walks[i].skip = 0
        loop_call(walks[i].loop, &walks[i].post, on_turn)


cdef int memory_attach(loop_t *loop) noexcept nogil:
    global pool
    walks[loop.index] = <walk_t*>calloc(1, sizeof(walk_t))
    if walks[loop.index] == NULL:
        return EC_NOMEM
    walks[loop.index].loop = loop
    if loop.index == 0:
        if pool == NULL:
            pool = pool_new(b"memory", 1, 0, False)
        if pool == NULL:
            return EC_NOMEM
        timer_init(&timer, on_look)
        loop_timer_set(loop, &timer, LOOK_MS)
    return EC_OK


def limit(uint64_t bytes):
    """Tell how much memory memory_goal and memory_hwm are percentages of; before loops run."""
    global total
    total = bytes


def stop():
    """Join the thread; loops must have stopped."""
    global pool
    if pool != NULL:
        with nogil:
            pool_stop(pool)
        pool = NULL


def status():
    """(resident bytes as seen last, whether new mail is refused for it)"""
    return memory_used(), memory_full()
