"""The console's sockets and clients, on one plain thread without the GIL.

It accepts, sees who is there, reads requests (framing as in
pymomentum/console/framing.py) and answers by itself what must not wait for
Python: summary, shutdown, and what never changes, such as pid and version.
Any other request waits until a Python thread takes it; that thread has the
client, with a descriptor of its own, until it gives it back.  All else belongs
to the thread, under the lock whenever it does not sleep in poll.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdio cimport FILE, fclose, fgets, fopen, snprintf, sscanf
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset, strcmp

from pymomentum.core.base.buf cimport buf_add, buf_add_slice, buf_add_z, buf_consume, buf_free, buf_slice, buf_t
from pymomentum.core.base.cidr cimport sockaddr_storage
from pymomentum.core.base.clock cimport clock_mono_ms
from pymomentum.core.base.slice cimport slice_make, slice_of_bytes, slice_t
from pymomentum.core.base.status cimport EC_OK
from pymomentum.core.c.posix cimport (EAGAIN, EINTR, cond_init_monotonic, last_errno, posix_close, posix_read, posix_write,
                                      pthread_cond_broadcast, pthread_cond_destroy, pthread_cond_signal, pthread_cond_t,
                                      pthread_cond_wait, pthread_create, pthread_join, pthread_mutex_destroy,
                                      pthread_mutex_init, pthread_mutex_lock, pthread_mutex_t, pthread_mutex_unlock,
                                      pthread_self, pthread_setname_np, pthread_t)
from pymomentum.core.queue.maintainer cimport queues_drain
from pymomentum.core.smtp.server.session cimport sessions_drain
from .json cimport json_number, json_text
from .request cimport COMMAND, request_t, request_understand
from .summary cimport SUMMARY_FORMS, SUMMARY_JSON, SUMMARY_TEXT, SUMMARY_XML, summary_t, summary_take, summary_write

cdef extern from *:
    """
    #include <arpa/inet.h>
    #include <fcntl.h>
    #include <poll.h>
    #include <sys/eventfd.h>
    #include <sys/socket.h>
    #include <unistd.h>
    typedef struct { pid_t pid; uid_t uid; gid_t gid; } console_ucred;
    static int console_family(const struct sockaddr_storage *a) { return a->ss_family == AF_INET6 ? 6 : a->ss_family == AF_INET ? 4 : 0; }
    static const uint32_t *console_words(const struct sockaddr_storage *a) {
        return a->ss_family == AF_INET ? &((const struct sockaddr_in *)a)->sin_addr.s_addr
                                       : (const uint32_t *)&((const struct sockaddr_in6 *)a)->sin6_addr; }
    static unsigned console_port(const struct sockaddr_storage *a) { return ntohs(((const struct sockaddr_in *)a)->sin_port); }
    static int console_ends(int fd, struct sockaddr_storage *peer, struct sockaddr_storage *own) {
        socklen_t n = sizeof *peer, m = sizeof *own;
        return getpeername(fd, (struct sockaddr *)peer, &n) || getsockname(fd, (struct sockaddr *)own, &m); }
    static int console_dup(int fd) { return fcntl(fd, F_DUPFD_CLOEXEC, 0); }
    """
    struct pollfd:
        int fd
        short events
        short revents
    ctypedef struct console_ucred:
        uint32_t uid
    short POLLIN
    short POLLOUT
    int poll(pollfd*, unsigned long, int) noexcept nogil
    int eventfd(unsigned int, int) noexcept nogil
    int EFD_NONBLOCK
    int EFD_CLOEXEC
    int accept4(int, void*, void*, int) noexcept nogil
    int SOCK_NONBLOCK
    int SOCK_CLOEXEC
    ssize_t recv(int, void*, size_t, int) noexcept nogil
    ssize_t send(int, const void*, size_t, int) noexcept nogil
    int shutdown(int, int) noexcept nogil
    int getsockopt(int, int, int, void*, unsigned int*) noexcept nogil
    int console_ends(int, sockaddr_storage *peer, sockaddr_storage *own) noexcept nogil
    int SOL_SOCKET
    int SO_PEERCRED
    int SHUT_WR
    int SHUT_RDWR
    int MSG_DONTWAIT
    int MSG_NOSIGNAL
    uint32_t htonl(uint32_t) noexcept nogil
    uint32_t ntohl(uint32_t) noexcept nogil
    uint32_t getuid() noexcept nogil
    int console_family(const sockaddr_storage*) noexcept nogil
    const uint32_t *console_words(const sockaddr_storage*) noexcept nogil
    unsigned int console_port(const sockaddr_storage*) noexcept nogil
    int console_dup(int) noexcept nogil

cdef enum:
    ENDPOINTS = 64
    CLIENTS = 256               # at most, whatever is configured
    PREPARED = 8
    HEAD = 4                    # length of a frame
    REQUEST = 65536             # the longest
    PIECE = 16384               # read at once
    CROWDED_MS = 100            # not accepted for so long when descriptors are short
    NOTICE_MS = 100             # Python has so long to notice that the server is to stop

cdef enum client_state_t:
    FREE
    READING                     # a request, or nothing
    WRITING                     # what the socket did not take at once
    ASKING                      # a whole request waits for Python
    HELD                        # by Python

cdef struct endpoint_t:
    int fd                      # -1: free
    uint64_t timeout_ms         # 0: none
    bint denied                 # always_deny: nobody is served

cdef struct client_t:
    int fd
    int state                   # client_state_t
    buf_t input
    buf_t output
    size_t request              # bytes of the frame that waits for Python, with its head
    uint64_t ticket             # requests are taken in this order
    uint64_t timeout_ms         # of its endpoint; 0: none
    uint64_t deadline_ms        # for reading a request, or writing an answer; 0: none

cdef struct prepared_t:         # an answer that never changes
    char command[COMMAND]
    buf_t frame[SUMMARY_FORMS]
    bint stops[SUMMARY_FORMS]   # and the server stops

cdef struct console_t:
    pthread_mutex_t lock
    pthread_cond_t asked        # a request waits for Python, or there will be none
    pthread_t thread
    bint running
    bint stopping
    int wake                    # eventfd: look at what has changed
    int stop                    # eventfd: the server is to stop
    uint64_t stop_ms            # since when; 0: it is not
    bint noticed                # by Python
    int most                    # clients
    uint64_t tickets
    uint64_t accept_ms          # no accept before
    endpoint_t endpoint[ENDPOINTS]
    client_t client[CLIENTS]
    prepared_t prepared[PREPARED]
    int prepared_count


# ---- who is there ------------------------------------------------------------------

cdef void kernel_name(const sockaddr_storage *a, char *out, size_t n) noexcept nogil:
    """As /proc/net/tcp writes it: words of the machine's byte order."""
    cdef const uint32_t *w = console_words(a)
    if console_family(a) == 4:
        snprintf(out, n, b"%08X:%04X", w[0], console_port(a))
    else:
        snprintf(out, n, b"%08X%08X%08X%08X:%04X", w[0], w[1], w[2], w[3], console_port(a))


