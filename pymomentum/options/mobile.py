"""Push and messaging gateways."""
from pymomentum.options.registry import DELIVERY, option
from pymomentum.options.types import Boolean, Number, Text

option("apn_expiry", Boolean(True), scopes=DELIVERY, dynamic=False, page="3/3-push/apns-apn-expiry",
       doc="Let the push service keep a notification for a device that is off.")
option("gcm_application_id", Text(), scopes=DELIVERY, page="3/3-push/push-gcm-gcm-application-id",
       doc="Application name sent with a push.")
option("gcm_authorization_token_id", Text(), scopes=DELIVERY, page="3/3-push/push-gcm-gcm-authorization-token-id",
       doc="Key of the push service.")
option("gcm_delay_while_idle", Boolean(False), scopes=DELIVERY, page="3/3-push/push-gcm-gcm-delay-while-idle",
       doc="Deliver once the device is in use.")
option("gcm_dry_run", Boolean(False), scopes=DELIVERY, page="3/3-push/push-gcm-gcm-dry-run",
       doc="Have the push service check only.")
option("gcm_ttl", Number(-1, minimum=-1), unit="seconds", scopes=DELIVERY, page="3/3-push/push-gcm-gcm-ttl",
       doc="How long the push service keeps a message; -1 is its own limit.")
option("mm7_delivery_report", Boolean(), scopes={"binding", "domain"}, page="4/config/ref-idle-timeout",
       doc="Ask for a delivery report.")
option("mm7_message_class", Text(), scopes={"binding", "domain"}, page="4/config/ref-idle-timeout",
       doc="Class of the multimedia message.")
option("mm7_vasid", Text(), scopes={"binding", "domain"}, page="4/config/ref-idle-timeout",
       doc="Service id at the multimedia gateway.")
option("mm7_vaspid", Text(), scopes={"binding", "domain"}, page="4/config/ref-idle-timeout",
       doc="Provider id at the multimedia gateway.")
option("xmpp_dialback_secret", Text(), scopes={"domain"},
       page="mobile/mobile-reference/mobility-xmpp-modules#mobility.xmpp.modules.xmpp_role",
       doc="Secret of the server dialback.")
option("xmpp_role", Text(), scopes={"domain"},
       page="mobile/mobile-reference/mobility-xmpp-modules#mobility.xmpp.modules.xmpp_role",
       doc="Whether the domain is served or reached by XMPP.")
