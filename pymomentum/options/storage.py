"""The spool, message bodies and what stays in memory."""
from pymomentum.options.registry import GLOBAL, option
from pymomentum.options.types import Boolean, Number, Octal, Path, Text

option("_unsafe_spool", Boolean(False), scopes=GLOBAL, page="4/config/ref-unsafe-spool",
       doc="Answer before mail is on disk; accepted and without effect.")
option("cold_log_ratio", Number(2, minimum=1, maximum=100), scopes=GLOBAL,
       doc="Size of a spool log over its live bytes at which it is compacted.")
option("commit_backlog", Number(10000, minimum=1), unit="transactions", scopes=GLOBAL,
       doc="Transactions waiting for the disk before MAIL FROM gets 452.")
option("force_fsync", Boolean(True), scopes=GLOBAL, page="4/config/ref-force-fsync",
       doc="Sync before 250; always so here, false is accepted and without effect.")
option("growbuf_size", Number(16384, minimum=1), unit="bytes", scopes=GLOBAL, page="4/config/ref-growbuf-size",
       doc="First size of growing buffers.")
option("keep_message_dicts_in_memory", Boolean(False), scopes=GLOBAL, dynamic=False,
       page="4/config/ref-keep-message-dicts-in-memory",
       doc="Keep the context of mail in memory when its body leaves.")
option("large_message_threshold", Number(131072, minimum=1), unit="bytes", scopes=GLOBAL,
       page="4/config/ref-large-message-threshold",
       doc="Above this size a body goes to a file of its own.")
option("legacy_message_threshold", Number(1048576), unit="bytes", scopes=GLOBAL,
       page="4/config/ref-legacy-message-threshold",
       doc="Above this size a body is not handed to old interfaces in one piece.")
option("malloc2mmap_threshold", Number(4092), unit="bytes", scopes=GLOBAL,
       page="4/config/ref-malloc-2-mmap-threshold",
       doc="Allocations above this size are mapped.")
option("masterdb_file", Text("/var/log/ecelerity/ecdb"), scopes=GLOBAL, dynamic=False,
       page="4/config/ref-masterdb-file",
       doc="Store of counters that outlive a restart.")
option("mime_parse_large_messages_during_reception", Boolean(True), scopes=GLOBAL,
       page="4/config/ref-mime-parse-large-messages-during-reception",
       doc="Parse the parts of large messages too.")
option("permastore_interval", Number(300), unit="seconds", scopes=GLOBAL, page="4/config/ref-permastore-interval",
       doc="How often lasting counters are written.")
option("spool_mode", Octal(0o640), scopes=GLOBAL, dynamic=False, page="4/config/ref-spool-mode",
       doc="Permissions of spool files.")
option("spool_retry_interval", Number(1, minimum=1), unit="seconds", scopes=GLOBAL,
       doc="Wait between two probes of a disk that failed.")
option("spool_segment_size", Number(67108864, minimum=1048576), unit="bytes", scopes=GLOBAL, dynamic=False,
       doc="Size of one file of the spool log.")
option("spoolbase", Path("/var/spool/ecelerity"), scopes=GLOBAL, dynamic=False, page="4/config/ref-spoolbase",
       doc="Folder of the spool.")
option("swap_out_meta_after_each_tempfail", Boolean(True), scopes=GLOBAL,
       page="4/config/ref-swap-out-meta-after-each-tempfail",
       doc="Write the state of mail after each transient failure.")
option("unlink_on_spool_in_failure", Boolean(True), scopes=GLOBAL, page="4/config/ref-unlink-on-spool-in-failure",
       doc="Remove spool entries that cannot be read.")
option("use_mmap", Boolean(False), scopes=GLOBAL, page="4/config/ref-use-mmap",
       doc="Map bodies rather than read them.")
option("use_sendfile", Boolean(False), scopes=GLOBAL, page="4/config/ref-use-sendfile",
       doc="Send bodies by sendfile.")
