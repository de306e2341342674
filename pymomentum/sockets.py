"""Sockets bound for listeners: TCP ones, and Unix ones with their place in the file system."""
import os
import socket
import stat
from ipaddress import ip_address

from pymomentum.errors import MomentumError


class Bound:
    """A socket at an address; a Unix one is removed with it."""

    def __init__(self, listen, mode):
        """Bind the address of a Listen; `mode` is that of the file of a Unix socket.  Raises OSError or MomentumError."""
        self.path, self.inode = listen.path, None
        self.socket = self.unix(mode) if self.path else tcp(listen.host, listen.port)

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
        self.socket.close()
        if self.path:
            try:
                if os.stat(self.path).st_ino == self.inode:
                    os.unlink(self.path)
            except OSError:             # already gone, or the folder became read-only: nothing to do about it
                pass


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
    raise MomentumError(f"cannot listen on {path}: another server does")
