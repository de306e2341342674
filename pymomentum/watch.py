"""The page that the server shares with its supervisor.

The environment variable EC_WATCH names it.  At offset 64*i stands a u64 that
event loop i makes grow in every iteration, 0 while it does not run; at 4096 +
64*i the u64 spool sequence it works on, 0 for none; at 8192 a u64 that is 1
once the server has started.  Lines of 64 bytes keep
the loops out of each other's caches.
"""
import mmap
import os
import struct

ENVIRONMENT = "EC_WATCH"
LOOPS = 64
STEP = 64
IN_HAND = LOOPS * STEP
READY = 2 * IN_HAND
SIZE = READY + STEP
WORD = struct.Struct("=Q")


class Watch:
    """The supervisor's side: makes the page and reads it."""

    def __init__(self):
        self.fd = os.memfd_create("ecelerity watch", os.MFD_CLOEXEC)
        os.ftruncate(self.fd, SIZE)
        self.page = mmap.mmap(self.fd, SIZE)

    @property
    def path(self):
        """What a child that inherits the descriptor opens."""
        return f"/proc/self/fd/{self.fd}"

    def clear(self):
        self.page[:] = bytes(SIZE)

    def ready(self):
        """Whether the server has started."""
        return WORD.unpack_from(self.page, READY)[0] != 0

    def heartbeats(self):
        """Answer the number of every loop; 0 where it does not run."""
        return [WORD.unpack_from(self.page, i * STEP)[0] for i in range(LOOPS)]

    def in_hand(self):
        """Answer the spool sequences that loops work on."""
        found = {WORD.unpack_from(self.page, IN_HAND + i * STEP)[0] for i in range(LOOPS)}
        return sorted(found - {0})
