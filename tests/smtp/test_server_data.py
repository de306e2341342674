"""What happens to a body: its end, its line ends, its dots, the fields it gets."""
import re

import pytest

from tests.smtp.test_server_replies import talk

HEAD = b"From: a@test\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-ID: <1@test>\r\nSubject: x\r\n\r\n"


def give(mta, wire, expected="250 2.0.0 OK *", rcpts=("b@example.com",), sender="a@test", args=""):
    """Send the bytes of a DATA phase as they are, then see that the session goes on."""
    with mta.smtp() as c:
        talk(c, (f"MAIL FROM:<{sender}>{args}", "250 *"), *((f"RCPT TO:<{r}>", "250 *") for r in rcpts), ("DATA", "354 *"))
        c.send(wire)
        line = c.expect(expected)
        talk(c, ("NOOP", "250 2.0.0 OK"))
        return line


def came(sink, n=1):
    sink.wait(messages=n)
    assert len(sink.messages) == n and not any(c.violations for c in sink.connections)
    return sink.messages[-1]


def split(message):
    """Header fields in front of what the client sent, and that."""
    head, mark, rest = message.data.partition(b"From: a@test\r\n")
    return head, mark + rest


BODIES = {
    "plain": b"line\r\n",
    "empty": b"",
    "dots": b"..\r\n...x\r\n..\r\n.. \r\nx.\r\n",
    "no text after the dot": b"..",
    "8 bit": bytes(range(128, 256)) + b"\r\n",
    "every byte but CR, LF and dots": bytes(b for b in range(1, 256) if b not in b"\r\n.") + b"\r\n",
    "NUL": b"a\0b\r\n",
    "blank lines": b"\r\n\r\n\r\n",
    "long line": b"x" * 5000 + b"\r\n",
    "100 KB": b"".join(b"%06d %s\r\n" % (i, b"x" * 70) for i in range(1300)),
}


@pytest.mark.variants
def test_body_comes_out_byte_for_byte(mta):
    sink = mta.route()
    for i, (name, body) in enumerate(BODIES.items(), 1):
        wire = HEAD + body + (b"" if body.endswith(b"\r\n") or not body else b"\r\n")
        give(mta, wire + b".\r\n")
        message = came(sink, i)
        assert split(message)[1] == re.sub(rb"(?m)^\.", b"", wire), name
        assert message.raw.endswith(wire), name


def test_trace_fields_are_those_of_real_installations(mta):
    sink = mta.route()
    line = give(mta, HEAD + b"x\r\n.\r\n")
    head, rest = split(came(sink))
    assert rest == HEAD + b"x\r\n"
    id = re.escape(line.split()[-1].encode())
    assert re.fullmatch(
        rb"Return-Path: <a@test>\r\n"
        rb"Received: from \[127\.0\.0\.1\] \(\[127\.0\.0\.1:\d+\] helo=test\)\r\n"
        rb"\tby mta\.test \(envelope-from <a@test>\)\r\n"
        rb"\t\(ecelerity \S+ r\(\S+\)\) with ESMTP\r\n"
        rb"\tid " + id + rb"; \w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} \+0000\r\n", head), head


def test_missing_fields_are_added(mta):
    sink = mta.route()
    line = give(mta, b"From: a@test\r\n\r\nx\r\n.\r\n")
    head, rest = split(came(sink))
    assert rest == b"From: a@test\r\n\r\nx\r\n"
    xx, yy, pid, slot = re.split("[/-]", line.split()[-1])
    assert f"\r\nMessage-ID: <{xx}.{yy}.{pid}.{slot}@mta.test>\r\n".encode() in head
    assert re.search(rb"\r\nDate: \w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} [+-]\d{4}\r\n", head)


@pytest.mark.parametrize("options, wire, present, absent", [
    ("rfc2822_trace_headers = false", HEAD, [], [b"Received", b"Return-Path"]),
    ("rfc2822_date_header = ignore", b"From: a@test\r\n\r\n", [b"Message-ID"], [b"Date"]),
    ("rfc2822_messageid_header = ignore", b"From: a@test\r\n\r\n", [b"Date"], [b"Message-ID"]),
    ("", b"date: x\r\nMESSAGE-id: y\r\nFrom: a@test\r\n\r\n", [b"date", b"MESSAGE-id"], [b"Date", b"Message-ID"]),
])
def test_fields_follow_options(mta, options, wire, present, absent):
    mta.config(options)
    sink = mta.route()
    give(mta, wire + b".\r\n")
    names = [line.partition(b":")[0] for line in came(sink).data.partition(b"\r\n\r\n")[0].split(b"\r\n")]
    assert all(name in names for name in present) and not any(name in names for name in absent), names


