"""What the server answers to each verb, in and out of order."""
import re
import socket

import pytest

from tests.harness.smtp import SMTPClient
from tests.harness.wait import until

BANNER = r"220 2\.0\.0 mta\.test ESMTP ecelerity \S+ r\(\S+\) \w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} [+-]\d{4}"
ID = "[0-9A-F]{2}/[0-9A-F]{2}-[0-9]{5}-[0-9A-F]{8}"


def talk(c, *steps):
    """(command, expected last line) one after the other."""
    for command, expected in steps:
        c.command(command)
        c.expect(expected)


def raw(mta):
    mta.start()
    return SMTPClient(port=mta.port, greet=False)


@pytest.mark.variants
def test_a_session_gets_the_replies_of_real_installations(mta):
    sink = mta.route()
    with raw(mta) as c:
        c.read_reply()
        assert re.fullmatch(BANNER, c.reply[0])
        c.command("EHLO client.test")
        c.read_reply()
        here = c.sock.getsockname()
        assert c.reply[0] == f"250-mta.test says EHLO to {here[0]}:{here[1]}"
        assert [line[4:] for line in c.reply[1:]] == ["ENHANCEDSTATUSCODES", "SIZE", "PIPELINING", "8BITMIME"]
        c.pending = False
        talk(c, ("MAIL FROM:<a@test>", "250 2.0.0 MAIL FROM accepted"), ("RCPT TO:<b@example.com>", "250 2.0.0 RCPT TO accepted"),
             ("DATA", r'354 3.0.0 continue.  finished with "\r\n.\r\n"'))
        c.send(b"Subject: x\r\n\r\nbody\r\n.\r\n")
        c.read_reply()
        assert re.fullmatch(f"250 2.0.0 OK {ID}", c.reply[0])
        c.pending = False
        talk(c, ("RSET", "250 2.0.0 OK"), ("NOOP", "250 2.0.0 OK"), ("NOOP for fun", "250 2.0.0 OK"), ("VRFY a", "252 2.*"),
             ("HELP", "214 2.0.0 *"), ("QUIT", "221 2.3.0 mta.test closing connection"))
        c.expect_closed()
    sink.wait(messages=1)


def test_helo_is_answered_in_one_line(mta):
    with raw(mta) as c:
        c.expect("220 *")
        talk(c, ("HELO client.test", "250 mta.test says HELO to 127.0.0.1:*"))
        assert len(c.reply) == 1


FIRST = [
    ("EHLO", "501 5.5.2 invalid EHLO"), ("HELO", "501 5.5.2 invalid HELO"), ("EHLO a b", "501 5.*"), ("EHLO " + "a" * 256, "501 5.*"),
    ("RCPT TO:<b@example.com>", "503 5.5.1 *"), ("DATA", "503 5.5.1 *"), ("BDAT 3", "502 5.5.1 *"), ("AUTH PLAIN", "502 5.5.1 *"),
    ("STARTTLS", "502 5.5.1 *"), ("EXPN a", "502 5.5.1 *"), ("TURN", "50? 5.5.*"), ("WHAT", "500 5.5.2 *"), ("", "500 5.5.2 *"),
    (" MAIL FROM:<a@test>", "500 5.5.2 *"), ("M\0AIL FROM:<a@test>", "500 5.5.2 *"), ("QUIT now", "501 5.5.4 *"),
    ("RSET x", "501 5.5.4 *"), ("MAIL", "501 5.5.2 *"), ("MAIL FROM:", "501 5.5.2 *"), ("MAIL FROM:a@test", "501 5.5.2 *"),
    ("MAIL FROM:<a@test", "501 5.5.2 *"), ("MAIL FROM:<a@te st>", "501 5.5.2 *"), ("MAIL FROM:<a@@test>", "501 5.5.2 *"),
    ("MAIL FROM:<@test>", "501 5.5.2 *"), ("MAIL FROM:<a@test> ", "501 5.5.2 *"), ("MAIL FROM: <a@test>", "501 5.5.2 *"),
    ("MAIL TO:<a@test>", "501 5.5.2 *"), ("MAIL FROM:<a@test> FUNNY=1", "555 5.5.4 *"), ("MAIL FROM:<a@test> SIZE=x", "5?? 5.5.*"),
    ("MAIL FROM:<a@test> SIZE=1 SIZE=2", "5?? 5.5.*"), ("MAIL FROM:<a@test> BODY=9BIT", "5?? 5.5.*"),
    ("mail from:<a@test>", "250 2.0.0 *"), ("MAIL FROM:<>", "250 2.0.0 *"), ("MAIL FROM:<a@test> SIZE=10 BODY=8BITMIME", "250 2.0.0 *"),
    ('MAIL FROM:<"a b"@test>', "250 2.0.0 *"), ("MAIL FROM:<a@[127.0.0.1]>", "250 2.0.0 *"), ("MAIL FROM:<@x,@y:a@test>", "250 2.0.0 *"),
]


def test_first_command_is_answered(mta):
    for command, expected in FIRST:
        with mta.smtp() as c:
            talk(c, (command, expected), ("NOOP", "250 2.0.0 OK"))


