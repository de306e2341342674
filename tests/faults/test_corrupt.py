"""Segments that rotted, were cut, exchanged, or come from a backup: what can be read is delivered, the rest is named."""
import pickle
import random
import shutil

import pytest

from pymomentum.core.spool.inspect import survey
from tests.faults.model import body_of, lives
from tests.harness.wait import until


@pytest.fixture(scope="module")
def spool(tmp_path_factory):
    """A folder with a spool, and what is in it: seq -> (body, meta)."""
    folder = tmp_path_factory.mktemp("spool")
    lives(folder, 40, 1, 150)
    known = pickle.loads((folder / "model").read_bytes())
    return folder / "spool", {seq: (body_of(number, size), meta) for seq, (number, size, meta, _) in known.items()}


def segments(base):
    return sorted(path for path in base.glob("*.seg") if survey_kind(path))


def survey_kind(path):
    with open(path, "rb") as f:
        return f.read(16)[12]           # 0: free


def compare(base, wanted):
    """(missing sequences, risen sequences, damage); no body may be another's."""
    result = survey(str(base), bodies=True)
    found = {m["seq"]: (m["body"], m["meta"]) for m in result.messages if m["body"] is not None}
    for seq, content in found.items():
        assert content == wanted.get(seq, content), f"message {seq} has changed"
    return wanted.keys() - found.keys(), found.keys() - wanted.keys(), result.damage


def test_flipped_bit_costs_what_it_hit(spool, tmp_path):
    base, wanted = spool
    assert compare(base, wanted) == (set(), set(), [])
    rng = random.Random(3)
    shutil.copytree(base, tmp_path / "spool")
    lost = 0
    for _ in range(400):
        path = rng.choice(segments(tmp_path / "spool"))
        with open(path, "r+b") as f:
            at = rng.randrange(path.stat().st_size)
            f.seek(at)
            byte = f.read(1)[0]
            f.seek(at)
            f.write(bytes([byte ^ 1 << rng.randrange(8)]))
        missing, risen, damage = compare(tmp_path / "spool", wanted)
        with open(path, "r+b") as f:
            f.seek(at)
            f.write(bytes([byte]))
        lost += len(missing)
        assert len(missing) <= 3, f"a bit at {at} of {path.name} cost {len(missing)} messages: {damage}"
        assert damage or not missing and not risen, f"a bit at {at} of {path.name} is not named"
        assert not risen or any("record" in line for line in damage)    # a tombstone was hit
    assert lost


def test_many_flipped_bits_never_crash_nor_change_a_message(spool, tmp_path):
    base, wanted = spool
    rng = random.Random(4)
    for n in range(20):
        copy = tmp_path / str(n)
        shutil.copytree(base, copy)
        for path in segments(copy):
            data = bytearray(path.read_bytes())
            for _ in range(rng.choice((1, 20, 400))):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            path.write_bytes(data)
        missing, _, damage = compare(copy, wanted)
        assert damage or not missing


def test_truncated_segment_gives_what_is_left(spool, tmp_path):
    base, wanted = spool
    rng = random.Random(5)
    for n in range(20):
        copy = tmp_path / str(n)
        shutil.copytree(base, copy)
        path = rng.choice(segments(copy))
        whole = compare(copy, wanted)
        with open(path, "r+b") as f:
            f.truncate(rng.randrange(12288, path.stat().st_size))
        missing, _, damage = compare(copy, wanted)
        assert whole[2] == [] and any("cut short" in line for line in damage)
        assert len(missing) < len(wanted)


def test_exchanged_segments_change_nothing(spool, tmp_path):
    base, wanted = spool
    shutil.copytree(base, tmp_path / "spool")
    one, other = segments(tmp_path / "spool")[:2]
    one.rename(tmp_path / "aside")
    other.rename(one)
    (tmp_path / "aside").rename(other)
    assert compare(tmp_path / "spool", wanted) == (set(), set(), [])


def test_damaged_first_block_is_replaced_by_its_copy(spool, tmp_path):
    base, wanted = spool
    shutil.copytree(base, tmp_path / "spool")
    for path in segments(tmp_path / "spool"):
        with open(path, "r+b") as f:
            f.write(bytes(4096))
    assert compare(tmp_path / "spool", wanted) == (set(), set(), [])


def test_segment_without_headers_is_named_and_kept(spool, tmp_path):
    base, wanted = spool
    shutil.copytree(base, tmp_path / "spool")
    path = segments(tmp_path / "spool")[0]
    with open(path, "r+b") as f:
        f.write(bytes(4096))
        f.seek(-4096, 2)
        f.write(bytes(4096))
    _, _, damage = compare(tmp_path / "spool", wanted)
    assert f"{path.name}: no readable header" in damage


@pytest.mark.parametrize("over", [False, True], ids=["beside", "over"])
def test_stale_segment_raises_no_more_than_was_there(spool, tmp_path, over):
    """An old copy of a segment comes back from a backup, under a name of its own or over what the file is by now."""
    base, wanted = spool
    shutil.copytree(base, tmp_path / "spool")
    (tmp_path / "model").write_bytes((base.parent / "model").read_bytes())
    stale = base / survey(str(base)).segments[-1]["file"]
    lives(tmp_path, 41, 1, 150)
    known = pickle.loads((tmp_path / "model").read_bytes())
    now = {seq: (body_of(number, size), meta) for seq, (number, size, meta, _) in known.items()}
    shutil.copy(stale, tmp_path / "spool" / (stale.name if over else "0123456789abcdef.seg"))
    _, _, _ = compare(tmp_path / "spool", {**now, **wanted})
    missing, risen, _ = compare(tmp_path / "spool", now)
    if not over:            # else tombstones that were in the file are gone too
        assert not missing and risen <= wanted.keys(), "more came back than the old copy held"


def test_server_names_what_it_cannot_read_and_delivers_the_rest(mta):
    mta.dns({"example.com": {"MX": ["mx.example.com"]}, "mx.example.com": {"A": ["127.0.0.2"]}})
    mta.config("retry_interval = 1")
    ids = [mta.send(rcpts=f"r{i}@example.com", data=b"Subject: %d\r\n\r\n" % i + b"marker %d " % i * 50 + b"\r\n") for i in range(10)]
    mta.stop()
    for path in (mta.folder / "spool").glob("*.seg"):
        path.write_bytes(path.read_bytes().replace(b"marker 7 marker", b"marker 7 MARKER"))
    mta.expect_panic("SPOOL *")
    sink = mta.sink("127.0.0.2")
    mta.start()
    sink.wait(messages=9, timeout=20)
    until(lambda: any("damaged" in line and ids[7] in line for line in mta.paniclog()), 5, lambda: f"{ids[7]} in {mta.paniclog()}")
    failed, = mta.wait_log("P")
    assert failed.id == ids[7] and failed.text == "550 5.3.0 [internal] message body missing"
    assert not any(b"MARKER" in m.data for m in sink.messages)