def test_return_path_is_replaced(mta):
    sink = mta.route()
    give(mta, b"X: 1\r\nReturn-Path: <evil@x>\r\n\t(folded)\r\n" + HEAD + b"x\r\n.\r\n")
    data = came(sink).data
    assert data.startswith(b"Return-Path: <a@test>\r\nReceived:") and data.count(b"Return-Path") == 1 and b"folded" not in data
    assert b"\r\nX: 1\r\nFrom: a@test\r\n" in data


def test_every_return_path_is_replaced(mta):
    sink = mta.route()
    give(mta, b"Return-Path: <1@x>\r\nRETURN-PATH : <2@x>\r\nX: 1\r\n" + HEAD.removesuffix(b"\r\n") + b"Y: 2\r\nReturn-Path:\r\n\t<3@x>\r\n"
         b"Z: 3\r\n\r\nReturn-Path: <4@x>\r\n.\r\n")
    data = came(sink).data
    assert data.startswith(b"Return-Path: <a@test>\r\nReceived:") and data.lower().count(b"return-path") == 2
    assert data.endswith(b"\r\nX: 1\r\n" + HEAD.removesuffix(b"\r\n") + b"Y: 2\r\nZ: 3\r\n\r\nReturn-Path: <4@x>\r\n")


def test_return_paths_stay_without_trace_headers(mta):
    mta.config("rfc2822_trace_headers = false")
    sink = mta.route()
    wire = b"Return-Path: <1@x>\r\nReturn-Path: <2@x>\r\nDate: x\r\nMessage-ID: y\r\n" + HEAD
    give(mta, wire + b".\r\n")
    assert came(sink).data == wire


def test_missing_date_can_be_refused(mta):
    mta.config("rfc2822_date_header = pedantic")
    give(mta, b"From: a@test\r\n\r\nx\r\n.\r\n", "550 5.6.0 Missing required RFC2822 Date field*")
    assert mta.wait_rejectlog(1)[0].phase == "sending body response"


@pytest.mark.parametrize("wire", [b"", b"no header here\r\n", b"\r\nbody alone\r\n", b" folded first\r\n\r\nx\r\n"])
def test_mail_without_header_is_refused_or_allowed(mta, wire):
    sink = mta.route()
    give(mta, wire + b".\r\n", "550 5.6.0 *")
    mta.config("rfc2822_missing_headers = allow")
    give(mta, wire + b".\r\n")
    data = came(sink).data
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"Return-Path: <a@test>\r\n") and body == wire.removeprefix(b"\r\n")


def test_null_sender_is_delivered_as_such(mta):
    sink = mta.route()
    give(mta, HEAD + b".\r\n", sender="")
    message = came(sink)
    assert message.mailfrom == "" and message.data.startswith(b"Return-Path: <>\r\n")


def test_8bit_is_announced_to_who_takes_it(mta):
    mta.config("send_8bitmime = ifavailable")
    sink = mta.route()
    give(mta, HEAD + b"\xe4\r\n.\r\n", args=" BODY=8BITMIME")
    assert "BODY=8BITMIME" in came(sink).mail_args
    give(mta, HEAD + b"a\r\n.\r\n")
    assert "BODY" not in came(sink, 2).mail_args


# ---- line ends: lone CR and LF in header and body, by option

LONE = {"LF": b"\n", "CR": b"\r"}


@pytest.mark.shows("rfc2822_lone_lf_in_headers")
@pytest.mark.parametrize("lone", LONE)
@pytest.mark.parametrize("how", ["pedantic", "fix"])
def test_lone_line_end_in_headers(mta, lone, how):
    mta.config(f"rfc2822_lone_lf_in_headers = {how}")
    sink = mta.route()
    wire = b"From: a@test" + LONE[lone] + b"Subject: x\r\n\r\nbody\r\n.\r\n"
    if how == "pedantic":
        give(mta, wire, "550 5.6.0 Lone CR or LF in headers (see RFC2822 section 2.2)")
        return
    give(mta, wire)
    assert came(sink).data.endswith(b"From: a@test\r\nSubject: x\r\n\r\nbody\r\n")


