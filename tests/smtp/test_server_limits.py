"""Every limit is an option, and every time."""
import time

import pytest

from tests.harness.smtp import SMTPClient
from tests.harness.wait import until
from tests.smtp.test_server_replies import raw, talk

LISTENER = 'ESMTP_Listener { %s Listen "127.0.0.1:$port" { } }'


def listener(mta, text):
    mta.config(LISTENER % text)


def test_long_command_line_is_refused_and_skipped(mta):
    mta.config("max_command_length = 512")
    with mta.smtp() as c:
        c.send(b"NOOP " + b"x" * 100000 + b"\r\nNOOP\r\n")
        c.expect("500 5.5.2 line too long")
        c.expect("250 2.0.0 OK")
        # the limit counts the CR LF (RFC 5321 4.5.3.1.4)
        c.send(b"NOOP " + b"x" * 505 + b"\r\nNOOP " + b"x" * 506 + b"\r\nRSET\r\n")
        c.expect("250 2.0.0 OK")
        c.expect("500 5.5.2 line too long")
        c.expect("250 2.0.0 OK")


def test_bad_commands_end_the_session(mta):
    mta.config("max_bad_commands = 3")
    with mta.smtp() as c:
        talk(c, ("X", "500 *"), ("MAIL", "501 *"), ("DATA", "503 *"), ("NOOP", "250 *"), ("X", "500 *"))
        c.expect("421 4.7.0 *")
        c.expect_closed()


def test_lines_too_long_count_as_bad_commands(mta):
    mta.config("max_bad_commands = 3\nmax_command_length = 512")
    with mta.smtp() as c:
        for _ in range(4):
            c.command("x" * 600)
            c.expect("500 *")
        c.expect("421 4.7.0 *")
        c.expect_closed()


def test_recipients_per_message(mta):
    sink = mta.route()
    listener(mta, "max_recipients_per_message = 2")
    with mta.smtp() as c:
        assert c.send_mail("a@test", [f"{i}@example.com" for i in range(4)]) == [250, 250, 452, 452]
        c.expect("250 2.0.0 OK *")
        assert c.send_mail("a@test", ["9@example.com"]) == [250]
        c.expect("250 2.0.0 OK *")
    sink.wait(messages=2)
    assert [(r.code, r.text[:6]) for r in mta.wait_rejectlog(2)] == 2 * [(452, "4.5.3 ")]


def test_recipients_per_connection(mta):
    listener(mta, "max_recipients_per_connection = 3")
    mta.route()
    with mta.smtp() as c:
        assert c.send_mail("a@test", ["1@example.com", "2@example.com"]) == [250, 250]
        c.expect("250 *")
        assert c.send_mail("a@test", ["3@example.com", "4@example.com"]) == [250, 452]
        c.expect("250 *")
        talk(c, ("MAIL FROM:<a@test>", "250 *"), ("RCPT TO:<5@example.com>", "452 4.5.3 *"))


def test_receptions_per_connection(mta):
    mta.config("max_receptions_per_connection = 2")
    mta.route()
    with mta.smtp() as c:
        for _ in range(2):
            c.send_mail("a@test", "b@example.com")
            c.expect("250 *")
        talk(c, ("MAIL FROM:<a@test>", "452 4.5.3 *batch limit reached"))
    mta.send()


def test_message_size(mta):
    sink = mta.route()
    listener(mta, "max_message_size = 1000")
    with mta.smtp() as c:
        assert "SIZE 1000" in c.extensions
        talk(c, ("MAIL FROM:<a@test> SIZE=1001", "552 5.3.4 *"), ("MAIL FROM:<a@test> SIZE=1000", "250 *"), ("RSET", "250 *"))
        head = b"Subject: x\r\n\r\n"
        fits = head + b"x" * (1000 - len(head) - 2) + b"\r\n"
        assert len(fits) == 1000
        c.send_mail("a@test", "b@example.com", fits)
        c.expect("250 *")
        c.send_mail("a@test", "b@example.com", fits + b"\r\n")
        c.expect("552 5.3.4 *")
        c.send_mail("a@test", "b@example.com", b"x" * 3000000)
        c.expect("552 5.3.4 *")
        talk(c, ("NOOP", "250 *"))
    sink.wait(messages=1)
    assert len(sink.messages) == 1


