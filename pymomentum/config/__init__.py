"""The configuration: `load` reads and checks, `publish` makes it the one that serves.

    load(path) -> Loaded -> publish(loaded) -> number of the new generation

Both raise ConfigErrors with everything found, and then the current generation
goes on serving.
"""
import gc
import os
from contextlib import contextmanager

from pymomentum.config import built_in, logs
from pymomentum.config.changes import settled
from pymomentum.config.names import LISTENERS, is_address, listen_address
from pymomentum.config.scopes import MAX_ERRORS, Reader, walk
from pymomentum.config.tree import Loader
from pymomentum.core.config.builder import Builder, declare_options
from pymomentum.errors import ConfigError, ConfigErrors
from pymomentum.options import registry
from pymomentum.options.types import Server, Source

AT_START = ("eventloop", "threadpool", "security", "debug_flags")       # scopes that hold options of the process
BUILT_LISTENERS = ("esmtp_listener", "control_listener")
LOOKED_UP = {name for name, rows in registry.OPTIONS.items() if isinstance(rows[0].type, (Source, Server))}
IDS = {name: number for number, name in enumerate(registry.names())}

declare_options((name, registry.OPTIONS[name][0].type.kind) for name in IDS)


class Listen:
    """An address to accept on."""

    def __init__(self, scope):
        self.scope = scope
        self.kind = scope.parent.kind       # esmtp_listener ...
        self.name = scope.label
        address = listen_address(scope.label)
        self.path = address if isinstance(address, str) else None
        self.host, self.port = (None, 0) if self.path else address

    def setting(self, name):
        """Answer what this address says about an option, or its listener, or the default."""
        return self.scope.values[name] if name in self.scope.values else self.scope.parent.value(name)


class Loaded:
    """A configuration that passed all checks; further ones see what could be read of one that did not."""

    def __init__(self, files, reader, local=None, changes=(), readonly=()):
        self.files = files                  # every File read, the first one first
        self.readonly = frozenset(readonly)         # real paths of those that no change is written to
        self.local = local                  # the local changes file, read last; None: there is none
        self.changes = tuple(changes)       # made since, on the console
        self.root = reader.root
        self.modules = reader.modules       # (name, instance) -> ModuleStanza
        self.notices = reader.notices
        self.tree = None                    # all that it says, once somebody has asked for it
        self.knows = reader.knows           # whether no mistake can be why one of these options is not said, or not as it counts
        if not self.root.values.get("hostname", "x"):
            del self.root.values["hostname"]        # an empty one: the machine's
        self.globals = {name: self.root.value(name) for name in IDS if registry.find(name, "global")}
        self.listens = [Listen(listen) for kind in BUILT_LISTENERS for listener in self.root.inside(kind)
                        for listen in listener.inside("listen")
                        if listener.value("enable") and listen.value("enable")]
        self.eventloops = {loop.label: loop.values.get("concurrency", built_in.loops())
                           for loop in self.root.inside("eventloop")} or {"default": built_in.loops()}
        self.threadpools = {name: {"concurrency": n, "backlog": 0, "stack_size": 0} for name, n in built_in.POOLS.items()}
        for pool in self.root.inside("threadpool"):
            known = self.threadpools.get(pool.label, {})
            self.threadpools[pool.label] = {name: pool.values.get(name, known.get(name, pool.value(name)))
                                            for name in ("concurrency", "backlog", "stack_size")}

    def module(self, name):
        """Answer the options of a built-in module by name, as all its stanzas say them, or None where it has no stanza."""
        stanzas = [stanza for (module, _), stanza in self.modules.items() if module == name]
        return logs.together(name, stanzas) if stanzas else None

    def section(self, kind):
        """Answer the options of the `security` or `debug_flags` stanza by name."""
        found = next(self.root.inside(kind), None)
        rows = (row for rows in registry.OPTIONS.values() for row in rows if kind in row.scopes)
        return {row.name: found.value(row.name) if found else row.default for row in rows}