@pytest.mark.shows("rfc2822_lone_lf_in_body")
@pytest.mark.parametrize("lone", LONE)
@pytest.mark.parametrize("how", ["ignore", "pedantic", "fix"])
def test_lone_line_end_in_body(mta, lone, how):
    mta.config(f"rfc2822_lone_lf_in_body = {how}")
    sink = mta.route()
    wire = HEAD + b"one" + LONE[lone] + b"two\r\n.\r\n"
    if how == "pedantic":
        give(mta, wire, "550 5.6.0 Lone CR or LF in body (see RFC2822 section 2.3)")
        return
    give(mta, wire)
    assert came(sink).data.endswith(HEAD + b"one\r\ntwo\r\n")       # never passed on


LOOSE = "rfc2822_lone_lf_in_headers = fix\nrfc2822_lone_lf_in_body = "


@pytest.mark.parametrize("how", ["ignore", "fix"])
def test_mended_header_leaves_the_line_ends_of_the_body(mta, how):
    mta.config(LOOSE + how)
    mta.route(rcpt="452 4.2.2 full")
    give(mta, b"From: a@test\nSubject: x\r\n\r\none\ntwo\rthree\r\n.\r\n")
    spooled = b"".join(p.read_bytes() for p in (mta.folder / "spool").rglob("*") if p.is_file())
    assert b"From: a@test\r\nSubject: x\r\n\r\none" in spooled
    assert (b"one\ntwo\rthree" in spooled) == (how == "ignore") and (b"one\r\ntwo\r\nthree" in spooled) == (how == "fix")


@pytest.mark.parametrize("how", ["ignore", "fix"])
@pytest.mark.parametrize("blank", [b"\n\n", b"\r\n\n", b"\r\n\r\n"])
def test_dot_behind_a_mended_header_is_no_end(mta, how, blank):
    mta.config(LOOSE + how)
    sink = mta.route()
    dot = b".." if blank.endswith(b"\r\n") else b"."
    give(mta, b"From: a@test\nSubject: x" + blank + dot + b"\r\nfirst\nsecond\r\n.\r\n")
    assert came(sink).data.endswith(b"From: a@test\r\nSubject: x\r\n\r\n.\r\nfirst\r\nsecond\r\n")


# ---- smuggling: what others may take for the end of data is none here, and never looks like one there

ENDS = [b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r.\r\n", b"\r\r\n.\r\r\n", b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\n\r\n.\r\r\n",
        b"\r\n.\r\n"[:-1] + b"\r\n", b"\r\n .\r\n", b"\n..\n", b"\r..\r\n", b"\n\n.\n\n"]
INNER = b"MAIL FROM:<evil@test>\r\nRCPT TO:<victim@example.com>\r\nDATA\r\nFrom: evil@test\r\n\r\nsmuggled\r\n"


@pytest.mark.parametrize("how", ["ignore", "fix"])
def test_smuggled_message_stays_inside(mta, how):
    mta.config(f"rfc2822_lone_lf_in_body = {how}")
    sink = mta.route()
    for n, end in enumerate(ENDS, 1):
        give(mta, HEAD + b"first" + end + INNER + b".\r\n")
        message = came(sink, n)
        assert message.mailfrom == "a@test" and b"smuggled" in message.data, end
        assert not re.search(rb"(?<!\r)\n|\r(?!\n)", message.raw), end
        assert not re.search(rb"\r\n\.\r\n", message.raw), end
        # taken apart at whatever line end, no line of the wire form is a dot
        assert b"." not in re.split(rb"\r\n|\r|\n", message.raw), end


