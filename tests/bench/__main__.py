"""What a message costs, as a table.

    python -m tests.bench [--rows NAME,...] [--runs N] [--quick] [--peer postfix] [--json FILE] [--list]

Starts the server itself, drives it, and prints for every row the median of the runs with its range, its targets and
whether they are met.  Rows that are compared take turns within a run.  Run it with nothing else running.
"""
import argparse
import json
import signal
import sys
from pathlib import Path

from tests.bench import peer, table
from tests.bench.rows import PEER_TARGETS, ROWS
from tests.bench.tools import BenchError

NAMES = {row.name: row for row in ROWS}


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def groups(wanted):
    """Rows that take turns: a row, and all that are compared with it."""
    for row in ROWS:
        beside = [other for other in ROWS if other.beside == row.name and other.name in wanted]
        if not row.beside and (row.name in wanted or beside):
            yield [row, *beside]


def measure(group, options):
    """{name: figures of each run}"""
    found = {row.name: [] for row in group}
    for number in range(1, options.runs + 1):
        for row in group:
            say(f"{row.name}, run {number} of {options.runs}")
            figures = row.measure(options.quick)
            if row.beside:
                figures["beside"] = figures["rate"] / found[row.beside][-1]["rate"]
            if options.peer and row.name in peer.ROWS:
                say(f"{row.name} through Postfix")
                figures |= peer.measure(row, figures, options.quick)
            found[row.name].append(figures)
    return found


def arguments():
    parser = argparse.ArgumentParser(prog="build.sh bench", description="What a message costs.")
    parser.add_argument("--rows", help="names, by commas; all without it, with --peer those it is compared in")
    parser.add_argument("--runs", type=int, default=5, help="of each row (default %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the messages, to try it out; not for figures")
    parser.add_argument("--peer", choices=["postfix"], help=f"measure it too, in the rows {' and '.join(peer.ROWS)}; needs root")
    parser.add_argument("--json", metavar="FILE", type=Path, help="all figures of all runs, one JSON line a row")
    parser.add_argument("--list", action="store_true", help="the rows")
    options = parser.parse_args()
    options.wanted = options.rows.split(",") if options.rows else list(peer.ROWS if options.peer else NAMES)
    unknown = set(options.wanted) - set(NAMES)
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    if options.runs < 1:
        parser.error("--runs begins at 1")
    return options


def main():
    options = arguments()
    if options.list:
        for row in ROWS:
            print(f"{row.name:<12}{row.what}")
        return 0
    if options.peer and (reason := peer.reason_against()):
        say(f"--peer {options.peer}: {reason}")
        return 3
    if options.quick:
        say("a tenth of the messages: targets are shown, not judged by this")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))         # what was started is ended, as by ^C
    lines = []
    try:
        for group in groups(options.wanted):
            found = measure(group, options)
            for row in group:
                runs = found[row.name]
                targets = row.targets + (PEER_TARGETS if "peer_rate" in runs[0] and row.size == 4096 else ())
                table.show(row, targets, runs)
                lines.append(json.dumps({"row": row.name, "what": row.what, "quick": options.quick,
                                         "targets": table.verdicts(targets, runs), "runs": runs}) + "\n")
                if options.json:
                    options.json.write_text("".join(lines))
    except BenchError as failure:
        say(str(failure))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
