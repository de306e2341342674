"""A disk that is full, read-only, broken or asleep while the server runs: 452, nothing lost, well again by itself."""
import errno
import time

import pytest

from tests.faults.disk import Disk
from tests.harness.smtp import Blast, blast_id
from tests.harness.wait import until

FAULTS = {
    "full": {"write_error": errno.ENOSPC, "name_error": errno.ENOSPC},
    "read-only": {"write_error": errno.EROFS, "name_error": errno.EROFS},
    "write error": {"write_error": errno.EIO},
    "sync error": {"sync_error": errno.EIO},
}


def resident(mta):
    """Megabytes."""
    with open(f"/proc/{mta.process.pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) / 1024


def ids(sink):
    return [blast_id(m.data) for m in list(sink.messages)]


@pytest.mark.parametrize("switches", FAULTS.values(), ids=FAULTS)
def test_disk_that_refuses_gets_452_and_no_loss(mta, switches):
    disk = Disk(mta)
    sink = mta.route(rcpt=lambda a: "452 4.2.2 later" if a.startswith("later") else "250 2.1.5 OK", delay={"body": 0.01})
    mta.config("retry_interval = 1\n large_message_threshold = 65536")
    mta.start()
    load = Blast(mta.port, 100000, 10, 1000, rcpt=lambda i: f"{'later' if i % 10 == 0 else 'now'}{i}@example.com", reconnect=True)
    large = Blast(mta.port, 100000, 1, 200000, rcpt=lambda i: f"now{i}@example.com", tag="large", reconnect=True)
    load.start(), large.start()
    try:
        until(lambda: len(load.acked) > 200 and len(large.acked) > 3, 20, "mail taken")
        disk.set(**switches)
        time.sleep(0.3)                     # replies on their way
        taken = len(load.acked), len(large.acked)
        refused = len(load.refused)
        until(lambda: len(load.refused) > refused + 20, 10, "452")
        time.sleep(1.5)                     # a retry or two
        assert (len(load.acked), len(large.acked)) == taken, "acknowledged on a disk that refuses"
        assert all(reply.startswith("452 4.3.1") for reply in [*load.refused.values(), *large.refused.values()])
        disk.heal()
        until(lambda: len(load.acked) > taken[0] + 100 and len(large.acked) > taken[1], 5, "mail taken again")
    finally:
        load.stop(), large.stop()
        load.join(), large.join()
    sink.set(rcpt="250 2.1.5 OK")
    acked = load.acked | large.acked
    until(lambda: acked <= set(ids(sink)), 30, lambda: f"{len(acked - set(ids(sink)))} messages that were acknowledged")
    mta.wait_empty(20)
    delivered = len(ids(sink))
    assert delivered == len(set(ids(sink))), "delivered twice although nothing crashed"
    mta.restart()                           # tombstones that the disk refused were written again
    mta.wait_empty()
    time.sleep(0.3)
    assert len(ids(sink)) == delivered, "delivered mail came back"
    assert not list((mta.folder / "spool" / "large").iterdir())
    segments = list((mta.folder / "spool").glob("*.seg"))
    assert len(segments) <= 16, "segments pile up where the disk refuses"


def test_retries_and_states_survive_a_disk_that_refuses(mta):
    """A state that could not be synced is written again."""
    disk = Disk(mta)
    mta.route(rcpt="452 4.2.2 later")
    mta.config("retry_interval = 600")
    for i in range(20):
        mta.send(rcpts=f"r{i}@example.com")
    disk.set(sync_error=errno.EIO)
    mta.wait_log("T", 20)
    time.sleep(0.5)
    disk.heal()
    time.sleep(2.5)
    mta.kill()
    mta.start()
    until(lambda: mta.counters()["TotalQueueSize"] == 20 or mta.counters()["ResidentMessages"] >= 20, 10, "20 messages")
    time.sleep(1)
    assert len(mta.mainlog("T")) == 20, "tried at once although a retry in ten minutes was on record"


def test_disk_that_stalls_lets_mail_out_and_bounds_memory(mta):
    disk = Disk(mta)
    sink = mta.route(rcpt="452 4.2.2 later")
    mta.config("retry_interval = 1\n large_message_threshold = 65536")
    mta.start()
    queued = Blast(mta.port, 400, 10, 1000, rcpt=lambda i: f"r{i}@example.com").start().join()
    mta.wait_log("T", 400, 30)
    before = resident(mta)
    disk.set(stall=1)
    began = time.monotonic()
    load = Blast(mta.port, 100000, 20, 100000, rcpt=lambda i: f"s{i}@example.com", tag="stalled", reconnect=True).start()
    sink.set(rcpt="250 2.1.5 OK")
    until(lambda: len(queued.acked & set(ids(sink))) == 400, 9, lambda: f"outbound mail: {len(ids(sink))} of 400")
    time.sleep(max(0, began + 6 - time.monotonic()))
    with mta.smtp() as c:
        c.command("MAIL FROM:<a@test>")
        c.expect("452 4.3.1*")
    time.sleep(max(0, began + 10 - time.monotonic()))
    assert not load.acked & set(ids(sink)) and len(load.acked) == 0, "acknowledged on a disk that stalls"
    assert resident(mta) < before + 60, "memory grows while the disk stalls"
    disk.heal()
    until(lambda: len(load.acked) > 100, 10, "mail taken again")
    load.stop(), load.join()
    until(lambda: load.acked <= set(ids(sink)), 30, "mail that was acknowledged")
    mta.wait_empty()


def test_writes_cut_short_are_continued(mta):
    disk = Disk(mta)
    sink = mta.route()
    mta.config("large_message_threshold = 65536")
    mta.start()
    disk.set(cut_short=1)
    small = Blast(mta.port, 300, 10, 3000, rcpt=lambda i: f"r{i}@example.com").start()
    large = Blast(mta.port, 5, 1, 300000, rcpt=lambda i: f"r{i}@example.com", tag="large").start().join()
    small.join()
    assert len(small.acked) == 300 and len(large.acked) == 5
    until(lambda: small.acked | large.acked <= set(ids(sink)), 20, "all mail")
    assert {len(m.data.partition(b"\r\n\r\n")[2]) for m in sink.messages} == {3000 // 78 * 78, 300000 // 78 * 78}
