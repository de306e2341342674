"""Mistakes of grammar: what is said of one, and where the parse goes on behind it."""
import re

from lark.exceptions import UnexpectedCharacters, UnexpectedToken
from lark.parsers.lalr_analysis import Shift

from pymomentum.config.anywhere import stanzas
from pymomentum.config.lexer import MAX_DEPTH, STRING, Token, TooDeep
from pymomentum.config.tree import Node, Stanza, Word
from pymomentum.options import registry
from pymomentum.options.types import shown

EXPECTED = {
    "NAME": "an option or stanza", "INCLUDE": "an include", "WORD": "a value", "ELEMENT": "a value", "_EQUALS": '"="',
    "_COMMA": '","', "LBRACE": '"{"', "RBRACE": '"}"', "LPAR": '"("', "RPAR": '")"', "LBRACKET": '"["',
    "RBRACKET": '"]"', "$END": "the end of the file",
}
LISTS = ("LPAR", "LBRACKET")
ENDS_LIST = ("LBRACE", "RBRACE", "$END")    # what is found where a list was not closed
MAX_MISTAKES = 100
MAX_REREAD = 32 * 1024 * 1024       # characters, should each mistake cost a look at the whole file
PIECE = re.compile(r"#[^\n]*|/\*|[\"'{}()\[\]\n]")
WHOLE_STRING = re.compile(STRING, re.S)
NAME = r"[A-Za-z_][A-Za-z0-9_.-]*"
BEGINNING = re.compile(rf"[ \t]*(?:\}}|{NAME}[^\n={{]*\{{|({NAME})[ \t]*=)")       # of a statement, most likely; its option