def test_commands_out_of_order_leave_the_transaction_alone(mta):
    sink = mta.route()
    with mta.smtp() as c:
        talk(c, ("DATA", "503 5.5.1 DATA without MAIL FROM"), ("MAIL FROM:<a@test>", "250 *"), ("MAIL FROM:<x@test>", "501 5.5.1 *"),
             ("DATA", "503 5.5.1 DATA without RCPT TO"), ("RCPT TO:<b@example.com>", "250 *"), ("STARTTLS", "502 *"), ("NOOP", "250 *"),
             ("RCPT TO:<>", "501 *"), ("DATA now", "501 *"), ("DATA", "354 *"))
        c.send(b"Subject: x\r\n\r\n.\r\n")
        c.expect("250 2.0.0 OK *")
        talk(c, ("DATA", "503 *"), ("RCPT TO:<b@example.com>", "503 *"))
    sink.wait(messages=1)
    assert (sink.messages[0].mailfrom, sink.messages[0].rcpts) == ("a@test", ["b@example.com"])


@pytest.mark.parametrize("again", ["RSET", "EHLO again", "HELO again"])
def test_transaction_is_forgotten(mta, again):
    sink = mta.route()
    with mta.smtp() as c:
        talk(c, ("MAIL FROM:<old@test>", "250 *"), ("RCPT TO:<old@example.com>", "250 *"), (again, "250 *"), ("DATA", "503 *"))
        c.send_mail("new@test", "new@example.com")
        c.expect("250 2.0.0 OK *")
    sink.wait(messages=1)
    assert (sink.messages[0].mailfrom, sink.messages[0].rcpts) == ("new@test", ["new@example.com"])


def test_mail_without_hello_is_refused_where_required(mta):
    mta.config("require_ehlo = true")
    with raw(mta) as c:
        c.expect("220 *")
        needed = "550 5.5.1 RFC2821 HELO/EHLO needed"
        talk(c, ("MAIL FROM:<a@test>", needed), ("RCPT TO:<a@test>", needed), ("DATA", needed), ("VRFY x", needed), ("X", needed),
             ("RSET", "250 *"), ("NOOP", "250 *"), ("EHLO x", "250 *"), ("MAIL FROM:<a@test>", "250 *"))


def test_mail_without_hello_is_taken_otherwise(mta):
    sink = mta.route()
    with raw(mta) as c:
        c.expect("220 *")
        c.send_mail("a@test", "b@example.com")
        c.expect("250 2.0.0 OK *")
    sink.wait(messages=1)


def test_banner_and_names_come_from_options(mta):
    mta.config('ESMTP_Listener { banner_hostname = mx.other.test Listen "127.0.0.1:$port" { } }')
    with raw(mta) as c:
        c.expect("220 2.0.0 mx.other.test ESMTP *")
        talk(c, ("EHLO x", "250 *"), ("QUIT", "221 2.3.0 mx.other.test closing connection"))
    mta.config('ESMTP_Listener { static_banner = "hello there" smtp_extensions ("ENHANCEDSTATUSCODES") Listen "127.0.0.1:$port" { } }')
    with raw(mta) as c:
        c.expect("220 hello there")
        c.ehlo()
        assert c.extensions == ["ENHANCEDSTATUSCODES", "PIPELINING", "8BITMIME"]


def test_unqualified_addresses_are_refused_or_completed(mta):
    with mta.smtp() as c:
        talk(c, ("MAIL FROM:<a>", "501 *"), ("MAIL FROM:<a@test>", "250 *"), ("RCPT TO:<b>", "501 *"))
    mta.config("domain_for_unqualified_sender_address = here.test\n"
               "domain_for_unqualified_recipient_addresses = example.com")
    sink = mta.route()
    mta.send("a", "b")
    sink.wait(messages=1)
    assert (sink.messages[0].mailfrom, sink.messages[0].rcpts) == ("a@here.test", ["b@example.com"])


def test_trace_fields_show_the_sender_as_it_was_said(mta):
    mta.config("relay_hosts ( 192.0.2.1 )\nrelay_domains ( example.com )\ndomain_for_unqualified_sender_address = here.test\n"
               "domain_for_unqualified_recipient_addresses = other.test")
    sink = mta.route()
    with mta.smtp() as c:
        talk(c, ("MAIL FROM:<a>", "250 *"), ("RCPT TO:<b>", "550 5.7.1 *"))
        talk(c, ("RSET", "250 *"))
        for sender in "a", "A@here.test", "":
            c.send_mail(sender, "b@example.com")
            c.expect("250 *")
    sink.wait(messages=3)
    for m, (sender, said) in zip(sink.messages, (("a@here.test", b"a"), ("A@here.test", b"A@here.test"), ("", b""))):
        assert m.mailfrom == sender
        assert m.data.startswith(b"Return-Path: <" + said + b">\r\n") and b"(envelope-from <" + said + b">)" in m.data
    [r] = mta.wait_rejectlog(1)
    assert 'mailfrom_string="MAIL FROM:<a>",rcptto_string="RCPT TO:<b>"' in r.mess_context


