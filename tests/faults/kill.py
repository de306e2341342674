"""SIGKILL at random moments under load, many times on one spool: what was acknowledged is delivered, or queued."""
import collections
import random
import time
from dataclasses import dataclass

from tests.faults.power import some_wait
from tests.harness.mta import Mta
from tests.harness.smtp import Blast, blast_id
from tests.harness.wait import until

OUTCOME = 0.1       # seconds by which a tombstone is synced, and written within a tenth of them
SLACK = 1.0         # by which a busy machine may be late with it
CONFIG = """
    retry_interval = 1
    large_message_threshold = 16384
"""


@dataclass
class Result:
    kills: int = 0
    acked: int = 0
    lost: int = 0
    twice: int = 0              # deliveries beyond the first
    bound: int = 0              # those under way or settled in the last 100 ms at each kill
    late: int = 0               # repeated although settled long before the kill
    recycled: int = 0


def kills(folder, count, seed, *, sessions=20, progress=None):
    """Kill the server `count` times; AssertionError where it does not come back."""
    rng = random.Random(seed)
    mta = Mta(folder)
    sink = mta.route(rcpt=some_wait)
    mta.config(CONFIG)
    mta.expect_panic("SPOOL *")
    result = Result()
    acked = set()
    killed = []
    for number in range(count):
        mta.start()
        loads = [Blast(mta.port, 100000, sessions, 2048, rcpt=lambda i: f"r{number}.{i}@example.com", tag=f"s{number}").start(),
                 Blast(mta.port, 100000, 1, 40000, rcpt=lambda i: f"l{number}.{i}@example.com", tag=f"l{number}").start()]
        until(lambda: len(loads[0].acked) > 20, 30, "mail taken")
        time.sleep(rng.random() * 0.6)
        mta.kill()
        killed.append(time.monotonic())
        for load in loads:
            load.stop()
            load.join(30)
            acked |= load.acked
        if progress:
            progress(number + 1, count)
    sink.set(rcpt="250 2.1.5 OK")
    mta.start()
    try:
        until(lambda: acked <= {blast_id(m.data) for m in list(sink.messages)}, 120,
              lambda: f"{len(acked - {blast_id(m.data) for m in list(sink.messages)})} messages that were acknowledged")
    except AssertionError:
        pass                        # told as lost
    mta.close()
    result.kills, result.acked = count, len(acked)
    count_twice(list(sink.messages), killed, result)
    result.lost = len(acked - {blast_id(m.data) for m in sink.messages})
    return result


def count_twice(messages, killed, result):
    """Every repetition follows a kill; its forerunner was on its way then, or settled just before."""
    seen = collections.defaultdict(list)
    for m in messages:
        seen[blast_id(m.data)].append(m.at)
    for times in seen.values():
        times.sort()
        for before, after in zip(times, times[1:]):
            result.twice += 1
            result.late += not any(before >= kill - OUTCOME - SLACK and kill <= after for kill in killed)
    for kill, start in zip(killed, [0] + killed):
        result.bound += sum(kill - OUTCOME * 1.1 <= m.at <= kill + 0.2 and m.at > start for m in messages)
