"""The rows of all core options, and the questions asked about them.

Needs nothing but the standard library: the build runs `pxi` before anything is
compiled.  A name may have several rows when scopes disagree about its default.
"""
import re
from importlib import import_module

from pymomentum.options.pending import PENDING

TOPICS = ("receiving", "tracking", "listeners", "sending", "queueing", "dns", "tls", "storage", "server",
          "cluster", "adaptive", "mobile")

SCOPES = ("global", "binding_group", "binding", "domain", "host", "pathway_group", "pathway", "esmtp_listener",
          "control_listener", "http_listener", "ecstream_listener", "listen", "peer", "threadpool", "eventloop",
          "security", "debug_flags")

GLOBAL = frozenset({"global"})
ROUTING = GLOBAL | {"domain"}
BINDINGS = GLOBAL | {"binding", "binding_group"}
DELIVERY = BINDINGS | {"domain"}
DELIVERY_HOST = DELIVERY | {"host"}
PATHWAYS = frozenset({"pathway", "pathway_group"})
RECEPTION = PATHWAYS | GLOBAL
SESSION = PATHWAYS | {"esmtp_listener", "listen", "peer"}
SESSION_GLOBAL = SESSION | GLOBAL
LISTENERS = frozenset({"control_listener", "ecstream_listener", "esmtp_listener", "http_listener"})
SOCKET = LISTENERS | {"listen"}

OPTIONS = {}        # name -> its rows


class Option:
    """One row: a name, in the scopes that may hold it."""

    __slots__ = ("name", "type", "scopes", "unit", "dynamic", "page", "defaults", "doc")

    def __init__(self, name, type, scopes, unit, dynamic, page, defaults, doc):
        self.name = name
        self.type = type
        self.scopes = frozenset(scopes)
        self.unit = unit
        self.dynamic = dynamic          # False: a change needs a restart
        self.page = page                # of the reference manual; "": ours
        self.defaults = defaults        # scope -> default, where it is not the type's
        self.doc = doc

    @property
    def pending(self):
        """Whether the server does not read it yet."""
        return self.name in PENDING

    @property
    def default(self):
        """The built-in value; one that depends on the machine is found out now."""
        default = self.type.default
        return default() if callable(default) else default


def option(name, type, *, scopes, doc, unit="", dynamic=True, page="", defaults=None):
    """Declare an option; called by the topic modules."""
    row = Option(name, type, scopes, unit, dynamic, page, defaults or {}, doc)
    if not row.scopes <= set(SCOPES):
        raise ValueError(f"{name}: unknown scope among {sorted(row.scopes)}")
    rows = OPTIONS.setdefault(name, [])
    if any(row.scopes & other.scopes for other in rows):
        raise ValueError(f"{name} is declared twice")
    rows.append(row)
    return row


def find(name, scope):
    """Answer the row of an option in a scope, or None."""
    for row in OPTIONS.get(name, ()):
        if scope in row.scopes:
            return row
    return None


def names():
    """Answer all option names in the order of their ids."""
    return sorted(OPTIONS)


def identifier(text):
    return re.sub(r"[^A-Z0-9]", "_", text.upper())


def pxi():
    """Answer the text of option_ids.pxi: an id for every option, a constant for every enumerated value."""
    lines = ["# Generated from pymomentum/options; one id per option.", "cdef enum:"]
    lines += [f"    OPT_{identifier(name)} = {i}" for i, name in enumerate(names())]
    lines += [f"    OPT_COUNT = {len(OPTIONS)}", f"    OPT_WORDS = {(len(OPTIONS) + 63) // 64}", ""]
    for name in names():
        constants = [f"    {identifier(name)}_{identifier(word)} = {number}"
                     for row in OPTIONS[name] for word, number in row.type.constants()]
        if constants:
            lines += ["cdef enum:", *constants, ""]
    return "\n".join(lines)


for topic in TOPICS:
    import_module(f"pymomentum.options.{topic}")
