"""Options of delivery, two values each: where connections come from and go, what is said, how long is waited."""
import contextlib
import socket
import time

import pytest

from tests.delivery.test_transactions import queue_up
from tests.harness.port import free_port
from tests.harness.wait import until

VERBS = {"ehlo": "ehlo_timeout", "mail": "mailfrom_timeout", "rcpt": "rcptto_timeout", "body": "body_timeout"}


def pairs(mta, names, **script):
    """For each name two domains, <name>-short.test and <name>-long.test, with a sink of its own each; scripts are callables of the name."""
    zones, at = {}, 0
    for name in names:
        for side in ("short", "long"):
            at += 1
            zones[f"{name}-{side}.test"] = {"A": [f"127.0.2.{at}"]}
            mta.sink(f"127.0.2.{at}", **{key: make(name) for key, make in script.items()})
    mta.dns(zones)


def stanzas(options, short, long):
    return "".join(f"Domain {name}-{side}.test {{ {option} = {value} }}\n" for name, option in options.items()
                   for side, value in (("short", short), ("long", long)))


@pytest.mark.shows("ehlo_timeout", "mailfrom_timeout", "rcptto_timeout", "body_timeout")
def test_reply_is_waited_for_as_long_as_the_option_says(mta):
    pairs(mta, VERBS, delay=lambda verb: {verb: 1.8}, extensions=lambda verb: ("SIZE",))
    mta.config(stanzas(VERBS, 1, 9))
    for verb in VERBS:
        for side in ("short", "long"):
            mta.send(rcpts=f"b@{verb}-{side}.test")
    mta.wait_log("D", len(VERBS))
    assert {d.domain for d in mta.mainlog("D")} == {f"{verb}-long.test" for verb in VERBS}
    assert {t.domain for t in mta.mainlog("T")} == {f"{verb}-short.test" for verb in VERBS}


@pytest.mark.shows("rset_timeout")
def test_reply_to_rset_is_waited_for_as_long_as_the_option_says(mta):
    pairs(mta, ["x"], rcpt=lambda name: ["550 5.1.1 no", "250 OK"], delay=lambda name: {"rset": 1.8}, extensions=lambda name: ("SIZE",))
    config = "max_outbound_connections = 1\n" + stanzas({"x": "rset_timeout"}, 1, 9)
    queue_up(mta, config, [{"rcpts": f"{user}@x-{side}.test"} for side in ("short", "long") for user in "ab"])
    assert [d.domain for d in mta.wait_log("D")] == ["x-long.test"]
    assert [(t.domain, t.stage) for t in mta.wait_log("T")] == [("x-short.test", 14)]


@contextlib.contextmanager
def mute(address, port):
    """A port that answers no SYN: its backlog is full."""
    with socket.socket() as server, contextlib.ExitStack() as clients:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, port))
        server.listen(0)
        for _ in range(3):
            client = clients.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex((address, port))
        time.sleep(0.05)
        yield


@pytest.mark.shows("connect_timeout")
def test_connection_is_waited_for_as_long_as_the_option_says(mta):
    mta.dns({"x-short.test": {"A": ["127.0.2.1"]}, "x-long.test": {"A": ["127.0.2.2"]}})
    mta.config(stanzas({"x": "connect_timeout"}, 1, 60))
    with mute("127.0.2.1", mta.sink_port), mute("127.0.2.2", mta.sink_port):
        mta.send(rcpts="b@x-short.test"), mta.send(rcpts="b@x-long.test")
        assert [t.domain for t in mta.wait_log("T", 1, 4)] == ["x-short.test"]
        time.sleep(0.5)
        assert len(mta.mainlog("T")) == 1 and mta.counters()["ActiveQueueSize"] + mta.counters()["OutboundConcurrency"] >= 1
    # nobody listens there any more, which the next SYN hears
    assert [t.domain for t in mta.wait_log("T", 2)][1] == "x-long.test"


