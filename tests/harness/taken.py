"""Sockets of another process: what the kernel holds of them, and which loop polls them."""
import ctypes
import errno
import os
import re
import socket
from pathlib import Path

PIDFD_GETFD = 438


def held(pid):
    """Walk its sockets with the number of their descriptor: each a descriptor of ours of the same socket."""
    libc, owner = ctypes.CDLL(None, use_errno=True), os.pidfd_open(pid)
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            try:
                if not os.readlink(entry).startswith("socket:"):
                    continue
            except FileNotFoundError:           # closed since
                continue
            fd = libc.syscall(PIDFD_GETFD, owner, int(entry.name), 0)
            if fd < 0 and ctypes.get_errno() == errno.EBADF:
                continue
            if fd < 0:
                raise OSError(ctypes.get_errno(), f"descriptor {entry.name} of {pid}")
            yield int(entry.name), socket.socket(fileno=fd)
    finally:
        os.close(owner)


def sockets(pid):
    """Its TCP connections."""
    found = {}
    for fd, sock in held(pid):
        if sock.family == socket.AF_UNIX or sock.type != socket.SOCK_STREAM or not connected(sock):
            sock.close()
        else:
            found[fd] = sock
    return found


def connected(sock):
    try:
        return bool(sock.getpeername())
    except OSError:
        return False


def taken(pid, port):
    """Those it accepted on a port."""
    return {fd: sock for fd, sock in sockets(pid).items() if sock.getsockname()[1] == port}


def opened(pid, port):
    """Those it opened to a port."""
    return {fd: sock for fd, sock in sockets(pid).items() if sock.getpeername()[1] == port}


def polls(pid):
    """The descriptors of each poll of the process."""
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        if "[eventpoll]" in os.readlink(entry):
            found.append({int(n) for n in re.findall(r"tfd:\s*(\d+)", Path(f"/proc/{pid}/fdinfo/{entry.name}").read_text())})
    return found
