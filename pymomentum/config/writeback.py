"""Changes written back into the files that the configuration came from: one place each, all else stays as it is.

A value goes where it was set last, as the files are read; a new one into the first file where its stanza
stands; else to the local changes file, or the end of the main file.  Files that may not
be written - read only, or included twice - are passed by.
"""
import os
from pathlib import Path

from pymomentum.config.changes import key, quoted
from pymomentum.config.edits import STEP, edits
from pymomentum.config.grammar import parse
from pymomentum.config.tree import File, Include, Setting, Stanza
from pymomentum.errors import ConsoleError
from pymomentum.files import put_in_place, written_beside

NO_FILE = "no file that may be written takes this; set local_changes_file"
FIXED = "a file that may not be written says this; set another value"


class Place:
    """A file, and the stanzas around what it holds."""

    def __init__(self, file, path=()):
        self.file = file
        self.path = path                # keys of the stanzas that its text stands in
        self.text = file.text
        self.parsed = file.text, file.body      # a text and what it says
        self.included = {}              # (keys of stanzas, what the include says) -> places of its files
        for stanzas, node in includes(file.body, path):
            self.included[stanzas, node.target.text] = [Place(inner, stanzas) for inner in node.files]

    @property
    def writable(self):
        path = str(self.file.path)
        return not self.file.readonly and os.access(path if os.path.exists(path) else os.path.dirname(path) or ".", os.W_OK)

    @property
    def eol(self):
        return "\r\n" if "\r\n" in self.text else "\n"

    def body(self):
        if self.parsed[0] is not self.text:
            self.parsed = self.text, parse(str(self.file.path), self.text.encode()).body
        return self.parsed[1]

    def splice(self, start, end, new):
        self.text = self.text[:start] + new + self.text[end:]

    def walk(self):
        """Walk this place and those of all that it includes."""
        yield self
        for some in self.included.values():
            for place in some:
                yield from place.walk()


def includes(body, path):
    """Walk the includes of a body, each with the keys of the stanzas around it."""
    for node in body:
        if isinstance(node, Include):
            yield path, node
        elif isinstance(node, Stanza):
            yield from includes(node.body, (*path, stanza_key(node, path)))


def stanza_key(node, path):
    return key(node.name, node.label.text if node.label else "", not path)


def said(places, path):
    """Walk what stands directly in the stanzas of a path, as it is read: (place, Setting).

    A stanza comes where it begins and again where it ends; (place, None) is a file that stands in one, or in none.
    """
    for place in places:
        if place.path == path:
            yield place, None
        yield from inside(place, place.body(), place.path, path)
        if place.path == path:
            yield place, None


def inside(place, body, here, path):
    for node in body:
        if isinstance(node, Include):
            yield from said(place.included.get((here, node.target.text), ()), path)
        elif isinstance(node, Stanza):
            inner = (*here, stanza_key(node, here))
            if inner == path:
                yield place, node
            if path[:len(inner)] == inner:
                yield from inside(place, node.body, inner, path)
            if inner == path:
                yield place, node
        elif here == path:
            yield place, node


class Writeback:
    """Carries changes out on the texts of a loaded configuration; `left` holds those for which there is no place, and why."""

    def __init__(self, loaded):
        self.main = Place(loaded.files[0])
        self.local = local_place(loaded)
        self.only = self.local is not None and loaded.globals["local_changes_only"]
        self.roots = [place for place in (self.main, self.local) if place is not None]
        self.left = {}          # Change -> why
        for change in loaded.changes:
            self.carry_out(change)

    @property
    def places(self):
        return [place for root in self.roots for place in root.walk()]

    def carry_out(self, change):
        outer = [other for other in self.left if not other.name and change.keys[:len(other.keys)] == other.keys]
        if outer:               # in a stanza that is to be unset first
            self.left[change] = self.left[outer[0]]
        elif change.value is None:
            self.forget(change)
        elif change.names_local_file:
            self.put(change, [self.main], self.main, f"this must be put into {self.main.file.path} by hand")
        else:
            why = f"{self.local.file.path} cannot be written" if self.local is not None else NO_FILE
            self.put(change, [self.local] if self.only else self.roots, self.local or self.main, why)

    def put(self, change, roots, end, why):
        """Set the option where it was set last, in a stanza that ends behind that, or in a new one at the end of a file."""
        last, stanzas = survey(change, roots)
        if last is not None and last[0].writable:
            place, node = last
            for stretch in reversed(edits(place.text, node, change.setting.value)):
                place.splice(*stretch)
            return
        line = f"{change.name} = {change.value}"
        place, node = next((found for found in stanzas if found[0].writable), (end, None))
        if not place.writable:
            self.left[change] = why
        elif node is not None:
            into_stanza(place, node, line)
        else:
            at_end(place, change.path[len(place.path):], line)

    def forget(self, change):
        """Take the option or stanza out of every file, if that is possible in all of them."""
        found = list(dict.fromkeys(stated(change, self.roots)))
        files = set(self.local.walk()) if self.only else ()
        for place, node in found:
            if self.only and place not in files:
                self.left[change] = (f"{node.place} says this, and all changes go to {self.local.file.path}: set another value, "
                                     "or take it out of that file by hand")
            elif not place.writable:
                self.left[change] = FIXED
        if change not in self.left:
            for place, node in sorted(found, key=lambda pair: -pair[1].start):
                cut(place, node)


