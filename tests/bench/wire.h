/* What source.c and sink.c share: a socket that does not block, with TLS or without. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define AGAIN (-1)

typedef struct {
    int fd;
    SSL *tls;               /* NULL: in clear */
} wire_t;

static void die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, errno ? strerror(errno) : "failed");
    ERR_print_errors_fp(stderr);
    exit(1);
}

static int tls_again(wire_t *w, int n)
{
    int why = SSL_get_error(w->tls, n);
    ERR_clear_error();
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? AGAIN : 0;
}

/* Bytes read, AGAIN, or 0 at the end. */
static int wire_read(wire_t *w, char *p, size_t room)
{
    int n = w->tls ? SSL_read(w->tls, p, room) : recv(w->fd, p, room, 0);
    if (n > 0)
        return n;
    if (w->tls)
        return tls_again(w, n);
    return n < 0 && errno == EAGAIN ? AGAIN : 0;
}

/* Bytes written, AGAIN, or 0 where the peer is gone. */
static int wire_write(wire_t *w, const char *p, size_t len)
{
    int n = w->tls ? SSL_write(w->tls, p, len) : send(w->fd, p, len, MSG_NOSIGNAL);
    if (n > 0)
        return n;
    if (w->tls)
        return tls_again(w, n);
    return n < 0 && errno == EAGAIN ? AGAIN : 0;
}

static void wire_secure(wire_t *w, SSL_CTX *context, int server)
{
    w->tls = SSL_new(context);
    SSL_set_fd(w->tls, w->fd);
    SSL_set_mode(w->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (server)
        SSL_set_accept_state(w->tls);
    else
        SSL_set_connect_state(w->tls);
}

static void wire_close(wire_t *w)
{
    if (w->tls) {
        SSL_set_quiet_shutdown(w->tls, 1);
        SSL_free(w->tls);
    }
    close(w->fd);
}

static struct sockaddr_in address(char *text)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    char *colon = strrchr(text, ':');
    if (!colon)
        die("ADDRESS:PORT");
    *colon = 0;
    a.sin_port = htons(atoi(colon + 1));
    if (!inet_aton(text, &a.sin_addr))
        die("ADDRESS:PORT");
    return a;
}

static void many_files(void)
{
    struct rlimit r;
    getrlimit(RLIMIT_NOFILE, &r);
    r.rlim_cur = r.rlim_max;
    setrlimit(RLIMIT_NOFILE, &r);
}
