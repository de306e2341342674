"""Changes written back into the files that the configuration came from: one place each, all else stays as it is.

A value goes where it was set last, as the files are read; a new one into the first file where its stanza
stands, or the stanza around that; else to the local changes file, or the end of the main file.  Files that
may not be written - read only, or included twice - are passed by.  Nothing is written before the new texts
were read and say what serves.
"""
import os
from pathlib import Path

from pymomentum.config import changed, load
from pymomentum.config.changes import key
from pymomentum.config.edits import STEP, edits, replacement
from pymomentum.config.grammar import parse
from pymomentum.config.merged import merge, same
from pymomentum.config.tree import File, Include, Setting, Stanza
from pymomentum.errors import ConfigError, ConsoleError
from pymomentum.files import can_be_replaced, can_be_written, overwrite, put_in_place, written_beside
from pymomentum.words import quoted

NO_FILE = "no file that may be written takes this; set local_changes_file"
FIXED = "a file that may not be written says this"
LATER = "its stanza was to be unset before"


class Place:
    """A file, and the stanzas around what it holds."""

    def __init__(self, file, path=(), readonly=()):
        self.file = file
        self.path = path                # keys of the stanzas that its text stands in
        self.real = os.path.realpath(file.path)
        self.writable = self.real not in readonly and can_be_written(self.real)
        self.text = file.text
        self.parsed = file.text, file.body      # a text and what it says
        self.included = {}              # (keys of stanzas, what the include says) -> places of its files
        for stanzas, node in includes(file.body, path):
            self.included[stanzas, node.target.text] = [Place(inner, stanzas, readonly) for inner in node.files]

    @property
    def eol(self):
        return "\r\n" if "\r\n" in self.text else "\n"

    def body(self):
        if self.parsed[0] is not self.text:
            self.parsed = self.text, parse(str(self.file.path), self.text.encode()).body
        return self.parsed[1]

    def splice(self, start, end, new):
        self.text = self.text[:start] + new + self.text[end:]

    def set(self, node, value):
        """Have a setting say another value, by few changes if that is possible."""
        before = self.text
        for stretch in reversed(edits(before, node, value)):
            self.splice(*stretch)
        if not self.says(node.start, value):
            self.text = before
            self.splice(*replacement(before, node, value))

    def says(self, start, value):
        """Whether the setting that begins there has that value."""
        try:
            return any(node.start == start and node.value.raw() == value.raw() for node in settings(self.body()))
        except ConfigError:
            return False

    def walk(self):
        """Walk this place and those of all that it includes."""
        yield self
        for some in self.included.values():
            for place in some:
                yield from place.walk()


def settings(body):
    """Walk the settings of a body, those in its stanzas, too."""
    for node in body:
        if isinstance(node, Setting):
            yield node
        elif isinstance(node, Stanza):
            yield from settings(node.body)


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
        self.loaded = loaded
        self.main = Place(loaded.files[0], readonly=loaded.readonly)
        self.local = local_place(loaded)
        self.only = self.local is not None and loaded.globals["local_changes_only"]
        self.roots = [place for place in (self.main, self.local) if place is not None]
        self.left = {}          # Change -> why
        for change in loaded.changes:
            self.carry_out(change)

    def loaded_anew(self):
        """Answer the configuration as the files will say it; raises ConsoleError where it is not what serves."""
        check_unchanged(self.loaded)
        texts = {place.real: place.text.encode() for place in self.places if place.text != place.file.text}
        loaded = load(self.main.file.path, before=self.loaded, texts=texts)
        loaded = changed(loaded, list(self.left), texts=texts) if self.left else loaded
        if not same(merge(loaded), merge(self.loaded)):
            raise ConsoleError("the files cannot be changed so that they say this, and nothing was written; "
                               "config writeback FILE writes all of it into one file")
        return loaded

    def save(self):
        """Write the files whose text has changed, all or none; answers their paths."""
        return save(self.places)

    @property
    def places(self):
        return [place for root in self.roots for place in root.walk()]

    def carry_out(self, change):
        outer = [other for other in self.left if not other.name and change.keys[:len(other.keys)] == other.keys]
        if outer:               # in a stanza that is to be unset first
            self.left[change] = LATER
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
            last[0].set(last[1], change.setting.value)
            return
        place, node = next((found for found in stanzas if found[0].writable), (None, None))
        path = change.path
        if place is not None:
            path = ()
        elif not stanzas and last is None:
            place, node, path = around(change, roots)
        if place is None:
            place, path = end, change.path[len(end.path):]
        if not place.writable:
            self.left[change] = why
        elif node is not None:
            into_stanza(place, node, statement(path, f"{change.name} = {change.value}"))
        else:
            at_end(place, statement(path, f"{change.name} = {change.value}"))

    def forget(self, change):
        """Take the option or stanza out of every file, if that is possible in all of them."""
        found = list(dict.fromkeys(stated(change, self.roots)))
        files = set(self.local.walk()) if self.only else ()
        for place, node in found:
            if self.only and place not in files:
                self.left[change] = f"{node.place} says this, and all changes go to {self.local.file.path}: {way_out(change)}"
            elif not place.writable:
                self.left[change] = f"{FIXED}: {way_out(change)}"
        if change not in self.left:
            for place, node in sorted(found, key=lambda pair: -pair[1].start):
                cut(place, node)


