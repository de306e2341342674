"""Every hook, declared once.

`runs` says where providers are called: LOOP on the session's event loop, ANY wherever the engine is.  `each` marks
the phases that run once per recipient.  Order is the order in which a message meets them.
"""
from typing import NamedTuple

LOOP, ANY = "loop", "any"


class Hook(NamedTuple):
    name: str
    arguments: str
    runs: str
    each: bool
    doc: str


HOOKS = []


def hook(name, arguments, *, runs=LOOP, each=False, doc):
    """Declare one hook; the row becomes HOOK_<NAME> in the engine."""
    HOOKS.append(Hook(name, arguments, runs, each, doc))


hook("core_validate_accept", "ac", doc="A connection was accepted; only cheap refusals.")
hook("validate_connect", "ac vctx", doc="Before the banner goes out.")
hook("validate_ehlo", "str ac vctx", doc="EHLO or HELO parses; capabilities may change.")
hook("validate_mailfrom", "str ac vctx", doc="MAIL FROM parses; the message exists now.")
hook("validate_rcptto", "msg str ac vctx", each=True, doc="One RCPT TO parses and may be relayed.")
hook("validate_rcptto_list", "list vctx", doc="DATA arrived: the recipients are complete.")
hook("validate_rcptto_list_final", "list vctx", doc="The last place where recipients may change.")
hook("validate_data", "msg ac vctx", doc="The body is here and parses.")
hook("validate_data_spool", "msg ac vctx", doc="Once per transaction, before the spool.")
hook("validate_data_spool_each_rcpt", "msg ac vctx", each=True, doc="Once per recipient.")
hook("validate_set_binding", "msg", runs=ANY, each=True, doc="Choose the binding.")
hook("core_final_validation", "msg ac vctx", runs=ANY, each=True, doc="The recommended place for signing.")
hook("core_post_final_validation", "msg ac vctx", runs=ANY, each=True, doc="The last place before the spool write.")
hook("core_server_esmtp_session_abort", "ac vctx", doc="The client went away in the middle.")
