"""Files changed whole: at any moment there is the old one or the new one."""
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


def put_in_place(new, path):
    """Give a file another's name, on disk; raises OSError."""
    os.replace(new, path)
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
