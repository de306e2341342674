"""debug_flags: which subsystems speak in the paniclog, and at which level; the first field of all logs."""
import re
import time

import pytest

from tests.harness.cert import certificate
from tests.harness.smtp import SMTPClient
from tests.harness.wait import until
from tests.smtp.test_server_replies import talk


def a_session(mta):
    with mta.smtp() as c:
        talk(c, ("NOOP", "250 *"), ("RCPT TO:<x@example.com>", "503 *"))


def a_bad_handshake(mta):
    with mta.smtp() as c:
        talk(c, ("STARTTLS", "220 *"))
        c.send(b"this is no TLS\r\n\r\n" * 10)
        c.sock.recv(1000)


def a_missing_certificate(mta):
    a_session(mta)


def said(mta, pattern):
    """Whether such a line stands in the paniclog; a later one, that is always written, shows that there was time."""
    mark = f"no subsystem is called {time.monotonic_ns()}"
    mta.config(f'{mta.text}\ndebug_flags {{ error = ( CONFIG ) notice = ( {mark.split()[-1]} ) }}')
    until(lambda: any(mark in line for line in mta.paniclog()), what=f"{mark}: {mta.paniclog()}")
    return any(re.fullmatch(pattern, line) for line in mta.paniclog())


PEER = r"127\.0\.0\.1:\d+"


@pytest.mark.shows("debug", "info", "notice", "warning", "error")
@pytest.mark.parametrize("level, subsystem, act, pattern", [
    ("debug", "SMTP", a_session, rf"SMTP {PEER} < NOOP "), ("debug", "SMTP", a_session, rf"SMTP {PEER} > 250 2\.0\.0 OK"),
    ("info", "SMTP", a_session, rf"SMTP {PEER} connected to {PEER}"),
    ("notice", "SMTP", a_session, rf"SMTP {PEER} refused in awaiting ehlo/helo: 503 5\.5\.1 .*|SMTP {PEER} refused in .*: 503 5\.5\.1 .*"),
    ("warning", "SSL", a_bad_handshake, rf"SSL {PEER}: the handshake failed"),
    ("error", "SSL", a_missing_certificate, r"TLS cannot use certificate .*/none\.pem: .*")])
def test_level_that_speaks_and_one_that_does_not(mta, level, subsystem, act, pattern):
    cert, key = certificate("mta.test") if level != "error" else ("$folder/none.pem", "")
    mta.expect_panic("*")
    for names, speaks in ((subsystem, True), ("ALL", True), ("", False), ("DB", False)):
        mta.config(f'tls_certificate = "{cert}"\ntls_key = "{key}"\ndebug_flags {{ {level} = ( {names} ) }}')
        mta.start()
        act(mta)
        assert said(mta, pattern) == speaks
        mta.stop()
        (mta.folder / "paniclog").unlink()


@pytest.mark.shows("critical")
@pytest.mark.parametrize("critical, speaks", [("", True), ("critical = ( NET )", True), ("critical = ()", False)])
def test_critical_lines(mta, critical, speaks):
    mta.expect_panic("LISTENER *out of file descriptors *")
    mta.expect_panic("CONFIG *")
    mta.config(f"server_max_file_descriptors = 100\ndebug_flags {{ {critical} }}")
    mta.start()
    clients = [SMTPClient(port=mta.port, greet=False).connect() for _ in range(60)]
    try:
        if speaks:
            until(lambda: any(line.startswith("LISTENER") for line in mta.paniclog()), what="line")
        else:
            time.sleep(0.5)
    finally:
        for client in clients:
            client.close()
    until(lambda: mta.counters()["InboundConcurrency"] == 0, what="end of the sessions")
    assert said(mta, "LISTENER .*") == speaks


@pytest.mark.shows("debug_throttle_max_num_same_message")
@pytest.mark.parametrize("options, lines", [("", 20), ("debug_throttle_max_num_same_message = 3\ndebug_throttle_period_secs = 60", 3)])
def test_equal_lines_are_throttled(mta, options, lines):
    mta.expect_panic("*")
    mta.config(f"{options}\ndebug_flags {{ debug = ( SMTP ) }}")
    with mta.smtp() as c:
        for _ in range(20):
            talk(c, ("NOOP", "250 *"))
    said(mta, "x")
    found = [line for line in mta.paniclog() if " < " in line]
    assert len(found) == lines if options else len(found) >= lines


@pytest.mark.shows("debug_throttle_period_secs")
@pytest.mark.parametrize("seconds, lines", [(1, (2, 3)), (60, (1,))])
def test_period_of_the_throttle(mta, seconds, lines):
    mta.expect_panic("*")
    mta.config(f"debug_throttle_max_num_same_message = 1\ndebug_throttle_period_secs = {seconds}\ndebug_flags {{ debug = ( SMTP ) }}")
    with mta.smtp() as c:
        for _ in range(2):
            talk(c, ("NOOP", "250 *"), ("NOOP", "250 *"))
            time.sleep(1.1)
    said(mta, "x")
    assert len([line for line in mta.paniclog() if " < " in line]) in lines


def test_subsystem_that_is_none_is_named_once_at_start_and_reload(mta):
    mta.expect_panic("*")
    mta.config("debug_flags { debug = ( SMTPX ) }")
    mta.start()
    assert said(mta, ".*") and sum("no subsystem is called SMTPX" in line for line in mta.paniclog()) == 1
    mta.console("config reload")
    assert said(mta, ".*") and sum("no subsystem is called SMTPX" in line for line in mta.paniclog()) == 1


def test_secrets_are_not_logged(mta):
    mta.expect_panic("*")
    mta.config("debug_flags { debug = ( SMTP ) }")
    with mta.smtp() as c:
        talk(c, ("AUTH PLAIN c2VjcmV0", "502 *"))
    assert said(mta, rf"SMTP {PEER} < AUTH ") and not any("c2VjcmV0" in line for line in mta.paniclog())


@pytest.mark.shows("log_hires_timestamp")
@pytest.mark.parametrize("asked, digits", [("false", 10), ("true", 16)])
def test_first_field(mta, asked, digits):
    mta.expect_panic("CONFIG *")
    mta.config(f"log_hires_timestamp = {asked}\ndebug_flags {{ notice = ( nothing ) }}")
    mta.route(rcpt="550 5.1.1 gone")
    mta.send()
    a_session(mta)
    mta.wait_log("P")
    until(lambda: mta.lines("bouncelog") and mta.lines("rejectlog") and mta.lines("paniclog"), what="lines")
    for name in "mainlog", "bouncelog", "rejectlog", "paniclog":
        for line in mta.lines(name):
            assert len(re.match(r"\d+", line)[0]) == digits and re.match(r"\d+[@:]", line), line
            assert abs(int(line[:10]) - time.time()) < 60
    assert (re.match(r"\[\w{3} \d\d \w{3} \d{4} \d\d:\d\d:\d\d\.\d{6}\] \[CONFIG\]", mta.console("paniclog")) is not None) == (digits == 16)
