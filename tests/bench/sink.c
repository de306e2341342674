/* sink [-t CERTIFICATE KEY] [-d N] COUNTS ADDRESS:PORT
 *
 * Takes all mail and forgets it.  COUNTS is a file of three 64 bit numbers that it keeps: messages taken, connections
 * so far, connections now.  -t: offers STARTTLS; -d: defers one message in N. */
#include "wire.h"
#include <sys/mman.h>
#include <sys/stat.h>

enum { MESSAGES, CONNECTIONS, OPEN };

typedef struct {
    wire_t wire;
    int in_data, seen;      /* bytes of CR LF . CR LF seen */
    int len;
    char line[1024];
} client_t;

static volatile uint64_t *counts;
static SSL_CTX *context;
static int queue;
static long defer, bodies;
static char output[1 << 20];
static size_t output_len;

static void say(const char *text)
{
    size_t len = strlen(text);
    if (output_len + len <= sizeof output) {
        memcpy(output + output_len, text, len);
        output_len += len;
    }
}

static int flush(client_t *c)
{
    int n = output_len ? wire_write(&c->wire, output, output_len) : 0;
    int good = !output_len || n == (int)output_len;
    output_len = 0;
    return good;
}

static void leave(client_t *c)
{
    wire_close(&c->wire);
    free(c);
    counts[OPEN]--;
}

/* Answers 0 where the connection is over. */
static int command(client_t *c)
{
    if (!strncasecmp(c->line, "EHLO", 4) || !strncasecmp(c->line, "LHLO", 4)) {
        say(context && !c->wire.tls ? "250-sink.bench.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 STARTTLS\r\n"
                                    : "250-sink.bench.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n");
    } else if (!strncasecmp(c->line, "DATA", 4)) {
        c->in_data = 1;
        c->seen = 2;
        say("354 go ahead\r\n");
    } else if (!strncasecmp(c->line, "STARTTLS", 8) && context) {
        say("220 go ahead\r\n");
        if (!flush(c))
            return 0;
        wire_secure(&c->wire, context, 1);
    } else if (!strncasecmp(c->line, "QUIT", 4)) {
        say("221 bye\r\n");
        flush(c);
        return 0;
    } else {
        say("250 ok\r\n");
    }
    return 1;
}

static const char *body(client_t *c, const char *p, const char *end)
{
    static const char mark[] = "\r\n.\r\n";
    while (p < end) {
        if (c->seen == 0) {
            p = memchr(p, '\r', end - p);
            if (!p)
                return end;
        }
        if (*p == mark[c->seen])
            c->seen++;
        else
            c->seen = *p == '\r';
        p++;
        if (c->seen == 5) {
            c->in_data = 0;
            if (defer && ++bodies % defer == 0) {
                say("451 4.3.0 later\r\n");
            } else {
                counts[MESSAGES]++;
                say("250 taken\r\n");
            }
            return p;
        }
    }
    return p;
}

static int input(client_t *c, const char *p, const char *end)
{
    while (p < end) {
        if (c->in_data) {
            p = body(c, p, end);
            continue;
        }
        char b = *p++;
        if (b == '\n') {
            c->line[c->len] = 0;
            c->len = 0;
            if (!command(c))
                return 0;
        } else if (c->len < (int)sizeof c->line - 1) {
            c->line[c->len++] = b;
        }
    }
    return 1;
}

static void serve(client_t *c)
{
    static char buffer[1 << 18];
    int n;
    while ((n = wire_read(&c->wire, buffer, sizeof buffer)) > 0) {
        if (!input(c, buffer, buffer + n) || !flush(c)) {
            leave(c);
            return;
        }
        if (!c->wire.tls && n < (int)sizeof buffer)
            return;
    }
    if (n != AGAIN)
        leave(c);
}

static void welcome(int listener)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        counts[CONNECTIONS]++;
        client_t *c = calloc(1, sizeof *c);
        int on = 1;
        c->wire.fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        counts[OPEN]++;
        say("220 sink.bench.test ESMTP\r\n");
        flush(c);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(queue, EPOLL_CTL_ADD, fd, &event);
    }
}

int main(int argc, char **argv)
{
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (!strcmp(argv[at], "-t") && at + 2 < argc) {
            context = SSL_CTX_new(TLS_server_method());
            if (SSL_CTX_use_certificate_chain_file(context, argv[at + 1]) != 1 ||
                SSL_CTX_use_PrivateKey_file(context, argv[at + 2], SSL_FILETYPE_PEM) != 1)
                die("certificate");
            at += 2;
        } else if (!strcmp(argv[at], "-d") && at + 1 < argc) {
            defer = atol(argv[++at]);
        }
    }
    if (argc - at != 2) {
        fprintf(stderr, "usage: sink [-t CERTIFICATE KEY] [-d N] COUNTS ADDRESS:PORT\n");
        return 2;
    }
    int file = open(argv[at], O_RDWR | O_CREAT, 0644);
    if (file < 0 || ftruncate(file, 24))
        die(argv[at]);
    counts = mmap(NULL, 24, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    struct sockaddr_in a = address(argv[at + 1]);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&a, sizeof a) || listen(listener, 4096))
        die("bind");
    many_files();
    queue = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN}, events[256];
    epoll_ctl(queue, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int n = epoll_wait(queue, events, 256, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                serve(events[i].data.ptr);
            else
                welcome(listener);
        }
    }
}
