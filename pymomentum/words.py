"""Words as they are written in quotes: in files, and on the line of a command."""
import re

PLAIN = re.compile(r"""(?!#|--json$)[^\s"']+""")         # a word of a command that needs no quotes


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def escaped(text):
    """The same on one line."""
    return quoted(text).replace("\n", "\\n").replace("\r", "\\r")


def typed(word):
    """A word as it is typed in a command."""
    return word if PLAIN.fullmatch(word) else escaped(word)
