"""Options of the spool, two values each."""
import errno
import contextlib
import os
import stat
import time

import pytest

from tests.faults.disk import Disk
from tests.harness.wait import until
from tests.smtp.test_server_replies import talk


def segments(mta):
    found = []
    for path in (mta.folder / "spool").glob("*.seg"):
        with contextlib.suppress(FileNotFoundError):        # it is recycled meanwhile
            found.append(path.stat())
    return found


@pytest.mark.shows("spool_mode")
@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_permissions_of_spool_files(mta, mode):
    mta.config(f"spool_mode = {mode:04o}\nlarge_message_threshold = 2000\nsuspend_delivery = true")
    mta.send(data=b"Subject: x\r\n\r\n" + b"x" * 70 * 60 + b"\r\n")
    found = segments(mta) + [os.stat(path) for path in (mta.folder / "spool" / "large").iterdir()]
    assert len(found) >= 2 and {stat.S_IMODE(status.st_mode) for status in found} == {mode}


@pytest.mark.shows("spool_segment_size")
@pytest.mark.parametrize("size", [1 << 20, 2 << 20])
def test_size_of_a_segment(mta, size):
    mta.config(f"spool_segment_size = {size}\nsuspend_delivery = true")
    mta.send()
    assert size <= max(status.st_size for status in segments(mta)) < size + 65536


@pytest.mark.shows("spoolbase")
@pytest.mark.parametrize("name", ["one", "two"])
def test_folder_of_the_spool(mta, name):
    mta.config(f"spoolbase = $folder/{name}\nsuspend_delivery = true")
    mta.send()
    assert list((mta.folder / name).glob("*.seg"))


@pytest.mark.shows("spool_retry_interval")
@pytest.mark.parametrize("interval, well", [(1, True), (60, False)])
def test_disk_that_failed_is_tried_again_when_the_option_says(mta, interval, well):
    disk = Disk(mta)
    mta.config(f"spool_retry_interval = {interval}\nsuspend_delivery = true")
    mta.send()
    disk.set(write_error=errno.EIO)
    with mta.smtp() as c:
        c.send_mail("a@test", "b@example.com")
        c.expect("452 4.3.1 *")
    disk.heal()
    if well:
        until(lambda: takes(mta), 4)
    else:
        time.sleep(1.5)
        assert not takes(mta)


def takes(mta):
    """Whether MAIL FROM is answered 250 now."""
    with mta.smtp() as c:
        c.command("MAIL FROM:<a@test>")
        return c.read_reply() == 250


@pytest.mark.shows("commit_backlog")
def test_transactions_that_may_wait_for_the_disk_at_start_and_by_a_reload(mta):
    disk = Disk(mta)
    for backlog in (1, 10):
        mta.config(f"commit_backlog = {backlog}\nsuspend_delivery = true")
        mta.send()
        disk.set(stall=1)
        with mta.smtp() as first, mta.smtp() as second:
            for client in (first, second):      # the first is with the disk, the second waits for it
                talk(client, ("MAIL FROM:<a@test>", "250 *"), ("RCPT TO:<b@example.com>", "250 *"), ("DATA", "354 *"))
                client.send(b"Subject: x\r\n\r\n.\r\n")
                time.sleep(0.2)
            assert takes(mta) == (backlog == 10)
            disk.heal()
            for client in (first, second):
                client.expect("250 *")


@pytest.mark.shows("cold_log_ratio")
def test_spool_is_compacted_where_dead_bytes_outweigh(mta):
    """Each segment of a megabyte holds some mail that waits among more that is gone."""
    mta.route()
    config = "spool_segment_size = 1048576\nDomain wait.test { suspend_delivery = true }\n"
    mta.config(config + "cold_log_ratio = 100")
    body = b"Subject: x\r\n\r\n" + (b"x" * 76 + b"\r\n") * 1150        # 90 KB
    with mta.smtp() as c:
        for i in range(96):
            c.send_mail("a@test", "b@wait.test" if i % 6 == 0 else "b@example.com", body)
            c.expect("250 *")
    mta.wait_log("D", 80)
    time.sleep(0.7)
    assert len(segments(mta)) >= 9
    mta.config(config + "cold_log_ratio = 1")
    mta.send()                          # dead bytes are counted when something is written
    until(lambda: len(segments(mta)) <= 7, 5, lambda: f"compaction: {len(segments(mta))} segments")
