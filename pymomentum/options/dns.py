"""Names, routes and the caches behind them."""
from pymomentum.options.registry import DELIVERY, GLOBAL, RECEPTION, ROUTING, option
from pymomentum.options.types import Boolean, List, Nets, Number, Routes, Text

option("alias_schemes", List(), scopes=RECEPTION | ROUTING, page="4/config/ref-alias-schemes",
       doc="Where aliases of recipients are looked up, in order.")
option("dns_cache_purge_interval", Number(60, minimum=1), unit="seconds", scopes=GLOBAL,
       page="4/config/ref-dns-cache-purge-interval",
       doc="How often unused cache entries are dropped.")
option("dns_cache_size", Number(100000, maximum=100000000), unit="entries", scopes=GLOBAL,
       doc="Answers that each event loop keeps at most; 0 keeps none.")
option("dns_expire_interval", Number(10, minimum=1), unit="seconds", scopes=GLOBAL,
       page="4/config/ref-dns-expire-interval",
       doc="How often expired MX of domains that have mail are looked up again.")
option("dns_failures_to_purge", Number(10), scopes=ROUTING, page="4/config/ref-dns-failures-to-purge",
       doc="Failed MX lookups after which a domain's mail fails.")
option("dns_fallback_to_tcp", Boolean(False), scopes=GLOBAL, page="4/config/ref-dns-fallback-to-tcp",
       doc="Ask by TCP after any cut UDP answer; no: only where the cut answer holds nothing of use.")
option("dns_max_answers", Number(64, minimum=1, maximum=65535), unit="records", scopes=GLOBAL,
       doc="Records of one answer that are used.")
option("dns_max_cname", Number(8, maximum=64), scopes=GLOBAL,
       doc="CNAMEs followed for one name.")
option("dns_max_pending", Number(1000, minimum=1, maximum=1000000), unit="queries", scopes=GLOBAL,
       doc="Queries each event loop has under way; more wait their turn.")
option("dns_max_udp_queries_per_port", Number(0, maximum=2 ** 31 - 1), scopes=GLOBAL,
       page="4/config/ref-dns-max-udp-queries-per-port",
       doc="Queries from one UDP port; 0 is unlimited.")
option("dns_rate_limit_enabled", Boolean(False), scopes=GLOBAL, dynamic=False, page="4/config/ref-dns-rate-limit",
       doc="Hold back MX queries above the rate limit, and send none twice.")
option("dns_rate_limit_max_queue", Number(100000, minimum=1000, maximum=2 ** 31 - 1), scopes=GLOBAL, dynamic=False, page="4/config/ref-dns-rate-limit",
       doc="Queries that may wait for the rate limit.")
option("dns_rate_limit_mx_queries", Number(100, minimum=1, maximum=2 ** 31 - 1), scopes=GLOBAL, page="4/config/ref-dns-rate-limit",
       doc="MX queries in one period.")
option("dns_rate_limit_period", Number(1, minimum=1, maximum=2 ** 31 - 1), unit="seconds", scopes=GLOBAL,
       page="4/config/ref-dns-rate-limit",
       doc="Length of the rate limit's period.")
option("dns_udp_rcvbuf_size", Number(0), unit="bytes", scopes=GLOBAL, page="4/config/ref-dns-udp-buffer-size",
       doc="Receive buffer of resolver sockets; 0 is the system's.")
option("dns_udp_sndbuf_size", Number(0), unit="bytes", scopes=GLOBAL, page="4/config/ref-dns-udp-buffer-size",
       doc="Send buffer of resolver sockets; 0 is the system's.")
option("fully_resolve_before_smtp", Boolean(True), scopes=DELIVERY, page="4/config/ref-fully-resolve-before-smtp",
       doc="Know every MX address before the first connection.")
option("host_failure_retry", Number(120, minimum=1), unit="seconds", scopes=ROUTING,
       page="4/config/ref-host-failure-retry",
       doc="How long a host that failed is left alone.")
option("max_dns_ttl", Number(4294967295, maximum=4294967295), unit="seconds", scopes=GLOBAL,
       page="4/config/ref-max-dns-ttl",
       doc="Longest time an answer is kept, whatever it says.")
option("min_dns_ttl", Number(0, maximum=4294967295), unit="seconds", scopes=GLOBAL, page="4/config/ref-min-dns-ttl",
       doc="Shortest time an answer is kept, whatever it says.")
option("mx_failures_fallback_to_a", Number(3, minimum=-1), scopes=ROUTING,
       page="4/config/ref-mx-failures-fallback-to-a",
       doc="Failed MX lookups before the domain's own address is tried; -1 is one.")
option("mx_failures_to_delay", Number(50), scopes=ROUTING, page="4/config/ref-mx-failures-to-delay",
       doc="Connection failures in a row after which a queue is put off.")
option("only_use_best_mx_for_relay_domains", Boolean(True), scopes=GLOBAL,
       page="4/config/ref-only-use-best-mx-for-relay-domains",
       doc="Use the best MX alone for domains we relay for, so mail cannot loop.")
option("prefer_ipv6_mxs", Boolean(False), scopes=GLOBAL, page="4/config/ref-prefer_ipv6_mxs",
       doc="Try IPv6 addresses of an MX first.")
option("prohibited_hosts", Nets(), scopes=GLOBAL, page="4/config/ref-prohibited-hosts",
       doc="Networks no MX may point into; such a domain fails.")
option("resolv_conf", Text(), scopes=GLOBAL, page="4/config/ref-resolv-conf",
       doc="Resolver configuration; unset: the system's.")
option("rollup_mx", Boolean(), scopes={"host"}, page="4/config/ref-rollup-mx",
       doc="Treat all names of one MX host as one.")
option("rollup_mx_name", Text(), scopes={"host"}, page="4/config/ref-rollup-mx-name",
       doc="Name the joined MX hosts go by.")
option("routes", Routes(), scopes=ROUTING, page="4/config/ref-routes",
       doc="Servers that replace the domain's MX: hosts, addresses, __mx__, or smtp://HOST?pref=P&ttl=T&port=O&type=mx.")
option("skip_hosts", Nets(), scopes=GLOBAL, page="4/config/ref-skip-hosts",
       doc="Networks whose MX addresses are passed over.")
option("use_ipv6", Boolean(False), scopes=GLOBAL, page="4/config/ref-use-ipv-6",
       doc="Look up and connect to IPv6 addresses.")
