"""TLS contexts, keyed by the options that make them.

Any loop may ask.  Certificates are read when a context is first wanted; one
that cannot be used is named in paniclog, and asked for again a minute later.
"""
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memchr, memcpy, memset

from pymomentum.core.base.buf cimport buf_add, buf_add_slice, buf_free, buf_slice, buf_t
from pymomentum.core.base.clock cimport clock_mono_ms
from pymomentum.core.base.hash cimport hash_get, hash_put, hash_t
from pymomentum.core.base.slice cimport slice_ieq, slice_make, slice_of, slice_t
from pymomentum.core.c.openssl cimport *
from pymomentum.core.c.posix cimport pthread_mutex_init, pthread_mutex_lock, pthread_mutex_t, pthread_mutex_unlock
from pymomentum.core.config.values cimport (OPT_TLS_CA, OPT_TLS_CERTIFICATE, OPT_TLS_CIPHERS, OPT_TLS_KEY,
                                            OPT_TLS_PROTOCOLS, OPT_TLS_VERIFY, OPT_TLSV13_CIPHERSUITES, opt_number, opt_text,
                                            values_t)
from pymomentum.core.log.writer cimport log_panic

cdef enum:
    AGAIN_MS = 60000

cdef struct entry_t:
    slice_t key
    SSL_CTX *ctx
    uint64_t tried_ms

cdef hash_t table
cdef pthread_mutex_t lock
memset(&table, 0, sizeof(table))
pthread_mutex_init(&lock, NULL)


cdef void key_part(buf_t *b, const values_t *v, int option) noexcept nogil:
    cdef const slice_t *t = opt_text(v, option)
    if t != NULL:
        buf_add_slice(b, t[0])
    buf_add(b, b"\0", 1)


cdef unsigned long protocols(slice_t text) noexcept nogil:
    """"+ALL:-TLSv1.0": a bit per protocol that is off.  TLS 1.0 and 1.1 are off unless named."""
    cdef unsigned long off = SSL_OP_NO_SSLv3 | SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1, bit
    cdef const char *end
    cdef slice_t word
    while text.len:
        end = <const char*>memchr(text.ptr, c':', text.len)
        word = slice_make(text.ptr, end - text.ptr if end != NULL else text.len)
        text = slice_make(word.ptr + word.len, text.len - word.len)
        if text.len:
            text = slice_make(text.ptr + 1, text.len - 1)
        if word.len < 2:
            continue
        bit = 0
        if slice_ieq(slice_make(word.ptr + 1, word.len - 1), slice_of(b"TLSv1.0")) or slice_ieq(slice_make(word.ptr + 1, word.len - 1), slice_of(b"TLSv1")):
            bit = SSL_OP_NO_TLSv1
        elif slice_ieq(slice_make(word.ptr + 1, word.len - 1), slice_of(b"TLSv1.1")):
            bit = SSL_OP_NO_TLSv1_1
        elif slice_ieq(slice_make(word.ptr + 1, word.len - 1), slice_of(b"TLSv1.2")):
            bit = SSL_OP_NO_TLSv1_2
        elif slice_ieq(slice_make(word.ptr + 1, word.len - 1), slice_of(b"TLSv1.3")):
            bit = SSL_OP_NO_TLSv1_3
        if word.ptr[0] == c'-':
            off |= bit
        else:
            off &= ~bit
    return off


cdef SSL_CTX *fail(SSL_CTX *ctx, const char *what, const slice_t *name) noexcept nogil:
    cdef char why[256]
    ERR_error_string_n(ERR_get_error(), why, sizeof(why))
    log_panic(NULL, b"TLS", b"cannot use %s %s: %s", what, name.ptr if name != NULL else <const char*>b"", <char*>why)
    if ctx != NULL:
        SSL_CTX_free(ctx)
    return NULL


