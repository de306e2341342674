"""The console against a whole server with mail in it."""
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pymomentum.server import Server
from tests.harness.mta import ROOT
from tests.harness.port import free_port
from tests.harness.smtp import SMTPClient
from tests.harness.wait import until


def deferring(mta, n=3):
    sink = mta.route(rcpt="452 4.2.2 full")
    ids = [mta.send("a@test", f"r{i}@example.com") for i in range(n)]
    until(lambda: mta.counters()["DelayedQueueSize"] == n)
    return sink, ids


@pytest.mark.variants
def test_queues_show_what_waits(mta):
    sink, ids = deferring(mta)
    assert "example.com  C:  1  A:      0  D:     3  S:     0" in mta.console("delayed 0")
    assert mta.data("delayed 5")["DomainSummary"] == []
    assert mta.data("delayed 0")["Total"]["Delayed"] == 3
    assert [(row["domain"], row["aq"], row["dq"]) for row in mta.data("mailq")["QueueSummary"]] == [("example.com", 0, 3)]
    rows = mta.data("showqueue example.com")["Messages"]
    assert sorted(row["id"] for row in rows) == sorted(ids)
    assert {row["where"] for row in rows} == {"delayed"} and {row["sender"] for row in rows} == {"a@test"}
    assert sorted(row["recipient"] for row in rows) == ["r0@example.com", "r1@example.com", "r2@example.com"]
    assert len(mta.data("showqueue example.com 2")["Messages"]) == 2
    assert len(mta.data("showqueue example.com 10,2")["Messages"]) == 1
    text = mta.console("showqueue example.com 1")
    assert text.startswith("[delayed/default] ") and " Created: 1" in text and "\n  From: <a@test> To: <r" in text


def test_domain_shows_hosts_and_queues(mta):
    sink, ids = deferring(mta)
    text = mta.console("domain example.com")
    assert "Domain 'example.com' has 1 MXs and a TTL of" in text and "[10 mx.example.com TTL:" in text
    assert "[127.0.0.2] IPv4 (" in text and re.search(r"Delayed: +3\n", text)
    with pytest.raises(AssertionError):
        mta.console("domain unknown.test")
    assert "unknown.test" not in mta.console("domain all")


@pytest.mark.variants
def test_domain_names_those_that_share_its_host(mta):
    zones = {"mx.example.com": {"A": ["127.0.0.2"]}}
    names = [f"d{i:02}.example.com" for i in range(14)]
    for i, name in enumerate(names):
        zones[name] = {"MX": [(10 + i, "mx.example.com")]}
    mta.dns(zones)
    mta.sink(rcpt="452 4.2.2 full")
    mta.send("a@test", [f"r@{name}" for name in names])
    until(lambda: mta.counters()["DelayedQueueSize"] == len(names))
    lines = mta.console("domain d00.example.com").splitlines()
    *some, rest = [line.strip() for line in lines if "also used" in line]
    others = [f"(also used by {name} pref {10 + i})" for i, name in enumerate(names) if i]
    assert len(some) == 10 and sorted(set(some) & set(others)) == some and rest == "(also used by 3 more)"
    [host] = mta.data("domain d05.example.com")["mx"]
    assert len(host["also"]) == 10 and host["further"] == 3 and "d05.example.com" not in str(host["also"])


@pytest.mark.parametrize("mta", [{"loops": 3}], indirect=True)
def test_many_domains_are_listed_piece_by_piece(mta):
    """More than are looked at in one iteration of a loop, while the table grows."""
    mta.config("suspend_delivery = true")
    names = [f"d{i:04}.test" for i in range(3000)]
    ids = [mta.send("a@test", [f"r@{name}" for name in names[i:i + 100]]) for i in range(0, 1500, 100)]
    listing = threading.Thread(target=lambda: [mta.data("mailq") for _ in range(20)])
    listing.start()
    ids += [mta.send("a@test", [f"r@{name}" for name in names[i:i + 100]]) for i in range(1500, 3000, 100)]
    listing.join()
    assert [row["Name"] for row in mta.data("active 0")["DomainSummary"]] == names
    assert mta.data("domain all")["Total"]["Active"] == 3000
    assert sorted(row["domain"] for row in mta.data("mailq -l 5000")["QueueSummary"]) == names
    for name in names[::500]:
        [row] = mta.data(f"showqueue {name}")["Messages"]
        assert mta.data(f"message details {row['id']}")["recipient"] == f"r@{name}"


