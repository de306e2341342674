# c-ares 1.18: queries as bytes in, answers as bytes out.
from pymomentum.core.base.cidr cimport sockaddr

cdef extern from "ares.h" nogil:
    enum:
        ARES_SUCCESS
        ARES_ENOTFOUND
        ARES_ETIMEOUT
        ARES_ENOMEM
        ARES_FLAG_USEVC
        ARES_FLAG_IGNTC
        ARES_FLAG_NOSEARCH
        ARES_FLAG_EDNS
        ARES_OPT_FLAGS
        ARES_OPT_TRIES
        ARES_OPT_DOMAINS
        ARES_OPT_LOOKUPS
        ARES_OPT_SOCK_STATE_CB
        ARES_OPT_SOCK_SNDBUF
        ARES_OPT_SOCK_RCVBUF
        ARES_OPT_TIMEOUTMS
        ARES_OPT_EDNSPSZ
        ARES_OPT_RESOLVCONF
        ARES_LIB_INIT_ALL
        ARES_SOCKET_BAD

    cdef struct ares_channeldata:
        pass
    ctypedef ares_channeldata *ares_channel
    ctypedef int ares_socket_t
    ctypedef void (*ares_sock_state_cb)(void *data, ares_socket_t fd, int readable, int writable) noexcept nogil
    ctypedef void (*ares_callback)(void *arg, int status, int timeouts, unsigned char *abuf, int alen) noexcept nogil

    cdef struct ares_options:
        int flags
        int timeout
        int tries
        int socket_send_buffer_size
        int socket_receive_buffer_size
        char **domains
        int ndomains
        char *lookups
        ares_sock_state_cb sock_state_cb
        void *sock_state_cb_data
        int ednspsz
        char *resolvconf_path

    cdef union ares_addr_port_addr "addr":
        pass
    cdef struct ares_addr_port_node:
        ares_addr_port_node *next
        int family
        ares_addr_port_addr addr
        int udp_port
        int tcp_port

    int ares_library_init(int flags)
    int ares_init_options(ares_channel *out, ares_options *options, int mask)
    int ares_set_servers_ports(ares_channel channel, ares_addr_port_node *servers)
    void ares_send(ares_channel channel, const unsigned char *query, int len, ares_callback fn, void *arg)
    void ares_process_fd(ares_channel channel, ares_socket_t readable, ares_socket_t writable)
    void ares_destroy(ares_channel channel)
    const char *ares_version(int *version)
    const char *ares_strerror(int code)
