"""What is typed as a value on the console becomes a value in a file.

A list, a dictionary or a string is taken as the file's grammar takes it; other words are one string together.
"""
import re

from pymomentum.config.changes import quoted
from pymomentum.config.grammar import parse
from pymomentum.config.lexer import END, STRING
from pymomentum.config.tree import Setting
from pymomentum.console.registry import TYPED, split
from pymomentum.errors import ConfigError, ConsoleError

PLAIN = re.compile(r"""[^\s#"'={}\[\]()/,]+""")
ONE_STRING = re.compile(STRING, re.S)


def value_text(text):
    """Answer what was typed as a file has it; raises ConsoleError where it is not one value."""
    if text[0] in "([":
        return one_value(text)
    string = ONE_STRING.match(text)
    if string and END.match(text, string.end()).end() == len(text):
        return string[0]
    words = split(text)
    if words[0][:1] in ("(", "["):          # the brackets were quoted for a shell
        typed = TYPED.findall(text)
        return one_value(" ".join(word if word == said else " ".join(pieces(said)) for word, said in zip(typed, words)))
    whole = " ".join(words)
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


def pieces(word):
    """A word of a list: brackets and equal signs stand alone, what else needs quotes gets them."""
    if re.search(r"\s", word):
        return [quoted(word)]
    return [part if part in "()[]=" or PLAIN.fullmatch(part) else quoted(part) for part in re.findall(r"^[(\[]|[)\]]$|=|[^=()\[\]]+", word)]
