"""The spool without a server around it, driven at random and compared with a dictionary.

    python -m tests.faults.model FOLDER SEED STEPS clean|crash [sick]

is one life of a process that has the spool; what it knows stands in FOLDER/model.  Under the recording library every
step is told between the writes, so that the disk at any moment can be compared with what was promised by then.  On a
sick disk writes and syncs fail every now and then; what was refused must not be there.
"""
import errno
import json
import mmap
import os
import pickle
import random
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

from pymomentum.core.loop import loop
from pymomentum.core.spool import driver, spool
from tests.faults.disk import SWITCHES, preload
from tests.harness.mta import ROOT

SEGMENT = 256 << 10
SETTLED = 0.6       # seconds by which a tombstone is synced, on a machine that is busy


def body_of(number, size):
    """What transaction `number` carries."""
    line = b"%d " % number
    return (line * (size // len(line) + 1))[:size]


class Life:
    """One process with the spool open."""

    def __init__(self, base, **options):
        loop.create(1)
        spool.open_spool(str(base), **{"segment_size": SEGMENT, **options})
        self.thread = threading.Thread(target=loop.run, args=(0,), daemon=True)     # a failure ends the process
        self.thread.start()
        self.entries = {entry.seq: entry for entry in driver.recover_all()}

    def close(self):
        loop.stop_all()
        self.thread.join()
        spool.close_spool()


def tell(**what):
    """Into the recording, as if it were a reply."""
    os.write(tell.fd, b"250 2.0.0 OK " + json.dumps(what).encode() + b"\r")


tell.fd = os.open(os.devnull, os.O_WRONLY)


class Sickness:
    """Switches faults of the library on and off in a thread until `heal`."""

    def __init__(self, path, rng):
        with open(path, "r+b") as f:
            self.page = mmap.mmap(f.fileno(), 0)
        self.rng, self.stop = rng, threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stop.wait(self.rng.random() * 0.05):
            at = self.rng.choice((0, 4))                        # write_error, sync_error
            struct.pack_into("<i", self.page, at, errno.EIO)
            self.stop.wait(self.rng.random() * 0.02)
            struct.pack_into("<i", self.page, at, 0)

    def heal(self):
        self.stop.set()
        self.thread.join()
        deadline = time.monotonic() + 5
        while driver.accept([(b"probe", [b"probe"])])[0] is None or spool.stats()["degraded"]:
            assert time.monotonic() < deadline, "the disk is well, the spool is not"
            time.sleep(0.02)


def live(folder, seed, steps, end, sick=False):
    folder = Path(folder)
    rng = random.Random(seed)
    try:
        known = pickle.loads((folder / "model").read_bytes())
    except FileNotFoundError:
        known = {}                                  # seq -> (body number, size, meta, state)
    life = Life(folder / "spool", retry_interval=0.02)
    found = {seq: (e.body(), e.meta, e.state) for seq, e in life.entries.items() if e.meta != b"probe"}
    wanted = {seq: (body_of(number, size), meta, state) for seq, (number, size, meta, state) in known.items()}
    assert found == wanted, f"{len(found)} messages, {len(wanted)} expected; differing: " \
        f"{[seq for seq in found.keys() | wanted.keys() if found.get(seq) != wanted.get(seq)][:10]}"
    sickness = Sickness(os.environ["EC_FAULTS_CONTROL"], random.Random(seed)) if sick else None
    for step in range(steps):
        act = rng.random()
        if act < 0.55 or not known:
            sizes = [rng.choice((40, 3000, 3000, 20000)) for _ in range(rng.randrange(1, 6))]
            numbers = [seed * 1000000 + step * 100 + k for k in range(len(sizes))]
            metas = [[b"meta %d.%d" % (number, k) for k in range(rng.choice((1, 1, 3)))] for number in numbers]
            answers = driver.accept([(body_of(number, size), m) for number, size, m in zip(numbers, sizes, metas)])
            for number, size, answer in zip(numbers, sizes, answers):
                if answer is None:
                    assert sick, "refused by a disk that is well"
                    continue
                for entry in answer:
                    life.entries[entry.seq] = entry
                    known[entry.seq] = (number, size, entry.meta, b"")
                tell(accept=[(e.seq, number, size, e.meta.decode()) for e in answer])
        elif act < 0.95:
            gone = rng.sample(sorted(known), min(len(known), rng.randrange(1, 12)))
            tell(forget=gone)
            driver.forget([life.entries[seq] for seq in gone])
            for seq in gone:
                del known[seq], life.entries[seq]
        else:
            seq = rng.choice(sorted(known))
            state = b"state %d " % step + b"." * rng.randrange(200)
            tell(defers=(seq, state.decode()))
            driver.defer(life.entries[seq], state)
            tell(deferred=(seq, state.decode()))
            known[seq] = (*known[seq][:3], state)
    if sick:
        sickness.heal()
    if end == "crash":
        time.sleep(0.05)                            # the last tombstones are written: a kill takes nothing from the cache
        (folder / "model").write_bytes(pickle.dumps(known))
        os._exit(0)
    life.close()
    (folder / "model").write_bytes(pickle.dumps(known))


def lives(folder, seed, count, steps, log=None, sick=False):
    """Several processes on one spool, one after another; AssertionError where one finds what it should not."""
    env = {**os.environ}
    if log or sick:
        env |= {"LD_PRELOAD": preload(), "EC_FAULTS_DIR": str(Path(folder) / "spool")}
    if log:
        env["EC_FAULTS_LOG"] = str(log)
    if sick:
        env["EC_FAULTS_CONTROL"] = str(Path(folder) / "control")
        (Path(folder) / "control").write_bytes(bytes(4 * len(SWITCHES)))
    rng = random.Random(seed)
    for n in range(count):
        run = subprocess.run([sys.executable, "-m", "tests.faults.model", str(folder), str(seed + n), str(steps),
                              rng.choice(("clean", "crash")), *["sick"] * sick], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
        assert run.returncode == 0, f"life {n} with seed {seed + n}: {run.stderr[-3000:]}"


if __name__ == "__main__":
    live(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5:] == ["sick"])