cdef int64_t peer_uid(int fd) noexcept nogil:
    """The user at the other end; -1: it is on another machine, or gone."""
    cdef sockaddr_storage peer, own
    cdef console_ucred who
    cdef unsigned int n = sizeof(who)
    cdef char names[2][64]
    cdef char line[512]
    cdef char local[128]
    cdef char remote[128]
    cdef char state[8]
    cdef unsigned long uid
    cdef int64_t found = -1
    cdef FILE *table
    if console_ends(fd, &peer, &own):
        return -1
    if console_family(&peer) == 0:
        return who.uid if getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 else -1
    kernel_name(&peer, names[0], sizeof(names[0]))
    kernel_name(&own, names[1], sizeof(names[1]))
    table = fopen(b"/proc/net/tcp" if console_family(&peer) == 4 else b"/proc/net/tcp6", b"re")
    if table == NULL:
        return -1
    while fgets(line, sizeof(line), table) != NULL:
        # a socket in any other state than established may have lost its owner, and then says 0
        if sscanf(line, b" %*s %127s %127s %7s %*s %*s %*s %lu", local, remote, state, &uid) == 4 \
                and strcmp(state, b"01") == 0 and strcmp(local, names[0]) == 0 and strcmp(remote, names[1]) == 0:
            found = <int64_t>uid
            break
    fclose(table)
    return found


cdef bint allowed(int64_t uid) noexcept nogil:
    return uid == 0 or uid == <int64_t>getuid()


# ---- clients -----------------------------------------------------------------------

cdef void frame_head(buf_t *b) noexcept nogil:
    """Room for the length."""
    buf_add(b, b"\0\0\0\0", HEAD)


