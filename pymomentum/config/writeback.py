"""Changes written back into the files that the configuration came from: one place each, all else stays as it is.

A value goes where it was set last; a new one into the first file, in the order of the
includes, where its stanza stands; else to the local changes file, or the end of the
main file.  Files that may not be written - read only, or included twice - are passed by.
"""
import os
from pathlib import Path

from pymomentum.config.changes import quoted
from pymomentum.config.grammar import parse
from pymomentum.config.merged import normal
from pymomentum.config.tree import File, Include, Setting, Stanza
from pymomentum.errors import ConsoleError
from pymomentum.files import put_in_place, written_beside

STEP = "  "


class Place:
    """A file, and the stanzas around what it holds."""

    def __init__(self, file, path):
        self.file = file
        self.path = path                # ((kind, label), ...) that its text stands in
        self.text = file.text
        self.parsed = file.text, file.body      # a text and what it says

    @property
    def writable(self):
        return not self.file.readonly and os.access(self.file.path, os.W_OK)

    @property
    def eol(self):
        return "\r\n" if "\r\n" in self.text else "\n"

    def body(self):
        if self.parsed[0] is not self.text:
            self.parsed = self.text, parse(str(self.file.path), self.text.encode()).body
        return self.parsed[1]

    def splice(self, start, end, new):
        self.text = self.text[:start] + new + self.text[end:]


def places(file, path=()):
    """Walk the files of a configuration, each behind the one that includes it."""
    yield Place(file, path)
    yield from inside(file.body, path)


def inside(body, path):
    for node in body:
        if isinstance(node, Include):
            for file in node.files:
                yield from places(file, path)
        elif isinstance(node, Stanza):
            yield from inside(node.body, (*path, key(node.name, node.label.text if node.label else "")))


def key(kind, label):
    return kind.lower(), normal(kind.lower(), label)


def keys(path):
    return tuple(key(kind, label) for kind, label in path)


def stanzas(body, path):
    """Walk what stands directly inside the stanzas that a path leads to: (node, its body); node None is the file itself."""
    if not path:
        yield None, body
    for node in body:
        if isinstance(node, Stanza) and path and key(node.name, node.label.text if node.label else "") == path[0]:
            if len(path) == 1:
                yield node, node.body
            else:
                yield from stanzas(node.body, path[1:])


def held(place, path):
    """The same in one file, whose text may stand in stanzas itself."""
    depth = len(place.path)
    if path[:depth] == place.path:
        yield from stanzas(place.body(), path[depth:])


def write_in(changes, all_places, local=None, local_only=False):
    """Carry changes out on the texts of places; answers those for which there is no place."""
    left = []
    for change in changes:
        if change.value is None:
            forget(change, all_places)
            left += [change] if last_set(change, all_places) else []
        elif local_only:
            left += [] if insert(change, [local], True) else [change]
        else:
            at = last_set(change, all_places)
            later = all_places if at is None else all_places[at[0]:]        # an earlier place would not win
            if not (replace(change, all_places, at) or insert(change, later, False) or insert(change, [local or all_places[0]], True)):
                left.append(change)
    return left


def settings(change, place):
    """Walk where the option of a change is set in a place; where it names none, the stanzas themselves."""
    for stanza, body in held(place, keys(change.path)):
        if not change.name and stanza is not None:
            yield stanza
        for node in body if change.name else ():
            if isinstance(node, Setting) and node.name.lower() == change.name.lower():
                yield node


def last_set(change, all_places):
    """Answer (number of the place, Setting) where the option was set last, or None."""
    last = None
    for number, place in enumerate(all_places):
        for node in settings(change, place):
            last = number, node
    return last


def replace(change, all_places, at):
    """Put the value where the option was set last, if that may be written."""
    if at is None or not all_places[at[0]].writable:
        return False
    all_places[at[0]].splice(at[1].value.start, at[1].value.end, change.value)
    return True


def insert(change, some_places, make):
    """Add the option to the first stanza of its name, or with `make` a stanza of its own at the end of a file."""
    for place in some_places:
        if place is None or not place.writable:
            continue
        found = list(held(place, keys(change.path)))
        if found and found[0][0] is not None:
            into_stanza(place, found[0][0], f"{change.name} = {change.value}")
            return True
        if make or found:
            depth = len(place.path)
            at_end(place, change.path[depth:], f"{change.name} = {change.value}")
            return True
    return False


def into_stanza(place, node, line):
    """Before the closing brace, set off as what stands there."""
    brace = node.end - 1
    begin = place.text.rfind("\n", 0, brace) + 1
    if place.text[begin:brace].strip():                 # the stanza is on one line
        gap = "" if place.text[brace - 1].isspace() else " "
        place.splice(brace, brace, f"{gap}{line} ")
    else:
        first = node.body[0] if node.body else None
        margin = place.text[begin:brace]
        if first is not None and first.line != node.line:
            head = place.text.rfind("\n", 0, first.start) + 1
            step = place.text[head:first.start]
        else:
            step = margin + STEP
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


def forget(change, all_places):
    """Take the option or stanza out of every file that may be written, with its line where nothing else stands on it."""
    for place in all_places:
        while place.writable and (node := next(settings(change, place), None)) is not None:
            begin = place.text.rfind("\n", 0, node.start) + 1
            end = place.text.find("\n", node.end)
            end = len(place.text) if end < 0 else end + 1
            if place.text[begin:node.start].strip() or place.text[node.end:end].strip():
                begin, end = node.start, node.end
                while place.text[end:end + 1] in (" ", "\t") and place.text[begin - 1:begin] in (" ", "\t"):
                    end += 1
            place.splice(begin, end, "")


def save(all_places):
    """Write the files whose text has changed, all or none; answers their paths."""
    changed = [place for place in all_places if place.text != place.file.text]
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


def local_place(path):
    """The local changes file, new where there is none yet."""
    try:
        return Place(parse(path, Path(path).read_bytes()), ())
    except FileNotFoundError:
        Path(path).touch(0o640)
        return Place(File(path, ""), ())
