"""What policy decides in each phase, by the provider of the tests; and all of it at once, parked and resumed, under load."""
import email
import email.policy
import random
import re
import socket
import struct
import threading
import time

import pytest

from pymomentum.hooks import HOOKS
from tests.harness.wait import until
from tests.smtp.test_server_replies import talk

HEAD = b"From: a@test\r\nSubject: x\r\nX-Mark: %d\r\n\r\nbody\r\n"
EACH = [h.name for h in HOOKS if h.each and h.name != "validate_rcptto"]
WHOLE = ["validate_data", "validate_data_spool"]


def rcpts(sink):
    return sorted(r for m in sink.messages for r in m.rcpts)


# ---- one thing at a time

def test_message_discarded_at_mail_from(policy):
    with policy.smtp() as c:
        assert c.send_mail("a+validate_mailfrom=discard@here.test", ["b@example.com", "c@example.com"]) == [250, 250]
        c.expect("250 2.0.0 OK *")
        c.send_mail("a@here.test", "d@example.com")
        c.expect("250 2.0.0 OK *")
    [r] = policy.wait_rejectlog(1)
    assert (r.code, r.module, r.phase) == (550, "test_provider", "sending mailfrom response")
    assert r.text == "5.7.1 [internal] discarded by policy"
    policy.wait_log("D")
    assert [x.rcpt_local for x in policy.mainlog("R")] == ["d"]
    assert policy.counters()["RejectedMessages"] == 1


@pytest.mark.parametrize("hook", ["validate_rcptto_list", "validate_rcptto_list_final", *WHOLE])
def test_message_discarded_later(policy, hook):
    with policy.smtp() as c:
        c.send_mail(f"a+{hook}=discard@here.test", ["b@example.com", "c@example.com"])
        c.expect("250 2.0.0 OK *")
        c.send_mail("a@here.test", "d@example.com")
        c.expect("250 2.0.0 OK *")
    policy.wait_log("D")
    assert rcpts(policy.there) == ["d@example.com"] and len(policy.wait_rejectlog(1)) == 1


@pytest.mark.parametrize("hook", ["validate_rcptto", *EACH])
def test_recipient_discarded(policy, hook):
    gone = f"b+{hook}=discard@example.com"
    with policy.smtp() as c:
        assert c.send_mail("a@here.test", [gone, "c@example.com"]) == [250, 250]
        c.expect("250 2.0.0 OK *")
        assert c.send_mail("a@here.test", gone) == [250]
        c.expect("250 2.0.0 OK *")                  # nobody is left, and the client does not know
    policy.wait_log("D")
    assert rcpts(policy.there) == ["c@example.com"] and not policy.home.messages
    assert [gone in r.mess_context for r in policy.wait_rejectlog(2)] == [True, True]
    assert len(policy.mainlog("R")) == 1


@pytest.mark.parametrize("hook, code", [*((h, 550) for h in WHOLE), ("validate_data", 451)])
def test_message_refused_behind_the_body(policy, hook, code):
    with policy.smtp() as c:
        c.send_mail(f"a+{hook}={code}@here.test", "b@example.com")
        c.expect(f"{code} *the test")
        talk(c, ("NOOP", "250 *"))
    [r] = policy.wait_rejectlog(1)
    assert (r.code, r.module) == (code, "test_provider")
    assert not policy.mainlog("R")


@pytest.mark.parametrize("hook", EACH)
def test_recipient_refused_among_others_is_bounced(policy, hook):
    refused = f"b+{hook}=550@example.com"
    with policy.smtp() as c:
        c.send_mail("a@here.test", ["c@example.com", refused, "d@example.com"], b"Subject: quoted\r\n\r\nnot this\r\n",
                    "ENVID=e1")
        c.expect("250 2.0.0 OK *")
    policy.home.wait(messages=1)
    [report] = policy.home.messages
    assert (report.mailfrom, report.rcpts) == ("", ["a@here.test"])
    message = email.message_from_bytes(report.data, policy=email.policy.default)
    text, status, original = message.iter_parts()
    about, recipient = status.get_payload()
    assert about["Original-Envelope-Id"] == "e1"
    assert recipient["Final-Recipient"] == f"rfc822; {refused}" and recipient["Status"] == "5.7.1"
    assert recipient["Diagnostic-Code"] == "smtp; 550 5.7.1 refused by the test"
    assert "Subject: quoted" in original.as_string() and "not this" not in original.as_string()
    policy.wait_log("D", 3)
    policy.wait_empty()
    assert rcpts(policy.there) == ["c@example.com", "d@example.com"]
    [r] = policy.wait_rejectlog(1)
    assert (r.code, r.module, r.text) == (550, "test_provider", "5.7.1 refused by the test") and refused in r.mess_context
    # the refused one was never received: no R, no P of its own
    assert sorted((x.method, x.rcpt_local) for x in policy.mainlog("R")) == [("esmtp", "c"), ("esmtp", "d"), ("internal", "a")]
    assert not policy.mainlog("P") and policy.counters()["RejectedMessages"] == 1


