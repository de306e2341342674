"""Security: who a server is that root starts, what it may do, and which files it obeys."""
import grp
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.harness.mta import ROOT, Mta
from tests.harness.port import free_port
from tests.harness.smtp import SMTPClient
from tests.harness.wait import until

pytestmark = pytest.mark.root
NOBODY, NOGROUP = pwd.getpwnam("nobody").pw_uid, grp.getgrnam("nogroup").gr_gid
SECURITY = "Security { user = nobody group = nogroup %s }\n"
BIND, RAW = 1 << 10, 1 << 13            # capabilities


@pytest.fixture
def mta():
    """In a folder that others than root reach."""
    folder = tempfile.mkdtemp(prefix="security-")
    os.chmod(folder, 0o755)
    mta = Mta(folder)
    yield mta
    try:
        mta.close()
    finally:
        shutil.rmtree(folder)


def status(pid):
    """Numbers of /proc/<pid>/status by name."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: words.split() for name, _, words in (line.partition(":") for line in lines)}


def refused(mta):
    """What a start that fails says."""
    mta.dns({})
    mta.write_config()
    done = subprocess.run([sys.executable, "-m", "pymomentum.server", "-c", mta.path], cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    return done.stderr


@pytest.mark.shows("user", "group")
def test_server_becomes_the_user(mta):
    mta.expect_panic("START not started as root*")
    mta.route()
    mta.config()
    mta.start()
    assert status(mta.process.pid)["Uid"] == ["0"] * 4 and [line for line in mta.paniclog() if line.startswith("START running as root")]
    mta.send()
    mta.wait_log("D")
    mta.stop()
    for name in "mainlog", "paniclog":
        assert (mta.folder / name).stat().st_uid == 0
    (mta.folder / "paniclog").unlink()

    mta.config(SECURITY % "")            # what root left is the user's now
    mta.start()
    for task in Path(f"/proc/{mta.process.pid}/task").iterdir():
        found = status(task.name)
        assert (found["Uid"], found["Gid"], found["Groups"]) == ([str(NOBODY)] * 4, [str(NOGROUP)] * 4, [])
        assert int(found["CapEff"][0], 16) == int(found["CapPrm"][0], 16) == BIND
    mta.send()
    mta.wait_log("D", 2)
    for path in mta.folder / "mainlog", mta.folder / "console", *(mta.folder / "spool").rglob("*"):
        assert (path.stat().st_uid, path.stat().st_gid) == (NOBODY, NOGROUP), path
    assert not [line for line in mta.paniclog() if line.startswith("START running as root")]


def listens(port):
    return f'ESMTP_Listener {{ Listen "127.0.0.1:$port" {{ }} Listen "127.0.0.1:{port}" {{ }} }}\n'


def test_server_with_a_high_nice_number_reloads(mta):
    """Who is not root may not go below it."""
    mta.config(SECURITY % "" + "max_retries = 3")
    mta.start()
    for task in os.listdir(f"/proc/{mta.process.pid}/task"):
        os.setpriority(os.PRIO_PROCESS, int(task), 19)
    mta.config(SECURITY % "" + "max_retries = 4")
    assert mta.console("config eval max_retries") == "max_retries = 4\n"


@pytest.mark.shows("capabilities")
@pytest.mark.parametrize("text, bits, binds", [("", BIND, True), ("capabilities = cap_net_raw+ep", RAW, False),
                                               ('capabilities = "cap_net_raw+ep cap_net_bind_service+ep"', RAW | BIND, True)])
def test_capabilities_that_stay(mta, text, bits, binds):
    port = free_port(ports=range(600, 1024))         # only root may listen there
    mta.config(SECURITY % text)
    mta.start()
    assert int(status(mta.process.pid)["CapEff"][0], 16) == bits
    if binds:
        mta.config(SECURITY % text + listens(port))
        with SMTPClient(port=port):
            pass
    else:
        with pytest.raises(AssertionError, match="cannot listen on 127.0.0.1"):
            mta.config(SECURITY % text + listens(port))
    mta.stop()
    mta.config(SECURITY % text + listens(port))         # bound before the change of user
    mta.start()
    with SMTPClient(port=port):
        pass


@pytest.mark.shows("supplemental_groups")
@pytest.mark.parametrize("text, groups", [("", []), ("supplemental_groups = ( mail 8 daemon )", ["1", "8"])])
def test_further_groups(mta, text, groups):
    mta.config(SECURITY % text)
    assert sorted(set(status(mta.start().process.pid)["Groups"])) == groups


@pytest.mark.parametrize("text, line", [
    ("user = nosuch group = nogroup", "there is no user nosuch"), ("user = nobody group = nosuch", "there is no group nosuch"),
    ("user = nobody group = nogroup supplemental_groups = ( mail nosuch )", "there is no group nosuch"),
    ("user = nobody group = nogroup capabilities = cap_fly+ep", "no set of capabilities is written cap_fly+ep"),
    ("user = ² group = nogroup", "there is no user ²"), ("user = nobody group = 4294967295", "there is no group 4294967295"),
    ("user = nobody group = nogroup chroot = /no/such", "cannot make /no/such the root folder: No such file or directory")])
def test_who_cannot_be_is_told_at_start(mta, text, line):
    mta.config(f"Security {{ {text} }}")
    said = refused(mta)
    assert line in said and "Traceback" not in said


@pytest.mark.shows("chroot")
def test_root_folder(mta):
    places = ("spoolbase = /spool\npidfile = /pid\nresolv_conf = /resolv.conf\n"
              "ec_logger { mainlog = /mainlog rejectlog = /rejectlog paniclog = /paniclog }\nbounce_logger { bouncelog = /bouncelog }\n"
              'Control_Listener { file_mode = 0600 Listen "/console" { } }\n')
    mta.route()
    mta.config(SECURITY % "chroot = $folder" + places)
    mta.start()
    assert os.path.samefile(f"/proc/{mta.process.pid}/root", mta.folder)
    mta.send()
    mta.wait_log("D")
    for path in mta.folder, mta.path:
        os.chown(path, NOBODY, NOGROUP)
    mta.console("config set retry_interval 77")                     # files are written where they are found from inside
    mta.console("config writeback")
    assert mta.path.read_text().count("Retry_Interval = 77\n") == 1
    mta.config(SECURITY % "chroot = $folder" + places + "allow_null_envelope_sender = false")       # a reload reads it from inside
    with mta.smtp() as c:
        c.command("MAIL FROM:<>")
        c.expect("550 *")
    mta.stop()
    mta.config(SECURITY % "")
    assert os.path.samefile(f"/proc/{mta.start().process.pid}/root", "/")


@pytest.mark.parametrize("mode, uid, gid, more, fine", [
    (0o644, 0, 0, "", True), (0o664, 0, 0, "", True), (0o646, 0, 0, "", False), (0o664, 0, NOGROUP, "", False), (0o644, NOBODY, 0, "", False),
    (0o664, NOBODY, NOGROUP, SECURITY % "", True), (0o666, NOBODY, NOGROUP, SECURITY % "", False)])
def test_root_obeys_no_file_that_others_may_write(mta, mode, uid, gid, more, fine):
    part = mta.folder / "part.conf"
    part.write_text("retry_interval = 60\n")
    os.chown(part, uid, gid)
    part.chmod(mode)
    mta.config(f'include "{part}"\n{more}')
    mta.write_config()
    checked = subprocess.run([sys.executable, "-m", "pymomentum.commands.validate_config", "-c", mta.path], cwd=ROOT, capture_output=True)
    assert checked.returncode == (0 if fine else 1)
    if fine:
        mta.start()
    else:
        assert "others may write this file; root does not read it" in refused(mta) and str(part) in refused(mta)


def test_server_ends_with_its_supervisor_as_another_user_too(mta):
    mta.dns({})
    mta.config(SECURITY % "")
    mta.write_config()
    supervisor = subprocess.Popen([sys.executable, "-m", "pymomentum.commands.ecelerity", "-d", "-c", mta.path], cwd=ROOT,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: listening(mta.port), 20, "server")
        [server] = [int(pid) for pid in Path(f"/proc/{supervisor.pid}/task/{supervisor.pid}/children").read_text().split()]
        until(lambda: status(server)["Uid"][0] == str(NOBODY), what="change of user")
        time.sleep(0.5)
    finally:
        supervisor.send_signal(signal.SIGKILL)
        supervisor.wait()
    until(lambda: not Path(f"/proc/{server}").exists() or status(server)["State"][0] == "Z", 10, "end of the server")


def listening(port):
    try:
        with SMTPClient(port=port):
            return True
    except OSError:
        return False
