"""The library between a server and its disk: built, handed over, its log read, its switches thrown."""
import collections
import errno
import mmap
import os
import struct
import subprocess
from pathlib import Path

from tests.harness.mta import ROOT

SOURCE = Path(__file__).with_name("disk.c")
LIBRARY = ROOT / "build" / "faults" / "disk.so"
KINDS = ("", "create", "write", "truncate", "unlink", "rename", "sync", "synced", "acked", "taken")
HEAD = struct.Struct("<IIQQQ")
Event = collections.namedtuple("Event", "kind file offset ns data")
SWITCHES = ("write_error", "sync_error", "name_error", "stall", "cut_short", "blocked")


def library():
    """The path of the library, compiled where it is older than its source."""
    if not LIBRARY.exists() or LIBRARY.stat().st_mtime < SOURCE.stat().st_mtime:
        LIBRARY.parent.mkdir(parents=True, exist_ok=True)
        new = LIBRARY.with_suffix(f".{os.getpid()}")
        subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-o", new, SOURCE, "-ldl"], check=True)
        new.rename(LIBRARY)
    return LIBRARY


def preload():
    """LD_PRELOAD with the library behind what stands there already, as sanitizers must come first."""
    return f"{os.environ.get('LD_PRELOAD', '')} {library()}".strip()


def read_log(path):
    """Every whole event of a log."""
    data = memoryview(Path(path).read_bytes())
    at = 0
    while at + HEAD.size <= len(data):
        kind, length, file, offset, ns = HEAD.unpack_from(data, at)
        at += HEAD.size
        if at + length > len(data):
            return
        yield Event(KINDS[kind], file, offset, ns, bytes(data[at:at + length]))
        at += length


class Disk:
    """What a server's spool directory meets; `env` goes into the server's environment.

        disk = Disk(mta, record=True)
        disk.set(write_error=errno.ENOSPC)
        disk.heal()
    """

    def __init__(self, mta, record=False):
        self.log = mta.folder / "disk.log"
        path = mta.folder / "disk.control"
        path.write_bytes(bytes(4 * len(SWITCHES)))
        with open(path, "r+b") as f:
            self.page = mmap.mmap(f.fileno(), 4 * len(SWITCHES))
        mta.env = {"LD_PRELOAD": preload(), "EC_FAULTS_DIR": str(mta.folder / "spool"), "EC_FAULTS_CONTROL": str(path)}
        if record:
            mta.env["EC_FAULTS_LOG"] = str(self.log)

    def set(self, **switches):
        for name, value in switches.items():
            struct.pack_into("<i", self.page, 4 * SWITCHES.index(name), value)

    def heal(self):
        self.set(write_error=0, sync_error=0, name_error=0, stall=0, cut_short=0)

    def get(self, name):
        return struct.unpack_from("<i", self.page, 4 * SWITCHES.index(name))[0]

    def full(self):
        self.set(write_error=errno.ENOSPC, name_error=errno.ENOSPC)

    def read_only(self):
        self.set(write_error=errno.EROFS, name_error=errno.EROFS)
