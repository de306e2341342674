"""Seeded mutation fuzzer of the parsers.

    python -m tests.fuzz.run --seconds 60 [--target command] [--seed N] [--save]

Each target runs in a process of its own, so that a crash is caught as well as a broken
promise; the input at fault is kept in tests/fuzz/corpus/<target>/ as fault-<checksum>.
--save keeps the inputs whose results had a new shape, too.
"""
import argparse
import hashlib
import mmap
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

from tests.fuzz.targets import TARGETS, clean
from tests.harness.mutate import mutant

CORPUS = Path(__file__).resolve().parent / "corpus"
LONGEST = 4096
POOL = 2000             # samples at most
HANG = 10               # seconds for one input
CUTS = {"spool": 8}     # bytes from one beginning of an input to the next; 1 for other targets


def samples(name):
    """The saved inputs of a target, in a fixed order."""
    return [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]


def keep(name, kind, data):
    path = CORPUS / name / f"{kind}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path


def _note(scratch, runs, data):
    """The count of runs and the input at hand, for whoever finds us dead."""
    scratch[:16] = runs.to_bytes(8, "little") + len(data).to_bytes(8, "little")
    scratch[16:16 + len(data)] = data


def _loop(name, seconds, seed, save, scratch):
    """Runs in the child."""
    target = TARGETS[name]
    rng = random.Random(f"{name} {seed}")
    pool = samples(name)
    shapes = set()
    for data in pool:
        _note(scratch, 0, data)
        shapes.add(target(data))
    end = time.monotonic() + seconds
    runs = 0
    while time.monotonic() < end:
        data = mutant(rng, pool, LONGEST)
        runs += 1
        _note(scratch, runs, data)
        if runs % 256 == 1:
            signal.alarm(HANG)
        shape = target(data)
        if shape not in shapes:
            shapes.add(shape)
            if len(pool) < POOL:
                pool.append(data)
            if save:
                keep(name, "shape", data)
    signal.alarm(0)


def _beginnings(name, scratch):
    """Runs in the child: every saved input, and what it begins with."""
    for data in samples(name):
        for end in {len(data), *range(0, min(len(data), 200), CUTS.get(name, 1))}:
            _note(scratch, 0, data[:end])
            TARGETS[name](data[:end])


def fuzz(name, seconds, seed=1, save=False):
    """Drive one target; answers (runs, path of the input at fault or None)."""
    return _in_child(name, lambda scratch: _loop(name, seconds, seed, save, scratch))


def replay(name):
    """The saved inputs and their beginnings; answers the path of the input at fault or None."""
    return _in_child(name, lambda scratch: _beginnings(name, scratch))[1]


def _in_child(name, run):
    scratch = mmap.mmap(-1, 16 + LONGEST)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            run(scratch)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            clean()
            sys.stderr.flush()
            os._exit(status)
    _, status = os.waitpid(child, 0)
    runs = int.from_bytes(scratch[:8], "little")
    if status == 0:
        return runs, None
    data = scratch[16:16 + int.from_bytes(scratch[8:16], "little")]
    return runs, keep(name, "fault", data)


def main():
    parser = argparse.ArgumentParser(prog="tests.fuzz.run", description="Fuzz the parsers.")
    parser.add_argument("--seconds", type=float, default=60, help="for each target")
    parser.add_argument("--target", choices=sorted(TARGETS), action="append")
    parser.add_argument("--seed", type=int, default=None, help="default: another one each time, and printed")
    parser.add_argument("--save", action="store_true")
    args = parser.parse_args()
    seed = args.seed if args.seed is not None else random.randrange(1 << 32)
    names = args.target or list(TARGETS)
    faults = 0
    for name in names:
        runs, fault = fuzz(name, args.seconds, seed, args.save)
        print(f"{name}: {runs} runs, seed {seed}" + (f", FAULT kept in {fault}" if fault else ""), flush=True)
        faults += fault is not None
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
