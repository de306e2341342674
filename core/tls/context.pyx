"""TLS contexts, keyed by the options that make them.

Any loop may ask.  Certificates are read when a context is first wanted, and
again behind a reload; one that cannot be used is named in paniclog, the one
before it serves on, and where there is none it is asked for again a minute later.
"""
import os

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free
from libc.string cimport memchr, memcpy, memset

from pymomentum.core.base.buf cimport buf_add, buf_add_slice, buf_free, buf_slice, buf_t
from pymomentum.core.base.clock cimport clock_mono_ms
from pymomentum.core.base.hash cimport hash_get, hash_put, hash_t
from pymomentum.core.base.slice cimport slice_ieq, slice_make, slice_of, slice_t
from pymomentum.core.c.openssl cimport *
from pymomentum.core.c.posix cimport pthread_mutex_init, pthread_mutex_lock, pthread_mutex_t, pthread_mutex_unlock
from pymomentum.core.config.values cimport (OPT_TLS_ALLOW_RENEGOTIATION, OPT_TLS_CA, OPT_TLS_CERTIFICATE, OPT_TLS_CIPHERS,
                                            OPT_TLS_CLIENT_CA, OPT_TLS_DHPARAMS_FILE, OPT_TLS_EC_CURVE_NAMES,
                                            OPT_TLS_ENABLE_DHE_CIPHERS, OPT_TLS_KEY, OPT_TLS_PROTOCOLS, OPT_TLS_VERIFY_MODE,
                                            OPT_TLSV13_CIPHERSUITES, TLS_VERIFY_MODE_NONE, TLS_VERIFY_MODE_REQUIRE, opt_number,
                                            opt_text, values_t)
from pymomentum.core.log.writer cimport log_panic

cdef extern from "openssl/x509_vfy.h" nogil:
    long X509_V_OK

cdef enum:
    AGAIN_MS = 60000

cdef struct entry_t:
    slice_t key
    SSL_CTX *ctx
    uint64_t tried_ms
    uint32_t epoch              # of its files

cdef uint32_t epoch = 0         # under the lock
cdef hash_t table
cdef pthread_mutex_t lock
memset(&table, 0, sizeof(table))
pthread_mutex_init(&lock, NULL)


cdef void key_part(buf_t *b, const values_t *v, int option) noexcept nogil:
    cdef const slice_t *t = opt_text(v, option)
    if t != NULL:
        buf_add_slice(b, t[0])
    buf_add(b, b"\0", 1)


cdef void key_number(buf_t *b, const values_t *v, int option) noexcept nogil:
    cdef char n = <char>opt_number(v, option)
    buf_add(b, &n, 1)


cdef unsigned long protocols(slice_t text) noexcept nogil:
    """"+TLSv1.2:+TLSv1.3", as the type of tls_protocols encodes it: a bit per protocol that is off."""
    cdef unsigned long off = SSL_OP_NO_SSLv3 | SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1
    cdef const char *end
    cdef slice_t word
    if text.len:
        off |= SSL_OP_NO_TLSv1_2 | SSL_OP_NO_TLSv1_3
    while text.len:
        end = <const char*>memchr(text.ptr, c':', text.len)
        word = slice_make(text.ptr, end - text.ptr if end != NULL else text.len)
        text = slice_make(word.ptr + word.len, text.len - word.len)
        if text.len:
            text = slice_make(text.ptr + 1, text.len - 1)
        if slice_ieq(word, slice_of(b"+TLSv1.0")):
            off &= ~SSL_OP_NO_TLSv1
        elif slice_ieq(word, slice_of(b"+TLSv1.1")):
            off &= ~SSL_OP_NO_TLSv1_1
        elif slice_ieq(word, slice_of(b"+TLSv1.2")):
            off &= ~SSL_OP_NO_TLSv1_2
        elif slice_ieq(word, slice_of(b"+TLSv1.3")):
            off &= ~SSL_OP_NO_TLSv1_3
    return off


cdef SSL_CTX *fail(SSL_CTX *ctx, const char *what, const slice_t *name) noexcept nogil:
    cdef char why[256]
    ERR_error_string_n(ERR_get_error(), why, sizeof(why))
    log_panic(NULL, b"TLS", b"cannot use %s %s: %s", what, name.ptr if name != NULL else <const char*>b"", <char*>why)
    if ctx != NULL:
        SSL_CTX_free(ctx)
    return NULL


cdef int let_through(int fine, X509_STORE_CTX *store) noexcept nogil:
    return 1


