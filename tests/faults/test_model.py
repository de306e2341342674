"""Random lives of a spool against a dictionary: exact after a stop or a kill, as promised after a power cut anywhere."""
import json
import random
from pathlib import Path

from pymomentum.core.spool.inspect import survey
from tests.faults.disk import read_log
from tests.faults.model import SETTLED, body_of, lives
from tests.faults.power import Image, Recording, Replay


def test_spool_equals_dictionary_after_stops_and_kills(tmp_path):
    for seed in (1, 2):
        folder = tmp_path / str(seed)
        folder.mkdir()
        lives(folder, seed * 100, 3, 150)


def test_spool_equals_dictionary_though_the_disk_fails_at_times(tmp_path):
    lives(tmp_path, 900, 4, 250, sick=True)


class Promise:
    """What was told up to a point of the recording."""

    def __init__(self):
        self.accepted = {}          # seq -> (body, meta)
        self.gone = {}              # seq -> when its tombstone was asked for
        self.states = {}            # seq -> those that may be found

    def take(self, event):
        told = json.loads(event.data)
        for seq, number, size, meta in told.get("accept", ()):
            self.accepted[seq] = (body_of(number, size), meta.encode())
            self.states[seq] = [b""]
        for seq in told.get("forget", ()):
            self.gone[seq] = event.ns
        if "defers" in told:
            self.states[told["defers"][0]].append(told["defers"][1].encode())
        if "deferred" in told:
            self.states[told["deferred"][0]] = [told["deferred"][1].encode()]

    def check(self, base, now):
        for indexes in (False, True):
            self.check_found({m["seq"]: m for m in survey(base, bodies=True, indexes=indexes).messages}, now)

    def check_found(self, found, now):
        for seq, (body, meta) in self.accepted.items():
            m = found.get(seq)
            if m is None:
                assert seq in self.gone, f"message {seq} is lost"
                continue
            assert m["body"] == body and m["meta"] == meta, f"message {seq} has changed"
            assert m["state"] in self.states[seq], f"message {seq} has an old state"
            assert now - self.gone.get(seq, now) <= SETTLED * 1e9, f"message {seq} came back after {(now - self.gone[seq]) / 1e9} s"


def test_power_cut_at_every_record_keeps_every_promise(tmp_path):
    lives(tmp_path, 500, 3, 150, log=tmp_path / "log")
    spool = tmp_path / "spool"
    events = list(read_log(tmp_path / "log"))
    recording = Recording(events, {spool.stat().st_ino: "", (spool / "large").stat().st_ino: "/large"}, 0, 0, 0)
    replay, promise, rng = Replay(recording), Promise(), random.Random(5)
    image = Image(tmp_path / "image")
    told = 0
    for at, event in enumerate(events, 1):
        if event.kind == "acked" or rng.random() < 0.5:
            continue                # told events change no disk; half of the others will do
        replay.advance(at)
        for past in events[told:at]:
            if past.kind == "acked":
                promise.take(past)
        told = at
        image.cut(replay, rng)
        promise.check(str(image.path), event.ns)
