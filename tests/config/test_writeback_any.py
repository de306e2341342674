"""Any small configuration, any changes: what is written back says, when it is read again, what the server went by."""
import random
import re

import pytest

from pymomentum.config import changed, load, writeback
from pymomentum.config.changes import Change
from pymomentum.config.fallback import evaluate
from pymomentum.config.merged import find, merge
from pymomentum.console.values import value_text

NUMBERS = ("retry_interval", "max_retries", "max_outbound_connections")
LISTS = ("relay_domains", "prohibited_hosts")
STANZAS = ("Domain a.test", "Domain b.test", 'Domain "/[ab]/"', "Binding one", 'Binding "two"')
PATHS = [(), *(tuple(stanza.replace('"', "").split()) for stanza in STANZAS), ("binding", "one", "domain", "a.test")]
GAPS = ("\n", "\n", "\n  ", " ", "  # note\n", " /* c */ ", "\n\n\t", " /* over\nlines */ ")


class Writer:
    """Makes the files of a configuration."""

    def __init__(self, rng):
        self.rng = rng
        self.files = {}
        self.files["main.conf"] = self.body(0)
        if rng.random() < 0.3:
            self.files["local.conf"] = self.body(2)
        if rng.random() < 0.5:
            only = rng.choice(("", "local_changes_only = true\n"))
            self.files["main.conf"] += f"\nlocal_changes_file = local.conf\n{only}"

    def body(self, depth, inside=False):
        return "".join(f"{self.statement(depth, inside)}{self.gap()}" for _ in range(self.rng.randrange(6)))

    def gap(self):
        return self.rng.choice(GAPS)

    def statement(self, depth, inside):
        kind = self.rng.randrange(10)
        if kind < 2 and depth < 3:
            name = f"f{len(self.files)}.conf"
            self.files[name] = ""
            self.files[name] = self.body(depth + 1, inside)
            return f"{self.rng.choice(('include', 'readonly_include'))} {name}"
        if kind < 6 and not inside:
            stanza = self.rng.choice(STANZAS)
            inner = self.body(depth, True)
            if stanza.startswith("Binding") and self.rng.random() < 0.4:
                inner += f"Domain a.test {{{self.gap()}{self.setting()}{self.gap()}}}{self.gap()}"
            return f"{stanza}{self.gap()}{{{self.gap()}{inner}}}"
        if kind < 8 and not inside:
            return f"{self.rng.choice(LISTS)}{self.rng.choice((' = ', ''))}{self.list()}"
        return self.setting()

    def setting(self):
        return f"{self.rng.choice(NUMBERS)}{self.rng.choice(('=', ' = '))}{self.rng.choice(('1', '2', chr(34) + '3' + chr(34)))}"

    def list(self):
        comma = self.rng.choice(("", ","))
        words = "".join(f"{self.gap()}{self.rng.choice((word, word, chr(34) + word + chr(34)))}{comma}{self.rng.choice(('', '', '  '))}"
                        for word in self.words())
        return f"({words}{self.rng.choice(('', self.gap()))})"

    def words(self):
        return [f"10.0.0.{self.rng.randrange(5)}" for _ in range(self.rng.randrange(6))]

    def change(self, root):
        """One that can be typed."""
        path = self.rng.choice(PATHS)
        branch, _ = find(root, path)
        name = self.rng.choice(NUMBERS if path else NUMBERS + LISTS)
        kind = self.rng.randrange(8)
        if kind == 0 and path and (branch.kind, branch.label) in branch.parent.children:
            return Change(branch.path)
        known = [option for option in NUMBERS + LISTS if option in branch.settings]
        if kind < 3 and known:
            return Change(branch.path, self.rng.choice(known))
        if name in LISTS:
            return Change(branch.path, name, value_text(f"( {' '.join(self.words())} )"))
        return Change(branch.path, name, str(self.rng.randrange(4, 9)))


def holds(loaded):
    """All that can be asked: (where, option) -> value."""
    root = merge(loaded)
    found = {}
    for path in [*PATHS, ("binding", "two", "domain", "b.test"), ("domain", "ab.test")]:
        branch, _ = find(root, path)
        for name in NUMBERS + LISTS:
            setting, _ = evaluate(root, branch, name)
            found[path, name] = None if setting is None else setting.value.raw()
    return found


def other_words(text, names):
    """Words of a file, those of comments too, that are neither options of these names nor values."""
    return [word for word in text.split() if not re.search("|".join([*names, '^[(),"0-9.=]*$']), word)]


def in_order(some, many):
    """Whether all of these stand among the others, one behind the other."""
    rest = iter(many)
    return all(word in rest for word in some)


@pytest.mark.parametrize("seed", range(400))
def test_what_is_written_back_is_what_served(tmp_path, monkeypatch, seed):
    monkeypatch.chdir(tmp_path)
    rng = random.Random(seed)
    writer = Writer(rng)
    if rng.random() < 0.3:
        writer.files = {name: text.replace("\n", "\r\n") for name, text in writer.files.items()}
    for name, text in writer.files.items():
        (tmp_path / name).write_bytes(text.encode())
    loaded = load("main.conf", env={})
    changes = []
    for _ in range(rng.randrange(1, 5)):
        change = writer.change(merge(loaded))
        changes.append(change)
        loaded = changed(loaded, [change], env={})
    work = writeback.Writeback(loaded)
    work.loaded_anew()
    work.save()
    fresh = load("main.conf", env={})
    assert holds(changed(fresh, list(work.left), env={})) == holds(loaded)
    if all(change.value or change.name in NUMBERS for change in changes):       # no list or stanza goes with its comments
        names = [change.name.lower() for change in changes]
        for name, text in writer.files.items():
            assert in_order(other_words(text, names), (tmp_path / name).read_text().split()), name
