"""TLS on the way out: no, ifavailable, required; fallback; verification."""
import pytest

from tests.harness.cert import certificate
from tests.harness.sink import Sink
from tests.harness.wait import until


@pytest.mark.variants
def test_tls_is_used_where_offered(mta):
    mta.config("tls = ifavailable")
    sink = mta.route(tls=True)
    body = b"Subject: x\r\n\r\n..\r\n" + b"x" * 200000 + b"\r\n"
    for _ in range(2):
        mta.send(data=body)
    sink.wait(messages=2)
    assert all(m.tls and m.data.endswith(body) for m in sink.messages)
    assert not any(c.violations for c in sink.connections)
    assert [c.split()[0] for c in sink.connections[0].commands][:4] == ["EHLO", "STARTTLS", "EHLO", "MAIL"]


@pytest.mark.shows("tls")
@pytest.mark.parametrize("how, offered, tls", [("no", True, False), ("ifavailable", False, False), ("required", True, True)])
def test_option_decides(mta, how, offered, tls):
    mta.config(f"tls = {how}")
    sink = mta.route(tls=offered)
    mta.send()
    sink.wait(messages=1)
    assert sink.messages[0].tls == tls


def test_required_and_not_offered(mta):
    mta.config("tls = required")
    sink = mta.route()
    mta.send()
    [t] = mta.wait_log("T")
    assert (t.stage, t.text, t.peer) == (16, "451 4.7.6 [internal] STARTTLS required but not advertised", "127.0.0.2")
    assert not sink.seen("MAIL")


@pytest.mark.parametrize("how", ["ifavailable", "required"])
def test_starttls_refused(mta, how):
    mta.config(f"tls = {how}")
    sink = mta.route(tls=True, starttls="454 4.7.0 not now")
    mta.send()
    if how == "required":
        [t] = mta.wait_log("T")
        assert t.text.startswith("451 4.7.5 [internal] no tls go-ahead") and not sink.messages
    else:
        sink.wait(messages=1)
        assert not sink.messages[0].tls


@pytest.mark.shows("tls_fallback_always_new_connection")
@pytest.mark.parametrize("anew, connections", [("true", 2), ("false", 1)])
def test_refused_starttls_is_followed_by_a_new_connection(mta, anew, connections):
    mta.config(f"tls = ifavailable\ntls_fallback_always_new_connection = {anew}")
    sink = mta.route(tls=True, starttls="454 4.7.0 not now")
    mta.send()
    sink.wait(messages=1)
    assert len(sink.connections) == connections and len(sink.seen("STARTTLS")) == 1
    mta.wait_log("D")
    until(lambda: mta.counters()["OutboundConcurrency"] <= 1)


@pytest.mark.shows("tls_ifavailable_fallback")
@pytest.mark.parametrize("options, delivered", [("tls = ifavailable", True), ("tls = ifavailable\ntls_ifavailable_fallback = false", False),
                                                ("tls = required", False)])
def test_handshake_that_fails(mta, options, delivered):
    # no version in common: the sink says so by an alert and closes
    mta.config(options + '\ntls_protocols = "+TLSv1.1:-TLSv1.2:-TLSv1.3"\ntls_ciphers = "DEFAULT:@SECLEVEL=0"')
    sink = mta.route(tls=True)
    mta.send()
    if delivered:
        sink.wait(messages=1)
        assert not sink.messages[0].tls
    else:
        [t] = mta.wait_log("T")
        assert t.text.startswith("451 4.7.5 [internal]") and t.stage in (16, 17) and not sink.messages


@pytest.mark.parametrize("options, delivered", [("tls = ifavailable", True), ("tls = required", False)])
def test_peer_that_closes_instead_of_a_handshake(mta, options, delivered):
    mta.config(options)
    mta.dns({"example.com": {"A": ["127.0.0.3"]}})
    peer = ClosesAtHandshake("127.0.0.3", mta.sink_port)
    with peer:
        mta.send()
        if delivered:
            peer.wait(messages=1)           # it comes again, and not by TLS
        else:
            [t] = mta.wait_log("T")
            assert t.text == "451 4.7.5 [internal] TLS negotiation failed" and t.stage == 17


