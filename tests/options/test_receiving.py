"""Options of reception, two values each: what is answered, and what becomes of the mail."""
import fnmatch
import time
from contextlib import ExitStack

import pytest

from tests.harness.cert import certificate
from tests.harness.port import free_port
from tests.harness.smtp import SMTPClient
from tests.harness.wait import until
from tests.options.said import replies, said
from tests.smtp.test_server_replies import talk

MAIL, RCPT = "MAIL FROM:<a@test>", "RCPT TO:<b@example.com>"
NOBODY = "relay_hosts ( 192.0.2.1 )\n"
PATHWAYS = "Pathway small { max_message_size = 1000 }\nPathway large { max_message_size = 9000 }\n"

# option, what stands beside it, the dialogue, value -> the reply to its last line
DIALOGUES = [
    ("allow_ip_literal", "", ["MAIL FROM:<a@[127.0.0.1]>"], {"true": "250 *", "false": "501 5.5.2 *"}),
    ("allow_ip_literal", "", ["MAIL FROM:<a@127.0.0.1>"], {"true": "250 *", "false": "501 5.5.2 *"}),
    ("allow_null_envelope_sender", "", ["MAIL FROM:<>"], {"true": "250 *", "false": "550 5.7.1 *"}),
    ("allow_trailing_whitespace_in_commands", "", [MAIL + " "], {"true": "250 *", "false": "501 5.5.2 *"}),
    ("allow_trailing_whitespace_in_commands", "", ["MAIL FROM:< a@test >"], {"true": "250 *", "false": "501 5.5.2 *"}),
    ("rfc2821_allow_whitespace_in_envelope", "", ["MAIL FROM: <a@test>"], {"true": "250 *", "false": "501 5.5.2 *"}),
    ("rfc2821_allow_whitespace_in_envelope", "", [MAIL + " "], {"true": "250 *", "false": "501 5.5.2 *"}),
    ("rfc2821_pedantic_address_rules", "", ["MAIL FROM:<a..b@test>"], {"true": "501 5.5.2 *", "false": "250 *"}),
    ("domain_for_unqualified_sender_address", "", ["MAIL FROM:<a>"], {"here.test": "250 *", '""': "501 5.5.2 *"}),
    ("domain_for_unqualified_recipient_addresses", "", [MAIL, "RCPT TO:<b>"], {"here.test": "250 *", '""': "501 5.5.2 *"}),
    ("require_ehlo", "", [MAIL], {"true": "550 5.5.1 *", "false": "250 *"}),
    ("max_command_length", "", ["NOOP " + "x" * 600], {"512": "500 5.5.2 line too long", "1024": "250 *"}),
    ("max_message_size", "", [MAIL + " SIZE=1500"], {"1000": "552 5.3.4 *", "2000": "250 *"}),
    ("max_recipients_per_message", "", [MAIL, RCPT, RCPT], {"1": "452 4.5.3 *", "2": "250 *"}),
    ("max_recipients_per_connection", "", [MAIL, RCPT, "RSET", MAIL, RCPT], {"1": "452 4.5.3 *", "2": "250 *"}),
    ("relay_hosts", "", [MAIL, RCPT], {"( 127.0.0.0/8 )": "250 *", "( 192.0.2.0/24 )": "550 5.7.1 relaying denied"}),
    ("open_relay", NOBODY, [MAIL, RCPT], {"true": "250 *", "false": "550 5.7.1 relaying denied"}),
    ("relay_for_sending_domains", NOBODY, [MAIL, RCPT], {"( test )": "250 *", "( other.test )": "550 5.7.1 relaying denied"}),
    ("context", NOBODY, [MAIL, RCPT], {"[ can_relay = true ]": "250 *", "[ can_relay = false ]": "550 5.7.1 relaying denied"}),
    ("pathway", PATHWAYS, [MAIL + " SIZE=5000"], {"small": "552 5.3.4 *", "large": "250 *"}),
    ("banner_hostname", "", ["QUIT"], {"one.test": "221 2.3.0 one.test *", "two.test": "221 2.3.0 two.test *"}),
    ("hostname", "", ["QUIT"], {"one.test": "221 2.3.0 one.test *", "two.test": "221 2.3.0 two.test *"}),
    ("smtp_extensions", "", ["STARTTLS"], {"( STARTTLS )": "220 *", "( ENHANCEDSTATUSCODES )": "502 5.5.1 *"}),
]


