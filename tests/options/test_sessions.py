"""Options of an inbound session: who the client is taken for, and how fast its mail is."""
import re
import socket
import ssl
import time
from contextlib import contextmanager

import pytest

from tests.core.test_proxy import V4, binary
from tests.harness.cert import certificate, client_context
from tests.harness.provided import provide
from tests.harness.wait import fastest, until
from tests.smtp.test_server_replies import talk


def listener(mta, text, more=""):
    mta.config(f'relay_hosts = ()\nESMTP_Listener {{ {text} Listen "127.0.0.1:$port" {{ {more} }} }}')


def relays(c):
    """Whether the client may send to anywhere."""
    talk(c, ("MAIL FROM:<a@test>", "250 *"))
    c.command("RCPT TO:<b@elsewhere.example>")
    answer = c.expect("250 *", "550 5.7.1 relaying denied")
    talk(c, ("RSET", "250 *"))
    return answer.startswith("250")


@pytest.mark.shows("always_allow", "always_deny")
@pytest.mark.parametrize("text, allowed", [
    ("", False), ("always_allow = true", True), ("always_allow = true always_deny = true", False),
    ("always_allow = true Peer 127.0.0.0/8 { always_deny = true }", False),
    ("always_deny = true Peer 127.0.0.0/8 { always_deny = false always_allow = true }", True),
    ("smtp_extensions = ( ALWAYS-ALLOW )", True)])
def test_who_counts_as_authenticated(mta, text, allowed):
    listener(mta, text)
    with mta.smtp() as c:
        assert relays(c) == allowed
        c.command("X")
        c.expect("500 *")
    assert ("auth_user=anonymous" in mta.wait_rejectlog(1)[-1].conn_context) == allowed


@pytest.mark.shows("received_hostname")
def test_name_in_received(mta):
    sink = mta.route()
    for text, name in ("", b"mta.test"), ("received_hostname = mx.example.net", b"mx.example.net"):
        mta.config(f'ESMTP_Listener {{ {text} Listen "127.0.0.1:$port" {{ }} }}')
        with mta.smtp() as c:
            c.send_mail("a@test", "b@example.com")
            c.expect("250 *")
        sink.wait(messages=1 + (text != ""))
        assert re.search(rb"\r\n\tby (\S+) ", sink.messages[-1].data)[1] == name


@pytest.mark.shows("inbound_throttle_messages")
@pytest.mark.parametrize("rate, least, most", [("1000/1", 0, 1.4), ("5/2", 1.5, 9)])
def test_mail_comes_at_its_rate(mta, rate, least, most):
    mta.config(f"inbound_throttle_messages = {rate}")
    mta.route()
    with mta.smtp() as a, mta.smtp() as b:
        def five():
            for c in a, b, a, b, a:
                c.send_mail("a@test", "b@example.com")
                c.expect("250 *")
        assert least <= fastest(five, most) < most


def test_who_waits_for_a_throttle_hears_of_a_reload(mta):
    mta.config("inbound_throttle_messages = 1/1000")
    mta.route()
    mta.send()
    with mta.smtp() as c:
        c.command("MAIL FROM:<a@test>")
        mta.config()
        c.expect("421 4.3.2 *")


def test_client_that_leaves_while_throttled(mta):
    mta.config("inbound_throttle_messages = 1/60")
    mta.route()
    mta.send()
    with mta.smtp() as c:
        c.command("MAIL FROM:<a@test>")
        time.sleep(0.1)
    until(lambda: mta.counters()["InboundConcurrency"] == 0, what="end of the session")


# ---- PROXY

HEADER = b"PROXY TCP4 192.0.2.1 192.0.2.25 40000 25\r\n"


@contextmanager
def behind(mta, header, *pieces):
    """A client whose proxy says this first."""
    with mta.smtp(greet=False) as c:
        c.send(header)
        for piece in pieces:
            c.send(piece)
        yield c


@pytest.mark.variants
@pytest.mark.shows("proxy_protocol")
@pytest.mark.parametrize("header", [HEADER, binary(body=V4), binary(body=V4 + b"\x04\0\x03abc")])
def test_client_behind_a_proxy(mta, header):
    listener(mta, 'Peer 192.0.2.0/24 { open_relay = true }', "proxy_protocol = true")
    mta.start()
    with behind(mta, *[header[i:i + 1] for i in range(len(header))]) as c:
        c.expect("220 *")
        c.ehlo()
        assert c.reply[0].endswith("EHLO to 192.0.2.1:40000")
        assert relays(c)
    listener(mta, 'Peer 192.0.2.0/24 { open_relay = true }')
    with mta.smtp() as c:
        assert c.reply[0].split()[-1].startswith("127.0.0.1:") and not relays(c)


