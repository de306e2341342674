"""Engagement tracking, as asked for by reception options."""
from pymomentum.options.registry import SESSION, option
from pymomentum.options.types import Boolean, Enum, Number, Text

option("click_tracking_enabled", Boolean(False), scopes=SESSION, page="4/config/click-tracking-enabled",
       doc="Rewrite links so that clicks are seen.")
option("click_tracking_scheme", Enum("http https", "http"), scopes=SESSION, page="4/config/click-tracking-scheme",
       doc="Scheme of the rewritten links.")
option("open_tracking_enabled", Boolean(False), scopes=SESSION, page="4/config/open-tracking-enabled",
       doc="Add a pixel so that opens are seen.")
option("open_tracking_scheme", Enum("http https", "http"), scopes=SESSION, page="4/config/open-tracking-scheme",
       doc="Scheme of the pixel's address.")
option("tracking_domain", Text("localhost:8080"), scopes=SESSION, page="4/config/tracking-domain",
       doc="Host and port that tracking links point to.")
option("tracking_link_expiry", Number(31536000), unit="seconds", scopes=SESSION, page="4/config/tracking-link-expiry",
       doc="How long a tracking link stays valid.")
