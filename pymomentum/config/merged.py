"""The configuration as one tree: every include in its place, stanzas of one name merged, values as they were written.

A branch is named as on the console: kinds and names in turn, `binding b1 domain example.com`.
"""
from pymomentum.config import uncollected
from pymomentum.config.changes import key, settled
from pymomentum.config.names import INSIDE, NOT_BUILT, UNLABELLED, normal, similar
from pymomentum.config.scopes import where
from pymomentum.config.tree import Dictionary, Include, Sequence, Setting
from pymomentum.core.config.scope import regex_search
from pymomentum.errors import ConsoleError
from pymomentum.options import modules, registry, unbuilt
from pymomentum.options.types import shown
from pymomentum.words import quoted

INDENT = "  "


class Branch:
    """A stanza, or what stands outside all."""

    __slots__ = ("kind", "written", "label", "name", "parent", "settings", "children")

    def __init__(self, kind="global", written="", label="", name="", parent=None):
        self.kind = kind                # without case
        self.written = written          # as the file has it
        self.label = label              # as the checks write it
        self.name = name                # as the file has it where it stands first
        self.parent = parent
        self.settings = {}              # option without case -> Setting, the last one
        self.children = {}              # (kind, label) -> Branch, in the order of the files

    def add(self, body):
        for node in body:
            if isinstance(node, Setting):
                self.settings[node.name.lower()] = node
            elif isinstance(node, Include):
                for file in node.files:
                    self.add(file.body)
            else:
                name = node.label.text if node.label else ""
                kind, label = key(node.name, name, self.parent is None)
                if (kind, label) not in self.children:
                    self.children[kind, label] = Branch(kind, node.name, label, name, self)
                self.children[kind, label].add(node.body)

    def forget(self, path, name):
        """Take back an option in the stanza that a path of keys leads to, or that stanza where no option is named."""
        branch = self
        for step in path:
            branch = branch.children.get(step)
            if branch is None:
                return
        if name:
            branch.settings.pop(name, None)
        else:
            del branch.parent.children[branch.kind, branch.label]

    @property
    def path(self):
        """Kinds and names from the outermost stanza in."""
        return () if self.parent is None else (*self.parent.path, (self.written, self.name))

    def inside(self, kind):
        return [branch for (k, _), branch in self.children.items() if k == kind]

    @property
    def place(self):
        """Where it stands, as `config locate` says it."""
        if self.parent is None:
            return ""
        name = self.name.replace("\\", "\\\\").replace(":", "\\:")
        return f"{self.parent.place}{self.written}:{name}:"

    @property
    def head(self):
        return f"{self.written} {quoted(self.name)}" if self.name else self.written

    def walk(self):
        for child in self.children.values():
            yield child
            yield from child.walk()


@uncollected()
def merge(loaded, more=()):
    """Answer the Branch of all that a loaded configuration says, what was changed since, and what is to be; without that nobody changes it."""
    if not more and loaded.tree is not None:
        return loaded.tree
    root = Branch()
    if loaded.files:
        root.add(loaded.files[0].body)
    if loaded.local is not None:
        root.add(loaded.local.body)
    for change in settled((*loaded.changes, *more)):
        change.apply_to(root)
    if not more:
        loaded.tree = root
    return root


def same(a, b):
    """Whether two Branches say the same; a stanza that says nothing counts as none."""
    if {name: setting.value.raw() for name, setting in a.settings.items()} != {name: setting.value.raw() for name, setting in b.settings.items()}:
        return False
    ours, theirs = telling(a), telling(b)
    return ours.keys() == theirs.keys() and expressions(ours) == expressions(theirs) and all(same(ours[key], theirs[key]) for key in ours)


def telling(branch):
    return {key: inner for key, inner in branch.children.items() if inner.settings or telling(inner)}


def expressions(children):
    """Answer the keys whose order counts."""
    return [key for key in children if key[1].startswith("/")]


# ---- finding -----------------------------------------------------------------------

def find(root, words):
    """Follow kinds and names; answers (Branch, words left). A stanza that nobody wrote is an empty Branch."""
    branch, left = root, list(words)
    while left:
        kind, _ = key(left[0], "", branch.parent is None)
        known = INSIDE.get(branch.kind, ()) if branch.parent is None or branch.kind in INSIDE else ()
        if kind in known and kind in UNLABELLED:
            branch, left = child(branch, kind, left[0], ""), left[1:]
        elif kind in known and len(left) > 1:
            branch, left = child(branch, kind, left[0], left[1]), left[2:]
        elif kind not in known and (branch.inside(kind) or kind in held_by(branch)[1]):
            branch, left = instance(branch, kind, left[0], left[1:])
        else:
            break
    return branch, left