def test_showqueue_pages_from_either_end(mta):
    mta.config("suspend_delivery = true")
    mta.send("a@test", [f"r{i}@example.com" for i in range(40)])
    whole = [row["recipient"] for row in mta.data("showqueue example.com")["Messages"]]
    assert sorted(whole) == sorted(f"r{i}@example.com" for i in range(40))
    for offset in (0, 1, 19, 20, 21, 39, 40, 1000):
        page = mta.data(f"showqueue example.com 3,{offset}")["Messages"]
        assert [row["recipient"] for row in page] == whole[offset:offset + 3]


def test_domain_shows_failures_and_times(mta):
    sink = mta.route()
    mta.send()
    mta.wait_log("D")
    [address] = mta.data("domain example.com")["mx"][0]["addresses"]
    assert address["connect_ms"] > 0 and address["deliver_ms"] > 0 and address["failed_s"] is None and address["next"]
    sink.stop()
    mta.sinks.remove(sink)
    mta.config("host_failure_retry = 60")
    mta.send()
    until(lambda: mta.data("domain example.com")["failures"] > 0, what="failure")
    text = mta.console("domain example.com")
    assert re.search(r"\nDomain has had \d+ consecutive connection failures\n", text)
    assert re.search(r"\n \* +\[127\.0\.0\.2\] IPv4 \([\d.]+ms con [\d.]+ms dlv\) [\d.]+s since failure\n", text)


def test_domain_says_in_words_what_it_waits_for(mta):
    mta.config('outbound_throttle_messages = "1/3600"')
    mta.route()
    for _ in range(3):
        mta.send()
    mta.wait_log("D")
    until(lambda: mta.data("domain example.com")["waiting"], what="queue that waits")
    text = mta.console("domain example.com")
    assert re.search(r"Waiting:\n        default: outbound_throttle_messages lets no more mail out, until 20\d\d-\d\d-\d\d "
                     r"\d\d:\d\d:\d\d \(in \d+ s\)\n", text), text
    [wait] = mta.data("domain example.com")["waiting"]
    assert wait["reason"] == "outbound_throttle_messages" and abs(wait["until"] - time.time() - wait["until_s"]) < 2
    assert wait["until_s"] > 1000


def test_words_beyond_ascii_come_as_they_are(mta):
    mta.route(rcpt=lambda path: "452 4.2.2 Postfach übervoll \udcff €")
    id = mta.send()
    mta.wait_log("T")
    until(lambda: mta.counters()["DelayedQueueSize"] == 1)
    assert "Code: 452 4.2.2 Postfach übervoll \udcff €\n" in mta.console(f"message details {id}")
    assert mta.data(f"message details {id}")["code"] == "452 4.2.2 Postfach übervoll \udcff €"


def test_message_details_and_body(mta):
    sink, ids = deferring(mta, 1)
    details = mta.details(ids[0])
    assert details["Message"] == ids[0] and details["Message Type"] == "full message"
    assert (details["Sender"], details["Recipient"], details["Code"], details["Retries"]) == ("a@test", "r0@example.com", "452 4.2.2 full", "1")
    assert details["Received Via"] == "SMTP 127.0.0.1 (IPv4)"
    assert mta.console(f"message details body {ids[0]}").endswith("Subject: test\r\n\r\ntest\r\n")
    assert mta.details("00/00-00000-00000000") is None
    with pytest.raises(AssertionError):
        mta.console("message details nonsense")


def test_details_do_not_change_the_queue(mta):
    """Reading back swapped-out mail leaves it where it was."""
    mta.config("drop_body_after_trans_fail = 0\nretry_interval = 4")
    sink, ids = deferring(mta)
    rows = mta.data("showqueue example.com")["Messages"]        # addresses are read from the spool
    assert sorted((row["sender"], row["recipient"]) for row in rows) == [("a@test", f"r{i}@example.com") for i in range(3)]
    assert not any("size" in row or "meta" in row for row in rows)
    for _ in range(3):
        for id in ids:
            assert mta.details(id)["Retries"] == "1"
            assert "Subject: test" in mta.console(f"message details full {id}")
    assert mta.counters()["DelayedQueueSize"] == 3
    sink.set(rcpt="250 OK")
    mta.wait_log("D", 3, 15)
    mta.wait_empty()


