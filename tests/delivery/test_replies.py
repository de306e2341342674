"""Every way a peer can answer: stage, outcome and text in the log, and what happens to the mail."""
import pytest

from tests.harness.wait import until

STAGES = {"banner": 12, "ehlo": 11, "mail": 3, "rcpt": 5, "data": 7, "body": 9}
# answers as a peer gives them; a verb's stage in the log, with and without PIPELINING
EXTENSIONS = {"pipelining": ("PIPELINING", "8BITMIME", "SIZE 100000000"), "one by one": ("SIZE",)}
ANSWERS = [(verb, code) for verb in STAGES for code in (450, 421, 550)]


@pytest.mark.variants
@pytest.mark.parametrize("extensions", EXTENSIONS)
def test_refusal_is_logged_with_its_stage(mta, extensions):
    mta.config("host_failure_retry = 1")
    zones = {}
    for i, (verb, code) in enumerate(ANSWERS, 1):
        zones |= {f"{verb}{code}.test": {"A": [f"127.0.1.{i}"]}}
        reply = {verb: f"{code} 4.0.0 no {verb}"}
        if verb == "ehlo":
            reply["helo"] = f"{code} 4.0.0 no ehlo"
        mta.sink(f"127.0.1.{i}", extensions=EXTENSIONS[extensions], **reply)
    mta.dns(zones)
    for verb, code in ANSWERS:
        mta.send(rcpts=f"b@{verb}{code}.test")
    done = {(r.domain, r.kind): r for r in mta.wait_log("P", 4) + mta.wait_log("T", 14)}
    for verb, code in ANSWERS:
        kind = "P" if code == 550 and verb not in ("banner", "ehlo") else "T"
        r = done.get((f"{verb}{code}.test", kind))
        assert r, (verb, code, sorted(done))
        assert (r.stage, r.text, r.retries) == (STAGES[verb], f"{code} 4.0.0 no {verb}", 0), r
    until(lambda: len(mta.bouncelog()) >= 4)
    bounced = {b.rcpt_domain: b for b in mta.bouncelog()}
    assert sorted(bounced) == sorted(f"{verb}550.test" for verb in ("mail", "rcpt", "data", "body"))
    assert all(b.stage == STAGES[d[:-8]] and b.text == f"550 4.0.0 no {d[:-8]}" for d, b in bounced.items())


@pytest.mark.parametrize("extensions", EXTENSIONS)
def test_each_recipient_hears_its_own_answer(mta, extensions):
    answers = {"a": "250 2.1.5 OK", "b": "450 4.2.1 later", "c": "550 5.1.1 who?", "d": "250 2.1.5 OK", "e": "452 4.5.3 too many"}
    sink = mta.route(rcpt=lambda path: answers[path[0]], extensions=EXTENSIONS[extensions])
    mta.send(rcpts=[f"{name}@example.com" for name in answers])
    mta.wait_log("D", 2), mta.wait_log("T", 2), mta.wait_log("P", 1)
    assert [sorted(m.rcpts) for m in sink.messages] == [["a@example.com", "d@example.com"]]
    assert sorted(r.text for r in mta.mainlog("T")) == ["450 4.2.1 later", "452 4.5.3 too many"]
    until(mta.bouncelog)
    assert [(b.rcpt_local, b.text) for b in mta.bouncelog()] == [("c", "550 5.1.1 who?")]
    assert len(mta.mainlog("D")) == 2


@pytest.mark.parametrize("extensions", EXTENSIONS)
def test_no_recipient_no_body(mta, extensions):
    sink = mta.route(rcpt=["550 5.1.1 who?", "550 5.1.1 who?", "250 OK"], extensions=EXTENSIONS[extensions])
    mta.send(rcpts=["a@example.com", "b@example.com"])
    mta.wait_log("P", 2)
    mta.send(rcpts="c@example.com")
    sink.wait(messages=1)
    mta.wait_log("D")
    assert len(mta.mainlog("P")) == 2 and not mta.mainlog("T")


def test_pipelining_peer_that_takes_data_without_recipients(mta):
    """RFC 2920 3.1: it gets a lone dot, and no body."""
    sink = mta.route(rcpt=["550 5.1.1 who?", "250 OK"])
    mta.send()
    mta.wait_log("P")
    mta.send()
    sink.wait(messages=1)
    assert sink.messages[0].data.endswith(b"test\r\n")


def test_text_of_many_lines_is_joined_and_the_last_line_decides(mta):
    mta.route(body="250-5.7.1 first\n250-second\n550 5.7.1 third")
    mta.send()
    [p] = mta.wait_log("P")
    assert p.text == "250 5.7.1 first second 5.7.1 third" or p.text.startswith("550 "), p.text


def test_at_sign_and_backslash_in_a_reply_are_escaped(mta):
    mta.route(rcpt="550 5.1.1 b@example.com \\ unknown")
    mta.send()
    [p] = mta.wait_log("P")
    assert p.text == "550 5.1.1 b@example.com \\ unknown"
    assert mta.lines("mainlog")[-1].endswith("550 5.1.1 b\\@example.com \\\\ unknown") or \
        any(line.endswith("b\\@example.com \\\\ unknown") for line in mta.lines("mainlog"))


def test_helo_follows_a_refused_ehlo(mta):
    sink = mta.route(ehlo="502 what?")
    mta.send()
    sink.wait(messages=1)
    assert [c.split()[0] for c in sink.commands][:3] == ["EHLO", "HELO", "MAIL"]
    assert sink.messages[0].mail_args == ""


