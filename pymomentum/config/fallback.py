"""Which stanzas are asked for an option, in which order: as core/config/generation answers mail and sessions."""
from pymomentum.config import built_in
from pymomentum.config.names import is_address, is_expression, network_of
from pymomentum.core.config.scope import regex_matches
from pymomentum.options import registry

DEFAULT = "default"     # the binding of mail without one, and the group of bindings without one


def evaluate(root, branch, name):
    """Answer (Setting, Branch) of what holds for an option; (None, None): its built-in default."""
    for place in fallback(root, branch):
        if name in place.settings and not (name == "hostname" and place.settings[name].value.raw() == ""):      # the machine's
            return place.settings[name], place
    return None, None


def default(row, root, branch):
    """Answer the built-in value of an option in a branch."""
    if not isinstance(row, registry.Option):
        return row.type.default
    if row.name == "mailerdaemon":
        hostname, _ = evaluate(root, root, "hostname")
        return built_in.mailerdaemon(hostname.value.text if hostname else registry.find("hostname", "global").default)
    if row.name == "concurrency" and branch.kind == "eventloop":
        return built_in.loops()
    if row.name == "concurrency" and branch.kind == "threadpool":
        return built_in.POOLS.get(branch.label, row.default)
    places = [place.kind for place in outward(branch)]
    return next((row.defaults[kind] for kind in places if kind in row.defaults), row.default)


def fallback(root, branch):
    """List the branches that are asked in turn for an option of one; that of a module or a part not built yet is asked alone."""
    if branch.kind not in registry.SCOPES:
        return [branch]
    kinds = {place.kind: place for place in outward(branch)}
    if "host" in kinds:
        return bound(root, kinds, "host")
    if {"binding_group", "binding", "domain"} & set(kinds):
        return [*bound(root, kinds, "domain"), root]
    if {"pathway", "pathway_group"} & set(kinds):
        return [*pathway(root, branch.label if branch.kind == "pathway" else "", kinds.get("pathway_group")), root]
    if {"listen", "peer"} & set(kinds) or branch.kind.endswith("_listener"):
        return listening(root, branch)
    return outward(branch)


def outward(branch):
    chain = []
    while branch is not None:
        chain.append(branch)
        branch = branch.parent
    return chain


# ---- the way out -------------------------------------------------------------------

def bound(root, kinds, inner):
    """A Domain or Host by name, in the binding that is named and in its group, and outside.

    Between those within and the one outside a Domain has the binding itself; a Host has nothing but Hosts, and those of
    the group before those of the binding outside of it.
    """
    in_group, alone, group = bindings(root, kinds)
    order = (in_group, group, alone) if inner == "host" else (in_group, alone, group)
    within = [place for place in order if place is not None]
    own = [found for place in within for found in named(place, inner, kinds)]
    outside = named(root, inner, kinds)
    return own + outside if inner == "host" else own + within + outside


def bindings(root, kinds):
    """The stanza of a binding in its group, that outside of groups, and the group; None for each that is not there."""
    binding = kinds["binding"].label if "binding" in kinds else None
    group = kinds["binding_group"].label if "binding_group" in kinds else None
    if binding is None:
        return [None, None, root.children.get(("binding_group", group))]
    if group is None:
        group = next((g.label for g in root.inside("binding_group") if ("binding", binding) in g.children), DEFAULT)
    grouped = root.children.get(("binding_group", group))
    return [grouped.children.get(("binding", binding)) if grouped else None, root.children.get(("binding", binding)), grouped]


def named(branch, kind, kinds):
    """The stanza of a name, and the first whose regular expression matches it, which says what that one does not.

    For a Domain that is an address literal, that of the address without brackets stands between them.
    """
    if kind not in kinds:
        return []
    name = kinds[kind].label
    own = branch.children.get((kind, name))
    bare = name[1:-1] if kind == "domain" and name[:1] + name[-1:] == "[]" else ""
    address = branch.children.get((kind, bare)) if is_address(bare) else None
    matching = (other for other in branch.inside(kind)
                if other is not own and is_expression(other.label) and regex_matches(other.label, name))
    return [found for found in (own, address, next(matching, None)) if found is not None]


# ---- the way in --------------------------------------------------------------------

def listening(root, branch):
    """For a session: Peers of the Listen that hold the address, those of the listener, the Listen, the listener, the pathway."""
    chain = outward(branch)[:-1]
    if branch.kind == "peer":
        chain = [*(peer for place in chain[1:] for peer in around(place, branch.label)), *chain[1:]]
    name = next((place.settings["pathway"].value.text for place in chain if "pathway" in place.settings), "")
    return [*chain, *pathway(root, name), root]


def around(place, network):
    """Its Peers that hold a network, the closest first."""
    try:
        wanted = network_of(network)
    except ValueError:
        return []
    nets = [(network_of(peer.label), peer) for peer in place.inside("peer")]
    held = [(net, peer) for net, peer in nets if net.version == wanted.version and wanted.subnet_of(net)]
    return [peer for _, peer in sorted(held, key=lambda pair: -pair[0].prefixlen)]


def pathway(root, name, group=None):
    """A pathway in its group, that outside of groups, and the group."""
    if group is None:
        group = next((g for g in root.inside("pathway_group") if ("pathway", name) in g.children), None)
    grouped = root.children.get(("pathway_group", group.label)) if group else None
    found = [grouped.children.get(("pathway", name)) if grouped else None, root.children.get(("pathway", name)), grouped]
    return [place for place in found if place is not None]
