"""The way out: connections, the SMTP dialogue, bounces."""
from socket import gethostname

from pymomentum.options.registry import BINDINGS, DELIVERY, DELIVERY_HOST, GLOBAL, ROUTING, option
from pymomentum.options.types import (Address, Boolean, Enum, Expression, Expressions, Gateway, HostName, Limit, MailAddress, Mailbox, Number, Server,
                                      Source, Text)

option("bind_address", Source("*"), scopes=BINDINGS, page="4/config/ref-bind-address",
       doc="Source address of outbound connections; * leaves it to the kernel.")
option("bind_address_secondary", Source(), scopes={"binding"}, dynamic=False, page="4/modules/bind-address-secondary",
       doc="Source address of the other family than bind_address.")
option("blackhole", Enum("false true inline internal", "false"), scopes=DELIVERY, page="4/config/ref-blackhole",
       doc="Whether mail is refused at RCPT TO (true, inline) or failed in its queue (internal); what waits fails too.")
option("body_timeout", Number(600, minimum=1), unit="seconds", scopes=DELIVERY, page="4/config/ref-body-timeout",
       doc="Wait for the peer during and after the message body.")
option("bounce_behavior", Enum("pass blackhole", "pass"), scopes=ROUTING, page="4/config/ref-bounce-behavior",
       doc="Whether bounces to this domain are delivered or discarded.")
option("bounce_pattern", Expression(), scopes=ROUTING, page="4/config/ref-bounce-pattern",
       doc="Regular expression for recipients whose mail counts as bounces; unset, those of all bounce_domains.")
option("bounce_suppress_list", Text(joins=True), scopes=GLOBAL, page="4/config/ref-bounce-suppress-list",
       doc="Addresses, or @domains, that a bounce received is never about, separated by commas.")
option("bounces_inline_original", Enum("headers none all", "headers"), scopes=DELIVERY,
       page="4/config/ref-bounces-inline-original",
       doc="How much of the original a bounce quotes; of a large message never more than its header.")
option("connect_timeout", Number(300, minimum=1), unit="seconds", scopes=DELIVERY,
       page="4/config/ref-connect-timeout",
       doc="Wait for a connection to open.")
option("connect_timeout_to_delay", Number(900), unit="seconds", scopes=DELIVERY,
       page="4/config/ref-connect-timeout-to-delay",
       doc="Without any connection for so long, the domain's queue is put off.")
option("connection_allocation_aggressiveness", Enum("normal high", "normal"), scopes=DELIVERY,
       page="4/config/ref-connection-allocation-aggressiveness",
       doc="How eagerly further connections are opened.")
option("default_binding", Enum("normal suspended none", "normal"), scopes=GLOBAL, page="4/config/ref-default-binding",
       doc="What mail without a chosen binding meets.")
option("delay_dsn_max_retry_interval", Number(43200), unit="seconds", scopes=DELIVERY,
       page="4/config/ref-delay-dsn-max-retry-interval",
       doc="Longest wait between two delay notices; 0 is uncapped.")
option("delay_dsn_retry_interval", Number(3600), unit="seconds", scopes=DELIVERY,
       page="4/config/ref-delay-dsn-retry-interval",
       doc="First wait before a delay notice.")
option("delivery_method", Enum("ESMTP SMTP LMTP ECSTREAM APN GCM MM7 XFER DELAY_XFER", "ESMTP"), scopes=DELIVERY,
       page="4/config/ref-delivery-method",
       doc="Protocol spoken to the receiver.")
option("delivery_response_timeout", Number(5000), unit="milliseconds", scopes=ROUTING | {"binding"},
       page="4/config/ref-delivery-response-timeout",
       doc="Wait for the answer of a delivery module.")
option("domainkeys", Enum("enabled disabled"), scopes=DELIVERY, page="4/config/ref-domainkeys",
       doc="Sign by DomainKeys.")
option("ecstream_port", Number(1825, minimum=1, maximum=65535), scopes=DELIVERY, page="4/config/ref-ecstream-port",
       doc="Port for ECStream delivery.")
option("ecstream_timeout", Number(600, minimum=1), unit="seconds", scopes=DELIVERY,
       page="4/config/ref-ecstream-timeout",
       doc="Wait for the peer in an ECStream delivery.")
option("ehlo_hostname", HostName("__hostname__"), scopes=DELIVERY, page="4/config/ref-ehlo-hostname",
       doc="Name in EHLO: a host name, __hostname__, or __message__ for the message's own.")
