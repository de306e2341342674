"""Configuration examples in a manual written as Markdown: fenced blocks, and lines of a synopsis."""
import re
from dataclasses import dataclass
from pathlib import Path

from pymomentum.config.scopes import INSIDE, NOT_BUILT
from pymomentum.options import modules, unbuilt, registry

FENCE = re.compile(r"^(?P<indent>[ \t]*)(?P<ticks>`{3,})[ \t]*(?P<language>[\w-]*)[^\n]*\n(?P<body>.*?)^[ \t]*(?P=ticks)[ \t]*\S*$",
                   re.S | re.M)
SYNOPSIS = re.compile(r"^`([^`\n]+)`[ \t]*$", re.M)
OTHER_LANGUAGES = frozenset(("lua", "bash", "sh", "json", "yaml", "dockerfile", "c", "xml", "python", "sql"))
# what no configuration has, but code, shells, logs and sessions do
FOREIGN = re.compile(r"""
    ^\s*(local\s|function\b|require\s*[("]|end\b\s*$|return\b|if\s.*\bthen\b|\#include|\#!|sub\s+\w+|msys\.\w+[.(])
    | ^\s*[$#>%]\s*(cd|ls|rpm|yum|service|/etc|/opt|curl|mkdir|cp|vi)\b
    | ^\s*(\d\d:\d\d:\d\d\s+)?/\S*> | <<\s*\w+\b | ^\w+:\s\S | =>\s | ^\w+\s\w+$
    | =\s*<[^>\n]*\s[^>\n]*> | =\s*"[+]<\w+> | ^\s*[A-Z]+=\S+\s*$
    | ^[^#\n]*;\s*$ | ^\s*(<\?|</?\w+[\s>]) | ^\s*"[\w$-]+"\s*: | ^\w*(ecelerity|eccmgr)\([^)\n]*\)> | ^\d{8,}[@:.]
    """, re.X | re.M)
STATEMENT = re.compile(r"""^[ \t]*(?P<name>[A-Za-z_][\w.-]*)[ \t]*(?:(?P<sets>=)|(?P<opens>(?:"[^"\n]*"|'[^'\n]*'|[^\s"'={}()]+)?[ \t]*\n?[ \t]*\{)
    |(?P<list>[(\[]))""", re.X | re.M)
INCLUDE = re.compile(r"^[ \t]*(readonly_)?include\s+\S+[ \t]*$", re.I | re.M)
LEFT_OUT = re.compile(r"""          # what a page writes for the rest
    ^[ \t]*(?:\.+|…|\(\.{3,}\)|\[\.{3,}\]|\.{3}[^\n"]*\.{3}|<[\w. ]+>)[ \t]*$ | (?<=\{)[ \t]*(?:\.{3,}|…)[ \t]*(?=\})
    """, re.X | re.M)
BOLD = re.compile(r"\*\*(.*?)\*\*")

KNOWN = frozenset((*registry.OPTIONS, *modules.NAMES, *NOT_BUILT, *(name for inner in INSIDE.values() for name in inner)))


@dataclass(frozen=True)
class Example:
    path: Path              # of the page
    line: int
    text: str

    @property
    def module(self):
        """The module whose page this is, or None."""
        name = re.sub(r"^4-", "", self.path.stem).replace("-", "_")
        return name if name in modules.NAMES else None


def read(page):
    """Answer the configuration examples of a page, in their order."""
    text = page.read_text(encoding="utf-8", errors="replace")
    found = []
    for match in FENCE.finditer(text):
        if match["language"].lower() not in OTHER_LANGUAGES:
            found.append((match.start("body"), match["body"]))
    covered = [(m.start(), m.end()) for m in FENCE.finditer(text)]
    for match in SYNOPSIS.finditer(text):
        if not any(start <= match.start() < end for start, end in covered):
            found += [(match.start(1), line) for line in alternatives(match[1])]
    examples = [Example(page, text.count("\n", 0, at) + 1, BOLD.sub(r"\1", LEFT_OUT.sub("", body))) for at, body in sorted(found)]
    return [example for example in examples if is_configuration(example.text, example.module)]


def alternatives(line):
    """Answer what a synopsis such as `name = "a|b"` stands for: a line for each word."""
    match = re.fullmatch(r"""(\w+\s*=\s*)("?[\w-]+"?(?:\|"?[\w-]+"?)+)""", line.strip())
    return [match[1] + word for word in match[2].replace('"', "").split("|")] if match else [line]


def is_configuration(text, module=None):
    """Whether it is in the language of configuration files: nothing foreign in it, and a name that is known, of a module's options too."""
    if FOREIGN.search(text):
        return False
    if INCLUDE.search(text):
        return True
    names = {match["name"].lower().replace("-", "_") for match in STATEMENT.finditer(text)}
    return bool(names & (KNOWN | set(module_options(module) if module else ())))


def module_options(module):
    return modules.OPTIONS.get(module) or unbuilt.options_of(module)
