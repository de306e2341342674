"""One value in the text of a file becomes another: (start, end, new) stretches of the text, in their order.

Of a list over several lines, or with comments in it, only the words that differ change.
"""
import re
from difflib import SequenceMatcher

from pymomentum.config.lexer import END
from pymomentum.config.tree import Dictionary, Sequence
from pymomentum.words import quoted

STEP = "  "
BLANKS = re.compile(r"[ \t]*")
REST_OF_LINE = re.compile(r"(?:[ \t]|/\*(?:(?!\*/)[^\n])*\*/)*(?:#[^\r\n]*)?(?=\r?\n|\Z)")      # nothing but comments
OPEN, CLOSE = re.compile(r"[\s(\[{=,/]"), re.compile(r"[\s)\]},#/]")      # what a word may stand behind, and in front of


class Item:
    """A word of a list, or a pair of a dictionary."""

    def __init__(self, parts):
        self.parts = parts
        self.start, self.end = parts[0].start, parts[-1].end
        self.name = parts[0].text
        self.says = [part.text for part in parts]

    @property
    def quoted(self):
        return self.parts[-1].quoted

    def text(self, quote):
        """As it is written, or a word in quotes."""
        if quote and len(self.parts) == 1:
            return quoted(self.name)
        return self.parts[0].file.text[self.start:self.end]


def items(value):
    """The items of a list or dictionary; one word alone is a list."""
    if isinstance(value, Dictionary):
        return [Item(pair) for pair in value.pairs]
    return [Item([word]) for word in (value.words if isinstance(value, Sequence) else [value])]


def edits(text, setting, new):
    """Answer what makes a text that holds a setting say another value."""
    old = setting.value
    inside = text[old.start:old.end]
    alike = isinstance(new, Dictionary) == isinstance(old, Dictionary)
    if isinstance(old, (Sequence, Dictionary)) and alike and ("\n" in inside or "/*" in inside):
        return Items(text, old).changed(items(new))
    return [replacement(text, setting, new)]


def replacement(text, setting, new):
    """Answer the one edit that puts another value in the place of a setting's, comments and all."""
    old = setting.value
    says = new.file.text[new.start:new.end]
    equals = END.match(text, setting.start + len(setting.name)).end()
    if text[equals] != "=" and says[0] not in "([":
        says = f"= {says}"
    return old.start, old.end, apart(text, old.start, old.end, says)


def apart(text, start, end, new):
    """Set a word off from what it would grow together with."""
    before = " " if start and not OPEN.match(text[start - 1]) else ""
    after = " " if end < len(text) and not CLOSE.match(text[end]) else ""
    return f"{before}{new}{after}"


class Items:
    """The items of a list as they stand in a text."""

    def __init__(self, text, value):
        self.text, self.value = text, value
        self.items = items(value)
        self.ends = [self.behind_comma(item.end) for item in self.items]
        self.commas = any(end > item.end for item, end in zip(self.items, self.ends))
        self.quoted = bool(self.items) and all(item.quoted for item in self.items)
        self.eol = "\r\n" if "\r\n" in text else "\n"

    def behind_comma(self, end):
        at = END.match(self.text, end).end()
        return at + 1 if self.text[at] == "," else end

    def changed(self, new):
        """Edits after which these are the items."""
        found = []
        names = [item.name for item in self.items], [item.name for item in new]
        for _, i, i_end, j, j_end in SequenceMatcher(None, *names, False).get_opcodes():
            for old, item in zip(self.items[i:i_end], new[j:j_end]):
                if old.says != item.says:
                    found.append((old.start, old.end, apart(self.text, old.start, old.end, item.text(self.quoted))))
            both = min(i_end - i, j_end - j)
            found += self.without(range(i + both, i_end))
            if j + both < j_end:
                found += self.added(i + both, [item.text(self.quoted) for item in new[j + both:j_end]])
        return found

    def without(self, numbers):
        """Edits that take items out; what stretches of two have in common goes once."""
        whole = []
        for start, end in map(self.stretch, numbers):
            if whole and start <= whole[-1][1]:
                whole[-1] = whole[-1][0], max(end, whole[-1][1])
            else:
                whole.append((start, end))
        return [(start, end, "" if OPEN.match(self.text[start - 1]) or CLOSE.match(self.text[end]) else " ") for start, end in whole]

    def stretch(self, n):
        """Answer where an item stands, with the blanks before it, but no comment."""
        start, end = self.items[n].start, self.ends[n]
        before = self.ends[n - 1] if n else self.value.start + 1
        if not self.line_head(start).strip() and REST_OF_LINE.match(self.text, end):
            line_end = self.text.find("\n", end)
            if not self.text[end:line_end].strip():
                start, end = self.line_start(start), line_end + 1
        elif not self.text[before:start].strip():
            start = before
        elif self.text[start - 1] in " \t":
            end = BLANKS.match(self.text, end).end()
        return start, end

    def added(self, n, texts):
        """Put new ones in front of an item, behind the one before."""
        at = self.ends[n - 1] if n else self.value.start + 1
        lead = f"{self.eol}{self.margin(n)}" if "\n" in self.text[self.value.start:self.value.end] else " "
        found, comma = [], "," if self.commas else ""
        last = comma if n < len(self.items) else ""
        if n and comma and at == self.items[n - 1].end:
            found.append((at, at, ","))
        if n == 0 and self.items and not REST_OF_LINE.match(self.text, at):         # the first stands beside the bracket
            lead = " "
        elif lead != " " and (rest := REST_OF_LINE.match(self.text, at)):
            at = rest.end()
        new = "".join(f"{lead}{text}{comma}" for text in texts[:-1]) + f"{lead}{texts[-1]}{last}"
        return [*found, (at, at, new if CLOSE.match(self.text[at]) else new + " ")]

    def margin(self, n):
        """What items on lines of their own are set off by, the nearest one before first."""
        for item in [*self.items[:n][::-1], *self.items[n:]]:
            if not (head := self.line_head(item.start)).strip():
                return head
        return BLANKS.match(self.line_head(self.value.end - 1))[0] + STEP

    def line_start(self, at):
        return self.text.rfind("\n", 0, at) + 1

    def line_head(self, at):
        return self.text[self.line_start(at):at]