cdef void frame_close(buf_t *b, size_t at) noexcept nogil:
    cdef uint32_t n = htonl(<uint32_t>(b.len - at - HEAD))
    if b.len >= at + HEAD:
        memcpy(b.ptr + at, &n, HEAD)


cdef void frame_text(buf_t *b, slice_t text, int status) noexcept nogil:
    cdef size_t at = b.len
    frame_head(b)
    buf_add_z(b, b"{")
    json_text(b, b"text", text)
    buf_add_z(b, b',"data":null')
    json_number(b, b"status", status)
    buf_add_z(b, b',"last":true}')
    frame_close(b, at)


cdef void frame_summary(buf_t *b, int form) noexcept nogil:
    cdef summary_t s
    cdef buf_t words
    cdef size_t at = b.len
    memset(&words, 0, sizeof(words))
    summary_take(&s)
    summary_write(&s, form, &words)
    if form == SUMMARY_JSON:
        frame_head(b)
        buf_add_z(b, b'{"text":"","data":')
        buf_add_slice(b, buf_slice(&words))
        buf_add_z(b, b',"status":0,"last":true}')
        frame_close(b, at)
    else:
        frame_text(b, buf_slice(&words), 0)
    buf_free(&words)


cdef void let_go(client_t *l) noexcept nogil:
    posix_close(l.fd)
    buf_free(&l.input)
    buf_free(&l.output)
    memset(l, 0, sizeof(l[0]))
    l.fd = -1


cdef void rest(client_t *l, int state) noexcept nogil:
    l.state = state
    l.deadline_ms = clock_mono_ms() + l.timeout_ms if l.timeout_ms else 0


cdef void flush_output(client_t *l) noexcept nogil:
    """As much as the socket takes; a client that is gone is let go."""
    cdef ssize_t n
    while l.output.len:
        n = send(l.fd, l.output.ptr, l.output.len, MSG_DONTWAIT | MSG_NOSIGNAL)
        if n <= 0:
            if n < 0 and last_errno() == EAGAIN:
                if l.state != WRITING:
                    rest(l, WRITING)
            elif n == 0 or last_errno() != EINTR:
                let_go(l)
            return
        buf_consume(&l.output, n)
    rest(l, READING)


cdef void dismiss(int fd, const char *why) noexcept nogil:
    """Tell a client why it is not served, and close."""
    cdef char unread[REQUEST]
    cdef buf_t b
    cdef buf_t line
    memset(&b, 0, sizeof(b))
    memset(&line, 0, sizeof(line))
    buf_add_z(&line, why)
    buf_add_z(&line, b"\n")
    frame_text(&b, buf_slice(&line), 1)
    send(fd, b.ptr, b.len, MSG_DONTWAIT | MSG_NOSIGNAL)
    shutdown(fd, SHUT_WR)
    recv(fd, unread, sizeof(unread), MSG_DONTWAIT)      # what is left unread turns the close into a reset
    buf_free(&b)
    buf_free(&line)


cdef void refuse(client_t *l, const char *why) noexcept nogil:
    dismiss(l.fd, why)
    let_go(l)


cdef void begin_stop(console_t *c) noexcept nogil:
    cdef uint64_t one = 1
    if c.stop_ms == 0:
        c.stop_ms = clock_mono_ms()
    posix_write(c.stop, &one, sizeof(one))


cdef bint answer(console_t *c, client_t *l, slice_t frame) noexcept nogil:
    """False: Python is to answer."""
    cdef request_t r
    cdef prepared_t *p
    cdef int i, form
    if not request_understand(frame, &r):
        return False
    form = <int>SUMMARY_XML if r.xml else <int>SUMMARY_JSON if r.json else <int>SUMMARY_TEXT
    if strcmp(r.command, b"summary") == 0:
        frame_summary(&l.output, form)
        flush_output(l)
        return True
    for i in range(c.prepared_count):
        p = &c.prepared[i]
        if strcmp(r.command, p.command) == 0:
            buf_add_slice(&l.output, buf_slice(&p.frame[form]))
            flush_output(l)
            if p.stops[form]:
                begin_stop(c)
            return True
    return False


