"""Power cuts: one recorded load, the disk as it could be found at any moment of it, and what comes back from there.

What a completed sync covers is on the disk.  Of what was written since, any subset of 4 KiB blocks may be, some of
them with part of their sectors.  A name is there for certain after a sync of its directory, else perhaps.
"""
import hashlib
import random
import re
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from pymomentum.core.spool.inspect import describe, survey
from tests.faults.disk import Disk, read_log
from tests.harness.mta import Mta
from tests.harness.smtp import Blast, blast_id
from tests.harness.wait import until

BLOCK, SECTOR = 4096, 512
ID = re.compile(rb"\bid ([0-9A-F]{2}/[0-9A-F]{2}-\d{5}-[0-9A-F]{8})")
CONFIG = """
    large_message_threshold = 16384
    retry_interval = 1
"""
LATE = 1.5          # seconds after a delivery by which its tombstone is synced, on a machine that is busy


def message_id(data):
    """The id that the server's own Received field gives, or None."""
    found = ID.search(data[:2000])
    return found[1].decode() if found else None


def say_taken(message):
    return f"250 2.0.0 taken {message_id(message.data)}"


def some_wait(address):
    """A tenth of the recipients are never there."""
    return "452 4.2.2 later" if int(hashlib.md5(address.encode()).hexdigest(), 16) % 10 == 0 else "250 2.1.5 OK"


@dataclass
class Recording:
    events: list
    folders: dict               # inode -> path below the spool, "" for itself
    acked: int
    taken: int
    seconds: float


