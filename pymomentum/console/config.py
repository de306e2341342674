"""Console commands of the configuration: what is set, what holds, where it stands, and changes to it.

A change counts at once, or with others at `config commit` where its session has begun a transaction.
It lasts until the configuration is read again.
"""
from itertools import islice
from pathlib import Path

from pymomentum import config
from pymomentum.config import writeback
from pymomentum.config.changes import Change
from pymomentum.config.fallback import default, evaluate
from pymomentum.config.merged import as_data, find, locate, merge, row_of, setting_lines, show_lines
from pymomentum.config.names import INSIDE, written
from pymomentum.console.registry import Answer, command
from pymomentum.console.values import setting_text, value_text
from pymomentum.core.config.generation import generations
from pymomentum.errors import ConfigErrors, ConsoleError, MomentumError, Superseded
from pymomentum.options import modules, registry
from pymomentum.options.types import Number, one_line, shown

MOST_NAMES = 10         # of stanzas that a mistake names
INDENT = " " * 8        # before what is set in a stanza


class Transaction:
    """Changes of one session that are not committed yet."""

    def __init__(self, seen, base):
        self.seen = seen        # the configuration that served when it began
        self.base = base        # what the changes are made to: that one, or an empty one
        self.changes = []
        self.tree = merge(base)         # with all of them
        self.known = {notice.text for notice in seen.notices}       # notices that need not be said

    def add(self, change):
        if self.changes:
            change.apply_to(self.tree)
        else:
            self.tree = merge(self.base, [change])
        self.changes.append(change)


def begun(call):
    return call.session.get("transaction")


def root(call):
    """The tree as this session sees it."""
    return begun(call).tree if begun(call) else merge(call.server.loaded)


def option(call):
    """Answer (root, branch, option name) that the arguments name."""
    tree = root(call)
    if not call.args:
        raise call.usage()
    branch, left = find(tree, call.args)
    if len(left) == 1:
        refuse_nameless(branch, left[0])
    if len(left) != 1:
        place = " ".join(call.args[:len(call.args) - len(left)])
        raise ConsoleError(f"{shown(left[0])} is no stanza in {place or 'the global scope'}" if left else f"which option of {place}?")
    return tree, branch, left[0].lower()


def refuse_nameless(branch, kind):
    """Raise ConsoleError where a word is a kind of stanzas that have names."""
    kind = kind.lower()
    if branch.kind in INSIDE and kind in INSIDE[branch.kind]:
        names = ", ".join(shown(inner.name) for inner in islice(branch.inside(kind), MOST_NAMES))
        raise ConsoleError(f"{kind} needs a name; " + (f"there is: {names}" if names else "there is none yet"))


def stanza(call, branch, left):
    """The branch that the arguments name, if there is one."""
    if left:
        refuse_nameless(branch, left[0])
        raise ConsoleError(f"{shown(left[0])} is neither a stanza nor an option here")
    if branch.parent is not None and (branch.kind, branch.label) not in branch.parent.children:
        raise ConsoleError(f"there is no stanza '{branch.place.removesuffix(':')}'")
    return branch


def is_option(branch, name):
    try:
        row_of(branch, name)
    except ConsoleError:
        return False
    return branch.kind in (*registry.SCOPES, *modules.OPTIONS)


def lines(branch, found):
    """The lines of a setting, set off where it does not stand in the global scope."""
    indent = INDENT if branch.parent is not None else ""
    return "".join(f"{indent}{line}\n" for line in found)


def default_text(row, tree, branch):
    """The built-in value of an option as a file would have it; Hosts are unlimited."""
    if branch.kind == "host" and row is not None and isinstance(row.type, Number):
        return "-1"
    value = None if row is None else default(row, tree, branch)
    return '""' if value is None else one_line(row.type.write(value))


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
        text = default_text(row, tree, branch)
        return Answer(lines(branch, [f"{written(name)} = {text}"]), {"option": name, "value": text, "scope": None}, "Config")
    return Answer(lines(branch, setting_lines(setting)),
                  {"option": name, "value": setting.value.raw(), "scope": place.place, "file": setting.file.path, "line": setting.line}, "Config")


@command("config show", "[SCOPE...] [OPTION]")
def config_show(call):
    """show a stanza, those inside it only by name"""
    tree = root(call)
    branch, left = find(tree, call.args)
    if len(left) == 1 and (left[0].lower() in branch.settings or is_option(branch, left[0].lower())):
        return config_get(call)
    if len(left) == 1 and (inside := branch.inside(left[0].lower())):
        data = [{"kind": inner.kind, "name": inner.label} for inner in inside]
        return Answer("".join(f"{inner.head} {{ ... }}\n" for inner in inside), {"stanzas": data}, "Config")
    branch = stanza(call, branch, left)
    return Answer("".join(f"{line}\n" for line in show_lines(branch)), as_data(branch), "Config")