cdef const char *exchange(SSL_CTX *ctx, const values_t *v, bint server, const slice_t *ciphers, const slice_t **name) noexcept nogil:
    """How keys are agreed on; answers what cannot be used, NULL: all is well."""
    cdef const slice_t *curves = opt_text(v, OPT_TLS_EC_CURVE_NAMES)
    cdef const slice_t *file = opt_text(v, OPT_TLS_DHPARAMS_FILE)
    cdef bint finite = opt_number(v, OPT_TLS_ENABLE_DHE_CIPHERS) != 0
    cdef char list[1024]
    name[0] = curves
    if curves != NULL and curves.len:
        if SSL_CTX_set1_groups_list(ctx, curves.ptr) != 1:
            return b"tls_ec_curve_names"
    elif not finite:
        SSL_CTX_set1_groups_list(ctx, b"X25519:P-256:X448:P-521:P-384")        # OpenSSL's own, without ffdhe
    if not finite:
        name[0] = ciphers
        if snprintf(list, sizeof(list), b"%s:!kDHE", ciphers.ptr if ciphers != NULL and ciphers.len else <const char*>b"DEFAULT") >= <int>sizeof(list) \
                or SSL_CTX_set_cipher_list(ctx, list) != 1:
            return b"tls_ciphers"
    elif server:
        name[0] = file
        if file == NULL or file.len == 0:
            SSL_CTX_set_dh_auto(ctx, 1)
        elif not read_parameters(ctx, file.ptr):
            return b"tls_dhparams_file"
    return NULL


cdef bint read_parameters(SSL_CTX *ctx, const char *path) noexcept nogil:
    cdef BIO *file = BIO_new_file(path, b"r")
    cdef EVP_PKEY *key = NULL
    if file != NULL:
        key = PEM_read_bio_Parameters(file, NULL)
        BIO_free(file)
    if key == NULL:
        return False
    if SSL_CTX_set0_tmp_dh_pkey(ctx, key) != 1:
        EVP_PKEY_free(key)
        return False
    return True


cdef bint tls_verified(const SSL *ssl) noexcept nogil:
    return SSL_get0_peer_certificate(ssl) != NULL and SSL_get_verify_result(ssl) == X509_V_OK


cdef SSL_CTX *make(const values_t *v, bint server) noexcept nogil:
    cdef SSL_CTX *ctx = SSL_CTX_new(TLS_server_method() if server else TLS_client_method())
    cdef const slice_t *cert = opt_text(v, OPT_TLS_CERTIFICATE)
    cdef const slice_t *key = opt_text(v, OPT_TLS_KEY)
    cdef const slice_t *ciphers = opt_text(v, OPT_TLS_CIPHERS)
    cdef const slice_t *suites = opt_text(v, OPT_TLSV13_CIPHERSUITES)
    cdef const slice_t *ca = opt_text(v, OPT_TLS_CLIENT_CA if server else OPT_TLS_CA)
    cdef const slice_t *proto = opt_text(v, OPT_TLS_PROTOCOLS)
    cdef const slice_t *name
    cdef const char *what
    cdef int64_t mode = opt_number(v, OPT_TLS_VERIFY_MODE)
    if ctx == NULL:
        return fail(ctx, b"TLS", NULL)
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER)
    SSL_CTX_set_options(ctx, protocols(proto[0] if proto != NULL else slice_make(NULL, 0)))
    if server and opt_number(v, OPT_TLS_ALLOW_RENEGOTIATION) == 1:
        SSL_CTX_set_options(ctx, SSL_OP_ALLOW_CLIENT_RENEGOTIATION)
    else:
        SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION)
    if server:
        SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE)
        SSL_CTX_set_session_id_context(ctx, <const unsigned char*>b"ecelerity", 9)
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
    what = exchange(ctx, v, server, ciphers, &name)
    if what != NULL:
        return fail(ctx, what, name)
    if suites != NULL and suites.len and SSL_CTX_set_ciphersuites(ctx, suites.ptr) != 1:
        return fail(ctx, b"tlsv13_ciphersuites", suites)
    if ca != NULL and ca.len:
        if SSL_CTX_load_verify_locations(ctx, ca.ptr, NULL) != 1:
            return fail(ctx, b"tls_client_ca" if server else b"tls_ca", ca)
    elif not server:
        SSL_CTX_set_default_verify_paths(ctx)
    # what a failed check means is decided where the connection is: the handshake itself goes through
    if not server or mode == TLS_VERIFY_MODE_NONE or (mode != TLS_VERIFY_MODE_REQUIRE and (ca == NULL or ca.len == 0)):
        SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL)
    else:
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | (SSL_VERIFY_FAIL_IF_NO_PEER_CERT if mode == TLS_VERIFY_MODE_REQUIRE else 0), let_through)
        if ca != NULL and ca.len:
            SSL_CTX_set_client_CA_list(ctx, SSL_load_client_CA_file(ca.ptr))
    return ctx


