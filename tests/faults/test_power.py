"""Fifty power cuts; `./build.sh faults` makes a thousand."""
import pytest

from tests.faults import power


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return power.record(tmp_path_factory.mktemp("recording"), 3000)


def test_power_cut_loses_nothing_that_was_acknowledged(recording):
    result = power.cuts(recording, 50, seed=7, full=2)
    print(result)
    assert result.acked and result.again <= result.bound
    assert not result.lost
    assert not result.wrong
    assert not result.late, "delivered again although settled long before the cut"


def test_power_cut_without_syncs_loses_mail(recording):
    """Else the test above were worthless."""
    assert power.cuts(recording, 10, seed=7, syncs=False).lost


def test_load_recycles_and_compacts(recording):
    """What is cut has cold segments in it and files used again."""
    heads = [e for e in recording.events if e.kind == "write" and e.offset == 0 and e.data[:8] == b"ECSPOOL1"]
    kinds = [int.from_bytes(e.data[12:16], "little") for e in heads]
    assert kinds.count(2) >= 1 and kinds.count(0) > len({e.file for e in heads}), "no compaction, or nothing recycled"
