"""What the nodes of a cluster share."""
from pymomentum.options.registry import BINDINGS, DELIVERY_HOST, ROUTING, option
from pymomentum.options.types import Boolean, Number, Text, Throttle

option("cluster_max_outbound_connections", Number(-1, minimum=-1), unit="connections",
       scopes=ROUTING | {"binding", "host"}, page="4/config/ref-cluster-max-outbound-connections",
       doc="Most connections of a binding to a domain in the cluster; -1 is unlimited.")
option("cluster_outbound_throttle_connections", Throttle(), scopes=ROUTING | {"binding_group"},
       page="4/config/ref-cluster-outbound-throttle-connections",
       doc="Most connections the cluster opens in a time.")
option("cluster_outbound_throttle_messages", Throttle(), scopes=ROUTING | {"binding_group"},
       page="4/config/ref-cluster-outbound-throttle-messages",
       doc="Most messages the cluster delivers in a time.")
option("cluster_scope_max_outbound_connections", Number(), unit="connections", scopes=DELIVERY_HOST,
       page="4/config/ref-cluster-scope-max-outbound-connections",
       doc="Most connections of the scope in the cluster; unset is unlimited.")
option("cluster_server_max_outbound_connections", Number(), unit="connections", scopes=BINDINGS,
       page="4/config/ref-cluster-server-max-outbound-connections",
       doc="Most outbound connections of the cluster; unset is unlimited.")
option("duravip_follow", Text(), scopes={"listen"}, page="4/4-cluster-config-duravip",
       doc="Binding whose address this listen address follows.")
option("duravip_preference", Text(), scopes={"binding", "listen"}, page="4/4-cluster-config-duravip",
       doc="Node that holds the address while it is up.")
option("enable_duravip", Boolean(), scopes={"binding", "listen"}, page="4/4-cluster-config-duravip",
       doc="Let the cluster move this address.")
