"""The grammar of configuration files: text to tree, with positions and comments kept.

One LALR parse per file; the parser is shared, so a lock holds it.  Hostile text
ends in errors: size, number of nodes and nesting are bounded.  Behind a mistake
the parse goes on with the next statement, so one run tells them all.
"""
import re
from threading import Lock

from lark import Lark
from lark.exceptions import UnexpectedCharacters, UnexpectedToken
from lark.parsers.lalr_analysis import Shift

from pymomentum.config.tree import Comment, Dictionary, File, Include, Node, Sequence, Setting, Stanza, Word
from pymomentum.errors import ConfigError
from pymomentum.options.types import shown

# a quoted string, with backslashes in it
STRING = r""""[^"\\]*(?:\\.[^"\\]*)*"|'[^'\\]*(?:\\.[^'\\]*)*'"""

GRAMMAR = r"""
start: statement*
?statement: setting | stanza | directive
setting: NAME _EQUALS (word | list | dictionary)
       | NAME (list | dictionary)
stanza: NAME word? LBRACE statement* RBRACE
directive: INCLUDE word
word: WORD | STRING

list: LPAR item* RPAR
item: element (_EQUALS element)? _COMMA?
dictionary: LBRACKET pair* RBRACKET
pair: element _EQUALS? element _COMMA?
element: ELEMENT | STRING

INCLUDE.1: /(readonly_)?include(?![A-Za-z0-9_.-])/i
NAME: /[A-Za-z_][A-Za-z0-9_.-]*/
WORD: /(?:[^\s#"'={}\[\]()\/\x00]|\/(?!\*))+/
ELEMENT: /(?:[^\s#"'={}\[\]()\/,\x00]|\/(?!\*))+/
STRING: /""" + STRING + r"""/s
_EQUALS: "="
_COMMA: ","
LBRACE: "{"
RBRACE: "}"
LPAR: "("
RPAR: ")"
LBRACKET: "["
RBRACKET: "]"
COMMENT: /#[^\n]*|\/\*.*?\*\//s
BLANK: /[\s\ufeff]+/
%ignore COMMENT
%ignore BLANK
"""

EXPECTED = {
    "NAME": "an option or stanza", "INCLUDE": "an include", "WORD": "a value", "ELEMENT": "a value", "STRING": "a value", "_EQUALS": '"="',
    "_COMMA": '","', "LBRACE": '"{"', "RBRACE": '"}"', "LPAR": '"("', "RPAR": '")"', "LBRACKET": '"["',
    "RBRACKET": '"]"', "$END": "the end of the file",
}
CLOSING = {"LBRACE": "RBRACE", "LPAR": "RPAR", "LBRACKET": "RBRACKET"}
BRACES = ("LBRACE", "RBRACE")
MAX_BYTES = 8 * 1024 * 1024
MAX_NODES = 500_000
MAX_DEPTH = 32
MAX_MISTAKES = 100
MAX_REREAD = 32 * 1024 * 1024       # characters, should each mistake cost a look at the whole file
PIECE = re.compile(r"#[^\n]*|/\*|[\"'{}()\[\]\n]")
WHOLE_STRING = re.compile(STRING, re.S)
BEGINNING = re.compile(r"[ \t]*(?:\}|[A-Za-z_][A-Za-z0-9_.-]*[ \t]*(?:=|[^\n={]*\{))")      # of a statement, most likely
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "'": "'", "\\": "\\"}


def unquote(text):
    """Answer what a quoted string says; a backslash before any other character stays, as regular expressions need."""
    if "\\" not in text:
        return text[1:-1]
    return re.sub(r"(?s)\\(.)", lambda m: ESCAPES.get(m[1], m[0]), text[1:-1])


class Build:
    """Makes nodes while the parser reduces."""

    def begin(self, file):
        self.file = file
        self.nodes = 0

    def make(self, kind, first, last, *fields):
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise self.file.error(f"more than {MAX_NODES} values in one file", first.line, first.column)
        return kind(self.file, first, last, *fields)

    def fail(self, at, message):
        self.file.errors.append(self.file.error(message, at.line, at.column))

    def word(self, parts):
        token = parts[0]
        quoted = token.type == "STRING"
        return self.make(Word, token, token, unquote(token) if quoted else str(token), quoted)

    element = word

    def item(self, words):
        return words

    pair = item

    def list(self, parts):
        opening, *items, closing = parts
        pairs = sum(len(item) == 2 for item in items)
        if not pairs:
            return self.make(Sequence, opening, closing, [item[0] for item in items])
        if pairs != len(items):
            self.fail(next(item[0] for item in items if len(item) == 1), "values and pairs are mixed in one list")
            items = [item for item in items if len(item) == 2]
        return self.make(Dictionary, opening, closing, items)

    def dictionary(self, parts):
        return self.make(Dictionary, parts[0], parts[-1], parts[1:-1])

    def setting(self, parts):
        name, value = parts
        return self.make(Setting, name, value, str(name), value)

    def directive(self, parts):
        name, word = parts
        return self.make(Include, name, word, name.lower() == "readonly_include", word)

    def stanza(self, parts):
        name, closing = parts[0], parts[-1]
        label = parts[1] if isinstance(parts[1], Word) else None
        body = parts[2 + (label is not None):-1]
        depth = 1 + max((s.depth for s in body if isinstance(s, Stanza)), default=0)
        if depth == MAX_DEPTH + 1:
            self.fail(name, f"stanzas are nested more than {MAX_DEPTH} deep")
        return self.make(Stanza, name, closing, str(name), label, body, depth)

    def start(self, body):
        return body


