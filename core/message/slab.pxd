# Memory of messages, apart from that of bodies: what drains leaves whole pages, and no chunk has a header.

cdef void *slab_new() noexcept nogil            # zeroed, of sizeof(ec_message_t); NULL: no memory
cdef void slab_free(void *p) noexcept nogil     # from any thread