@pytest.mark.shows(
    "allow_ip_literal", "allow_null_envelope_sender", "allow_trailing_whitespace_in_commands", "banner_hostname", "context",
    "domain_for_unqualified_recipient_addresses", "domain_for_unqualified_sender_address", "hostname", "max_command_length",
    "max_message_size", "max_recipients_per_connection", "max_recipients_per_message", "open_relay", "pathway",
    "relay_for_sending_domains", "relay_hosts", "require_ehlo", "rfc2821_allow_whitespace_in_envelope",
    "rfc2821_pedantic_address_rules", "smtp_extensions")
def test_reply_follows_the_option(mta):
    cert, key = certificate("mta.test")
    for option, beside, commands, expected in DIALOGUES:
        for value, reply in expected.items():
            mta.config(f'tls_certificate = "{cert}"\ntls_key = "{key}"\n' + beside + said(option, value))
            last = replies(mta, *commands)[-1]
            assert fnmatch.fnmatchcase(last, reply), (option, value, last)


@pytest.mark.shows("relay_for_sending_domains")
def test_no_sending_domains_at_all_are_an_open_relay_and_unset_ones_are_none(mta):
    mta.config(NOBODY + """
        ESMTP_Listener {
          Listen "127.0.0.1:$port" { Peer 127.0.0.2 { relay_for_sending_domains = ( ) } }
        }
    """)
    for sender in "MAIL FROM:<a@test>", "MAIL FROM:<>":
        assert replies(mta, sender, RCPT, source="127.0.0.2")[-1].startswith("250 ")
        assert replies(mta, sender, RCPT, source="127.0.0.3")[-1] == "550 5.7.1 relaying denied"


@pytest.mark.shows("pathway")
def test_rejectlog_names_the_pathway_and_its_group(mta):
    mta.config(NOBODY + """
        Pathway_Group many { Pathway one { } }
        Pathway two { }
        ESMTP_Listener {
          pathway = two
          Listen "127.0.0.1:$port" {
            Peer 127.0.0.2 { pathway = one }
            Peer 127.0.0.3 { pathway = undeclared }
          }
        }
    """)
    names = {"127.0.0.1": ("two", "default"), "127.0.0.2": ("one", "many"), "127.0.0.3": ("default", "default")}
    for source in names:
        replies(mta, MAIL, RCPT, source=source)
    for r, (pathway, group) in zip(mta.wait_rejectlog(3), names.values()):
        assert (r.path, r.path_group) == (pathway, group) and f"pathway={pathway}" in r.conn_context.split(",")


@pytest.mark.shows("static_banner")
def test_greeting_is_what_the_option_says(mta):
    for text, line in ("hello there", "220 hello there"), ("220 good day", "220 good day"), ("2201 x", "220 2201 x"):
        mta.config(said("static_banner", f'"{text}"'))
        with mta.smtp(greet=False) as c:
            assert c.expect("*") == line


@pytest.mark.shows("max_bad_commands")
def test_as_many_commands_with_errors_as_the_option_says(mta):
    for most in (1, 3):
        mta.config(f"max_bad_commands = {most}")
        with mta.smtp() as c:
            for _ in range(most):
                talk(c, ("X", "500 *"), ("NOOP", "250 *"))
            talk(c, ("X", "500 *"))
            c.expect("421 4.7.0 *")


@pytest.mark.shows("max_receptions_per_connection")
def test_as_many_messages_from_a_connection_as_the_option_says(mta):
    mta.route()
    for most in (1, 2):
        mta.config(f"max_receptions_per_connection = {most}")
        with mta.smtp() as c:
            for _ in range(most):
                c.send_mail("a@test", "b@example.com")
                c.expect("250 *")
            talk(c, (MAIL, "452 4.5.3 *"))


