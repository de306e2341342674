"""Adaptive delivery: how far it may move an option, and when it acts."""
from pymomentum.options.registry import DELIVERY, option
from pymomentum.options.types import Boolean, Duration, Enum, List, Number, Range, Text

option("adaptive_adjustment_interval", Number(60), unit="seconds", scopes=DELIVERY,
       page="4/modules/4-adaptive#modules.adaptive.adaptive_adjustment_interval",
       doc="Shortest time between two adjustments.")
option("adaptive_alert_email_destination", Text(joins=True), scopes=DELIVERY,
       page="4/modules/4-adaptive#modules.adaptive.adaptive_alert_email_destination",
       doc="Addresses told of adjustments.")
option("adaptive_alert_email_sender", Text(), scopes=DELIVERY,
       page="4/modules/4-adaptive#modules.adaptive.adaptive_notification_events",
       doc="Sender of those notices.")
option("adaptive_attempt_threshold", Number(2000), scopes=DELIVERY,
       page="4/modules/4-adaptive#modules.adaptive.adaptive_attempt_threshold",
       doc="Attempts before rates mean anything.")
option("adaptive_body_timeout", Range(), scopes=DELIVERY, page="4/modules/4-adaptive",
       doc="Bounds within which body_timeout is moved.")
option("adaptive_default_suspension", Duration(14400), scopes=DELIVERY,
       page="4/modules/4-adaptive#modules.adaptive.adaptive_default_suspension",
       doc="How long a suspension lasts when a rule names no time.")
option("adaptive_default_suspension_enabled", Boolean(False), scopes=DELIVERY, page="4/modules/4-adaptive",
       doc="Suspend by default when a rule names no action.")
option("adaptive_ehlo_timeout", Range(), scopes=DELIVERY, page="4/modules/4-adaptive",
       doc="Bounds within which ehlo_timeout is moved.")
option("adaptive_enabled", Boolean(False), scopes=DELIVERY, page="4/config/ref-adaptive-enabled",
       doc="Let delivery adapt to what receivers say.")
option("adaptive_fbl_volume_threshold", Number(20000), scopes=DELIVERY,
       page="4/modules/4-adaptive#modules.adaptive.adaptive_fbl_volume_threshold",
       doc="Deliveries before complaint rates mean anything.")
option("adaptive_idle_timeout", Range(), scopes=DELIVERY, page="4/modules/4-adaptive",
       doc="Bounds within which idle_timeout is moved.")
option("adaptive_mailfrom_timeout", Range(), scopes=DELIVERY, page="4/modules/4-adaptive",
       doc="Bounds within which mailfrom_timeout is moved.")
option("adaptive_max_deliveries_per_connection", Range(), scopes=DELIVERY, page="4/modules/4-adaptive",
       doc="Bounds within which max_deliveries_per_connection is moved.")
option("adaptive_max_outbound_connections", Range(), scopes=DELIVERY, page="4/modules/4-adaptive",
       doc="Bounds within which max_outbound_connections is moved.")
option("adaptive_max_recipients_per_batch", Range(), scopes=DELIVERY, page="4/modules/4-adaptive",
       doc="Bounds within which max_recipients_per_batch is moved.")
option("adaptive_max_recipients_per_connection", Range(), scopes=DELIVERY, page="4/modules/4-adaptive",
       doc="Bounds within which max_recipients_per_connection is moved.")
option("adaptive_max_resident_active_queue", Range(), scopes=DELIVERY, page="4/modules/4-adaptive",
       doc="Bounds within which max_resident_active_queue is moved.")
option("adaptive_max_retries", Range(), scopes=DELIVERY, page="4/modules/4-adaptive",
       doc="Bounds within which max_retries is moved.")
option("adaptive_max_retry_interval", Range(), scopes=DELIVERY, page="4/modules/4-adaptive",
       doc="Bounds within which max_retry_interval is moved.")
option("adaptive_notification_events", List(["throttle", "suspension", "blackhole"]), scopes=DELIVERY,
       page="4/modules/4-adaptive#modules.adaptive.adaptive_notification_events",
       doc="Adjustments that are told by mail.")
option("adaptive_notification_interval", Number(3600), unit="seconds", scopes=DELIVERY,
       page="4/modules/4-adaptive#modules.adaptive.adaptive_notification_interval",
       doc="Shortest time between two notices.")
option("adaptive_outbound_throttle_messages", Range(), scopes=DELIVERY, page="4/modules/4-adaptive",
       doc="Bounds within which outbound_throttle_messages is moved.")
option("adaptive_positive_adjustment_interval", Number(3600), unit="seconds", scopes=DELIVERY,
       page="4/modules/4-adaptive#modules.adaptive.adaptive_positive_adjustment_interval",
       doc="Time without trouble before limits are eased.")
option("adaptive_rcptto_timeout", Range(), scopes=DELIVERY, page="4/modules/4-adaptive",
       doc="Bounds within which rcptto_timeout is moved.")
option("adaptive_rejection_rate_suspension_percentage", Number(20, maximum=100), unit="percent", scopes=DELIVERY,
       page="4/modules/4-adaptive#modules.adaptive.adaptive_rejection_rate_suspension_percentage",
       doc="Share of rejections that suspends a domain.")
option("adaptive_retry_fuzz", Number(4096), unit="seconds", scopes=DELIVERY,
       page="4/modules/4-adaptive#modules.adaptive.adaptive_retry_fuzz",
       doc="Random spread of the retries after a suspension.")
option("adaptive_retry_interval", Range(), scopes=DELIVERY, page="4/modules/4-adaptive",
       doc="Bounds within which retry_interval is moved.")
option("adaptive_rset_timeout", Range(), scopes=DELIVERY, page="4/modules/4-adaptive",
       doc="Bounds within which rset_timeout is moved.")
option("adaptive_scope", Enum("auto local global", "auto"), scopes=DELIVERY, page="4/config/ref-adaptive-scope",
       doc="Whether the node or the cluster learns.")
option("adaptive_sweep_rule_enabled", Boolean(True), scopes=DELIVERY,
       page="4/modules/4-adaptive#modules.adaptive.adaptive_sweep_rule_enabled",
       doc="Whether the rule takes part in sweeps.")
