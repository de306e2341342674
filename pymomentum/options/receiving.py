"""What a client may do on the way in: sessions, relaying, addresses, headers."""
from pymomentum.options.registry import DELIVERY, PATHWAYS, RECEPTION, SESSION, SESSION_GLOBAL, option
from pymomentum.options.types import Boolean, Dict, Domains, Enum, HostName, Limit, List, Nets, Number, Text, Throttle

option("allow_ip_literal", Boolean(True), scopes=SESSION_GLOBAL, page="4/config/ref-allow-ip-literal",
       doc="Accept address literals such as user@[192.0.2.1] in envelopes.")
option("allow_null_envelope_sender", Boolean(True), scopes=SESSION_GLOBAL,
       page="4/config/ref-allow-null-envelope-sender",
       doc="Accept MAIL FROM:<>, the reverse-path of bounces.")
option("allow_trailing_whitespace_in_commands", Boolean(False), scopes=SESSION_GLOBAL,
       page="4/config/ref-allow-trailing-whitespace-in-commands",
       doc="Ignore blanks at the end of MAIL FROM and RCPT TO, and around their addresses.")
option("always_allow", Boolean(False), scopes=SESSION | {"control_listener", "http_listener"},
       page="4/control-auth#control_auth.overriding",
       doc="Take every client for one that has authenticated; it may relay.")
option("always_deny", Boolean(False), scopes=SESSION | {"control_listener", "http_listener"},
       page="4/control-auth#control_auth.overriding",
       doc="Take no client for one that has authenticated, whatever always_allow says.")
option("authcrammd5parameters", Dict(), scopes=SESSION | {"control_listener"},
       page="4/inbound-smtp#inbound_smtp.cram-md5",
       doc="CRAM-MD5: where the secrets are (uri) and whether logins are logged.")
option("authdigestmd5parameters", Dict(), scopes=SESSION | {"control_listener", "http_listener"},
       page="4/inbound-smtp#inbound_smtp.digest-md5",
       doc="DIGEST-MD5: uri, realm and how the secrets are stored.")
option("authloginparameters", Dict(), scopes=SESSION | {"control_listener"},
       page="4/control-auth#control_auth.clear.text",
       doc="AUTH LOGIN: where the passwords are (uri) and whether logins are logged.")
option("authorizationparameters", Dict(), scopes={"control_listener", "esmtp_listener", "listen"},
       page="4/control-authz#control_authz.ecauth",
       doc="Where the groups of an authenticated user are looked up (uri).")
option("authplainparameters", Dict(), scopes=SESSION | {"http_listener"},
       page="4/inbound-smtp#inbound_smtp.plain.text",
       doc="AUTH PLAIN: where the passwords are (uri) and whether logins are logged.")
option("banner_hostname", HostName(), scopes=SESSION, page="4/config-options-summary",
       doc="Host name in the 220 greeting; unset: the server's.")
option("bounce_domains", Domains(), scopes=RECEPTION, page="4/config/ref-bounce-domains",
       doc="Domains whose mail is read as out-of-band bounces.")
option("command_timeout", Number(300, minimum=1), unit="seconds", scopes=SESSION_GLOBAL,
       doc="Wait for the next command (RFC 5321 4.5.3.2.7).")
option("context", Dict(), scopes=SESSION, page="4/config/ref-context",
       doc="Connection context variables a session starts with.")
option("data_timeout", Number(180, minimum=1), unit="seconds", scopes=SESSION_GLOBAL,
       doc="Wait for the next piece of a message body (RFC 5321 4.5.3.2.5).")
option("default_charset", Text("us-ascii"), scopes=RECEPTION, page="4/config/ref-default-charset",
       doc="Character set of text parts that name none.")
option("domain_for_unqualified_recipient_addresses", HostName(), scopes=SESSION_GLOBAL,
       page="4/config/ref-domain-for-unqualified-recipient-addresses",
       doc="Domain appended to a recipient without one.")
option("domain_for_unqualified_sender_address", HostName(), scopes=SESSION_GLOBAL,
       page="4/config/ref-domain-for-unqualified-sender-address",
       doc="Domain appended to a sender without one.")
