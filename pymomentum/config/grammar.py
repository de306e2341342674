"""The grammar of configuration files: text to tree, with positions and comments kept.

One LALR parse per file; the parser is shared, so a lock holds it.  Hostile text
ends in errors: size, number of nodes and nesting are bounded.  Behind a mistake
the parse goes on with the next statement, so one run tells them all.
"""
import re
from itertools import islice
from threading import Lock

from lark import Lark
from lark.exceptions import UnexpectedInput

from pymomentum.config.lexer import STRING, ConfigLexer
from pymomentum.config.recovery import MAX_MISTAKES, Recovery
from pymomentum.config.tree import Dictionary, File, Include, Sequence, Setting, Stanza, Word
from pymomentum.errors import ConfigError

GRAMMAR = r"""
start: statement*
?statement: setting | stanza | directive
setting: NAME _EQUALS (WORD | list | dictionary)
       | NAME (list | dictionary)
stanza: NAME WORD? LBRACE statement* RBRACE
directive: INCLUDE WORD

list: LPAR item* RPAR
item: ELEMENT (_EQUALS ELEMENT)? _COMMA?
dictionary: LBRACKET pair* RBRACKET
pair: ELEMENT _EQUALS? ELEMENT _COMMA?

INCLUDE.1: /(?i:(readonly_)?include)(?![A-Za-z0-9_.-])/
NAME: /[A-Za-z_][A-Za-z0-9_.-]*/
WORD: /""" + STRING + r"""|(?:[^\s#"'={}\[\]()\/\x00]|\/(?!\*))+/
ELEMENT: /""" + STRING + r"""|(?:[^\s#"'={}\[\]()\/,\x00]|\/(?!\*))+/
_EQUALS: "="
_COMMA: ","
LBRACE: "{"
RBRACE: "}"
LPAR: "("
RPAR: ")"
LBRACKET: "["
RBRACKET: "]"
"""
MAX_BYTES = 8 * 1024 * 1024
MAX_NODES = 500_000
FAULTY_LINE = re.compile("([\0\udc80-\udcff])[^\n]*")       # a byte that is no text, as it is decoded, and the rest of its line
REPLACEMENTS = dict.fromkeys((0, *range(0xdc80, 0xdd00)), "\ufffd")


class Build:
    """Makes nodes while the parser reduces."""

    def begin(self, file):
        self.file = file
        self.nodes = 0

    def count(self, node):
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise node.error(f"more than {MAX_NODES} statements and values in one file")
        return node

    def item(self, words):
        self.count(words[0])
        return words

    pair = item

    def list(self, parts):
        opening, *items, closing = parts
        pairs = sum(len(item) == 2 for item in items)
        if not pairs:
            return Sequence(self.file, opening.start, closing.end, [item[0] for item in items])
        if pairs != len(items):
            lone = next(item[0] for item in items if len(item) == 1)
            self.file.errors.append(lone.error("values and pairs are mixed in one list"))
            items = [item for item in items if len(item) == 2]
        return Dictionary(self.file, opening.start, closing.end, items)

    def dictionary(self, parts):
        return Dictionary(self.file, parts[0].start, parts[-1].end, parts[1:-1])

    def setting(self, parts):
        name, value = parts
        return self.count(Setting(self.file, name.start, value.end, name.text, value))

    def directive(self, parts):
        name, word = parts
        return self.count(Include(self.file, name.start, word.end, name.text.lower() == "readonly_include", word))

    def stanza(self, parts):
        name, closing = parts[0], parts[-1]
        label = parts[1] if isinstance(parts[1], Word) else None
        body = parts[2 + (label is not None):-1]
        return self.count(Stanza(self.file, name.start, closing.end, name.text, label, body))

    def start(self, body):
        return body


BUILD = Build()
PARSER = Lark(GRAMMAR, parser="lalr", lexer=ConfigLexer, transformer=BUILD)
LOCK = Lock()


def parse(path, data):
    """Parse the bytes of a file into a File; raises ConfigError with the first mistake."""
    file = read(path, data)
    if file.errors:
        raise file.errors[0]
    return file


def read(path, data):
    """The same with what could be read; all mistakes are in its `errors`, in their order."""
    file = File(path, "")
    if len(data) > MAX_BYTES:
        file.errors.append(ConfigError(f"larger than {MAX_BYTES} bytes", file=path))
        return file
    read_text(file, data)
    with LOCK:
        BUILD.begin(file)
        ConfigLexer.file = file
        try:
            file.body = statements(file.text, Recovery(file))
        except ConfigError as e:            # more values than anyone has
            file.errors.append(e)
    file.errors.sort(key=lambda error: (error.line, error.column))
    return file


def read_text(file, data):
    """Decode the bytes of a file; of each line the first that is no text is a mistake, and all read as a character that is."""
    file.text = data.decode("utf-8", "surrogateescape")
    found = list(islice(FAULTY_LINE.finditer(file.text), MAX_MISTAKES))
    if found:
        file.text = file.text.translate(REPLACEMENTS)
    for match in found:
        start = match.start()
        file.mistake(start, "a NUL byte" if match[1] == "\0" else "not UTF-8 text")
        line_start = file.text.rfind("\n", 0, start) + 1
        word = max(line_start, *(file.text.rfind(mark, line_start, start) + 1 for mark in " \t=\"'"))
        line, column = file.place(word)
        file.misread[line] = column


def statements(text, recovery):
    """Parse a file from statement to statement."""
    try:
        return PARSER.parse(text)
    except UnexpectedInput as e:
        mistake = e
    while recovery(mistake):
        try:
            return mistake.interactive_parser.resume_parse()
        except UnexpectedInput as e:
            mistake = e
    return recovery.body