def record(folder, n=2000, runs=2):
    """Load a server, killed between the runs, and write down what it does to its disk."""
    mta = Mta(folder)
    disk = Disk(mta, record=True)
    mta.route(rcpt=some_wait, body=say_taken)
    mta.config(CONFIG)
    mta.expect_panic("SPOOL *")
    seconds = 0
    try:
        for run in range(runs):
            mta.start()
            small = Blast(mta.port, n // runs, 20, 2048, rcpt=lambda i: f"r{run}.{i}@example.com", tag=f"s{run}").start()
            large = Blast(mta.port, max(4, n // runs // 50), 2, 40000, rcpt=lambda i: f"l{run}.{i}@example.com", tag=f"l{run}").start()
            if run + 1 < runs:
                until(lambda: len(small.acked) >= n // runs * 3 // 4, 60, "three quarters of the load")
                mta.kill()
            small.join(120)
            large.join(120)
            seconds += small.seconds
        mta.stop()
    finally:
        mta.close()
    spool = Path(folder) / "spool"
    folders = {spool.stat().st_ino: "", (spool / "large").stat().st_ino: "/large"}
    events = list(read_log(disk.log))
    count = {kind: sum(e.kind == kind for e in events) for kind in ("acked", "taken")}
    return Recording(events, folders, count["acked"], count["taken"], seconds)


class File:
    def __init__(self):
        self.data = bytearray()     # on the disk for certain
        self.pending = []           # (offset, bytes) or (size, None), since the last sync
        self.mark = 0               # how many of them the sync under way covers
        self.version = 0

    def apply(self, n):
        for offset, data in self.pending[:n]:
            put(self.data, offset, data)
        del self.pending[:n]
        self.version += n > 0


def put(content, offset, data):
    if data is None:
        del content[offset:]
        content.extend(bytes(offset - len(content)))
        return
    if offset + len(data) > len(content):
        content.extend(bytes(offset + len(data) - len(content)))
    content[offset:offset + len(data)] = data


@dataclass
class Folder:
    names: dict = field(default_factory=dict)       # path -> File, on the disk for certain
    pending: list = field(default_factory=list)     # (path, File or None)
    mark: int = 0

    def apply(self, n):
        for path, file in self.pending[:n]:
            if file is None:
                self.names.pop(path, None)
            else:
                self.names[path] = file
        del self.pending[:n]


class Replay:
    """The disk after the first events of a recording; `syncs` False: files are never synced."""

    def __init__(self, recording, syncs=True):
        self.recording, self.syncs = recording, syncs
        self.at = 0
        self.files = {}                             # inode -> File
        self.now = {}                               # path -> File, as the server sees it
        self.folders = {path: Folder() for path in recording.folders.values()}
        self.acked, self.taken = {}, {}             # id -> when

    def advance(self, to):
        for event in self.recording.events[self.at:to]:
            getattr(self, f"on_{event.kind}")(event)
        self.at = max(self.at, to)

    def folder(self, path):
        return self.folders["/large" if path.startswith("/large/") else ""]

    def on_create(self, e):
        path = e.data.decode()
        self.files[e.file] = self.now[path] = File()
        self.folder(path).pending.append((path, self.now[path]))

    def on_unlink(self, e):
        path = e.data.decode()
        self.now.pop(path, None)
        self.folder(path).pending.append((path, None))

    def on_rename(self, e):
        old, new = e.data.decode().split("\0")
        self.now[new] = self.now.pop(old)
        self.folder(old).pending += [(new, self.now[new]), (old, None)]

    def on_write(self, e):
        self.files[e.file].pending.append((e.offset, e.data))

    def on_truncate(self, e):
        self.files[e.file].pending.append((e.offset, None))

    def on_sync(self, e):
        target = self.target(e)
        target.mark = len(target.pending)

    def on_synced(self, e):
        target = self.target(e)
        if self.syncs or isinstance(target, Folder):
            target.apply(target.mark)
        target.mark = 0

    def target(self, e):
        if e.file in self.recording.folders:
            return self.folders[self.recording.folders[e.file]]
        return self.files.setdefault(e.file, File())

    def on_acked(self, e):
        self.acked[e.data.decode()] = e.ns

    def on_taken(self, e):
        self.taken[e.data.decode()] = e.ns


class Image:
    """A folder that is made to look like the disk after a cut."""

    def __init__(self, path):
        self.path = Path(path)
        (self.path / "large").mkdir(parents=True)
        self.written = {}                           # path -> (File, version) it has, None where it was mixed

    def cut(self, replay, rng):
        chance = rng.choice((0, 0.3, 0.7, 1))
        names = {}
        for folder in replay.folders.values():
            names.update(folder.names)
            for path, file in folder.pending:
                if rng.random() < chance:
                    names[path] = file
        names = {path: file for path, file in names.items() if file is not None}
        for path in set(self.written) - set(names):
            (self.path / path[1:]).unlink()
            del self.written[path]
        for path, file in names.items():
            content = file.data
            if file.pending and chance:
                content = mixed(file, rng, chance)
            elif self.written.get(path) == (file, file.version):
                continue
            (self.path / path[1:]).write_bytes(content)
            self.written[path] = (file, file.version) if content is file.data else None


def mixed(file, rng, chance):
    """The content with a random part of what was not synced."""
    content = bytearray(file.data)
    for offset, data in file.pending:
        if data is None:
            if rng.random() < chance:
                put(content, offset, None)
            continue
        at = 0
        while at < len(data):
            step = BLOCK - (offset + at) % BLOCK
            piece = data[at:at + step]
            fate = rng.random()
            if fate < chance * 0.9:
                put(content, offset + at, piece)
            elif fate < chance:                     # torn
                for sector in range(0, len(piece), SECTOR):
                    if rng.random() < 0.5:
                        put(content, offset + at + sector, piece[sector:sector + SECTOR])
            at += step
    return content


@dataclass
class Result:
    cuts: int = 0
    acked: int = 0              # summed over the cuts
    lost: list = field(default_factory=list)
    wrong: list = field(default_factory=list)       # bodies that are not their message's
    again: int = 0              # delivered before the cut and there again
    late: list = field(default_factory=list)        # of those, delivered longer ago than a tombstone takes
    bound: int = 0              # deliveries of the last 100 ms before the cuts
    served: int = 0             # cuts from which a whole server was started


def body_is_right(data, identity):
    """Does the body belong to the message and is it whole?"""
    head, _, body = data.partition(b"\r\n\r\n")
    name = blast_id(data)
    size = 40000 if name and name.startswith("l") else 2048
    return message_id(data) == identity and body == (b"x" * 76 + b"\r\n") * (size // 78)


def check(image, replay, result):
    """What recovery finds on the image, against what was promised."""
    found = {}
    for message in survey(str(image.path), bodies=True).messages:
        identity = describe(message["meta"], message["state"])["id"]
        if message["body"] is None:
            continue                                # as good as not there
        found[identity] = message["body"]
        if not body_is_right(message["body"], identity):
            result.wrong.append(identity)
    now = replay.recording.events[replay.at - 1].ns if replay.at else 0
    result.cuts += 1
    result.acked += len(replay.acked)
    result.lost += [i for i in replay.acked if i not in found and i not in replay.taken]
    again = [i for i in replay.taken if i in found]
    result.again += len(again)
    result.late += [(i, (now - replay.taken[i]) / 1e9) for i in again if now - replay.taken[i] > LATE * 1e9]
    result.bound += sum(now - ns <= 1e8 for ns in replay.taken.values())
    return found


def serve(image, expected, folder):
    """Start the real server on the image: everything that is expected arrives at a sink."""
    folder = Path(folder)
    shutil.copytree(image.path, folder / "spool")
    mta = Mta(folder)
    sink = mta.route()
    mta.config(CONFIG)
    mta.expect_panic("SPOOL *")
    mta.start()
    try:
        until(lambda: expected <= {message_id(m.data) for m in list(sink.messages)}, 60,
              lambda: f"{len(expected - {message_id(m.data) for m in list(sink.messages)})} messages")
        for m in list(sink.messages):
            assert body_is_right(m.data, message_id(m.data)), m.data[:500]
    finally:
        mta.close()


def cuts(recording, count, seed, *, syncs=True, full=0, result=None, progress=None):
    """Cut the power `count` times; at `full` of them the real server starts on what is left."""
    rng = random.Random(seed)
    result = result or Result()
    points = sorted(rng.randrange(1, len(recording.events) + 1) for _ in range(count))
    whole = set(rng.sample(range(count), min(full, count)))
    replay = Replay(recording, syncs)
    place = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as folder:
        image = Image(Path(folder) / "image")
        for number, point in enumerate(points):
            replay.advance(point)
            image.cut(replay, rng)
            found = check(image, replay, result)
            if number in whole:
                (Path(folder) / f"serve{number}").mkdir()
                serve(image, set(found), Path(folder) / f"serve{number}")
                result.served += 1
            if progress:
                progress(number + 1, count)
    return result
