"""Loads every configuration example of a manual, each inside the stanza it belongs to, and tells which do not load."""
from dataclasses import dataclass, field
from pathlib import Path

from pymomentum.config.grammar import parse
from pymomentum.config.scopes import Reader
from pymomentum.config.tree import Include, Stanza
from pymomentum.errors import ConfigError
from pymomentum.reference.examples import Example, read

# where a fragment may stand; the first that takes it counts
PLACES = ("", 'Binding_Group "g" {', 'Binding_Group "g" { Binding "b" {', 'Domain "example.com" {', 'Host "mx.example.com" {',
          "ESMTP_Listener {", 'ESMTP_Listener { Listen ":25" {', 'ESMTP_Listener { Listen ":25" { Peer "10.0.0.0/8" {',
          "Control_Listener {", 'Control_Listener { Listen "127.0.0.1:2025" {', "HTTP_Listener {", 'HTTP_Listener { Listen ":80" {',
          "ECStream_Listener {", 'Pathway_Group "g" {', 'Pathway_Group "g" { Pathway "p" {', 'ThreadPool "IO" {', 'EventLoop "default" {',
          "Security {", "debug_flags {", "Cluster {", "SNMP {")


@dataclass
class Result:
    example: Example
    errors: list = field(default_factory=list)      # of the place where it came furthest
    place: str = ""

    @property
    def loads(self):
        return not self.errors


def pages(folder):
    return sorted(Path(folder).rglob("*.md"))


def check(example):
    """Answer the Result of one example; its statements may belong to different places."""
    whole = check_text(example, example.text)
    parts = [] if whole.loads else [check_text(example, part) for part in statements(example.text)]
    return parts[0] if parts and all(part.loads for part in parts) else whole


def statements(text):
    """Answer the text of each statement of a fragment; none where it cannot be read."""
    try:
        return [text[node.start:node.end] for node in parse("example", text.encode()).body]
    except ConfigError:
        return []


def check_text(example, text):
    """Answer the Result of the place that takes the text, or of the one that takes most of it."""
    places = list(PLACES)
    if example.module:
        places.insert(1, f"{example.module} {{")
    best = None
    for place in places:
        result = Result(example, load(example, text, place), place)
        if result.loads:
            return result
        if best is None or len(result.errors) < len(best.errors):
            best = result
    return best


def load(example, text, place):
    """Answer the mistakes found; includes are taken as read."""
    text = f"{place}\n{text}\n{'}' * place.count('{')}\n"
    try:
        file = parse(f"{example.path.name}:{example.line}", text.encode())
    except ConfigError as e:
        return [e]
    without_includes(file.body)
    reader = Reader()
    reader.read(file)
    return reader.errors


def without_includes(body):
    body[:] = [node for node in body if not isinstance(node, Include)]
    for node in body:
        if isinstance(node, Stanza):
            without_includes(node.body)


def check_folder(folder):
    """Walk the Results of all examples under a folder."""
    for page in pages(folder):
        for example in read(page):
            yield check(example)
