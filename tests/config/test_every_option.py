"""Every option can be written in each of its scopes, and reaches the engine."""
import pytest

from pymomentum import config
from pymomentum.core.config.view import Generation
from pymomentum.options import registry
from pymomentum.options.types import (Address, Boolean, Decimal, Dict, Domains, Duration, Enum, Expression, Expressions, File, Gateway, HostName, Limit,
                                      List, MailAddress, Mailbox, Nets, Number, Octal, Path, Protocols, Range, Routes, Server, Source, Subsystems, Text,
                                      Throttle)

STANZAS = {
    "global": "%s", "binding_group": "Binding_Group g { %s }", "binding": "Binding b { %s }",
    "domain": "Domain x.org { %s }", "host": "Host x.org { %s }", "pathway_group": "Pathway_Group g { %s }",
    "pathway": "Pathway p { %s }", "esmtp_listener": "ESMTP_Listener { %s Listen :25 { } }",
    "control_listener": "Control_Listener { %s Listen x/y { } }", "http_listener": "HTTP_Listener { %s }",
    "ecstream_listener": "ECStream_Listener { %s }", "listen": "ESMTP_Listener { Listen :25 { %s } }",
    "peer": "ESMTP_Listener { Peer ::1 { %s } Listen :25 { Peer 10.0.0.0/8 { %s } } }", "threadpool": "ThreadPool t { %s }",
    "eventloop": "EventLoop default { %s }", "security": "Security { %s }", "debug_flags": "Debug_Flags { %s }",
}
SAMPLES = {         # as written, and as the types are given it
    File: ("default", "default"), Source: ("10.1.2.3", "10.1.2.3"), Gateway: ('"[::1]:25"', "[::1]:25"),
    Protocols: ('"-ALL:+TLSv1.3"', "-ALL:+TLSv1.3"),
    Boolean: ("on", "on"), Octal: ("0600", "0600"), Duration: ('"2 days"', "2 days"), Text: ("default", "default"),
    Throttle: ("7/60", "7/60"), Nets: ("( 10.0.0.0/8 )", ["10.0.0.0/8"]), Range: ("( 1 9 )", ["1", "9"]),
    List: ("( a b )", ["a", "b"]), Routes: ('( a "smtp://b?pref=1" )', ["a", "smtp://b?pref=1"]), Server: ("127.0.0.1:80", "127.0.0.1:80"), Dict: ("[ k = v ]", {"k": "v"}),
    HostName: ("mta.test", "mta.test"), Path: ("var/x", "var/x"), MailAddress: ("a@b.test", "a@b.test"), Mailbox: ('"A <a@b.test>"', "A <a@b.test>"),
    Expression: ('"^a.*$"', "^a.*$"), Expressions: ('( "^a" "b$" )', ["^a", "b$"]), Domains: ("( a.test *.b.test )", ["a.test", "*.b.test"]),
    Subsystems: ("( SMTP DNS )", ["SMTP", "DNS"]),
}


def sample(type):
    if isinstance(type, Enum):
        return type.values[-1].upper(), type.values[-1]
    if isinstance(type, Number):
        return (str(max(type.minimum, 3)),) * 2
    if isinstance(type, Address):
        return ("10.1.2.3" if type.version == 4 else "2001:db8::1",) * 2
    return SAMPLES[type.__class__]


@pytest.mark.parametrize("type, raw, written", [
    (Text(joins=True), ["a", "b"], "a b"), (Number(words={"unlimited": -1}), "UNLIMITED", "unlimited"), (Number(), "+07", "7"),
    (Decimal(), "0.00001", "0.00001"), (Decimal(), "250", "250"), (Boolean(), "on", "true"), (Boolean(), "0", "false"),
    (Octal(), "600", "0600"), (Duration(), "2 days", "172800"), (Enum("no Yes"), "off", "no"), (List(), "a", ["a"]),
    (Range(), ["1", "9"], ["1", "9"]), (Nets(), ["[::0]"], ["::"]), (Dict(), {"k": "v"}, {"k": "v"}), (Limit(), "5", "5"),
    (Domains(), "A.test.", ["A.test"]), (Throttle(), "7", "7/1"), (Throttle(), "7 / 60", "7/60"),
])
def test_what_is_written_reads_as_the_same_value(type, raw, written):
    value = type.parse(raw)
    assert type.write(value) == written and type.parse(written) == value


@pytest.mark.parametrize("scope", registry.SCOPES)
def test_all_options_of_a_scope_are_read_and_published(conf, scope):
    rows = [row for rows in registry.OPTIONS.values() for row in rows if scope in row.scopes]
    body = "\n".join(f"{row.name.upper()} = {sample(row.type)[0]}" for row in rows)
    loaded = conf.load(STANZAS[scope].replace("%s", body))
    config.publish(loaded)
    if scope == "global":
        values = Generation().globals
        for row in rows:
            expected = row.type.parse(sample(row.type)[1])
            assert loaded.globals[row.name] == expected
            if row.type.kind in ("number", "text", "list"):
                assert values[row.name] == row.type.encode(expected)
            else:
                assert values[row.name]
