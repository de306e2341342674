"""Listening sockets of services, which change all together or not at all."""
import os
from abc import ABC, abstractmethod

from pymomentum.core.log import writer as logs
from pymomentum.errors import MomentumError, Taken


class Doors(ABC):
    """The open addresses of one service; a door has `listen`, the Listen that it was opened or tuned for last."""

    MOST = 0            # addresses

    def __init__(self):
        self.doors = {}             # name as written -> door

    @abstractmethod
    def make(self, listen):
        """Answer a new door, bound and tuned; raises Taken or another MomentumError."""

    def begin(self, door):
        """Serve a new door."""

    @abstractmethod
    def tune(self, door):
        """Have an open door follow its Listen; raises OSError."""

    @abstractmethod
    def end(self, door):
        """Close a door, served or not."""

    def change(self, listens):
        """Have exactly these addresses open; raises MomentumError with the first that cannot be had, and nothing has changed."""
        Change((self, listens)).adopt()

    def close(self):
        while self.doors:
            self.end(self.doors.popitem()[1])


class Change:
    """New addresses of services, bound but not served: `adopt` has exactly those open that are wanted, `drop` takes all back."""

    def __init__(self, *wanted):
        """Each of wanted is Doors and the Listens to have open.

        An address that a door of ours has, which is to go, is taken over from it.
        """
        self.wanted = [(doors, {listen.name: listen for listen in listens}) for doors, listens in wanted]
        self.made = {}              # (doors, name) -> door
        self.closed = []            # (doors, listen) of those that went ahead of their time
        try:
            self.bind()
        except BaseException:
            self.drop()
            raise

    def bind(self):
        waiting = []
        for doors, listens in self.wanted:
            if len(listens) > doors.MOST:
                raise MomentumError(f"cannot listen on {list(listens)[doors.MOST]}: more than {doors.MOST} addresses")
            for name, listen in listens.items():
                if name in doors.doors:
                    continue
                try:
                    self.made[doors, name] = doors.make(listen)
                except Taken:
                    if not self.in_the_way(listen):
                        raise
                    waiting.append((doors, listen))
        for doors, listen in waiting:
            for other, name in self.in_the_way(listen):
                door = other.doors.pop(name)
                other.end(door)
                self.closed.append((other, door.listen))
            self.made[doors, listen.name] = doors.make(listen)

    def in_the_way(self, listen):
        """Answer the doors that are to go and have that port or path."""
        return [(doors, name) for doors, listens in self.wanted for name, door in doors.doors.items()
                if name not in listens and place(door.listen) == place(listen)]

    def adopt(self):
        for doors, listens in self.wanted:
            for name in doors.doors.keys() - listens.keys():
                doors.end(doors.doors.pop(name))
        for doors, listens in self.wanted:
            for name, listen in listens.items():
                if (doors, name) in self.made:
                    serve(doors, self.made[doors, name])
                    continue
                doors.doors[name].listen = listen
                try:
                    doors.tune(doors.doors[name])
                except OSError as e:
                    logs.panic("LISTEN", f"{name}: {e.strerror}")

    def drop(self):
        for (doors, _), door in self.made.items():
            doors.end(door)
        for doors, listen in self.closed:
            try:
                serve(doors, doors.make(listen))
            except MomentumError as e:          # somebody was quicker
                logs.panic("LISTEN", str(e))


def serve(doors, door):
    name = door.listen.name
    try:
        doors.begin(door)
        doors.doors[name] = door
    except ValueError as e:             # more of those that were closed still have sessions than the engine counts
        doors.end(door)
        logs.panic("LISTEN", f"cannot listen on {name}: {e}")


def place(listen):
    """What two Listens cannot both have."""
    return os.path.realpath(listen.path) if listen.path else listen.port
