"""ec_spool_check - read a spool from end to end and name what is damaged

    ec_spool_check [-c FILE] [-x] [--json] [SPOOL]

SPOOL is the directory; without it the configuration's spoolbase.  Nothing is changed.  The server must not
run on it: its lock is held meanwhile.  Ends with 0 where all is well, 1 where something failed (each thing is a line
"FAIL id: reason" on standard error), 2 where the spool cannot be checked.
"""
import argparse
import fcntl
import json
import os
import re
import sys
import time

from pymomentum.commands import run
from pymomentum.config import load
from pymomentum.core.spool.inspect import describe, large_path, survey
from pymomentum.core.spool.spool import lock_holder
from pymomentum.errors import ConfigErrors

ROWS = (("Total scanned", "scanned"), ("Total ok", "ok"), ("Meta failures", "meta"), ("Body failures", "body"),
        ("Orphan L-markers", "orphans"), ("Damaged places", "damaged"))


def check(base):
    """Everything that can be said about the spool, as a dict."""
    found = survey(base)
    failures, good, needed = [], [], set()
    count = dict.fromkeys((key for _, key in ROWS), 0)
    for entry in found.messages:
        count["scanned"] += 1
        if entry["large"]:
            needed.add(os.path.basename(large_path(base, entry["transaction"])))
        try:
            message = describe(entry["meta"], entry["state"])
        except ValueError as e:
            count["meta"] += 1
            failures.append((f"sequence {entry['seq']}", str(e)))
            continue
        if found.body(entry) is None:
            count["body"] += 1
            failures.append((message["id"], "its body is missing or damaged"))
            continue
        count["ok"] += 1
        good.append({key: message[key] for key in ("id", "created", "sender", "recipient", "retries")})
    for line in found.damage:
        lost = re.fullmatch(r"message (\S+) (without its body, lost)", line)
        count["body" if lost else "damaged"] += 1
        count["scanned"] += bool(lost)
        failures.append((lost[1], lost[2]) if lost else ("spool", line))
    for name in sorted(set(os.listdir(os.path.join(base, "large"))) - needed):
        count["orphans"] += 1
        failures.append((f"large/{name}", "belongs to no message"))
    return {**count, "segments": found.segments, "failures": [{"id": id, "reason": reason} for id, reason in failures],
            "messages": good}


def moment(message):
    return f"{message['id']} {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(message['created']))}" if message else "(none)"


def show(result, extremes):
    for failure in result["failures"]:
        print(f"FAIL {failure['id']}: {failure['reason']}", file=sys.stderr)
    for label, key in ROWS:
        if key != "damaged" or result[key]:
            print(f"{label + ':':<17} {result[key]}")
    for segment in result["segments"]:
        print("Segment {number}: {file}, {kind}, {size} bytes, {live} live records of {live_bytes} bytes".format(**segment))
    if extremes:
        def created(message):
            return message["created"]
        print(f"Oldest: {moment(min(result['messages'], key=created, default=None))}")
        print(f"Newest: {moment(max(result['messages'], key=created, default=None))}")


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="ec_spool_check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-c", "--config", metavar="FILE", help="configuration that names the spool")
    parser.add_argument("-e", metavar="DIR", help="accepted and not needed: nothing is loaded from there")
    parser.add_argument("-x", action="store_true", dest="extremes", help="show the oldest and the newest message too")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("spool", nargs="?", help="the directory")
    options = parser.parse_args(arguments)
    try:
        base = options.spool
        if options.config or not base:
            loaded = load(options.config or "ecelerity.conf")
            base = base or loaded.globals["spoolbase"]
        with open(os.path.join(base, "LOCK"), "rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(f"ec_spool_check: {base}: in use by process {lock_holder(base)}", file=sys.stderr)
                return 2
            result = check(base)
    except ConfigErrors as e:
        print(e, file=sys.stderr)
        return 2
    except OSError as e:
        print(f"ec_spool_check: {e.filename or base}: {e.strerror}", file=sys.stderr)
        return 2
    if options.json:
        for failure in result["failures"]:
            print(f"FAIL {failure['id']}: {failure['reason']}", file=sys.stderr)
        print(json.dumps(result))
    else:
        show(result, options.extremes)
    return 1 if result["failures"] else 0


if __name__ == "__main__":
    run(main)