def test_postmaster_needs_no_domain(mta):
    sink = mta.route("mta.test")
    mta.send("a@test", "Postmaster")
    sink.wait(messages=1)
    assert [r.lower() for r in sink.messages[0].rcpts] == ["postmaster@mta.test"]


SESSION = (b"EHLO client.test\r\nMAIL FROM:<a@test> SIZE=20\r\nRCPT TO:<b@example.com>\r\nRCPT TO:<c@example.com>\r\nNOOP\r\nDATA\r\n"
           b"Subject: x\r\n\r\n..dot\r\n...\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<d@example.com>\r\nRSET\r\nQUIT\r\n")
CODES = ["220", "250", "250", "250", "250", "250", "354", "250", "250", "250", "250", "221"]


def codes(data):
    return [line[:3] for line in data.decode().split("\r\n") if line[3:4] == " "]


def read_all(sock):
    found = b""
    while True:
        data = sock.recv(65536)
        if not data:
            return found
        found += data


@pytest.mark.variants
def test_session_is_answered_however_its_bytes_arrive(mta):
    sink = mta.route()
    mta.start()
    socks = []
    for cut in range(0, len(SESSION) + 1, 1 if not mta.suspend else 7):
        sock = socket.create_connection(("127.0.0.1", mta.port), 20)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(SESSION[:cut])
        socks.append((cut, sock))
        if len(socks) % 20 == 0:
            mta.counters()              # a moment for the loops
    for cut, sock in socks:
        sock.sendall(SESSION[cut:])
    for cut, sock in socks:
        assert codes(read_all(sock)) == CODES, f"cut at {cut}"
        sock.close()
    until(lambda: sum(len(m.rcpts) for m in sink.messages) >= 2 * len(socks), 20, "all mail")
    assert sum(len(m.rcpts) for m in sink.messages) == 2 * len(socks)
    assert {m.data.partition(b"\r\n\r\n")[2] for m in sink.messages} == {b".dot\r\n..\r\n"}


def test_session_is_answered_byte_by_byte(mta):
    mta.route()
    mta.start()
    with socket.create_connection(("127.0.0.1", mta.port), 20) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(SESSION)):
            sock.sendall(SESSION[i:i + 1])
        assert codes(read_all(sock)) == CODES


def test_pipelined_rcpt_after_rejected_mail(mta):
    with mta.smtp() as c:
        c.send(b"MAIL FROM:<a@@test>\r\nRCPT TO:<b@example.com>\r\nDATA\r\nNOOP\r\n")
        c.expect("501 *")
        c.expect("503 5.5.1 RCPT TO without MAIL FROM")
        c.expect("503 5.5.1 DATA without MAIL FROM")
        c.expect("250 2.0.0 OK")


def test_client_that_reads_no_replies_does_not_fill_the_memory(mta):
    mta.config("max_bad_commands = 0")
    mta.start()
    with socket.create_connection(("127.0.0.1", mta.port), 20) as sock:
        sock.settimeout(1)
        sent = 0
        try:
            while sent < 64 << 20:
                sent += sock.send(b"NOOP\r\n" * 10000)
        except TimeoutError:
            pass                        # the server has stopped reading
        assert sent < 64 << 20
        with mta.smtp() as c:
            talk(c, ("NOOP", "250 *"))
        sock.settimeout(10)
        assert sock.recv(65536).startswith(b"220 ")


@pytest.mark.parametrize("address", ["j\u00f6rg@example.com", "a@ex\u00e4mple.com", '"\u00e9"@example.com'])
def test_utf8_address_is_refused_as_rfc_6531_says(mta, address):
    with mta.smtp() as c:
        assert "SMTPUTF8" not in c.extensions
        talk(c, (f"MAIL FROM:<{address}>", "553 5.6.7 *"), (f"MAIL FROM:<{address}> SMTPUTF8", "553 5.6.7 *"),
             ("MAIL FROM:<a@test> SMTPUTF8", "555 5.5.4 *"), ("MAIL FROM:<a@test>", "250 *"),
             (f"RCPT TO:<{address}>", "553 5.6.7 *"), ("RCPT TO:<b@example.com>", "250 *"))
    codes = [r.code for r in mta.wait_rejectlog(4)]
    assert codes == [553, 553, 555, 553] and not any(r.text != r.text.encode("ascii", "replace").decode() for r in mta.rejectlog())


def test_bytes_that_are_no_utf8_are_a_syntax_error(mta):
    with mta.smtp() as c:
        c.send(b"MAIL FROM:<j\xf6rg@example.com>\r\nEHLO \xf6\xff\r\nMAIL FROM:<a@test>\r\nRCPT TO:<x@\xff>\r\n")
        for reply in ("501 5.5.2 *", "250 *", "250 *", "501 5.5.2 *"):
            c.expect(reply)
    assert [r.code for r in mta.wait_rejectlog(2)] == [501, 501]        # one line each, whatever was said in EHLO