@pytest.mark.shows("listener_sessions")
def test_as_many_sessions_of_a_listener_as_the_option_says(mta):
    for most in (1, 2):
        mta.config(said("listener_sessions", most))
        clients = [mta.smtp(greet=False) for _ in range(3)]
        codes = [client.__enter__().read_reply() for client in clients]
        for client in clients:
            client.__exit__(None, None, None)
        assert codes == [220] * most + [421] * (3 - most)
        until(lambda: mta.counters()["InboundConcurrency"] == 0)


def codes(mta, *clients):
    """What clients hear who come in turn, each (source, port), and stay."""
    mta.start()
    with ExitStack() as stack:
        found = [stack.enter_context(SMTPClient(port=port, source=source, greet=False)).read_reply() for source, port in clients]
    until(lambda: mta.counters()["InboundConcurrency"] == 0)
    return found


def test_listener_sessions_of_peer_listen_and_listener_count_at_once(mta):
    other = free_port()
    mta.config(f"""ESMTP_Listener {{ listener_sessions = 5
        Peer 127.0.0.0/8 {{ listener_sessions = 1 }}  Peer 127.0.0.2 {{ listener_sessions = 2 }}  Peer 127.0.0.3 {{ listener_sessions = 9 }}
        Listen "127.0.0.1:$port" {{ listener_sessions = 3 }} Listen "127.0.0.1:{other}" {{ }} }}""")
    assert codes(mta, *4 * [("127.0.0.2", mta.port)]) == [220, 220, 421, 421]                       # the closest Peer's
    assert codes(mta, *5 * [("127.0.0.3", mta.port)]) == [220, 220, 220, 421, 421]                  # the Listen's
    assert codes(mta, *6 * [("127.0.0.3", other)]) == [220, 220, 220, 220, 220, 421]                # the listener's
    clients = [("127.0.0.3", mta.port), ("127.0.0.2", mta.port), ("127.0.0.9", mta.port), ("127.0.0.2", other), ("127.0.0.9", other),
               ("127.0.0.3", mta.port), ("127.0.0.3", other), ("127.0.0.3", other)]
    assert codes(mta, *clients) == [220, 220, 220, 220, 421, 421, 220, 421]        # one slot in each, and none kept by who is refused


@pytest.mark.parametrize("peer, expected", [
    ("Peer 127.0.0.0/8 { listener_sessions = 0 }", [220, 220, 421]),                 # no limit of its own lifts no other
    ("Peer 127.0.0.0/8 { listener_sessions = 1 }  Peer 127.0.0.1 { listener_sessions = 0 }", [220, 220, 421]),
    ("Peer 127.0.0.0/8 { listener_sessions = 1 }", [220, 421, 421]),
])
def test_peer_without_a_limit_is_held_to_those_of_the_listener(mta, peer, expected):
    mta.config(f'ESMTP_Listener {{ listener_sessions = 2  {peer} Listen "127.0.0.1:$port" {{ }} }}')
    assert codes(mta, *3 * [("127.0.0.1", mta.port)]) == expected


@pytest.mark.parametrize("pathway, inside, expected", [
    ("service_sessions = 1 listener_sessions = 5", "Peer 127.0.0.0/8 { service_sessions = 3 }", [220, 421, 421]),
    ("service_sessions = 3", "service_sessions = 2", [220, 220, 421]),
    ("service_sessions = 2", "service_sessions = 3", [220, 220, 421]),
    ("listener_sessions = 1", "listener_sessions = 2", [220, 421, 421]),
    ("listener_sessions = 2", "Peer 127.0.0.0/8 { listener_sessions = 3 }", [220, 220, 421]),
    ("", "", [220, 220, 220]),
])
def test_sessions_fit_into_the_limits_of_their_pathway_too(mta, pathway, inside, expected):
    mta.config(f'Pathway p {{ {pathway} }}\nESMTP_Listener {{ Listen "127.0.0.1:$port" {{ pathway = p {inside} }} }}')
    assert codes(mta, *3 * [("127.0.0.1", mta.port)]) == expected


@pytest.mark.parametrize("before, after, more", [
    ("", "listener_sessions = 3", 0), ("", "listener_sessions = 4", 1), ("", "Peer 127.0.0.0/8 { listener_sessions = 3 }", 0),
    ("", "service_sessions = 4", 1), ("listener_sessions = 3", "service_sessions = 9", 6)])
