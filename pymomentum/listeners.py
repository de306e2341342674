"""Listening sockets of the engine: bound, tuned, handed over, and tuned again at a reload.

The engine has its own descriptor of each socket; ours is kept for the options that can change while it is open.
"""
import os
import socket

from pymomentum.core.net import listener
from pymomentum.errors import MomentumError


class Listeners:
    """What the engine accepts on."""

    def __init__(self):
        self.doors = {}         # name as written -> Door

    def serve(self, listens, loaded):
        """Bind what is not bound yet, close what is not wanted any more."""
        wanted = {listen.name: listen for listen in listens}
        for name in set(self.doors) - set(wanted):
            self.doors.pop(name).close()
        for name, listen in wanted.items():
            if name in self.doors:
                self.doors[name].tune(listen)
            else:
                self.doors[name] = Door(listen, loops_of(loaded, listen.setting("event_loop")))

    def close(self):
        for door in self.doors.values():
            door.close()
        self.doors.clear()


class Door:
    """One bound socket."""

    def __init__(self, listen, loops):
        family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self.socket.bind((listen.host, listen.port))
        except OSError as e:
            self.socket.close()
            raise MomentumError(f"cannot listen on {listen.name}: {e.strerror}") from None
        self.tune(listen)
        self.number = listener.open_listener(listen.name, os.dup(self.socket.fileno()), *loops)

    def tune(self, listen):
        """Set what accepted sockets inherit, and the backlog."""
        tune(self.socket, listen, nodelay=True)
        self.socket.listen(listen.setting("listen_backlog"))

    def close(self):
        listener.close_listener(self.number)
        self.socket.close()


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


def loops_of(loaded, name):
    """First loop and number of loops of an EventLoop; all where none is named."""
    first = 0
    for label, count in loaded.eventloops.items():
        if label == name:
            return first, count
        first += count
    return 0, first
