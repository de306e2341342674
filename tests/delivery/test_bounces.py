"""Failure reports to the sender (RFC 3464)."""
import email
import email.policy
import time

import pytest

from tests.harness.wait import until

DATA = b"From: a@here.test\r\nSubject: the subject\r\nX-Mark: 1\r\n\r\nthe body\r\n.dotted\r\n"


def failing(mta, options="", **script):
    mta.config("generate_bounces = true\n" + options)
    home = mta.route("here.test", "127.0.0.1")
    there = mta.route("example.com", "127.0.0.2", **(script or {"rcpt": "550 5.1.1 b@example.com: no such user"}))
    return home, there


def report(home):
    home.wait(messages=1)
    return email.message_from_bytes(home.messages[0].data, policy=email.policy.default)


@pytest.mark.variants
def test_sender_gets_a_report(mta):
    home, _ = failing(mta)
    mta.send("a@here.test", "b@example.com", DATA)
    message = report(home)
    assert home.messages[0].mailfrom == "" and home.messages[0].rcpts == ["a@here.test"]
    assert message.get_content_type() == "multipart/report" and message.get_param("report-type") == "delivery-status"
    assert message["From"].addresses[0].addr_spec == "mailer-daemon@mta.test"
    assert message["To"] and message["Date"] and message["Message-ID"] and message["MIME-Version"] == "1.0"
    assert message["Auto-Submitted"].startswith("auto-replied")
    text, status, original = message.iter_parts()
    assert (text.get_content_type(), status.get_content_type()) == ("text/plain", "message/delivery-status")
    assert "<b@example.com>" in text.get_content()
    about, recipient = status.get_payload()
    assert about["Reporting-MTA"] == "dns; mta.test" and about["Arrival-Date"]
    assert recipient["Final-Recipient"] == "rfc822; b@example.com"
    assert (recipient["Action"], recipient["Status"]) == ("failed", "5.1.1")
    assert recipient["Remote-MTA"] == "dns; [127.0.0.2]"
    assert recipient["Diagnostic-Code"] == "smtp; 550 5.1.1 b@example.com: no such user"
    assert original.get_content_type() == "text/rfc822-headers"
    assert "Subject: the subject" in original.as_string() and "the body" not in original.as_string()
    [r] = [r for r in mta.wait_log("R", 2) if r.method == "internal"]
    assert (r.from_local, r.from_domain, r.rcpt_local, r.rcpt_domain, r.peer) == ("", "", "a", "here.test", "unknown")
    mta.wait_log("D")


@pytest.mark.shows("bounces_inline_original")
@pytest.mark.parametrize("how, type", [("all", "message/rfc822"), ("none", None)])
def test_original_is_quoted_as_told(mta, how, type):
    home, _ = failing(mta, f"bounces_inline_original = {how}")
    mta.send("a@here.test", "b@example.com", DATA)
    message = report(home)
    parts = list(message.iter_parts())
    assert len(parts) == (3 if type else 2)
    if type:
        assert parts[2].get_content_type() == type
        assert b"\r\n\r\nthe body\r\n.dotted\r\n" in home.messages[0].data
    assert not message.defects


def test_null_sender_gets_none(mta):
    home, _ = failing(mta)
    mta.send("", "b@example.com")
    mta.wait_log("P")
    mta.wait_empty()
    assert not home.connections and len(mta.mainlog("R")) == 1
    until(lambda: len(mta.bouncelog()) == 1)


def test_report_that_fails_makes_no_report(mta):
    home, _ = failing(mta)
    home.set(rcpt="550 5.1.1 gone too")
    mta.send("a@here.test", "b@example.com")
    mta.wait_log("P", 2)
    mta.wait_empty()
    assert len(mta.mainlog("R")) == 2


def test_reports_can_be_switched_off(mta):
    home, _ = failing(mta, "Domain example.com { generate_bounces = false }")
    mta.send("a@here.test", "b@example.com")
    mta.wait_log("P")
    mta.wait_empty()
    assert not home.connections


def test_address_of_the_daemon_is_an_option(mta):
    home, _ = failing(mta, "mailerdaemon = postmaster@here.test")
    mta.send("a@here.test", "b@example.com")
    assert report(home)["From"].addresses[0].addr_spec == "postmaster@here.test"


def test_report_of_mail_that_left_memory_has_its_header(mta):
    home, _ = failing(mta, "retry_interval = 1\nmax_retries = 1\ndrop_body_after_trans_fail = 0", rcpt="452 4.2.2 full")
    mta.send("a@here.test", "b@example.com", DATA)
    message = report(home)
    parts = list(message.iter_parts())
    assert len(parts) == 3 and "Subject: the subject" in parts[2].as_string()
    assert parts[1].get_payload()[1]["Status"] == "5.4.7"