def test_open_sessions_count_in_a_limit_that_a_reload_brings(mta, before, after, more):
    conf = 'ESMTP_Listener { %s Listen "127.0.0.1:$port" { } }'
    mta.config(conf % before)
    with ExitStack() as stack:
        first = [stack.enter_context(mta.smtp()) for _ in range(3)]
        mta.config(conf % after)
        time.sleep(0.2)                 # the recount follows the reload
        found = [stack.enter_context(SMTPClient(port=mta.port, greet=False)).read_reply() for _ in range(more + 1)]
        assert found == [220] * more + [421]
        first[0].close()
        until(lambda: stack.enter_context(SMTPClient(port=mta.port, greet=False)).read_reply() == 220)


def test_silent_client_of_a_peer_is_left_when_the_peer_says_not_the_listen(mta):
    mta.config("""ESMTP_Listener { idle_time = 50
        Peer 127.0.0.0/8 { idle_time = 1 }  Peer 127.0.0.2 { idle_time = 40 }
        Listen "127.0.0.1:$port" { idle_time = 50 } }""")
    mta.start()
    with SMTPClient(port=mta.port, source="127.0.0.2") as stays, SMTPClient(port=mta.port) as leaves:
        leaves.expect("421 *")
        stays.command("NOOP")
        stays.expect("250 *")


@pytest.mark.shows("command_timeout", "data_timeout", "idle_time")
def test_silent_client_is_left_when_the_option_says(mta):
    mta.config("""
        command_timeout = 60 data_timeout = 60
        ESMTP_Listener {
          Peer "127.0.0.2" { command_timeout = 1 }  Peer "127.0.0.3" { data_timeout = 1 }  Peer "127.0.0.4" { idle_time = 1 }
          Peer "127.0.0.5" { idle_time = 30 }
          Listen "127.0.0.1:$port" { }
        }
    """)

    def waits(source, data):
        """Whether a client that stays silent, in commands or in a body, is left."""
        client = mta.smtp(source=source)
        client.__enter__()
        if data:
            talk(client, (MAIL, "250 *"), (RCPT, "250 *"), ("DATA", "354 *"))
        return client
    impatient = [waits("127.0.0.2", False), waits("127.0.0.3", True), waits("127.0.0.4", False), waits("127.0.0.4", True)]
    patient = [waits(None, False), waits(None, True), waits("127.0.0.2", True), waits("127.0.0.3", False), waits("127.0.0.5", False)]
    for client in impatient:
        client.expect("421 4.4.2 *")
        client.expect_closed()
    for client in patient:
        client.sock.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.sock.recv(1)
        client.sock.settimeout(10)
    for client in impatient + patient:
        client.__exit__(None, None, None)


@pytest.mark.shows("generation_max_age")
def test_session_on_a_replaced_configuration_may_stay_as_long_as_the_option_says(mta):
    mta.config("generation_max_age = 60")
    with mta.smtp() as c:
        mta.config("generation_max_age = 60\nretry_interval = 7")
        time.sleep(2.1)                 # it is looked for once a second
        talk(c, ("NOOP", "250 *"))
        mta.config("generation_max_age = 1")
        c.expect("421 4.3.2 *")
        c.expect_closed()


# ---- bodies

