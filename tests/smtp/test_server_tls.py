"""STARTTLS on the way in."""
import smtplib
import ssl

import pytest

from tests.harness.cert import certificate, client_context
from tests.harness.wait import until
from tests.smtp.test_server_replies import talk


def secure(mta, options=""):
    cert, key = certificate("mta.test")
    mta.config(f'tls_certificate = "{cert}"\ntls_key = "{key}"\n{options}')


@pytest.mark.variants
def test_mail_comes_in_by_tls(mta):
    secure(mta)
    sink = mta.route()
    body = "Subject: x\r\n\r\n.dot\r\n" + "y" * 100000 + "\r\n"
    with smtplib.SMTP("127.0.0.1", mta.start().port, local_hostname="me.test", timeout=10) as c:
        c.ehlo()
        assert c.has_extn("starttls")
        c.starttls(context=client_context())
        c.ehlo()
        assert not c.has_extn("starttls") and c.has_extn("pipelining")
        for _ in range(3):
            assert c.sendmail("a@test", ["b@example.com"], body) == {}
    sink.wait(messages=3)
    data = sink.messages[0].data.decode()
    assert data.endswith(body)
    assert " with ESMTPS (cipher=" in data and "helo=me.test" in data


def test_tls_starts_anew(mta):
    secure(mta, "require_ehlo = true")
    with mta.smtp() as c:
        talk(c, ("MAIL FROM:<a@test>", "250 *"), ("STARTTLS x", "501 *"), ("STARTTLS", "220 2.0.0 continue"))
        c.sock = client_context().wrap_socket(c.sock)
        talk(c, ("MAIL FROM:<a@test>", "550 5.5.1 RFC2821 HELO/EHLO needed"), ("EHLO x", "250 *"), ("STARTTLS", "503 *"),
             ("DATA", "503 *"))


@pytest.mark.variants
def test_what_was_injected_behind_starttls_is_never_carried_out(mta):
    secure(mta)
    sink = mta.route()
    inject = b"MAIL FROM:<evil@test>\r\nRCPT TO:<b@example.com>\r\nDATA\r\nSubject: evil\r\n\r\n.\r\n"
    for one_write in (True, False):
        with mta.smtp() as c:
            if one_write:
                c.send(b"STARTTLS\r\n" + inject)
            else:
                c.send(b"STARTTLS\r\n")
                c.send(inject)
            if c.read_reply() == 503:           # it came with the command
                c.expect_closed()
                continue
            try:
                c.sock = client_context().wrap_socket(c.sock)
                talk(c, ("NOOP", "250 2.0.0 OK"), ("DATA", "503 *"))
            except (OSError, ssl.SSLError):
                pass                            # a handshake that fails is as good
    assert mta.counters()["ReceivedMessages"] == 0 and not sink.messages


def test_failed_handshake_ends_the_session_and_is_logged(mta):
    secure(mta)
    with mta.smtp() as c:
        talk(c, ("STARTTLS", "220 *"))
        c.send(b"this is no TLS\r\n\r\n" * 10)
        assert c.sock.recv(1000)[:1] in (b"\x15", b"")      # an alert, or nothing
    [r] = mta.wait_rejectlog(1)
    assert "TLS" in r.text
    until(lambda: mta.counters()["InboundConcurrency"] == 0, what="end of the session")


def test_client_gone_within_the_handshake(mta):
    secure(mta)
    with mta.smtp() as c:
        talk(c, ("STARTTLS", "220 *"))
    until(lambda: mta.counters()["InboundConcurrency"] == 0, what="end of the session")


def test_certificate_that_cannot_be_read_leaves_mail_in_clear(mta):
    mta.config('tls_certificate = "$folder/none.pem"')
    mta.expect_panic("TLS cannot use certificate *")
    mta.route()
    with mta.smtp() as c:
        assert "STARTTLS" not in c.extensions
        talk(c, ("STARTTLS", "502 *"))
    mta.send()


INJECTED = b"MAIL FROM:<evil@test>\r\nRCPT TO:<b@example.com>\r\n"


@pytest.mark.shows("starttls_injection_policy")
@pytest.mark.parametrize("policy", ["reject", "ignore", "allow"])
@pytest.mark.parametrize("before", [b"", b"NOOP\r\n" * 3])
def test_injection_policy(mta, policy, before):
    secure(mta, f'ESMTP_Listener {{ starttls_injection_policy = {policy} Listen "127.0.0.1:$port" {{ }} }}')
    with mta.smtp() as c:
        c.send(before + b"STARTTLS\r\n" + INJECTED)
        for _ in range(before.count(b"\n")):
            c.expect("250 *")
        if policy == "reject":
            c.expect("503 5.5.1 commands behind STARTTLS dropped")
            c.expect_closed()
            [r] = mta.wait_rejectlog(1)
            assert (r.code, r.text, r.phase) == (503, "5.5.1 commands behind STARTTLS dropped", "esmtp setup phase")
            return
        c.expect("220 *")
        c.sock = client_context().wrap_socket(c.sock)
        if policy == "allow":
            c.expect("250 2.0.0 MAIL FROM accepted")
            c.expect("250 2.0.0 RCPT TO accepted")
        talk(c, ("NOOP", "250 *"), ("DATA", "354 *" if policy == "allow" else "503 *"))
    assert not any("STARTTLS" in r.text for r in mta.rejectlog())


def test_client_that_waits_for_the_reply_injects_nothing(mta):
    secure(mta)
    with mta.smtp() as c:
        c.starttls()
        talk(c, ("NOOP", "250 *"))
    with mta.smtp() as c:
        talk(c, ("DATA", "503 *"))
    assert [r.code for r in mta.wait_rejectlog(1)] == [503] and "STARTTLS" not in mta.rejectlog()[0].text
