# OpenSSL 3, what TLS on a loop needs.

cdef extern from "openssl/ssl.h" nogil:
    ctypedef struct SSL_CTX:
        pass
    ctypedef struct SSL:
        pass
    ctypedef struct BIO:
        pass
    ctypedef struct SSL_METHOD:
        pass
    ctypedef struct SSL_CIPHER:
        pass
    ctypedef struct X509:
        pass
    ctypedef struct X509_STORE_CTX:
        pass
    ctypedef struct X509_NAMES "STACK_OF(X509_NAME)":
        pass
    ctypedef struct EVP_PKEY:
        pass
    const SSL_METHOD *TLS_server_method()
    const SSL_METHOD *TLS_client_method()
    SSL_CTX *SSL_CTX_new(const SSL_METHOD*)
    void SSL_CTX_free(SSL_CTX*)
    int SSL_CTX_up_ref(SSL_CTX*)
    int SSL_CTX_use_certificate_chain_file(SSL_CTX*, const char*)
    int SSL_CTX_use_PrivateKey_file(SSL_CTX*, const char*, int)
    int SSL_CTX_check_private_key(const SSL_CTX*)
    int SSL_CTX_set_cipher_list(SSL_CTX*, const char*)
    int SSL_CTX_set_ciphersuites(SSL_CTX*, const char*)
    int SSL_CTX_load_verify_locations(SSL_CTX*, const char*, const char*)
    int SSL_CTX_set_default_verify_paths(SSL_CTX*)
    void SSL_CTX_set_verify(SSL_CTX*, int, int (*)(int, X509_STORE_CTX*) noexcept nogil)
    X509_NAMES *SSL_load_client_CA_file(const char*)
    void SSL_CTX_set_client_CA_list(SSL_CTX*, X509_NAMES*)     # it owns them
    int SSL_CTX_set_session_id_context(SSL_CTX*, const unsigned char*, unsigned int)
    int SSL_CTX_set1_groups_list(SSL_CTX*, const char*)
    int SSL_CTX_set_dh_auto(SSL_CTX*, int)
    int SSL_CTX_set0_tmp_dh_pkey(SSL_CTX*, EVP_PKEY*)          # it owns the key where it answers 1
    void EVP_PKEY_free(EVP_PKEY*)
    unsigned long SSL_CTX_set_options(SSL_CTX*, unsigned long)
    long SSL_CTX_set_mode(SSL_CTX*, long)
    long SSL_CTX_set_num_tickets(SSL_CTX*, size_t)
    int SSL_CTX_set_min_proto_version(SSL_CTX*, int)
    SSL *SSL_new(SSL_CTX*)
    void SSL_free(SSL*)
    void SSL_set_bio(SSL*, BIO*, BIO*)
    void SSL_set_accept_state(SSL*)
    void SSL_set_connect_state(SSL*)
    int SSL_do_handshake(SSL*)
    int SSL_read(SSL*, void*, int)
    int SSL_write(SSL*, const void*, int)
    int SSL_shutdown(SSL*)
    int SSL_get_error(const SSL*, int)
    int SSL_is_init_finished(const SSL*)
    long SSL_get_verify_result(const SSL*)
    X509 *SSL_get0_peer_certificate(const SSL*)
    int SSL_set_ex_data(SSL*, int, void*)
    void *SSL_get_ex_data(const SSL*, int)
    void SSL_set_info_callback(SSL*, void (*)(const SSL*, int, int) noexcept nogil)
    int SSL_CB_HANDSHAKE_START
    const char *SSL_get_version(const SSL*)
    const SSL_CIPHER *SSL_get_current_cipher(const SSL*)
    const char *SSL_CIPHER_get_name(const SSL_CIPHER*)
    int SSL_set_tlsext_host_name(SSL*, const char*)
    int SSL_set1_host(SSL*, const char*)
    int SSL_FILETYPE_PEM
    int SSL_VERIFY_NONE
    int SSL_VERIFY_PEER
    int SSL_VERIFY_FAIL_IF_NO_PEER_CERT
    int SSL_ERROR_WANT_READ
    int SSL_ERROR_WANT_WRITE
    int SSL_ERROR_ZERO_RETURN
    long SSL_MODE_RELEASE_BUFFERS
    long SSL_MODE_ENABLE_PARTIAL_WRITE
    long SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
    unsigned long SSL_OP_NO_RENEGOTIATION
    unsigned long SSL_OP_ALLOW_CLIENT_RENEGOTIATION
    unsigned long SSL_OP_NO_SSLv3
    unsigned long SSL_OP_NO_TLSv1
    unsigned long SSL_OP_NO_TLSv1_1
    unsigned long SSL_OP_NO_TLSv1_2
    unsigned long SSL_OP_NO_TLSv1_3
    unsigned long SSL_OP_CIPHER_SERVER_PREFERENCE
    int TLS1_2_VERSION

cdef extern from "openssl/bio.h" nogil:
    ctypedef struct BIO_METHOD:
        pass
    BIO *BIO_new(const BIO_METHOD*)
    BIO *BIO_new_file(const char*, const char*)
    void BIO_free(BIO*)
    const BIO_METHOD *BIO_s_mem()
    int BIO_read(BIO*, void*, int)
    int BIO_write(BIO*, const void*, int)
    size_t BIO_ctrl_pending(BIO*)

cdef extern from "openssl/pem.h" nogil:
    EVP_PKEY *PEM_read_bio_Parameters(BIO*, EVP_PKEY**)

cdef extern from "openssl/err.h" nogil:
    void ERR_clear_error()
    unsigned long ERR_get_error()
    void ERR_error_string_n(unsigned long, char*, size_t)