cdef SSL_CTX *make(const values_t *v, bint server) noexcept nogil:
    cdef SSL_CTX *ctx = SSL_CTX_new(TLS_server_method() if server else TLS_client_method())
    cdef const slice_t *cert = opt_text(v, OPT_TLS_CERTIFICATE)
    cdef const slice_t *key = opt_text(v, OPT_TLS_KEY)
    cdef const slice_t *ciphers = opt_text(v, OPT_TLS_CIPHERS)
    cdef const slice_t *suites = opt_text(v, OPT_TLSV13_CIPHERSUITES)
    cdef const slice_t *ca = opt_text(v, OPT_TLS_CA) if not server else NULL
    cdef const slice_t *proto = opt_text(v, OPT_TLS_PROTOCOLS)
    if ctx == NULL:
        return fail(ctx, b"TLS", NULL)
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER)
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | protocols(proto[0] if proto != NULL else slice_make(NULL, 0)))
    if server:
        SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE)
        SSL_CTX_set_num_tickets(ctx, 1)
    if cert != NULL and cert.len:
        if SSL_CTX_use_certificate_chain_file(ctx, cert.ptr) != 1:
            return fail(ctx, b"certificate", cert)
        if key == NULL or key.len == 0:
            key = cert
        if SSL_CTX_use_PrivateKey_file(ctx, key.ptr, SSL_FILETYPE_PEM) != 1 or SSL_CTX_check_private_key(ctx) != 1:
            return fail(ctx, b"key", key)
    if ciphers != NULL and ciphers.len and SSL_CTX_set_cipher_list(ctx, ciphers.ptr) != 1:
        return fail(ctx, b"tls_ciphers", ciphers)
    if suites != NULL and suites.len and SSL_CTX_set_ciphersuites(ctx, suites.ptr) != 1:
        return fail(ctx, b"tlsv13_ciphersuites", suites)
    if ca != NULL and ca.len:
        if SSL_CTX_load_verify_locations(ctx, ca.ptr, NULL) != 1:
            return fail(ctx, b"tls_ca", ca)
    elif not server:
        SSL_CTX_set_default_verify_paths(ctx)
    # what a failed check means is decided where the connection is: the handshake itself goes through
    SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL)
    return ctx


cdef SSL_CTX *context(const values_t *v, bint server) noexcept nogil:
    cdef buf_t b
    cdef entry_t *e
    cdef SSL_CTX *ctx = NULL
    cdef char *name
    memset(&b, 0, sizeof(b))
    buf_add(&b, b"S" if server else b"C", 1)
    key_part(&b, v, OPT_TLS_CERTIFICATE)
    key_part(&b, v, OPT_TLS_KEY)
    key_part(&b, v, OPT_TLS_CIPHERS)
    key_part(&b, v, OPT_TLSV13_CIPHERSUITES)
    key_part(&b, v, OPT_TLS_CA)
    key_part(&b, v, OPT_TLS_PROTOCOLS)
    pthread_mutex_lock(&lock)
    e = <entry_t*>hash_get(&table, buf_slice(&b))
    if e == NULL:
        e = <entry_t*>calloc(1, sizeof(entry_t) + b.len)
        if e != NULL:
            name = <char*>e + sizeof(entry_t)
            memcpy(name, b.ptr, b.len)
            e.key = slice_make(name, b.len)
            hash_put(&table, e.key, e)
    if e != NULL:
        if e.ctx == NULL and (e.tried_ms == 0 or clock_mono_ms() - e.tried_ms > AGAIN_MS):
            e.tried_ms = clock_mono_ms()
            e.ctx = make(v, server)
        ctx = e.ctx
    pthread_mutex_unlock(&lock)
    buf_free(&b)
    return ctx


cdef SSL_CTX *tls_server_context(const values_t *v) noexcept nogil:
    cdef const slice_t *cert = opt_text(v, OPT_TLS_CERTIFICATE)
    if cert == NULL or cert.len == 0:
        return NULL
    return context(v, True)


cdef SSL_CTX *tls_client_context(const values_t *v) noexcept nogil:
    return context(v, False)
