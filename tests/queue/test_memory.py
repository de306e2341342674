"""Memory: above memory_goal queued mail leaves it, above memory_hwm no new mail comes in."""
from tests.harness.wait import until

MEGABYTE = 1 << 20
RESIDENT = "max_resident_active_queue = 100000\nmax_resident_messages = 100000\nmail_queue_check_vm_interval = 1\n"


def resident(mta):
    with open(f"/proc/{mta.process.pid}/statm") as f:
        return int(f.read().split()[1]) * 4096


def fill(mta, megabytes, domains=7):
    body = b"Subject: big\r\n\r\n" + (b"x" * 76 + b"\r\n") * 1300        # 100 KB
    with mta.smtp() as c:
        for i in range(megabytes * 10):
            c.send_mail("a@test", f"b@d{i % domains}.test", body)
            c.expect("250 *")


def test_queued_mail_leaves_memory_above_the_goal_and_is_delivered(mta):
    mta.dns({f"d{i}.test": {"A": ["127.0.0.2"]} for i in range(7)})
    sink = mta.sink("127.0.0.2")
    mta.config(RESIDENT + "suspend_delivery = true")
    mta.start()
    base = resident(mta)
    mta.stop()
    mta.env["ECELERITY_MEMORY"] = str(2 * (base + 40 * MEGABYTE))
    mta.config(RESIDENT + "suspend_delivery = true\nmemory_goal = 50\nmemory_hwm = 95")
    fill(mta, 60)
    # bodies, not what the process holds: sanitizers keep what was freed
    until(lambda: mta.counters()["ResidentBytes"] < 45 * MEGABYTE, 15, lambda: f"end of {mta.counters()['ResidentBytes']} bytes of bodies")
    assert mta.counters()["ActiveQueueSize"] == 600
    mta.config(RESIDENT + "delayed_queue_scan_interval = 1")
    sink.wait(messages=600, timeout=60)
    assert {m.data for m in sink.messages if m.data.count(b"\n") < 1000} == set()