def keep_comment(token):
    BUILD.file.comments.append(Comment(BUILD.file, token, token, str(token)))
    return token


BUILD = Build()
PARSER = Lark(GRAMMAR, parser="lalr", lexer="contextual", transformer=BUILD, lexer_callbacks={"COMMENT": keep_comment})
LOCK = Lock()


def parse(path, data, readonly=False):
    """Parse the bytes of a file into a File; raises ConfigError with the first mistake."""
    file = read(path, data, readonly)
    if file.errors:
        raise file.errors[0]
    return file


def read(path, data, readonly=False):
    """The same with what could be read; all mistakes are in its `errors`, in their order."""
    file = File(path, "", readonly)
    if len(data) > MAX_BYTES:
        file.errors.append(ConfigError(f"larger than {MAX_BYTES} bytes", file=path))
        return file
    try:
        file.text = data.decode("utf-8")
    except UnicodeDecodeError as e:
        file.text = data[:e.start].decode("utf-8") + "\ufffd"
        file.errors.append(file.error_at(e.start and len(file.text) - 1, "not UTF-8 text"))
        return file
    nul = file.text.find("\0")
    if nul >= 0:
        file.errors.append(file.error_at(nul, "a NUL byte"))
        return file
    recovery = Recovery(file)
    with LOCK:
        BUILD.begin(file)
        try:
            file.body = PARSER.parse(file.text, on_error=recovery)
        except (UnexpectedCharacters, UnexpectedToken):
            file.body = recovery.body
        except ConfigError as e:            # more values than anyone has
            file.errors.append(e)
    if recovery.unbalanced:                 # who knows in which stanza anything stands
        file.body = []
    file.errors.sort(key=lambda error: (error.line, error.column))
    return file


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
        at = e.pos_in_stream if isinstance(e, UnexpectedCharacters) else e.token.start_pos
        string = self.open_string(at)
        opening = unclosed(e)
        if string is not None:
            line = self.file.text.count("\n", 0, string.end()) + 1
            error = self.file.error_at(string.start(), "this string is not closed", f"it would end in line {line}")
        elif opening is not None:
            error = self.file.error_at(opening.start_pos, f"this {shown(opening)} is not closed")
        else:
            error = unreadable(self.file, e) if isinstance(e, UnexpectedCharacters) else unexpected(self.file, e)
        self.file.errors.append(error)
        if self.left <= 0 or string is None and isinstance(e, UnexpectedToken) and e.token.type == "$END":
            first = state.value_stack[0] if state.value_stack else None
            self.body = [node for node in getattr(first, "children", ()) if isinstance(node, Node)]
            return False
        begin = string.start() + 1 if string else opening.start_pos + 1 if opening else at
        lists = self.leave_statement(state)
        closes = "RBRACE" in state.parse_conf.states[state.state_stack[-1]]
        self.unbalanced = self.unbalanced or not closes and self.file.text[at:at + 1] == "}"
        self.resumed = self.next_statement(begin, lists, closes)
        go_to(state.lexer.state.line_ctr, self.file.text, self.resumed)
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


def go_to(counter, text, at):
    """Let a lexer go on at an offset."""
    counter.char_pos = at
    counter.line = text.count("\n", 0, at) + 1
    counter.line_start_pos = text.rfind("\n", 0, at) + 1
    counter.column = at - counter.line_start_pos + 1


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
        return word.error(f'"=" or "{{" is missing after {shown(name)}')
    if e.token.type != "$END":
        return file.error_at(e.token.start_pos, f"{shown(e.token)} is not possible here", wanted(expected))
    return file.error_at(len(file.text), "the file ends too early", wanted(expected))


def wanted(terminals):
    words = sorted({EXPECTED[t] for t in terminals if t in EXPECTED})
    return "expected " + " or ".join(words) if words else ""
