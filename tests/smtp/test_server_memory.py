"""A server whose memory runs out at random: it refuses or hangs up, and what it says is true."""
import mmap
import os
import random
import subprocess
import threading
from pathlib import Path

import pytest

from tests.harness.mta import ROOT
from tests.harness.smtp import stuff
from tests.harness.wait import until

SOURCE = Path(__file__).with_name("memory.c")
LIBRARY = ROOT / "build" / "faults" / "memory.so"
STRANGER = "127.0.0.9"          # may not relay
CONFIG = """
relay_hosts ( 127.0.0.1 )
retry_interval = 1
max_retry_interval = 1
host_failure_retry = 1
log_full = drop
ESMTP_Listener {
  context = [ can_relay = "true" site = "here" ]
  Peer "127.0.0.9" { context = [ can_relay = "false" ] }
  Listen "127.0.0.1:$port" { }
}
"""


class Memory:
    """`n` > 0: one in n allocations fails; 0: none."""

    def __init__(self, mta):
        if not LIBRARY.exists() or LIBRARY.stat().st_mtime < SOURCE.stat().st_mtime:
            LIBRARY.parent.mkdir(parents=True, exist_ok=True)
            new = LIBRARY.with_suffix(f".{os.getpid()}")
            subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-o", new, SOURCE, "-ldl"], check=True)
            new.rename(LIBRARY)
        path = mta.folder / "memory"
        path.write_bytes(bytes(4096))
        with open(path, "r+b") as f:
            self.page = mmap.mmap(f.fileno(), 4096)
        mta.env = {"LD_PRELOAD": f"{LIBRARY} {os.environ.get('LD_PRELOAD', '')}".strip(), "EC_MEMORY_SWITCH": str(path),
                   "ASAN_OPTIONS": f"{os.environ.get('ASAN_OPTIONS', '')}:verify_asan_link_order=0"}

    def set(self, n):
        self.page[0] = n


def body(i, size):
    return b"From: a@test\r\nX-Number: %d\r\n\r\n" % i + b"".join(b"%d %d\r\n" % (i, k) for k in range(size))


def client(mta, rng, numbers, acked, refused, wrong):
    """Mail in every state of want; whatever is answered 250 must be there."""
    for i in numbers:
        stranger = rng.random() < .2
        try:
            with mta.smtp(source=STRANGER if stranger else None, timeout=20) as c:
                for k in range(3):
                    name, size = f"r{i}.{k}@example.com", rng.choice((1, 10, 3000))
                    c.command(f"MAIL FROM:<s{i}.{k}@here.test>")
                    if c.read_reply() != 250:
                        continue
                    c.command(f"RCPT TO:<{name}>")
                    code = c.read_reply()
                    if stranger and code == 250:
                        wrong.append(f"a stranger may send to {name}")
                    if code != 250:
                        c.command("RSET")
                        c.read_reply()
                        continue
                    c.command("DATA")
                    if c.read_reply() != 354:
                        c.command("RSET")
                        c.read_reply()
                        continue
                    data = body(i, size)
                    c.send(stuff(data) + b".\r\n")
                    code = c.read_reply()
                    if code == 250:
                        acked[name] = (f"s{i}.{k}@here.test", data)
                    refused.append(code)
        except (OSError, AssertionError):
            refused.append(0)           # it hung up, or said 421


@pytest.mark.variants("plain", "3-loops")
@pytest.mark.parametrize("one_in", [10, 100])
def test_server_without_memory_neither_lies_nor_relays(mta, one_in):
    sink = mta.route()
    memory = Memory(mta)
    mta.expect_panic("*")
    mta.config(CONFIG)
    mta.start()
    mta.send(rcpts="first@example.com")         # what is made once is there
    acked, refused, wrong = {}, [], []
    memory.set(one_in)
    threads = [threading.Thread(target=client, args=(mta, random.Random(n), range(n * 100, n * 100 + 60), acked, refused, wrong))
               for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    memory.set(0)
    assert not wrong and len(acked) > 20 and any(code != 250 for code in refused)
    assert mta.process.poll() is None, mta.output()[-3000:].decode("utf-8", "replace")
    mta.restart()                               # what stayed in the spool for want of memory is tried again
    until(lambda: acked.keys() <= {rcpt for m in sink.messages for rcpt in m.rcpts}, 30, "delivery of all that was acknowledged")
    got = {rcpt: m for m in sink.messages for rcpt in m.rcpts}
    for name, (sender, data) in acked.items():
        assert got[name].mailfrom == sender and got[name].data.endswith(data)
    for m in sink.messages:
        if b"X-Number" in m.data:
            number = int(m.data.partition(b"X-Number: ")[2].split()[0])
            lines = m.data.partition(b"\r\n\r\n")[2].split(b"\r\n")[:-1]
            assert lines == [b"%d %d" % (number, k) for k in range(len(lines))] and len(lines) in (1, 10, 3000)
            assert m.mailfrom