def way_out(change):
    """What is left to do where a file says what cannot be unset there."""
    return "set another value, or take it out of that file by hand" if change.name else "take it out of that file by hand"


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


def around(change, roots):
    """Answer (place, stanza, path inside it) for a new stanza: in a stanza around it that stands in a file that may be written.

    An expression is looked at in the order of the files: it goes behind all that is there.
    """
    for depth in range(len(change.path) - 1, 0, -1):
        stanzas = list(dict.fromkeys(said_stanzas(roots, change.keys[:depth])))
        if not stanzas:
            continue
        last = any(label.startswith("/") for _, label in change.path[depth:])
        place, node = next((found for found in (stanzas[-1:] if last else stanzas) if found[0].writable), (None, None))
        return place, node, change.path[depth:]
    return None, None, ()


def said_stanzas(roots, path):
    """Walk the stanzas of a path, and the files that stand in one."""
    return (found for found in said(roots, path) if not isinstance(found[1], Setting))


def statement(path, line):
    """Answer the lines of a setting in stanzas of its own."""
    heads = [f"{kind} {quoted(label)} {{" if label else f"{kind} {{" for kind, label in path]
    depth = len(heads)
    return [*(STEP * n + head for n, head in enumerate(heads)), STEP * depth + line, *(STEP * n + "}" for n in reversed(range(depth)))]


def into_stanza(place, node, lines):
    """Before the closing brace, set off as what stands there."""
    brace = node.end - 1
    begin = place.text.rfind("\n", 0, brace) + 1
    if place.text[begin:brace].strip():                 # the stanza is on one line
        gap = "" if place.text[brace - 1].isspace() else " "
        place.splice(brace, brace, f"{gap}{' '.join(line.strip() for line in lines)} ")
    else:
        heads = (place.text[place.text.rfind("\n", 0, inner.start) + 1:inner.start] for inner in node.body)
        step = next((head for head in heads if not head.strip()), place.text[begin:brace] + STEP)
        place.splice(begin, begin, "".join(f"{step}{line}{place.eol}" for line in lines))


def at_end(place, lines):
    eol = place.eol
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


def check_unchanged(loaded):
    """Raise ConsoleError where a file is another than was read: what serves is not what it says."""
    for file in loaded.files:
        try:
            same = Path(file.path).read_bytes() == file.text.encode()
        except OSError as e:
            raise ConsoleError(f"cannot read {file.path}: {e.strerror}") from None
        if not same:
            raise ConsoleError(f"{file.path} has changed since it was read, and nothing was written; config reload reads it, "
                               "and forgets what was changed on the console, which config replay lists")


def save(places):
    """Write the files whose text has changed, all or none; answers their paths."""
    changed = [place for place in places if place.text != place.file.text]
    written = []
    try:
        for place in changed:
            if can_be_replaced(place.real):
                written.append((written_beside(place.real, place.text.encode()), place))
        for new, place in written:
            put_in_place(new, place.real)
        for place in changed:
            if not any(place is other for _, other in written):
                overwrite(place.real, place.text.encode())
    except OSError as e:
        for new, _ in written:
            Path(new).unlink(missing_ok=True)
        raise ConsoleError(f"cannot write {place.file.path}: {e.strerror}") from None
    return [str(place.file.path) for place in changed]


def local_place(loaded):
    """The local changes file, new where there is none yet; None where none is named."""
    if loaded.local is not None:
        return Place(loaded.local, readonly=loaded.readonly)
    path = loaded.root.values.get("local_changes_file")
    if not path:
        return None
    if not os.path.isdir(os.path.dirname(path) or "."):
        raise ConsoleError(f"local_changes_file: there is no folder {os.path.dirname(path)}")
    return Place(File(path, ""))