def test_summary_adds_up(mta):
    sink = mta.route(rcpt=lambda path: {"o": "250 OK", "f": "550 no", "l": "452 later"}[path[0]])
    for name in ("ok", "fail", "later"):
        for i in range(3):
            mta.send(rcpts=f"{name}{i}@example.com")
    mta.wait_log("D", 3), mta.wait_log("P", 3), mta.wait_log("T", 3)
    until(lambda: mta.counters()["DelayedQueueSize"] == 3)
    v = mta.counters()
    assert (v["ReceivedMessages"], v["DeliveredMessages"], v["FailedMessages"], v["TransientFailures"]) == (9, 3, 3, 3)
    assert v["ReceivedMessages"] == v["DeliveredMessages"] + v["FailedMessages"] + v["TotalQueueSize"]
    assert v["ActiveQueueSize"] == 0 and v["InboundConcurrency"] == 0
    assert "Received Messages:      9" in mta.console("summary")
    assert v["DNSResponseTimePeak"] > 0 and v["DNSResponseTimeAverage"] > 0 and v["DNSMXQueries"] == 1
    assert "DNSTXTQueries" not in v and "TXT" not in mta.console("summary")
    assert mta.console("summary reset") == "statistics cleared.\n"
    v = mta.counters()
    assert (v["DNSResponseTimePeak"], v["DNSResponseTimeAverage"], v["DNSMXQueries"], v["StatisticsLastReset"]) == (0, 0, 0, 0)
    assert (v["ReceivedMessages"], v["DeliveredMessages"], v["DelayedQueueSize"]) == (0, 0, 3)


def test_the_console_says_how_far_the_spool_is_read(mta):
    sink, ids = deferring(mta)
    assert "Disk Queue Progress" not in mta.console("summary")
    mta.stop()
    gate = mta.folder / "read"
    mta.env["EC_READ"] = str(gate)
    mta.extensions.append("tests.harness.slowstart")
    mta.start()
    found = re.search(r"\n        Disk Queue Progress:      0/ +(\d+) segments\n", mta.console("summary"))
    segments = int(found[1])
    assert segments and mta.data("summary")["DiskQueueProgress"] == f"     0/{segments:6}"
    told = until(lambda: [line for line in mta.paniclog() if "reading" in line], what="line in the paniclog")
    assert told == [f"SPOOL reading {segments} segment{'s' * (segments > 1)} of an earlier run"]
    gate.touch()
    until(lambda: "Disk Queue Progress" not in mta.console("summary"), what="end of reading")
    assert mta.data("summary")["DiskQueueProgress"].split("/")[1] == f"{segments:6}"
    assert mta.counters()["TotalQueueSize"] == 3
    until(lambda: any(re.fullmatch(r"SPOOL 3 messages queued from the spool, 0 quarantined, in [\d.]+ s", line)
                      for line in mta.paniclog()), what="line in the paniclog")


def test_logs_are_opened_anew(mta):
    mta.route()
    mta.send()
    mta.wait_log("D")
    for name in ("mainlog", "bouncelog", "rejectlog", "paniclog"):
        if (mta.folder / name).exists():
            os.rename(mta.folder / name, mta.folder / f"{name}.1")
    assert mta.console("reopen logs") == "logs reopened.\n"
    mta.send()
    mta.wait_log("D")
    assert len(mta.mainlog("R")) == 1 and len(mta.lines("mainlog.1")) == 2


def test_reload_keeps_the_old_configuration_on_an_error(mta):
    mta.start()
    mta.text = "max_bad_commands = many"
    mta.write_config()
    with pytest.raises(AssertionError, match="ecelerity.conf:.*max_bad_commands"):
        mta.console("config reload")
    mta.process.send_signal(signal.SIGHUP)
    mta.expect_panic("CONFIG reload refused: *")
    until(lambda: any("reload refused" in line for line in mta.paniclog()))
    mta.route()
    mta.send()


def test_notices_that_a_signal_brings_are_in_the_paniclog(mta):
    mta.config("use_dane = true")
    mta.start()
    mta.text = "use_dane = true\nalias_schemes = ( a )"
    mta.write_config()
    mta.expect_panic("CONFIG *")
    mta.process.send_signal(signal.SIGHUP)
    until(lambda: any("alias_schemes is not read yet" in line for line in mta.paniclog()))
    assert sum("use_dane is not read yet" in line for line in mta.paniclog()) == 1


