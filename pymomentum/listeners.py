"""Listening sockets of the engine: bound, tuned, handed over, and tuned again at a reload.

The engine has its own descriptor of each socket; ours is kept for the options that can change while it is open.
"""
import os
import socket

from pymomentum.core.net import listener
from pymomentum.errors import MomentumError
from pymomentum.sockets import Bound


class Listeners:
    """What the engine accepts on."""

    def __init__(self, pools):
        self.pools = dict(pools)        # name of an EventLoop -> number of its loops, as the server started
        self.doors = {}                 # name as written -> Door

    def prepare(self, listens):
        """Bind what is new, but serve it not yet; answers {name: Door}, raises MomentumError with the first that cannot be had.

        What is taken by one of ours that is to be closed waits for that.
        """
        wanted = {listen.name: listen for listen in listens}
        leaving = {door.port for name, door in self.doors.items() if name not in wanted}
        made = {}
        for name in [name for name in wanted if name not in self.doors]:
            try:
                made[name] = Door(wanted[name])
            except MomentumError:
                if wanted[name].port not in leaving:
                    drop(made)
                    raise
        return made

    def serve(self, listens, made):
        """Serve these, of which some are made; close what is not among them."""
        wanted = {listen.name: listen for listen in listens}
        for name in self.doors.keys() - wanted.keys():
            self.doors.pop(name).close()
        for name, listen in wanted.items():
            if name in self.doors:
                self.doors[name].tune(listen)
                self.doors[name].pace(listen)
            else:
                door = made.get(name) or Door(listen)
                door.open(*self.loops_of(listen.setting("event_loop")))
                door.pace(listen)
                self.doors[name] = door

    def loops_of(self, pool):
        """First loop and number of loops of an EventLoop; all where none is named, or one that a restart will bring."""
        first = 0
        for name, count in self.pools.items():
            if name == pool:
                return first, count
            first += count
        return 0, first

    def close(self):
        for door in self.doors.values():
            door.close()
        self.doors.clear()


def drop(made):
    """Close what was prepared in vain."""
    for door in made.values():
        door.bound.close()


class Door:
    """One bound socket."""

    def __init__(self, listen):
        self.name, self.port = listen.name, listen.path or listen.port
        try:
            self.bound = Bound(listen, listen.setting("file_mode"))
        except OSError as e:
            raise MomentumError(f"cannot listen on {listen.name}: {e.strerror}") from None
        self.socket = self.bound.socket
        self.socket.setblocking(False)
        try:
            self.tune(listen)
        except OSError as e:
            self.bound.close()
            raise MomentumError(f"cannot listen on {listen.name}: {e.strerror}") from None

    def open(self, first, loops):
        """Have these loops serve it."""
        self.number = listener.open_listener(self.name, os.dup(self.socket.fileno()), first, loops)

    def pace(self, listen):
        """Set how fast the engine accepts."""
        listener.pace_listener(self.number, listen.setting("events_per_iter"), listen.setting("concurrency"),
                               listen.setting("accept_queue_backlog"))

    def tune(self, listen):
        """Set what accepted sockets inherit, and the backlog."""
        tune(self.socket, listen, nodelay=True)
        self.socket.listen(listen.setting("listen_backlog"))

    def close(self):
        listener.close_listener(self.number)
        self.socket.shutdown(socket.SHUT_RDWR)      # the address is free at once, not when the loop closes its descriptor
        self.bound.close()


def said(listen, name):
    """What a Listen stanza, its listener or the global scope says about an option; None: nothing."""
    scopes = (listen.scope, listen.scope.parent, listen.scope.parent.parent)
    return next((scope.values[name] for scope in scopes if name in scope.values), None)


def tune(sock, listen, nodelay):
    """Set what sockets accepted from a TCP one inherit; the system sizes buffers that no scope speaks of."""
    if sock.family == socket.AF_UNIX:
        return
    for option, size in ((socket.SO_RCVBUF, said(listen, "tcp_recv_buffer_size")), (socket.SO_SNDBUF, said(listen, "tcp_send_buffer_size"))):
        if size:
            sock.setsockopt(socket.SOL_SOCKET, option, size)
    asked = said(listen, "disable_nagle_algorithm")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, nodelay if asked is None else asked)


def loop_count(loaded):
    """All loops: those of each EventLoop stanza."""
    return sum(loaded.eventloops.values())
