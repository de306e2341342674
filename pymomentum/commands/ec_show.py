"""ec_show - show the messages in the spool, also beside a running server

    ec_show -n                  how many there are
    ec_show -s                  all of them, with what they say
    ec_show -m MESSAGE_ID       one of them
    ec_show --recipient REGEX --sender REGEX --start_date DATE --end_date DATE
                                those that all given conditions hold for

DATE is YYYY-MM-DD, or with HH:MM or HH:MM:SS behind it, local time; both ends belong to the span.
Retries and next attempt are those that were last written to disk.  Ends with 1 where nothing was found.
"""
import argparse
import json
import re
import sys
import time

from pymomentum.commands import run
from pymomentum.config import load
from pymomentum.core.spool.inspect import describe, survey
from pymomentum.errors import ConfigErrors

METHODS = ("ESMTP", "SMTP", "INTERNAL", "REST", "ECSTREAM", "XFER")
DATES = {"%Y-%m-%d": 86400, "%Y-%m-%d %H:%M": 60, "%Y-%m-%d %H:%M:%S": 1}      # how long what they name lasts


def date(text):
    """The span that a date names, as (first second, the one behind it)."""
    for form, length in DATES.items():
        try:
            start = time.mktime(time.strptime(text, form))
        except ValueError:
            continue
        return start, start + length
    raise argparse.ArgumentTypeError(f'"{text}" is not a date as 2026-01-31 or "2026-01-31 12:00:00"')


def pattern(text):
    try:
        return re.compile(text, re.I)
    except re.error as e:
        raise argparse.ArgumentTypeError(f'"{text}" is not a regular expression: {e}') from None


def moment(seconds):
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def text_of(message, body):
    def parts(id):
        return "(slot: {}, pid: {}, counter: {})".format(*id)
    rows = (("ID", parts(message["id_parts"])), ("BatchID", parts(message["batch"])), ("ConnID", parts(message["conn"])),
            ("Swapped", "Yes"), ("Created", moment(message["created"])),
            ("Next Attempt", moment(message["next_attempt"] or message["created"])), ("Retries", message["retries"]),
            ("Received From", f"{METHODS[message['method']]} {message['peer']}"), ("Sender", message["sender"]),
            ("Recipient", message["recipient"]), ("Code", message["code"]), ("Size", message["size"]))
    lines = [f"Message: {message['id']}"] + [f"  {name}: {value}".rstrip() for name, value in rows]
    content = "(cannot be read)\n" if body is None else body.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
    return "\n".join(lines) + f"\n\n{content}.\n"


def arguments_of(arguments):
    parser = argparse.ArgumentParser(prog="ec_show", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-c", "--config", metavar="FILE", default="ecelerity.conf", help="configuration that names the spool")
    parser.add_argument("-m", metavar="MESSAGE_ID", dest="id", help="show this message")
    parser.add_argument("-n", action="store_true", dest="count", help="count them only")
    parser.add_argument("-s", action="store_true", dest="all", help="show all")
    parser.add_argument("--recipient", metavar="REGEX", type=pattern)
    parser.add_argument("--sender", metavar="REGEX", type=pattern)
    parser.add_argument("--start_date", metavar="DATE", type=date, help="created no earlier")
    parser.add_argument("--end_date", metavar="DATE", type=date, help="created no later")
    parser.add_argument("--json", action="store_true", help="one JSON object per message, without its body")
    options = parser.parse_args(arguments)
    if not (options.id or options.count or options.all or options.recipient or options.sender or options.start_date
            or options.end_date):
        parser.error("nothing is asked for; -s shows all")
    return options


def wanted(message, options):
    return ((not options.id or message["id"] == options.id)
            and (not options.recipient or options.recipient.search(message["recipient"]))
            and (not options.sender or options.sender.search(message["sender"]))
            and (not options.start_date or message["created"] >= options.start_date[0])
            and (not options.end_date or message["created"] < options.end_date[1]))


def main(arguments=None):
    options = arguments_of(arguments)
    try:
        base = load(options.config).globals["spoolbase"]
        found = survey(base, indexes=True)
    except ConfigErrors as e:
        print(e, file=sys.stderr)
        return 2
    except OSError as e:
        print(f"ec_show: {e.filename or base}: {e.strerror}", file=sys.stderr)
        return 2
    sys.stdout.reconfigure(errors="surrogateescape")
    shown = 0
    for entry in found.messages:
        try:
            message = describe(entry["meta"], entry["state"])
        except ValueError as e:
            print(f"ec_show: sequence {entry['seq']}: {e}", file=sys.stderr)
            continue
        if not wanted(message, options):
            continue
        shown += 1
        if options.count:
            continue
        if options.json:
            print(json.dumps(message))
        else:
            print(text_of(message, found.body(entry)))
    if options.count:
        print(shown)
    elif options.id and not shown:
        print(f"ec_show: message {options.id} is not in the spool", file=sys.stderr)
    return 0 if shown or options.count else 1


if __name__ == "__main__":
    run(main)