@pytest.mark.shows("idle_timeout")
def test_idle_connection_is_kept_as_long_as_the_option_says(mta):
    pairs(mta, ["x"])
    mta.config(stanzas({"x": "idle_timeout"}, 1, 60))
    short, long = mta.sinks
    mta.send(rcpts="b@x-short.test"), mta.send(rcpts="b@x-long.test")
    short.wait(messages=1), long.wait(messages=1)
    until(lambda: short.connections[0].closed, 3)
    time.sleep(0.3)
    assert short.commands[-1] == "QUIT" and not long.connections[0].closed


@pytest.mark.shows("bind_address")
@pytest.mark.parametrize("address", ["127.0.0.77", "127.0.0.78"])
def test_connections_come_from_the_address_of_the_option(mta, address):
    sink = mta.route()
    mta.config(f"Binding default {{ bind_address = {address} }}")
    mta.send()
    sink.wait(messages=1)
    assert sink.messages[0].peer[0] == address


@pytest.mark.shows("ehlo_hostname")
def test_name_in_ehlo(mta):
    mta.dns({f"{name}.test": {"A": [f"127.0.0.{i}"]} for i, name in enumerate(("one", "two", "own", "four"), 1)})
    sinks = {name: mta.sink(f"127.0.0.{i}") for i, name in enumerate(("one", "two", "own", "four"), 1)}
    mta.config("Domain one.test { ehlo_hostname = a.here.test }\nDomain two.test { ehlo_hostname = b.here.test }\n"
               "Domain own.test { ehlo_hostname = __hostname__ }\nDomain four.test { ehlo_hostname = __Message__ }")
    said = {}
    for name, sink in sinks.items():
        mta.send(sender="a@sender.example", rcpts=f"b@{name}.test")
        sink.wait(messages=1)
        said[name] = sink.commands[0]
    assert said == {"one": "EHLO a.here.test", "two": "EHLO b.here.test", "own": "EHLO mta.test", "four": "EHLO sender.example"}


def test_hostname_of_a_reload_is_said_in_ehlo_and_reports(mta):
    mta.dns({"old.test": {"A": ["127.0.0.1"]}, "new.test": {"A": ["127.0.0.2"]}, "sender.test": {"A": ["127.0.0.3"]}})
    sinks = [mta.sink("127.0.0.1"), mta.sink("127.0.0.2", rcpt="550 5.1.1 no")]
    back = mta.sink("127.0.0.3")
    mta.send(rcpts="b@old.test")
    sinks[0].wait(messages=1)
    mta.config("hostname = other.test\ngenerate_bounces = true")
    mta.send(sender="a@sender.test", rcpts="b@new.test")
    back.wait(messages=1)
    assert [sink.commands[0] for sink in (*sinks, back)] == ["EHLO mta.test", "EHLO other.test", "EHLO other.test"]
    assert b"Reporting-MTA: dns; other.test\r\n" in back.messages[0].data


@pytest.mark.shows("gateway", "remote_smtp_port")
def test_mail_goes_where_its_options_say(mta):
    other = free_port(("127.0.0.2", "127.0.0.3"))
    mta.dns({f"{name}.test": {"A": ["127.0.0.2"]} for name in ("one", "two", "three", "four")})
    places = {"one.test": ("127.0.0.2", mta.sink_port), "two.test": ("127.0.0.3", mta.sink_port),
              "three.test": ("127.0.0.2", mta.sink_port), "four.test": ("127.0.0.2", other)}
    sinks = {place: mta.sink(*place) for place in set(places.values())}
    mta.config(f"""
        Domain one.test {{ gateway = 127.0.0.2 }}
        Domain two.test {{ gateway = 127.0.0.3 }}
        Domain three.test {{ remote_smtp_port = {mta.sink_port} }}
        Domain four.test {{ remote_smtp_port = {other} }}
    """)
    for domain in places:
        mta.send(rcpts=f"b@{domain}")
    mta.wait_log("D", 4)
    assert {m.rcpts[0][2:]: place for place, sink in sinks.items() for m in sink.messages} == places