def test_clear_text_behind_the_go_ahead_is_not_heard(mta):
    mta.config("tls = required")
    sink = mta.route(tls=True, starttls="220 go ahead\n250 injected")
    mta.send()
    [t] = mta.wait_log("T")
    assert t.stage == 17 and not sink.seen("MAIL")


class ClosesAtHandshake(Sink):
    """Says the go-ahead to STARTTLS and closes."""

    def __init__(self, address, port):
        super().__init__(address, port, extensions=("STARTTLS",), starttls=self.go_ahead)

    def go_ahead(self, args):
        for sock in list(self._live):
            sock.sendall(b"220 go ahead\r\n")
        raise OSError


def test_certificate_is_checked(mta):
    cert, _ = certificate("localhost")       # signed by itself
    mta.config(f'tls = required\ntls_verify = ca\ntls_ca = "{cert}"')
    sink = mta.route(tls=True)
    mta.send()
    sink.wait(messages=1)
    assert sink.messages[0].tls


def test_certificate_of_another_host(mta):
    cert, _ = certificate("localhost")
    mta.config(f'tls = required\ntls_verify = host\ntls_ca = "{cert}"')
    sink = mta.route(tls=True)
    mta.send()
    [t] = mta.wait_log("T")
    assert t.text == "451 4.7.5 [internal] SSL certificate subject does not match host" and not sink.messages


def test_certificate_of_an_unknown_authority(mta):
    other, _ = certificate("other.test")
    mta.config(f'tls = required\ntls_verify = ca\ntls_ca = "{other}"')
    sink = mta.route(tls=True)
    mta.send()
    [t] = mta.wait_log("T")
    assert t.text == "451 4.7.5 [internal] remote node SSL certificate not signed by a valid CA" and not sink.messages


def test_host_name_that_matches(mta):
    cert, _ = certificate("localhost")
    mta.config(f'tls = required\ntls_verify = host\ntls_ca = "{cert}"')
    mta.dns({"example.com": {"MX": ["localhost"]}, "localhost": {"A": ["127.0.0.2"]}})
    sink = mta.sink("127.0.0.2", tls=True)
    mta.send()
    sink.wait(messages=1)


def test_client_shows_its_certificate_without_harm(mta):
    cert, key = certificate("client.test")
    mta.config(f'tls = required\nBinding default {{ tls_certificate = "{cert}" tls_key = "{key}" }}')
    sink = mta.route(tls=True)
    mta.send()
    sink.wait(messages=1)


def test_refused_starttls_without_a_fallback_is_tried_again_later(mta):
    mta.config("tls = ifavailable\ntls_ifavailable_fallback = false")
    sink = mta.route(tls=True, starttls="454 4.7.0 not now")
    mta.send()
    [t] = mta.wait_log("T")
    assert t.text.startswith("451 4.7.5 [internal] no tls go-ahead") and not sink.messages


@pytest.mark.parametrize("name, delivered", [("mx.example.com", True), ("example.com", True), ("other.test", False)])
def test_certificate_of_the_host_or_of_the_domain(mta, name, delivered):
    mta.dns({"example.com": {"MX": ["mx.example.com"]}, "mx.example.com": {"A": ["127.0.0.2"]}})
    cert, _ = certificate(name)
    mta.config(f"tls = required\ntls_verify = host\ntls_ca = {cert}")
    sink = mta.sink("127.0.0.2", tls=name)
    mta.send()
    if delivered:
        sink.wait(messages=1)
    else:
        assert "does not match host" in mta.wait_log("T")[0].text


@pytest.mark.parametrize("change, connections, tls", [("tls = required", 2, True), ("message_expiration = 5000", 1, False)])
def test_open_connection_carries_no_mail_that_it_would_not_have_been_made_for(mta, change, connections, tls):
    mta.config("idle_timeout = 60")
    sink = mta.route(tls=True)
    mta.send()
    mta.wait_log("D")
    mta.config(f"idle_timeout = 60\n{change}")
    mta.send()
    sink.wait(messages=2)
    assert len(sink.connections) == connections and sink.messages[1].tls == tls
