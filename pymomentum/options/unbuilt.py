"""Stanzas of parts that are not built yet, modules above all: enough to check them, nothing more.

The unindented lines name a stanza, or one inside another, the indented ones its options, each with its
type where that is not text.  Rows leave for a file of their part when it is built.
"""
import re

from pymomentum.options import modules
from pymomentum.options.types import Boolean, Decimal, Dict, Enum, List, Number, Octal, Range, Text

TABLE = """
eccluster_listener
    accept_queue_backlog=number concurrency=number disable_nagle_algorithm=boolean enable=boolean events_per_iter=number file_mode=octal
    listen_backlog=number pool_name tcp_buffer_size=number tcp_recv_buffer_size=number tcp_send_buffer_size=number
logs
    control_cache dir_mode=octal file_mode=octal logfile max_idle=number max_open=number
logs/manager
    subscriber=list
logs/manager/node
    subscriber=list
msgcserver_listener
    accept_queue_backlog=number enable=boolean file_mode=octal listen_backlog=number
xmpp_listener
    accept_queue_backlog=number authdigestmd5parameters=dict authplainparameters=dict concurrency=number disable_nagle_algorithm=boolean
    enable=boolean events_per_iter=number file_mode=octal idle_time=number listen_backlog=number pool_name proxy_protocol=boolean
    proxy_protocol_timeout=number tcp_buffer_size=number tcp_recv_buffer_size=number tcp_send_buffer_size=number
    tls_allow_renegotiation=boolean tls_certificate tls_ciphers tls_client_ca tls_key tls_verify_mode=enum:none|require
adaptive_backstore_leveldb
    path
adaptive_backstore_riak
    connect_timeout=number timeout=number
authorization/replicate
    class
authorization/role
    allow=list
snmp
    address community state=boolean syscontact sysdescription syslocation
snmp_traps
    state=boolean trap_destination trap_interval=number watch_interval=number watch_variables=dict
snmp_traps/destination
    community
adaptive
    ad_response_rule_series_prefix adaptive_cache_size=number adaptive_cache_ttl=number adaptive_manage_options=list
    adaptive_stats_period=number adaptive_unmanage_options=list backing_store_connect_timeout=number backing_store_timeout=number
    binding_domain_cache_max_ttl=number binding_domain_cache_size=number bounce_sweep_interval=number data_store=list
    data_store_sync_interval=number enable_bounce_stats=boolean enable_fbl_stats=boolean enable_jlog=boolean enable_logging=boolean
    fbl_stats_monitor fbl_stats_series fbl_total_series force_max_binding_age=boolean jlog_file log_base
    operational_log_level=enum:debug|info|notice|warning|error|critical outbound_throttle_messages_monitor
    outbound_throttle_messages_series read_cache_after_suspension=boolean split_logs_by_binding=boolean suspend_sweep_interval=number
adaptive_sweep_rule
    codes=list high_action=list high_threshold=decimal low_action=list low_threshold=decimal
alerting
    alerting_cache_size=number alerting_cache_ttl=number
alias/scheme
    cache column map=dict query
antivirus
    action cache_size=number context_variable error_code=number file_base max_concurrency=number mime_decompose=boolean paranoid=boolean
    pool skip_context_variable timeout=number use_wire_rep=boolean
as_logger
    base_dir log_interval=number series_exclude=list series_include=list series_include_default=enum:all|none
auth_ds/scheme/authenticate
    cache map=dict password_column query returns_password=boolean type type_column type_map=dict
auth_ds/scheme/enumgroups
    cache group_column query
auth_ds/scheme/querygroups
    cache group_column map=dict query
auth_radius
    map=dict nas-identifier nas-ip-address
auth_radius/server
    host max_tries=number secret timeout=number
beik
    accum_pool bmiconfig_path header_padding=number scan_pool use_wire_rep=boolean
cassandra_native_client
    contact_points=list
bounce_classifier_override
    custom_classes=dict enable_system_updates=boolean refresh=number system_mdn_classification_override
    system_smtp_classification_override user_mdn_classification_override user_smtp_classification_override
brightmail
    idle_timeout=number max_messages_per_connection=number max_size=number max_tries=number num_workers=number server sieve_mode=boolean
    sieve_prefix timeout=number
cassandra_client
    uri=list
chunk_logger
    add_newline=boolean destination timestamp_format
clamav
    daemon
cloudmark
    max_body_length=number minimumscore=number use_wire_rep=boolean
cluster
    arp_all_hosts=boolean cluster_group control_group duravip_balance_set_size=number heartbeat_start_delay=number
    heartbeats_per_sec=number if_check_interval=number if_down_limit=number log_active_interval=number log_group log_idle_interval=number
    logs=dict nodeaddr nodename unconditional_rebind=boolean view_balance_interval=number view_broadcast_interval=number
    view_mature_time=number
cluster/replicate
    binding_group class max_delay=decimal max_pending=number max_size=number parameters
    type
cluster/topology
    cidrmask=number interface
commtouch_ctasd
    concurrency=number host port=number
compress_spool
    compress=enum:gzip|bzip2 minimum_size=number read_only=boolean
conntrol
    banner disconnect_ratware pause_time=number
csapi
    max_concurrency=number max_cumulative_extract_size=number max_extract_depth=number max_extract_size=number max_extract_time=number
    max_file_count=number prefer_mem=boolean scanner_log scanner_path update_interval=number use_wire_rep=boolean
curfew
    schedule_file timezone
custom_bounce_logger
    bouncelog bouncelog_mode=octal heartbeat=number log_inband_bounces=boolean log_outofband_bounces=boolean
    log_transient_failures=boolean user_string
custom_logger
    concurrency=number delivery_format delivery_log_mode=octal delivery_logfile log_deliveries=boolean log_errors=boolean
    log_permanent_failures=boolean log_receptions=boolean log_rejections=boolean log_transient_failures=boolean mainlog mainlog_mode=octal
    namespace paniclog paniclog_mode=octal permanent_failure_format permanent_failure_log_mode=octal permanent_failure_logfile
    reception_format reception_log_mode=octal reception_logfile rejection_format rejection_log_mode=octal rejection_logfile sanitize=dict
    thread_pool transient_failure_format transient_failure_log_mode=octal transient_failure_logfile xfer_format xfer_log_mode=octal
    xfer_logfile
dk_sign
    canon=enum:simple|nofws digest=enum:rsa-sha1 headerlist=list key keycache_size=number neg_keycache_ttl=number pos_keycache_ttl=number
    selector sign_condition
dk_sign/dk_domain
    base_domain canon=enum:simple|nofws digest=enum:rsa-sha1 headerlist=list key keycache_size=number neg_keycache_ttl=number
    pos_keycache_ttl=number selector sign_condition
dnsbuf
    interval=number rcvbuf_size=number sndbuf_size=number
datasource
    cache_life=number cache_size=number max_rows=number no_cache=boolean pool serialized=boolean uri=list
eleven
    enable_antivir=boolean license servers=list update_period=number work_dir
engagement_tracker
    click_tracking_include_metadata=boolean max_metadata_len=number
event_hydrant
    concurrency=number cust_prefix jlog_filename log_click=boolean log_conversion=boolean log_delivery=boolean log_genfail=boolean
    log_genrejection=boolean log_inband_bounce=boolean log_open=boolean log_outofband_bounce=boolean log_reception=boolean
    log_rejection=boolean log_tempfail=boolean write_jlog=boolean
exim_logger
    log_transient_failures=boolean mainlog paniclog
fbl
    addresses=list auto_log=boolean condition header_name log_path message_disposition=enum:blackhole|pass user_string
fingerprint
    max_cache_size=number
ha_proxy_client
    health_check_failure_threshold=number health_check_interval=number health_check_success_threshold=number health_check_timeout=number
http_logger
    log
ilf_logger
    filename_format write_interval=number
inbound_audit
    log_dir maintenance_interval=number monitors=list serialize_dir
mail_loop
    code=number max_received_headers=number use_ip=boolean
maildir
    all_domains=boolean basedir create_users=boolean createusers=boolean dirmode=octal domain=list domain_in_path=boolean domains=list
    filemode=octal
msg_gen
    click_tracking_enabled=boolean click_tracking_scheme=enum:http|https cluster_cfg=boolean engagement_tracking_host gen_count=number
    gen_transactional_threads=number open_tracking_enabled=boolean open_tracking_scheme=enum:http|https quorum=number
    scheduled_interval_delete=number scheduled_send=boolean start_time_max_schedule_interval=number
msg_gen/node
    mta_id=number votes=number
msgc_client
    bind_address connect_timeout=number idle_timeout=number keepalive_interval=number max_backlog=number messages_per_iter=number
    reconnect_interval=number server tcpbuf_size=number
msgc_server
    connect_timeout=number idle_timeout=number keepalive_interval=number max_backlog=number messages_per_iter=number peers=dict
    port=number reconnect_interval=number tcpbuf_size=number
mxip
    ttl=number
opendkim
    body_canon=enum:simple|relaxed body_length_limit=boolean copy_headers=boolean digest=enum:rsa-sha1|rsa-sha256
    header_canon=enum:simple|relaxed headerlist=list key keycache_size=number lifetime=number neg_keycache_ttl=number
    oversign_headerlist=list pos_keycache_ttl=number selector sign_condition skip_headerlist=list testing=boolean
opendkim/dkim_domain
    base_domain body_canon=enum:simple|relaxed body_length_limit=boolean copy_headers=boolean digest=enum:rsa-sha1|rsa-sha256
    header_canon=enum:simple|relaxed headerlist=list key lifetime=number oversign_headerlist=list selector sign_condition
    skip_headerlist=list testing=boolean
outbound_audit
    domainlist=list monitor_domains=boolean monitors=list threshold=number
persist_io
    dirmode=octal filemode=octal persist_path
pipe_io
    error_file error_mode=octal output_file output_mode=octal timeout=number
pipe_transport
    code=dict domain=list error_file output_file program_name
postfix_logger
    log_transient_failures=boolean mainlog paniclog
sched
    backing_store
scriptlet
    always_gc=boolean gc_every=number gc_pause=number gc_step_on_recycle=boolean gc_step_on_trash_state=boolean gc_stepmul=number
    gc_threadpool gc_trace_thresh=number global_trace_interval=number max_spare_per_master=number max_uses_per_thread=number
    pin_thread_for_completion_in_event_loop=boolean reap_interval=number script_ttl=number use_reusable_thread=boolean
scriptlet/script
    source
securecreds
    credentials key
seedlist
    cache_name insert_campaign_header mail_from match_verp=list no_seed_condition schema_name seedlist_file
seedlist/match_header
    pattern=list
senderid
    add_authentication_results=boolean add_headers=boolean context_pra_variable context_variable default_pra_rule default_rule
    delay_check=boolean fail_code=number fail_fallback_string nxdomain_code=number nxdomain_override_string pass_code=number
    permerror_code=number softfail_code=number softfail_fallback_string unknown_code=number
sendmail_logger
    mainlog paniclog
smtp_auth_proxy
    ds_cache host port=number query timeout=number
smtp_cbv
    mailfrom map=dict phase=enum:mailfrom|rcptto
spamassassin
    daemon max_size=number timeout=number
spf_v1
    add_authentication_results=boolean add_headers=boolean context_variable default_rule delay_check=boolean fail_code=number
    fail_fallback_string nxdomain_code=number nxdomain_override_string pass_code=number permerror_code=number softfail_code=number
    softfail_fallback_string temperror_override_string unknown_code=number
static_routes
    target
sieve
    cache_life=number cache_size=number runtime_error=enum:fail|continue
sieve/hook
    async=enum:true|false|ref|snapshot pool return=number script source
sieve/script
    source
smpp_bounce_logger
    bounce_concurrency=number bounce_logfile bounce_logmode=octal bounce_namespace bounce_thread_pool heartbeat=number
    log_bounce_heartbeat_format log_bounce_inband=boolean log_bounce_inband_format log_bounce_outband=boolean log_bounce_outband_format
    log_bounce_transient=boolean log_bounce_transient_format
smpp_logger
    concurrency=number log_conversion=boolean log_conversion_format log_delivery=boolean log_delivery_format log_permfail=boolean
    log_permfail_format log_reception=boolean log_reception_format log_status=boolean log_status_format log_tempfail=boolean
    log_tempfail_format logfile logmode=octal namespace thread_pool
suppress_spool
    num_retries=number
syslog_io
    default_facility ident
url_ripper
    address_headers=list base bits=dict forward=boolean max_lookups=number values=dict
"""
PROVIDED = """
smpp
    smpp_bind_response_timer=number smpp_bind_type smpp_command_window_size=number smpp_csms_refnum_length=number
    smpp_default_email_address smpp_default_email_from_domain smpp_delivery_receipt_message_id_format smpp_destination_flag=number
    smpp_destination_numbering_plan smpp_destination_type_of_number smpp_enquire_link_timer=number smpp_enquire_response_timer=number
    smpp_esme_address smpp_esme_max_bind_retries=number smpp_esme_max_segments=number smpp_esme_numbering_plan smpp_esme_service_type
    smpp_esme_submit_data_sm=boolean smpp_esme_submit_submit_multi=boolean smpp_esme_throttled_timeout=number smpp_esme_type_of_number
    smpp_esme_udh_segment=boolean smpp_esme_validity_period smpp_gsm_transcodes_to smpp_inactivity_timer=number
    smpp_max_sms_from_size=number smpp_max_sms_message_size=number smpp_max_sms_subject_size=number smpp_message_mode
    smpp_notify_deliver_receipt=list smpp_persistent_connections=dict smpp_ram_cache smpp_ram_expiration=number smpp_ram_query_lookup
    smpp_ram_query_new smpp_ram_query_update smpp_registered_delivery=list smpp_response_timer=number smpp_sms_data_coding
    smpp_sms_data_no_bom=boolean smpp_sms_segment_boundary=boolean smpp_sms_segment_size=number smpp_smsc_default_alphabet
    smpp_smsc_default_message_mode smpp_smsc_password smpp_smsc_port=number smpp_smsc_server smpp_smsc_system_id smpp_smsc_system_type
    smpp_submit_response_message_id_format smpp_submit_response_timer=number smpp_submit_tracking_cache smpp_submit_tracking_schema
    smpp_use_interworking_parse=boolean smpp_use_reverse_address_mappings=boolean smpp_vendor_command_status_table smpp_vendor_tlv_table
"""
VALUES = {"delivery_method": ("ecstream", "apn", "gcm", "mm7", "xfer", "delay_xfer"),      # of options that are built for others
          "routes": ("http", "apn", "gcm", "mm7", "xfer")}                                 # what stands before ://
