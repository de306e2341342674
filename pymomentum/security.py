"""Who the server is: what the Security stanza says, once listeners are bound and before any thread starts.

    security.refuse_open_files(loaded)          raises ConfigErrors where root would obey what others may write
    identity = security.Identity(loaded)        raises MomentumError where there is no such user, group or capability
    identity.enter_root()                       changes the root folder
    identity.assume(folders, files, sockets)    gives what is ours to the user, and changes groups, group and user, for good

Without a stanza, or where root did not start it, the server stays who it is.
"""
import ctypes
import grp
import os
import pwd
import stat
from pathlib import Path

from pymomentum.errors import ConfigError, ConfigErrors, MomentumError

BIND = "cap_net_bind_service+ep"        # kept where `capabilities` is not set: a reload may bind port 25
PR_SET_PDEATHSIG, PR_GET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_KEEPCAPS = 1, 2, 4, 8
libc = ctypes.CDLL(None, use_errno=True)


def stated(loaded):
    """Whether there is a Security stanza."""
    return next(loaded.root.inside("security"), None) is not None


def refuse_open_files(loaded):
    """Root obeys no file that others may write: those of root, and of the user that the file names, are fine."""
    if os.geteuid():
        return
    users, groups = {0}, {0}
    if stated(loaded):
        identity = Identity(loaded)
        users.add(identity.uid)
        groups.add(identity.gid)
    errors = []
    for file in loaded.files:
        if os.path.exists(file.path):
            found = os.stat(file.path)
            if found.st_uid not in users or found.st_mode & stat.S_IWOTH or (found.st_mode & stat.S_IWGRP and found.st_gid not in groups):
                errors.append(ConfigError("others may write this file; root does not read it", file=file.path))
    if errors:
        raise ConfigErrors(errors)


def number(name, find, what):
    """The id of a user or group that is given by name or number."""
    try:
        return int(name) if name.isdigit() else find(name)
    except KeyError:
        raise MomentumError(f"security: there is no {what} {name}") from None


class Identity:
    """Who the server becomes."""

    def __init__(self, loaded):
        values = loaded.section("security")
        self.user = values["user"]
        self.uid = number(self.user, lambda name: pwd.getpwnam(name).pw_uid, "user")
        self.gid = number(values["group"], lambda name: grp.getgrnam(name).gr_gid, "group")
        self.groups = [number(name, lambda name: grp.getgrnam(name).gr_gid, "group") for name in values["supplemental_groups"] or ()]
        self.root = values["chroot"] and os.path.abspath(values["chroot"])
        self.capabilities = Capabilities(values["capabilities"] or BIND)

    def inside(self, path):
        """A path as it is called below the new root folder; as it is where it lies elsewhere."""
        absolute = os.path.abspath(path)
        if self.root and os.path.commonpath([absolute, self.root]) == self.root:
            return "/" + os.path.relpath(absolute, self.root)
        return absolute if self.root else path

    def enter_root(self):
        """Make chroot's folder the root.  What Python may load later is loaded first: it is not to be found from inside."""
        if not self.root:
            return
        import encodings.idna  # noqa: F401
        import pymomentum.config.writeback  # noqa: F401
        try:
            os.chroot(self.root)
            os.chdir("/")
        except OSError as e:
            raise MomentumError(f"security: cannot make {self.root} the root folder: {e.strerror}") from None

    def assume(self, folders, files, sockets):
        """Become that user.  Folders and files are made where there are none; what is root's, in the folders too, becomes the user's."""
        parent = ctypes.c_int()
        libc.prctl(PR_GET_PDEATHSIG, ctypes.byref(parent))
        for folder in folders:
            self.make_folder(folder)
            self.give(folder)
            for _, inner, names, fd in os.fwalk(folder, follow_symlinks=False):
                for name in [*inner, *names]:
                    self.give(name, fd)
        for file in files:
            self.make_folder(os.path.dirname(file))
            os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))      # its log sets the mode
        for path in (*files, *sockets):
            self.give(path)
        os.setgroups(self.groups)
        os.setresgid(self.gid, self.gid, self.gid)
        libc.prctl(PR_SET_KEEPCAPS, 1)
        os.setresuid(self.uid, self.uid, self.uid)
        self.capabilities.set()
        libc.prctl(PR_SET_KEEPCAPS, 0)
        # a change of user takes these away: cores and /proc/self, and the end of whoever loses its supervisor
        libc.prctl(PR_SET_DUMPABLE, 1)
        libc.prctl(PR_SET_PDEATHSIG, parent.value)

    def make_folder(self, path):
        for folder in reversed([folder for folder in (Path(path), *Path(path).parents) if not folder.exists()]):
            folder.mkdir()
            os.chown(folder, self.uid, self.gid)

    def give(self, name, folder=None):
        """What is root's becomes the user's.

        A file with a second name stays: it may be one that somebody who writes here has linked, and that is not theirs.
        """
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        kind = stat.S_IFMT(found.st_mode)
        if found.st_uid == 0 and (kind in (stat.S_IFDIR, stat.S_IFSOCK) or (kind == stat.S_IFREG and found.st_nlink == 1)):
            os.chown(name, self.uid, self.gid, dir_fd=folder, follow_symlinks=False)


class Capabilities:
    """A set as libcap reads it: "cap_net_bind_service+ep"."""

    def __init__(self, text):
        try:
            self.lib = ctypes.CDLL("libcap.so.2", use_errno=True)
        except OSError:
            raise MomentumError("security: libcap is needed to keep capabilities") from None
        self.lib.cap_from_text.restype = ctypes.c_void_p
        self.text = text
        self.set_of = self.lib.cap_from_text(text.encode())
        if not self.set_of:
            raise MomentumError(f"security: capabilities: no set of capabilities is written {text}")

    def set(self):
        if self.lib.cap_set_proc(ctypes.c_void_p(self.set_of)):
            raise MomentumError(f"security: cannot keep the capabilities {self.text}: {os.strerror(ctypes.get_errno())}")
