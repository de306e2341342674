# config_generation_t: one configuration, immutable and counted.  Any thread may
# ask; answers live as long as the asker's reference.
from libc.stdint cimport uint16_t, uint32_t, uint64_t

from pymomentum.core.base.cidr cimport sockaddr
from pymomentum.core.base.slice cimport slice_t
from .entry cimport (LISTEN_CONTROL, LISTEN_ECSTREAM, LISTEN_ESMTP, LISTEN_HTTP, config_binding_t, config_listen_t, config_pathway_t,
                     listen_kind_t)
from .values cimport values_t

cdef struct config_generation_t:
    uint32_t refs
    uint64_t number             # 1, 2, 3 ...
    uint64_t born_ms            # monotonic
    uint64_t outdated_ms        # when the next one took its place; 0: current
    config_generation_t *older  # of those in memory
    const values_t *globals
    bint hosts                  # some scope has Host stanzas
    void *opaque                # tables_t


cdef config_generation_t *generation_new() noexcept nogil                  # with empty tables and one reference; NULL: no memory
cdef uint64_t generation_publish(config_generation_t *g) noexcept nogil    # becomes the current one, reference and all; answers its number
cdef config_generation_t *config_current() noexcept nogil                 # takes a reference; NULL before the first
cdef uint64_t config_number() noexcept nogil                              # of the current generation, one load
cdef config_generation_t *config_ref(config_generation_t *g) noexcept nogil
cdef void config_unref(config_generation_t *g) noexcept nogil

# Delivery: group::binding::domain > binding::domain > group::domain > binding > group > domain > global > default
# The answer is shared, or it is `room`, filled
cdef const values_t *config_delivery(config_generation_t *g, uint16_t binding, slice_t domain, values_t *room) noexcept nogil
cdef const values_t *config_delivery_kept(config_generation_t *g, uint16_t binding, slice_t domain) noexcept nogil     # values_free() it
# Host scope: group::binding::host > group::host > binding::host > host; no fallback to other scopes, unset numbers are -1
cdef const values_t *config_host(config_generation_t *g, uint16_t binding, slice_t host) noexcept nogil
# Reception: listener::listen::peer > listener::peer > listener::listen > listener > pathway chain > global > default
cdef const values_t *config_reception(config_generation_t *g, const config_listen_t *l, const sockaddr *peer) noexcept nogil
# The pathway that such an answer names; NULL: none that is declared
cdef const config_pathway_t *config_pathway(config_generation_t *g, const values_t *reception) noexcept nogil

cdef size_t config_listen_count(config_generation_t *g) noexcept nogil
cdef const config_listen_t *config_listen(config_generation_t *g, size_t index) noexcept nogil
cdef size_t config_binding_count(config_generation_t *g) noexcept nogil              # slots in use: 0..count-1; slot 0 is "default"
cdef const config_binding_t *config_binding(config_generation_t *g, uint16_t slot) noexcept nogil   # NULL: not in this one
cdef int config_binding_slot(config_generation_t *g, slice_t name) noexcept nogil    # EC_NOTFOUND
