"""The connection context that the configuration gives a client."""


def test_a_peer_whose_context_says_can_relay_may_relay(mta):
    mta.config("""
        Relay_Hosts = ()
        ESMTP_Listener { Listen "127.0.0.1:$port" {
            Peer "127.0.0.0/8" { Context = [ can_relay = "true" segment = "trusted" ] }
        } }
    """)
    with mta.smtp() as c:
        c.ehlo()
        c.command("MAIL FROM:<a@test>")
        c.expect("250 2.0.0 *")
        c.command("RCPT TO:<b@elsewhere.example>")
        c.expect("250 2.0.0 *")


def test_the_rejectlog_shows_the_configured_context(mta):
    mta.config("""
        Relay_Hosts = ()
        ESMTP_Listener { Listen "127.0.0.1:$port" { Context = [ segment = "unknown" ] } }
    """)
    with mta.smtp() as c:
        c.ehlo()
        c.command("MAIL FROM:<a@test>")
        c.expect("250 2.0.0 *")
        c.command("RCPT TO:<b@elsewhere.example>")
        c.expect("550 5.7.1 relaying denied")
    assert "segment=unknown" in str(mta.wait_rejectlog(1)[0])