def test_refusal_of_a_large_message_quotes_its_header(policy):
    policy.config("generate_bounces = true\nlarge_message_threshold = 2000\nbounces_inline_original = all")
    with policy.smtp() as c:
        c.send_mail("a@here.test", ["c@example.com", "b+core_final_validation=550@example.com"],
                    b"Subject: quoted\r\n\r\n" + b"not this\r\n" * 5000)
        c.expect("250 2.0.0 OK *")
    policy.home.wait(messages=1)
    data = policy.home.messages[0].data
    assert b"Subject: quoted" in data and b"text/rfc822-headers" in data and b"not this" not in data
    policy.wait_log("D", 2)
    policy.wait_empty()
    until(lambda: not list((policy.folder / "spool" / "large").iterdir()), what="removal of the large file")


def test_all_recipients_refused_is_told_to_the_client(policy):
    a, b = "b+validate_data_spool_each_rcpt=550@example.com", "c+core_final_validation=550@example.com"
    with policy.smtp() as c:
        c.send_mail("a@here.test", [a, b])
        c.expect("550 5.7.1 refused by the test")
        c.send_mail("a@here.test", [a, "c+validate_set_binding=451@example.com"])
        c.expect("451 4.7.1 not now, says the test")         # one of them may yet be accepted
    assert len(policy.wait_rejectlog(2)) == 2
    assert not policy.mainlog("R")


def test_refused_and_discarded_together_leave_a_bounce(policy):
    with policy.smtp() as c:
        c.send_mail("a@here.test", ["b+core_final_validation=550@example.com", "c+core_final_validation=discard@example.com"])
        c.expect("250 2.0.0 OK *")
    policy.home.wait(messages=1)
    policy.wait_empty()
    assert not policy.there.messages and len(policy.wait_rejectlog(2)) == 2


@pytest.mark.parametrize("options, sender", [
    ("generate_bounces_for_multi_recipient_policy_rejections = false", "a@here.test"),
    ("Domain example.com { generate_bounces = false }", "a@here.test"), ("", "")])
def test_refusal_without_a_bounce(policy, options, sender):
    policy.config("generate_bounces = true\n" + options)
    with policy.smtp() as c:
        c.send_mail(sender, ["c@EXAMPLE.com", "b+core_final_validation=550@EXAMPLE.com"])
        c.expect("250 2.0.0 OK *")
    policy.wait_log("D")
    policy.wait_empty()
    assert not policy.home.messages and len(policy.mainlog("R")) == 1 and len(policy.wait_rejectlog(1)) == 1


@pytest.mark.shows("generate_bounces_for_multi_recipient_policy_rejections")
def test_sender_hears_of_a_refusal_among_others_or_not(policy):
    for n, wanted in enumerate(("false", "true")):
        policy.config(f"generate_bounces = true\ngenerate_bounces_for_multi_recipient_policy_rejections = {wanted}")
        with policy.smtp() as c:
            c.send_mail("a@here.test", ["c@example.com", "b+core_final_validation=550@example.com"])
            c.expect("250 2.0.0 OK *")
        policy.wait_log("D", 1 + 2 * n)
        policy.wait_empty()
        assert len(policy.home.messages) == n


def test_bounce_of_a_refusal_outlives_a_kill(policy):
    policy.config("generate_bounces = true\nDomain here.test { suspend_delivery = true }")
    with policy.smtp() as c:
        c.send_mail("a@here.test", ["c@example.com", "b+core_final_validation=550@example.com"])
        c.expect("250 2.0.0 OK *")
    policy.kill()
    policy.config("generate_bounces = true")
    policy.start()
    policy.home.wait(messages=1)
    policy.there.wait(messages=1)
    policy.wait_empty()
    # a kill between the commit of a report and the tombstone of its cause has it made once more
    assert 1 <= len(policy.home.messages) <= 2
    assert all(m.rcpts == ["c@example.com"] for m in policy.there.messages)


@pytest.mark.parametrize("hook", ["validate_mailfrom", "validate_rcptto_list", "validate_data"])
def test_policy_may_end_the_session(policy, hook):
    with policy.smtp() as c:
        c.send_mail(f"a+{hook}=drop@here.test", "b@example.com")
        c.expect("554 5.7.1 go away, says the test")
        c.expect_closed()
    until(lambda: policy.counters()["InboundConcurrency"] == 0, what="end of the session")