def test_smuggled_message_is_refused_where_pedantic(mta):
    mta.config("rfc2822_lone_lf_in_body = pedantic")
    mta.route()
    for end in (b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n"):
        give(mta, HEAD + b"first" + end + INNER + b".\r\n", "550 5.6.0 *")


def test_line_too_long_can_be_refused(mta):
    mta.config("rfc2822_max_line_length = pedantic")
    mta.route()
    give(mta, HEAD + b"x" * 998 + b"\r\n.\r\n")
    give(mta, HEAD + b"x" * 999 + b"\r\n.\r\n", "550 5.6.0 Body line too long*")
    mta.config("rfc2822_max_line_length = 100\nrfc2822_max_line_length_policy = reject")
    give(mta, HEAD + b"x" * 101 + b"\r\n.\r\n", "550 5.6.0 Body line too long*")


LONG_LINES = [
    (b"x" * 998, [b"x" * 998]), (b"x" * 999, [b"x" * 998, b"x"]), (b"x" * 1996, [b"x" * 998] * 2),
    (b"." * 2000, [b"." * 998] * 2 + [b"...."]), (b"x" * 998 + b".", [b"x" * 998, b"."]),
    (b"x" * 997 + "\u00e4\u20ac".encode(), [b"x" * 997, "\u00e4\u20ac".encode()]),
    (b"\x80" * 1000, [b"\x80" * 998, b"\x80" * 2]),
]


@pytest.mark.parametrize("options", ["rfc2822_max_line_length = fix", "rfc2822_max_line_length = 998\nrfc2822_max_line_length_policy = fix"])
def test_line_too_long_is_broken(mta, options):
    mta.config(options)
    sink = mta.route()
    for n, (line, pieces) in enumerate(LONG_LINES, 1):
        give(mta, HEAD + (b"." if line.startswith(b".") else b"") + line + b"\r\nnext\r\n.\r\n")
        assert came(sink, n).data.partition(b"\r\n\r\n")[2] == b"\r\n".join(pieces) + b"\r\nnext\r\n"


@pytest.mark.parametrize("threshold", [100, 2000, 4999, 5000, 5001, 5002, 100_000])
def test_long_lines_of_a_large_message_are_broken(mta, threshold):
    """In memory and in its file alike, wherever the file begins."""
    mta.config(f"rfc2822_max_line_length = fix\nlarge_message_threshold = {threshold}")
    sink = mta.route()
    sent = b"x" * (4999 - len(HEAD)) + b"\r\n" + b"\xc3\xa4" * 4000 + b"\r\n" + b"." * 5000 + b"\r\n" + b"y" * 998 + b"\r\nend\r\n"
    give(mta, HEAD + sent.replace(b"\r\n.", b"\r\n..") + b".\r\n")
    body = came(sink).data.partition(b"\r\n\r\n")[2]
    lines = body.split(b"\r\n")
    assert max(map(len, lines)) == 998 and body.replace(b"\r\n", b"") == sent.replace(b"\r\n", b"") and lines[-3:] == [b"y" * 998, b"end", b""]
    assert all(line.decode() for line in lines[:-1])


def test_helo_name_cannot_forge_a_header(mta):
    sink = mta.route()
    with mta.smtp() as c:
        talk(c, ("EHLO x)(y\\z", "250 *"))
        c.send_mail("a@test", "b@example.com", HEAD)
        c.expect("250 *")
    assert b"helo=x??y?z)\r\n" in came(sink).data


def test_hello_smtp_is_named_so(mta):
    sink = mta.route()
    with mta.smtp(greet=False) as c:
        c.expect("220 *")
        talk(c, ("HELO x", "250 *"))
        c.send_mail("a@test", "b@example.com", HEAD)
        c.expect("250 *")
    assert b") with SMTP\r\n" in came(sink).data


def test_thousand_recipients_get_one_each(mta):
    sink = mta.route()
    n = 50 if mta.suspend else 1000             # every recipient is parked four times behind the dot
    names = [f"r{i}@example.com" for i in range(n)]
    with mta.smtp(timeout=60) as c:
        c.send_mail("a@test", names)
        c.expect("250 2.0.0 OK *")
    mta.wait_log("D", n, 30)
    assert sorted(r for m in sink.messages for r in m.rcpts) == sorted(names)
    assert len({r.id for r in mta.mainlog("R")}) == n and len({r.batch for r in mta.mainlog("R")}) == 1


@pytest.mark.variants
def test_a_client_that_closes_its_side_behind_the_dot_still_reads_the_reply(mta):
    sink = mta.route()
    with mta.smtp() as c:
        c.send(b"EHLO c.test\r\nMAIL FROM:<a@test>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n")
        for code in (250, 250, 250, 354):
            assert c.read_reply() == code
        c.send(b"Subject: half\r\n\r\nx\r\n.\r\n")
        c.sock.shutdown(1)
        assert c.read_reply() == 250
        c.expect_closed()
    sink.wait(messages=1)
