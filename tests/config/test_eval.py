"""What the console says that holds, against what mail and sessions get: stanzas of all scopes by chance, everything asked for."""
from random import Random

import pytest

from pymomentum.config.changes import Change
from pymomentum.config.fallback import evaluate
from pymomentum.config.merged import find, merge

DOMAINS = ("a.test", "b.test", "mx.c.test", "192.0.2.7", "[192.0.2.7]")
EXPRESSIONS = ("/^mx/", "/test$/", r"/^\w+\./", r"/^\W/")
HOSTS = ("h1.test", "mx.h2.test")
LISTENS = ("127.0.0.1:2525", "127.0.0.2:2525")
ADDRESSES = ("127.0.0.1", "127.0.0.9", "10.1.2.3", "2001:db8::1")
NETWORKS = ("127.0.0.0/8", "127.0.0.0/24", "127.0.0.1", "10.0.0.0/8", "2001:db8::/32")


class Writer:
    """Configurations whose values are all different."""

    def __init__(self, seed):
        self.chance, self.value = Random(seed), 100

    def maybe(self, text):
        return text if self.chance.random() < 0.4 else ""

    def set(self, option):
        self.value += 1
        return self.maybe(f"{option} = {self.value} ")

    def inner(self):
        return "".join(self.maybe(f'Domain "{name}" {{ {self.set("retry_interval")} }} ') for name in (*DOMAINS, *EXPRESSIONS)) + "".join(
            self.maybe(f'Host "{name}" {{ {self.set("max_outbound_connections")} }} ') for name in (*HOSTS, *EXPRESSIONS))

    def delivery(self):
        own = f'{self.set("retry_interval")}{self.set("max_outbound_connections")}'
        return own + self.inner()

    def binding(self, name):
        return f'Binding "{name}" {{ {self.delivery()} }}\n'

    def reception(self):
        return self.set("max_bad_commands") + "".join(self.maybe(f'Peer {net} {{ {self.set("max_bad_commands")} }} ') for net in NETWORKS)

    def pathway(self, name):
        return f'Pathway "{name}" {{ {self.set("max_bad_commands")} }}\n'

    def site(self):
        groups = "".join(self.maybe(f'Binding_Group "{g}" {{ {self.delivery()} {self.maybe(self.binding(b))} }}\n')
                         for g, b in (("default", "b0"), ("g1", "b1")))
        bindings = "".join(self.maybe(self.binding(name)) for name in ("default", "b1", "b2"))
        paths = self.maybe(self.pathway("p1")) + self.maybe(f'Pathway_Group "pg" {{ {self.set("max_bad_commands")} {self.pathway("p2")} }}\n')
        named = [self.maybe(f"pathway = {self.chance.choice(['p1', 'p2'])} ") for _ in range(3)]
        named = [text if text.split()[-1:] and f'"{text.split()[-1]}"' in paths else "" for text in named]
        listens = "".join(f'Listen "{name}" {{ {text}{self.reception()} }} ' for name, text in zip(LISTENS, named))
        return f"{self.delivery()} {self.set('max_bad_commands')}\n{groups}{bindings}{paths}ESMTP_Listener {{ {named[2]}{self.reception()}{listens} }}\n"


@pytest.mark.parametrize("seed", range(60))
def test_eval_says_what_holds(conf, seed):
    text = Writer(seed).site()
    loaded = conf.load(text)
    generation, tree = conf.publish(text), merge(loaded)

    def told(words, option, default):
        branch, left = find(tree, words)
        setting, _ = evaluate(tree, branch, option)
        assert not left
        return int(setting.value.text) if setting else default

    for binding in generation.bindings():
        for name in DOMAINS:
            words = ["binding", binding, "domain", name]
            assert told(words, "retry_interval", 1200) == generation.lookup_delivery(binding, name)["retry_interval"], (text, words)
        for name in HOSTS:
            words = ["binding", binding, "host", name]
            assert told(words, "max_outbound_connections", -1) == generation.lookup_host(binding, name)["max_outbound_connections"], (text, words)
    for index, (_, name, _) in enumerate(generation.listens()):
        for address in ADDRESSES:
            words = ["esmtp_listener", "listen", name, "peer", address]
            assert told(words, "max_bad_commands", 20) == generation.lookup_reception(index, address)["max_bad_commands"], (text, words)


@pytest.mark.parametrize("address, says", [("::ffff:10.1.1.1", "3"), ("::ffff:10.1.0.0/112", "3"), ("::ffff:192.0.2.1", "2"), ("2001:db8::1", "4")])
def test_ipv4_in_ipv6_clothes_is_ipv4(conf, address, says):
    tree = merge(conf.load("ESMTP_Listener { max_bad_commands = 2 Peer 10.0.0.0/8 { max_bad_commands = 3 } Peer 2001:db8::/32 { max_bad_commands = 4 } }"))
    branch, _ = find(tree, ["esmtp_listener", "peer", address])
    assert evaluate(tree, branch, "max_bad_commands")[0].value.text == says


def test_tree_of_what_serves_is_made_once(conf):
    loaded = conf.load("tls = no")
    tree = merge(loaded)
    assert merge(loaded) is tree
    merge(loaded, [Change((("domain", "a.test"),), "tls", "required")])
    find(tree, ["domain", "b.test", "tls"])
    assert merge(loaded) is tree and not tree.children
