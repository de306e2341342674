"""Who may send where."""
import pytest

from tests.smtp.test_server_replies import talk


def may(mta, rcpt, sender="a@test", source=None):
    with mta.smtp(source=source) as c:
        talk(c, (f"MAIL FROM:<{sender}>", "250 *"))
        c.command(f"RCPT TO:<{rcpt}>")
        code = c.read_reply()
        assert c.reply == ["250 2.0.0 RCPT TO accepted"] if code == 250 else ["550 5.7.1 relaying denied"]
        return code == 250


def test_only_relay_hosts_relay(mta):
    mta.config("relay_hosts ( 127.0.0.2 127.0.1.0/24 )")
    assert not may(mta, "b@example.com")
    assert may(mta, "b@example.com", source="127.0.0.2")
    assert may(mta, "b@example.com", source="127.0.1.77")
    assert not may(mta, "b@example.com", source="127.0.2.1")
    denied = mta.wait_rejectlog(2)
    assert [(r.code, r.phase, r.text) for r in denied] == 2 * [(550, "relaying denied", "5.7.1 relaying denied")]
    assert 'rcptto_string="RCPT TO:<b@example.com>"' in denied[0].mess_context


GLOBS = [
    ("example.com", "b@example.com", True), ("example.com", "b@EXAMPLE.com", True), ("example.com", "b@sub.example.com", False),
    ("*.example.com", "b@sub.example.com", True), ("*.example.com", "b@a.sub.example.com", True), ("*.example.com", "b@example.com", False),
    ("*.example.com", "b@badexample.com", False), ("*example.com", "b@badexample.com", True), ("x.test *.y.test", "b@z.y.test", True),
    ("*example.com", "b@example.com", True), ("*example.com", "b@xample.com", False),
    ("example.com", "example.com@x.test", False), ("example.com", "b@example.com.x.test", False), ("*", "b@any.test", True),
    ("example.com", "b%example.com@x.test", False), ("example.com", '"b@example.com"@x.test', False),
    ("example.com", "@example.com:b@x.test", False), ("[127.0.0.1]", "b@[127.0.0.1]", True),
]


@pytest.mark.shows("relay_domains", "bounce_domains")
@pytest.mark.parametrize("option", ["relay_domains", "bounce_domains"])
def test_domains_are_globs_on_the_left(mta, option):
    for domains, rcpt, expected in GLOBS:
        quoted = " ".join(f'"{d}"' for d in domains.split())
        mta.config(f"relay_hosts ( 192.0.2.1 )\n{option} ( {quoted} )")
        assert may(mta, rcpt) == expected, (domains, rcpt)


def test_peer_scopes_speak_first(mta):
    mta.config("""
        relay_hosts ( 127.0.0.88 )
        ESMTP_Listener {
          Peer 127.0.0.2 { open_relay = true }
          Listen "127.0.0.1:$port" {
            Peer 127.0.0.0/29 { relay_hosts ( 127.0.0.5 ) }
            Peer 127.0.0.4 { relay_for_sending_domains ( "ours.test" ) }
          }
        }
    """)
    assert may(mta, "b@example.com", source="127.0.0.2")
    assert may(mta, "b@example.com", source="127.0.0.5")
    assert not may(mta, "b@example.com", source="127.0.0.6")
    assert may(mta, "b@example.com", source="127.0.0.88")
    assert not may(mta, "b@example.com", source="127.0.0.89")
    assert may(mta, "b@example.com", "x@ours.test", source="127.0.0.4")
    assert not may(mta, "b@example.com", "x@theirs.test", source="127.0.0.4")
    assert not may(mta, "b@example.com", "", source="127.0.0.4")


def test_refused_recipient_leaves_the_others(mta):
    sink = mta.route()
    mta.config("relay_hosts ( 192.0.2.1 )\nrelay_domains ( example.com )")
    with mta.smtp() as c:
        assert c.send_mail("a@test", ["1@example.com", "2@other.test", "3@example.com"]) == [250, 550, 250]
        c.expect("250 2.0.0 OK *")
        assert c.send_mail("a@test", ["2@other.test"]) == [550]
    sink.wait(messages=1)
    assert sink.messages[0].rcpts == ["1@example.com", "3@example.com"]
