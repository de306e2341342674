"""Tokens of configuration files for the lark parser: in each state only those that the grammar wants there.

One match finds a token with the blanks and comments before it.  Tokens know only
where they stand; a file counts lines when somebody asks.
"""
import re

from lark.exceptions import UnexpectedCharacters, UnexpectedToken
from lark.lexer import Lexer

from pymomentum.config.tree import Node, Word

# in quotes, with backslashes in it
STRING = r""""[^"\\]*(?:\\.[^"\\]*)*"|'[^'\\]*(?:\\.[^'\\]*)*'"""
BLANKS = r"(?>[\s\ufeff]+|#[^\n]*|/\*.*?\*/)*+"      # comments too; possessive: nothing is tried twice
END = re.compile(BLANKS, re.S)
VALUES = ("WORD", "ELEMENT")
MAX_DEPTH = 30              # stanzas inside each other; the language needs five
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "'": "'", "\\": "\\"}


class Token(Node):
    """A name, a bracket, an equal sign."""

    __slots__ = ("type", "text")

    def __init__(self, file, start, end, type, text):
        self.file, self.start, self.end, self.type, self.text = file, start, end, type, text

    start_pos = property(lambda self: self.start)       # as lark asks
    end_pos = property(lambda self: self.end)


class TooDeep(UnexpectedToken):
    """The brace that opens one stanza too many inside the others."""


def unquote(text):
    """Answer what a quoted string says; a backslash before any other character stays, as regular expressions need."""
    if "\\" not in text:
        return text[1:-1]
    return re.sub(r"(?s)\\(.)", lambda m: ESCAPES.get(m[1], m[0]), text[1:-1])


def opened(stack):
    """How many stanzas are open."""
    return sum(getattr(token, "type", "") == "LBRACE" for token in stack)


class ConfigLexer(Lexer):
    """lark makes one for its grammar; `file` is the File that is being read."""

    __future_interface__ = 2
    file = None

    def __init__(self, conf):
        self.patterns = [(t.name, t.pattern.to_regexp()) for t in sorted(conf.terminals, key=lambda t: -t.priority)]
        self.matchers = {}          # state of the parser -> match method

    def matcher(self, wanted):
        text = "|".join(f"(?P<{name}>{pattern})" for name, pattern in self.patterns if wanted is None or name in wanted)
        return re.compile(f"{BLANKS}(?:{text})", re.S).match

    def token(self, found):
        kind = found.lastgroup
        start, end = found.span(kind)
        if kind not in VALUES:
            return Token(self.file, start, end, kind, found[kind])
        text = found[kind]
        quoted = text[0] in "\"'"
        return Word(self.file, start, end, kind, unquote(text) if quoted else text, quoted)

    def lex(self, lexer_state, parser_state):
        text, at = lexer_state.text.text, lexer_state.line_ctr
        matchers, states = self.matchers, parser_state.parse_conf.states
        while True:
            state = parser_state.position
            match = matchers.get(state)
            if match is None:
                match = matchers[state] = self.matcher(states[state])
            found = match(text, at.char_pos)
            if found is None:
                break
            token = self.token(found)
            if token.type == "LBRACE" and opened(parser_state.value_stack) >= MAX_DEPTH:
                raise TooDeep(token, set(states[state]), state=parser_state)
            at.char_pos = found.end()
            yield token
        at.char_pos = END.match(text, at.char_pos).end()
        if at.char_pos < len(text):
            self.fail(text, at.char_pos, parser_state, states[parser_state.position])

    def fail(self, text, at, parser_state, wanted):
        found = self.matcher(None)(text, at)
        if found is not None:
            raise UnexpectedToken(self.token(found), set(wanted), state=parser_state)
        raise UnexpectedCharacters(text, at, 0, 0, allowed=set(wanted), state=parser_state)
