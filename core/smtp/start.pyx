"""Joins the layers at start: upward calls go through pointers set here."""
from pymomentum.core.base.status cimport EC_OK
from pymomentum.core.config.generation cimport config_current, config_generation_t, config_unref
from pymomentum.core.config.values cimport OPT_HOT_DOMAINS, opt_list
from pymomentum.core.loop.loop cimport loop_at, loop_count, loop_range_t
from pymomentum.core.queue.domain cimport domain_set_loops, domain_share_out
from pymomentum.core.queue.lease cimport lease_set_remote
from pymomentum.core.queue.maintainer cimport maintainer_attach
from pymomentum.core.queue.memory cimport memory_attach
from pymomentum.core.smtp.client.auth cimport auth_start
from pymomentum.core.smtp.client.response cimport response_start
from pymomentum.core.smtp.client.session cimport client_start
from pymomentum.core.smtp.client.transaction cimport transfer_start
from pymomentum.core.smtp.server.command cimport commands_start
from pymomentum.core.smtp.server.proxied cimport proxied_start


cdef loop_range_t range_of(pair):
    cdef loop_range_t loops
    loops.first, loops.n = pair or (0, loop_count())
    return loops


def attach(*, maintainers=None, deliverers=None, remote_leases=False):
    """Connect server, client and queues to the loops; once, before they run.

    Each of the first two is the first loop and the number of them; None: all.
    """
    cdef int i
    cdef config_generation_t *g = config_current()
    commands_start()
    proxied_start()
    client_start(range_of(deliverers))
    domain_set_loops(range_of(maintainers))
    auth_start()
    transfer_start()
    response_start()
    lease_set_remote(remote_leases)
    if domain_share_out(opt_list(g.globals, OPT_HOT_DOMAINS)) != EC_OK:
        raise MemoryError("hot_domains")
    config_unref(g)
    for i in range(loop_count()):
        if maintainer_attach(loop_at(i)) != EC_OK or memory_attach(loop_at(i)) != EC_OK:
            raise MemoryError("queues")
