"""ec_logger and bounce_logger, where several stanzas or other places than files are named.

A log has one file.  The first stanza that names one writes it, else the first that says nothing of it; what counts of
lines and permissions is what that stanza says.
"""
import re

from pymomentum.options.types import shown

LOGS = {                        # module -> log -> what goes with it
    "ec_logger": {
        "mainlog": ("mainlog_mode", "heartbeat", "log_receptions", "log_deliveries", "log_transient_failures", "log_permanent_failures"),
        "rejectlog": ("rejectlog_mode", "log_rejections"),
        "paniclog": ("paniclog_mode", "log_errors")},
    "bounce_logger": {"bouncelog": ("bouncelog_mode", "heartbeat", "log_inband_bounces", "log_transient_failures")},
}
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://|(cluster|jlog|persist|pipe|syslog):", re.I)


def scheme(path):
    """Answer what stands before the :// of a path that is none of a file, or an empty text."""
    found = SCHEME.match(path)
    name = (found[1] or found[2]).lower() if found else ""
    return "" if name == "file" else name


def writer(stanzas, log):
    """Answer the stanza that writes a log to a file, or None."""
    working = [stanza for stanza in stanzas if stanza.options["enabled"]]
    named = (stanza for stanza in working if stanza.values.get(log) and not scheme(stanza.values[log]))
    return next(named, next((stanza for stanza in working if log not in stanza.values), None))


def together(module, stanzas):
    """Answer the options that count of all stanzas of a module; a log that none of them writes has no path."""
    options = dict(next((stanza for stanza in stanzas if stanza.options["enabled"]), stanzas[0]).options)
    for log, more in LOGS[module].items():
        stanza = writer(stanzas, log)
        options[log] = ""
        if stanza is not None:
            options.update((name, stanza.options[name]) for name in (log, *more))
            options[log] = re.sub("(?i)^file://", "", options[log])
    return options


def check(reader):
    """Name the logs that are not written."""
    for stanza in reader.modules.values():
        for log in LOGS.get(stanza.name, ()):
            said = stanza.settings.get(log)
            if said is None:
                continue
            same = writer([other for other in reader.modules.values() if other.name == stanza.name], log)
            if name := scheme(stanza.values[log]):
                reader.notice(said, f"{log} is not written: {name}:// is not built yet")
            elif stanza.values[log] and stanza.options["enabled"] and same is not stanza:
                reader.notice(said, f"{log} is not written: that of {stanza.name} {shown(same.instance)} is")
