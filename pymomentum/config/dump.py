"""What a configuration says, and which options there are, for other programs.

In XML a stanza is an element with its kind and name, an option one with its value; the items of a list or dictionary
are elements inside.  All texts are attributes, which keep blanks and line ends.
"""
import re
from xml.etree import ElementTree

from pymomentum.errors import MomentumError
from pymomentum.options import registry
from pymomentum.options.types import one_line, shown

NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")      # XML 1.0, 2.2


def as_xml(data):
    """Answer the document, in UTF-8, of what `merged.as_data` answers."""
    root = ElementTree.Element("configuration")
    add(root, data)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True) + b"\n"


def add(element, data):
    for name, value in data["options"].items():
        add_option(element, name, value)
    for stanza in data["stanzas"]:
        named = {"name": stanza["name"]} if stanza["name"] else {}
        add(child(element, "stanza", kind=stanza["kind"], **named), stanza)


def add_option(element, name, value):
    if isinstance(value, str):
        child(element, "option", name=name, value=value)
    elif isinstance(value, list):
        option = child(element, "option", name=name, type="list")
        for item in value:
            child(option, "item", value=item)
    else:
        option = child(element, "option", name=name, type="dictionary")
        for key, item in value.items():
            child(option, "item", key=key, value=item)


def child(element, tag, **attributes):
    for text in attributes.values():
        if NOT_XML.search(text):
            raise MomentumError(f"{shown(text)} holds a character that XML does not have; JSON does")
    return ElementTree.SubElement(element, tag, attributes)


def options():
    """Walk all options as dicts; a scope with a default of its own has its own."""
    for name in registry.names():
        for row in registry.OPTIONS[name]:
            yield described(row, row.default, row.scopes - set(row.defaults))
            for scope, default in row.defaults.items():
                yield described(row, default, {scope})


def described(row, default, scopes):
    return {"name": row.name, "type": row.type.word, "default": None if default is None else row.type.write(default),
            "scopes": sorted(scopes, key=registry.SCOPES.index)}


def option_line(option):
    """An option on one line; nothing stands where there is no default."""
    return "\t".join([option["name"], option["type"], one_line(option["default"]) or "", ",".join(option["scopes"])])
