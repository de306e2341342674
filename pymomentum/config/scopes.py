"""Stanzas with meaning: the tree of files becomes typed scopes, checked against the option rows.

Repeated stanzas merge and later values win.  Every mistake that leaves the
rest readable is noted, so one run tells them all.
"""
import os
import re
from contextlib import suppress

from pymomentum.config import anywhere, logs
from pymomentum.config.names import INSIDE, LABELS, LISTENERS, NOT_BUILT, UNLABELLED, is_expression, normal, similar
from pymomentum.config.tree import Include, Sequence, Setting, Word
from pymomentum.core.dns.resolvconf import without_effect
from pymomentum.options import modules, registry, unbuilt, vendor
from pymomentum.options.pending import PENDING
from pymomentum.options.types import shown

FILES = ("resolv_conf", "tls_ca", "tls_certificate", "tls_client_ca", "tls_key")         # options that name a file to be read
AHEAD_OF_GATEWAY = frozenset("blackhole exclude_vctx_conn exclude_vctx_mess gateway generate_bounces reroute_domain".split())
IN_CONSOLE = {          # what has no effect in a Control_Listener, when it is on
    "always_allow": "the console is for root and the user of the server alone",
    "proxy_protocol": "the console is for clients on this machine, and speaks to no proxy",
}
PAIRS = (("memory_goal", "memory_hwm"), ("min_dns_ttl", "max_dns_ttl"))      # options of which the first is not above the second
CAPPED = (("retry_interval", "max_retry_interval"), ("delay_dsn_retry_interval", "delay_dsn_max_retry_interval"))   # by the second
IN_NAMES = re.compile(r"[*/]|^@")       # of a Domain or Host: somebody meant an expression
UNKNOWN_OPTION, UNKNOWN_STANZA = "option", "stanza"     # among what could not be read
MAX_ERRORS = 100
MAX_RESOLV_CONF = 16384         # bytes that the resolver reads


class Scope:
    """One stanza after merging: its values by option name and the stanzas inside it."""

    __slots__ = ("kind", "label", "parent", "node", "values", "settings", "children")

    def __init__(self, kind, label=None, parent=None, node=None):
        self.kind, self.label, self.parent, self.node = kind, label, parent, node
        self.values = {}        # option -> Python value
        self.settings = {}      # option -> the Setting node that won
        self.children = {}      # (kind, label) -> Scope, in order of declaration

    def inside(self, kind):
        """Walk the stanzas of a kind directly inside."""
        return (scope for (k, _), scope in self.children.items() if k == kind)

    def value(self, name):
        """Answer what this scope says, or the built-in default."""
        row = registry.find(name, self.kind)
        return self.values.get(name, row.defaults.get(self.kind, row.default))


class ModuleStanza:
    """A module's stanza as written; `values` are checked where the module is built in."""

    def __init__(self, name, instance):
        self.name, self.instance = name, instance
        self.nodes = []
        self.values = {}
        self.settings = {}      # option -> the Setting node that won

    @property
    def options(self):
        """What it says, and the defaults of what it does not."""
        return {**{name: row.type.default for name, row in modules.OPTIONS[self.name].items()}, **self.values}


class Notice(str):
    """A line about what has no effect; `text` is it without its place."""

    def __new__(cls, place, text):
        self = super().__new__(cls, f"{place}: {text}")
        self.text = text
        return self


class TooMany(Exception):
    """Ends a reading with more mistakes than anyone reads."""


