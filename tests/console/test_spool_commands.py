"""ec_show and ec_spool_check, on spools of a server that runs, has stopped, or was hurt."""
import json
import time

import pytest

from pymomentum.commands import ec_show, ec_spool_check


@pytest.fixture
def queued(mta):
    """A server with three messages that wait, one of them large; answers their ids."""
    mta.route(rcpt="452 4.2.2 later")
    mta.config("retry_interval = 600\n large_message_threshold = 65536")
    ids = [mta.send(f"{name}@test", f"to.{name}@example.com", f"Subject: {name}\r\n\r\nhello {name}\r\n".encode()) for name in ("ann", "bob")]
    ids.append(mta.send("big@test", "to.big@example.com", b"Subject: big\r\n\r\n" + (b"x" * 70 + b"\r\n") * 2000))
    mta.wait_log("T", 3)
    time.sleep(0.3)
    return ids


def show(mta, capsys, *arguments):
    code = ec_show.main(["-c", str(mta.path), *arguments])
    return code, capsys.readouterr().out


def check(mta, capsys, *arguments):
    code = ec_spool_check.main([*arguments, str(mta.folder / "spool")])
    return code, *capsys.readouterr()


def test_show_beside_a_running_server(mta, queued, capsys):
    assert show(mta, capsys, "-n") == (0, "3\n")
    code, text = show(mta, capsys, "-m", queued[0])
    lines = text.splitlines()
    assert code == 0 and lines[0] == f"Message: {queued[0]}" and lines[1].startswith("  ID: (slot: ")
    assert "  Swapped: Yes" in lines and "  Retries: 1" in lines and "  Sender: ann@test" in lines
    assert "  Code: 452 4.2.2 later" in lines and lines[-3:] == ["hello ann", ".", ""]
    assert mta.counters()["TotalQueueSize"] == 3


def test_show_by_address_and_date(mta, queued, capsys):
    assert show(mta, capsys, "--sender", "^BOB@", "-n") == (0, "1\n")
    assert show(mta, capsys, "--recipient", "to[.](ann|big)", "-n") == (0, "2\n")
    today = time.strftime("%Y-%m-%d")
    assert show(mta, capsys, "--start_date", today, "--end_date", today, "-n") == (0, "3\n")
    assert show(mta, capsys, "--end_date", "2020-01-01 12:00", "-n") == (0, "0\n")
    assert json.loads(show(mta, capsys, "--sender", "big", "--json")[1])["recipient"] == "to.big@example.com"
    assert show(mta, capsys, "-m", "00/00-00000-00000000")[0] == 1


def test_check_wants_the_spool_for_itself(mta, queued, capsys):
    code, out, err = check(mta, capsys)
    assert code == 2 and not out and f"in use by process {mta.process.pid}" in err


def test_check_of_a_sound_spool(mta, queued, capsys):
    mta.stop()
    code, out, err = check(mta, capsys, "-x")
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[:5] == ["Total scanned:    3", "Total ok:         3", "Meta failures:    0", "Body failures:    0", "Orphan L-markers: 0"]
    assert lines[5].startswith("Segment ") and lines[-2].startswith(f"Oldest: {queued[0]}") and lines[-1].startswith(f"Newest: {queued[2]}")


def test_check_names_damage_and_orphans(mta, queued, capsys):
    mta.stop()
    spool = mta.folder / "spool"
    for path in spool.glob("*.seg"):
        path.write_bytes(path.read_bytes().replace(b"hello bob", b"hello BOB"))
    big, = (spool / "large").iterdir()
    big.rename(spool / "large" / "00000000000000ff")
    code, out, err = check(mta, capsys, "--json")
    result = json.loads(out)
    assert code == 1 and (result["scanned"], result["ok"], result["body"], result["orphans"]) == (3, 1, 2, 1)
    assert f"FAIL {queued[1]}: without its body, lost" in err and f"FAIL {queued[2]}: its body is missing or damaged" in err
    assert "FAIL large/00000000000000ff: belongs to no message" in err


def test_commands_without_a_spool_say_so(tmp_path, capsys):
    assert ec_spool_check.main([str(tmp_path)]) == 2
    (tmp_path / "x.conf").write_text(f"spoolbase = {tmp_path}/none\n")
    assert ec_show.main(["-c", str(tmp_path / "x.conf"), "-n"]) == 2
    assert "No such file" in capsys.readouterr().err
