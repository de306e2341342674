"""A page for every option, made from its rows."""
from pathlib import Path

from pymomentum.options import modules, registry, vendor
from pymomentum.options.pending import PENDING
from pymomentum.options.types import one_line

NOTE = "<!-- made by ./build.sh manual from pymomentum/options; change the row, not this page -->"


def value_text(row, value):
    """A Python value as it would be written in a file."""
    if value is None:
        return "none is set"
    text = one_line(row.type.write(value))
    return f"`{text}`" if text else "empty"


def default_text(row):
    """What holds where nothing is said; one that depends on the machine is named, not shown."""
    base = "found out from the machine" if callable(row.type.default) else value_text(row, row.type.default)
    others = [f"{value_text(row, value)} in {scope}" for scope, value in sorted(row.defaults.items())]
    return "; ".join([base, *others])


def row_text(row):
    scopes = sorted(row.scopes, key=registry.SCOPES.index)
    lines = [row.doc, "", "| | |", "|---|---|", f"| Value | {row.type.word.replace('|', chr(92) + '|')}{', in ' + row.unit if row.unit else ''} |",
             f"| Default | {default_text(row)} |", f"| Scopes | {', '.join(scopes)} |",
             f"| A change counts | {'from the next reload' if row.dynamic else 'after a restart'} |"]
    return "\n".join(lines)


def status(name):
    if name in vendor.ALWAYS:
        return f"It is accepted and has no effect: {vendor.ALWAYS[name]}."
    if name in vendor.WITH_VALUE:
        value, why = vendor.WITH_VALUE[name]
        return f"It is accepted; {value_text(registry.OPTIONS[name][0], value)} has no effect: {why}."
    if registry.OPTIONS[name][0].pending:
        return "The server does not read it yet: it is checked, and loads."
    return ""


def page(name):
    """The text of an option's page."""
    parts = [NOTE, f"# {name}"]
    parts += [row_text(row) for row in registry.OPTIONS[name]]
    if status(name):
        parts.append(status(name))
    return "\n\n".join(parts) + "\n"


def index():
    lines = [NOTE, "", "# Options", "", "| Option | What it does | Scopes |", "|---|---|---|"]
    for name in registry.names():
        for row in registry.OPTIONS[name]:
            scopes = ", ".join(sorted(row.scopes, key=registry.SCOPES.index))
            lines.append(f"| [{name}]({name}.md) | {row.doc} | {scopes} |")
    return "\n".join(lines) + "\n"


def pending():
    names = [name for name in registry.names() if registry.OPTIONS[name][0].pending]
    lines = [NOTE, "", "# Options that are not read yet", "",
             f"These {len(names)} of {len(registry.OPTIONS)} options load and are checked, but the part of the server that they steer is not built.",
             "A notice at start names those that the configuration sets.", ""]
    lines += [f"- [{name}](options/{name}.md)" for name in names]
    for module in sorted(modules.OPTIONS):
        lines += ["", f"Of the module {module}:", ""]
        lines += [f"- {name}: {row.doc}" for name, row in sorted(modules.OPTIONS[module].items()) if f"{module}.{name}" in PENDING]
    lines += ["", f"{len(vendor.NAMES)} more steer machinery that is not here; they load with a notice:", ""]
    lines += [f"- [{name}](options/{name}.md): {vendor.ALWAYS.get(name) or vendor.WITH_VALUE[name][1]}" for name in sorted(vendor.NAMES)]
    return "\n".join(lines) + "\n"


def texts():
    """Every page's path under docs/ and its text."""
    yield Path("options-pending.md"), pending()
    yield Path("options", "README.md"), index()
    for name in registry.names():
        yield Path("options", f"{name}.md"), page(name)


def write(folder):
    """Write all pages under a folder, remove those of options that are gone; answers how many."""
    wanted = dict(texts())
    (folder / "options").mkdir(parents=True, exist_ok=True)
    for old in (folder / "options").glob("*.md"):
        if old.relative_to(folder) not in wanted:
            old.unlink()
    for path, text in wanted.items():
        (folder / path).write_text(text, encoding="utf-8")
    return len(wanted)
