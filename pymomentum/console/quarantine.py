"""Console commands about messages that brought the server down twice."""
from pymomentum.console.registry import Answer, command
from pymomentum.errors import ConsoleError
from pymomentum.quarantine import Quarantine


def opened(call):
    return Quarantine(call.server.loaded.globals["spoolbase"])


def change(call, verb, done):
    [sequence] = call.expect(1, 1)
    quarantine = opened(call)
    try:
        getattr(quarantine, verb)(call.number(sequence))
    except KeyError:
        raise ConsoleError(f"message {sequence} is not in quarantine") from None
    except OSError as e:
        raise ConsoleError(f"cannot write {quarantine.path}: {e.strerror}") from None
    return Answer(f"message {sequence} {done} at the next start.\n")


@command("quarantine list")
def quarantine_list(call):
    """show messages kept out of delivery by their spool sequence"""
    call.expect(0, 0)
    quarantine = opened(call)
    rows = [{"sequence": sequence, "crashes": times, "deleted": sequence in quarantine.deleted}
            for sequence, times in sorted(quarantine.held.items())]
    lines = [f"{'Sequence':>20}{'Crashes':>9}\n"]
    lines += [f"{row['sequence']:>20}{row['crashes']:>9}{'  to be deleted' * row['deleted']}\n" for row in rows]
    return Answer("".join(lines), {"Message": rows}, "Quarantine")


@command("quarantine release", "SEQUENCE")
def quarantine_release(call):
    """let a message be delivered again"""
    return change(call, "release", "is delivered")


@command("quarantine delete", "SEQUENCE")
def quarantine_delete(call):
    """give a message up"""
    return change(call, "delete", "is deleted")
