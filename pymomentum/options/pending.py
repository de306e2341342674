"""Options that are declared but not read by the server yet.

`python -m pymomentum.options.pending` prints what the list should be, `--write`
puts it in place.  An option counts as read when core names its OPT_ id or
Python asks values["name"], values.get("name"), globals["name"], flags["name"],
value("name"), setting("name"), said(listen, "name") or threadpools["pool"]["name"].  One of a built-in module, module.option here, is
read when loggers.py names it.
"""
import re
import sys
from pathlib import Path

PENDING = frozenset("""
adaptive_adjustment_interval
adaptive_alert_email_destination
adaptive_alert_email_sender
adaptive_attempt_threshold
adaptive_body_timeout
adaptive_default_suspension
adaptive_default_suspension_enabled
adaptive_ehlo_timeout
adaptive_enabled
adaptive_fbl_volume_threshold
adaptive_idle_timeout
adaptive_mailfrom_timeout
adaptive_max_deliveries_per_connection
adaptive_max_outbound_connections
adaptive_max_recipients_per_batch
adaptive_max_recipients_per_connection
adaptive_max_resident_active_queue
adaptive_max_retries
adaptive_max_retry_interval
adaptive_notification_events
adaptive_notification_interval
adaptive_outbound_throttle_messages
adaptive_positive_adjustment_interval
adaptive_rcptto_timeout
adaptive_rejection_rate_suspension_percentage
adaptive_retry_fuzz
adaptive_retry_interval
adaptive_rset_timeout
adaptive_scope
adaptive_sweep_rule_enabled
alias_schemes
authcrammd5parameters
authdigestmd5parameters
authloginparameters
authorizationparameters
authplainparameters
binding_auto_replumb
binding_auto_replumb_interval
bounce_behavior
bounce_pattern
bounce_suppress_list
click_tracking_enabled
click_tracking_scheme
cluster_max_outbound_connections
cluster_outbound_throttle_connections
cluster_outbound_throttle_messages
cluster_scope_max_outbound_connections
cluster_server_max_outbound_connections
default_charset
delay_dsn_max_retry_interval
delay_dsn_retry_interval
delivery_response_timeout
disable_chunked
domainkeys
duravip_follow
duravip_preference
ecstream_idle_time
ecstream_max_batch_size
ecstream_port
ecstream_timeout
enable_authentication
enable_authorization
enable_dane
enable_duravip
enable_fbl_header_insertion
enable_mta_sts
generate_delay_dsn
http_basic_auth
http_host
http_method
http_uri
http_version
keep_message_dicts_in_memory
legacy_message_threshold
log_requests_to_paniclog
masterdb_file
max_request_size
mcmt_reception
mime_parse_large_messages_during_reception
mm7_delivery_report
mm7_message_class
mm7_vasid
mm7_vaspid
mta_sts_dns_cname_max_depth
mta_sts_policy_store
open_tracking_enabled
open_tracking_scheme
opendkim_sign
outbound_smtp_auth_key
pcre_cache_size
pcre_cache_ttl
permastore_interval
response_transcode_pattern
response_transcode_replace
signing_stats
siv_throttle_cache_size
teleport_enabled
tls_verified_peer_is_authorized
tlsa_expire_interval
trace_smtp_mode
tracking_domain
tracking_link_expiry
use_dane
use_iflist_cache
use_mta_sts
xmpp_dialback_secret
xmpp_role
bounce_logger.debug_level
bounce_logger.log_outofband_bounces
ec_logger.acctlog
ec_logger.acctlog_log_mode
ec_logger.debug_level
ec_logger.importlog
ec_logger.importlog_mode
""".split())

CORE_USE = re.compile(r"\bOPT_([A-Z0-9_]+)\b")
PYTHON_USE = re.compile(r"""\b(?:values\[|values\.get\(|globals\[|flags\[|setting\(|value\(|said\(listen, |threadpools\["[A-Za-z]+"\]\[)["']([a-z0-9_]+)["']""")
OF_A_MODULE = re.compile(r'\("([a-z_]+)", "([a-z_]+)"(?:, "([a-z_]+)")?\)')      # module, option, option
OF_EVERY_MODULE = re.compile(r'\["([a-z_]+)"\]')
UNCALLED = {            # functions of core that nobody calls yet -> what they read
    "content_limits": {"legacy_message_threshold"},
}


def used(root):
    """Answer the names that the sources under a root read, in lower case."""
    found = set()
    for path in [*(root / "core").rglob("*.pyx"), *(root / "core").rglob("*.pxd")]:
        found.update(name.lower() for name in CORE_USE.findall(path.read_text()))
    for path in (root / "pymomentum").rglob("*.py"):
        found.update(PYTHON_USE.findall(path.read_text()))
    for function, names in UNCALLED.items():
        if not called(root, function):
            found -= names
    return found


def called(root, function):
    """Whether a file beside the one that has it names a function of core."""
    naming = {path.with_suffix("") for path in (root / "core").rglob("*.p[yx][xd]") if function in path.read_text()}
    return len(naming) > 1


def used_of_modules(root):
    """Answer the names that loggers.py reads, as module.option."""
    from pymomentum.options.modules import OPTIONS
    text = (root / "pymomentum" / "loggers.py").read_text()
    own = {(module, option) for module, *options in OF_A_MODULE.findall(text) for option in options}
    common = set(OF_EVERY_MODULE.findall(text))
    return {f"{module}.{option}" for module in OPTIONS for option in OPTIONS[module] if option in common or (module, option) in own}


def names():
    """Answer all names: of core options, and of those of built-in modules as module.option."""
    from pymomentum.options import modules, registry
    return registry.names() + sorted(f"{module}.{option}" for module in modules.OPTIONS for option in modules.OPTIONS[module])


def expected(root):
    """Answer the names that should be pending."""
    from pymomentum.options import registry, vendor
    read, of_modules = used(root), used_of_modules(root)
    return [name for name in names()
            if name not in of_modules and registry.identifier(name).lower() not in read and name not in vendor.NAMES]


def main(arguments):
    root = Path(__file__).resolve().parents[2]
    found = "\n".join(expected(root))
    if "--write" not in arguments:
        print(found)
        return
    path = Path(__file__).resolve()
    text = re.sub(r'(?s)(frozenset\(""").*?(""")', lambda m: f"{m[1]}\n{found}\n{m[2]}", path.read_text(), count=1)
    path.write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
