"""Mistakes of grammar: what is said of one, and where the parse goes on behind it."""
import re

from lark.exceptions import UnexpectedCharacters, UnexpectedToken
from lark.parsers.lalr_analysis import Shift

from pymomentum.config.lexer import STRING
from pymomentum.config.tree import Node, Word
from pymomentum.options.types import shown

EXPECTED = {
    "NAME": "an option or stanza", "INCLUDE": "an include", "WORD": "a value", "ELEMENT": "a value", "_EQUALS": '"="',
    "_COMMA": '","', "LBRACE": '"{"', "RBRACE": '"}"', "LPAR": '"("', "RPAR": '")"', "LBRACKET": '"["',
    "RBRACKET": '"]"', "$END": "the end of the file",
}
CLOSING = {"LBRACE": "RBRACE", "LPAR": "RPAR", "LBRACKET": "RBRACKET"}
BRACES = ("LBRACE", "RBRACE")
MAX_MISTAKES = 100
MAX_REREAD = 32 * 1024 * 1024       # characters, should each mistake cost a look at the whole file
PIECE = re.compile(r"#[^\n]*|/\*|[\"'{}()\[\]\n]")
WHOLE_STRING = re.compile(STRING, re.S)
BEGINNING = re.compile(r"[ \t]*(?:\}|[A-Za-z_][A-Za-z0-9_.-]*[ \t]*(?:=|[^\n={]*\{))")      # of a statement, most likely


class Recovery:
    """Notes a mistake and leads the parser to the next statement."""

    def __init__(self, file):
        self.file = file
        self.body = []              # statements that stand before the end of a file in mid-stanza
        self.unbalanced = False     # a brace closes nothing
        self.left = max(1, min(MAX_MISTAKES, MAX_REREAD // (len(file.text) + 1)))       # mistakes after which the parse is given up
        self.resumed = 0            # where the parse went on last

    def __call__(self, e):
        """Answer whether the parse can go on."""
        self.left -= 1
        state = e.interactive_parser.parser_state
        over = isinstance(e, UnexpectedToken) and e.token.type == "$END"
        at = len(self.file.text) if over else e.pos_in_stream
        string = self.open_string(at)
        opening = unclosed(e)
        if string is not None:
            line = self.file.text.count("\n", 0, string.end()) + 1
            error = self.file.error_at(string.start(), "this string is not closed", f"it would end in line {line}")
        elif opening is not None:
            error = self.file.error_at(opening.start, f"this {shown(opening.text)} is not closed")
        else:
            error = unreadable(self.file, e) if isinstance(e, UnexpectedCharacters) else unexpected(self.file, e)
        self.file.errors.append(error)
        if self.left <= 0 or over and string is None:
            first = state.value_stack[0] if state.value_stack else None
            self.body = [node for node in getattr(first, "children", ()) if isinstance(node, Node)]
            return False
        begin = string.start() + 1 if string else opening.start + 1 if opening else at
        lists = self.leave_statement(state)
        closes = "RBRACE" in state.parse_conf.states[state.state_stack[-1]]
        self.unbalanced = self.unbalanced or not closes and self.file.text[at:at + 1] == "}"
        self.resumed = self.next_statement(begin, lists, closes)
        state.lexer.state.line_ctr.char_pos = self.resumed
        return True

    def open_string(self, at):
        """A string over several lines with more text right behind it: its own end was forgotten."""
        text = self.file.text
        for piece in pieces(text, self.resumed, at):
            behind = text[piece.end():piece.end() + 1]
            if piece[0][0] in "\"'" and "\n" in piece[0] and not behind.isspace() and behind not in "})],#":
                return piece
        return None

    @staticmethod
    def leave_statement(state):
        """Forget what was begun of a statement; answers how many of its lists are open."""
        lists = 0
        while not at_statement(state):
            state.state_stack.pop()
            lists += getattr(state.value_stack.pop(), "type", None) in ("LPAR", "LBRACKET")
        return lists

    def next_statement(self, at, lists, closes):
        """Where to go on: behind the stanza or list or line that holds the mistake, or before what closes the stanza around it."""
        braces = 0
        for match in pieces(self.file.text, at, len(self.file.text)):
            piece = match[0]
            if piece == "{":
                braces += 1
            elif piece == "}" and braces:
                braces -= 1
                if not braces:
                    return match.end()
            elif piece == "}":
                return match.start() if closes else match.end()
            elif piece in "([":
                lists += 1
            elif piece in ")]" and lists:
                lists -= 1
                if not lists and not braces:
                    return match.end()
            elif piece == "\n" and not braces and (not lists or BEGINNING.match(self.file.text, match.end())):
                return match.end()
        return len(self.file.text)


def pieces(text, at, end):
    """Walk the matches of strings, brackets, braces and line ends outside comments; takes time for each character once."""
    unclosed = set()                # quotes and comments that end nowhere
    while (match := PIECE.search(text, at, end)) is not None:
        at = match.end()
        if match[0] == "/*":
            close = -1 if "/*" in unclosed else text.find("*/", at, end)
            if close < 0:
                unclosed.add("/*")
            else:
                at = close + 2
        elif match[0] in "\"'":
            string = None if match[0] in unclosed else WHOLE_STRING.match(text, match.start(), end)
            if string is None:
                unclosed.add(match[0])
            else:
                at = string.end()
                yield string
        elif match[0][0] != "#":
            yield match


def at_statement(state):
    """Whether a statement may begin in the state that a parse is in."""
    actions = state.parse_conf.states[state.state_stack[-1]]
    return "NAME" in actions and actions["NAME"][0] is Shift and ("RBRACE" in actions or "$END" in actions)


def unclosed(e):
    """The bracket or brace whose partner is missing, as far as one can tell."""
    opened = [t for t in e.interactive_parser.parser_state.value_stack if getattr(t, "type", None) in CLOSING]
    ends = isinstance(e, UnexpectedToken) and opened and (
        e.token.type == "$END" or e.token.type in BRACES and opened[-1].type not in BRACES)
    return opened[-1] if ends else None


def unreadable(file, e):
    rest = file.text[e.pos_in_stream:e.pos_in_stream + 2]
    if rest[:1] in ('"', "'"):
        return file.error_at(e.pos_in_stream, "this string is not closed")
    if rest == "/*":
        return file.error_at(e.pos_in_stream, "this comment is not closed")
    return file.error_at(e.pos_in_stream, f"{shown(rest[:1])} is not possible here", wanted(e.allowed))


def unexpected(file, e):
    expected = e.accepts or e.expected
    name, word = [None, None, *e.interactive_parser.parser_state.value_stack][-2:]
    if isinstance(word, Word) and getattr(name, "type", "") == "NAME":
        return word.error(f'"=" or "{{" is missing after {shown(name.text)}')
    if e.token.type == "$END":
        return file.error_at(len(file.text), "the file ends too early", wanted(expected))
    return e.token.error(f"{shown(file.text[e.token.start:e.token.end])} is not possible here", wanted(expected))


def wanted(terminals):
    words = sorted({EXPECTED[t] for t in terminals if t in EXPECTED})
    return "expected " + " or ".join(words) if words else ""