@pytest.mark.parametrize("address", ["/proc/nope/x", "127.0.0.1:{}"])
def test_reload_whose_console_cannot_be_had_changes_nothing(mta, address):
    mta.config("max_retries = 3")
    mta.start()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = address.format(taken.getsockname()[1])
        mta.text = f'max_retries = 4\nControl_Listener {{ file_mode = 0600 Listen "{mta.folder}/console" {{ }} Listen "{address}" {{ }} }}'
        mta.write_config()
        for _ in range(2):
            with pytest.raises(AssertionError, match="Reconfigure failed\ncannot listen on"):
                mta.console("config reload")
            assert mta.console("config eval max_retries") == "max_retries = 3\n"
    mta.console("config set max_retries 5")
    assert mta.console("config eval max_retries") == "Max_Retries = 5\n"


def test_reload_opens_and_closes_listeners(mta):
    mta.start()
    other = free_port()
    mta.config('ESMTP_Listener { Listen "127.0.0.1:$port" { } Listen "127.0.0.1:%d" { } }' % other)
    with SMTPClient(port=other):
        pass
    mta.config('ESMTP_Listener { Listen "127.0.0.1:%d" { } }' % other)
    with SMTPClient(port=other):
        pass

    def closed():
        try:
            SMTPClient(port=mta.port).connect().close()
        except (ConnectionError, AssertionError):
            return True
    until(closed, what="end of the listener")


@pytest.mark.parametrize("busy", [False, True])
def test_shutdown_lets_sessions_finish(mta, busy):
    mta.route()
    with mta.smtp() as c:
        if busy:
            c.command("MAIL FROM:<a@test>")
            c.expect("250 *")
        assert mta.console("shutdown") == "shutting down.\n"
        if not busy:
            c.expect("421 4.3.2 *")
            c.expect_closed()
        else:
            time.sleep(0.5)
            c.command("RCPT TO:<b@example.com>")
            c.expect("250 *")
            c.command("DATA")
            c.expect("354 *")
            c.send(b"Subject: x\r\n\r\n.\r\n")
            c.expect("250 2.0.0 OK *")
    assert mta.process.wait(20) == 0
    mta.process = None
    mta.start()
    if busy:
        mta.wait_log("D")


def test_descriptors_are_raised_as_far_as_the_system_goes(monkeypatch):
    most, asked = int(Path("/proc/sys/fs/nr_open").read_text()), []

    def setrlimit(_, limits):
        if max(limits) > most:
            raise ValueError("not allowed to raise maximum limit")
        asked.append(limits)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 20000))
    monkeypatch.setattr(resource, "setrlimit", setrlimit)
    Server.raise_descriptors(100 * most)
    Server.raise_descriptors(5000)
    assert asked == [(most, most), (5000, 20000)]


def test_version_pid_and_the_tool(mta):
    mta.start()
    assert mta.data("pid")["pid"] == mta.process.pid
    assert mta.console("version").startswith("Ecelerity Version: ")
    done = subprocess.run([sys.executable, "-m", "pymomentum.commands.ec_console", str(mta.folder / "console"), "summary"], cwd=ROOT,
                          capture_output=True, text=True)
    if done.returncode == 0 and done.stdout:
        assert done.stdout.startswith("Summary Statistics\n")
    assert "Traceback" not in done.stderr


def test_body_of_a_message_that_came_back_due_is_shown_and_it_stays_queued(mta):
    """Its time to be tried again has passed while the server was down: it waits in the active queue, not in the delayed one."""
    mta.dns({"example.com": {"A": ["127.0.0.2"]}})
    mta.config("retry_interval = 1")
    id = mta.send(data=b"Subject: due\r\n\r\nhere it is\r\n")
    mta.wait_log("T")
    mta.stop()
    time.sleep(2.1)
    mta.config("suspend_delivery = true")
    mta.start()
    until(lambda: mta.counters()["ActiveQueueSize"] == 1)
    for _ in range(3):
        assert "here it is" in mta.console(f"message details body {id}")
    assert (mta.counters()["ActiveQueueSize"], mta.counters()["DelayedQueueSize"]) == (1, 0)
    sink = mta.sink("127.0.0.2")
    mta.config("delayed_queue_scan_interval = 1\nhost_failure_retry = 1")
    sink.wait(messages=1)