@pytest.mark.shows("max_deliveries_per_connection")
@pytest.mark.parametrize("most, shares", [(2, [2, 2]), (3, [3, 1])])
def test_messages_of_one_connection(mta, most, shares):
    sink = mta.route()
    queue_up(mta, f"max_deliveries_per_connection = {most}\nmax_outbound_connections = 1", [{"rcpts": f"{i}@example.com"} for i in range(4)])
    mta.wait_log("D", 4)
    assert [sum(m.connection == c.number for m in sink.messages) for c in sink.connections] == shares


@pytest.mark.shows("max_recipients_per_batch")
@pytest.mark.parametrize("most, shares", [(2, [1, 2]), (3, [3])])
def test_recipients_of_one_transaction(mta, most, shares):
    mta.config(f"max_recipients_per_batch = {most}")
    sink = mta.route()
    mta.send(rcpts=["a@example.com", "b@example.com", "c@example.com"])
    mta.wait_log("D", 3)
    assert sorted(len(m.rcpts) for m in sink.messages) == shares


@pytest.mark.shows("connection_allocation_aggressiveness")
@pytest.mark.parametrize("how, peaks", [("normal", range(1, 2)), ("high", range(4, 9))])
def test_connections_for_a_few_messages(mta, how, peaks):
    sink = mta.route(delay={"body": 0.1})
    queue_up(mta, f"connection_allocation_aggressiveness = {how}", [{"rcpts": f"{i}@example.com"} for i in range(8)])
    mta.wait_log("D", 8)
    assert sink.peak in peaks


@pytest.mark.shows("server_reserve_outbound_connections", "reserve_maintenance_interval")
@pytest.mark.parametrize("reserve, interval, served", [(1, 1, True), (0, 1, False), (1, 60, False)])
def test_domain_without_a_connection_waits_for_the_reserve(mta, reserve, interval, served):
    mta.dns({"one.test": {"A": ["127.0.0.2"]}, "two.test": {"A": ["127.0.0.3"]}})
    one, two = mta.sink("127.0.0.2", delay={"body": 2}), mta.sink("127.0.0.3")
    mta.config("server_max_outbound_connections = 1\n"
               f"server_reserve_outbound_connections = {reserve}\nreserve_maintenance_interval = {interval}")
    mta.send(rcpts="a@one.test")
    until(lambda: one.connections)      # the only one of the server
    mta.send(rcpts="b@two.test")
    with contextlib.suppress(AssertionError):
        until(lambda: two.messages, 1.6)
    assert bool(two.messages) == served


# ---- what is said

@pytest.mark.shows("send_8bitmime")
@pytest.mark.parametrize("how, said", [("no", False), ("ifavailable", True)])
def test_8bit_bodies_are_announced(mta, how, said):
    mta.config(f"send_8bitmime = {how}")
    sink = mta.route()
    mta.send(data=b"Subject: x\r\n\r\n\xe4\r\n", args="BODY=8BITMIME")
    sink.wait(messages=1)
    assert ("BODY=8BITMIME" in sink.messages[0].mail_args) == said


NO_8BITMIME = ("PIPELINING", "SIZE 100000000")


@pytest.mark.shows("transform_8bitmime_content")
@pytest.mark.parametrize("how, offered, body", [
    ("no", False, b"\xe4 = a\r\n"), ("ifneeded", False, b"=E4 =3D a\r\n"), ("ifneeded", True, b"\xe4 = a\r\n"),
    ("strict", False, b"=E4 =3D a\r\n"), ("strict", True, b"\xe4 = a\r\n"), ("strip", False, b"d = a\r\n"), ("strip", True, b"d = a\r\n")])
