"""Listening sockets of the engine: bound, tuned, handed over, and tuned again at a reload.

The engine has its own descriptor of each socket; ours is kept for the options that can change while it is open.
"""
import os

from pymomentum.core.net import listener
from pymomentum.doors import Doors
from pymomentum.sockets import Bound


class Listeners(Doors):
    """What the engine accepts on."""

    MOST = 1000         # the engine has room for more, whose sessions go on

    def __init__(self, pools):
        super().__init__()
        self.pools = dict(pools)        # name of an EventLoop -> number of its loops, as the server started

    def make(self, listen):
        return Door(listen)

    def begin(self, door):
        door.open(*self.loops_of(door.listen.setting("event_loop")))

    def tune(self, door):
        door.tune()

    def end(self, door):
        door.close()

    def loops_of(self, pool):
        """First loop and number of loops of an EventLoop; all where none is named, or one that a restart will bring."""
        first = 0
        for name, count in self.pools.items():
            if name == pool:
                return first, count
            first += count
        return 0, first


class Door:
    """One bound socket."""

    def __init__(self, listen):
        self.listen = listen
        self.bound = Bound(listen, nodelay=True)
        self.number = None              # in the engine, once it serves it

    def open(self, first, loops):
        """Have these loops serve it."""
        self.number = listener.open_listener(self.listen.name, os.dup(self.bound.socket.fileno()), first, loops)
        self.pace()

    def pace(self):
        """Set how fast the engine accepts."""
        setting = self.listen.setting
        listener.pace_listener(self.number, setting("events_per_iter"), setting("concurrency"), setting("accept_queue_backlog"))

    def tune(self):
        self.pace()
        self.bound.tune(self.listen, nodelay=True)

    def close(self):
        if self.number is not None:
            listener.close_listener(self.number)
        self.bound.close()


def loop_count(loaded):
    """All loops: those of each EventLoop stanza."""
    return sum(loaded.eventloops.values())
