"""The pid file: names the running supervisor, and is locked while it runs."""
import fcntl
import os

from pymomentum.errors import MomentumError


class PidFile:
    """Held from acquire() to release(); a lock makes stale numbers harmless."""

    def __init__(self, path):
        self.path = path
        self.fd = None

    def acquire(self):
        """Write our pid; raises MomentumError where another holds the file, or OSError."""
        os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise MomentumError(f"already running with pid {running(self.path)} ({self.path})") from None
        self.fd = fd
        self.write()

    def write(self):
        """Write the pid of this process; a daemon calls it after its forks."""
        if self.fd is None:
            return
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, f"{os.getpid()}\n".encode(), 0)

    def release(self):
        if self.fd is not None:
            os.unlink(self.path)
            os.close(self.fd)
            self.fd = None


def running(path):
    """Answer the pid in a file that is held, or None."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None
        except BlockingIOError:
            pass
        text = os.pread(fd, 32, 0).strip()
        return int(text) if text.isdigit() else None
    finally:
        os.close(fd)
