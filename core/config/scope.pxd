# instance_t: one stanza of the configuration with the options it sets and the
# named stanzas inside it.  Built under the GIL, read-only once published.
from libc.stdint cimport uint32_t

from pymomentum.core.base.arena cimport arena_t
from pymomentum.core.base.cidr cimport cidr_set_t, sockaddr
from pymomentum.core.base.hash cimport hash_t
from pymomentum.core.base.slice cimport slice_t
from .match cimport match_cache_t
from .values cimport answers_t, pairs_t, value_t

cdef extern from *:
    """
    #ifndef PCRE2_CODE_UNIT_WIDTH
    #define PCRE2_CODE_UNIT_WIDTH 8
    #endif
    #include <pcre2.h>
    """
    ctypedef struct pcre2_code:
        pass

cdef enum:
    CHAIN_MAX = 288             # 2 x 129 nested peers and a few more
    NAME_MAX_LEN = 1023         # a longer domain has no stanza

cdef struct regex_t:
    pcre2_code *code            # owned
    instance_t *instance
    regex_t *next               # in the order of declaration

cdef struct names_t:            # stanzas found by name
    hash_t exact                # lower-case name -> instance_t
    regex_t *regexes
    regex_t **last
    names_t *next               # all of a generation, to be freed

cdef struct instance_t:
    uint32_t id                 # unique in its generation
    bint layered                # its options are marked in the generation's layers
    bint client                 # a Peer
    pairs_t pairs
    void *compiled              # compiled_t of this one over the global scope; set once, atomically
    names_t *domains            # NULL: none
    names_t *hosts
    cidr_set_t peers            # tags are places in `peer`
    instance_t **peer           # arena
    uint32_t peer_room

cdef struct chain_t:            # the instances that answer, most specific first
    size_t n
    instance_t *at[CHAIN_MAX]


cdef int scope_set(arena_t *a, instance_t *s, int option, value_t value) noexcept nogil     # replaces; EC_NOMEM
cdef int scope_add_peer(arena_t *a, instance_t *s, slice_t network, instance_t *peer) noexcept nogil
# What it does not set, `more` sets for it; EC_NOMEM
cdef int scope_complete(arena_t *a, instance_t *s, const instance_t *more) noexcept nogil
cdef int names_add(arena_t *a, names_t *names, slice_t name, instance_t *s) noexcept nogil  # "/pcre/" or a name
# Once all are added: what a stanza of a name does not set, the first expression that stands for the name sets for it; EC_NOMEM.
cdef int names_complete(arena_t *a, names_t *names) noexcept nogil
cdef instance_t *names_find(match_cache_t *cache, names_t *names, slice_t name) noexcept nogil  # exact, then expressions
cdef void names_free(names_t *names) noexcept nogil
cdef void chain_add(chain_t *c, instance_t *s) noexcept nogil                               # leaves out NULL and empty
cdef void chain_add_peers(chain_t *c, instance_t *s, const sockaddr *peer) noexcept nogil
cdef const value_t *chain_value(const chain_t *c, int option) noexcept nogil                # NULL: nobody sets it
cdef void chain_apply(const chain_t *c, answers_t *out) noexcept nogil
# Once applied: of a limit of sessions the whole chain counts, of its Peers the closest that says one; EC_NOMEM
cdef int chain_ceilings(arena_t *a, const chain_t *c, answers_t *out) noexcept nogil
