"""Faults of the spool that were found once, each by its symptom; each block of code is one process on the spool."""
import json
import os
import subprocess
import sys
import textwrap

from pymomentum.core.spool.inspect import survey
from tests.faults.disk import SWITCHES, preload, read_log
from tests.harness.mta import ROOT
from tests.harness.wait import until

PRELUDE = """
import json, os, sys, time
from pathlib import Path
from pymomentum.core.spool import driver, spool
from tests.faults.model import Life
life = Life(sys.argv[1], **json.loads(sys.argv[2]))
"""


def process(base, code, env=None, **options):
    """Run the code with the spool open, then close it; answers what it prints."""
    run = subprocess.run([sys.executable, "-c", PRELUDE + textwrap.dedent(code) + "\nlife.close()\n", str(base), json.dumps(options)],
                         cwd=ROOT, env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr[-3000:]
    return run.stdout


def test_more_tombstones_than_a_segment_holds_do_not_stop_the_spool(tmp_path):
    process(tmp_path / "spool", """
        entries = [e for _ in range(4) for answer in driver.accept([(b"x" * 100, [b"meta"] * 700)] * 20) for e in answer]
        assert len(entries) == 56000
        driver.forget(entries)
        assert driver.accept([(b"y", [b"meta"])])[0]
        time.sleep(0.3)
    """)
    assert len(survey(str(tmp_path / "spool")).messages) == 1


def test_sequences_go_on_after_every_segment_was_recycled(tmp_path):
    first = int(process(tmp_path / "spool", """
        e = driver.accept([(b"x", [b"meta"])])[0]
        driver.forget(e)
        print(e[0].seq)
    """))
    process(tmp_path / "spool", """
        end = time.monotonic() + 5
        while spool.stats()["segments"] and time.monotonic() < end:
            time.sleep(0.02)
        assert spool.stats()["segments"] == 0, "dead segments stay while nothing happens"
    """)
    assert int(process(tmp_path / "spool", 'print(driver.accept([(b"x", [b"meta"])])[0][0].seq)')) > first


def test_oldest_segment_is_freed_first(tmp_path):
    """Else a power cut between leaves a message whose tombstone is gone."""
    process(tmp_path / "spool", """
        first = driver.accept([(b"x" * 60000, [b"meta"])])[0]
        for _ in range(10):
            for answer in driver.accept([(b"x" * 60000, [b"meta"])] * 4):
                driver.forget(answer)
        driver.forget(first)
        time.sleep(0.5)
    """, env={"LD_PRELOAD": preload(), "EC_FAULTS_DIR": str(tmp_path / "spool"), "EC_FAULTS_LOG": str(tmp_path / "log")}, ratio=100)
    number, freed = {}, {1: [], 2: []}
    for e in read_log(tmp_path / "log"):
        if e.kind == "write" and e.offset == 0 and e.data[:8] == b"ECSPOOL1":
            kind = int.from_bytes(e.data[12:16], "little")
            if kind:
                number[e.file] = kind, int.from_bytes(e.data[16:24], "little")
            elif e.file in number:
                old = number.pop(e.file)
                freed[old[0]].append(old[1])
    assert len(freed[1]) > 5
    assert freed[1] == sorted(freed[1])


def test_stop_in_the_middle_of_a_compaction_keeps_all(tmp_path):
    for _ in range(5):
        before = len(survey(str(tmp_path / "spool")).messages) if (tmp_path / "spool").exists() else 0
        kept = int(process(tmp_path / "spool", """
            kept = 0
            while spool.stats()["copied"] < 100:
                for n, answer in enumerate(driver.accept([(b"x" * 2000, [b"meta"])] * 20)):
                    if n % 4:
                        driver.forget(answer)
                    else:
                        kept += 1
            print(kept)
        """))
        assert len(survey(str(tmp_path / "spool")).messages) == before + kept


def test_mail_that_died_in_the_cold_log_does_not_rise_after_a_stop_amid_its_compaction(tmp_path):
    """The hot segment still holds it, the cold index names the living only: the cold tombstone must outlive that segment."""
    for turn in range(5):
        base = tmp_path / str(turn)
        left = json.loads(process(base, """
            kept = [answer[0] for _ in range(45) for answer in driver.accept([(b"x" * 2000, [b"meta"])] * 10)]
            while not (copied := spool.stats()["copied"]):
                driver.forget([answer[0] for answer in driver.accept([(b"x" * 2000, [b"meta"])] * 10)])
            driver.forget(kept[:copied])
            print(json.dumps([e.seq for e in kept[copied:]]))
        """, segment_size=1 << 20))             # of several chunks to copy
        # a ratio that asks for no other compaction: what is cold and dead may go
        process(base, "time.sleep(0.3)", ratio=1000, segment_size=1 << 20)
        assert {m["seq"] for m in survey(str(base)).messages} == set(left)


def test_copies_of_a_compaction_that_failed_do_not_rise(tmp_path):
    """A tombstone must outlive every copy of its message, those on a disk that failed in the middle too."""
    control = tmp_path / "control"
    control.write_bytes(bytes(4 * len(SWITCHES)))
    kept = process(tmp_path / "spool", """
        import random
        from tests.faults.model import Sickness
        sickness, rng, window = Sickness(os.environ["EC_FAULTS_CONTROL"], random.Random(6)), random.Random(7), []
        old = [answer[0] for answer in driver.accept([(b"x" * 3000, [b"meta"])] * 20) if answer]
        end = time.monotonic() + 4
        while time.monotonic() < end:
            for answer in driver.accept([(b"x" * 3000, [b"meta"])] * 10):
                if answer and rng.random() < 0.3:
                    window.append(answer[0])
                elif answer:
                    driver.forget(answer)
            driver.forget(window[:-150])
            window = window[-150:]
        sickness.heal()
        print(json.dumps([e.seq for e in old + window]))
    """, env={"LD_PRELOAD": preload(), "EC_FAULTS_DIR": str(tmp_path / "spool"), "EC_FAULTS_CONTROL": str(control)},
        retry_interval=0.01)
    found = {m["seq"] for m in survey(str(tmp_path / "spool")).messages if m["meta"] != b"probe"}
    assert found == set(json.loads(kept))


def test_body_file_of_a_quarantined_message_stays(mta):
    mta.dns({})
    mta.config("large_message_threshold = 65536")
    mta.send(rcpts="b@nowhere.example.com", data=b"Subject: big\r\n\r\n" + b"x" * 70 + b"\r\n" * 60000)
    mta.stop()
    message, = survey(str(mta.folder / "spool")).messages
    assert message["large"]
    (mta.folder / "spool" / "quarantine").write_text(f"{message['seq']} 2\n")
    mta.expect_panic("SPOOL *")
    mta.restart() if mta.process else mta.start()
    until(lambda: any("1 quarantined" in line for line in mta.paniclog()), 10, "quarantine named")
    assert len(list((mta.folder / "spool" / "large").iterdir())) == 1


def test_foreign_file_among_large_bodies_does_not_stop_the_start(mta):
    mta.start()
    mta.stop()
    (mta.folder / "spool" / "large" / "README").write_text("hello")
    mta.route()
    mta.start()
    mta.send()
    mta.wait_log("D")
    assert (mta.folder / "spool" / "large" / "README").exists()


def test_body_file_stays_until_the_tombstone_is_synced(mta):
    """Else a crash between leaves a delivered message that cannot be read and is named as lost."""
    mta.env = {"LD_PRELOAD": preload(), "EC_FAULTS_DIR": str(mta.folder / "spool"), "EC_FAULTS_LOG": str(mta.folder / "log")}
    mta.route()
    mta.config("large_message_threshold = 65536")
    mta.send(data=b"Subject: big\r\n\r\n" + b"x" * 70 + b"\r\n" * 60000)
    until(lambda: not os.listdir(mta.folder / "spool" / "large"), 10, "end of the file")
    mta.stop()
    kinds = [e.kind for e in read_log(mta.folder / "log")]
    gone = max(i for i, kind in enumerate(kinds) if kind == "unlink")
    writes = [i for i, kind in enumerate(kinds[:gone]) if kind == "write"]
    assert "synced" in kinds[writes[-1]:gone], "a tombstone was not synced yet"


def test_file_that_replaces_a_condemned_segment_is_the_only_one(mta):
    """A disk that fails for an hour must not be filled with segments."""
    import errno
    import time

    from tests.faults.disk import Disk
    disk = Disk(mta)
    mta.dns({})
    mta.config("spool_retry_interval = 1")
    mta.send()
    disk.set(sync_error=errno.EIO)
    with mta.smtp() as c:
        c.send_mail("a@test", "b@example.com")
        c.expect("452 4.3.1 *")
    time.sleep(3.5)
    assert len(list((mta.folder / "spool").glob("*.seg"))) <= 5
    disk.heal()
    until(lambda: not mta.counters().get("SpoolDegraded") and mta_takes(mta), 5, "mail taken again")


def mta_takes(mta):
    with mta.smtp() as c:
        c.send_mail("a@test", "b@example.com")
        return c.reply[-1].startswith("250")