cdef void look(console_t *c, client_t *l) noexcept nogil:
    """Answer what has come, request by request."""
    cdef uint32_t n
    cdef char why[96]
    while l.state == READING and l.input.len >= HEAD:
        memcpy(&n, l.input.ptr, HEAD)
        n = ntohl(n)
        if n > REQUEST:
            snprintf(why, sizeof(why), b"the command is too long: %u bytes, and at most %u are taken", n, <unsigned int>REQUEST)
            refuse(l, why)
            return
        if l.input.len < HEAD + n:
            return
        if not answer(c, l, slice_make(l.input.ptr + HEAD, n)):
            l.state = ASKING
            l.request = HEAD + n
            l.ticket = c.tickets
            c.tickets += 1
            pthread_cond_signal(&c.asked)
        elif l.state != FREE:
            buf_consume(&l.input, HEAD + n)


cdef void on_readable(console_t *c, client_t *l) noexcept nogil:
    cdef char piece[PIECE]
    cdef ssize_t n = recv(l.fd, piece, sizeof(piece), MSG_DONTWAIT)
    if n > 0:
        if buf_add(&l.input, piece, n) != EC_OK:
            let_go(l)
            return
        look(c, l)
    elif n == 0 and l.input.len:
        refuse(l, b"the connection closed inside a frame")
    elif n == 0 or (last_errno() != EAGAIN and last_errno() != EINTR):
        let_go(l)


cdef void on_arrival(console_t *c, endpoint_t *e) noexcept nogil:
    cdef client_t *l = NULL
    cdef int fd = accept4(e.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), i, used = 0
    cdef char why[96]
    if fd < 0:
        if last_errno() != EAGAIN and last_errno() != EINTR:
            c.accept_ms = clock_mono_ms() + CROWDED_MS
        return
    for i in range(CLIENTS):
        if c.client[i].state != FREE:
            used += 1
        elif l == NULL:
            l = &c.client[i]
    if used >= c.most or l == NULL:
        snprintf(why, sizeof(why), b"there are %d console clients already", c.most)
        dismiss(fd, why)
        posix_close(fd)
        return
    if e.denied:
        dismiss(fd, b"Not authorized: always_deny is set for this address")
        posix_close(fd)
        return
    if not allowed(peer_uid(fd)):
        dismiss(fd, b"Not authorized: the console is for root and the user of the server")
        posix_close(fd)
        return
    l.fd = fd
    l.timeout_ms = e.timeout_ms
    rest(l, READING)


# ---- the thread --------------------------------------------------------------------

cdef void drain_alone(console_t *c) noexcept nogil:
    """Python has not noticed: idle sessions are told, loops take no mail any more, and nothing is leased."""
    if c.stop_ms and not c.noticed and clock_mono_ms() >= c.stop_ms + NOTICE_MS:
        sessions_drain()
        queues_drain()


cdef int patience(console_t *c, uint64_t now) noexcept nogil:
    """Milliseconds until something is due without an event; -1: nothing is."""
    cdef uint64_t at = 0
    cdef int i
    if c.accept_ms > now:
        at = c.accept_ms
    if c.stop_ms and not c.noticed and (at == 0 or c.stop_ms + NOTICE_MS < at):
        at = c.stop_ms + NOTICE_MS if c.stop_ms + NOTICE_MS > now else now + NOTICE_MS
    for i in range(CLIENTS):
        if (c.client[i].state == READING or c.client[i].state == WRITING) and c.client[i].deadline_ms \
                and (at == 0 or c.client[i].deadline_ms < at):
            at = c.client[i].deadline_ms
    return -1 if at == 0 else 0 if at <= now else <int>min(at - now, 60000)


cdef unsigned long gather(console_t *c, pollfd *p, int *who, uint64_t now) noexcept nogil:
    """Whom to listen to; who: endpoints from 0, clients from ENDPOINTS, -1 the wake."""
    cdef unsigned long n = 1
    cdef int i
    p[0].fd = c.wake
    p[0].events = POLLIN
    who[0] = -1
    for i in range(ENDPOINTS):
        if c.endpoint[i].fd >= 0 and c.accept_ms <= now:
            p[n].fd = c.endpoint[i].fd
            p[n].events = POLLIN
            who[n] = i
            n += 1
    for i in range(CLIENTS):
        if c.client[i].state == READING or c.client[i].state == WRITING:
            p[n].fd = c.client[i].fd
            p[n].events = POLLIN if c.client[i].state == READING else POLLOUT
            who[n] = ENDPOINTS + i
            n += 1
    return n


