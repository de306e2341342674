"""Segment indexes: a start that reads them finds what a scan finds, and scans where one cannot be trusted."""
import random
import shutil

import pytest

from pymomentum.core.spool.inspect import survey
from tests.faults.model import SEGMENT, lives
from tests.faults.test_spool import process

BLOCK = 4096


def found(base, indexes):
    messages = survey(str(base), bodies=True, indexes=indexes).messages
    return {m["seq"]: (m["body"], m["meta"], m["state"], m["version"]) for m in messages}


def trailer(path):
    """Where the index lies, and its length; None without one of this use of the file."""
    data = path.read_bytes()
    block = data[-2 * BLOCK:-BLOCK]
    return None if block[:16] != b"ECSPEND1" + data[24:32] else (int.from_bytes(block[16:24], "little"), int.from_bytes(block[24:28], "little"))


def segments(base):
    return [path for path in sorted(base.glob("*.seg")) if path.read_bytes()[12]]      # 0: free


@pytest.fixture(scope="module")
def spool(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spool")
    lives(folder, 70, 4, 150)
    return folder / "spool"


def test_index_says_what_a_scan_says(spool):
    assert any(trailer(path) for path in segments(spool))
    assert found(spool, True) == found(spool, False) != {}


def test_clean_stop_leaves_no_segment_to_scan(tmp_path):
    process(tmp_path / "spool", """
        kept = [e for answer in driver.accept([(b"x" * 3000, [b"meta", b"meta"])] * 400) for e in answer]
        driver.forget(kept[::3])
        driver.defer(kept[1], b"state")
    """, segment_size=SEGMENT)
    assert all(trailer(path) for path in segments(tmp_path / "spool"))
    assert process(tmp_path / "spool", """
        print(len(life.entries), sum(e.state == b"state" for e in life.entries.values()), spool.stats()["recover_scanned"])
    """, segment_size=SEGMENT).split() == ["533", "1", "0"]


def test_killed_process_leaves_one_segment_of_each_log_to_scan(tmp_path):
    process(tmp_path / "spool", """
        driver.accept([(b"x" * 3000, [b"meta"])] * 400)
        os._exit(0)
    """, segment_size=SEGMENT)
    assert process(tmp_path / "spool", 'print(len(life.entries), spool.stats()["recover_scanned"])',
                   segment_size=SEGMENT).split() == ["400", "1"]


@pytest.mark.parametrize("where", ["index", "trailer"])
def test_damaged_index_is_not_believed(spool, tmp_path, where):
    shutil.copytree(spool, tmp_path / "spool")
    wanted, rng = found(tmp_path / "spool", False), random.Random(9)
    for path in segments(tmp_path / "spool"):
        if trailer(path):
            at, length = trailer(path)
            data = bytearray(path.read_bytes())
            # the batch ends in zeros that nothing depends on: one hit at least lies in what is checked
            for hit in ([at + rng.randrange(32), at + rng.randrange(length)] if where == "index" else [len(data) - 2 * BLOCK + rng.randrange(36)]):
                data[hit] ^= 1 << rng.randrange(8)
            path.write_bytes(data)
    now = found(tmp_path / "spool", True)
    assert now.keys() == wanted.keys(), f"{sorted(now.keys() ^ wanted.keys())[:5]}"
    assert now == wanted


def test_index_of_an_earlier_use_of_the_file_is_not_believed(spool, tmp_path):
    """A recycled file keeps the blocks it had; only the salt tells them from its own."""
    shutil.copytree(spool, tmp_path / "spool")
    wanted = found(tmp_path / "spool", False)
    indexed = [path for path in segments(tmp_path / "spool") if trailer(path)]
    assert len(indexed) > 1
    one, other = indexed[0].read_bytes(), indexed[1].read_bytes()
    at, _ = trailer(indexed[0])
    indexed[1].write_bytes(other[:-2 * BLOCK] + one[-2 * BLOCK:-BLOCK] + other[-BLOCK:])
    now = found(tmp_path / "spool", True)
    assert now.keys() == wanted.keys(), f"{sorted(now.keys() ^ wanted.keys())[:5]}"
    assert now == wanted


def test_segment_of_recipients_only_has_room_for_its_index(tmp_path):
    process(tmp_path / "spool", """
        for _ in range(6):
            assert driver.accept([(b"x", [b"m"] * 700)])[0]
    """, segment_size=SEGMENT)
    assert all(trailer(path) for path in segments(tmp_path / "spool"))
    assert len(found(tmp_path / "spool", True)) == 4200
