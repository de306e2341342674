/* source [-t] [-p] [-s SESSIONS] [-m MESSAGES] [-l SIZE] [-d DOMAINS] [-n IN-A-ROW] ADDRESS:PORT
 *
 * Sends so many messages over kept sessions, each with one recipient in d0.bench.test, d1.bench.test ..., IN-A-ROW to
 * a domain before the next.  -t: after STARTTLS; -p: MAIL, RCPT and DATA in one packet.  Ends with 1 at the first refusal. */
#include "wire.h"

enum { GREET, HELLO, STARTTLS, AGAIN_HELLO, MAIL, RCPT, DATA, ENVELOPE, BODY, QUIT };

typedef struct {
    wire_t wire;
    int state, replies;         /* that are still to come in this state */
    long number;                /* of the message at hand */
    const char *out;
    size_t left;                /* of it to be written */
    int len, full;              /* waits for room to write */
    char line[1024], command[512];
} session_t;

static int tls, pipeline, sessions = 100, queue;
static long messages = 1000, domains = 1, row = 1, next, done;
static size_t text_len;
static char *text;
static SSL_CTX *context;

static void push(session_t *s)
{
    while (s->left) {
        int n = wire_write(&s->wire, s->out, s->left);
        if (n == 0)
            die("connection lost");
        if (n < 0)
            break;
        s->out += n;
        s->left -= n;
    }
    if (s->full != (s->left > 0)) {
        s->full = s->left > 0;
        struct epoll_event event = {.events = EPOLLIN | (s->full ? EPOLLOUT : 0), .data.ptr = s};
        epoll_ctl(queue, EPOLL_CTL_MOD, s->wire.fd, &event);
    }
}

static void send_text(session_t *s, int state, int replies, const char *p, size_t len)
{
    s->state = state;
    s->replies = replies;
    s->out = p;
    s->left = len;
    push(s);
}

static void send_command(session_t *s, int state, const char *command)
{
    send_text(s, state, 1, command, strlen(command));
}

static void next_message(session_t *s)
{
    if (next >= messages) {
        send_command(s, QUIT, "QUIT\r\n");
        return;
    }
    s->number = next++;
    if (!pipeline) {
        send_command(s, MAIL, "MAIL FROM:<s@source.bench.test>\r\n");
        return;
    }
    int n = snprintf(s->command, sizeof s->command, "MAIL FROM:<s@source.bench.test>\r\nRCPT TO:<r@d%ld.bench.test>\r\nDATA\r\n",
                     s->number / row % domains);
    send_text(s, ENVELOPE, 3, s->command, n);
}

/* All replies of this state have come. */
static void go_on(session_t *s)
{
    switch (s->state) {
    case GREET:
        send_command(s, HELLO, "EHLO source.bench.test\r\n");
        break;
    case HELLO:
        if (tls)
            send_command(s, STARTTLS, "STARTTLS\r\n");
        else
            next_message(s);
        break;
    case STARTTLS:
        wire_secure(&s->wire, context, 0);
        send_command(s, AGAIN_HELLO, "EHLO source.bench.test\r\n");
        break;
    case MAIL:
        snprintf(s->command, sizeof s->command, "RCPT TO:<r@d%ld.bench.test>\r\n", s->number / row % domains);
        send_command(s, RCPT, s->command);
        break;
    case RCPT:
        send_command(s, DATA, "DATA\r\n");
        break;
    case DATA:
    case ENVELOPE:
        send_text(s, BODY, 1, text, text_len);
        break;
    case BODY:
        done++;
        /* fall through */
    case AGAIN_HELLO:
        next_message(s);
        break;
    default:
        wire_close(&s->wire);
        sessions--;
    }
}

/* Answers 0 when the session is over. */
static int line(session_t *s)
{
    s->line[s->len] = 0;
    s->len = 0;
    if (s->line[0] != '2' && s->line[0] != '3') {
        fprintf(stderr, "source: message %ld: %s\n", s->number, s->line);
        exit(1);
    }
    if (s->line[3] == '-' || --s->replies)
        return 1;
    go_on(s);
    return s->state != QUIT || s->replies;
}

static void readable(session_t *s)
{
    static char buffer[65536];
    int n;
    while ((n = wire_read(&s->wire, buffer, sizeof buffer)) > 0) {
        for (int i = 0; i < n; i++) {
            if (buffer[i] == '\n') {
                if (!line(s))
                    return;
            } else if (s->len < (int)sizeof s->line - 1) {
                s->line[s->len++] = buffer[i];
            }
        }
        if (!s->wire.tls)
            break;
    }
    if (n == 0)
        die("connection closed");
    if (s->left)
        push(s);                    /* a handshake went on */
}

int main(int argc, char **argv)
{
    size_t size = 4096;
    int option;
    while ((option = getopt(argc, argv, "tps:m:l:d:n:")) != -1) {
        switch (option) {
        case 't': tls = 1; break;
        case 'p': pipeline = 1; break;
        case 's': sessions = atoi(optarg); break;
        case 'm': messages = atol(optarg); break;
        case 'l': size = atol(optarg); break;
        case 'd': domains = atol(optarg); break;
        case 'n': row = atol(optarg); break;
        default: return 2;
        }
    }
    if (optind + 1 != argc) {
        fprintf(stderr, "usage: source [-t] [-p] [-s SESSIONS] [-m MESSAGES] [-l SIZE] [-d DOMAINS] [-n IN-A-ROW] ADDRESS:PORT\n");
        return 2;
    }
    static const char head[] = "From: <s@source.bench.test>\r\nTo: <r@bench.test>\r\nSubject: bench\r\n"
                               "Date: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-ID: <1@source.bench.test>\r\n\r\n";
    text = malloc(size + sizeof head + 100);
    memcpy(text, head, text_len = sizeof head - 1);
    while (text_len < size) {
        size_t more = size - text_len > 78 ? 76 : size - text_len > 2 ? size - text_len - 2 : 0;
        memset(text + text_len, 'x', more);
        memcpy(text + text_len + more, "\r\n", 2);
        text_len += more + 2;
    }
    memcpy(text + text_len, ".\r\n", 3);
    text_len += 3;
    context = SSL_CTX_new(TLS_client_method());
    struct sockaddr_in a = address(argv[optind]);
    many_files();
    queue = epoll_create1(0);
    for (int i = 0, all = sessions; i < all; i++) {
        session_t *s = calloc(1, sizeof *s);
        int on = 1;
        s->replies = 1;
        s->wire.fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(s->wire.fd, (struct sockaddr *)&a, sizeof a))
            die("connect");
        fcntl(s->wire.fd, F_SETFL, O_NONBLOCK);
        setsockopt(s->wire.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
        epoll_ctl(queue, EPOLL_CTL_ADD, s->wire.fd, &event);
    }
    struct epoll_event events[256];
    while (sessions > 0) {
        int n = epoll_wait(queue, events, 256, -1);
        for (int i = 0; i < n; i++) {
            session_t *s = events[i].data.ptr;
            if (s->full && events[i].events & EPOLLOUT)
                push(s);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                readable(s);
        }
    }
    return done == messages ? 0 : 1;
}
