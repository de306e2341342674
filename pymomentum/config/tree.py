"""Files as trees: what stands where, as written, and which files include which.

Nodes keep their file, line, column and end, so that a change can be written
back in its place.  `Loader` reads a file and all that it includes.
"""
import os
import re
import stat
from array import array
from bisect import bisect_left
from pathlib import Path
from socket import gethostname

from pymomentum.errors import ConfigError

SCHEMES = ("file", "persist")           # of a URI that names a file
SEARCH_PATH = "etc/conf/global:etc/conf/{NODENAME}:etc/conf/default"
MAX_INCLUDES = 10_000
MAX_INCLUDE_DEPTH = 32
MAX_TOTAL_BYTES = 32 * 1024 * 1024


class Node:
    """A stretch of a file: `start` and `end` are offsets from 0; line and column count from 1."""

    __slots__ = ("file", "start", "end")

    def error(self, message, hint=""):
        """Answer a ConfigError that points here."""
        return self.file.error_at(self.start, message, hint)

    @property
    def line(self):
        return self.file.place(self.start)[0]

    @property
    def column(self):
        return self.file.place(self.start)[1]

    @property
    def end_line(self):
        return self.file.place(self.end)[0]

    @property
    def end_column(self):
        return self.file.place(self.end)[1]

    @property
    def place(self):
        return f"{self.file.path}:{self.line}"


class Word(Node):
    """A value: what it says, and whether it stood in quotes."""

    __slots__ = ("type", "text", "quoted")

    def __init__(self, file, start, end, type, text, quoted):
        self.file, self.start, self.end, self.text, self.quoted = file, start, end, text, quoted
        self.type = type            # of a token of the grammar

    start_pos = property(lambda self: self.start)       # as lark asks a token
    end_pos = property(lambda self: self.end)

    def raw(self):
        return self.text


class Sequence(Node):
    """( word ... )"""

    __slots__ = ("words",)

    def __init__(self, file, start, end, words):
        self.file, self.start, self.end, self.words = file, start, end, words

    def raw(self):
        return [word.text for word in self.words]


class Dictionary(Node):
    """[ word = word ... ]"""

    __slots__ = ("pairs",)

    def __init__(self, file, start, end, pairs):
        self.file, self.start, self.end, self.pairs = file, start, end, pairs

    def raw(self):
        return {key.text: value.text for key, value in self.pairs}


class Setting(Node):
    """name = value"""

    __slots__ = ("name", "value")

    def __init__(self, file, start, end, name, value):
        self.file, self.start, self.end, self.name, self.value = file, start, end, name, value


class Stanza(Node):
    """name label { ... }"""

    __slots__ = ("name", "label", "body")

    def __init__(self, file, start, end, name, label, body):
        self.file, self.start, self.end = file, start, end
        self.name, self.label, self.body = name, label, body


class Include(Node):
    """include "file-or-folder"; `files` is filled by the Loader."""

    __slots__ = ("readonly", "target", "files")

    def __init__(self, file, start, end, readonly, target):
        self.file, self.start, self.end = file, start, end
        self.readonly, self.target, self.files = readonly, target, []


class File:
    """One file: its text, comments and all, and its statements; mistakes of its grammar in `errors`."""

    def __init__(self, path, text):
        self.path, self.text = path, text
        self.body, self.errors = [], []
        self.unsure = []            # (start, end) of what may stand in other stanzas than it seems
        self.cut = False            # whether the rest of it was not read, for all the mistakes
        self.misread = {}           # line -> column: what stands behind may be wrong by a mistake of grammar alone
        self.ends = None            # offsets of line ends, once somebody has asked for a line

    def place(self, offset):
        """Answer (line, column) of an offset into the text."""
        if self.ends is None:
            self.ends = array("I", (match.start() for match in re.finditer("\n", self.text)))
        line = bisect_left(self.ends, offset)
        return line + 1, offset - (self.ends[line - 1] if line else -1)

    def error_at(self, offset, message, hint=""):
        """Answer an error at an offset into the text."""
        line, column = self.place(offset)
        source = self.text[offset - column + 1:self.ends[line - 1] if line <= len(self.ends) else None].rstrip("\r")
        return ConfigError(message, file=self.path, line=line, column=column, source=source, hint=hint)

    def mistake(self, offset, message, hint="", hides=True):
        """Note an error of grammar; one that hides others may be the cause of what is wrong behind it on its line."""
        error = self.error_at(offset, message, hint)
        if not hides:
            self.errors.append(error)
        elif not self.misread_before(error):
            self.errors.append(error)
            self.misread[error.line] = error.column

    def misread_before(self, error):
        """Whether a mistake of grammar may be the cause of an error."""
        return error.column >= self.misread.get(error.line, error.column + 1)

    def is_unsure(self, offset):
        return any(start <= offset < end for start, end in self.unsure)


