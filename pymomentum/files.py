"""Files changed whole: at any moment there is the old one or the new one, where the folder lets us."""
import os
import stat
import tempfile
from pathlib import Path


def written_beside(path, content):
    """Write bytes into a new file next to a path, on disk, with mode and owner of what is there; answers its path.

    Where nothing is there the mode is 0600.  Raises OSError, and then leaves nothing.
    """
    path = Path(path)
    handle, new = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(handle, "wb") as stream:
            if path.exists():
                old = path.stat()
                if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(handle, old.st_uid, old.st_gid)
                os.fchmod(handle, stat.S_IMODE(old.st_mode))
            stream.write(content)
            stream.flush()
            os.fsync(handle)
    except BaseException:       # an interruption too: it goes on to the caller
        os.unlink(new)
        raise
    return new


def can_be_written(path):
    """Whether we may write a file that is there, or make it."""
    return os.access(path if os.path.exists(path) else os.path.dirname(path) or ".", os.W_OK)


def can_be_replaced(path):
    """Whether another file may take its name, and look like it."""
    if not os.access(os.path.dirname(path) or ".", os.W_OK | os.X_OK):
        return False
    if os.geteuid() == 0 or not os.path.exists(path):
        return True
    old = os.stat(path)
    return old.st_uid == os.geteuid() and old.st_gid in (os.getegid(), *os.getgroups())


def overwrite(path, content):
    """Write bytes over what a file holds, on disk; raises OSError."""
    with open(path, "r+b") as stream:
        stream.write(content)
        stream.truncate()
        stream.flush()
        os.fsync(stream.fileno())


def put_in_place(new, path):
    """Give a file another's name, on disk; raises OSError."""
    os.replace(new, path)
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
