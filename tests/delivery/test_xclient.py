"""XCLIENT towards the receiver: who is named, when, and what becomes of mail where that fails."""
import pytest

from tests.delivery.test_transactions import queue_up
from tests.harness.wait import until

XCLIENT = ("PIPELINING", "8BITMIME", "SIZE 100000000", "XCLIENT NAME ADDR PORT PROTO HELO")
SELF = "XCLIENT ADDR=127.0.0.1 PORT=[UNAVAILABLE] PROTO=ESMTP NAME=[UNAVAILABLE] HELO=[UNAVAILABLE]"


def verbs(connection):
    return [c.split()[0] for c in connection.commands]


@pytest.mark.shows("xclient")
@pytest.mark.parametrize("how, said", [("no", False), ("ifavailable", True), ("required", True)])
def test_client_is_named_ahead_of_its_mail(mta, how, said):
    mta.config(f"xclient = {how}")
    sink = mta.route(extensions=XCLIENT)
    mta.send()
    sink.wait(messages=1)
    assert sink.seen("XCLIENT") == ([SELF] if said else [])
    assert verbs(sink.connections[0])[:4] == (["EHLO", "XCLIENT", "EHLO", "MAIL"] if said else ["EHLO", "MAIL", "RCPT", "DATA"])


@pytest.mark.variants
def test_each_client_is_named_once(mta):
    """Clients told apart by what XCLIENT said of them on the way in."""
    clients = ["192.0.2.1", "192.0.2.1", "2001:db8::7", "192.0.2.1"]
    mta.config('ESMTP_Listener { Listen "127.0.0.1:$port" { SMTP_Extensions = ( "XCLIENT" ) } }\nxclient = required\n'
               "relay_hosts ( 0.0.0.0/0 ::/0 )\nmax_outbound_connections = 1\nDomain example.com { suspend_delivery = true }")
    sink = mta.route(extensions=XCLIENT)
    with mta.smtp() as c:
        for i, address in enumerate(clients):
            prefix = "IPV6:" if ":" in address else ""
            c.command(f"XCLIENT ADDR={prefix}{address} NAME=client{i // 2}.test HELO=+41 PORT=99"), c.expect("220 *"), c.ehlo()
            c.send_mail("a@test", "b@example.com"), c.expect("250 *")
    mta.config('ESMTP_Listener { Listen "127.0.0.1:$port" { } }\nxclient = required\nmax_outbound_connections = 1')
    sink.wait(messages=4)
    assert [c for c in sink.seen("XCLIENT")] == [
        "XCLIENT ADDR=192.0.2.1 PORT=99 PROTO=ESMTP NAME=client0.test HELO=A",
        "XCLIENT ADDR=IPV6:2001:db8::7 PORT=99 PROTO=ESMTP NAME=client1.test HELO=A",
        "XCLIENT ADDR=192.0.2.1 PORT=99 PROTO=ESMTP NAME=client1.test HELO=A"]
    assert len(sink.connections) == 1 and not sink.connections[0].violations


@pytest.mark.parametrize("offered, kept", [("XCLIENT ADDR", "XCLIENT ADDR=127.0.0.1"), ("XCLIENT", None), ("XCLIENT LOGIN", None)])
def test_only_what_the_peer_takes_is_said(mta, offered, kept):
    mta.config("xclient = required")
    sink = mta.route(extensions=("SIZE", offered))
    mta.send()
    sink.wait(messages=1)
    assert sink.seen("XCLIENT") == ([kept] if kept else [])


def test_required_and_not_advertised(mta):
    mta.config("xclient = required")
    sink = mta.route()
    mta.send()
    [t] = mta.wait_log("T")
    assert (t.stage, t.text) == (20, "451 4.7.6 [internal] XCLIENT required but not advertised") and not sink.seen("MAIL")


def test_ifavailable_and_not_advertised(mta):
    mta.config("xclient = ifavailable")
    sink = mta.route()
    mta.send()
    sink.wait(messages=1)
    assert not sink.seen("XCLIENT")


@pytest.mark.parametrize("how", ["ifavailable", "required"])
def test_refused(mta, how):
    sink = mta.route(extensions=XCLIENT, xclient="550 5.7.0 not you")
    queue_up(mta, f"xclient = {how}\nmax_outbound_connections = 1\n", [{"rcpts": "a@example.com"}, {"rcpts": "b@example.com"}])
    if how == "required":
        assert [(t.stage, t.text) for t in mta.wait_log("T", 2)] == [(20, "550 5.7.0 not you")] * 2
        assert not sink.seen("MAIL") and len(sink.connections) == 1
    else:
        sink.wait(messages=2)
        assert len(sink.connections) == 1


def test_mail_of_another_client_never_goes_under_the_first_ones_name(mta):
    """The peer takes one XCLIENT for each connection."""
    sink = mta.route(extensions=XCLIENT, xclient=["220 sink", "503 5.5.1 once is enough"])
    mta.config('ESMTP_Listener { Listen "127.0.0.1:$port" { SMTP_Extensions = ( "XCLIENT" ) } }\nxclient = ifavailable\n'
               "relay_hosts ( 0.0.0.0/0 ::/0 )\nmax_outbound_connections = 1\nDomain example.com { suspend_delivery = true }")
    with mta.smtp() as c:
        for i in (1, 2):
            c.command(f"XCLIENT ADDR=192.0.2.{i}"), c.expect("220 *"), c.ehlo()
            c.send_mail("a@test", "b@example.com"), c.expect("250 *")
    mta.config('xclient = ifavailable\nmax_outbound_connections = 1\nESMTP_Listener { Listen "127.0.0.1:$port" { } }')
    sink.wait(messages=2)
    assert [m.connection for m in sink.messages] == [0, 1]
    assert not mta.mainlog("T")


@pytest.mark.parametrize("script, text", [
    ({"cut_at": "xclient"}, "451 4.4.2 [internal] no XCLIENT response"), ({"xclient": "421 4.3.2 bye"}, "421 4.3.2 bye"),
    ({"ehlo": ["250-sink\n250 XCLIENT ADDR", "521 5.7.1 not for them"], "helo": "521 5.7.1 not for them"}, "521 5.7.1 not for them")])
def test_peer_that_breaks_off(mta, script, text):
    mta.config("xclient = required")
    sink = mta.route(extensions=XCLIENT, **script)
    mta.send()
    [t] = mta.wait_log("T")
    assert t.text == text and t.stage in (11, 20)
    assert not sink.messages
    until(lambda: mta.counters()["OutboundConcurrency"] == 0)


def test_bounces_are_ours(mta):
    home = mta.route("test", "127.0.0.3", extensions=XCLIENT)
    mta.route(rcpt="550 5.1.1 no")
    mta.config("xclient = ifavailable\ngenerate_bounces = true")
    mta.send()
    home.wait(messages=1)
    assert not home.seen("XCLIENT")
