"""Sockets bound for listeners: TCP ones, and Unix ones with their place in the file system."""
import errno
import os
import socket
import stat
from contextlib import suppress
from ipaddress import ip_address

from pymomentum.errors import MomentumError, Taken


class Bound:
    """A socket at an address; a Unix one is removed with it."""

    def __init__(self, listen, nodelay):
        """Bind the address of a Listen, and tune it; raises Taken or another MomentumError."""
        self.path, self.inode, self.mode = listen.path, None, listen.setting("file_mode")
        try:
            self.socket = self.unix(self.mode) if self.path else tcp(listen.host, listen.port)
        except OSError as e:
            raise (Taken if e.errno == errno.EADDRINUSE else MomentumError)(f"cannot listen on {listen.name}: {e.strerror or e}") from None
        try:
            self.tune(listen, nodelay)
        except OSError as e:
            self.close()
            raise (Taken if e.errno == errno.EADDRINUSE else MomentumError)(f"cannot listen on {listen.name}: {e.strerror}") from None
        self.socket.setblocking(False)

    def tune(self, listen, nodelay):
        """Set what accepted sockets inherit, the backlog and who may connect; raises OSError."""
        if self.path and listen.setting("file_mode") != self.mode and os.stat(self.path).st_ino == self.inode:
            os.chmod(self.path, listen.setting("file_mode"))
            self.mode = listen.setting("file_mode")
        inherit(self.socket, listen, nodelay)
        self.socket.listen(listen.setting("listen_backlog"))

    def unix(self, mode):
        os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)
        remove_stale(self.path)
        sock = socket.socket(socket.AF_UNIX)
        os.fchmod(sock.fileno(), mode)  # the file is never more open than that
        sock.bind(self.path)
        os.chmod(self.path, mode)
        self.inode = os.stat(self.path).st_ino
        return sock

    def close(self):
        with suppress(OSError):         # the address is free at once, not when whoever waits for clients is done with it
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        if self.path:
            try:
                if os.stat(self.path).st_ino == self.inode:
                    os.unlink(self.path)
            except OSError:             # already gone, or the folder became read-only: nothing to do about it
                pass


def said(listen, name):
    """What a Listen stanza, its listener or the global scope says about an option; None: nothing."""
    scopes = (listen.scope, listen.scope.parent, listen.scope.parent.parent)
    return next((scope.values[name] for scope in scopes if name in scope.values), None)


def inherit(sock, listen, nodelay):
    """Set what sockets accepted from a TCP one inherit; the system sizes buffers that no scope speaks of."""
    if sock.family == socket.AF_UNIX:
        return
    for option, size in ((socket.SO_RCVBUF, said(listen, "tcp_recv_buffer_size")), (socket.SO_SNDBUF, said(listen, "tcp_send_buffer_size"))):
        if size:
            sock.setsockopt(socket.SOL_SOCKET, option, size)
    asked = said(listen, "disable_nagle_algorithm")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, nodelay if asked is None else asked)


def tcp(host, port):
    address = ip_address(host or "0.0.0.0")
    sock = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if address.version == 6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        sock.bind((str(address), port))
    except OSError:
        sock.close()
        raise
    return sock


def remove_stale(path):
    """Remove a socket that nobody listens on; raises MomentumError where somebody does, or it is no socket."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise MomentumError(f"cannot listen on {path}: there is a file that is not a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
    raise Taken(f"cannot listen on {path}: another server does")