def test_listener_sessions(mta):
    listener(mta, "listener_sessions = 2")
    with mta.smtp() as a, mta.smtp():
        with raw(mta) as c:
            c.expect("421 4.4.5 Service unavailable, concurrency limit reached.")
            c.expect_closed()
        a.quit()
        with mta.smtp():
            pass
    until(lambda: mta.counters()["InboundConcurrency"] == 0, what="end of the sessions")
    assert [(r.code, r.phase) for r in mta.wait_rejectlog(1)] == [(421, "concurrency limit")]


def test_silent_client_is_told_and_left(mta):
    mta.config("command_timeout = 1\ndata_timeout = 1")
    with mta.smtp() as c, mta.smtp() as d, mta.smtp() as e:
        talk(d, ("MAIL FROM:<a@test>", "250 *"), ("RCPT TO:<b@example.com>", "250 *"), ("DATA", "354 *"))
        d.send(b"Subject: x\r\n")
        e.send(b"NOO")                  # a line that never ends
        for client in (c, d, e):
            client.expect("421 4.4.2 *")
            client.expect_closed()
    assert mta.counters()["ReceivedMessages"] == 0


def test_idle_time_is_the_shorter(mta):
    listener(mta, "idle_time = 1")
    with mta.smtp() as c:
        begin = time.monotonic()
        c.expect("421 4.4.2 *")
        assert time.monotonic() - begin < 5


def test_slow_client_is_served_while_it_goes_on(mta):
    mta.config("command_timeout = 2\ndata_timeout = 2")
    sink = mta.route()
    with mta.smtp() as c:
        talk(c, ("MAIL FROM:<a@test>", "250 *"), ("RCPT TO:<b@example.com>", "250 *"), ("DATA", "354 *"))
        for _ in range(4):
            time.sleep(1)
            c.send(b"Subject: x\r\n")
        c.send(b"\r\nx\r\n.\r\n")
        c.expect("250 *")
    sink.wait(messages=1)


def test_header_size(mta):
    mta.config("max_header_bytes = 2000")
    with mta.smtp() as c:
        c.send_mail("a@test", "b@example.com", b"".join(b"X-%d: x\r\n" % i for i in range(500)) + b"\r\nx\r\n")
        c.expect("552 5.3.4 header size limit exceeded")


@pytest.mark.shows("reconfig_message")
def test_new_configuration_ends_old_sessions_at_the_next_mail(mta):
    mta.route()
    with mta.smtp() as c, mta.smtp() as d, mta.smtp() as e:
        talk(d, ("MAIL FROM:<a@test>", "250 *"), ("RCPT TO:<b@example.com>", "250 *"))
        mta.config('ESMTP_Listener { max_recipients_per_message = 1 Listen "127.0.0.1:$port" { } }')
        talk(c, ("NOOP", "250 *"), ("MAIL FROM:<a@test>", "421 4.3.2 Reconfiguration in progress"))
        c.expect_closed()
        # a transaction under way is finished by the rules it began with
        talk(d, ("RCPT TO:<c@example.com>", "250 *"), ("DATA", "354 *"))
        d.send(b"Subject: x\r\n\r\n.\r\n")
        d.expect("250 *")
        talk(d, ("MAIL FROM:<a@test>", "421 *"))
        talk(e, ("RSET", "421 *"))
        e.expect_closed()
    with mta.smtp() as c:
        talk(c, ("MAIL FROM:<a@test>", "250 *"), ("RCPT TO:<b@example.com>", "250 *"), ("RCPT TO:<c@example.com>", "452 *"))
    mta.config('ESMTP_Listener { reconfig_message = "4.3.2 come again" Listen "127.0.0.1:$port" { } }')
    with mta.smtp() as c:
        mta.config('ESMTP_Listener { reconfig_message = "4.3.2 and again" Listen "127.0.0.1:$port" { } }')
        talk(c, ("MAIL FROM:<a@test>", "421 4.3.2 come again"))


