"""Mail of real clients goes in and comes out byte for byte: smtplib, swaks, Postfix."""
import smtplib
import subprocess

import pytest

from tests.harness.port import free_port
from tests.harness.postfix import Postfix
from tests.harness.wait import until
from tests.smtp.test_server_tls import secure

MAIL = (b"From: a@test\r\nTo: b@example.com\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-ID: <1@test>\r\nSubject: x\r\n"
        b"\tfolded\r\n\r\n")
BODIES = {
    "plain": b"line\r\n",
    "empty": b"",
    "dots": b".\r\n..\r\n...x\r\n. \r\n.\r\nx.\r\n",
    "8 bit": bytes(range(128, 256)) + b"\r\n",
    "blank lines": b"\r\n\r\n \r\n\r\n",
    "longest line": b"x" * 998 + b"\r\n",
    "100 KB": b"".join(b"%06d %s\r\n" % (i, b"x" * 70) for i in range(1300)),
}


def test_smtplib_in_clear(mta):
    sink = mta.route()
    with smtplib.SMTP("127.0.0.1", mta.start().port, timeout=10) as c:
        c.sendmail("a@test", ["b@example.com", "c@example.com"], "Subject: x\r\n\r\n.\r\n..\r\nend")
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            c.sendmail("a@test", ["b@@example.com"], "x")
    sink.wait(messages=1)
    assert sink.messages[0].data.endswith(b"Subject: x\r\n\r\n.\r\n..\r\nend\r\n")


@pytest.mark.parametrize("more", [(), ("--tls",), ("--pipeline",)])
def test_swaks(mta, tmp_path, more):
    secure(mta)
    sink = mta.route()
    bodies = {name: body for name, body in BODIES.items() if body}      # it adds a line to an empty one
    for n, (name, body) in enumerate(bodies.items(), 1):
        # it takes the line ends of Unix, and ends the last line itself
        (tmp_path / "mail").write_bytes((MAIL + body).replace(b"\r\n", b"\n")[:-1])
        done = subprocess.run(["swaks", "--server", "127.0.0.1", "--port", str(mta.start().port), "--from", "a@test",
                               "--to", "b@example.com", "--data", "@" + str(tmp_path / "mail"), *more],
                              capture_output=True, timeout=30)
        assert done.returncode == 0, done.stdout + done.stderr
        sink.wait(messages=n)
        assert sink.messages[-1].data.endswith(b"\r\n" + MAIL + body), (name, sink.messages[-1].data[:2000])


@pytest.mark.root
def test_postfix_relays_through_us(mta):
    sink = mta.route()
    port = free_port()
    with Postfix(port, mta.start().port) as postfix:
        for name, body in BODIES.items():
            with smtplib.SMTP("127.0.0.1", port, timeout=10) as c:
                assert c.sendmail(f"{name.replace(' ', '-')}@test", ["b@example.com"], MAIL + body, ["BODY=8BITMIME"]) == {}
        sink.wait(messages=len(BODIES), timeout=30)
        came = {m.mailfrom.partition("@")[0].replace("-", " "): m for m in sink.messages}
        for name, body in BODIES.items():
            head, mark, rest = came[name].data.partition(b"From: a@test\r\n")
            assert mark + rest == MAIL + body, name
            assert b" by postfix.test (Postfix) with ESMTP id " in head.replace(b"\r\n\t", b" ") and b"by mta.test" in head
        until(lambda: postfix.log().count("status=sent (250 2.0.0 OK ") == len(BODIES), what=postfix.log)
