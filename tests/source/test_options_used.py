"""The list of pending options says what the sources say."""
from pathlib import Path

from pymomentum.options import pending

ROOT = Path(__file__).resolve().parents[2]


def test_pending_list_is_what_the_sources_do_not_read():
    expected = set(pending.expected(ROOT))
    read_by_now = sorted(pending.PENDING - expected)
    no_longer_read = sorted(expected - pending.PENDING)
    assert (read_by_now, no_longer_read) == ([], []), "run python -m pymomentum.options.pending --write"