EXTENSIONS = frozenset("PIPELINING SIZE 8BITMIME ENHANCEDSTATUSCODES STARTTLS XCLIENT ALWAYS-ALLOW".split())      # that are built
PROVIDED_IN = ("global", "binding_group", "binding", "domain")     # scopes that may hold what modules provide
TYPES = {"text": Text(joins=True, lines=True), "number": Number(minimum=-1), "decimal": Decimal(), "boolean": Boolean(), "octal": Octal(),
         "list": List(lines=True), "dict": Dict(), "range": Range()}
LEVELS = Enum("debug info notice warning error critical", "error")
COMMON = {"enabled": Boolean(), "enable": Boolean(), "debug_level": LEVELS}
LISTENERS = ("eccluster_listener", "msgcserver_listener", "xmpp_listener")
VIRUS_SCANNERS = ("clamav", "csapi")        # they have the options of `antivirus`, too, and stand inside it as well


def _read(table):
    """Answer {path: {option: type}} of a table; a path is module, or module/stanza."""
    found, here = {}, None
    for line in table.splitlines():
        if line and not line[0].isspace():
            path = line.strip()
            while "/" in path:                  # a stanza without options of its own holds others
                path = path.rpartition("/")[0]
                found.setdefault(path, {})
            here = found.setdefault(line.strip(), {})
        for word in line.split() if line[:1].isspace() else ():
            name, _, kind = word.partition("=")
            words = kind.removeprefix("enum:")
            here[name] = Enum(words.replace("|", " ")) if words != kind else TYPES[kind or "text"]
    return found


