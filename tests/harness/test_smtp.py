import smtplib
import time

import pytest

from tests.harness.cert import client_context
from tests.harness.sink import Sink
from tests.harness.smtp import Blast, SMTPClient, blast, blast_id

BODY = b"Subject: x\r\n\r\n.dot\r\n..\r\nend\r\n"


def test_message_is_recorded_as_sent():
    with Sink() as sink, SMTPClient(port=sink.port) as c:
        assert c.send_mail("a@test", ["b@x", "c@x"], BODY, "SIZE=10") == [250, 250]
        c.expect("250 2.0.0 *")
        c.quit()
        sink.wait(messages=1, rcpts=2, connections=1)
        message = sink.messages[0]
        assert (message.mailfrom, message.rcpts, message.mail_args) == ("a@test", ["b@x", "c@x"], "SIZE=10")
        assert message.data == BODY and message.raw == BODY.replace(b"\r\n.", b"\r\n..")
        assert sink.commands[0] == "EHLO test" and sink.commands[-1] == "QUIT" and not sink.connections[0].violations
        assert "PIPELINING" in c.extensions


def test_smtplib_agrees():
    with Sink(tls=True, extensions=["AUTH PLAIN LOGIN"]) as sink, smtplib.SMTP("127.0.0.1", sink.port) as c:
        c.starttls(context=client_context())
        c.login("user", "secret")
        assert c.sendmail("a@test", ["b@x"], BODY) == {}
        assert sink.messages[0].data == BODY and sink.messages[0].tls and sink.connections[0].auth[0] == "PLAIN"
        c.quit()


def test_replies_are_scripted_per_verb():
    rcpt = {"full@x": "452 4.2.2 full", "gone@x": "550-5.1.1 no\n550 5.1.1 such"}
    with Sink(rcpt=lambda address: rcpt.get(address, "250 2.1.5 OK"), body=["451 4.3.0 later", "250 2.0.0 OK"]) as sink:
        with SMTPClient(port=sink.port) as c:
            assert c.send_mail("a@test", ["full@x", "b@x", "gone@x"]) == [452, 250, 550]
            c.expect("451 4.3.0 later")
            c.send_mail("a@test", "b@x")
            c.expect("250 *")
            c.send_mail("a@test", "gone@x")
            c.expect("550 5.1.1 such")
            assert c.reply[0] == "550-5.1.1 no"
            with pytest.raises(AssertionError, match="wanted '220"):
                c.command("NOOP")
                c.expect("220 *")
        assert [m.rcpts for m in sink.messages] == [["b@x"]]
        sink.set(mail="421 4.3.2 closing")
        with SMTPClient(port=sink.port) as c:
            c.send_mail("a@test", "b@x")
            c.expect("421 *")
            c.expect_closed()


def test_pipelined_commands_are_answered_in_order():
    with Sink(rcpt=["250 one", "550 two"]) as sink, SMTPClient(port=sink.port) as c:
        c.send(b"MAIL FROM:<>\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n")
        assert [c.lines()[0][:3] for _ in range(4)] == ["250", "250", "550", "354"]
        c.send(b".\r\nNOOP\r\nMAIL FROM:<a\n")
        assert [c.lines()[0][:3] for _ in range(3)] == ["250", "250", "250"]
        assert sink.messages[0].raw == b"" and sink.connections[0].violations == [b"MAIL FROM:<a\n"]


def test_bdat_is_taken():
    with Sink(extensions=["CHUNKING"]) as sink, SMTPClient(port=sink.port) as c:
        c.send(b"MAIL FROM:<a@x>\r\nRCPT TO:<a@x>\r\nBDAT 4\r\n.\r\nxBDAT 3 LAST\r\ny\r\n")
        assert [c.lines()[0][:3] for _ in range(4)] == ["250"] * 4
        assert sink.messages[0].data == b".\r\nxy\r\n"


def test_lmtp_answers_each_recipient():
    with Sink(lmtp=True, body=["250 OK", "452 full"]) as sink, SMTPClient(port=sink.port, greet=False) as c:
        c.expect("220 *")
        c.command("LHLO test")
        c.expect("250 *")
        c.send_mail("a@x", ["a@x", "b@x"])
        c.expect("250 OK")
        c.expect("452 full")
        assert sink.messages[0].rcpts == ["a@x"]


@pytest.mark.parametrize("at", ["banner", "ehlo", "mail", "rcpt", "data", "body", "rset"])
def test_connection_is_cut_at_a_verb(at):
    with Sink(cut_at=at) as sink:
        with pytest.raises(ConnectionError), SMTPClient(port=sink.port) as c:
            c.send_mail("a@x", "b@x")
            c.command("RSET")
            c.read_reply()
        assert len(sink.messages) == (at == "rset")


def test_connection_is_cut_after_any_byte():
    with Sink() as sink, SMTPClient(port=sink.port) as c:
        dialogue = "220 sink ESMTP\r\n"
        c.send_mail("a@x", "b@x")
    for n in range(1, len(dialogue) + 40, 5):
        with Sink(cut_after=n) as sink, SMTPClient(port=sink.port, greet=False) as c:
            got = b""
            c.send(b"EHLO x\r\n")
            while data := c.sock.recv(4096):
                got += data
            assert len(got) == n


def test_connection_is_cut_inside_a_body():
    with Sink(cut_body=1000, reset=True, times=1) as sink:
        with pytest.raises(ConnectionError), SMTPClient(port=sink.port) as c:
            c.send_mail("a@x", "b@x", b"x" * 5000)
        with SMTPClient(port=sink.port) as c:
            c.send_mail("a@x", "b@x", b"x" * 5000)
            c.expect("250 *")


def test_silent_endless_and_slow_servers():
    with Sink(silent=True) as sink, SMTPClient(port=sink.port, greet=False, timeout=0.1) as c:
        with pytest.raises(TimeoutError):
            c.read_reply()
    with Sink(endless="mail") as sink, SMTPClient(port=sink.port) as c:
        c.command("MAIL FROM:<a@x>")
        assert all(c.line() == "250-and so on" for _ in range(1000))
    with Sink(delay={"rcpt": 0.1}) as sink, SMTPClient(port=sink.port) as c:
        begin = time.monotonic()
        c.send_mail("a@x", "b@x")
        assert time.monotonic() - begin >= 0.1


def test_starttls_drops_what_was_sent_in_clear():
    with Sink(tls=True) as sink, SMTPClient(port=sink.port) as c:
        c.starttls()
        assert "STARTTLS" not in c.extensions
        c.send_mail("a@x", "b@x")
        c.expect("250 *")
        assert sink.messages[0].tls


def test_blast_knows_what_was_acknowledged(tmp_path):
    with Sink(body=lambda m: "451 no" if m.rcpts == ["r7@example.com"] else "250 ok") as sink:
        load = blast(sink.port, 60, sessions=3, size=500, journal=tmp_path / "acked")
        assert len(load.acked) == 59 and load.refused == {"m-7": "451 no"} and load.lost == 0
        assert {blast_id(m.data) for m in sink.messages} == load.acked == set((tmp_path / "acked").read_text().split())
        assert sink.peak == 3


def test_blast_outlives_lost_connections():
    with Sink(cut_at="body", times=2) as sink:
        load = Blast(sink.port, 20, sessions=2, reconnect=True).start().join()
        assert load.lost == 2 and len(load.acked) == 18 and len(load.sent) == 20


def test_wait_says_what_is_missing():
    with Sink() as sink, pytest.raises(AssertionError, match="1 messages, 0 RCPTs, 0 connections: 0, 0, 0"):
        sink.wait(messages=1, timeout=0.05)
