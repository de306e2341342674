# post_t: a call to be made on a loop, from any thread.  Embedded in what it is about; never allocated by the sender.

ctypedef void (*post_fn)(post_t *p) noexcept nogil

cdef struct post_t:
    post_t *next
    post_fn fn          # runs on the loop; the post may be freed or sent again in it
