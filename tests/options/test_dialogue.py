"""Options of the dialogue with the receiver: logins, proxies, protocols; two values each."""
from base64 import b64decode

import pytest

from tests.harness.haproxy import Proxy
from tests.harness.port import free_port
from tests.harness.wait import until

OFFERS = ("PIPELINING", "AUTH PLAIN LOGIN XOAUTH2")
LOGIN = "outbound_smtp_auth_type = {}\noutbound_smtp_auth_user = {}\noutbound_smtp_auth_pass = {}"


def login_seen(mta, type, user="jo", password="secret", **script):
    """What the sink is told behind AUTH, the coded parts in clear."""
    sink = mta.route(extensions=OFFERS, **script)
    mta.config(LOGIN.format(type, user, password))
    mta.send()
    sink.wait(messages=1)
    mechanism, *parts = sink.connections[0].auth
    return mechanism, *(b64decode(part) for part in parts)


@pytest.mark.shows("outbound_smtp_auth_type", "outbound_smtp_auth_user", "outbound_smtp_auth_pass")
@pytest.mark.parametrize("type, user, password, seen", [
    ("PLAIN", "jo", "secret", ("PLAIN", b"\0jo\0secret")), ("PLAIN", "joe", "s", ("PLAIN", b"\0joe\0s")),
    ("LOGIN", "jo", "secret", ("LOGIN", b"jo", b"secret")), ("LOGIN", "j", "secrets", ("LOGIN", b"j", b"secrets")),
    ("XOAUTH2", "jo", "token", ("XOAUTH2", b"user=jo\1auth=Bearer token\1\1")),
    ("PLAIN", "jo", "x" * 600, ("PLAIN", b"\0jo\0" + b"x" * 600)), ("XOAUTH2", "jo", "y" * 2000, ("XOAUTH2", b"user=jo\1auth=Bearer " + b"y" * 2000 + b"\1\1")),
])
def test_login_at_the_receiver(mta, type, user, password, seen):
    assert login_seen(mta, type, user, password) == seen


def test_no_login_where_none_is_configured(mta):
    sink = mta.route(extensions=OFFERS)
    mta.send()
    sink.wait(messages=1)
    assert not sink.seen("AUTH")


@pytest.mark.parametrize("reply", ["535 5.7.8 wrong", "454 4.7.0 later"])
def test_refused_login_puts_mail_off(mta, reply):
    sink = mta.route(extensions=OFFERS, auth=reply)
    mta.config(LOGIN.format("PLAIN", "jo", "secret"))
    mta.send()
    [t] = mta.wait_log("T")
    assert t.text == reply and not sink.messages and not sink.seen("MAIL")


def test_login_that_is_not_offered(mta):
    sink = mta.route(extensions=("AUTH PLAIN",))
    mta.config(LOGIN.format("LOGIN", "jo", "secret"))
    mta.send()
    assert mta.wait_log("T")[0].text == "451 4.7.0 [internal] AUTH LOGIN required but not advertised"
    assert not sink.seen("AUTH")


@pytest.mark.parametrize("auth, lines", [("334 more", ["AUTH PLAIN AGpvAHNlY3JldA==", "*"]), ("334 eyJzdGF0dXMiOiI0MDAifQ==", None)])
def test_endless_challenges_end(mta, auth, lines):
    sink = mta.route(extensions=OFFERS, auth=auth, unknown="334 more")
    mta.config(LOGIN.format("PLAIN" if lines else "XOAUTH2", "jo", "secret"))
    mta.send()
    mta.wait_log("T")
    said = [line for line in sink.commands[1:] if line != "QUIT"]
    assert not sink.seen("MAIL") and (said == lines if lines else said[1:] == [""])


@pytest.mark.parametrize("tls, offered, secured", [("ifavailable", True, True), ("ifavailable", False, None), ("no", False, False)])
def test_password_is_not_shown_in_clear_where_tls_is_asked_for(mta, tls, offered, secured):
    sink = mta.route(extensions=OFFERS, tls=offered)
    mta.config(f"tls = {tls}\n" + LOGIN.format("PLAIN", "jo", "secret"))
    mta.send()
    if secured is None:
        assert mta.wait_log("T")[0].text == "451 4.7.0 [internal] no login without TLS" and not sink.seen("AUTH")
    else:
        sink.wait(messages=1)
        assert sink.connections[0].auth and sink.connections[0].tls == secured


# ---- proxies

@pytest.mark.variants
@pytest.mark.shows("ha_proxy_server", "ha_proxy_src_addr", "ha_proxy_ipv6_src_addr")
@pytest.mark.parametrize("four, six", [("192.0.2.1", "2001:db8::1"), ("192.0.2.2", "2001:db8::2")])
def test_connections_by_a_proxy(mta, four, six):
    mta.dns({f"four{n}.test": {"A": ["127.0.0.2"]} for n in (0, 1)} | {f"six{n}.test": {"AAAA": ["::1"]} for n in (0, 1)})
    sinks = mta.sink("127.0.0.2"), mta.sink("::1")
    with Proxy() as one, Proxy() as two:
        for n, proxy in enumerate((one, two)):
            mta.config(f'use_ipv6 = true\nmigrate_connections_between_sibling_domains = false\nBinding default {{ ha_proxy_server = "127.0.0.1:{proxy.port}"\n'
                       f"ha_proxy_src_addr = {four} ha_proxy_ipv6_src_addr = {six} }}")
            mta.send(rcpts=f"b@four{n}.test"), mta.send(rcpts=f"b@six{n}.test")
            until(lambda proxy=proxy: len(proxy.seen) == 2)
            assert set(proxy.seen) == {(four, "127.0.0.2", mta.sink_port), (six, "::1", mta.sink_port)}
        mta.wait_log("D", 4)
    assert [len(sink.messages) for sink in sinks] == [2, 2]