cdef void serve(console_t *c, int who, int fd) noexcept nogil:
    """Something happened at fd; since then it may have become somebody else's."""
    cdef client_t *l
    if who < ENDPOINTS:
        if c.endpoint[who].fd == fd:
            on_arrival(c, &c.endpoint[who])
        return
    l = &c.client[who - ENDPOINTS]
    if l.fd != fd:
        return
    if l.state == READING:
        on_readable(c, l)
    elif l.state == WRITING:
        flush_output(l)
        look(c, l)


cdef void *console_main(void *arg) noexcept nogil:
    cdef console_t *c = <console_t*>arg
    cdef pollfd p[1 + ENDPOINTS + CLIENTS]
    cdef int who[1 + ENDPOINTS + CLIENTS]
    cdef unsigned long n, k
    cdef uint64_t now, told
    cdef int i, wait
    pthread_setname_np(pthread_self(), b"console")
    pthread_mutex_lock(&c.lock)
    while not c.stopping:
        now = clock_mono_ms()
        n = gather(c, p, who, now)
        wait = patience(c, now)
        pthread_mutex_unlock(&c.lock)
        i = poll(p, n, wait)
        pthread_mutex_lock(&c.lock)
        if i > 0 and p[0].revents:
            posix_read(c.wake, &told, sizeof(told))
        for k in range(1, n if i > 0 else 0):
            if p[k].revents:
                serve(c, who[k], p[k].fd)
        now = clock_mono_ms()
        for i in range(CLIENTS):
            if (c.client[i].state == READING or c.client[i].state == WRITING) and c.client[i].deadline_ms \
                    and c.client[i].deadline_ms <= now:
                let_go(&c.client[i])
        drain_alone(c)
    pthread_mutex_unlock(&c.lock)
    return NULL


# ---- what Python does with it ------------------------------------------------------

cdef void enter(console_t *c) noexcept nogil:
    pthread_mutex_lock(&c.lock)


cdef void leave(console_t *c) noexcept nogil:
    """What has changed is looked at."""
    cdef uint64_t one = 1
    pthread_mutex_unlock(&c.lock)
    posix_write(c.wake, &one, sizeof(one))


cdef client_t *oldest(console_t *c) noexcept nogil:
    cdef client_t *found = NULL
    cdef int i
    for i in range(CLIENTS):
        if c.client[i].state == ASKING and (found == NULL or c.client[i].ticket < found.ticket):
            found = &c.client[i]
    return found


