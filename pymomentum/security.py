"""Who the server is: what the Security stanza says, once listeners are bound and before any thread starts.

    security.mistakes(loaded)                   answers ConfigErrors: users, groups and capabilities that there are not; what root does not obey
    security.refuse_open_files(loaded)          raises them where root starts
    identity = security.Identity(loaded)
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

from pymomentum.config.scopes import UNKNOWN_STANZA, unknown_in
from pymomentum.config.tree import Sequence
from pymomentum.errors import ConfigError, ConfigErrors, MomentumError

NOBODY_AT_ALL = 2 ** 32 - 1     # to the kernel this id says "as it is"
BIND = "cap_net_bind_service+ep"        # kept where `capabilities` is not set: a reload may bind port 25
PR_SET_PDEATHSIG, PR_GET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_KEEPCAPS = 1, 2, 4, 8
libc = ctypes.CDLL(None, use_errno=True)


def stated(loaded):
    """Whether there is a Security stanza."""
    return next(loaded.root.inside("security"), None) is not None


def refuse_open_files(loaded):
    """Root starts with no mistakes."""
    if os.geteuid() == 0 and (errors := mistakes(loaded)):
        raise ConfigErrors(errors)


def mistakes(loaded):
    """Answer ConfigErrors for all that stands in the way of a start; files that others may write are in that of root alone."""
    errors = strangers(loaded)
    known = loaded.knows("user", "group", "security", unknown_in("security"), UNKNOWN_STANZA)
    return errors if errors or os.geteuid() or not known else open_files(loaded)


def strangers(loaded):
    """Answer a ConfigError for each user, group and set of capabilities that this machine does not know."""
    errors = []
    for scope in loaded.root.inside("security"):
        for option, find in (("user", uid), ("group", gid), ("supplemental_groups", gid), ("capabilities", Capabilities)):
            said = scope.settings.get(option)
            if said is None and not loaded.knows(option, unknown_in("security")):
                continue
            value = scope.value(option) or ()
            for place, name in enumerate([value] if isinstance(value, str) else value):
                try:
                    find(name)
                except MomentumError as e:
                    node = said.value if said else scope.node
                    errors.append((node.words[place] if isinstance(node, Sequence) else node).error(str(e)))
    return errors


def rootless(loaded):
    """Answer a ConfigError for a root folder that is not there, as seen from outside of it."""
    said = [scope.settings["chroot"] for scope in loaded.root.inside("security") if scope.value("chroot")]
    return [setting.value.error(f"chroot: there is no folder {path}") for setting in said if not os.path.isdir(path := setting.value.text)]


def open_files(loaded):
    """Root obeys no file that others may write: those of root, and of the user that the file names, are fine."""
    users, groups = {0}, {0}
    for scope in loaded.root.inside("security"):
        users.add(uid(scope.value("user")))
        groups.add(gid(scope.value("group")))
    errors = []
    for file in loaded.files:
        if os.path.exists(file.path):
            found = os.stat(file.path)
            if found.st_uid not in users or found.st_mode & stat.S_IWOTH or (found.st_mode & stat.S_IWGRP and found.st_gid not in groups):
                errors.append(ConfigError("others may write this file; root does not read it", file=file.path))
    return errors


def uid(name):
    return number(name, lambda name: pwd.getpwnam(name).pw_uid, "user")


def gid(name):
    return number(name, lambda name: grp.getgrnam(name).gr_gid, "group")


def number(name, find, what):
    """The id of a user or group that is given by name or number."""
    try:
        if not name.isascii() or not name.isdecimal():
            return find(name)
        if len(name) <= 10 and int(name) < NOBODY_AT_ALL:
            return int(name)
    except (KeyError, ValueError):      # ValueError: a name that none can have
        pass
    raise MomentumError(f"security: there is no {what} {name}")


class Identity:
    """Who the server becomes."""

    def __init__(self, loaded):
        values = loaded.section("security")
        self.user = values["user"]
        self.uid = uid(self.user)
        self.gid = gid(values["group"])
        self.groups = [gid(name) for name in values["supplemental_groups"] or ()]
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
