"""Messages that brought the server down twice: the file that names them.

<spoolbase>/quarantine has a line per message: its spool sequence, how often it
was in hand at a crash, and "delete" where an operator gave it up.  The
supervisor adds while the server is down; the console releases and deletes;
the server reads it at start, leaves what it names out of delivery, and removes
what is to be deleted.
"""
import os
from pathlib import Path

MAX_BYTES = 1 << 20


class Quarantine:
    """The file's lines as a dictionary; every change is on disk before it returns."""

    def __init__(self, spoolbase):
        self.path = Path(spoolbase) / "quarantine"
        self.held = {}              # sequence -> times in hand at a crash
        self.deleted = set()        # sequences to remove at the next start
        try:
            with open(self.path, "rb") as stream:
                data = stream.read(MAX_BYTES)
        except FileNotFoundError:
            return
        for line in data.decode("ascii", "replace").splitlines():
            words = line.split()
            if len(words) >= 2 and all(word.isascii() and word.isdigit() for word in words[:2]):
                sequence = int(words[0])
                self.held[sequence] = int(words[1])
                if words[2:] == ["delete"]:
                    self.deleted.add(sequence)

    def hold(self, sequence, times):
        """Keep a message out of delivery."""
        self.held[sequence] = times
        self.save()

    def release(self, sequence):
        """Let a message be delivered again; KeyError where it is not held."""
        del self.held[sequence]
        self.deleted.discard(sequence)
        self.save()

    def delete(self, sequence):
        """Give a message up; KeyError where it is not held."""
        self.held[sequence]
        self.deleted.add(sequence)
        self.save()

    def save(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        with open(new, "w") as stream:
            for sequence, times in sorted(self.held.items()):
                stream.write(f"{sequence} {times}{' delete' * (sequence in self.deleted)}\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(new, self.path)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