cdef class Console:
    """The thread, its sockets and its clients."""

    cdef console_t *c

    def __cinit__(self, int most):
        cdef int i
        if not 1 <= most <= CLIENTS:
            raise ValueError(f"1 to {CLIENTS} clients")
        self.c = <console_t*>calloc(1, sizeof(console_t))
        if self.c == NULL:
            raise MemoryError
        self.c.most = most
        for i in range(ENDPOINTS):
            self.c.endpoint[i].fd = -1
        for i in range(CLIENTS):
            self.c.client[i].fd = -1
        pthread_mutex_init(&self.c.lock, NULL)
        cond_init_monotonic(&self.c.asked)
        self.c.wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
        self.c.stop = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
        if self.c.wake < 0 or self.c.stop < 0:
            raise OSError(last_errno(), "cannot make an eventfd")

    def __dealloc__(self):
        cdef int i, form
        if self.c == NULL:
            return
        if self.c.running:
            self.end()
        for i in range(CLIENTS):
            if self.c.client[i].state != FREE:
                let_go(&self.c.client[i])
        for i in range(self.c.prepared_count):
            for form in range(SUMMARY_FORMS):
                buf_free(&self.c.prepared[i].frame[form])
        if self.c.wake >= 0:
            posix_close(self.c.wake)
        if self.c.stop >= 0:
            posix_close(self.c.stop)
        pthread_cond_destroy(&self.c.asked)
        pthread_mutex_destroy(&self.c.lock)
        free(self.c)

    def prepare(self, str command not None, frames, stops=(False, False, False)):
        """Answer a command by these frames (text, JSON, XML) without Python; where `stops`, the server is to stop then."""
        cdef bytes name = command.encode()
        cdef prepared_t *p = &self.c.prepared[self.c.prepared_count]
        cdef bytes frame
        cdef int form
        if self.c.prepared_count == PREPARED or len(name) >= COMMAND:
            raise ValueError("too many, or too long a name")
        memcpy(p.command, <char*>name, len(name))
        for form in range(SUMMARY_FORMS):
            frame = frames[form]
            p.stops[form] = stops[form]
            if buf_add_slice(&p.frame[form], slice_of_bytes(frame)) != EC_OK:
                raise MemoryError
        self.c.prepared_count += 1

    def start(self):
        """Begin to serve."""
        if pthread_create(&self.c.thread, NULL, console_main, self.c):
            raise OSError(last_errno(), "cannot start a thread")
        self.c.running = True

    def open(self, int fd, double timeout, bint denied=False):
        """Accept from a listening socket that does not block; its owner keeps it.  Answers its number."""
        cdef int i, found = -1
        with nogil:
            enter(self.c)
            for i in range(ENDPOINTS):
                if self.c.endpoint[i].fd < 0:
                    self.c.endpoint[i].fd = fd
                    self.c.endpoint[i].timeout_ms = <uint64_t>(timeout * 1000)
                    self.c.endpoint[i].denied = denied
                    found = i
                    break
            leave(self.c)
        if found < 0:
            raise ValueError(f"more than {ENDPOINTS} addresses")
        return found

    def change(self, int number, double timeout, bint denied=False):
        """Let clients that come from now on be silent for so many seconds, 0: for ever; or serve none of them."""
        with nogil:
            enter(self.c)
            self.c.endpoint[number].timeout_ms = <uint64_t>(timeout * 1000)
            self.c.endpoint[number].denied = denied
            leave(self.c)

    def close(self, int number):
        """Accept no more from this socket; it may be closed now."""
        with nogil:
            enter(self.c)
            self.c.endpoint[number].fd = -1
            leave(self.c)

    def take(self):
        """Wait for a request that Python is to answer: (client, descriptor, request, timeout); None: there will be none.

        The descriptor is the caller's; the client is to be given back.
        """
        cdef client_t *l = NULL
        cdef int fd
        with nogil:
            enter(self.c)
            while True:
                l = NULL if self.c.stopping else oldest(self.c)
                if l != NULL or self.c.stopping:
                    break
                pthread_cond_wait(&self.c.asked, &self.c.lock)
            fd = console_dup(l.fd) if l != NULL else -1
            if l != NULL:
                l.state = HELD
            pthread_mutex_unlock(&self.c.lock)
        if l == NULL:
            return None
        if fd < 0:
            self.give_back(<int>(l - self.c.client), False)
            return self.take()
        # nobody else touches a client that is held
        return <int>(l - self.c.client), fd, l.input.ptr[HEAD:l.request], l.timeout_ms / 1000

    def give_back(self, int number, bint keep):
        """The request is answered; where the client is not kept its connection is closed."""
        cdef client_t *l = &self.c.client[number]
        with nogil:
            enter(self.c)
            if l.state == HELD:
                buf_consume(&l.input, l.request)
                if keep:
                    rest(l, READING)
                    look(self.c, l)
                else:
                    let_go(l)
            leave(self.c)

    def clients(self):
        """How many there are."""
        cdef int i, n = 0
        with nogil:
            enter(self.c)
            for i in range(CLIENTS):
                n += self.c.client[i].state != FREE
            leave(self.c)
        return n

    def cut(self):
        """Shut every client's connection."""
        cdef int i
        with nogil:
            enter(self.c)
            for i in range(CLIENTS):
                if self.c.client[i].state != FREE:
                    shutdown(self.c.client[i].fd, SHUT_RDWR)
            leave(self.c)

    @property
    def stop_fd(self):
        """Readable once a client has asked for the end of the server."""
        return self.c.stop

    def noticed(self):
        """Python sees to the end of the server from here."""
        with nogil:
            enter(self.c)
            self.c.noticed = True
            leave(self.c)

    cdef void end(self):
        cdef int i
        with nogil:
            enter(self.c)
            self.c.stopping = True
            pthread_cond_broadcast(&self.c.asked)
            leave(self.c)
            if self.c.running:
                pthread_join(self.c.thread, NULL)
            enter(self.c)
            self.c.running = False
            for i in range(CLIENTS):
                if self.c.client[i].state != FREE:
                    shutdown(self.c.client[i].fd, SHUT_RDWR)
                    if self.c.client[i].state != HELD:
                        let_go(&self.c.client[i])
            pthread_mutex_unlock(&self.c.lock)

    def stop(self):
        """End the thread and shut all clients; those that are held go when they are given back."""
        self.end()


def may_come(uid):
    """May this user speak here?"""
    return allowed(uid)
