"""The process: identity, limits, loops, pools, console, logs."""
from socket import gethostname

from pymomentum.options.registry import GLOBAL, option
from pymomentum.options.types import Boolean, Enum, HostName, List, Number, Octal, Path, Subsystems, Text

option("address_metrics_cleanse_interval", Number(3600), unit="seconds", scopes=GLOBAL,
       page="4/config/ref-address-metrics-cleanse-interval",
       doc="How often metrics of addresses are looked through.")
option("address_metrics_lifetime", Number(1800), unit="seconds", scopes=GLOBAL,
       page="4/config/ref-address-metrics-lifetime",
       doc="How long metrics of an unseen address are kept.")
option("async_bounce_rendering", Boolean(True), scopes=GLOBAL, page="4/config/ref-async-bounce-rendering",
       doc="Render bounces in a thread pool.")
option("backlog", Number(0), unit="jobs", scopes={"threadpool"}, dynamic=False, page="4/config/ref-threadpool",
       doc="Jobs that may wait for a thread pool; 0 is unlimited.")
option("binding_auto_replumb", Enum("enabled disabled", "disabled"), scopes=GLOBAL,
       page="4/config/ref-binding-auto-replumb",
       doc="Bring source addresses that went missing back up.")
option("binding_auto_replumb_interval", Number(60), unit="seconds", scopes=GLOBAL,
       page="4/config/ref-binding-auto-replumb-interval",
       doc="How often missing source addresses are looked for.")
option("capabilities", Text(), scopes={"security"}, dynamic=False, page="4/config/ref-capabilities",
       doc="Linux capabilities kept after privileges are dropped; unset, cap_net_bind_service alone.")
option("chroot", Text(), scopes={"security"}, dynamic=False, page="4/config/ref-chroot",
       doc="Folder that becomes the root.")
option("control_client_timeout", Number(60, minimum=1), unit="seconds", scopes=GLOBAL,
       page="4/config/ref-control-client-timeout",
       doc="How long a console client waits for its answer.")
option("critical", Subsystems(["ALL"]), scopes={"debug_flags"}, page="4/config/ref-debug-flags",
       doc="Subsystems that log critical events.")
option("debug", Subsystems(), scopes={"debug_flags"}, page="4/config/ref-debug-flags",
       doc="Subsystems that log debug events.")
option("debug_throttle_max_num_same_message", Number(0), scopes=GLOBAL, page="4/config/ref-debug-throttle",
       doc="Equal debug lines in one period; 0 is unlimited.")
option("debug_throttle_period_secs", Number(1), unit="seconds", scopes=GLOBAL, page="4/config/ref-debug-throttle",
       doc="Length of the debug throttle's period.")
option("error", Subsystems(["ALL"]), scopes={"debug_flags"}, page="4/config/ref-debug-flags",
       doc="Subsystems that log errors.")
option("extensions", List(), scopes={"debug_flags"}, dynamic=False,
       doc="Python modules whose start() adds providers to hooks before the loops run, for tests.")
option("generation_max_age", Number(3600, minimum=1), unit="seconds", scopes=GLOBAL,
       doc="How long a session may stay on an outdated configuration.")
option("group", Text("ecuser"), scopes={"security"}, dynamic=False, page="4/config/ref-user",
       doc="Group the server runs as.")
option("hostname", HostName(gethostname), scopes=GLOBAL, page="4/config/ref-hostname",
       doc="Name of this server.")
option("info", Subsystems(), scopes={"debug_flags"}, page="4/config/ref-debug-flags",
       doc="Subsystems that log informational events.")
option("initial_hash_buckets", Number(32, minimum=1), scopes=GLOBAL, page="4/config/ref-initial-hash-buckets",
       doc="First size of hash tables.")
option("lease", Enum("local remote", "local"), scopes={"debug_flags"}, dynamic=False,
       doc="How connections take mail: remote makes every question a message between loops, for tests.")
option("license", Text("/opt/msys/ecelerity/etc"), scopes=GLOBAL, dynamic=False, page="4/config/ref-license",
       doc="Licence file; none is needed.")
option("local_changes_file", Text(), scopes=GLOBAL,
       page="4/config/ref-local-changes-file",
       doc="File that takes changes with no better place.")
option("local_changes_only", Boolean(False), scopes=GLOBAL, page="4/config/ref-local-changes-only",
       doc="Write every change to the local changes file.")
option("log_full", Enum("tempfail drop", "tempfail"), scopes=GLOBAL,
       doc="What happens when the mainlog cannot keep up: refuse new mail, or drop lines and count them.")