class Loader:
    """Reads a file with everything it includes; mistakes gather in `errors`."""

    def __init__(self, env, known=(), texts=None):
        self.errors = []
        self.files = {}         # real path -> File
        self.readonly = set()   # real paths of files that no change is written to
        self.included_folders = set()           # their real paths
        self.texts = texts or {}                # real path -> bytes that are read in place of what is there
        self.known = {os.path.realpath(file.path): file for file in known}      # read earlier
        self.included = 0
        self.bytes = 0
        node = env.get("NODENAME") or gethostname()
        path = env.get("EC_CONF_SEARCH_PATH") or SEARCH_PATH
        self.folders = [Path(p.replace("{NODENAME}", node)) for p in path.split(":") if p]

    def load(self, path):
        """Answer the File at a path, or None with an error noted."""
        found = self.search(str(path), [])
        if found is None or found.is_dir():
            self.errors.append(ConfigError("no such file" if found is None else "a folder, not a file", file=str(path)))
            return None
        return self.read(found, False, (), None)

    def search(self, name, first):
        """Find a relative name beside the including file, here, and along the search path."""
        if "\0" in name or len(name) > 4096:
            return None
        for folder in [*first, Path("."), *self.folders]:
            try:
                if (folder / name).exists():
                    return folder / name
            except OSError:
                return None
        return None

    def fail(self, node, path, message):
        self.errors.append(node.error(message) if node else ConfigError(message, file=str(path)))

    def read(self, path, readonly, chain, node):
        """Parse one file and load its includes; `chain` holds the real paths of the files above it."""
        from pymomentum.config import grammar       # it makes this file's nodes
        real = os.path.realpath(path)
        if real in chain:
            return self.fail(node, path, f"{path} includes itself")
        if len(chain) >= MAX_INCLUDE_DEPTH:
            return self.fail(node, path, f"includes are nested more than {MAX_INCLUDE_DEPTH} deep")
        self.included += 1
        if self.included > MAX_INCLUDES:
            if self.included == MAX_INCLUDES + 1:
                self.fail(node, path, f"more than {MAX_INCLUDES} includes")
            return None
        file = self.files.get(real)
        if file is not None:
            self.readonly.add(real)         # included twice: no one place to write a change to
        else:
            data = self.texts.get(real)
            try:
                if data is None and not stat.S_ISREG(os.stat(real).st_mode):
                    return self.fail(node, path, f"{path} is not a regular file")
                if data is None:
                    with open(real, "rb") as stream:
                        data = stream.read(grammar.MAX_BYTES + 1)
            except OSError as e:
                return self.fail(node, path, f"cannot read {path}: {e.strerror}")
            self.bytes += len(data)
            if self.bytes > MAX_TOTAL_BYTES:
                return self.fail(node, path, f"more than {MAX_TOTAL_BYTES} bytes of configuration")
            file = self.files[real] = self.unchanged(real, path, data) or grammar.read(str(path), data)
            if readonly:
                self.readonly.add(real)
            self.errors += file.errors
        for include in includes(file.body):
            include.files = self.targets(include, path, (*chain, real))
        return file

    def unchanged(self, real, path, data):
        """Answer the File that was read earlier, if nothing in it is new; one that includes others is read again."""
        file = self.known.get(real)
        same = file is not None and file.path == str(path) and file.text.encode() == data
        return file if same and next(includes(file.body), None) is None else None

    def targets(self, include, path, chain):
        scheme, separator, name = include.target.text.rpartition("://")
        if separator and scheme.lower() not in SCHEMES:
            hint = "write its path, " + " or ".join(f"{scheme}://PATH" for scheme in SCHEMES)
            self.errors.append(include.target.error("only files can be included", hint))
            return []
        found = self.search(name, [Path(path).parent])
        if found is None:
            self.errors.append(include.target.error(f"no such file or folder: {name[:200]}"))
            return []
        paths = [found]
        if found.is_dir():
            self.included_folders.add(os.path.realpath(found))
            try:
                paths = [found / n for n in sorted(os.listdir(found)) if n[0] != "." and not (found / n).is_dir()]
            except OSError as e:
                self.errors.append(include.target.error(f"cannot read {found}: {e.strerror}"))
                return []
        files = (self.read(p, include.readonly, chain, include.target) for p in paths)
        return [file for file in files if file is not None]


def includes(body):
    """Walk the Include nodes of a body, nested stanzas too."""
    for node in body:
        if isinstance(node, Include):
            yield node
        elif isinstance(node, Stanza):
            yield from includes(node.body)