def test_old_server_gets_one_command_at_a_time(mta):
    sink = mta.route(extensions=(), delay={"rcpt": 0.1})
    mta.send(rcpts=["a@example.com", "b@example.com"])
    sink.wait(messages=1)
    assert sink.messages[0].rcpts == ["a@example.com", "b@example.com"] and sink.messages[0].mail_args == ""


def test_421_to_one_message_gives_the_others_back(mta):
    """The peer has enough after two messages of a session: nobody is deferred for that."""
    state = {}

    def mail(path):
        connection = len(sink.connections)
        state[connection] = state.get(connection, 0) + 1
        return "421 4.7.0 enough for now" if state[connection] > 2 else "250 OK"
    sink = mta.route(mail=mail)
    mta.config("suspend_delivery = true\ndelayed_queue_scan_interval = 1\nmax_outbound_connections = 1")
    for i in range(6):
        mta.send(rcpts=f"r{i}@example.com")
    mta.config("delayed_queue_scan_interval = 1\nmax_outbound_connections = 1")
    mta.wait_log("D", 6, 20)
    assert not mta.mainlog("T")


def test_peer_that_closes_between_messages_defers_nobody(mta):
    seen = {}

    def body(message):
        seen[message.connection] = seen.get(message.connection, 0) + 1
        return "250 2.0.0 taken"

    def mail(path):
        if seen.get(len(sink.connections) - 1, 0) >= 2:
            raise OSError                           # the sink closes this connection without a word
        return "250 OK"
    sink = mta.route(mail=mail, body=body, delay={"mail": 0.02})    # what it has said is out before it closes
    mta.config("suspend_delivery = true\ndelayed_queue_scan_interval = 1\nmax_outbound_connections = 1")
    for i in range(6):
        mta.send(rcpts=f"r{i}@example.com")
    mta.config("delayed_queue_scan_interval = 1\nmax_outbound_connections = 1")
    mta.wait_log("D", 6, 20)
    assert not mta.mainlog("T")


def test_421_at_the_end_of_a_body_defers_that_message_alone(mta):
    sink = mta.route(body=["421 4.3.2 closing", "250 OK"])
    mta.config("suspend_delivery = true\ndelayed_queue_scan_interval = 1\nmax_outbound_connections = 1")
    for i in range(3):
        mta.send(rcpts=f"r{i}@example.com")
    mta.config("delayed_queue_scan_interval = 1\nmax_outbound_connections = 1\nhost_failure_retry = 1")
    mta.wait_log("D", 2, 20)
    [t] = mta.wait_log("T")
    assert (t.stage, t.text) == (9, "421 4.3.2 closing")


@pytest.mark.variants
def test_host_that_refuses_at_its_banner_leads_to_the_next(mta):
    mta.dns({"example.com": {"MX": [(10, "mx1.test"), (20, "mx2.test"), (30, "mx3.test"), (40, "mx4.test")]},
             **{f"mx{i}.test": {"A": [f"127.0.0.{i}"]} for i in range(1, 5)}})
    mta.sink("127.0.0.1", banner="554 5.7.1 no mail from you")
    mta.sink("127.0.0.2", ehlo="421 4.3.2 busy")
    mta.sink("127.0.0.3", cut_at="banner")
    last = mta.sink("127.0.0.4")
    for i in range(3):
        mta.send(rcpts=f"{i}@example.com")
    mta.wait_log("D", 3)
    assert len(last.messages) == 3 and not mta.mainlog("T")


GARBAGE = ["hello", "", "99 short", "600 no such class", "2x0 x", "250", "\0\0\0", "250_OK", "HTTP/1.1 400 Bad Request"]


def test_garbage_for_a_reply_is_a_transient_failure(mta):
    zones = {}
    for i, text in enumerate(GARBAGE, 1):
        zones[f"d{i}.test"] = {"A": [f"127.0.1.{i}"]}
        mta.sink(f"127.0.1.{i}", mail=text)
    mta.dns(zones)
    for i in range(1, len(GARBAGE) + 1):
        mta.send(rcpts=f"b@d{i}.test")
    fine = GARBAGE.index("250") + 1
    ts = mta.wait_log("T", len(GARBAGE) - 1)
    [d] = mta.wait_log("D")
    assert d.domain == f"d{fine}.test"
    assert {t.text for t in ts} == {"451 4.4.2 [internal] peer does not speak SMTP"}
    assert {t.stage for t in ts} == {3}


def test_replies_out_of_order_end_the_connection(mta):
    mta.route(banner="220 hi\n250 too soon")
    mta.send()
    until(lambda: mta.mainlog("T") or mta.mainlog("D"))
    assert mta.counters()["ActiveDomains"] >= 1


@pytest.mark.parametrize("verb", ["banner", "ehlo", "mail", "body"])
def test_endless_reply_ends_the_connection(mta, verb):
    mta.route(endless=verb)
    mta.send()
    [t] = mta.wait_log("T")
    assert "[internal]" in t.text and t.stage in (12, 11, 3, 9)
    assert mta.counters()["ResidentBytes"] < 1 << 20


def test_reply_line_without_end_ends_the_connection(mta):
    mta.route(mail="250 " + "x" * 3000000)
    mta.send()
    [t] = mta.wait_log("T")
    assert t.text == "451 4.4.2 [internal] reply line too long"


def test_long_reply_is_cut_in_the_log(mta):
    mta.route(mail="550 5.0.0 " + "x" * 4000)
    mta.send()
    [p] = mta.wait_log("P")
    assert p.text.startswith("550 5.0.0 xxx") and len(p.text) < 1100
