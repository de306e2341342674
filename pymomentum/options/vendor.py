"""Options of the vendor's machinery: they load, and nothing here can follow them.

Each has its reason, which one notice at start gives.  Some have an effect with one
value and none with another.
"""
ALLOCATOR = "memory comes from the allocator of the system"
SYNCED = "mail is always on disk before it is acknowledged"
SPOOL = "bodies lie in segments of the spool, large ones are streamed from their files"
GCM = "Google Cloud Messaging ended in 2019"
MADE = "a bounce is made, committed and queued where its cause is known; what it quotes of a file is read by a thread pool"
LOCKS = "OpenSSL has locks of its own"

ALWAYS = {
    "apn_expiry": "Apple's binary push protocol ended in 2021",
    "async_bounce_rendering": MADE,
    "backlog": "no event loop waits for a thread pool: what pools are given is bounded where it arises, as by commit_backlog",
    "clear_mail_queue_maintainers": "a domain has one timer, and never two events to be cleared",
    "crypto_engine": "OpenSSL takes hardware by providers, which its own configuration names",
    "crypto_lock_method": LOCKS,
    "disk_queue_drain_rate": "what the spool holds is queued from its index at start, without reading a message",
    "expensive_batch_assessment": "equal edits of a message are found without rendering its header, and share a transaction",
    "gcm_application_id": GCM,
    "gcm_authorization_token_id": GCM,
    "gcm_delay_while_idle": GCM,
    "gcm_dry_run": GCM,
    "gcm_ttl": GCM,
    "generic_getter_cache_size": "options are compiled once and need no cache",
    "initial_hash_buckets": "tables grow with what they hold",
    "license": "no licence is needed",
    "malloc2mmap_threshold": ALLOCATOR,
    "pool_name": "event loops accept; event_loop names those of a listener, concurrency bounds the accept phases",
    "scheduler": "libuv chooses the best of the system",
    "soft_bounce_drain_rate": MADE,
    "ssl_lock_method": LOCKS,
    "umem_reap_interval": ALLOCATOR,
    "use_mmap": SPOOL,
    "use_sendfile": SPOOL,
}
WITH_VALUE = {"_unsafe_spool": (True, SYNCED), "force_fsync": (False, SYNCED), "tls_engine": ("gnutls", "TLS is that of OpenSSL")}
NAMES = frozenset((*ALWAYS, *WITH_VALUE))


def reason(name, value):
    """Answer why an option has no effect with a value; empty where it may have one."""
    without, why = WITH_VALUE.get(name, (None, ""))
    return ALWAYS.get(name) or (why if value == without else "")