@command("config showrecurse", "[SCOPE...]")
def config_showrecurse(call):
    """show a stanza and all inside it"""
    branch = stanza(call, *find(root(call), call.args))
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


# ---- changes -----------------------------------------------------------------------

class Outcome:
    """What a change has come to: the number of what serves, and what there is to be said of it."""

    def __init__(self, generation=None, notices=(), restart=(), unusable=()):
        self.generation = generation
        self.notices = list(notices)
        self.restart = list(restart)            # what has changed and counts after a restart only
        self.unusable = list(unusable)          # ConfigErrors of what TLS cannot use any more

    @property
    def text(self):
        """Lines behind an answer."""
        told = [*(f"notice: {notice}" for notice in self.notices), *(f"{place} has changed: it counts after a restart only" for place in self.restart),
                *self.unusable]
        return "".join(f"{line}\n" for line in told)

    @property
    def data(self):
        return {"notices": self.notices, "restart": self.restart, "unusable": [mistake.as_dict() for mistake in self.unusable]}


def make(call, change):
    """Carry a change out, or keep it where a transaction has begun, if a configuration may say it."""
    transaction = begun(call)
    if not transaction:
        return commit(call, call.server.loaded, [change])
    try:
        notices = change.check()
    except MomentumError as e:
        raise ConsoleError(messages(e)) from None
    transaction.add(change)
    fresh = [notice.text for notice in notices if notice.text not in transaction.known]
    transaction.known.update(fresh)
    return Outcome(notices=fresh)


def commit(call, seen, changes, base=None):
    try:
        return outcome(call, call.server.change(changes, seen, base), seen)
    except Superseded as e:
        advice = ("config replay shows what you have changed, config rollback ends that, and config begin begins again on what serves now"
                  if begun(call) else "say it again")
        raise ConsoleError(f"{e}; {advice}") from None
    except MomentumError as e:
        raise ConsoleError(messages(e)) from None


def outcome(call, generation, before):
    return Outcome(generation, config.news(call.server.loaded, before), call.server.restart_needed(before), call.server.unusable)


def messages(failure):
    """What is wrong, without places in files that nobody wrote."""
    return "; ".join(error.message for error in getattr(failure, "errors", ())) or str(failure)


@command("config set", "[SCOPE...] OPTION VALUE...")
def config_set(call):
    """set an option in a stanza, until the configuration is read again"""
    branch, left = find(root(call), call.args)
    if not left:
        raise call.usage()
    name, typed = setting_text(call.tail(len(call.args) - len(left)))
    name = name.lower()
    row_of(branch, name)
    if not typed:
        raise call.usage()
    change = Change(branch.path, written(name), value_text(typed))
    made = make(call, change)
    return Answer(lines(branch, setting_lines(change.setting)) + made.text, {"option": name, "value": change.value, **made.data}, "Config")


@command("config unset", "[SCOPE...] [OPTION]")
def config_unset(call):
    """take back what a stanza says about an option, or a stanza with all that stands in it"""
    branch, left = find(root(call), call.args)
    if not left:
        return unset_stanza(call, branch)
    tree, branch, name = option(call)
    row = row_of(branch, name)
    if name not in branch.settings:
        raise ConsoleError(f"Option '{written(name)}' is not set in scope '{branch.place.removesuffix(':')}'.")
    shown_name = branch.settings[name].name
    made = make(call, Change(branch.path, written(name)))
    tree = root(call)
    after, _ = find(tree, call.args[:-1])
    setting, _ = evaluate(tree, after, name)
    found = setting_lines(setting) if setting else [f"{written(name)} = {default_text(row, tree, after)}"]
    return Answer(f'"{shown_name}" has been unset. Effective value is now:\n' + "".join(f"{INDENT}{line}\n" for line in found) + made.text,
                  {"option": name, "value": None, **made.data}, "Config")


def unset_stanza(call, branch):
    if branch.parent is None:
        raise ConsoleError("the global scope cannot be unset as a whole")
    place = stanza(call, branch, []).place.removesuffix(":")
    made = make(call, Change(branch.path))
    return Answer(f"'{place}' has been unset.\n{made.text}", {"stanza": place, **made.data}, "Config")


def begin(call, base):
    call.expect(0, 0)
    if begun(call):
        raise ConsoleError("a transaction has begun already; config commit or config rollback ends it")
    call.session["transaction"] = Transaction(call.server.loaded, base)
    return Answer("", {"changes": 0})


