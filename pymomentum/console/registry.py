"""Console commands: a row each, and finding the row for a line.

A topic file declares its commands with @command; a Registry ties the rows to a
running server.  A command is a function of a Call that answers an Answer, or
raises ConsoleError with one line for the user.
"""
import argparse
import re
import traceback
from difflib import get_close_matches
from html import escape
from importlib import import_module

from pymomentum.config.lexer import STRING, unquote
from pymomentum.core.log.writer import panic
from pymomentum.errors import ConfigErrors, ConsoleError

TOPICS = ("queues", "messages", "server", "config", "quarantine", "help")
BUILT_IN = []
QUOTED = re.compile(STRING, re.S)
TYPED = re.compile(rf"""#[^\n]*|(?:{STRING}|[^\s"'])+|["']""", re.S)       # a comment, a word with its quotes, a quote that is not closed
XML_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


class Command:
    """One row."""

    __slots__ = ("name", "synopsis", "doc", "run")

    def __init__(self, name, synopsis, doc, run):
        self.name = name
        self.synopsis = synopsis        # name and arguments
        self.doc = doc                  # one line
        self.run = run                  # Call -> Answer


def command(name, arguments=""):
    """Declare the function below as a command; its docstring is the help."""
    def declare(run):
        BUILT_IN.append(Command(name, f"{name} {arguments}".rstrip(), run.__doc__.strip().split("\n")[0], run))
        return run
    return declare


class Answer:
    """What a command says: text for people, data for programs."""

    __slots__ = ("text", "data", "tag", "status", "after")

    def __init__(self, text="", data=None, tag=None, status=0, after=None):
        self.text = text
        self.data = data
        self.tag = tag                  # outermost element of the XML form; None: there is none
        self.status = status
        self.after = after              # called when the answer is on its way


class Call:
    """One command line at work."""

    __slots__ = ("registry", "command", "args", "line", "server", "engine", "session")

    def __init__(self, registry, command, args, line, session):
        self.registry = registry
        self.command = command
        self.args = args                # words after the command's name
        self.line = line                # as typed, but for the words that ask for a form of the answer
        self.server = registry.server
        self.engine = registry.engine
        self.session = session          # what a client's earlier commands left, by name

    def usage(self):
        return ConsoleError(f"usage: {self.command.synopsis}")

    def expect(self, least, most):
        """Answer the arguments, or raise the usage when there are fewer or more."""
        if not least <= len(self.args) <= most:
            raise self.usage()
        return self.args

    def tail(self, count):
        """Answer what was typed behind the first arguments, quotes and all."""
        found = typed(self.line)
        return self.line[found[count + len(self.command.name.split())].start():found[-1].end()]

    def number(self, text):
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            raise self.usage()
        return int(text)


class Options(argparse.ArgumentParser):
    """Options of a command, with errors that reach the console."""

    def __init__(self, call):
        super().__init__(prog=call.command.name, add_help=False, allow_abbrev=False)
        self.call = call

    def error(self, message):
        raise self.call.usage()


class Registry:
    """The commands of one server.

    server: has shutdown(fast=False), reload(), reopen_logs(), loaded.
    engine: pymomentum.core.control.query.
    """

    def __init__(self, server, engine):
        self.server = server
        self.engine = engine
        for topic in TOPICS:
            import_module(f"pymomentum.console.{topic}")
        self.commands = {command.name: command for command in BUILT_IN}

    def find(self, words):
        """Answer (command, words that are left) for the longest name that begins the line."""
        for n in range(len(words), 0, -1):
            command = self.commands.get(" ".join(words[:n]).lower())
            if command:
                return command, words[n:]
        raise ConsoleError(self.unknown(words))

    def unknown(self, words):
        said = " ".join(words).lower()
        inside = [name for name in sorted(self.commands) if name.startswith(words[0].lower() + " ")]
        close = next((match for n in range(min(len(words), 4), 0, -1)
                      for match in get_close_matches(" ".join(words[:n]).lower(), self.commands, 1, 0.7)), None)
        shown = said if len(said) <= 60 else said[:57] + "..."
        if inside:
            return f'unknown command "{shown}"; there is: {", ".join(inside)}'
        return f'unknown command "{shown}"' + (f'; did you mean "{close}"?' if close else '; try "help"')

    def run(self, line, json=False, xml=False, session=None):
        """Carry out a line of a client's session; whatever happens ends in an Answer."""
        try:
            for number, word in reversed(list(enumerate(typed(line)))):
                if word[0] == "--json" or (number, word[0]) == (0, "xml"):
                    line = line[:word.start()] + line[word.end():]
                    json, xml = json or word[0] == "--json", xml or word[0] == "xml"
            words = [unquoted(word[0]) for word in typed(line)]
            if not words:
                return Answer()
            command, args = self.find(words)
            answer = command.run(Call(self, command, args, line, {} if session is None else session))
            return shaped(answer, command, json, xml)
        except (ConsoleError, ConfigErrors) as e:
            return Answer(str(e) + "\n", status=1)
        except Exception:
            for text in traceback.format_exc().splitlines():
                panic("console", text)
            return Answer("internal error; the paniclog has the details\n", status=1)


def typed(line):
    """Answer the words of a line as they are typed, comments left out."""
    found = []
    for word in TYPED.finditer(line):
        if word[0] in ("'", '"'):
            raise ConsoleError("a quote is not closed")
        if word[0][0] != "#":
            found.append(word)
    return found


def unquoted(word):
    """Answer what a word says: strings in it are read as those of a file."""
    return QUOTED.sub(lambda string: unquote(string[0]), word)


def shaped(answer, command, json, xml):
    """Give an Answer the form that was asked for."""
    if xml and answer.status == 0:
        if answer.tag is None:
            raise ConsoleError(f"{command.name} has no XML form")
        answer.text, answer.data = element(answer.tag, answer.data), None
    elif json:
        if answer.data is None:
            answer.data = {"message": answer.text.strip()}
        answer.text = ""
    else:
        answer.data = None
    return answer


def element(tag, value, indent=""):
    """Write a value as XML: a dictionary's keys are elements, a list repeats its own; a key that can be none is the name of an item."""
    if isinstance(value, list):
        return "".join(element(tag, item, indent) for item in value)
    end = tag if XML_NAME.fullmatch(tag) else "item"
    begin = tag if end == tag else f'item name="{escape(printable(tag))}"'
    if isinstance(value, dict):
        inside = "".join(element(key, item, indent + "  ") for key, item in value.items())
        return f"{indent}<{begin}>\n{inside}{indent}</{end}>\n"
    text = int(value) if isinstance(value, bool) else "" if value is None else value
    return f"{indent}<{begin}>{escape(printable(str(text)), quote=False)}</{end}>\n"


def printable(text):
    return "".join(c if (c >= " " or c in "\t\n") and not "\ud800" <= c <= "\udfff" and c not in "\ufffe\uffff" else "?" for c in text)
