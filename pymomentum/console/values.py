"""What is typed as a value on the console becomes a value in a file.

A list, a dictionary or a string is taken as the file's grammar takes it; other words are one string together.
"""
import re

from pymomentum.config.grammar import parse
from pymomentum.config.lexer import END
from pymomentum.config.tree import Setting
from pymomentum.console.registry import QUOTED, typed, unquoted
from pymomentum.errors import ConfigError, ConsoleError
from pymomentum.words import quoted

PLAIN = re.compile(r"""[^\s#"'={}\[\]()/,]+""")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
COMMENT = re.compile(rf"(?:{QUOTED.pattern}|[^\"'#])*", re.S)        # what stands in front of one


def setting_text(text):
    """Answer (name, value) of what was typed as `NAME VALUE`, `NAME = VALUE` or `NAME=VALUE`; the value is empty where there is none."""
    name = NAME.match(text)
    if name is None:
        return text, ""
    equals = END.match(text, name.end()).end()
    value = equals + 1 if text[equals:equals + 1] == "=" else equals
    if value == name.end() and text[value:value + 1] not in ("", "(", "["):
        return text, ""
    return name[0], text[END.match(text, value).end():]


def value_text(text):
    """Answer what was typed as a file has it; raises ConsoleError where it is not one value."""
    if text[0] == "=":
        raise ConsoleError('"=" is not possible here; a value with it stands in quotes')
    if text[0] in "([":
        return one_value(text)
    string = QUOTED.match(text)
    if string and END.match(text, string.end()).end() == len(text):
        return string[0]
    whole = " ".join(unquoted(word[0]) for word in typed(COMMENT.match(text)[0]))
    return whole if PLAIN.fullmatch(whole) else quoted(whole)


def one_value(text):
    """Cut what stands behind a list or dictionary: a comment, but no more."""
    try:
        body = parse("console", f"value {text}\n".encode(errors="surrogateescape")).body
    except ConfigError as e:
        raise ConsoleError(e.message) from None
    if len(body) != 1 or not isinstance(body[0], Setting):
        raise ConsoleError("one value is set at a time")
    return text[:body[0].end - len("value ")]
