"""The exception tree.

    MomentumError
    ├── ConfigError       one mistake, with its place in a file
    ├── ConfigErrors      all mistakes of one run
    ├── ConsoleError      a console command cannot be carried out; one line says why
    └── Taken             somebody listens on an address already
"""


class MomentumError(Exception):
    """Base of what this package raises on purpose."""


class ConfigError(MomentumError):
    """One mistake in the configuration: where it stands, what it is, what to do."""

    def __init__(self, message, *, file="", line=0, column=0, source="", hint=""):
        super().__init__(message)
        self.message = message
        self.file = file
        self.line = line            # 1, 2, 3 ...; 0: the whole file
        self.column = column        # 1, 2, 3 ... in characters
        self.excerpt = excerpt(source, column) if line else ""     # of that line, and a caret below it
        self.hint = hint

    def __str__(self):
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        text = f"{place}: {self.message}" if place else self.message
        if self.hint:
            text += f"; {self.hint}"
        if self.line:
            text += "\n" + self.excerpt
        return text

    def as_dict(self):
        """Answer the fields that a program wants."""
        return {"file": self.file, "line": self.line, "column": self.column,
                "message": self.message, "hint": self.hint}


class ConfigErrors(MomentumError):
    """Every mistake found in one run, in the order of the files."""

    def __init__(self, errors, notice=""):
        self.errors = tuple(errors)
        self.notice = notice        # of those that are left out
        super().__init__("\n".join([*map(str, self.errors), *([notice] if notice else [])]))


class ConsoleError(MomentumError):
    """What a console user is told when a command cannot be carried out."""


class Superseded(MomentumError):
    """The configuration that a change was meant for serves no more."""


class Taken(MomentumError):
    """An address cannot be listened on, as somebody does."""


def excerpt(source, column, width=100):
    """Show a line with a caret under a column; long lines are cut around it, control characters replaced."""
    start = max(0, column - 1 - width // 2) if len(source) > width else 0
    shown = "".join(c if c.isprintable() else " " if c == "\t" else "?" for c in source[start:start + width])
    return f"    {shown}\n    {' ' * (column - 1 - start)}^"
