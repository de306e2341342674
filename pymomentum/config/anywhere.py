"""Statements that may stand in any stanza, as a brace is missing or one too many: their names and values are checked all the same."""
from functools import cache

from pymomentum.config.names import INSIDE, LABELS, NOT_BUILT, similar
from pymomentum.config.tree import Include, Setting
from pymomentum.options import modules, registry, unbuilt
from pymomentum.options.types import shown


@cache
def options():
    """Answer {option: its types in all stanzas}."""
    found = {}
    core = ({name: row.type} for name, rows in registry.OPTIONS.items() for row in rows)
    built_in = ({name: row.type for name, row in rows.items()} for rows in modules.OPTIONS.values())
    provided = {name: type for name, (_, type) in unbuilt.PROVIDED_BY.items()}
    for rows in (*core, *built_in, *unbuilt.UNBUILT.values(), provided):
        for name, type in rows.items():
            found.setdefault(name, []).append(type)
    return found


@cache
def stanzas():
    """Answer the kinds of all stanzas."""
    inner = (kind for path in unbuilt.UNBUILT for kind in path.split("/"))
    return frozenset((*(kind for kinds in INSIDE.values() for kind in kinds), *NOT_BUILT, *modules.NAMES, *inner))


def check(reader, nodes):
    """Note what is wrong in every stanza."""
    waiting = list(nodes)
    for node in waiting:
        if isinstance(node, Include):
            waiting += [inner for file in node.files for inner in file.body]
        elif isinstance(node, Setting):
            check_setting(reader, node)
        else:
            check_stanza(reader, node)
            waiting += node.body


def check_setting(reader, node):
    name = node.name.lower()
    types = options().get(name)
    if types is None:
        reader.fail(node, f"unknown option {shown(node.name)}", similar(name, options()))
    elif not any(takes(type, node.value.raw()) for type in types):
        reader.typed(node, name, types[0])


def takes(type, raw):
    try:
        type.parse(raw)
    except ValueError:
        return False
    return True


def check_stanza(reader, node):
    kind = node.name.lower()
    if kind not in stanzas() and kind.replace("-", "_") not in modules.NAMES:
        reader.fail(node, f"unknown stanza {shown(node.name)}", similar(kind, stanzas()))
    elif kind in LABELS:
        reader.label(node, kind)
