"""Console commands that read the configuration: what is set, what holds, where it stands."""
from pymomentum.config.merged import as_data, evaluate, find, locate, merge, row_of, setting_lines, show_lines
from pymomentum.console.registry import Answer, command
from pymomentum.errors import ConsoleError
from pymomentum.options.types import shown

INDENT = " " * 8        # before what is set in a stanza


def root(call):
    return merge(call.server.loaded.files[0])


def option(call):
    """Answer (root, branch, option name) that the arguments name."""
    tree = root(call)
    if not call.args:
        raise call.usage()
    branch, left = find(tree, call.args)
    if len(left) != 1:
        place = " ".join(call.args[:len(call.args) - len(left)])
        raise ConsoleError(f"{shown(left[0])} is no stanza in {place or 'the global scope'}" if left else f"which option of {place}?")
    return tree, branch, left[0].lower()


def stanza(call):
    tree = root(call)
    branch, left = find(tree, call.args)
    if left:
        raise ConsoleError(f"{shown(left[0])} is neither a stanza nor an option here")
    return branch


def lines(branch, found):
    """The lines of a setting, set off where it does not stand in the global scope."""
    indent = INDENT if branch.parent is not None else ""
    return "".join(f"{indent}{line}\n" for line in found)


def written(name):
    """An option that nobody wrote, in the manual's way."""
    return "_".join(word[:1].upper() + word[1:] for word in name.split("_"))


def default_text(row, kind):
    value = row.defaults.get(kind, row.default) if row is not None and hasattr(row, "defaults") else None
    if value is None:
        return '""'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return "( " + " ".join(map(str, value)) + " )"
    return str(value)


@command("config get", "[SCOPE...] OPTION")
def config_get(call):
    """show what a stanza itself says about an option"""
    tree, branch, name = option(call)
    row_of(branch, name)
    setting = branch.settings.get(name)
    if setting is None:
        place = branch.place.removesuffix(":")
        return Answer(f"Option '{written(name)}' is not set in scope '{place}'.\n", {"option": name, "value": None}, "Config")
    return Answer(lines(branch, setting_lines(setting)), {"option": name, "value": setting.value.raw(), "file": setting.file.path,
                                                          "line": setting.line}, "Config")


@command("config eval", "[SCOPE...] OPTION")
def config_eval(call):
    """show what holds for an option in a stanza, be it said there, further out or nowhere"""
    tree, branch, name = option(call)
    row = row_of(branch, name)
    setting, place = evaluate(tree, branch, name)
    if setting is None:
        text = default_text(row, branch.kind)
        return Answer(lines(branch, [f"{written(name)} = {text}"]), {"option": name, "value": text, "scope": None}, "Config")
    return Answer(lines(branch, setting_lines(setting)),
                  {"option": name, "value": setting.value.raw(), "scope": place.place, "file": setting.file.path, "line": setting.line}, "Config")


@command("config show", "[SCOPE...] [OPTION]")
def config_show(call):
    """show a stanza, those inside it only by name"""
    tree = root(call)
    branch, left = find(tree, call.args)
    if len(left) == 1 and left[0].lower() in branch.settings:
        return config_get(call)
    branch = stanza(call)
    return Answer("".join(f"{line}\n" for line in show_lines(branch)), as_data(branch), "Config")


@command("config showrecurse", "[SCOPE...]")
def config_showrecurse(call):
    """show a stanza and all inside it"""
    branch = stanza(call)
    inner = show_lines(branch, True)
    if branch.parent is not None:
        inner = [f"{branch.head} {{", *(f"  {line}" for line in inner), "}"]
    return Answer("".join(f"{line}\n" for line in inner), as_data(branch), "Config")


@command("config locate", "STANZA [REGEX]")
def config_locate(call):
    """show where stanzas of a kind stand, those whose name matches"""
    kind, *expression = call.expect(1, 2)
    found = locate(root(call), kind, *expression)
    text = "".join(f"{branch.head}\n  is at {branch.place}\n" for branch in found)
    data = [{"kind": branch.written, "name": branch.label, "place": branch.place} for branch in found]
    return Answer(text or f"no {kind} stanza\n", {"Scope": data}, "Config")