def _complete(found):
    """Add what several stanzas share."""
    for module in VIRUS_SCANNERS:
        found[module] = found[f"antivirus/{module}"] = {**found["antivirus"], **found[module], **COMMON}
    for listener in LISTENERS:                  # Listen and Peer may say what their listener says
        for inner in ("listen", "peer", "listen/peer"):
            found[f"{listener}/{inner}"] = found[listener]
    for path, rows in found.items():
        if path in modules.NAMES:
            rows.update(COMMON)
    return found


UNBUILT = _complete(_read(TABLE))


PROVIDED_BY = {name: (module, type) for module, rows in _read(PROVIDED).items() for name, type in rows.items()}


def provided(name, scope):
    """Answer (module, type) of an option that a module gives to the scopes of delivery; None where no module does."""
    return PROVIDED_BY.get(name) if scope in PROVIDED_IN else None


def value(name, value):
    """Answer the word of a value that stands for what is not built, or None."""
    words = value if isinstance(value, list) else [str(value)]
    return next((word for word in words if word.partition("://")[0].lower() in VALUES.get(name, ())), None)


def extensions(words):
    """Answer those that smtp_extensions names and nothing offers, each once."""
    names = [re.split("[ \t=]", word.strip(), maxsplit=1)[0] for word in words]
    return list(dict.fromkeys(name for name in names if name and name.upper() not in EXTENSIONS))


def options_of(path):
    """Answer {option: type} of a module or another stanza; None where nothing is known of it."""
    return UNBUILT.get(path, COMMON if path in modules.NAMES else None)


def stanzas_of(path):
    """Answer the names of the stanzas that one may hold."""
    return [other.rpartition("/")[2] for other in UNBUILT if other.rpartition("/")[0] == path]