option("enable_authentication", Boolean(), scopes=SESSION | {"control_listener", "http_listener"},
       page="4/control-auth",
       doc="Offer and check AUTH; unset: offered when a mechanism is configured.")
option("enable_authorization", Boolean(), scopes={"control_listener", "listen", "peer"}, page="4/control-authz",
       doc="Check console commands against the roles of the user.")
option("generate_bounces_for_multi_recipient_policy_rejections", Boolean(True), scopes=RECEPTION,
       page="4/config/ref-generate-bounces-for-multi-recipient-policy-rejections",
       doc="Bounce for the recipients that policy refuses while it accepts others.")
option("idle_time", Number(0), unit="seconds", scopes=SESSION | {"http_listener"}, page="4/config/ref-idle-time",
       doc="Close an inbound session silent for so long; 0 leaves that to command_timeout and data_timeout.")
option("inbound_throttle_messages", Throttle(), scopes=RECEPTION, page="4/config/ref-inbound-throttle-messages",
       doc="Most messages received in a time; unset or 0 is unlimited.")
option("listener_sessions", Limit(0, unlimited=0), unit="sessions", scopes=SESSION, page="4/config/ref-listener-sessions",
       doc="Most sessions at once of all that this stanza counts for, beside what others say; 0 is unlimited.")
option("max_bad_commands", Number(20), scopes=SESSION_GLOBAL,
       doc="Commands with errors that end a session; 0 is unlimited.")
option("max_command_length", Number(2048, minimum=512, maximum=1048576), unit="bytes", scopes=SESSION_GLOBAL,
       doc="Longest command line, with its CRLF (RFC 5321 4.5.3.1.4).")
option("max_header_bytes", Number(1048576, minimum=1024), unit="bytes", scopes=SESSION_GLOBAL,
       doc="Largest header section of a message.")
option("max_message_size", Number(0), unit="bytes", scopes=SESSION, page="4/config-options-summary",
       doc="Largest message accepted and announced by SIZE; 0 is unlimited.")
option("max_mime_depth", Number(50, minimum=1, maximum=1000), scopes=SESSION_GLOBAL,
       doc="Deepest nesting of parts that is parsed; for mail on its way out the global value counts.")
option("max_mime_parts", Number(1000, minimum=1), unit="parts", scopes=SESSION_GLOBAL,
       doc="Most parts of one message that are parsed; for mail on its way out the global value counts.")
option("max_receptions_per_connection", Number(0), unit="messages", scopes=SESSION_GLOBAL,
       page="4/config-options-summary",
       doc="Messages taken from one connection, which stays open and gets 452 for more; 0 is unlimited.")
option("max_recipients_per_connection", Number(0), unit="recipients",
       scopes=DELIVERY | {"esmtp_listener", "listen", "peer"}, page="4/config-options-summary",
       doc="Recipients in one connection, in either direction; 0 is unlimited.")
option("max_recipients_per_message", Number(0), unit="recipients", scopes=SESSION, page="4/config-options-summary",
       doc="Recipients accepted in one transaction; 0 is unlimited.")
option("mcmt_reception", Enum("passthru", "passthru"), scopes=SESSION,
       page="mobile/mobile-reference/mm-7-mcmt-reception",
       doc="What happens to multimedia content on arrival.")
option("open_relay", Boolean(False), scopes=SESSION, page="4/config/ref-open-relay",
       doc="Relay for everyone who may connect here.")
option("pathway", Text(), scopes={"ecstream_listener", "esmtp_listener", "listen", "peer"},
       page="4/config/ref-pathway",
       doc="Name of the pathway whose options apply to sessions here.")
option("received_hostname", HostName(), scopes=SESSION, page="4/config-options-summary",
       doc="Host name in the Received header; unset: the server's.")
option("reconfig_message", Text("4.3.2 Reconfiguration in progress"), scopes={"esmtp_listener"},
       page="4/esmtp-listener-reconfig-message",
       doc="Text of the 421 that ends sessions of an outdated configuration.")
option("relay_domains", Domains(), scopes=RECEPTION, page="4/config/ref-relay-domains",
       doc="Domains any client may send to.")
option("relay_for_sending_domains", Domains(), scopes=SESSION, page="4/config/ref-relay-for-sending-domains",
       doc="Sender domains that may relay from anywhere; unset, none. WARNING: an empty list, ( ), is an open relay.")