@pytest.mark.shows("ha_proxy_bypass")
def test_domain_that_passes_the_proxy_by(mta):
    mta.dns({"one.test": {"A": ["127.0.0.2"]}, "two.test": {"A": ["127.0.0.3"]}})
    mta.sink("127.0.0.2"), mta.sink("127.0.0.3")
    with Proxy() as proxy:
        mta.config(f'Binding default {{ ha_proxy_server = "127.0.0.1:{proxy.port}" ha_proxy_src_addr = 192.0.2.1\n'
                   "Domain one.test { ha_proxy_bypass = true }\nDomain two.test { ha_proxy_bypass = false } }")
        mta.send(rcpts="b@one.test"), mta.send(rcpts="b@two.test")
        mta.wait_log("D", 2)
        assert [destination for _, destination, _ in proxy.seen] == ["127.0.0.3"]


def test_proxy_without_a_source_for_the_family(mta):
    mta.dns({"one.test": {"A": ["127.0.0.2"], "AAAA": ["::1"]}, "two.test": {"A": ["127.0.0.2"]}, "three.test": {"A": ["127.0.0.3"]}})
    six = mta.sink("::1")
    with Proxy() as proxy:
        mta.config(f'use_ipv6 = true\nBinding default {{ ha_proxy_server = "127.0.0.1:{proxy.port}" ha_proxy_ipv6_src_addr = 2001:db8::1 }}')
        mta.send(rcpts="b@one.test"), mta.send(rcpts="b@two.test")
        six.wait(messages=1)
        assert [t.domain for t in mta.wait_log("T")] == ["two.test"]
        mta.config(f'Binding default {{ ha_proxy_server = "127.0.0.1:{proxy.port}" }}')
        mta.send(rcpts="b@three.test")
        assert "ha_proxy_src_addr is not set" in mta.wait_log("T", 2)[1].text


# ---- protocols

@pytest.mark.shows("delivery_method", "lmtp_port")
def test_protocol_and_port(mta):
    ports = {name: free_port((f"127.0.0.{n}",)) for n, name in enumerate(("one", "two"), 2)}
    mta.dns({f"{name}.test": {"A": [f"127.0.0.{n}"]} for n, name in enumerate(("one", "two", "smtp", "esmtp"), 2)})
    sinks = {name: mta.sink(f"127.0.0.{n}", ports.get(name), lmtp=name in ports) for n, name in enumerate(("one", "two", "smtp", "esmtp"), 2)}
    mta.config("".join(f"Domain {name}.test {{ delivery_method = LMTP lmtp_port = {port} }}\n" for name, port in ports.items())
               + "Domain smtp.test { delivery_method = SMTP }\nDomain esmtp.test { delivery_method = ESMTP }")
    for name in sinks:
        mta.send(rcpts=f"b@{name}.test")
    mta.wait_log("D", 4)
    assert {name: sink.commands[0].split()[0] for name, sink in sinks.items()} == {"one": "LHLO", "two": "LHLO", "smtp": "HELO", "esmtp": "EHLO"}


def lmtp(mta, body, **script):
    sink = mta.sink("127.0.0.2", lmtp=True, body=body, **script)
    mta.dns({"example.com": {"A": ["127.0.0.2"]}})
    mta.config("delivery_method = LMTP\nlmtp_port = $sink_port\nmax_outbound_connections = 1")
    return sink


@pytest.mark.variants
@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
def test_lmtp_has_a_reply_for_each_recipient(mta, extensions):
    sink = lmtp(mta, ["250 2.0.0 one", "550 5.2.2 full", "452 4.2.2 later", "250 2.0.0 next"], extensions=extensions,
                rcpt=lambda path: "550 5.1.1 no" if path[0] == "x" else "250 OK")
    mta.send(rcpts=[f"{user}@example.com" for user in "axbc"])
    mta.wait_log("D"), mta.wait_log("P", 2), mta.wait_log("T")
    mta.send(rcpts="d@example.com")
    mta.wait_log("D", 2)
    assert [m.rcpts for m in sink.messages] == [["a@example.com"], ["d@example.com"]]
    assert {(r.kind, r.text) for r in mta.mainlog() if r.kind in "TP"} == {("P", "550 5.1.1 no"), ("P", "550 5.2.2 full"), ("T", "452 4.2.2 later")}


@pytest.mark.variants
def test_lmtp_peer_that_goes_between_two_replies(mta):
    lmtp(mta, ["250 2.0.0 one", "421 4.3.2 bye"])
    mta.send(rcpts=[f"{user}@example.com" for user in "abc"])
    mta.wait_log("D"), mta.wait_log("T", 2)
    assert sorted(r.kind for r in mta.mainlog() if r.kind != "R") == ["D", "T", "T"]