option("ehlo_timeout", Number(300, minimum=1), unit="seconds", scopes=DELIVERY, page="4/config/ref-ehlo-timeout",
       doc="Wait for the greeting and for the reply to EHLO.")
option("enable_fbl_header_insertion", Enum("enabled disabled"), scopes=DELIVERY,
       page="4/config/ref-enable-fbl-header-insertion",
       doc="Add the X-MSFBL header.")
option("exclude_vctx_conn", Expressions(), scopes=DELIVERY, page="4/config/ref-exclude-vctx-conn",
       doc="Expressions of connection context names that are not kept with the message.")
option("exclude_vctx_mess", Expressions(), scopes=DELIVERY, page="4/config/ref-exclude-vctx-mess",
       doc="Expressions of message context names that are not kept.")
option("gateway", Gateway(), scopes=DELIVERY, page="4/config/ref-gateway",
       doc="Host, with port if wanted, that gets all mail in place of the domain's MX.")
option("generate_bounces", Boolean(True), scopes=DELIVERY, page="4/config/ref-generate-bounces",
       doc="Tell the sender when mail fails.")
option("generate_delay_dsn", Boolean(False), scopes=DELIVERY, page="4/config/ref-generate-delay-dsn",
       doc="Tell the sender when mail is late.")
option("http_basic_auth", Text(), scopes=DELIVERY, page="4/config/ref-http-basic-auth",
       doc="user:password for HTTP delivery.")
option("http_host", Text(), scopes=DELIVERY, page="4/config/ref-http-host",
       doc="Host header of HTTP delivery.")
option("http_method", Enum("POST SET GET DELETE", "POST"), scopes=DELIVERY, page="4/config/ref-http-method",
       doc="Method of HTTP delivery.")
option("http_uri", Text(""), scopes=DELIVERY, page="4/config/ref-http-uri",
       doc="Path of HTTP delivery.")
option("http_version", Enum("0.9 1.0 1.1", "1.1"), scopes=DELIVERY, page="4/config/ref-http-version",
       doc="Version of HTTP delivery.")
option("idle_timeout", Number(5), unit="seconds", scopes=DELIVERY, page="4/config/ref-idle-timeout",
       doc="Keep an idle outbound connection for so long in case more mail comes.")
option("lmtp_port", Number(2003, minimum=1, maximum=65535), scopes=DELIVERY, page="4/config/ref-lmtp-port",
       doc="Port for LMTP delivery.")
option("mailerdaemon", Mailbox(lambda: f"mailer-daemon@{gethostname()}"), scopes=DELIVERY,
       page="4/config/ref-mailerdaemon",
       doc="Sender shown in bounces.")
option("mailfrom_timeout", Number(300, minimum=1), unit="seconds", scopes=DELIVERY,
       page="4/config/ref-mailfrom-timeout",
       doc="Wait for the reply to MAIL FROM.")
option("max_deliveries_per_connection", Number(0), unit="messages", scopes=DELIVERY,
       page="4/config/ref-max-deliveries-per-connection",
       doc="Messages over one connection; 0 is unlimited.")
option("max_outbound_connections", Number(32, minimum=-1), unit="connections", scopes=DELIVERY_HOST,
       page="4/config/ref-max-outbound-connections",
       doc="Most connections of a binding to a domain; -1 is unlimited.")
option("max_recipients_per_batch", Number(100, minimum=1), unit="recipients", scopes=DELIVERY,
       page="4/config/ref-max-recipients-per-batch",
       doc="Recipients in one outbound transaction.")
option("max_reply_length", Number(4096, minimum=512, maximum=1048576), unit="bytes", scopes=DELIVERY,
       doc="Bytes of a reply line that are kept.")
option("max_reply_lines", Number(100, minimum=1), unit="lines", scopes=DELIVERY,
       doc="Lines of one reply before the connection is given up.")
option("mdn_failures_notify", MailAddress(), scopes=DELIVERY, page="4/config/ref-mdn-failures-notify",
       doc="Address that gets the reports of mail without a sender.")
option("opendkim_sign", Boolean(True), scopes=DELIVERY, dynamic=False, page="4/config/ref-opendkim-sign",
       doc="Let opendkim sign where a key is configured.")