def test_commands_in_one_packet_with_the_header(mta):
    listener(mta, "", "proxy_protocol = true")
    mta.start()
    with behind(mta, HEADER + b"EHLO test\r\nNOOP\r\n") as c:
        c.expect("220 *")
        c.expect("250 8BITMIME")
        c.expect("250 2.0.0 OK")


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", binary(command=0x20)])
def test_header_that_names_no_client(mta, header):
    listener(mta, "", "proxy_protocol = true")
    mta.start()
    with behind(mta, header) as c:
        c.expect("220 *")
        c.ehlo()
        assert c.reply[0].split()[-1].startswith("127.0.0.1:")


@pytest.mark.parametrize("sent", [b"EHLO x\r\n", b"PROXY TCP4 1 2 3 4\r\n", b"PROXY " + b"x" * 200, binary(body=b"12"), b"\x16\x03\x01"])
def test_no_header_no_word(mta, sent):
    listener(mta, "", "proxy_protocol = true")
    mta.start()
    with behind(mta, sent) as c:
        c.expect_closed()
    [r] = mta.wait_rejectlog(1)
    assert (r.code, r.text, r.phase) == (550, "5.5.2 no PROXY header", "esmtp setup phase")


@pytest.mark.shows("proxy_protocol_timeout")
def test_header_must_come_in_time(mta):
    for seconds, closed in (1, True), (30, False):
        listener(mta, "", f"proxy_protocol = true proxy_protocol_timeout = {seconds}")
        mta.start()
        with behind(mta, HEADER[:10]) as c:
            if closed:
                c.expect_closed()
            else:
                time.sleep(1.5)
                c.send(HEADER[10:])
                c.expect("220 *")
    assert [r.text for r in mta.wait_rejectlog(1)] == ["4.4.2 no PROXY header in time"]


@pytest.mark.shows("proxy_protocol_timeout")
def test_header_may_take_its_time_where_the_timeout_is_0(mta):
    listener(mta, "", "proxy_protocol = true proxy_protocol_timeout = 0 command_timeout = 1")
    mta.start()
    with behind(mta, HEADER[:10]) as c:
        time.sleep(1.5)
        c.send(HEADER[10:])
        c.expect("220 *")
        c.expect("421 4.4.2 timeout")


@pytest.mark.shows("proxy_allow")
def test_who_may_be_a_proxy(mta):
    listener(mta, "proxy_allow = ( 127.0.0.0/8 )", "proxy_protocol = true")
    mta.start()
    with behind(mta, HEADER) as c:
        c.expect("220 *")
    listener(mta, "proxy_allow = ( 10.0.0.0/8 )", "proxy_protocol = true")
    with mta.smtp(greet=False) as c:
        c.expect_closed()
    assert [r.text for r in mta.wait_rejectlog(1)] == ["5.7.1 not a proxy that proxy_allow names"]


@pytest.mark.variants
def test_sessions_behind_a_proxy_are_counted_by_client(mta):
    listener(mta, "Peer 192.0.2.1 { service_sessions = 1 }", "proxy_protocol = true")
    mta.start()
    with behind(mta, HEADER) as c, behind(mta, HEADER) as d, behind(mta, HEADER.replace(b"192.0.2.1 ", b"192.0.2.2 ")) as e:
        c.expect("220 *")
        d.expect("421 4.4.5 *")
        e.expect("220 *")


# ---- XCLIENT

@pytest.mark.variants
def test_client_for_whom_a_trusted_one_speaks(mta):
    listener(mta, 'smtp_extensions = ( XCLIENT ) Peer 192.0.2.0/24 { open_relay = true smtp_extensions = () }')
    with mta.smtp() as c:
        assert "XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT" in c.extensions
        assert not relays(c)
        talk(c, ("XCLIENT ADDR=192.0.2.1 PORT=40000 NAME=client.example HELO=[UNAVAILABLE] PROTO=ESMTP", "220 * ESMTP *"))
        c.ehlo()
        assert c.reply[0].endswith("EHLO to 192.0.2.1:40000")
        assert relays(c)
        # who connected may say so again
        talk(c, ("XCLIENT ADDR=IPV6:2001:db8::1 NAME=a+2Bb", "220 *"))
        assert not relays(c)
    assert mta.wait_rejectlog(2)[-1].remote == "[2001:db8::1]:40000" and "xclient_name=a+b" in mta.rejectlog()[-1].conn_context


def test_xclient_is_for_clients_that_the_configuration_names(mta):
    for text in "", "smtp_extensions = ( STARTTLS )", "smtp_extensions = ( XCLIENT ) Peer 127.0.0.1 { smtp_extensions = () }":
        listener(mta, text)
        with mta.smtp() as c:
            assert not [e for e in c.extensions if e.startswith("XCLIENT")]
            talk(c, ("XCLIENT ADDR=192.0.2.1", "550 5.7.0 insufficient authorization"), ("NOOP", "250 *"))