PLAIN = b"From: a@test\r\n\r\nx\r\n"
LONG = b"From: a@test\r\n\r\n" + b"y" * 300 + b"\r\n"
LONGER = b"From: a@test\r\n\r\n" + b"y" * 999 + b"\r\n"      # than RFC 5322 2.1.1 allows
# option, what stands beside it, the message, value -> the reply, and what the delivered message has and has not
BODIES = [
    ("rfc2822_date_header", "", PLAIN, {"ifneeded": (b"\nDate: ", None), "ignore": (None, b"\nDate: "), "pedantic": "550 5.6.0 *"}),
    ("rfc2822_messageid_header", "", PLAIN, {"ifneeded": (b"\nMessage-ID: ", None), "ignore": (None, b"\nMessage-ID: ")}),
    ("rfc2822_trace_headers", "", PLAIN, {"true": (b"\nReceived: ", None), "false": (None, b"\nReceived: ")}),
    ("rfc2822_missing_headers", "", b"no header\r\n", {"reject": "550 5.6.0 *", "allow": (b"no header", None)}),
    ("max_header_bytes", "", b"X: " + b"y" * 70 + b"\r\n" + b"Z: " + b"y" * 900 + b"\r\n Z" + b"y" * 100 + b"\r\n\r\nx\r\n",
     {"1024": "552 5.3.4 header size limit exceeded", "2000": (b"x", None)}),
    ("rfc2822_max_line_length", "rfc2822_max_line_length_policy = reject\n", LONG,
     {"299": "550 5.6.0 *", "300": (b"y" * 300, None), "ignore": (b"y" * 300, None)}),
    ("rfc2822_max_line_length_policy", "rfc2822_max_line_length = 200\n", LONG,
     {"reject": "550 5.6.0 *", "none": (b"y" * 300 + b"\r\n", None), "fix": (b"\n" + b"y" * 200 + b"\r\n" + b"y" * 100 + b"\r\n", b"y" * 201)}),
    *(("rfc2822_max_line_length_policy", beside, LONGER,
       {"reject": "550 5.6.0 *", "none": (b"y" * 999, None), "fix": (b"\n" + b"y" * 998 + b"\r\ny\r\n", b"y" * 999)})
      for beside in ("", "rfc2822_max_line_length = ignore\n")),
]


@pytest.mark.shows("rfc2822_date_header", "rfc2822_messageid_header", "rfc2822_trace_headers", "rfc2822_missing_headers", "max_header_bytes",
                   "rfc2822_max_line_length", "rfc2822_max_line_length_policy")
def test_message_follows_the_option(mta):
    sink = mta.route()
    for option, beside, data, value, outcome in [(*row[:3], *pair) for row in BODIES for pair in row[3].items()]:
        mta.config(beside + said(option, value))
        before = len(sink.messages)
        with mta.smtp() as c:
            c.send_mail("a@test", "b@example.com", data)
            c.expect("250 2.0.0 OK *" if isinstance(outcome, tuple) else outcome)
        if isinstance(outcome, tuple):
            sink.wait(messages=before + 1)
            has, has_not = outcome
            assert has is None or has in sink.messages[-1].data, (option, value)
            assert has_not is None or has_not not in sink.messages[-1].data, (option, value)


def test_header_size_of_a_listener(mta):
    mta.route()
    data = b"".join(b"X-%d: x\r\n" % i for i in range(300)) + b"\r\nx\r\n"
    for text, reply in (('ESMTP_Listener { max_header_bytes = 1024 Listen "127.0.0.1:$port" { } }', "552 5.3.4 header size limit exceeded"),
                        ('max_header_bytes = 1024\nESMTP_Listener { max_header_bytes = 9000 Listen "127.0.0.1:$port" { } }', "250 *")):
        mta.config(text)
        with mta.smtp() as c:
            c.send_mail("a@test", "b@example.com", data)
            c.expect(reply)


@pytest.mark.shows("growbuf_size")
def test_message_under_way_takes_as_much_memory_as_the_option_says(mta):
    for size, least, most in ((1000, 1000, 8000), (1000000, 1000000, 1010000)):
        mta.config(f"growbuf_size = {size}")
        with mta.smtp() as c:
            talk(c, (MAIL, "250 *"), (RCPT, "250 *"), ("DATA", "354 *"))
            assert least <= mta.counters()["ResidentBytes"] <= most
        until(lambda: mta.counters()["ResidentBytes"] == 0)


@pytest.mark.shows("large_message_threshold")
def test_message_above_the_threshold_gets_a_file(mta):
    mta.route()
    for threshold, files in ((2000, 1), (9000, 0)):
        mta.config(f"large_message_threshold = {threshold}\nsuspend_delivery = true")
        mta.send(data=b"Subject: x\r\n\r\n" + b"z" * 70 * 60 + b"\r\n")
        assert len(list((mta.folder / "spool" / "large").iterdir())) == files
        mta.config("")
        mta.wait_empty()
        until(lambda: not list((mta.folder / "spool" / "large").iterdir()))
