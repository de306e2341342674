# tables_t: what a generation holds.  builder.pyx fills it under the GIL; after that only answers are added, under its lock.
from libc.stdint cimport uint8_t, uint32_t

from pymomentum.core.base.arena cimport arena_t
from pymomentum.core.base.hash cimport hash_t
from pymomentum.core.base.slice cimport slice_t
from pymomentum.core.c.posix cimport pthread_mutex_t
from .entry cimport config_binding_t, config_listen_t, config_pathway_t
from .generation cimport config_generation_t
from .match cimport match_cache_t
from .scope cimport instance_t, names_t
from .values cimport OPT_COUNT, answers_t, values_t

cdef struct compiled_t:         # a chain's ids, and what it answers
    slice_t key
    answers_t answers
    values_t values             # nothing but the answers

cdef struct binding_t:
    config_binding_t front      # first: what callers see
    instance_t *inner           # Binding inside its group
    instance_t *own             # Binding outside any group
    instance_t *group
    values_t values             # for names without a Domain stanza
    uint32_t ready              # atomic: `values` is filled

cdef struct listen_t:
    config_listen_t front       # first
    instance_t *listener
    instance_t *listen
    compiled_t *bare            # without peer; set once, atomically

cdef struct pathway_t:
    config_pathway_t front      # first
    instance_t *inner           # Pathway inside its group
    instance_t *own
    instance_t *group

cdef struct tables_t:
    arena_t arena               # grows under the lock when chains are compiled
    pthread_mutex_t lock
    hash_t chains               # ids of instances -> compiled_t
    compiled_t base             # defaults and the global scope
    compiled_t unset            # what a host scope starts from
    uint8_t[OPT_COUNT] none     # layers of who has but one
    uint8_t[OPT_COUNT] layers   # layer_t of every option
    match_cache_t matches
    instance_t *top             # the global scope
    names_t *names              # all of them
    binding_t **bindings        # by slot; NULL: not in this generation
    size_t slots
    hash_t binding_names
    listen_t **listens
    size_t listen_n
    hash_t pathways
    uint32_t instances


cdef inline tables_t *tables(config_generation_t *g) noexcept nogil:
    return <tables_t*>g.opaque