def test_8bit_bodies_reach_a_peer_of_7_bits_as_the_option_says(mta, how, offered, body):
    mta.config(f"transform_8bitmime_content = {how}")
    sink = mta.route(**({} if offered else {"extensions": NO_8BITMIME}))
    mta.send(data=b"Subject: x\r\n\r\n\xe4 = a\r\n")
    sink.wait(messages=1)
    [m] = sink.messages
    assert m.data.endswith(b"\r\n\r\n" + body) and b"Subject: x\r\n" in m.data
    assert ("SIZE=" in m.mail_args) == (b"\xe4" in body)


@pytest.mark.shows("max_mime_depth", "max_mime_parts")
@pytest.mark.parametrize("limit, encoded", [("", True), ("max_mime_depth = 1", False), ("max_mime_parts = 2", False)])
def test_parts_are_told_apart_up_to_the_limits(mta, limit, encoded):
    mta.config(limit)
    sink = mta.route(extensions=NO_8BITMIME)
    mta.send(data=b"Subject: x\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n"
                  b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n\xe4\r\n--b--\r\n--a--\r\n")
    sink.wait(messages=1)
    assert (b"=E4" in sink.messages[0].data) == encoded and (b"\xe4" in sink.messages[0].data) != encoded


@pytest.mark.shows("max_reply_length")
@pytest.mark.parametrize("most, kept", [(512, 512), (700, 700)])
def test_as_much_of_a_reply_line_as_the_option_says(mta, most, kept):
    answers = {"a": "550 5.0.0 " + "x" * 800, "b": "550 5.0.0 " + "y" * 1300}
    mta.route(rcpt=lambda path: answers[path[0]])
    mta.config(f"max_reply_length = {most}\nmax_outbound_connections = 1")
    mta.send(rcpts="a@example.com"), mta.send(rcpts="b@example.com")
    if most == 512:
        [p], [t] = mta.wait_log("P"), mta.wait_log("T")
        assert len(p.text) == kept and t.text == "451 4.4.2 [internal] reply line too long"
    else:
        assert [len(p.text) for p in mta.wait_log("P", 2)] == [kept, kept]


@pytest.mark.shows("max_reply_lines")
@pytest.mark.parametrize("most, kind, text", [(3, "T", "451 4.4.2 [internal] reply has too many lines"), (4, "P", "550 one two three four")])
def test_as_many_lines_of_a_reply_as_the_option_says(mta, most, kind, text):
    mta.route(rcpt="550-one\n550-two\n550-three\n550 four", extensions=())
    mta.config(f"max_reply_lines = {most}")
    mta.send()
    [r] = mta.wait_log(kind)
    assert r.text == text


# ---- bounces

@pytest.mark.shows("generate_bounces")
def test_sender_hears_of_failures_or_not(mta):
    home = mta.route("here.test", "127.0.0.1")
    mta.route("one.test", "127.0.0.2", rcpt="550 5.1.1 no")
    mta.dns({**mta.server_dns.zones(), "two.test": {"A": ["127.0.0.2"]}})
    mta.config("Domain one.test { generate_bounces = false }\nDomain two.test { generate_bounces = true }")
    mta.send("one@here.test", "b@one.test"), mta.send("two@here.test", "b@two.test")
    mta.wait_log("P", 2)
    mta.wait_empty()
    assert [m.rcpts for m in home.messages] == [["two@here.test"]]


@pytest.mark.shows("mailerdaemon")
def test_bounces_are_from_the_address_of_the_option(mta):
    home = mta.route("here.test", "127.0.0.1")
    mta.route("one.test", "127.0.0.2", rcpt="550 5.1.1 no")
    for n, (daemon, shown) in enumerate((("a@one.daemon.test", "Mail Delivery System <a@one.daemon.test>"), ("<b@daemon.test>", "<b@daemon.test>"),
                                         ("Postmaster <pm@daemon.test>", "Postmaster <pm@daemon.test>")), 1):
        mta.config(f'generate_bounces = true\nmailerdaemon = "{daemon}"')
        mta.send("a@here.test", "b@one.test")
        home.wait(messages=n)
        assert f"\nFrom: {shown}\r\n" in home.messages[-1].data.decode()
