"""The help command."""
from pymomentum.console.registry import Answer, command


@command("help", "[COMMAND]")
def help(call):
    """show all commands, or one with its arguments"""
    commands = call.registry.commands
    rows = [commands[name] for name in sorted(commands)]
    if call.args:
        said = " ".join(call.args).lower()
        rows = [row for row in rows if row.name == said or row.name.startswith(said + " ")]
        if not rows:
            found, _ = call.registry.find(call.args)
            rows = [found]
    width = max(len(row.synopsis) for row in rows) if len(rows) == 1 else 26
    text = "".join(f"{row.synopsis:<{width}}  {row.doc}\n" if len(row.synopsis) <= width
                   else f"{row.synopsis}\n{'':<{width}}  {row.doc}\n" for row in rows)
    data = [{"name": row.name, "synopsis": row.synopsis, "doc": row.doc} for row in rows]
    return Answer(text, {"Command": data}, "Help")
