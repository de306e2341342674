"""Module names, and the options of the modules that are part of the engine."""
from pymomentum.options.types import Boolean, Enum, Number, Octal, Text

NAMES = frozenset("""
ac_auth adaptive alerting alias antivirus apn apn_logger as_logger auth_ds auth_radius beik
bind_address_secondary bounce_classifier_override bounce_logger brightmail bzip2io cassandra_client cassandra_native_client chunk_logger cidrdb clamav
cloudmark cluster commtouch_ctasd compress_spool conntrol csapi curfew custom_bounce_logger custom_logger dane
delay_dsn dk_sign dk_validate dkim2 dkim_sign dkim_validate dnsbuf domainkeys ds_core ds_ldap ec_logger eleven
engagement_tracker event_hydrant exim_logger fbl fingerprint gcm gcm_logger gzipio ha_proxy_client http_logger
httpsrv icu ilf_logger inbound_audit ipv6_lookup jlog mail_loop maildir mm7 mm7_serv mms_bounce_logger
mms_logger msg_gen msgc msgc_client msgc_server mxip openarc opendkim outbound_audit outbound_smtp_auth
outbound_smtp_auth_v0 persist_io pipe_io pipe_transport postfix_logger reception_timing
reception_timing_logger response_transcode restinjector sched scriptlet securecreds seedlist senderid
sendmail_logger sieve sievelib smpp smpp_bounce_logger smpp_logger smtp_auth_proxy smtp_cbv smtp_rcptto_proxy smtpapi
spamassassin spf spf_macros spf_v1 static_routes substitution_engine suppress_spool syslog_io tls_macros url_ripper
""".split())

SINGLETONS = frozenset("""
adaptive alerting apn as_logger auth_ds auth_radius beik bounce_classifier_override bzip2io cidrdb cloudmark cluster
compress_spool curfew ds_core eleven fbl gcm gzipio httpsrv icu ilf_logger inbound_audit jlog mm7 mm7_serv msgc_client
msgc_server persist_io pipe_io response_transcode restinjector sched scriptlet securecreds smpp spamassassin
spf_macros syslog_io
""".split())        # all stanzas of such a module have one name

OPTIONS = {}        # module -> option -> ModuleOption


class ModuleOption:
    """One option of a module's stanza."""

    __slots__ = ("name", "type", "unit", "doc")

    def __init__(self, name, type, unit, doc):
        self.name, self.type, self.unit, self.doc = name, type, unit, doc


def module_option(module, name, type, *, doc, unit=""):
    """Declare an option of a module that is built in."""
    OPTIONS.setdefault(module, {})[name] = ModuleOption(name, type, unit, doc)


for built_in in ("bounce_logger", "ec_logger"):
    module_option(built_in, "enabled", Boolean(True),
                  doc="Whether the module works by itself.")
    module_option(built_in, "debug_level", Enum("debug info notice warning error critical", "error"),
                  doc="Least severe event that goes to the paniclog.")
module_option("bounce_logger", "bouncelog", Text("/var/log/ecelerity/bouncelog.ec"),
              doc="Log of bounces.")
module_option("bounce_logger", "bouncelog_mode", Octal(0o644),
              doc="Permissions of the bouncelog.")
module_option("bounce_logger", "heartbeat", Number(60), unit="seconds",
              doc="Time between two heartbeat lines; 0 writes none.")
module_option("bounce_logger", "log_inband_bounces", Boolean(True),
              doc="Log failures in the dialogue with the receiver.")
module_option("bounce_logger", "log_outofband_bounces", Boolean(True),
              doc="Log bounces that arrive as mail.")
module_option("bounce_logger", "log_transient_failures", Boolean(True),
              doc="Log attempts that are tried again.")
module_option("ec_logger", "acctlog", Text("/var/log/ecelerity/acctlog.ec"),
              doc="Log of logins.")
module_option("ec_logger", "acctlog_log_mode", Octal(0o644),
              doc="Permissions of the acctlog.")
module_option("ec_logger", "heartbeat", Number(60), unit="seconds",
              doc="Time between two heartbeat lines; 0 writes none.")
module_option("ec_logger", "importlog", Text(),
              doc="Log of messages taken over from another node.")
module_option("ec_logger", "importlog_mode", Octal(0o644),
              doc="Permissions of the importlog.")
module_option("ec_logger", "log_deliveries", Boolean(True),
              doc="Log deliveries.")
module_option("ec_logger", "log_errors", Boolean(True),
              doc="Log internal errors.")
module_option("ec_logger", "log_permanent_failures", Boolean(True),
              doc="Log mail that failed for good.")
module_option("ec_logger", "log_receptions", Boolean(True),
              doc="Log receptions.")
module_option("ec_logger", "log_rejections", Boolean(True),
              doc="Log what was refused in the dialogue.")
module_option("ec_logger", "log_transient_failures", Boolean(True),
              doc="Log attempts that are tried again.")
module_option("ec_logger", "mainlog", Text("/var/log/ecelerity/mainlog.ec"),
              doc="Log of receptions, deliveries and failures.")
module_option("ec_logger", "mainlog_mode", Octal(0o644),
              doc="Permissions of the mainlog.")
module_option("ec_logger", "paniclog", Text("/var/log/ecelerity/paniclog.ec"),
              doc="Log of what went wrong in the server.")
module_option("ec_logger", "paniclog_mode", Octal(0o644),
              doc="Permissions of the paniclog.")
module_option("ec_logger", "rejectlog", Text("/var/log/ecelerity/rejectlog.ec"),
              doc="Log of refused mail and connections.")
module_option("ec_logger", "rejectlog_mode", Octal(0o644),
              doc="Permissions of the rejectlog.")
