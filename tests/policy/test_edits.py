"""Edits of header and body by policy: what comes out at the other end, byte for byte, whatever happens in between."""
import email
import email.policy

import pytest

from tests.harness.wait import until

EACH = "validate_data_spool_each_rcpt"
BODY = b"From: a@here.test\r\nSubject: first\r\n\tfolded\r\nDate: x\r\nMessage-ID: <1@x>\r\nSubject: second\r\n\r\none\r\n.two\r\n"
LARGE = BODY + b"a line that makes it large\r\n" * 4000


def send(policy, rcpts, data=BODY, sender="a@here.test", args=""):
    with policy.smtp() as c:
        c.send_mail(sender, rcpts, data, args)
        c.expect("250 2.0.0 OK *")


def by_rcpt(sink):
    return {rcpt: m for m in sink.messages for rcpt in m.rcpts}


def mail_size(message):
    return int(message.mail_args.partition("SIZE=")[2].split()[0])


def check(message, ending):
    assert message.data.endswith(ending), message.data
    assert mail_size(message) == len(message.raw)


@pytest.mark.parametrize("data", [BODY, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("restart", [False, True], ids=["", "restarted"])
def test_one_of_two_recipients_gets_a_header(policy, data, restart):
    edited = f"b+{EACH}=header@example.com"
    options = "generate_bounces = true\nlarge_message_threshold = 50000\n"
    policy.config(options + ("Domain example.com { suspend_delivery = true }" if restart else ""))
    send(policy, [edited, "c@example.com", "d@example.com"], data)
    if restart:
        policy.restart()
        policy.config(options)
    policy.wait_log("D", 3)
    assert len(policy.there.messages) == 2                  # those that are alike go together
    got = by_rcpt(policy.there)
    head, _, body = data.partition(b"\r\n\r\n")
    check(got["c@example.com"], data)
    check(got[edited], head + b"\r\nX-Policy: " + edited.encode() + b"\r\n\r\n" + body)
    assert got["c@example.com"] is got["d@example.com"] and b"X-Policy" not in got["c@example.com"].data
    sizes = {r.rcpt_local: r.bytes for r in policy.mainlog("R")}
    assert sizes["c"] == len(got["c@example.com"].raw) and sizes[edited.split("@")[0]] == len(got[edited].raw)


def test_edits_survive_leaving_memory(policy):
    policy.there.set(rcpt=["452 4.2.2 full", "250 OK"])
    policy.config("retry_interval = 1\ndrop_body_after_trans_fail = 0")
    send(policy, f"b+{EACH}=header@example.com")
    policy.wait_log("D", timeout=20)
    check(policy.there.messages[0], b"\r\nX-Policy: b+" + EACH.encode() + b"=header@example.com\r\n\r\none\r\n.two\r\n")
    assert len(policy.wait_log("T")) == 1


@pytest.mark.parametrize("data", [BODY, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("action, change", [
    ("subject", lambda d: d.replace(b"Subject: first\r\n\tfolded", b"subject: another\r\n one").replace(b"Subject: second\r\n", b"")),
    ("unreceived", lambda d: d), ("body", lambda d: d.partition(b"\r\n\r\n")[0] + b"\r\n\r\n.the new body\r\nof policy\r\n")])
def test_edits_of_one_recipient(policy, data, action, change):
    policy.config("large_message_threshold = 50000")
    send(policy, [f"b+{EACH}={action}@example.com", "c@example.com"], data)
    policy.wait_log("D", 2)
    got = by_rcpt(policy.there)
    edited = got[f"b+{EACH}={action}@example.com"]
    check(edited, change(data))
    check(got["c@example.com"], data)
    assert (b"Received:" in edited.data) == (action != "unreceived")


def test_edits_before_the_recipients_part_are_everybodys(policy):
    edited = f"b+{EACH}=header@example.com"
    send(policy, [edited, "c@example.com"], sender="a+validate_data=top@here.test")
    policy.wait_log("D", 2)
    got = by_rcpt(policy.there)
    assert all(m.data.startswith(b"X-Top: by policy\r\nReturn-Path: ") for m in got.values())
    assert b"X-Policy" in got[edited].data and b"X-Policy" not in got["c@example.com"].data


def test_edit_at_mail_from(policy):
    send(policy, "c@example.com", sender="a+validate_mailfrom=top@here.test")
    policy.wait_log("D")
    assert policy.there.messages[0].data.startswith(b"X-Top: by policy\r\n")


def test_body_that_was_unclean_is_clean_once_replaced(policy):
    """A lone LF makes the encoder judge every line; what policy wrote goes out as it is."""
    data = BODY + b"lone\nline end\r\n"
    send(policy, [f"b+{EACH}=body@example.com", f"c+{EACH}=header@example.com"], data)
    policy.wait_log("D", 2)
    got = by_rcpt(policy.there)
    assert got[f"b+{EACH}=body@example.com"].data.endswith(b"\r\n\r\n.the new body\r\nof policy\r\n")
    assert got[f"c+{EACH}=header@example.com"].data.endswith(b".two\r\nlone\r\nline end\r\n")


def test_edited_8bit_body_no_longer_says_so(policy):
    policy.config("send_8bitmime = ifavailable")
    send(policy, [f"b+{EACH}=body@example.com", "c@example.com"], BODY + b"\xe4\r\n", args="BODY=8BITMIME")
    policy.wait_log("D", 2)
    got = by_rcpt(policy.there)
    assert "8BITMIME" not in got[f"b+{EACH}=body@example.com"].mail_args and "8BITMIME" in got["c@example.com"].mail_args


def test_edits_go_out_by_tls_and_to_who_takes_no_pipelining(policy):
    from tests.harness.sink import EXTENSIONS
    edited = f"b+{EACH}=header@example.com"
    for extensions in ([*EXTENSIONS, "STARTTLS"], ["SIZE"]):
        policy.there.set(extensions=extensions)
        policy.config(f"tls = ifavailable\nidle_timeout = 0\n# {extensions}")
        n = len(policy.there.messages)
        send(policy, [edited, "c@example.com"])
        policy.there.wait(messages=n + 2)
        assert sorted(b"X-Policy: b+" in m.data for m in policy.there.messages[n:]) == [False, True]


@pytest.mark.parametrize("data", [BODY, LARGE], ids=["small", "large"])
def test_report_quotes_what_was_sent(policy, data):
    policy.there.set(body="550 5.7.1 no")
    policy.config("generate_bounces = true\nlarge_message_threshold = 50000\nbounces_inline_original = all")
    send(policy, f"b+{EACH}=subject@example.com", data)
    policy.home.wait(messages=1)
    original = list(email.message_from_bytes(policy.home.messages[0].data, policy=email.policy.default).iter_parts())[2]
    assert original.get_content_type() == ("text/rfc822-headers" if data is LARGE else "message/rfc822")
    text = original.as_string()
    assert "another" in text and "first" not in text and ("two\n" in text) == (data is BODY)


def test_header_longer_than_the_threshold_is_edited_whole(policy):
    policy.config("large_message_threshold = 2000")
    data = b"".join(b"X-%d: %s\r\n" % (i, b"y" * 100) for i in range(3000)) + b"Subject: late\r\n\r\n" + b"body\r\n" * 1000
    send(policy, [f"b+{EACH}=subject@example.com", "c@example.com"], data)
    policy.wait_log("D", 2, 20)
    got = by_rcpt(policy.there)
    assert got["c@example.com"].data.endswith(data)
    check(got[f"b+{EACH}=subject@example.com"], data.replace(b"Subject: late", b"subject: another\r\n one"))
    until(lambda: not list((policy.folder / "spool" / "large").iterdir()), what="removal of the large file")


def test_header_without_end_is_refused(policy):
    policy.config("large_message_threshold = 2000\nmax_header_bytes = 20000")
    with policy.smtp() as c:
        c.send_mail("a@here.test", "c@example.com", b"".join(b"X-%d: y\r\n" % i for i in range(9000)))
        c.expect("552 5.3.4 header size limit exceeded")
        c.send_mail("a@here.test", "c@example.com")
        c.expect("250 *")