@command("config begin")
def config_begin(call):
    """begin a transaction: changes of this session count together, at config commit"""
    return begin(call, call.server.loaded)


@command("config begin from scratch")
def config_begin_from_scratch(call):
    """begin a transaction on an empty configuration: what is set until config commit is all there is"""
    return begin(call, config.empty())


def transaction_of(call):
    call.expect(0, 0)
    if not begun(call):
        raise ConsoleError("there is no transaction; config begin begins one")
    return begun(call)


@command("config commit")
def config_commit(call):
    """carry out what was changed since config begin, all of it or nothing"""
    transaction = transaction_of(call)
    made = commit(call, transaction.seen, transaction.changes, transaction.base)
    del call.session["transaction"]
    return Answer(made.text, {"changes": len(transaction.changes), "generation": made.generation, **made.data})


@command("config rollback")
def config_rollback(call):
    """forget what was changed since config begin"""
    changes = transaction_of(call).changes
    del call.session["transaction"]
    return Answer("", {"changes": len(changes)})


@command("config replay")
def config_replay(call):
    """show what was changed since config begin; without it, what counts on top of the files"""
    call.expect(0, 0)
    commands = [change.command for change in (begun(call) or call.server.loaded).changes]
    return Answer("".join(f"{line}\n" for line in commands), {"Change": commands})


@command("config reload", "[FILE]")
def config_reload(call):
    """read the configuration again, or another file, and serve by it; what was changed on the console is gone"""
    call.expect(0, 1)
    if begun(call):
        raise ConsoleError("a transaction has begun; config commit or config rollback ends it")
    before = call.server.loaded
    try:
        made = outcome(call, call.server.reload(*call.args), before)
    except MomentumError as e:
        raise ConsoleError(f"Reconfigure failed\n{e}") from None
    made.restart = call.server.restart_needed()
    return Answer(f"configuration reloaded.\n{made.text}", {"generation": made.generation, **made.data}, "Config")


@command("config writeback", "[FILE]")
def config_writeback(call):
    """write what was changed on the console into the files it belongs to, or all that holds into one file"""
    call.expect(0, 1)
    if begun(call):
        raise ConsoleError("a transaction has begun; config commit or config rollback ends it")
    loaded = call.server.loaded
    if call.args:
        write_all(loaded, call.args[0])
        return Answer(f"written: {call.args[0]}\n", {"File": [call.args[0]], "left": []}, "Config")
    if not loaded.files:
        raise ConsoleError("this configuration was begun from scratch: config writeback FILE writes all of it")
    work = writeback.Writeback(loaded)
    try:
        files = call.server.write_back(work)
    except ConfigErrors as e:
        raise ConsoleError(f"nothing was written: {messages(e)}") from None
    text = "".join(f"written: {name}\n" for name in files) or ("" if work.left else "nothing has changed.\n")
    for why in dict.fromkeys(work.left.values()):
        text += f"not all could be saved: {why}. It counts until the next reload or restart:\n"
        text += "".join(f"{change.command}\n" for change in work.left if work.left[change] == why)
    return Answer(text, {"File": files, "left": [change.command for change in work.left]}, "Config")


@command("write config", "[FILE]")
def write_config(call):
    """show the configuration that serves, or write it to a file of the server's machine, includes and all"""
    call.expect(0, 1)
    if not call.args:
        tree = merge(call.server.loaded)
        return Answer(whole(call.server.loaded), as_data(tree), "Config")
    write_all(call.server.loaded, call.args[0])
    return Answer(f"written: {call.args[0]}\n", {"File": [call.args[0]]}, "Config")


def whole(loaded):
    return "".join(f"{line}\n" for line in show_lines(merge(loaded), True))


def write_all(loaded, path):
    """The whole configuration in one file, without comments."""
    if not path:
        raise ConsoleError("a file needs a name")
    place = writeback.Place(writeback.File(path, ""))
    place.text = whole(loaded)
    if Path(path).exists():
        raise ConsoleError(f"{path} is there already")
    writeback.save([place])


@command("config generations")
def config_generations(call):
    """list the configurations in memory: how old, since when replaced, by how much held"""
    call.expect(0, 0)
    rows = [{"generation": number, "age": age / 1000, "replaced": None if since is None else since / 1000, "holders": holders}
            for number, age, since, holders in generations()]
    text = f"{'Generation':>10} {'Age':>12} {'Replaced':>12} {'Holders':>8}\n"
    for row in rows:
        replaced = "" if row["replaced"] is None else f"{row['replaced']:.0f} s ago"
        text += f"{row['generation']:>10} {row['age']:>10.0f} s {replaced:>12} {row['holders']:>8}\n"
    return Answer(text, {"Generation": rows}, "Config")