@pytest.mark.variants
def test_dead_client_leaves_nothing(mta):
    mta.route()
    for end in (b"Subject: x\r\n\r\nhalf", b"Subject: x\r\n\r\nhalf\r\n", b"Subject: x\r\n\r\nhalf\r\n.", b"Subject: x\r\n\r\nhalf\r\n.\r"):
        with mta.smtp() as c:
            talk(c, ("MAIL FROM:<a@test>", "250 *"), ("RCPT TO:<b@example.com>", "250 *"), ("DATA", "354 *"))
            c.send(end)
    until(lambda: mta.counters()["InboundConcurrency"] == 0, what="end of the sessions")
    values = mta.counters()
    assert (values["ReceivedMessages"], values["ResidentMessages"], values["ResidentBytes"]) == (0, 0, 0)


@pytest.mark.variants
def test_client_gone_at_the_dot_is_whole_or_not_at_all(mta):
    sink = mta.route()
    for _ in range(30):
        with mta.smtp() as c:
            c.send(b"MAIL FROM:<a@test>\r\nRCPT TO:<b@example.com>\r\nDATA\r\nSubject: x\r\n\r\nbody\r\n.\r\n")
    until(lambda: mta.counters()["InboundConcurrency"] == 0, what="end of the sessions")
    mta.wait_empty()
    assert len(sink.messages) == mta.counters()["ReceivedMessages"]
    assert all(m.data.endswith(b"\r\n\r\nbody\r\n") for m in sink.messages)


def test_message_size_is_counted_without_stuffing(mta):
    """RFC 1870 3: the dots that transparency adds are not the message's."""
    sink = mta.route()
    listener(mta, "max_message_size = 5000")
    head, line = b"From: a@test\r\n\r\n", b"." + b"x" * 7 + b"\r\n"
    fits = head + line * ((5000 - len(head)) // 10)
    for data, reply in ((fits, "250 *"), (fits + line, "552 5.3.4 message size limit exceeded"), (fits, "250 *")):
        with mta.smtp() as c:
            assert "SIZE 5000" in c.extensions
            c.send_mail("a@test", "b@example.com", data)
            c.expect(reply)
    sink.wait(messages=2)
    assert all(m.data.endswith(fits) for m in sink.messages)


@pytest.mark.parametrize("size, reply", [("5000", "250 *"), ("5001", "552 5.3.4 message size limit exceeded"),
                                         ("18446744073709551615", "552 5.3.4 *"), ("99999999999999999999", "552 5.3.4 *"),
                                         ("0", "250 *"), ("-1", "501 *"), ("1" * 21, "501 *"), ("", "501 *")])
def test_size_that_was_announced_is_judged_at_mail_from(mta, size, reply):
    listener(mta, "max_message_size = 5000")
    with mta.smtp() as c:
        talk(c, (f"MAIL FROM:<a@test> SIZE={size}", reply))


def opened(mta, source):
    """A client from that address: it, and its greeting's code."""
    client = mta.smtp(source=source, greet=False)
    client.__enter__()
    return client, int(client.expect("*")[:3])


@pytest.mark.shows("service_sessions")
def test_service_sessions_count_over_all_addresses_and_per_peer(mta):
    listener(mta, 'service_sessions = 3\nPeer "127.0.0.2" { service_sessions = 1 }\nPeer "127.0.0.3" { service_sessions = 1 }')
    one, first = opened(mta, "127.0.0.2")
    other, second = opened(mta, "127.0.0.2")
    assert (first, second) == (220, 421)            # its own budget is used up
    another, third = opened(mta, "127.0.0.3")
    free, fourth = opened(mta, "127.0.0.4")
    late, fifth = opened(mta, "127.0.0.5")
    assert (third, fourth, fifth) == (220, 220, 421)    # and all of the service's
    assert [r.text for r in mta.wait_rejectlog(2)] == 2 * ["4.4.5 Service unavailable, concurrency limit reached."]
    one.__exit__(None, None, None)
    until(lambda: mta.counters()["InboundConcurrency"] == 2)
    again, sixth = opened(mta, "127.0.0.2")
    assert sixth == 220
    for client in (other, another, free, late, again):
        client.__exit__(None, None, None)
