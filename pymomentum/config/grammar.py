"""The grammar of configuration files: text to tree, with positions and comments kept.

One LALR parse per file; the parser is shared, so a lock holds it.  Hostile text
ends in a ConfigError: size, number of nodes and nesting are bounded.
"""
import re
from threading import Lock

from lark import Lark, Transformer, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from pymomentum.config.tree import Comment, Dictionary, File, Include, Sequence, Setting, Stanza, Word
from pymomentum.errors import ConfigError
from pymomentum.options.types import shown

GRAMMAR = r"""
start: statement*
?statement: setting | stanza | directive
setting: NAME _EQUALS (word | list | dictionary)
       | NAME (list | dictionary)
stanza: NAME word? LBRACE statement* RBRACE
directive: NAME word
word: WORD | STRING

list: LPAR item* RPAR
item: element (_EQUALS element)? _COMMA?
dictionary: LBRACKET pair* RBRACKET
pair: element _EQUALS? element _COMMA?
element: ELEMENT | STRING

NAME: /[A-Za-z_][A-Za-z0-9_.-]*/
WORD: /(?:[^\s#"'={}\[\]()\/\x00]|\/(?!\*))+/
ELEMENT: /(?:[^\s#"'={}\[\]()\/,\x00]|\/(?!\*))+/
STRING: /"[^"\\]*(?:\\.[^"\\]*)*"|'[^'\\]*(?:\\.[^'\\]*)*'/s
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
    "NAME": "an option or stanza", "WORD": "a value", "ELEMENT": "a value", "STRING": "a value", "_EQUALS": '"="',
    "_COMMA": '","', "LBRACE": '"{"', "RBRACE": '"}"', "LPAR": '"("', "RPAR": '")"', "LBRACKET": '"["',
    "RBRACKET": '"]"', "$END": "the end of the file",
}
CLOSING = {"LBRACE": "RBRACE", "LPAR": "RPAR", "LBRACKET": "RBRACKET"}
MAX_BYTES = 8 * 1024 * 1024
MAX_NODES = 500_000
MAX_DEPTH = 32
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "'": "'", "\\": "\\"}


def unquote(text):
    """Answer what a quoted string says; a backslash before any other character stays, as regular expressions need."""
    if "\\" not in text:
        return text[1:-1]
    return re.sub(r"(?s)\\(.)", lambda m: ESCAPES.get(m[1], m[0]), text[1:-1])


@v_args(inline=True)
class Build(Transformer):
    """Makes nodes while the parser reduces."""

    def begin(self, file):
        self.file = file
        self.nodes = 0

    def make(self, kind, first, last, *fields):
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise self.file.error(f"more than {MAX_NODES} values in one file", first.line, first.column)
        return kind(self.file, first, last, *fields)

    def word(self, token):
        quoted = token.type == "STRING"
        return self.make(Word, token, token, unquote(token) if quoted else str(token), quoted)

    element = word

    def item(self, *words):
        return words

    pair = item

    def list(self, opening, *rest):
        *items, closing = rest
        pairs = sum(len(item) == 2 for item in items)
        if not pairs:
            return self.make(Sequence, opening, closing, [item[0] for item in items])
        if pairs != len(items):
            lone = next(item[0] for item in items if len(item) == 1)
            raise self.file.error("values and pairs are mixed in one list", lone.line, lone.column)
        return self.make(Dictionary, opening, closing, items)

    def dictionary(self, opening, *rest):
        return self.make(Dictionary, opening, rest[-1], list(rest[:-1]))

    def setting(self, name, value):
        return self.make(Setting, name, value, str(name), value)

    def directive(self, name, word):
        if name.lower() not in ("include", "readonly_include"):
            raise self.file.error(f'"=" or "{{" is missing after {shown(name)}', word.line, word.column)
        return self.make(Include, name, word, name.lower() == "readonly_include", word)

    def stanza(self, name, *rest):
        label = rest[0] if isinstance(rest[0], Word) else None
        body = list(rest[(2 if label else 1):-1])
        depth = 1 + max((s.depth for s in body if isinstance(s, Stanza)), default=0)
        if depth > MAX_DEPTH:
            raise self.file.error(f"stanzas are nested more than {MAX_DEPTH} deep", name.line, name.column)
        return self.make(Stanza, name, rest[-1], str(name), label, body, depth)

    def start(self, *body):
        return list(body)


def keep_comment(token):
    BUILD.file.comments.append(Comment(BUILD.file, token, token, str(token)))
    return token


BUILD = Build()
PARSER = Lark(GRAMMAR, parser="lalr", lexer="contextual", transformer=BUILD, lexer_callbacks={"COMMENT": keep_comment})
LOCK = Lock()


def parse(path, data, readonly=False):
    """Parse the bytes of a file into a File; raises ConfigError at the first mistake."""
    file = File(path, "", readonly)
    if len(data) > MAX_BYTES:
        raise ConfigError(f"larger than {MAX_BYTES} bytes", file=path)
    try:
        file.text = data.decode("utf-8")
    except UnicodeDecodeError as e:
        file.text = data[:e.start].decode("utf-8") + "\ufffd"
        raise file.error_at(e.start and len(file.text) - 1, "not UTF-8 text") from None
    nul = file.text.find("\0")
    if nul >= 0:
        raise file.error_at(nul, "a NUL byte")
    with LOCK:
        BUILD.begin(file)
        try:
            file.body = PARSER.parse(file.text)
        except UnexpectedCharacters as e:
            raise unreadable(file, e) from None
        except UnexpectedToken as e:
            raise unexpected(file, e) from None
    return file


def unreadable(file, e):
    rest = file.text[e.pos_in_stream:e.pos_in_stream + 2]
    if rest[:1] in ('"', "'"):
        return file.error_at(e.pos_in_stream, "this string is not closed")
    if rest == "/*":
        return file.error_at(e.pos_in_stream, "this comment is not closed")
    return file.error_at(e.pos_in_stream, f"{shown(rest[:1])} is not possible here", wanted(e.allowed))


def unexpected(file, e):
    expected = e.accepts or e.expected
    if e.token.type != "$END":
        return file.error_at(e.token.start_pos, f"{shown(e.token)} is not possible here", wanted(expected))
    for token in reversed(e.interactive_parser.parser_state.value_stack):
        if getattr(token, "type", None) in CLOSING:
            return file.error_at(token.start_pos, f"this {shown(token)} is not closed")
    return file.error_at(len(file.text), "the file ends too early", wanted(expected))


def wanted(terminals):
    words = sorted({EXPECTED[t] for t in terminals if t in EXPECTED})
    return "expected " + " or ".join(words) if words else ""
