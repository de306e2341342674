"""ec_logger and bounce_logger: which lines are written, where, and with which permissions."""
import os
import stat
import subprocess
import sys
import time

import pytest

from tests.harness.mta import ROOT
from tests.harness.wait import until

EC = "ec_logger { mainlog = $folder/mainlog rejectlog = $folder/rejectlog paniclog = $folder/paniclog %s }\n"
BOUNCES = "bounce_logger { bouncelog = $folder/bouncelog %s }\n"
ANSWERS = {"good": "250 OK", "full": "452 4.2.2 full", "gone": "550 5.1.1 gone"}


def a_little_of_each(mta):
    """A delivery, a transient and a permanent failure, a rejection; all are over when it returns."""
    if not mta.sinks:
        mta.route(rcpt=lambda path: ANSWERS[path.split("@")[0]])
    before = mta.counters()
    mta.send(rcpts=[f"{name}@example.com" for name in ANSWERS])
    with mta.smtp() as c:
        c.command("WHAT")
        c.expect("500 *")

    def over():
        now = mta.counters()
        return all(now[name] > before[name] for name in ("DeliveredMessages", "TransientFailures", "FailedMessages", "RejectedMessages"))
    until(over, what=lambda: f"all outcomes: {mta.counters()}")


def kinds(mta):
    """What stands in the logs: R D T P of the mainlog, B t of the bouncelog, J of the rejectlog."""
    found = {r.kind for r in mta.mainlog()} | {r.kind for r in mta.bouncelog()} | {"t" for r in mta.bouncelog("T")}
    return "".join(sorted(found | {"J" for r in mta.rejectlog()}))


ALL = "BDJPRTt"
EC_SWITCHES = {"log_receptions": "R", "log_deliveries": "D", "log_transient_failures": "T", "log_permanent_failures": "P",
               "log_rejections": "J", "enabled": "RDTPJ"}
BOUNCE_SWITCHES = {"log_inband_bounces": "B", "log_transient_failures": "t", "enabled": "Bt"}


@pytest.mark.shows("ec_logger.log_receptions", "ec_logger.log_deliveries", "ec_logger.log_transient_failures",
                   "ec_logger.log_permanent_failures", "ec_logger.log_rejections", "ec_logger.enabled",
                   "bounce_logger.log_inband_bounces", "bounce_logger.log_transient_failures", "bounce_logger.enabled")
@pytest.mark.parametrize("module, switches", [(EC, EC_SWITCHES), (BOUNCES, BOUNCE_SWITCHES)], ids=["ec_logger", "bounce_logger"])
def test_kind_of_line_is_switched_off_and_on_by_a_reload(mta, module, switches):
    for option, missing in switches.items():
        for said, wanted in (("false", "".join(kind for kind in ALL if kind not in missing)), ("true", ALL)):
            mta.config(module % f"{option} = {said}")
            for log in ("mainlog", "rejectlog", "bouncelog"):
                if (mta.folder / log).exists():
                    os.truncate(mta.folder / log, 0)
            a_little_of_each(mta)
            until(lambda: kinds(mta) == wanted, what=lambda: f"{wanted} for {option} = {said}: {kinds(mta)}")


def test_module_that_is_switched_off_leaves_its_files_alone(mta):
    mta.config(EC % "")
    a_little_of_each(mta)
    until(lambda: "J" in kinds(mta))
    mta.config(EC % "enabled = off")
    size = os.path.getsize(mta.folder / "mainlog")
    a_little_of_each(mta)
    mta.console("reopen logs")
    assert os.path.getsize(mta.folder / "mainlog") == size


@pytest.mark.shows("ec_logger.log_errors")
def test_errors_are_switched_off_and_on(mta):
    mta.config(EC % "log_errors = false" + "license = /nowhere")
    mta.start()
    assert mta.paniclog() == []
    mta.restart()
    mta.config(EC % "log_errors = true" + "license = /nowhere")
    mta.restart()
    until(lambda: len([line for line in mta.paniclog() if line.startswith("CONFIG ")]) == 1)


@pytest.mark.shows("ec_logger.heartbeat", "bounce_logger.heartbeat")
def test_heartbeats_come_as_often_as_told(mta):
    mta.config(EC % "heartbeat = 0" + BOUNCES % "heartbeat = 0")
    mta.start()
    time.sleep(1.2)
    assert mta.lines("mainlog") == mta.lines("rejectlog") == mta.lines("bouncelog") == []
    mta.config(EC % "heartbeat = 1" + BOUNCES % "heartbeat = 0")
    until(lambda: len(mta.mainlog("M")) >= 2 and "Marker 1" in mta.lines("rejectlog")[0], 4)
    assert mta.lines("bouncelog") == []
    mta.config(EC % "heartbeat = 0" + BOUNCES % "heartbeat = 1")
    until(lambda: mta.bouncelog("M1"), 4)


def mode(mta, log):
    return stat.S_IMODE(os.stat(mta.folder / log).st_mode)