def held_by(branch):
    """Answer (options, stanzas) by name that a stanza of a module or of a part not built yet may hold; of another stanza those parts."""
    kinds, at = [], branch
    while at.parent is not None:
        kinds.insert(0, at.kind)
        at = at.parent
    first = next((n for n, kind in enumerate(kinds) if kind in NOT_BUILT or n == 0 and kind in modules.NAMES), None)
    if first is None:
        return (), {*(() if kinds else modules.NAMES), *(kind for kind, places in NOT_BUILT.items() if branch.kind in places)}
    path = "/".join(kinds[first:])
    return modules.OPTIONS.get(path) or unbuilt.options_of(path) or (), () if path in modules.OPTIONS else unbuilt.stanzas_of(path)


def child(branch, kind, written, name):
    label = normal(kind, name)
    return branch.children.get((kind, label)) or Branch(kind, written, label, name, branch)


def instance(branch, kind, written, left):
    """A stanza of a module, or inside one: by its name, or the only one without; what nobody wrote is empty."""
    if left and (kind, left[0]) in branch.children:
        return branch.children[kind, left[0]], left[1:]
    nameless = child(branch, kind, written, "")
    if (kind, "") in branch.children:
        return nameless, left
    options, stanzas = held_by(nameless)
    if len(left) > 1 and left[0].lower() not in (*options, *stanzas):
        return Branch(kind, written, left[0], left[0], branch), left[1:]
    if branch.inside(kind):
        names = ", ".join(other.name for other in branch.inside(kind))
        raise ConsoleError(f"which {kind}? there is: {names}")
    return nameless, left


def locate(root, kind, expression=""):
    """Answer the branches of a kind whose name the expression finds."""
    found = [branch for branch in root.walk() if branch.kind in (kind.lower(), key(kind, "", True)[0])]
    try:
        named = set(regex_search(expression, [branch.name for branch in found]))
    except ValueError as e:
        raise ConsoleError(f"{shown(expression)} cannot be searched for: {e}") from None
    return [branch for branch in found if branch.name in named]


# ---- values ------------------------------------------------------------------------

def row_of(branch, name):
    """The row of an option in a branch of its own kind, or None where no rows are kept; ConsoleError where it cannot be."""
    module = branch.kind if branch.parent is not None and branch.parent.parent is None and branch.kind in modules.NAMES else None
    if module is None and branch.kind not in registry.SCOPES:
        return None
    rows = {n: registry.find(n, branch.kind) for n in registry.OPTIONS} if module is None else modules.OPTIONS.get(module)
    names = [n for n, row in rows.items() if row is not None] if rows is not None else unbuilt.options_of(module)
    if module is None and unbuilt.provided(name, branch.kind):
        return None
    if name not in names:
        near = similar(name, names)
        raise ConsoleError(f"unknown option {shown(name)} in {where(branch)}" + (f"; {near}" if near else ""))
    return rows[name] if rows is not None else None


# ---- text --------------------------------------------------------------------------

def value_lines(value):
    """A value as it would be written, a list over several lines."""
    if isinstance(value, Sequence):
        return ["(", *(INDENT + word_text(word) for word in value.words), ")"]
    if isinstance(value, Dictionary):
        return ["[", *(f"{INDENT}{word_text(key)} = {word_text(part)}" for key, part in value.pairs), "]"]
    return [word_text(value)]


def word_text(word):
    return quoted(word.text) if word.quoted else word.text


def setting_lines(setting):
    first, *rest = value_lines(setting.value)
    return [f"{setting.name} = {first}", *rest]


def show_lines(branch, recurse=False):
    """What stands in a branch, line by line; stanzas inside only by name unless recurse."""
    lines = []
    for inner in branch.children.values():
        if recurse:
            lines += [f"{inner.head} {{", *(INDENT + line for line in show_lines(inner, True)), "}"]
        else:
            lines.append(f"{inner.head} {{ ... }}")
    for setting in branch.settings.values():
        lines += setting_lines(setting)
    return lines


def as_data(branch):
    """The same for programs, kinds and options in lower case."""
    return {
        "options": {name: setting.value.raw() for name, setting in branch.settings.items()},
        "stanzas": [{"kind": inner.kind, "name": inner.label, **as_data(inner)} for inner in branch.children.values()],
    }
