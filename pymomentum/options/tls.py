"""TLS in both directions, DANE and MTA-STS."""
from pymomentum.options.registry import DELIVERY, GLOBAL, ROUTING, SESSION, SESSION_GLOBAL, option
from pymomentum.options.types import Boolean, Enum, File, Number, Protocols, Text

option("crypto_engine", Text(), scopes=GLOBAL, page="4/config/ref-crypto-engine",
       doc="OpenSSL engine; accepted and without effect on OpenSSL 3.")
option("crypto_lock_method", Enum("EC_SSL_SPINLOCK EC_SSL_MUTEX EC_SSL_DEFAULTLOCK", "EC_SSL_DEFAULTLOCK"),
       scopes=GLOBAL, dynamic=False, page="4/config/crypto-lock-method",
       doc="Locks of the crypto library; accepted and without effect.")
option("enable_dane", Boolean(), scopes=DELIVERY, page="4/config/enable-dane",
       doc="Apply DANE to this delivery; unset follows use_dane.")
option("enable_mta_sts", Boolean(), scopes=DELIVERY, page="4/config/mta-sts/enable-mta-sts",
       doc="Apply MTA-STS to this delivery; unset follows use_mta_sts.")
option("mta_sts_dns_cname_max_depth", Number(5), scopes=ROUTING, page="4/config/mta-sts/mta-sts-dns-cname-max-depth",
       doc="CNAMEs followed to a policy record.")
option("mta_sts_policy_store", Text("/var/spool/ecelerity/mtasts"), scopes=GLOBAL, dynamic=False,
       page="4/config/mta-sts/mta-sts-policy-store",
       doc="Folder of fetched MTA-STS policies.")
option("ssl_lock_method", Enum("mutex spinlock default", "mutex"), scopes=GLOBAL, dynamic=False,
       page="4/config/ssl-lock-method",
       doc="Locks of the TLS library; accepted and without effect.")
option("tls", Enum("no ifavailable required", "no"), scopes=DELIVERY, page="4/config/ref-tls",
       doc="Whether a delivery uses STARTTLS.")
option("tls_allow_renegotiation", Boolean(True), scopes=SESSION | {"ecstream_listener", "http_listener"},
       page="4/config/tls-allow-renegotiation",
       doc="Let clients renegotiate, up to eight times in a connection (TLS 1.2).")
option("tls_ca", Text(), scopes=DELIVERY, page="4/config/tls-ca",
       doc="File of authorities that vouch for servers.")
option("tls_certificate", File(), scopes=SESSION_GLOBAL | DELIVERY | {"ecstream_listener", "http_listener"},
       page="4/config/tls-certificate",
       doc="Certificate file, with its chain; none: no certificate, whatever an outer scope says.")
option("tls_ciphers", Text(), scopes=SESSION_GLOBAL | DELIVERY | {"ecstream_listener", "http_listener"},
       page="4/config/tls-ciphers",
       doc="Ciphers up to TLS 1.2, as OpenSSL writes them.")
option("tls_client_ca", Text(), scopes=SESSION_GLOBAL | {"ecstream_listener", "http_listener"},
       page="4/config/tls-client-ca",
       doc="File of authorities that vouch for clients.")
option("tls_dhparams_file", Text(), scopes=GLOBAL, page="4/config/ref-tls-dhparams-file",
       doc="File of Diffie-Hellman parameters.")
option("tls_ec_curve_names", Text(), scopes=GLOBAL, page="4/config/tls-ec-curve-names",
       doc="Curves offered, separated by colons.")
option("tls_enable_dhe_ciphers", Boolean(True), scopes=GLOBAL, page="4/config/ref-tls-enable-dhe-ciphers",
       doc="Offer finite-field Diffie-Hellman.")
option("tls_engine", Enum("openssl gnutls", "openssl"), scopes=GLOBAL, dynamic=False, page="4/config/tls-engine",
       doc="TLS library; OpenSSL alone is built in.")
option("tls_fallback_always_new_connection", Boolean(True), scopes=GLOBAL, page="changelog/4",
       doc="Fall back to plain text on a fresh connection.")
option("tls_ifavailable_fallback", Boolean(True), scopes=DELIVERY, page="4/config/tls-ifavailable-fallback",
       doc="Deliver in plain text when opportunistic TLS fails.")
option("tls_key", File(), scopes=SESSION_GLOBAL | DELIVERY | {"ecstream_listener", "http_listener"},
       page="4/config/tls-key",
       doc="Private key file; none: the key is in the certificate file.")
option("tls_protocols", Protocols("+ALL"), scopes=SESSION_GLOBAL | DELIVERY | {"ecstream_listener", "http_listener"},
       page="4/config/tls-protocols",
       doc="Protocol versions, +NAME and -NAME joined by colons, from left to right; ALL is TLSv1.2 and TLSv1.3.")
option("tls_verify", Enum("no ca host optional", "no"), scopes=DELIVERY, page="4/config/tls-verify",
       doc="How the server's certificate is checked.")
option("tls_verify_mode", Enum("none require"), scopes=SESSION | {"ecstream_listener", "http_listener"},
       page="4/config/tls-verify-mode",
       doc="Whether clients must show a certificate that verifies.")
option("tlsa_expire_interval", Number(3600), unit="seconds", scopes=GLOBAL, page="4/config/tlsa-expire-interval",
       doc="How often kept TLSA records are looked through.")
option("tlsv13_ciphersuites", Text(), scopes=SESSION_GLOBAL | DELIVERY | {"http_listener"},
       page="4/config/tlsv13-ciphersuites",
       doc="Suites of TLS 1.3, separated by colons.")
option("use_dane", Boolean(False), scopes=ROUTING, page="4/config/use-dane",
       doc="Look up TLSA records of receivers.")
option("use_mta_sts", Boolean(False), scopes=ROUTING, page="4/config/mta-sts/use-mta-sts",
       doc="Look up MTA-STS policies of receivers.")
option("use_ssl", Boolean(False), scopes=SESSION | {"ecstream_listener", "http_listener"},
       page="4/config-options-summary",
       doc="Speak TLS from the first byte.")