option("log_hires_timestamp", Boolean(False), scopes=GLOBAL, page="4/config/ref-log-hires-timestamp",
       doc="Log microseconds in the first field.")
option("log_ring_size", Number(67108864, minimum=65536, maximum=1073741824), unit="bytes", scopes=GLOBAL,
       dynamic=False,
       doc="Memory for log lines that wait for their file.")
option("match_cache_life", Number(0), unit="seconds", scopes=GLOBAL, page="4/config/ref-match-cache-life",
       doc="How long a match is remembered; 0 is for ever.")
option("generic_getter_cache_size", Number(), scopes=GLOBAL, page="4/conf-performance-tips",
       doc="Lookups of options outside bindings and domains that are remembered.")
option("match_cache_size", Number(16384, minimum=1), scopes=GLOBAL, page="4/config/ref-match-cache-size",
       doc="Matches remembered.")
option("max_timed_events_per_iter", Number(1024, minimum=1, maximum=2 ** 31 - 1), scopes=GLOBAL,
       page="4/config/ref-max-timed-events-per-iter",
       doc="Timers run in one turn of the loop.")
option("memory_goal", Number(90, minimum=1, maximum=100), unit="percent", scopes=GLOBAL,
       page="4/config/ref-memory-goal",
       doc="Memory use the server returns to.")
option("memory_hwm", Number(95, minimum=1, maximum=100), unit="percent", scopes=GLOBAL,
       page="4/config/ref-memory-hwm",
       doc="Memory use at which mail leaves memory.")
option("notice", Subsystems(), scopes={"debug_flags"}, page="4/config/ref-debug-flags",
       doc="Subsystems that log notices.")
option("pcre_cache_size", Number(100), scopes=GLOBAL, page="4/config/ref-pcre-cache-size",
       doc="Compiled expressions remembered.")
option("pcre_cache_ttl", Number(300), unit="seconds", scopes=GLOBAL, page="4/config/ref-pcre-cache-ttl",
       doc="How long a compiled expression is remembered.")
option("pidfile", Path("/var/run/ecelerity.pid"), scopes=GLOBAL, dynamic=False, page="4/config/ref-pidfile",
       doc="File that holds the process id.")
option("scheduler", Text(), scopes=GLOBAL, dynamic=False, page="4/config/ref-scheduler",
       doc="Event mechanism; the platform's best is always used.")
option("server_max_file_descriptors", Number(3000000, minimum=1), scopes=GLOBAL,
       page="4/config/ref-server-max-file-descriptors",
       doc="Open files the server asks the system for.")
option("stack_size", Number(0), unit="bytes", scopes={"threadpool"}, dynamic=False, page="4/config/ref-threadpool",
       doc="Stack of a pool thread, at least 65536; 0 is the system's.")
option("supplemental_groups", List(), scopes={"security"}, dynamic=False, page="4/config/ref-supplemental-groups",
       doc="Further groups the server runs in.")
option("suspend", Enum("never random", "never"), scopes={"debug_flags"}, dynamic=False,
       doc="Park every hook for up to 50 milliseconds, for tests.")
option("tcp_buffer_size", Number(32768, minimum=1, maximum=1073741824), unit="bytes", scopes=GLOBAL, page="4/config/ref-tcp-buffer-size",
       doc="Bytes of an outbound connection that may wait in the kernel to be sent; unset, the system's bound.")
option("timestampformat", Text("[%a %d %b %Y %H:%M:%S]"), scopes=GLOBAL, page="4/config/ref-timestampformat",
       doc="How console and debug lines write a time.")
option("trace_smtp_mode", Octal(0o640), scopes=GLOBAL, dynamic=False, page="4/config/ref-trace-smtp-mode",
       doc="Permissions of session traces.")
option("umem_reap_interval", Number(), unit="seconds", scopes=GLOBAL, page="2017:conf.ref.umem_reap_interval",
       doc="How often unused memory is returned to the system.")
option("use_iflist_cache", Boolean(False), scopes=GLOBAL, dynamic=False, page="4/config/ref-use-iflist-cache",
       doc="Remember the list of network interfaces.")
option("user", Text("ecuser"), scopes={"security"}, dynamic=False, page="4/config/ref-user",
       doc="User the server runs as.")
option("warning", Subsystems(), scopes={"debug_flags"}, page="4/config/ref-debug-flags",
       doc="Subsystems that log warnings.")