def stated(change, roots):
    """Walk where the option of a change is set; where it names none, the stanzas themselves."""
    for place, node in said(roots, change.keys):
        if isinstance(node, Setting):
            if node.name.lower() == change.name.lower():
                yield place, node
        elif node is not None and not change.name:
            yield place, node


def survey(change, roots):
    """Answer (place, Setting) where the option was set last, or None, and the stanzas that end behind it, as they begin."""
    last, stanzas, ended = None, [], []
    for found in said(roots, change.keys):
        if not isinstance(found[1], Setting):
            (ended if found in stanzas else stanzas).append(found)
        elif found[1].name.lower() == change.name.lower():
            last = found
            stanzas = [stanza for stanza in stanzas if stanza not in ended]
    return last, stanzas


def into_stanza(place, node, line):
    """Before the closing brace, set off as what stands there."""
    brace = node.end - 1
    begin = place.text.rfind("\n", 0, brace) + 1
    if place.text[begin:brace].strip():                 # the stanza is on one line
        gap = "" if place.text[brace - 1].isspace() else " "
        place.splice(brace, brace, f"{gap}{line} ")
    else:
        heads = (place.text[place.text.rfind("\n", 0, inner.start) + 1:inner.start] for inner in node.body)
        step = next((head for head in heads if not head.strip()), place.text[begin:brace] + STEP)
        place.splice(begin, begin, f"{step}{line}{place.eol}")


def at_end(place, path, line):
    eol = place.eol
    lines, margin = [], ""
    for kind, label in path:
        lines.append(f"{margin}{kind} {quoted(label)} {{" if label else f"{margin}{kind} {{")
        margin += STEP
    lines.append(margin + line)
    for _ in path:
        margin = margin[len(STEP):]
        lines.append(margin + "}")
    gap = eol if place.text and not place.text.endswith("\n") else ""
    place.text += gap + "".join(text + eol for text in lines)


def cut(place, node):
    """Take a statement out, with its line where nothing else stands on it."""
    begin = place.text.rfind("\n", 0, node.start) + 1
    end = place.text.find("\n", node.end)
    end = len(place.text) if end < 0 else end + 1
    if place.text[begin:node.start].strip() or place.text[node.end:end].strip():
        begin, end = node.start, node.end
        while place.text[end:end + 1] in (" ", "\t") and place.text[begin - 1:begin] in (" ", "\t"):
            end += 1
    place.splice(begin, end, "")


def save(places):
    """Write the files whose text has changed, all or none; answers their paths."""
    changed = [place for place in places if place.text != place.file.text]
    for place in changed:
        path = Path(place.file.path)
        if path.exists() and path.read_bytes() != place.file.text.encode():
            raise ConsoleError(f"{path} has changed since it was read; config reload reads it")
    written = []
    try:
        for place in changed:
            path = os.path.realpath(place.file.path)
            written.append((written_beside(path, place.text.encode()), path))
        for new, path in written:
            put_in_place(new, path)
    except OSError as e:
        for new, _ in written:
            Path(new).unlink(missing_ok=True)
        raise ConsoleError(f"cannot write {e.filename or 'the configuration'}: {e.strerror}") from None
    return [str(place.file.path) for place in changed]


def local_place(loaded):
    """The local changes file, new where there is none yet; None where none is named."""
    if loaded.local is not None:
        return Place(loaded.local)
    if "local_changes_file" not in loaded.root.settings:
        return None
    path = loaded.root.values["local_changes_file"]
    if not os.path.isdir(os.path.dirname(path) or "."):
        raise ConsoleError(f"local_changes_file: there is no folder {os.path.dirname(path)}")
    return Place(File(path, ""))
