"""Changes of a configuration that is loaded: a setting made or taken back in one stanza."""
from pymomentum.config.grammar import parse
from pymomentum.config.names import normal
from pymomentum.config.scopes import Reader
from pymomentum.config.tree import Dictionary, Sequence
from pymomentum.errors import ConfigError, ConfigErrors, ConsoleError
from pymomentum.options import modules
from pymomentum.words import escaped, quoted, typed


class Change:
    """What one `config set` or `config unset` asks for."""

    def __init__(self, path, name="", value=None):
        self.path = path                # ((kind, label), ...) from the outermost stanza in, as written
        self.name = name                # as shown; "": the stanza itself
        self.value = value              # text as in a file; None: taken back
        self.keys = keys(path)
        heads = "".join(f"{kind} {quoted(label)} {{ " if label else f"{kind} {{ " for kind, label in path)
        try:
            self.file = parse("console", f"{heads}{name} = {value} {'}' * len(path)}\n".encode(errors="surrogateescape")) if value is not None else None
        except ConfigError as e:
            raise ConsoleError(f"{name}: {e.message}") from None

    @property
    def setting(self):
        """The one setting inside stanzas of one statement each."""
        body = self.file.body
        while hasattr(body[0], "body"):
            body = body[0].body
        return body[0]

    @property
    def names_local_file(self):
        return not self.path and self.name.lower() == "local_changes_file"

    @property
    def command(self):
        """The command line that asks for it, as the console takes it again."""
        words = [typed(word) for kind, label in self.path for word in (kind, label) if word]
        verb = "unset" if self.value is None else "set"
        return " ".join(["config", verb, *words, *[self.name] * bool(self.name), *([one_line(self.setting.value)] if self.file else [])])

    def check(self):
        """Answer the notices of what it says by itself; raises ConfigErrors where no configuration would take it."""
        reader = Reader()
        if self.file is not None:
            reader.read(self.file)
        if reader.errors:
            raise ConfigErrors(reader.errors)
        return reader.notices

    def apply(self, reader):
        """Carry it out on what a Reader has read."""
        if self.file is not None:
            reader.body(self.file.body, reader.root)
        else:
            reader.forget(self.path, self.name.lower())

    def apply_to(self, root):
        """The same on a merged tree."""
        if self.file is not None:
            root.add(self.file.body)
        else:
            root.forget(self.keys, self.name.lower())


def settled(changes):
    """What changes come to, in their order: of several to one option the last, of those in a stanza none from before it was unset."""
    kept = {}
    for change in changes:
        if not change.name:
            kept = {other: kept[other] for other in kept if other[0][:len(change.keys)] != change.keys}
        kept[change.keys, change.name.lower()] = change
    return tuple(kept.values())


# ---- names of stanzas --------------------------------------------------------------

def key(kind, label, outermost):
    """The name of a stanza, equal for all that are merged: without case, and as the checks write it."""
    kind = kind.lower()
    plain = kind.replace("-", "_")
    kind = plain if outermost and plain in modules.NAMES else kind
    return kind, normal(kind, label)


def keys(path):
    return tuple(key(kind, label, number == 0) for number, (kind, label) in enumerate(path))


def one_line(value):
    """A value as it is typed in a command."""
    if isinstance(value, Sequence):
        return f"( {' '.join(map(one_line, value.words))} )"
    if isinstance(value, Dictionary):
        return f"[ {' '.join(f'{one_line(key)} = {one_line(part)}' for key, part in value.pairs)} ]"
    return escaped(value.text) if value.quoted else value.text