def test_rejections_name_who_said_no(policy):
    with policy.smtp() as c:
        talk(c, ("MAIL FROM:<a@here.test>", "250 *"), ("RCPT TO:<b+validate_rcptto=550@example.com>", "550 *"),
             ("RCPT TO:<b@@>", "501 *"))
    assert [r.module for r in policy.wait_rejectlog(2)] == ["test_provider", "esmtp"]


# ---- outdated configurations

def test_session_on_an_outdated_configuration_is_ended(mta):
    mta.config("generation_max_age = 1")
    with mta.smtp() as idle, mta.smtp() as sending:
        talk(sending, ("MAIL FROM:<a@test>", "250 *"), ("RCPT TO:<b@example.com>", "250 *"), ("DATA", "354 *"))
        time.sleep(1.5)
        talk(idle, ("NOOP", "250 *"))           # it is not its own age that counts
        mta.config("generation_max_age = 2")
        with mta.smtp() as fresh:
            began = time.monotonic()
            for c in idle, sending:
                c.expect("421 4.3.2 Reconfiguration in progress")
                c.expect_closed()
            assert time.monotonic() - began >= 1.5
            talk(fresh, ("NOOP", "250 *"))


def test_parked_session_on_an_outdated_configuration_is_ended(policy):
    policy.config("generation_max_age = 1")
    with policy.smtp() as c:
        talk(c, ("MAIL FROM:<a+validate_data=park@here.test>", "250 *"), ("RCPT TO:<b@example.com>", "250 *"), ("DATA", "354 *"))
        c.send(HEAD % 1 + b".\r\n")
        until(policy.provided.tokens, what="suspension")
        policy.config("generation_max_age = 1\nretry_interval = 7")
        c.expect("421 4.3.2 Reconfiguration in progress")
        c.expect_closed()
    until(lambda: policy.provided.tokens() == 0, what="end of the suspension")
    assert not policy.mainlog("R")


def test_client_that_vanishes_while_parked_takes_its_suspension_along(policy):
    for hook in ("validate_mailfrom", "validate_rcptto_list", "validate_data_spool"):
        with policy.smtp() as c:
            c.send(f"MAIL FROM:<a+{hook}=park@here.test>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n".encode() + HEAD % 1 + b".\r\n")
            until(lambda: policy.provided.counters()[hook].calls, what="call")
            until(policy.provided.tokens, what="suspension")
        until(lambda: policy.counters()["InboundConcurrency"] == 0, what="end of the session")
        until(lambda: policy.provided.tokens() == 0, what="end of the suspension")
    assert policy.provided.counters()["core_server_esmtp_session_abort"].calls == 3 and not policy.mainlog("R")


# ---- all at once

SENDERS = ["validate_mailfrom=550", "validate_mailfrom=451", "validate_mailfrom=discard", "validate_rcptto_list=550",
           "validate_rcptto_list_final=discard", "validate_data=550", "validate_data_spool=451", "validate_data_spool=discard",
           "validate_data=drop"]
RCPTS = ["validate_rcptto=550", "validate_rcptto=451", "validate_rcptto=discard", "validate_data_spool_each_rcpt=550",
         "validate_data_spool_each_rcpt=discard", "validate_set_binding=451", "core_final_validation=550",
         "core_post_final_validation=discard", "core_post_final_validation=550"]


