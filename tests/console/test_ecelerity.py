"""ecelerity, ec_ctl and ec_console with the real server."""
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pymomentum.console.client import Client
from pymomentum.errors import ConsoleError
from pymomentum.pidfile import running
from tests.harness.port import free_port
from tests.harness.smtp import SMTPClient
from tests.harness.wait import until

ROOT = Path(__file__).resolve().parents[2]


class Site:
    """A folder with a configuration, and the commands that are run in it."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.write("")

    def write(self, further):
        (self.folder / "ecelerity.conf").write_text(f"""
            spoolbase = spool
            spool_segment_size = 1048576
            pidfile = run/pid
            relay_hosts ( 127.0.0.0/8 )
            gateway = "127.0.0.1:1"
            ESMTP_Listener {{ Listen "127.0.0.1:{self.port}" {{ }} }}
            Control_Listener {{ Listen "run/2025" {{ file_mode = 0600 }} }}
            ec_logger {{
                mainlog = mainlog.ec
                paniclog = paniclog.ec
                rejectlog = rejectlog.ec
            }}
            bounce_logger {{
                bouncelog = bouncelog.ec
            }}
            {further}
        """)

    def command(self, name, *args, **env):
        return subprocess.run([sys.executable, "-m", f"pymomentum.commands.{name}", *args], cwd=self.folder, timeout=20,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              env={**os.environ, "PYTHONPATH": str(ROOT), "CONFFILE": "ecelerity.conf", **env})

    def ctl(self, verb):
        done = self.command("ec_ctl", verb)
        return done.returncode, (done.stdout + done.stderr).splitlines()[-1]

    def ask(self, command):
        with Client(str(self.folder / "run" / "2025")) as client:
            return client.ask(command)

    def pid(self):
        return int(self.ask("pid")[0])

    def paniclog(self):
        return (self.folder / "paniclog.ec").read_text()


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path)
    yield site
    supervisor = running(str(tmp_path / "run" / "pid"))
    if supervisor:
        os.kill(supervisor, signal.SIGTERM)
        os.kill(supervisor, signal.SIGTERM)
        until(lambda: not running(str(tmp_path / "run" / "pid")), timeout=30, what="end of the server")


def test_ec_ctl_starts_and_stops_a_server(site):
    assert site.ctl("status") == (3, "ecelerity is not running")
    assert site.ctl("stop") == (0, "ecelerity is not running")
    code, said = site.ctl("start")
    supervisor = running(str(site.folder / "run" / "pid"))
    assert (code, said) == (0, f"ecelerity started (pid {supervisor})")
    assert site.ctl("start") == (0, f"ecelerity is already running (pid {supervisor})")
    assert site.ctl("status") == (0, f"ecelerity is running (pid {supervisor})")
    first = site.pid()
    assert first != supervisor
    assert site.ctl("restart")[0] == 0
    assert site.pid() != first
    assert site.ctl("stop") == (0, "ecelerity stopped")
    assert not (site.folder / "run" / "pid").exists() and not (site.folder / "run" / "2025").exists()


@pytest.mark.parametrize("mistake", ["foo = 1", "tls = maybe", "Domain a.test {", 'relay_hosts ( "a'])
def test_ec_ctl_tells_and_stops_a_server_whose_configuration_has_mistakes_by_now(site, mistake):
    assert site.ctl("start")[0] == 0
    supervisor = running(str(site.folder / "run" / "pid"))
    site.write(mistake)
    assert site.ctl("status") == (0, f"ecelerity is running (pid {supervisor})")
    done = site.command("ec_ctl", "restart")
    assert done.returncode == 1 and "ecelerity.conf:" in done.stderr and done.stderr.endswith("ec_ctl: the configuration has errors\n")
    assert running(str(site.folder / "run" / "pid")) == supervisor
    assert site.ctl("stop") == (0, "ecelerity stopped")
    assert site.ctl("status") == (3, "ecelerity is not running")


def test_ec_ctl_asks_the_console_where_the_pidfile_has_another_name_by_now(site):
    assert site.ctl("start")[0] == 0
    site.write("pidfile = run/other")
    assert site.ctl("status") == (0, f"ecelerity is running (pid {site.pid()})")
    assert site.ctl("stop") == (0, "ecelerity stopped")
    until(lambda: not running(str(site.folder / "run" / "pid")))
    assert site.ctl("status") == (3, "ecelerity is not running")


def test_ec_ctl_needs_no_configuration_where_control_is_set(site):
    assert site.ctl("start")[0] == 0
    where = {"CONTROL": str(site.folder / "run" / "2025"), "CONFFILE": "none.conf"}
    assert site.command("ec_ctl", "status", **where).stdout == f"ecelerity is running (pid {site.pid()})\n"
    assert site.command("ec_ctl", "stop", **where).stdout == "ecelerity stopped\n"
    until(lambda: not running(str(site.folder / "run" / "pid")))
    assert "none.conf: no such file" in site.command("ec_ctl", "status", **where).stderr


def test_queued_mail_is_seen_in_the_console_and_survives_a_crash(site):
    assert site.ctl("start")[0] == 0
    with SMTPClient("127.0.0.1", site.port) as smtp:
        smtp.send_mail("a@test", "b@example.com")
    until(lambda: site.ask("mailq")[0].endswith("       0       1\n"), what="delayed message")
    domain = site.ask("mailq")[0].splitlines()[2].split()[1]
    row = site.ask(f"showqueue {domain}")[0]
    assert row.startswith("[delayed/default] ") and row.endswith("  From: <a@test> To: <b@example.com>\n")
    details = site.ask(f"message details {row.split()[1]}")[0]
    assert f"Message: {row.split()[1]}\n" in details and "             Recipient: b@example.com\n" in details
    assert "Code: 451 4.4.1 [internal] No valid hosts" in details
    assert "\r\n\r\n" in site.ask(f"message details body {row.split()[1]}")[0]
    assert "        Received Messages:      1\n" in site.ask("summary")[0]
    assert f"Domain '{domain}' has " in site.ask(f"domain {domain}")[0]

    killed = site.pid()
    os.kill(killed, signal.SIGKILL)
    until(lambda: f"server (pid {killed}) died of SIGKILL" in site.paniclog(), what="line in the paniclog")
    until(lambda: not Path(f"/proc/{killed}").exists())
    until(lambda: answers(site) and site.ask("mailq")[0].endswith("       0       1\n"), what="restart")
    assert site.pid() != killed
    assert row.split()[1] in site.ask(f"showqueue {domain}")[0]
    assert "died of SIGKILL" in site.ask("paniclog")[0]


def answers(site):
    try:
        return site.pid()
    except ConsoleError:
        return None


def test_reload_by_signal_and_console(site):
    assert site.ctl("start")[0] == 0
    supervisor = running(str(site.folder / "run" / "pid"))
    site.write("no_such_option = 1")
    text, status = site.ask("config reload")
    assert status == 1 and 'ecelerity.conf:' in text and "no_such_option" in text
    os.kill(supervisor, signal.SIGHUP)
    until(lambda: "no_such_option" in site.paniclog(), what="refusal in the paniclog")
    site.write('Control_Listener { Listen "run/second" { } }')
    assert site.ask("config reload") == ("configuration reloaded.\n", 0)
    with Client(str(site.folder / "run" / "second")) as client:
        assert client.ask("pid")[0] == site.ask("pid")[0]


def test_logs_are_reopened(site):
    assert site.ctl("start")[0] == 0
    (site.folder / "mainlog.ec").rename(site.folder / "mainlog.1")
    assert site.ask("reopen logs")[1] == 0
    until(lambda: (site.folder / "mainlog.ec").exists(), what="new mainlog")


def test_console_shutdown_ends_the_supervisor_too(site):
    assert site.ctl("start")[0] == 0
    assert site.ask("shutdown") == ("shutting down.\n", 0)
    until(lambda: not running(str(site.folder / "run" / "pid")), timeout=40, what="end of the supervisor")
    assert "died" not in site.paniclog()


def test_a_port_in_use_is_told_at_once(site):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", site.port))
        taken.listen()
        for arguments in (["-d"], []):
            done = site.command("ecelerity", "-c", "ecelerity.conf", *arguments)
            assert done.returncode == 1
            assert f"ecelerity: cannot listen on 127.0.0.1:{site.port}: Address already in use" in done.stderr
            assert "Traceback" not in done.stderr
        assert site.ctl("start") == (1, "ec_ctl: ecelerity did not start")
        assert not (site.folder / "run" / "pid").exists()


def scripts(site, **texts):
    folder = site.folder / "bin" / "rc.includes"
    folder.mkdir(parents=True)
    for name, text in texts.items():
        (folder / name.replace("_", ".", 1)).write_text(text)


def test_ec_ctl_includes_the_scripts_of_rc_includes(site):
    scripts(site, start_a="SPOOL=spool\nexport SITE=\"a place\"\necho from a\nfalse\n",
            start_b="echo $SPOOL $SITE >b.out; TRY=20; export LATER='two\nlines'; EXTRA_ARGS='-n queue'\n",
            startless="echo never >never.out\n", stop_c="echo stopped for $SITE >c.out\n")
    bindir = str(site.folder / "bin")
    done = site.command("ec_ctl", "start", BINDIR=bindir)
    assert done.returncode == 0 and "from a\n" in done.stderr
    assert (site.folder / "b.out").read_text() == "spool a place\n"
    environ = Path(f"/proc/{site.pid()}/environ").read_bytes().split(b"\0")
    assert {b"SITE=a place", b"LATER=two\nlines", b"TRY=20"} <= set(environ)
    (site.folder / "b.out").unlink()
    assert site.command("ec_ctl", "start", BINDIR=bindir).returncode == 0       # it runs: nothing is to be done
    assert not (site.folder / "b.out").exists()
    done = site.command("ec_ctl", "stop", BINDIR=bindir, SITE="good")
    assert done.returncode == 0 and (site.folder / "c.out").read_text() == "stopped for good\n"
    assert not (site.folder / "never.out").exists()


def test_a_script_may_forbid_the_start(site):
    scripts(site, start_mount="echo Spool filesystem not mounted, aborting.\nexit 3\n", start_z="echo never >never.out\n")
    done = site.command("ec_ctl", "start", BINDIR=str(site.folder / "bin"))
    assert done.returncode == 1
    assert done.stderr == ("Spool filesystem not mounted, aborting.\n"
                           f"ec_ctl: {site.folder}/bin/rc.includes/start.mount ended with exit code 3\n")
    assert not (site.folder / "never.out").exists() and site.ctl("status")[0] == 3


@pytest.mark.parametrize("service, listens", [("esmtp", [False, True]), ("control", [True, False]), ("ecstream", [True, True])])
def test_a_service_is_left_out(site, service, listens):
    server = subprocess.Popen([sys.executable, "-m", "pymomentum.commands.ecelerity", "-c", "ecelerity.conf", "-d", "-s", "-n", service],
                              cwd=site.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        assert server.stdout.readline() == "ready\n"
        with socket.socket() as smtp, socket.socket(socket.AF_UNIX) as console:
            assert [smtp.connect_ex(("127.0.0.1", site.port)) == 0,
                    console.connect_ex(str(site.folder / "run" / "2025")) == 0] == listens
    finally:
        server.terminate()
        _, said = server.communicate(timeout=30)
    assert server.returncode == 0 and said == "ecelerity: -s has no effect: nothing is known that it should change\n"


def test_without_the_queue_nothing_is_delivered(site):
    site.write("Domain example.com { suspend_delivery = false }")
    done = site.command("ec_ctl", "start", EXTRA_ARGS="-n queue")
    assert done.returncode == 0
    with SMTPClient("127.0.0.1", site.port) as smtp:
        smtp.send_mail("a@test", "b@example.com")
        smtp.expect("250 2.0.0 OK *")
    for _ in range(2):
        assert " suspend_delivery is set\n" in site.ask("domain " + site.ask("mailq")[0].splitlines()[2].split()[1])[0]
        assert site.ask("config reload")[1] == 0
    assert site.ask("mailq")[0].endswith("       1       0\n")


def test_an_unknown_service_is_an_error(site):
    done = site.command("ecelerity", "-n", "smpt")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("ecelerity: error: argument -n: invalid choice: 'smpt' (choose from 'esmtp', ")
