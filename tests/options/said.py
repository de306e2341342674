"""Options as the configuration of a test says them, and what tests of options have in common."""
from pymomentum.options import registry


def said(option, value):
    """Text that gives an option its value where it may stand: global, else in the listener."""
    if registry.find(option, "global"):
        return f"{option} = {value}\n"
    return f'ESMTP_Listener {{ {option} = {value} Listen "127.0.0.1:$port" {{ }} }}\n'


def replies(mta, *commands, source=None):
    """The last line that answers each command of a session without EHLO; EOF ends them."""
    with mta.smtp(source=source, greet=False) as c:
        c.read_reply()
        found = []
        for command in commands:
            c.command(command)
            c.read_reply()
            found.append(c.reply[-1])
        return found