@contextmanager
def uncollected():
    """Nothing of a tree in the making is garbage: the collector would walk it again and again, half of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@uncollected()
def load(path, *, env=os.environ, before=None, texts=None, further=()):
    """Read a configuration file and all it includes; raises ConfigErrors with every mistake.

    Of what was loaded before, files that have not changed are not parsed again.  `texts` holds, by
    real paths, bytes that are read in place of what is there.  Further checks answer ConfigErrors for a Loaded.
    """
    loader = Loader(env, before.files if before else (), texts)
    reader, local = read(loader, path)
    reader.misread |= bool(loader.errors)
    if loader.files:
        reader.check_references()
    loaded = Loaded(list(loader.files.values()), reader, local, (), loader.readonly)
    refuse(loader.errors, [*reader.errors, *(error for check in further for error in check(loaded))], loaded.files)
    return loaded


def readable(path, *, env=os.environ):
    """Answer what can be read of a configuration, whatever mistakes are in it; raises ConfigErrors where there is no file."""
    loader = Loader(env)
    reader, local = read(loader, path)
    if not loader.files:
        raise ConfigErrors(loader.errors)
    return Loaded(list(loader.files.values()), reader, local)


def read(loader, path):
    """Read a file, all it includes and the local changes file; answers (Reader, local changes File or None)."""
    reader, local = Reader(), None
    file = loader.load(path)
    if file is not None:
        reader.read(file)
        local = local_changes(reader, loader)
    return reader, local


def refuse(grammar, errors, files):
    """Raise the mistakes that there are as they stand in the files, but for those that one of grammar may have caused."""
    places = {str(file.path): (number, file) for number, file in enumerate(files)}
    found = grammar + [error for error in errors if error.file not in places or not places[error.file][1].misread_before(error)]
    found = list({(error.file, error.line, error.column, error.message): error for error in found}.values())       # once of each place
    found.sort(key=lambda error: (places.get(error.file, (-1,))[0], error.line, error.column))
    if found:
        cut = len(found) > MAX_ERRORS or any(file.cut for file in files)
        del found[MAX_ERRORS:]
        raise ConfigErrors(found, f"only the first {len(found)} errors are shown" if cut else "")


def local_changes(reader, loader, known=None):
    """Read the file that local_changes_file names, and answer it; None where it is not set or not there yet."""
    path = reader.root.values.get("local_changes_file")
    if known is not None and path == known.path:
        local = loader.files[os.path.realpath(path)] = known
    elif not path:
        return None
    elif os.path.realpath(path) in loader.files or os.path.dirname(os.path.realpath(path)) in loader.included_folders:
        reader.errors.append(reader.root.settings["local_changes_file"].error(f"local_changes_file: {path} is included already"))
        return None
    elif not os.path.exists(path) and os.path.realpath(path) not in loader.texts:
        return None
    else:
        local = loader.read(path, False, (), None)
    if local is not None:
        reader.read(local)
    return local


@uncollected()
def changed(loaded, changes, *, env=os.environ, texts=None):
    """Answer a loaded configuration with changes made to it, from what was read then; raises ConfigErrors.

    A local changes file that they name is read, or its bytes are taken from `texts`, by its real path.
    """
    changes = settled((*loaded.changes, *changes))
    reader = Reader()
    loader = Loader(env, texts=texts)
    loader.readonly = set(loaded.readonly)
    loader.files = {os.path.realpath(file.path): file for file in loaded.files if file is not loaded.local}
    if loaded.files:
        reader.read(loaded.files[0])
    for change in changes:
        if change.names_local_file:
            change.apply(reader)
    local = local_changes(reader, loader, loaded.local)
    for change in changes:
        change.apply(reader)
    reader.misread |= bool(loader.errors)
    reader.check_references()
    refuse(loader.errors, reader.errors, list(loader.files.values()))
    return Loaded(list(loader.files.values()), reader, local, changes, loader.readonly)


def news(loaded, before):
    """Answer what a configuration has notices of and the one before had not; what was typed on the console has no place."""
    known = {notice.text for notice in before.notices}
    found = [notice.text if notice.startswith("console:") else str(notice) for notice in loaded.notices if notice.text not in known]
    if has_console(before) and not has_console(loaded):
        found.append("no Control_Listener is left, and the console closes; SIGHUP reads the files again")
    return found


def has_console(loaded):
    return any(listen.kind == "control_listener" for listen in loaded.listens)


def empty():
    """Answer a configuration that says nothing, to be changed."""
    return Loaded([], Reader())


def fixed(loaded):
    """Answer what counts at the start of a process only, by its place in the configuration."""
    found = {name: value for name, value in loaded.globals.items() if at_start_only(registry.find(name, "global"))}
    for kind in AT_START:
        for scope in loaded.root.inside(kind):
            for name, value in scope.values.items():
                if at_start_only(registry.find(name, kind)):
                    found[" ".join(word for word in (kind, scope.label, name) if word)] = value
    return found


def at_start_only(row):
    return not row.dynamic and not row.pending


def publish(loaded):
    """Make a loaded configuration the current generation; answers its number."""
    try:
        return Publication(loaded).publish()
    except ValueError as e:
        raise ConfigErrors(unresolved(loaded) or [ConfigError(str(e))]) from None


def unresolved(loaded):
    """Answer a ConfigError for each host name that stands for no address, where an address is needed."""
    errors, tried = [], set()
    for scope in (loaded.root, *walk(loaded.root)):
        for name in LOOKED_UP & scope.values.keys():
            if scope.settings[name] in tried:
                continue
            tried.add(scope.settings[name])
            try:
                registry.find(name, scope.kind).type.encode(scope.values[name])
            except ValueError as e:
                errors.append(scope.settings[name].value.error(f"{name}: {e}"))
    return errors


def path_of(scope):
    """Where a scope stands, by names as they are kept: what it declares keeps its state over reloads."""
    if scope is None or scope.parent is None:
        return ""
    return f"{path_of(scope.parent)}/{scope.kind}:{scope.label or ''}"


class Publication:
    """Carries scopes over into a Builder."""

    def __init__(self, loaded):
        self.builder = Builder()
        self.root = loaded.root
        self.numbers = {}                   # Scope -> its number in the builder
        for name, number in IDS.items():
            row = registry.OPTIONS[name][0]
            default = built_in.mailerdaemon(loaded.globals["hostname"]) if name == "mailerdaemon" else row.default
            self.set(Builder.DEFAULTS, number, row.type, default)
        self.values(Builder.GLOBAL, self.root)
        self.named(Builder.GLOBAL, self.root)
        self.bindings()
        self.pathways()
        for listener in (s for kind in LISTENERS for s in self.root.inside(kind)):
            self.add(listener, "peer")
            for listen in listener.inside("listen"):
                self.add(listen, "peer")
        for listen in loaded.listens:
            self.builder.add_listen(listen.kind, listen.name, listen.host, listen.port,
                                    self.numbers[listen.scope.parent], self.numbers[listen.scope])

    def publish(self):
        return self.builder.publish()

    def set(self, scope, option, type, value):
        if type.kind == "number":
            return self.builder.set_number(scope, option, type.encode(value))
        if value is None:
            return None
        value = type.encode(value)
        if type.kind == "text":
            return self.builder.set_text(scope, option, value)
        if type.kind == "list":
            return self.builder.set_list(scope, option, value)
        if type.kind == "nets":
            return self.builder.set_nets(scope, option, value)
        if type.kind == "limit":
            return self.builder.set_limit(scope, option, value)
        return self.builder.set_throttle(scope, option, *value)

    def values(self, number, scope):
        self.numbers[scope] = number
        for name, value in scope.values.items():
            type = registry.find(name, scope.kind).type
            if name == "service_sessions" and scope.kind != "peer":        # a Peer has a budget of its own, others speak of all sessions
                self.builder.set_limit(number, IDS[name], type.encode(value), path="esmtp")
            else:
                self.set(number, IDS[name], type, value)

    def add(self, scope, *inner):
        """Add a scope that is found by its parent's place, and the kinds inside that are found by name."""
        number = self.builder.add_scope(path=path_of(scope))
        self.numbers[scope] = number
        if scope.kind in LISTENERS:
            for name, rows in registry.OPTIONS.items():
                for row in rows:
                    if scope.kind in row.defaults:
                        self.set(number, IDS[name], row.type, row.defaults[scope.kind])
        self.values(number, scope)
        self.named(number, scope, *inner)
        return number

    def named(self, number, scope, *kinds):
        for kind in kinds or ("domain", "host"):
            for inner in scope.inside(kind):
                self.values(self.builder.add_scope(kind, number, inner.label), inner)
        for bare in (inner for inner in scope.inside("domain") if is_address(inner.label)):
            self.literal(number, bare, scope.children.get(("domain", f"[{bare.label}]")))

    def literal(self, number, bare, own):
        """The Domain of an IPv4 address counts for mail to its literal, too, behind a Domain of the literal itself."""
        scope = self.builder.add_scope("domain", number, f"[{bare.label}]") if own is None else self.numbers[own]
        self.builder.complete(scope, self.numbers[bare])

    def bindings(self):
        outside = {binding.label: self.add(binding) for binding in self.root.inside("binding")}
        default_group, grouped = None, set()
        for group in self.root.inside("binding_group"):
            number = self.add(group)
            if group.label == "default":
                default_group = number
            for binding in group.inside("binding"):
                self.builder.add_binding(binding.label, group.label, self.add(binding),
                                         outside.get(binding.label), number)
                grouped.add(binding.label)
        for name in {"default": None, **outside}:
            if name not in grouped:
                self.builder.add_binding(name, "default", None, outside.get(name), default_group)

    def pathways(self):
        outside = {pathway.label: self.add(pathway) for pathway in self.root.inside("pathway")}
        for group in self.root.inside("pathway_group"):
            number = self.add(group)
            for pathway in group.inside("pathway"):
                self.builder.add_pathway(pathway.label, group.label, self.add(pathway), outside.pop(pathway.label, None), number)
        for name, number in outside.items():
            self.builder.add_pathway(name, "default", None, number, None)