class Reader:
    """Walks files and fills a global Scope; look at `errors` and `notices` afterwards."""

    def __init__(self):
        self.root = Scope("global")
        self.modules = {}       # (name, instance) -> ModuleStanza
        self.errors = []
        self.notices = []
        self.named = set()      # options that a notice speaks of
        self.told = set()       # (file, offset, text) of what was said: what is included often is wrong once
        self.unread = set()     # options and kinds of stanzas of which one could not be read
        self.misread = False    # whether statements may be missing, for mistakes of grammar or too many of others

    def read(self, file):
        try:
            self.body(file.body, self.root)
        except TooMany:
            self.misread = True

    def forget(self, path, name):
        """Take back an option in the scope that a path of kinds and names leads to, or that scope where no option is named."""
        kind, label = path[0] if path else ("", "")
        if kind.lower().replace("-", "_") in modules.NAMES:
            return self.forget_module((kind.lower().replace("-", "_"), label), path[1:], name)
        scope = self.root
        for kind, label in path:
            kind = kind.lower()
            scope = scope.children.get((kind, normal(kind, label)))
            if scope is None:
                return None
        if name:
            scope.values.pop(name, None)
            scope.settings.pop(name, None)
        else:
            del scope.parent.children[scope.kind, scope.label]
        return None

    def forget_module(self, key, inner, name):
        """The same for a module; what stands inside its stanzas has no values yet."""
        if not inner and not name:
            self.modules.pop(key, None)
        elif not inner and key in self.modules:
            self.modules[key].values.pop(name, None)
            self.modules[key].settings.pop(name, None)

    def fail(self, node, message, hint=""):
        if self.is_new(node, message):
            self.errors.append(node.error(message, hint))
        if len(self.errors) > MAX_ERRORS:
            raise TooMany

    def notice(self, node, text):
        if self.is_new(node, text):
            self.notices.append(Notice(node.place, text))

    def is_new(self, node, text):
        """Whether this was not said of a place before."""
        said = len(self.told)
        self.told.add((node.file, node.start, text))
        return len(self.told) > said

    def knows(self, *names):
        """Whether no mistake can be why one of these options or stanzas is not there, or says what it says."""
        return not self.misread and not self.unread & set(names)

    def sure(self, nodes):
        """Answer the nodes that certainly stand here; the others are checked as they may stand anywhere."""
        if not nodes or not nodes[0].file.unsure:
            return nodes
        anywhere.check(self, [node for node in nodes if node.file.is_unsure(node.start)])
        return [node for node in nodes if not node.file.is_unsure(node.start)]

    def body(self, nodes, scope):
        for node in self.sure(nodes):
            if isinstance(node, Setting):
                self.setting(node, scope)
            elif isinstance(node, Include):
                for file in node.files:
                    self.body(file.body, scope)
            else:
                self.stanza(node, scope)

    def setting(self, node, scope):
        name = node.name.lower()
        row = registry.find(name, scope.kind)
        if row is None:
            provided = unbuilt.provided(name, scope.kind)
            return self.provided(node, name, *provided) if provided else self.unknown_option(node, name, scope)
        value = self.typed(node, name, row.type)
        if value is None:
            return
        scope.values[name] = value
        scope.settings[name] = node
        self.idle_words(node, name, row.type)
        if name in FILES and row.type.encode(value) and not os.access(value, os.R_OK):
            self.notice(node, f"{name}: {value} cannot be read")
        if name == "resolv_conf":
            self.resolver(node, value)
        if name == "smtp_extensions" and (words := unbuilt.extensions(value)):
            self.notice(node, f"smtp_extensions: {', '.join(words)} not built yet, and not offered")
        if value is True and (why := self.in_console(name, scope)):
            self.notice(node, f"{name} has no effect: {why}")
        if name in unbuilt.VALUES and (word := unbuilt.value(name, value)):
            self.notice(node, f"{name} = {word} is not built yet: mail goes by ESMTP")
        why = vendor.reason(name, value)
        if (why or row.pending) and name not in self.named:
            self.named.add(name)
            self.notice(node, f"{name} has no effect: {why}" if why else f"{name} is not read yet")

    def idle_words(self, node, name, type):
        for word in node.value.words if isinstance(node.value, Sequence) else [node.value] if isinstance(node.value, Word) else ():
            if why := type.idle(word.text):
                self.notice(word, f"{name}: {why}")

    def resolver(self, node, path):
        with suppress(OSError):
            with open(path, "rb") as file:
                words = without_effect(file.read(MAX_RESOLV_CONF))
            if words:
                self.notice(node, f"resolv_conf: {', '.join(words)} in {path} without effect: names are looked up as they are, in DNS alone")

    @staticmethod
    def in_console(name, scope):
        """Answer why an option that is on has no effect in a Control_Listener; empty elsewhere, or where it has one."""
        kinds = [scope.kind]
        while scope.parent is not None:
            scope = scope.parent
            kinds.append(scope.kind)
        if "control_listener" not in kinds:
            return ""
        denied = "a Peer of the console is not looked for; it counts in the listener and its Listen" if kinds[0] == "peer" else ""
        return denied if name == "always_deny" else IN_CONSOLE.get(name, "")

    def provided(self, node, name, module, type):
        """Check an option that a module would give to this scope, were it built."""
        self.typed(node, name, type)
        if name not in self.named:
            self.named.add(name)
            self.notice(node, f"{name} is not read yet: module {module} is not built")

    def unknown_option(self, node, name, scope):
        self.unread |= {name} if name in registry.OPTIONS else {UNKNOWN_OPTION, unknown_in(scope.kind)}
        if name in registry.OPTIONS:
            places = sorted({s for row in registry.OPTIONS[name] for s in row.scopes}, key=registry.SCOPES.index)
            return self.fail(node, f"{name} is not possible in {where(scope)}", "it belongs to: " + ", ".join(places))
        known = [n for n in registry.OPTIONS if registry.find(n, scope.kind)]
        self.fail(node, f"unknown option {shown(node.name)}", similar(name, known))

    def stanza(self, node, scope):
        name = node.name.lower()
        if name in INSIDE.get(scope.kind, ()):
            return self.scope(node, name, scope)
        plain = name.replace("-", "_")
        if plain in modules.NAMES and scope.kind == "global":
            return self.module(node, plain)
        if name in NOT_BUILT and scope.kind in NOT_BUILT[name]:
            self.notice(node, f"stanza {node.name} is not built yet")
            self.unbuilt(node.body, name)
            return
        outer = [kind for kind, inner in INSIDE.items() if name in inner] + list(NOT_BUILT.get(name, ()))
        if plain in modules.NAMES:
            outer.append("global")
        self.unread.add(name if outer else UNKNOWN_STANZA)
        if outer:
            hint = "it belongs to: " + ", ".join(outer)
            self.fail(node, f"stanza {name} is not possible in {where(scope)}", hint)
            return anywhere.check(self, node.body)
        known = [*INSIDE.get(scope.kind, ()), *(kind for kind, places in NOT_BUILT.items() if scope.kind in places),
                 *(modules.NAMES if scope.kind == "global" else ())]
        self.fail(node, f"unknown stanza {shown(node.name)}", similar(name, known))

    def label(self, node, kind):
        """Answer the name of a stanza as it is kept; None with a mistake noted."""
        if node.label is None and kind not in UNLABELLED:
            self.unread.add(kind)
            return self.fail(node, f"{kind} needs a name")
        try:
            return LABELS.get(kind, str)(node.label.text if node.label else "")
        except ValueError as e:
            self.unread.add(kind)
            return self.fail(node.label or node, f"{kind}: {e}")

    def scope(self, node, kind, parent):
        label = self.label(node, kind)
        inner = parent.children.get((kind, label))
        if label is None:               # what stands inside is read all the same
            inner = Scope(kind, "", parent, node)
        elif inner is None:
            inner = parent.children[kind, label] = Scope(kind, label, parent, node)
            if kind in ("domain", "host") and IN_NAMES.search(label) and not is_expression(label):
                self.notice(node, f"{node.name} {shown(label)} matches nothing: its name is that of a {kind}, or a /regular expression/")
            if kind in ("http_listener", "ecstream_listener"):
                self.notice(node, f"stanza {node.name} is not built yet")
        self.body(node.body, inner)

    def module(self, node, name):
        instance = node.label.text if node.label else ""
        stanza = self.modules.get((name, instance))
        if stanza is None:
            if name not in modules.OPTIONS and not any(name == known for known, _ in self.modules):
                self.notice(node, f"module {name} is not built yet")
            self.check_instance(node, name, instance)
            stanza = self.modules[name, instance] = ModuleStanza(name, instance)
        stanza.nodes.append(node)
        if name in modules.OPTIONS:
            self.module_body(node.body, stanza)
        else:
            self.unbuilt(node.body, name)

    def check_instance(self, node, name, instance):
        """A singleton has one stanza, whatever its name."""
        other = next((other for (module, _), other in self.modules.items() if module == name), None)
        if other is not None and name in modules.SINGLETONS:
            self.fail(node, f"a second {name} is not possible: there is {name} {shown(other.instance)} at {other.nodes[0].place}")

    def unbuilt(self, nodes, path):
        """Check what stands in the stanza of a part that is not built yet, or in one inside it."""
        rows, inner = unbuilt.options_of(path), unbuilt.stanzas_of(path)
        for node in self.sure(nodes):
            name = "" if isinstance(node, Include) else node.name.lower()
            if isinstance(node, Include):
                for file in node.files:
                    self.unbuilt(file.body, path)
            elif isinstance(node, Setting) and name in rows:
                self.typed(node, name, rows[name])
            elif isinstance(node, Setting):
                self.fail(node, f"unknown option {shown(node.name)} of {path}", similar(name, rows))
            elif name in inner:
                self.unbuilt(node.body, f"{path}/{name}")
            else:
                self.fail(node, f"unknown stanza {shown(node.name)} in {path}", similar(name, inner))

    def typed(self, node, name, type):
        """Answer the value of a setting; None with a mistake noted."""
        try:
            return type.parse(node.value.raw())
        except ValueError as e:
            self.unread.add(name)
            for word, why in culprits(node.value, type, str(e)):
                self.fail(word, f"{name}: {why}")
            return None

    def module_body(self, nodes, stanza):
        rows = modules.OPTIONS[stanza.name]
        for node in self.sure(nodes):
            if isinstance(node, Include):
                for file in node.files:
                    self.module_body(file.body, stanza)
            elif not isinstance(node, Setting):
                self.fail(node, f"{stanza.name} holds no stanzas")
            elif node.name.lower() not in rows:
                self.fail(node, f"unknown option {shown(node.name)} of {stanza.name}", similar(node.name.lower(), rows))
            else:
                self.module_option(node, stanza, node.name.lower(), rows[node.name.lower()].type)

    def module_option(self, node, stanza, name, type):
        value = self.typed(node, name, type)
        if value is None:
            return
        stanza.values[name] = value
        stanza.settings[name] = node
        full = f"{stanza.name}.{name}"
        if full in PENDING and full not in self.named:
            self.named.add(full)
            self.notice(node, f"{name} of {stanza.name} is not read yet")

    def check_references(self):
        """Check what one stanza says of another."""
        with suppress(TooMany):
            self.check_groups("binding")
            self.check_groups("pathway")
            self.check_pairs()
            self.check_gateways()
            logs.check(self)
            # what would be missed may be what could not be read
            if self.knows("enable", *(unknown_in(kind) for kind in (*LISTENERS, "listen"))):
                self.check_listens()
            if self.knows("local_changes_file", "local_changes_only", unknown_in("global")):
                self.check_local_changes()
            if self.knows("eventloop", UNKNOWN_STANZA):
                self.check_loops()
            if self.knows("pathway", "pathway_group", UNKNOWN_STANZA):
                self.check_pathways()

    def check_local_changes(self):
        if self.root.value("local_changes_only") and not self.root.values.get("local_changes_file"):
            self.fail(self.root.settings["local_changes_only"], "local_changes_only: no local_changes_file is set")

    def check_pairs(self):
        """What is above its own bound is refused where both are said, and else told."""
        for low, high in PAIRS:
            said = [self.root.settings[name] for name in (low, high) if name in self.root.settings]
            unknown = () if len(said) == 2 else (unknown_in("global"),)
            if said and self.knows(low, high, *unknown) and self.root.value(low) > self.root.value(high):
                text = f"{low} = {self.root.value(low)} is above {high} = {self.root.value(high)}"
                if len(said) == 2:
                    self.fail(said[0].value, text)
                else:
                    self.notice(said[0], f"{text}, of which one is the default")
        for scope in (self.root, *walk(self.root)):
            for low, high in CAPPED:
                if low in scope.values and high in scope.values and scope.values[low] > scope.values[high] > 0:
                    self.notice(scope.settings[low], f"{low} = {scope.values[low]} is above {high}: {scope.values[high]} counts")

    def check_gateways(self):
        for scope in walk(self.root):
            idle = [name for name in scope.values if name not in AHEAD_OF_GATEWAY] if scope.kind == "domain" else []
            if idle and scope.values.get("gateway"):
                self.notice(scope.settings["gateway"], f"mail goes to the gateway, whose Domain stanza counts; without effect here: {', '.join(idle)}")

    def check_groups(self, kind):
        """A binding or pathway stands in one group, or none."""
        groups = {}
        for group in self.root.inside(kind + "_group"):
            for member in group.inside(kind):
                other = groups.setdefault(member.label, group)
                if other is not group:
                    self.fail(member.node, f"{kind} {shown(member.label)} is in group {shown(other.label)} already")

    def check_listens(self):
        taken = {}
        for listener in (s for kind in LISTENERS for s in self.root.inside(kind)):
            for listen in listener.inside("listen"):
                if not (listener.value("enable") and listen.value("enable")):
                    continue
                other = taken.setdefault(listen.label, listen)
                if other is not listen:
                    self.fail(listen.node, f"{listen.label} is taken by {other.parent.kind} at {other.node.place}")

    def check_loops(self):
        loops = {loop.label for loop in self.root.inside("eventloop")} or {"default"}
        scopes = [self.root, *(s for kind in LISTENERS for s in self.root.inside(kind))]
        for scope in [*scopes, *(listen for s in scopes for listen in s.inside("listen"))]:
            for name in ("delivery_pool", "maintainer_pool", "event_loop"):
                if name in scope.values and scope.values[name] not in loops:
                    self.fail(scope.settings[name].value, f"{name}: no EventLoop {shown(scope.values[name])}",
                              similar(scope.values[name], loops))

    def check_pathways(self):
        known = {p.label for s in (self.root, *self.root.inside("pathway_group")) for p in s.inside("pathway")}
        for listener in (s for kind in LISTENERS for s in self.root.inside(kind)):
            for scope in (listener, *walk(listener)):
                if "pathway" in scope.values and scope.values["pathway"] not in known:
                    meant = similar(scope.values["pathway"], known)
                    text = f"no Pathway {shown(scope.values['pathway'])} is declared"
                    self.notice(scope.settings["pathway"], f"{text}; {meant}" if meant else text)


def culprits(value, type, message):
    """Walk the words of a list that are wrong, each with what is wrong; where that is more, or is no word, the whole value comes first."""
    words = []
    for word in value.words if isinstance(value, Sequence) else ():
        try:
            type.item(word.text)
        except ValueError as e:
            words.append((word, str(e)))
    return words if any(message == why for _, why in words) else [(value, message), *words]


def unknown_in(kind):
    """Answer what stands for an unknown option in such a stanza among what could not be read."""
    return f"{UNKNOWN_OPTION} in {kind}"


def walk(scope):
    """Walk all stanzas inside a scope."""
    for inner in scope.children.values():
        yield inner
        yield from walk(inner)


def where(scope):
    return "the global scope" if scope.kind == "global" else scope.kind