@pytest.mark.shows("ec_logger.mainlog_mode", "ec_logger.rejectlog_mode", "ec_logger.paniclog_mode", "bounce_logger.bouncelog_mode")
def test_permissions_of_a_log_are_those_of_its_option_and_of_no_other(mta):
    one = {"mainlog": 0o600, "rejectlog": 0o620, "paniclog": 0o640, "bouncelog": 0o660}
    other = {log: at + 4 for log, at in one.items()}
    for modes in (one, other):          # at start, and by a reload
        said = {log: f"{log}_mode = {at:04o}" for log, at in modes.items()}
        bounce = said.pop("bouncelog")
        mta.config(EC % " ".join(said.values()) + BOUNCES % bounce)
        mta.start()
        assert {log: mode(mta, log) for log in modes} == modes
    for log in other:
        os.rename(mta.folder / log, mta.folder / f"{log}.1")
    mta.console("reopen logs")          # so do files that it makes
    until(lambda: all((mta.folder / log).exists() for log in other))
    assert {log: mode(mta, log) for log in other} == other


@pytest.mark.shows("ec_logger.mainlog", "ec_logger.rejectlog", "ec_logger.paniclog", "bounce_logger.bouncelog")
def test_logs_go_where_their_options_say_from_a_reload_on(mta):
    text = ("ec_logger {{ mainlog = $folder/{0}/main rejectlog = $folder/{0}/reject paniclog = $folder/{0}/panic }}\n"
            "bounce_logger {{ bouncelog = $folder/{0}/bounce }}\nlicense = /{0}")
    names = ["bounce", "main", "panic", "reject"]
    mta.config(text.format("one"))
    a_little_of_each(mta)
    one, two = mta.folder / "one", mta.folder / "two"
    until(lambda: all(mta.lines(f"one/{name}") for name in names))
    mta.config(text.format("two"))
    sizes = [os.path.getsize(one / name) for name in names]
    assert sorted(os.listdir(two)) == names
    a_little_of_each(mta)
    mta.console("config reload")
    until(lambda: all(mta.lines(f"two/{name}") for name in ("bounce", "main", "reject")))
    assert [os.path.getsize(one / name) for name in names] == sizes
    (mta.folder / "open").touch()
    mta.path.write_text(mta.path.read_text().replace("/two", "/open"))
    mta.process.send_signal(1)          # a reload that is refused says so where the paniclog is
    until(lambda: any("cannot write mainlog" in line for line in mta.lines("two/panic")))


def test_logs_that_go_elsewhere_make_no_files_and_another_stanza_writes(mta):
    mta.config('ec_logger "cluster" { mainlog = "cluster:///var/log/x=>master" rejectlog = "jlog://x=>y" paniclog = "cluster://z" }\n'
               'ec_logger "local" { mainlog = $folder/mainlog rejectlog = $folder/rejectlog paniclog = $folder/paniclog }\n'
               'bounce_logger { bouncelog = "cluster:///var/log/bounces=>master" }')
    a_little_of_each(mta)
    until(lambda: kinds(mta) == "DJPRT", what=lambda: kinds(mta))
    assert not [name for folder in (mta.folder, ROOT) for name in os.listdir(folder) if name.startswith(("cluster", "jlog"))]


def test_log_that_cannot_be_written_refuses_the_reload(mta):
    mta.config(EC % "")
    a_little_of_each(mta)
    (mta.folder / "file").touch()
    with pytest.raises(AssertionError, match="cannot write rejectlog .*/file/no: File exists"):
        mta.config("ec_logger { mainlog = $folder/other rejectlog = $folder/file/no paniclog = $folder/paniclog }\nretry_interval = 1")
    before = len(mta.mainlog())
    mta.send(rcpts="good@example.com")
    until(lambda: len(mta.mainlog()) > before)          # the old configuration goes on
    assert mta.console("config eval retry_interval").endswith("1200\n")


@pytest.mark.parametrize("said, named", [
    ("", []), ("Domain x.test { tls = no bounce_pattern = x }", ["bounce_pattern"]),
    ("ec_logger { acctlog = a log_errors = on }", ["acctlog of ec_logger"]),
    ("bounce_logger { log_outofband_bounces = off }", ["log_outofband_bounces of bounce_logger"]),
])
def test_options_that_nobody_reads_are_named(tmp_path, said, named):
    path = tmp_path / "ecelerity.conf"
    path.write_text(said)
    told = subprocess.run([sys.executable, "-m", "pymomentum.commands.validate_config", "-c", path], cwd=ROOT, text=True,
                          capture_output=True, check=True).stdout
    assert told.splitlines() == [f"notice: {path}:1: {name} is not read yet" for name in named] + ["Configuration valid"]


def test_pipe_is_a_log_where_somebody_reads_it(mta):
    pipe = mta.folder / "pipe"
    os.mkfifo(pipe)
    mta.route()
    mta.start()
    with pytest.raises(AssertionError, match="cannot write mainlog .*/pipe: nobody reads this pipe"):
        mta.console(f"config set ec_logger mainlog {pipe}")
    with open(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as reader:
        mta.console(f"config set ec_logger mainlog {pipe}")
        mta.send()
        seen = []
        until(lambda: seen.append(reader.read() or b"") or b"@D@" in b"".join(seen))