option("relay_hosts", Nets(), scopes=SESSION_GLOBAL, page="4/config/ref-relay-hosts",
       doc="Networks whose clients may relay.")
option("require_ehlo", Boolean(False), scopes=SESSION_GLOBAL, page="4/config/ref-require-ehlo",
       doc="Refuse commands before EHLO or HELO, but for NOOP, RSET, HELP and QUIT.")
option("rfc2821_allow_whitespace_in_envelope", Boolean(False), scopes=RECEPTION,
       page="4/config/ref-rfc-2821-allow-whitespace-in-envelope",
       doc="The same as allow_trailing_whitespace_in_commands.")
option("rfc2821_pedantic_address_rules", Boolean(True), scopes=RECEPTION,
       page="4/config/ref-rfc-2821-pedantic-address-rules",
       doc="Hold envelope addresses to the letter of the standard.")
option("rfc2822_date_header", Enum("ignore pedantic ifneeded", "ifneeded"), scopes=RECEPTION,
       page="4/config/ref-rfc-2822-date-header",
       doc="Whether a missing Date header is added or its lack refused.")
option("rfc2822_lone_lf_in_body", Enum("ignore pedantic fix", "ignore"), scopes=RECEPTION,
       page="4/config/ref-rfc-2822-lone-lf-in-body",
       doc="What to do about CR or LF by itself in a body; ignore takes it and sends CR LF in its place.")
option("rfc2822_lone_lf_in_headers", Enum("fix pedantic", "pedantic"), scopes=RECEPTION,
       page="4/config/ref-rfc-2822-lone-lf-in-headers",
       doc="What to do about a line feed without carriage return in headers.")
option("rfc2822_max_line_length", Number("ignore", minimum=1, words={"ignore": -1, "pedantic": -2, "fix": -3}),
       unit="bytes", scopes=RECEPTION, page="4/config/ref-rfc-2822-max-line-length",
       doc="Longest line of a message, or how lines over 998 bytes are treated.")
option("rfc2822_max_line_length_policy", Enum("none fix reject", "none"), scopes=RECEPTION,
       page="4/config/ref-rfc-2822-max-line-length-policy",
       doc="What happens to a message with a line above rfc2822_max_line_length, or above 998 bytes where that is no number.")
option("rfc2822_messageid_header", Enum("ignore ifneeded", "ifneeded"), scopes=RECEPTION,
       page="4/config/ref-rfc-2822-messageid-header",
       doc="Whether a missing Message-ID header is added.")
option("rfc2822_missing_headers", Enum("reject allow", "reject"), scopes=RECEPTION,
       page="4/config/ref-rfc-2822-missing-headers",
       doc="Whether mail without the required headers is accepted.")
option("rfc2822_trace_headers", Boolean(True), scopes=RECEPTION, page="4/config/ref-rfc-2822-trace-headers",
       doc="Add a Received header to mail that comes in.")
option("service_sessions", Limit(0, unlimited=0), unit="sessions", scopes=SESSION, page="4/config/ref-service-sessions",
       doc="Most sessions at once over all addresses of a listener, in a Peer of its own, beside what others say; 0 is unlimited.")
option("smtp_extensions", List(), scopes=SESSION, page="4/esmtp-listener-extensions",
       doc="Extensions announced in answer to EHLO, each with its arguments.")
option("starttls_injection_policy", Enum("allow ignore reject", "reject"), scopes=SESSION,
       page="4/config/starttls-injection-policy",
       doc="What happens to bytes that a client sends with STARTTLS, behind it; reject ends the session.")
option("static_banner", Text(), scopes=SESSION, page="4/config-options-summary",
       doc="Whole text of the greeting, in place of the usual one, with its 220 or without.")
option("tls_verified_peer_can_relay", Boolean(False), scopes=SESSION | {"ecstream_listener"},
       page="4/config-options-summary",
       doc="Relay for clients whose certificate verifies.")
option("tls_verified_peer_is_authorized", Boolean(False), scopes={"http_listener", "listen", "pathway", "peer"},
       page="4/config/tls-verified-peer-is-authorized",
       doc="Treat clients whose certificate verifies as logged in.")