class Load:
    """Clients that know what each of their messages must come to."""

    def __init__(self, mta, n, sessions):
        self.mta, self.sessions = mta, sessions
        self.numbers = iter(range(n))
        self.lock = threading.Lock()
        self.delivered, self.bounced, self.maybe = set(), set(), set()
        self.wrong, self.vanished = [], 0

    def run(self):
        threads = [threading.Thread(target=self.session, args=(random.Random(i),), daemon=True) for i in range(self.sessions)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert not any(thread.is_alive() for thread in threads)
        return self

    def next(self):
        with self.lock:
            return next(self.numbers, None)

    def session(self, rng):
        try:
            while True:
                with self.mta.smtp() as c:
                    for _ in range(rng.randint(1, 60)):
                        i = self.next()
                        if i is None:
                            return
                        if not self.message(rng, c, i):
                            break
        except Exception as failure:                # the main thread tells
            self.wrong.append(failure)

    def message(self, rng, c, i):
        """One transaction; False where the session is over."""
        sender = f"s{i}+{rng.choice(SENDERS)}@here.test" if rng.random() < .2 else f"s{i}@here.test"
        names = [f"r{i}.{k}+{rng.choice(RCPTS)}@example.com" if rng.random() < .3 else f"r{i}.{k}@example.com"
                 for k in range(rng.randint(1, 3))]
        names = [name.replace("@", "+validate_data_spool_each_rcpt=header@") if "+" not in name and rng.random() < .2 else name
                 for name in names]
        if rng.random() < .03:
            return self.vanish(rng, c, i, sender, names)
        talk(c, (f"MAIL FROM:<{sender}>", self.answer(sender, "validate_mailfrom")))
        if re.search("mailfrom=(550|451)", sender):
            return True
        for name in names:
            talk(c, (f"RCPT TO:<{name}>", self.answer(name, "validate_rcptto")))
        taken = [name for name in names if not re.search(r"validate_rcptto=\d", name)]
        if not taken:
            talk(c, ("DATA", "503 *"), ("RSET", "250 *"))
            return True
        talk(c, ("DATA", "550 *" if "list=550" in sender else "354 *"))
        if "list=550" in sender:
            talk(c, ("RSET", "250 *"))
            return True
        c.send(HEAD % i + b".\r\n")
        in_ = [name for name in taken if "+" not in name or "=header" in name]
        refused = [name for name in taken if re.search(r"=(550|451)", name)]
        silent = "=discard" in sender or len(refused) < len(taken)
        if all("rcptto=discard" in name for name in taken):
            c.expect("250 2.0.0 OK *")              # nothing is left to be judged
        elif re.search("=(550|451)", sender):
            c.expect(f"{sender[sender.index('=') + 1:][:3]} *")
        elif "=drop" in sender:
            c.expect("554 *")
            c.expect_closed()
            return False
        elif silent:
            c.expect("250 2.0.0 OK *")
            if "=discard" not in sender:
                with self.lock:
                    self.delivered.update(in_)
                    self.bounced.update(refused)
        else:
            c.expect("451 *" if any("=451" in name for name in refused) else "550 *")
        return True

    @staticmethod
    def answer(address, hook):
        match = re.search(hook + r"=(\d+)", address)
        return f"{match[1]} *" if match else "250 *"

    def vanish(self, rng, c, i, sender, names):
        lines = [f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{name}>" for name in names), "DATA"]
        text = "".join(line + "\r\n" for line in lines).encode() + HEAD % i + b".\r\n"
        if rng.random() < .5:
            text = text[:rng.randint(10, len(text))]
        c.send(text)
        time.sleep(rng.random() * .05)
        with self.lock:
            self.maybe.update(names)
            self.vanished += 1
        return False


def test_session_whose_replies_fail_leaves_nothing_parked(policy):
    """The client closes its side behind the next MAIL, which nobody resumes, and is gone when 250 goes out."""
    for number in range(40):
        with policy.smtp() as c:
            for line in "MAIL FROM:<a@test>", "RCPT TO:<b@example.com>", "DATA":
                c.command(line)
                c.read_reply()
            c.send(b"Subject: x\r\n\r\nx\r\n.\r\nMAIL FROM:<validate_mailfrom=park@test>\r\n")
            c.sock.shutdown(socket.SHUT_WR)
            time.sleep(number % 10 * 0.001)
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    policy.wait_empty(30)
    until(lambda: policy.counters()["InboundConcurrency"] == policy.provided.tokens() == 0, what="end of the sessions")


@pytest.mark.parametrize("mta", [{"loops": 1}, {"loops": 3}], ids=["1-loop", "3-loops"], indirect=True)
def test_every_phase_parks_and_resumes_under_load(policy):
    policy.start()
    load = Load(policy, 2000, 40).run()
    assert not load.wrong, load.wrong[:3]
    assert load.vanished > 10 and len(load.delivered) > 1000 and len(load.bounced) > 50
    policy.wait_empty(30)
    until(lambda: policy.counters()["InboundConcurrency"] == 0, what="end of the sessions")
    until(lambda: policy.provided.tokens() == 0, what=lambda: f"end of {policy.provided.tokens()} suspensions")
    came = rcpts(policy.there)
    assert len(came) == len(set(came))
    assert load.delivered <= set(came) <= load.delivered | load.maybe
    assert not [name for name in came if "=" in name and "=header" not in name]
    for m in policy.there.messages:
        [name] = m.rcpts if b"X-Policy" in m.data else [""]
        assert m.data.endswith((f"X-Policy: {name}\r\n" if name else "").encode() + b"\r\nbody\r\n"), m.data
        assert all(name == rcpt for rcpt in m.rcpts if "=header" in rcpt)
    told = re.findall(r"Final-Recipient: rfc822; (\S+)", b"".join(m.data for m in policy.home.messages).decode())
    assert len(told) == len(set(told)) and load.bounced <= set(told) <= load.bounced | load.maybe
    for hook, c in policy.provided.counters().items():
        assert c.wrong == c.again == 0, (hook, c)
        assert c.calls > 0 and (hook.endswith("abort") or (c.parks and c.by_thread and c.by_loop and c.by_deadline)), (hook, c)
        assert c.by_thread + c.by_loop + c.by_deadline + c.cancelled <= c.parks, (hook, c)
    assert sum(c.cancelled for c in policy.provided.counters().values()) > 0
