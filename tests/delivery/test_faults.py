"""Peers that cut, hang and stall: every mail has an outcome, and none is lost or doubled without cause."""
import random

import pytest

from tests.harness.wait import until

TIMES = "ehlo_timeout = 1\nmailfrom_timeout = 1\nrcptto_timeout = 1\nbody_timeout = 1\nconnect_timeout = 1\nhost_failure_retry = 1\n"
BODY = b"Subject: x\r\n\r\n" + b"some text\r\n" * 20


def many(mta, n, **script):
    """n domains, each with a sink of its own; script values are callables of the number."""
    mta.dns({f"d{i}.test": {"A": [f"127.0.2.{i}"]} for i in range(1, n + 1)})
    return [mta.sink(f"127.0.2.{i}", **{k: v(i) for k, v in script.items()}) for i in range(1, n + 1)]


@pytest.mark.variants
@pytest.mark.parametrize("seed", [1])
def test_peer_that_closes_at_any_byte_it_writes(mta, seed):
    places = sorted(random.Random(seed).sample(range(1, 220), 15 if mta.suspend else 40))
    mta.config(TIMES + "retry_interval = 1")
    sinks = many(mta, len(places), cut_after=lambda i: places[i - 1], times=lambda i: 1)
    for i in range(1, len(places) + 1):
        mta.send(rcpts=f"b@d{i}.test", data=BODY)
    mta.wait_log("D", len(places), 30)
    for sink in sinks:
        assert 1 <= len(sink.messages) <= 2 and all(m.data.endswith(BODY) for m in sink.messages)
    # the final reply was cut: only then may it come twice
    assert all(t.stage in (0, 3, 5, 7, 8, 9, 11, 12) for t in mta.mainlog("T"))


@pytest.mark.variants
def test_peer_that_closes_at_any_byte_of_the_body(mta):
    mta.config(TIMES + "retry_interval = 1")
    sinks = many(mta, 12, cut_body=lambda i: i * 40, times=lambda i: 1)
    for i in range(1, 13):
        mta.send(rcpts=f"b@d{i}.test", data=BODY)
    mta.wait_log("D", 12, 30)
    assert all(len(sink.messages) == 1 and sink.messages[0].data.endswith(BODY) for sink in sinks)
    assert all(t.stage in (8, 9) for t in mta.mainlog("T"))


@pytest.mark.parametrize("reset", [False, True])
def test_peer_that_closes_instead_of_an_answer(mta, reset):
    verbs = ["banner", "ehlo", "mail", "rcpt", "data", "body"]
    stages = [12, 11, 3, 5, 7, 9]
    mta.config(TIMES)
    many(mta, 6, cut_at=lambda i: verbs[i - 1], reset=lambda i: reset, extensions=lambda i: ("SIZE",))
    for i in range(1, 7):
        mta.send(rcpts=f"b@d{i}.test")
    found = {t.domain: t for t in mta.wait_log("T", 6)}
    for i, stage in enumerate(stages, 1):
        t = found[f"d{i}.test"]
        assert t.stage == stage and t.text.startswith("451 4.4.2 [internal] "), t
        if stage > 5:
            assert t.peer == f"127.0.2.{i}"


@pytest.mark.variants
def test_silent_peer_is_left_after_the_timeout(mta):
    verbs = ["banner", "ehlo", "mail", "rcpt", "data", "body"]
    texts = ["no banner", "no HELO/EHLO response", "no MAIL FROM response", "no RCPT TO response", "no DATA response", "no BODY response"]
    mta.config(TIMES)
    for i, verb in enumerate(verbs, 1):
        mta.sink(f"127.0.2.{i}", **{verb: None}, extensions=("SIZE",))
    mta.sink("127.0.2.7", silent=True)
    mta.dns({f"d{i}.test": {"A": [f"127.0.2.{i}"]} for i in range(1, 8)})
    for i in range(1, 8):
        mta.send(rcpts=f"b@d{i}.test")
    found = {t.domain: t for t in mta.wait_log("T", 7)}
    for i, text in enumerate(texts + ["no banner"], 1):
        assert found[f"d{i}.test"].text == f"451 4.4.2 [internal] {text}"


def test_slow_peer_is_waited_for(mta):
    mta.config("ehlo_timeout = 5\nmailfrom_timeout = 5\nrcptto_timeout = 5\nbody_timeout = 5")
    sink = mta.route(delay={verb: 0.7 for verb in ("banner", "ehlo", "mail", "rcpt", "data", "body")})
    mta.send()
    sink.wait(messages=1, timeout=20)
    mta.wait_log("D")
    assert not mta.mainlog("T")


def test_host_that_takes_no_packets_is_a_transient_failure(mta):
    mta.dns({"example.com": {"A": ["192.0.2.1"]}})          # RFC 5737: nobody there
    mta.config(TIMES)
    mta.send()
    [t] = mta.wait_log("T", timeout=15)
    assert t.text.startswith("451 4.4.1 [internal]") and t.stage == 0


def test_peer_that_talks_out_of_turn_while_idle(mta):
    mta.route(body="250 2.0.0 taken\n".strip())
    mta.config("idle_timeout = 1")
    mta.send()
    mta.wait_log("D")
    until(lambda: mta.counters()["OutboundConcurrency"] == 0, what="end of the connection")


def test_body_that_is_gone_says_nothing_about_its_host(mta):
    options = "large_message_threshold = 3000\nmax_outbound_connections = 1\nhost_failure_retry = 60\n"
    mta.config(options + "suspend_delivery = true")
    sink = mta.route()
    mta.send(data=b"Subject: large\r\n\r\n" + b"x" * 70 + b"\r\n" * 4000)
    for path in (mta.folder / "spool" / "large").iterdir():
        path.unlink()
    mta.send()
    mta.config(options)
    [p] = mta.wait_log("P")
    assert p.text == "550 5.3.0 [internal] message body missing"
    mta.wait_log("D")                   # at once, not when the host has rested
    sink.wait(messages=1)
    mta.wait_empty()
