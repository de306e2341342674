"""python -m tests.faults [kill|power|disk|corrupt|model|soak ...] [--count N] [--seed N]

Kills, power cuts, sick disks, many times: 100 kills and 1,000 power cuts unless --count says otherwise.
"""
import argparse
import random
import sys
import tempfile
import time

from tests.faults import kill, power

KILLS, CUTS, MODELS = 100, 1000, 50
ALL = ("kill", "power", "disk", "corrupt", "model", "soak")


def progress(what):
    """A line that is written over, on a terminal; else one in ten."""
    def show(done, total):
        if sys.stderr.isatty():
            print(f"\r{what}: {done}/{total}", end="\n" if done == total else "", file=sys.stderr, flush=True)
        elif done % max(1, total // 10) == 0:
            print(f"{what}: {done}/{total}", file=sys.stderr, flush=True)
    return show


def run_kill(options):
    with tempfile.TemporaryDirectory() as folder:
        r = kill.kills(folder, options.count or KILLS, options.seed, progress=progress("kills"))
    rows = [("kills", r.kills), ("acknowledged", r.acked), ("lost", r.lost), ("delivered twice", r.twice),
            ("  bound: under way or of the last 100 ms", r.bound), ("  settled long before", r.late)]
    return rows, r.lost == 0 and r.late == 0


def run_power(options):
    count = options.count or CUTS
    each = 250                      # cuts of one recording
    rows = power.Result()
    blind = power.Result()
    show = progress("power cuts")
    for n in range(0, count, each):
        with tempfile.TemporaryDirectory() as folder:
            recording = power.record(folder, 3000)
        more = min(each, count - n)
        power.cuts(recording, more, options.seed + n, full=max(1, more // 50), result=rows,
                   progress=lambda done, total: show(n + done, count))
        power.cuts(recording, 5, options.seed + n, syncs=False, result=blind)
    table = [("power cuts", rows.cuts), ("  with a whole server started", rows.served),
             ("acknowledged before them", rows.acked), ("lost", len(rows.lost)), ("wrong bodies", len(rows.wrong)),
             ("there again after delivery", rows.again), ("  bound: of the last 100 ms", rows.bound),
             ("  delivered long before", len(rows.late)), ("lost with syncs ignored (must be)", len(blind.lost))]
    return table, not rows.lost and not rows.wrong and not rows.late and bool(blind.lost)


def run_tests(name):
    """The scenarios that are tests too."""
    def run(options):
        import pytest
        code = pytest.main(["-q", "-p", "no:cacheprovider", f"{__file__.rpartition('/')[0]}/test_{name}.py"])
        return [(name, "passed" if code == 0 else "FAILED")], code == 0
    return run


RUNS = {"kill": run_kill, "power": run_power, **{name: run_tests(name) for name in ALL[2:]}}


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="faults", description=__doc__.splitlines()[2])
    parser.add_argument("what", nargs="*", choices=[*ALL, []], help=f"of {', '.join(ALL)}; default: all")
    parser.add_argument("--count", type=int, default=0, help="kills, power cuts")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args(arguments)
    table, good = [], True
    for what in options.what or ALL:
        begin = time.monotonic()
        rows, fine = RUNS[what](options)
        good = good and fine
        table += [*rows, ("  seconds", f"{time.monotonic() - begin:.0f}")]
    print(f"seed {options.seed}")
    for name, value in table:
        print(f"{name:<42} {value:>12}")
    print("all good" if good else "FAULTS FOUND")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