option("rcptto_timeout", Number(300, minimum=1), unit="seconds", scopes=DELIVERY, page="4/config/ref-rcptto-timeout",
       doc="Wait for the reply to RCPT TO.")
option("remote_smtp_port", Number(25, minimum=1, maximum=65535), scopes=DELIVERY,
       page="4/config/ref-remote-smtp-port",
       doc="Port of the receiving server.")
option("response_transcode_pattern", Expression(), scopes=DELIVERY, page="4/config/ref-response-transcode-pattern",
       doc="Expression over the receiver's reply that is to be rewritten.")
option("response_transcode_replace", Text(lines=True), scopes=DELIVERY, page="4/config/ref-response-transcode-replace",
       doc="What a matching reply becomes.")
option("rset_timeout", Number(30, minimum=1), unit="seconds", scopes=DELIVERY, page="4/config/ref-rset-timeout",
       doc="Wait for the reply to RSET.")
option("scope_max_outbound_connections", Limit(), unit="connections", scopes=DELIVERY_HOST,
       page="4/config/ref-scope-max-outbound-connections",
       doc="Most connections of the whole scope together; unset is unlimited.")
option("send_8bitmime", Enum("no ifavailable", "no"), scopes=DELIVERY, page="4/config/ref-send-8-bitmime",
       doc="Send eight-bit bodies as they are where the peer offers 8BITMIME.")
option("server_max_outbound_connections", Number(75000), unit="connections", scopes=BINDINGS,
       page="4/config/ref-server-max-outbound-connections",
       doc="Most outbound connections of the server or binding.")
option("server_reserve_outbound_connections", Number(200), unit="connections", scopes=GLOBAL,
       page="4/config/ref-server-reserve-outbound-connections",
       doc="Outbound connections kept back for domains that have none.")
option("signing_stats", Enum("all global off", "all"), scopes=GLOBAL, page="4/config/ref-signing-stats",
       doc="How signatures are counted.")
option("siv_throttle_cache_size", Number(1000), scopes=GLOBAL, page="4/config/ref-siv-throttle-cache-size",
       doc="Named throttles kept in memory.")
option("soft_bounce_drain_rate", Number(100, minimum=1), unit="messages per scheduler iteration", scopes=GLOBAL,
       page="4/config/ref-soft-bounce-drain-rate",
       doc="Bounces written in one turn of the loop.")
option("teleport_enabled", Boolean(), scopes=ROUTING | {"binding"}, page="4/outbound-xfer",
       doc="Hand messages over to another node.")
option("transform_8bitmime_content", Enum("no ifneeded strict strip", "ifneeded"), scopes=DELIVERY,
       page="4/config/ref-transform-8-bitmime-content",
       doc="What becomes of eight-bit bodies when the peer takes seven bits.")
option("xclient", Enum("no ifavailable required", "no"), scopes=DELIVERY, page="4/config/ref-xclient",
       doc="Forward the client's identity by XCLIENT.")
option("ha_proxy_bypass", Boolean(False), scopes={"domain"}, page="4/modules/ha-proxy-client",
       doc="Connect to this domain without the proxy of the binding.")
option("ha_proxy_ipv6_src_addr", Address(6), scopes={"binding", "binding_group"}, page="4/modules/ha-proxy-client",
       doc="IPv6 source address that the proxy is asked to use.")
option("ha_proxy_server", Server(), scopes={"binding", "binding_group"}, page="4/modules/ha-proxy-client",
       doc="Proxy that outbound connections go through, host:port.")
option("ha_proxy_src_addr", Address(4), scopes={"binding", "binding_group"}, page="4/modules/ha-proxy-client",
       doc="IPv4 source address that the proxy is asked to use.")
option("outbound_smtp_auth_key", Text(), scopes=DELIVERY, page="4/modules/outbound-smtp-auth_v0",
       doc="Name by which policy looks up the login.")
option("outbound_smtp_auth_pass", Text(), scopes=DELIVERY, page="4/modules/outbound-smtp-auth",
       doc="Password for logging in to the receiver.")
option("outbound_smtp_auth_type", Enum("LOGIN PLAIN XOAUTH2"), scopes=DELIVERY, page="4/modules/outbound-smtp-auth",
       doc="How to log in to the receiver; unset: not at all.")
option("outbound_smtp_auth_user", Text(), scopes=DELIVERY, page="4/modules/outbound-smtp-auth",
       doc="User name for logging in to the receiver.")
