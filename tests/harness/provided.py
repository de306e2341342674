"""The test side of provider.pyx: loads it into a server and reads its counters.

    provided = provide(mta)
    mta.send("a@test", "b+validate_data_spool_each_rcpt=discard@example.com")
    provided.counters()["validate_data"].parks
"""
import collections
import struct

from pymomentum.hooks import HOOKS
from tests.harness.extension import extension

Counters = collections.namedtuple("Counters", "calls parks by_thread by_loop by_deadline cancelled wrong again")
SIZE = 8 * (len(HOOKS) * len(Counters._fields) + 1)


class Provided:
    def __init__(self, mta):
        self.path = mta.folder / "provider"
        self.path.write_bytes(bytes(SIZE))
        mta.env["EC_PROVIDER"] = str(self.path)
        mta.extensions.append(extension("provider"))

    def read(self):
        return struct.unpack(f"<{SIZE // 8}Q", self.path.read_bytes())

    def counters(self):
        """By the hook's name."""
        numbers, width = self.read(), len(Counters._fields)
        return {hook.name: Counters(*numbers[i * width:(i + 1) * width]) for i, hook in enumerate(HOOKS)}

    def tokens(self):
        """Suspensions in the server now."""
        return self.read()[-1]


def provide(mta):
    """Have the provider in the server that `mta` will start."""
    return Provided(mta)