class Recovery:
    """Notes a mistake and leads the parser to the next statement."""

    def __init__(self, file):
        self.file = file
        self.body = []              # what was read before the parse was given up
        self.left = max(1, min(MAX_MISTAKES, MAX_REREAD // (len(file.text) + 1)))       # mistakes after which it is given up
        self.resumed = 0            # where the parse went on last
        self.balanced = 0           # behind the last brace that closes nothing
        self.mistaken = None        # the first mistake since
        self.missing = 0            # braces that would open stanzas: some behind them will close nothing

    def __call__(self, e):
        """Answer whether the parse can go on."""
        self.left -= 1
        state = e.interactive_parser.parser_state
        ended = isinstance(e, UnexpectedToken) and e.token.type == "$END"
        begin = self.note(e, state, len(self.file.text) if ended else e.pos_in_stream, ended)
        self.file.cut = begin is not None and self.left <= 0
        if begin is None or self.left <= 0:
            self.body = self.unfinished(state.value_stack)
            return False
        self.resumed = state.lexer.state.line_ctr.char_pos = begin
        return True

    def note(self, e, state, at, ended):
        """Say what is wrong at a place, or was before it; answers where the next statement begins, None where the file has ended."""
        if (string := self.open_string(at)) is not None:
            line = self.file.text.count("\n", 0, string.end()) + 1
            self.file.mistake(string.start(), "this string is not closed", f"it would end in line {line}")
            return self.leave(state, string.start() + 1)
        if (swallowed := self.swallowed(state.value_stack)) is not None:
            name, word = swallowed
            self.file.mistake(name.start, f"{shown(name.text)} has no value")
            forget(state)
            self.leave(state, word.start)
            return word.start
        if (opening := self.open_list(e, state.value_stack, at)) is not None:
            self.file.mistake(opening.start, f"this {shown(opening.text)} is not closed")
            return self.leave(state, opening.start + 1, opening.text)
        if isinstance(e, TooDeep):
            self.file.mistake(at, f"nested deeper than {MAX_DEPTH} stanzas")
            begin = self.leave(state, at)
            return begin if begin < len(self.file.text) else None
        if isinstance(e, UnexpectedCharacters):
            self.file.mistake(at, *unreadable(self.file.text, e))
            return self.leave(state, at)
        name, word = [None, None, *state.value_stack][-2:]
        if isinstance(word, Word) and getattr(name, "type", "") == "NAME":
            self.file.mistake(word.start, f'"=" or "{{" is missing after {shown(name.text)}')
            self.missing += name.text.lower() in stanzas()
            return self.leave(state, word.end)
        if ended:
            return self.note_end(e, state)
        text = self.file.text[at:e.token.end]
        if text == "}" and self.missing and closes_nothing(state):
            self.missing -= 1
            return self.leave(state, at)
        if text == "{" and (written := without_equals(state)):
            self.file.mistake(at, f"{shown(text)} is not possible here", f'a stanza has no "=": {written}', hides=False)
            return at
        self.file.mistake(at, f"{shown(text)} is not possible here", wanted(e.accepts or e.expected), hides=text not in ("}", ";"))
        doubled = text == "{" and getattr(word, "type", "") == "LBRACE"
        return at + 1 if doubled else self.leave(state, at)

    def note_end(self, e, state):
        """Say what is missing at the end of the file."""
        expected = wanted(e.accepts or e.expected)
        leave_statement(state)
        braces = [token for token in state.value_stack if getattr(token, "type", None) == "LBRACE"]
        for brace in braces:
            self.file.mistake(brace.start, 'this "{" is not closed', hides=False)
        if not braces:
            self.file.mistake(len(self.file.text), "the file ends too early", expected)

    def leave(self, state, at, bracket=""):
        """Leave the statement of a mistake; answers where the next one begins, outside a list that such a bracket opens."""
        lists = leave_statement(state)
        mark = self.file.text[at:at + 1]
        if mark == "}" and closes_nothing(state):
            self.doubt(at)
            return at + 1
        if self.mistaken is None:
            self.mistaken = at
        return at + 1 if mark == ";" else self.next_statement(at, lists, bracket)

    def doubt(self, at):
        """A brace closes nothing: behind the first that may be the one too many, who knows in which stanza anything stands."""
        first = next((piece.end() for piece in pieces(self.file.text, self.balanced, at) if piece[0] == "}"), at)
        self.file.unsure.append((first if self.mistaken is None else min(first, self.mistaken), at))
        self.balanced, self.mistaken = at + 1, None

    def open_string(self, at):
        """A string over several lines with more text right behind it: its own end was forgotten."""
        text = self.file.text
        for piece in pieces(text, self.resumed, at):
            behind = text[piece.end():piece.end() + 1]
            if piece[0][0] in "\"'" and "\n" in piece[0] and not behind.isspace() and behind not in "})],#":
                return piece
        return None

    def swallowed(self, stack):
        """The name that has no value, and the word that was taken for it and begins the statement on a line behind it."""
        name, word = [None, None, *stack][-2:]
        if getattr(name, "type", "") == "_EQUALS":
            name = stack[-3]
        if not isinstance(word, Word) or word.quoted or getattr(name, "type", "") != "NAME":
            return None
        between = self.file.text[name.end:word.start]
        return (name, word) if "\n" in between and BEGINNING.match(self.file.text, word.start) else None

    def open_list(self, e, stack, at):
        """The bracket of a list whose end is missing, as far as one can tell."""
        opened = [token for token in stack if getattr(token, "type", None) in LISTS]
        if not opened or getattr(stack[-1], "type", None) in ("RPAR", "RBRACKET") or isinstance(e, UnexpectedCharacters):
            return None
        bracket = opened[-1]
        lines = (piece.end() for piece in pieces(self.file.text, bracket.end, at) if piece[0] == "\n")
        return bracket if e.token.type in ENDS_LIST or any(self.begins(line, bracket.text) for line in lines) else None

    def begins(self, at, bracket):
        """Whether the line at a place begins a statement, most likely; lines of a dictionary look like some."""
        found = BEGINNING.match(self.file.text, at)
        return found is not None and (bracket != "[" or found[1] is None or found[1].lower() in registry.OPTIONS)

    def next_statement(self, at, lists, bracket):
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
                return match.start()
            elif piece in "([":
                lists += 1
            elif piece in ")]" and lists:
                lists -= 1
                if not lists and not braces:
                    return match.end()
            elif piece == "\n" and not braces and (not lists or self.begins(match.end(), bracket)):
                return match.end()
        return len(self.file.text)

    def unfinished(self, stack):
        """The statements that were read, with the stanzas that are open as if they ended here."""
        body, label, sure = [], None, len(self.file.text)
        for part in reversed(stack):
            type = getattr(part, "type", None)
            if type == "LBRACE":
                sure = part.end
            elif type == "NAME":
                body, label = [Stanza(self.file, part.start, len(self.file.text), part.text, label, body)], None
            elif isinstance(part, Word):
                label = part
            else:
                body = [node for node in part.children if isinstance(node, Node)] + body
        self.file.unsure.append((sure, len(self.file.text)))
        return body


def leave_statement(state):
    """End the statement that stands before a mistake, or forget what was begun of one; answers how many of its lists are open."""
    lists = 0
    while not at_statement(state):
        if state.parse_conf.states[state.state_stack[-1]].get("NAME", (Shift,))[0] is Shift:
            lists += getattr(forget(state), "type", None) in LISTS
        else:                       # a whole one, that the next name would end
            state.feed_token(Token(None, 0, 0, "NAME", ""))
            forget(state)
    return lists


def closes_nothing(state):
    """Whether a brace that closes a stanza would find none."""
    return all(getattr(token, "type", "") != "LBRACE" for token in state.value_stack)


def forget(state):
    """Take back what was read last."""
    state.state_stack.pop()
    return state.value_stack.pop()


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


def unreadable(text, e):
    """Answer what is said of text that is no token at all, and what was expected."""
    rest = text[e.pos_in_stream:e.pos_in_stream + 2]
    if rest[:1] in ('"', "'"):
        return "this string is not closed", ""
    if rest == "/*":
        return "this comment is not closed", ""
    return f"{shown(rest[:1])} is not possible here", wanted(e.allowed)


def without_equals(state):
    """Take back the = between the kind of a stanza and its name; answers how it is written, empty where no such = was read."""
    *before, last = [None, None, None, *state.value_stack]
    name, equals, label = (*before[-2:], last) if isinstance(last, Word) else (before[-1], last, None)
    if getattr(equals, "type", "") != "_EQUALS" or name.text.lower().replace("-", "_") not in stanzas():
        return ""
    if label:
        forget(state)
    forget(state)
    if label:
        state.feed_token(label)
    return " ".join([name.text, *([shown(label.text)] if label else []), "{"])


def wanted(terminals):
    words = sorted({EXPECTED[t] for t in terminals if t in EXPECTED})
    return "expected " + " or ".join(words) if words else ""