def test_report_of_mail_that_met_no_host_has_its_header(mta):
    home = mta.route("here.test", "127.0.0.1")
    mta.config("generate_bounces = true\nretry_interval = 1\nmax_retries = 2\ndrop_body_after_trans_fail = 0")
    mta.send("a@here.test", "b@nowhere.test", DATA)
    home.wait(messages=1, timeout=20)
    assert b"Subject: the subject" in home.messages[0].data


def test_reply_that_looks_like_mime_stays_one_line(mta):
    home, _ = failing(mta, rcpt="550-5.1.1 one\n550-\n550---x\n550 two\x07\x1b[31m")
    mta.send("a@here.test", "b@example.com", DATA)
    message = report(home)
    assert len(list(message.iter_parts())) == 3
    assert not set(range(32)) - {9, 10, 13} & set(home.messages[0].data)


@pytest.mark.parametrize("sender", ['"a b"@here.test', "a+b=c@here.test"])
def test_report_goes_to_any_sender(mta, sender):
    home, _ = failing(mta)
    mta.send(sender, "b@example.com")
    home.wait(messages=1)
    assert home.messages[0].rcpts == [sender]


def test_report_outlives_a_kill(mta):
    home, there = failing(mta, "Domain here.test { suspend_delivery = true }")
    mta.send("a@here.test", "b@example.com", DATA)
    until(lambda: any(r.method == "internal" for r in mta.mainlog("R")))
    time.sleep(0.5)                     # until the tombstone of its cause is synced; before that it may be made once more
    mta.kill()
    mta.config("generate_bounces = true")
    mta.start()
    home.wait(messages=1)
    assert len(home.messages) == 1


LINE = b"x" * 70 + b"\r\n"


def send_as_large_as_the_spool_takes(mta, filled):
    """Less and less, until it is accepted; what a report adds to it is more than one step."""
    for size in range(1048576 - 2 * 4096, 900000, -400):
        with mta.smtp() as c:
            c.send_mail("a@here.test", "b@example.com", filled(size))
            if c.expect("250 *", "552 5.3.4 message and recipients are larger than the spool takes").startswith("250"):
                return
    raise AssertionError("the spool takes nothing")


@pytest.mark.parametrize("in_head, quoted", [(1000, "text/rfc822-headers"), (-200, None)], ids=["header", "nothing"])
def test_report_that_does_not_fit_quotes_less(mta, in_head, quoted):
    def filled(size):
        head = (in_head if in_head > 0 else size + in_head) // 73
        data = b"Subject: long\r\nX-Fill:\r\n " + b"\r\n ".join([b"y" * 70] * head) + b"\r\n\r\n"
        return data + LINE * ((size - len(data)) // len(LINE))
    home, _ = failing(mta, "bounces_inline_original = all\nlarge_message_threshold = 2000000\nmax_header_bytes = 2000000")
    send_as_large_as_the_spool_takes(mta, filled)
    parts = list(report(home).iter_parts())
    assert [p.get_content_type() for p in parts[2:]] == ([quoted] if quoted else [])
    assert not quoted or "Subject: long" in parts[2].as_string()
    mta.wait_log("D")
    mta.wait_empty()


@pytest.mark.parametrize("restart", [False, True], ids=["", "restarted"])
@pytest.mark.parametrize("how", ["all", "headers"])
def test_report_of_a_large_message_quotes_its_header(mta, how, restart):
    home = mta.route("here.test", "127.0.0.1")
    mta.route("example.com", "127.0.0.2", rcpt="550 5.1.1 no")
    options = f"generate_bounces = true\nlarge_message_threshold = 3000\nbounces_inline_original = {how}\n"
    mta.config(options + ("Domain example.com { suspend_delivery = true }" if restart else ""))
    mta.send("a@here.test", "b@example.com", DATA + LINE * 5000)
    if restart:
        mta.restart()
        mta.config(options)
    parts = list(report(home).iter_parts())
    assert [p.get_content_type() for p in parts[2:]] == ["text/rfc822-headers"]
    assert "Subject: the subject" in parts[2].as_string() and "the body" not in home.messages[0].data.decode()
    mta.wait_log("D")
    mta.wait_empty()
    until(lambda: not list((mta.folder / "spool" / "large").iterdir()), what="removal of the large file")


def test_report_of_a_large_message_whose_file_is_gone(mta):
    home, _ = failing(mta, "large_message_threshold = 3000\nDomain example.com { suspend_delivery = true }")
    mta.send("a@here.test", "b@example.com", DATA + LINE * 5000)
    for path in (mta.folder / "spool" / "large").iterdir():
        path.unlink()
    mta.config("generate_bounces = true\nlarge_message_threshold = 3000")
    assert len(list(report(home).iter_parts())) == 2
    mta.wait_log("D")
    mta.wait_empty()
