"""Console commands about single messages."""
import time

from pymomentum.console.registry import Answer, command
from pymomentum.errors import ConsoleError


def moment(seconds):
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def details_text(message):
    rows = (("Created", moment(message["created"])),
            ("Next Attempt", moment(message["next_attempt"]) if message["next_attempt"] else "now"),
            ("Retries", message["retries"]),
            ("Received Via", message["via"]),
            ("Sender", message["sender"]),
            ("Recipient", message["recipient"]),
            ("Code", message["code"]),
            ("Size", message.get("size", "unknown")))
    lines = [f"Message: {message['id']}", "Message Type: full message"]
    lines += [f"{label:>22}: {value}".rstrip() for label, value in rows]
    return "\n".join(lines) + "\n"


def looked_up(look_up, id):
    """Ask the engine for something of a message; raises ConsoleError where it has none."""
    try:
        found = look_up(id)
    except ValueError:
        raise ConsoleError(f"{id} is not a message id") from None
    if found is None:
        raise ConsoleError(f"message {id} is not here, or is being delivered")
    return found


@command("message details", "[full|body] MESSAGE_ID")
def message_details(call):
    """show a message: its envelope and times, its body, or both"""
    args = call.expect(1, 2)
    part = args[0].lower() if len(args) == 2 else "meta"
    if part not in ("meta", "full", "body"):
        raise call.usage()
    id, text, data = args[-1], "", {}
    if part != "body":
        data = looked_up(call.engine.message, id)
        text = details_text(data)
    if part != "meta":
        body = looked_up(call.engine.message_body, id).decode("utf-8", "surrogateescape")
        text, data = text + body, {**data, "body": body}
    return Answer(text, data, "Message")