@pytest.mark.parametrize("args", ["", "ADDR", "ADDR=", "=x", "ADDR=192.0.2.256", "ADDR=[192.0.2.1]", "PORT=65536", "PORT=-1", "PORT=x", "PROTO=LMTP",
                                  "COLOUR=red", "NAME=+4", "NAME=+0A", "NAME=+zz", "NAME=" + "x" * 256, "HELO=a+20b", "LOGIN=me",
                                  "ADDR=192.0.2.1 X", "ADDR=IPV6:", "ADDR=IPV6:192.0.2"])
def test_bad_attributes_change_nothing(mta, args):
    listener(mta, "smtp_extensions = ( XCLIENT ) max_command_length = 2048")
    with mta.smtp() as c:
        talk(c, (f"XCLIENT {args}", "501 5.5.4 *"))
        c.ehlo()
        assert c.reply[0].split()[-1].startswith("127.0.0.1:")
        talk(c, ("MAIL FROM:<a@test>", "250 *"), ("XCLIENT ADDR=192.0.2.1", "503 5.5.1 *"))


def test_login_counts_where_it_is_named(mta):
    listener(mta, 'smtp_extensions = ( "XCLIENT ADDR LOGIN" )')
    with mta.smtp() as c:
        assert "XCLIENT ADDR LOGIN" in c.extensions
        talk(c, ("XCLIENT NAME=x", "501 *"), ("XCLIENT ADDR=192.0.2.1", "220 *"))
        assert not relays(c)
        talk(c, ("XCLIENT LOGIN=joe", "220 *"))
        assert relays(c)


# ---- TLS from the first byte

@pytest.mark.variants
@pytest.mark.shows("use_ssl")
@pytest.mark.parametrize("proxied", [False, True])
def test_tls_from_the_first_byte(mta, proxied):
    cert, key = certificate("mta.test")
    told = f'tls_certificate = "{cert}" tls_key = "{key}"' + " proxy_protocol = true" * proxied
    listener(mta, told, "use_ssl = true")
    mta.start()
    with behind(mta, HEADER if proxied else b"") as c:
        c.sock = client_context().wrap_socket(c.sock)
        c.expect("220 *")
        c.ehlo()
        assert "STARTTLS" not in c.extensions
        talk(c, ("STARTTLS", "503 *"))
    listener(mta, told, "use_ssl = false")
    with behind(mta, HEADER if proxied else b"") as c:
        c.expect("220 *")


def test_hello_of_tls_in_one_packet_with_the_proxy_header(mta):
    cert, key = certificate("mta.test")
    listener(mta, f'tls_certificate = "{cert}" tls_key = "{key}"', "use_ssl = true proxy_protocol = true")
    mta.start()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context().wrap_bio(incoming, outgoing)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    with socket.create_connection(("127.0.0.1", mta.port), 5) as sock:
        sock.sendall(HEADER + outgoing.read())
        while True:
            incoming.write(sock.recv(65536))
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                pass
        sock.sendall(outgoing.read())
        while True:
            try:
                assert tls.read(100).startswith(b"220 ")
                break
            except ssl.SSLWantReadError:
                incoming.write(sock.recv(65536))


def test_use_ssl_without_a_certificate(mta):
    listener(mta, "", "use_ssl = true")
    with mta.start().smtp(greet=False) as c:
        c.expect_closed()
    assert [r.text for r in mta.wait_rejectlog(1)] == ["4.7.0 use_ssl without a certificate"]


# ---- contexts

@pytest.mark.shows("exclude_vctx_conn", "exclude_vctx_mess")
@pytest.mark.parametrize("text, kept", [
    ("", {b"segment", b"by_policy"}), ('exclude_vctx_conn = ( "nothing" "^seg" )', {b"by_policy"}),
    ('exclude_vctx_mess = ( "_policy$" )', {b"segment"}), ('Domain example.com { exclude_vctx_mess = ( "." ) exclude_vctx_conn = ( "." ) }', set()),
    ('Domain example.net { exclude_vctx_mess = ( "." ) exclude_vctx_conn = ( "." ) }', {b"segment", b"by_policy"})])
def test_what_of_the_contexts_is_spooled(mta, text, kept):
    provide(mta)
    mta.config(f'suspend_delivery = true\n{text}\nESMTP_Listener {{ context = [ segment = "trusted" ] Listen "127.0.0.1:$port" {{ }} }}')
    mta.send("a+validate_data=context@test")
    spooled = b"".join(path.read_bytes() for path in (mta.folder / "spool").rglob("*.seg"))
    assert b"validate_data=context@test" in spooled
    assert {name for name in (b"segment", b"by_policy") if name in spooled} == kept
