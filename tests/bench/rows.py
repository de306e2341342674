"""Every row, in the order it is run in."""
from tests.bench.domains import Domains
from tests.bench.queued import Idle, Queued
from tests.bench.relay import Relay
from tests.bench.reload import Reload
from tests.bench.row import Target

ROWS = [
    Relay("s20", "4 KiB, 20 sessions", (Target("p50", "<=", 1.5), Target("p99", "<=", 3)), sessions=20),
    Relay("s100", "4 KiB, 100 sessions", (Target("cpu", "<=", 75), Target("ratio", ">=", 0.7), Target("written", "<=", 1.3))),
    Relay("s500", "4 KiB, 500 sessions", sessions=500),
    Relay("loops2", "4 KiB, 100 sessions, 2 loops", (Target("cpu", "<=", 90),), loops=2),
    Relay("defer5", "4 KiB, 100 sessions, 5 % deferred once", (Target("written", "<=", 1.6),), defer=20),
    Relay("single", "4 KiB, one connection each", count=30000, kept=False),
    Relay("k100", "100 KiB, 20 sessions", (Target("cpu", "<=", 450), Target("ratio", ">=", 0.5)), sessions=20, count=7000, size=102400),
    Relay("rcpt1000", "4 KiB, 1,000 recipients", sessions=4, count=60, recipients=1000),
    Relay("mb100", "20 messages of 100 MB in flight, small ones between", (Target("memory", "<=", 50), Target("p99_ratio", "<=", 3)),
          sessions=20, count=20, size=104857600),
    Relay("tls-in", "4 KiB, 100 sessions that begin with STARTTLS", tls="in"),
    Relay("tls-out", "4 KiB, 100 sessions, delivered with tls = required", tls="out"),
    Domains("d50", "1 KiB, pipelined, one recipient each, in turn to 50 domains with the same MX"),
    Domains("d200k-mx", "the same to 200,000 domains with the same MX, five in a row each", (Target("beside", ">=", 0.8),), "d50",
            domains=200000, in_a_row=5),
    Domains("d200k-own", "the same to 200,000 domains with an MX and an address each, idle_timeout = 2 as in the rows beside", (Target("beside", ">=", 0.4),), "d50",
            domains=200000, own=True, in_a_row=5),
    Reload("reload", "10,000 Domain and 500 Binding stanzas reloaded under the load of 4 sessions",
           (Target("reload", "<=", 3), Target("rise", "<=", 1))),
    Queued("q50", "a million of 1 KiB queued, bodies on disk, 50 domains whose host is dead",
           (Target("bytes", "<=", 180), Target("killed", "<=", 60), Target("stopped", "<=", 3))),
    Queued("q200k", "a million of 1 KiB queued, bodies on disk, 200,000 domains whose host is dead",
           (Target("bytes", "<=", 320), Target("killed", "<=", 60), Target("stopped", "<=", 3)), domains=200000),
    Idle("idle10k", "10,000 sessions idle after EHLO", (Target("bytes", "<=", 3000),)),
]
PEER_TARGETS = (Target("peer_share", ">=", 30), Target("peer_times", ">=", 12))