cdef SSL_CTX *context(const values_t *v, bint server) noexcept nogil:
    cdef buf_t b
    cdef entry_t *e
    cdef SSL_CTX *ctx = NULL
    cdef char *name
    cdef uint64_t now = clock_mono_ms()
    memset(&b, 0, sizeof(b))
    buf_add(&b, b"S" if server else b"C", 1)
    key_part(&b, v, OPT_TLS_CERTIFICATE)
    key_part(&b, v, OPT_TLS_KEY)
    key_part(&b, v, OPT_TLS_CIPHERS)
    key_part(&b, v, OPT_TLSV13_CIPHERSUITES)
    key_part(&b, v, OPT_TLS_CLIENT_CA if server else OPT_TLS_CA)
    key_part(&b, v, OPT_TLS_PROTOCOLS)
    key_part(&b, v, OPT_TLS_EC_CURVE_NAMES)
    key_part(&b, v, OPT_TLS_DHPARAMS_FILE)
    key_number(&b, v, OPT_TLS_ENABLE_DHE_CIPHERS)
    if server:
        key_number(&b, v, OPT_TLS_VERIFY_MODE)
        key_number(&b, v, OPT_TLS_ALLOW_RENEGOTIATION)
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
        if e.epoch != epoch or e.ctx == NULL and (e.tried_ms == 0 or now - e.tried_ms > AGAIN_MS):
            e.epoch = epoch
            e.tried_ms = now
            ctx = make(v, server)
            if ctx != NULL:
                SSL_CTX_free(e.ctx)
                e.ctx = ctx
        ctx = e.ctx
        if ctx != NULL:
            SSL_CTX_up_ref(ctx)
    pthread_mutex_unlock(&lock)
    buf_free(&b)
    return ctx


cdef SSL_CTX *tls_server_context(const values_t *v) noexcept nogil:
    cdef const slice_t *cert = opt_text(v, OPT_TLS_CERTIFICATE)
    if cert == NULL or cert.len == 0:
        return NULL
    return context(v, True)


cdef bint tls_server_ready(const values_t *v) noexcept nogil:
    cdef SSL_CTX *ctx = tls_server_context(v)
    SSL_CTX_free(ctx)
    return ctx != NULL


cdef SSL_CTX *tls_client_context(const values_t *v) noexcept nogil:
    return context(v, False)


def refresh():
    """Have contexts made anew from their files, each when it is next asked for."""
    global epoch
    pthread_mutex_lock(&lock)
    epoch += 1
    pthread_mutex_unlock(&lock)


def attempt(str option not None, str value not None, str certificate=""):
    """Have OpenSSL take what one of the tls_ options says, a key with its certificate; raises ValueError with what it says."""
    cdef bytes text = os.fsencode(value), certificate_text = os.fsencode(certificate)
    cdef const char *path = text
    cdef const char *certificate_path = certificate_text
    cdef char why[256]
    cdef bint fine
    cdef unsigned long error
    cdef SSL_CTX *ctx = SSL_CTX_new(TLS_server_method())
    if ctx == NULL:
        raise MemoryError
    ERR_clear_error()
    if option == "tls_certificate":
        fine = SSL_CTX_use_certificate_chain_file(ctx, path) == 1
    elif option == "tls_key":
        fine = SSL_CTX_use_certificate_chain_file(ctx, certificate_path) == 1 \
            and SSL_CTX_use_PrivateKey_file(ctx, path, SSL_FILETYPE_PEM) == 1 and SSL_CTX_check_private_key(ctx) == 1
    elif option == "tls_ciphers":
        fine = SSL_CTX_set_cipher_list(ctx, path) == 1
    elif option == "tlsv13_ciphersuites":
        fine = SSL_CTX_set_ciphersuites(ctx, path) == 1
    elif option == "tls_ec_curve_names":
        fine = SSL_CTX_set1_groups_list(ctx, path) == 1
    elif option == "tls_dhparams_file":
        fine = read_parameters(ctx, path)
    else:
        fine = SSL_CTX_load_verify_locations(ctx, path, NULL) == 1
    SSL_CTX_free(ctx)
    if not fine:
        error = ERR_get_error()
        if error == 0:
            raise ValueError("OpenSSL does not take it, and does not say why")
        ERR_error_string_n(error, why, sizeof(why))
        raise ValueError(why.decode("utf-8", "replace"))
