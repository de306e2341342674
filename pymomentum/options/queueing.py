"""The queues: order, retries, expiry, throttles, memory."""
from pymomentum.options.registry import BINDINGS, DELIVERY, DELIVERY_HOST, GLOBAL, ROUTING, option
from pymomentum.options.types import Boolean, List, Number, Text, Throttle

option("clear_mail_queue_maintainers", Boolean(True), scopes=GLOBAL, page="4/config/ref-clear-mail-queue-maintainers",
       doc="Free the maintainer of an empty queue.")
option("delayed_binding_domain_fuzz", Number(0), unit="seconds", scopes=BINDINGS,
       page="4/config/ref-delayed-binding-domain-fuzz",
       doc="Random spread of retries when a whole queue is put off.")
option("delayed_queue_scan_interval", Number(15, minimum=1), unit="seconds", scopes=GLOBAL,
       page="4/config/ref-delayed-queue-scan-interval",
       doc="How often due mail moves from the delayed to the active queue.")
option("delayed_reroute_domain", Text(), scopes=ROUTING | {"binding"}, page="4/outbound-xfer",
       doc="Routing domain given to mail as it leaves the delayed queue.")
option("delivery_pool", Text(), scopes=GLOBAL, dynamic=False, page="4/config/ref-delivery-pool",
       doc="Event loop pool that runs outbound sessions.")
option("disk_queue_drain_rate", Number(100, minimum=1), unit="messages per scheduler iteration", scopes=GLOBAL,
       page="4/config/ref-disk-queue-drain-rate",
       doc="Messages read back from disk in one turn of the loop.")
option("drop_body_after_trans_fail", Number(3), scopes=DELIVERY, page="4/config/ref-drop-body-after-trans-fail",
       doc="Transient failures after which a body leaves memory.")
option("expensive_batch_assessment", Boolean(False), scopes=GLOBAL, page="4/config/ref-expensive-batch-assessment",
       doc="Compare all headers to find messages that can share a transaction.")
option("hot_domains", List(), scopes=GLOBAL, dynamic=False, page="4/config/ref-hot-domains",
       doc="Domains that the event loops get in turn at start, so that two of them seldom share one.")
option("inline_transfail_processing", Boolean(True), scopes=GLOBAL, page="4/config/ref-inline-transfail-processing",
       doc="Treat transient failures at once, not in a later turn.")
option("mail_queue_check_vm_interval", Number(60), unit="seconds", scopes=GLOBAL,
       page="4/config/ref-mail-queue-check-vm-interval",
       doc="How often a queue compares its memory with the limits.")
option("maintainer_pool", Text(), scopes=GLOBAL, dynamic=False, page="4/config/ref-maintainer-pool",
       doc="Event loop pool that owns the domain records.")
option("max_resident_active_queue", Number(250, minimum=-1), unit="messages", scopes=DELIVERY,
       page="4/config/ref-max-resident-active-queue",
       doc="Messages of one active queue held in memory; -1 is unlimited.")
option("max_resident_messages", Number(32768), unit="messages", scopes=BINDINGS,
       page="4/config/ref-max-resident-messages",
       doc="Messages held in memory.")
option("max_resident_messages_per_binding", Number(), scopes=GLOBAL, page="changelog/4",
       doc="Messages of one binding held in memory; unset is unlimited.")
option("max_resident_transfails", Number(100), unit="messages", scopes=GLOBAL,
       page="4/config/ref-max-resident-transfails",
       doc="Transient failures of one turn kept in memory.")
option("max_retries", Number("auto", words={"auto": -1, "none": -2}), scopes=DELIVERY,
       page="4/config/ref-max-retries",
       doc="Attempts before mail fails; auto and none leave it to the expiry.")
option("max_retry_interval", Number(43200, minimum=1), unit="seconds", scopes=DELIVERY,
       page="4/config/ref-max-retry-interval",
       doc="Longest wait between two attempts.")
option("message_expiration", Number(86400, minimum=1), unit="seconds", scopes=DELIVERY,
       page="4/config/ref-message-expiration",
       doc="Age at which undelivered mail fails.")
option("migrate_connections_between_sibling_domains", Boolean(True), scopes=GLOBAL,
       page="4/config/ref-migrate-connections-between-sibling-domains",
       doc="Use a kept connection for another domain with the same MX.")
option("never_attempt_expired_messages", Boolean(False), scopes=DELIVERY,
       page="4/config/ref-never-attempt-expired-messages",
       doc="Fail expired mail without a last attempt.")
option("never_retry", Boolean(False), scopes=DELIVERY, page="4/config/ref-never-retry",
       doc="Fail after the first attempt.")
option("outbound_throttle_connections", Throttle(), scopes=DELIVERY_HOST,
       page="4/config/ref-outbound-throttle-connections",
       doc="Most connections opened in a time; unset or 0 is unlimited.")
option("outbound_throttle_messages", Throttle(), scopes=DELIVERY_HOST, page="4/config/ref-outbound-throttle-messages",
       doc="Most messages delivered in a time; unset or 0 is unlimited.")
option("reroute_domain", Text(), scopes=ROUTING | {"binding"}, page="4/outbound-xfer",
       doc="Routing domain given to mail of this queue.")
option("reserve_maintenance_interval", Number(15), unit="seconds", scopes=GLOBAL,
       page="4/config/ref-reserve-maintenance-interval",
       doc="How often the reserve of outbound connections is counted.")
option("retry_interval", Number(1200, minimum=1), unit="seconds", scopes=DELIVERY, page="4/config/ref-retry-interval",
       doc="First wait after a transient failure.")
option("suspend_delivery", Boolean(False), scopes=DELIVERY, page="4/config/ref-suspend-delivery",
       doc="Hold the mail; no attempts are made.")
option("transfail_drain_rate", Number(100, minimum=1), unit="messages per scheduler iteration", scopes=GLOBAL,
       page="4/config/ref-transfail-drain-rate",
       doc="Transient failures handled in one turn of the loop.")
