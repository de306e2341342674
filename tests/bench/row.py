"""What all rows have: a name, a sentence, targets, and `measure`, one run that answers its figures by name."""
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple


class Target(NamedTuple):
    figure: str
    sign: str               # "<=" or ">="
    limit: float

    def met(self, value):
        return value <= self.limit if self.sign == "<=" else value >= self.limit


# label and form; shown in this order
FIGURES = {
    "rate": ("relay/s", ".0f"), "accept": ("accept/s", ".0f"), "tools": ("tools alone/s", ".0f"), "ratio": ("rate of the tools' own", ".2f"),
    "beside": ("rate of the row beside", ".2f"),
    "cpu": ("CPU us/message", ".1f"), "user": ("of it user", ".1f"), "system": ("system", ".1f"),
    "p50": ("250 after ms p50", ".1f"), "p99": ("p99", ".1f"), "p99_alone": ("p99 without them", ".1f"), "p99_ratio": ("p99 times", ".1f"),
    "reload": ("reload s", ".2f"), "rise": ("p99 rises by its 2 ms or 25 % times", ".2f"),
    "written": ("written/accepted", ".2f"), "segments": ("segments filled", ".0f"), "connections": ("connections out", ".0f"),
    "memory": ("memory above idle MB", ".1f"), "bytes": ("bytes each", ".0f"), "again": ("after a restart MB", ".1f"),
    "killed": ("queued after kill -9, s", ".1f"), "stopping": ("clean stop, s", ".1f"), "stopped": ("queued after it, s", ".1f"),
    "peer_rate": ("Postfix relay/s", ".0f"), "peer_cpu": ("Postfix CPU us/message", ".0f"), "peer_times": ("our rate is its times", ".1f"),
    "peer_share": ("its CPU is ours times", ".1f"),
}


@dataclass(frozen=True)
class Row(ABC):
    name: str
    what: str
    targets: tuple = ()
    beside: str = ""        # the row whose rate in the same run this one's is compared with

    @abstractmethod
    def measure(self, quick):
        """One run, of a tenth where quick."""


def tenth(count, quick, least=1):
    return max(least, count // 10) if quick else count
