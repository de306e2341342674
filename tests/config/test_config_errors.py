"""What a user reads when the configuration is wrong; the texts are golden."""
import json
import random

import pytest

from pymomentum import config
from pymomentum.commands import validate_config
from pymomentum.config.scopes import INSIDE
from pymomentum.core.config.view import current_generation
from pymomentum.errors import ConfigErrors
from pymomentum.options import registry
from tests.harness.cert import certificate

WRONG = """\
retry_intervall = 3
Domain "x.com" { spoolbase = /x  retry_interval = abc }
Domian "y" { }
ESMTP_Listener { Listen "foo" { } Peer "x" {} }
\ttls = maybe
Domain "/(/" {}
Domain {}
Peer 10.0.0.1 {}
outbound_throttle_messages = 5/0
max_outbound_connections = 99999999999999
ec_logger { mainlogg = x }
spool_mode = 0999
relay_hosts ( 10.0.0.0/8 999.0.0.1 )
context [ a = b ]
"""

GOLDEN = """\
ecelerity.conf:1:1: unknown option "retry_intervall"; did you mean "retry_interval"?
    retry_intervall = 3
    ^
ecelerity.conf:2:18: spoolbase is not possible in domain; it belongs to: global
    Domain "x.com" { spoolbase = /x  retry_interval = abc }
                     ^
ecelerity.conf:2:51: retry_interval: takes a number, not "abc"
    Domain "x.com" { spoolbase = /x  retry_interval = abc }
                                                      ^
ecelerity.conf:3:1: unknown stanza "Domian"; did you mean "domain"?
    Domian "y" { }
    ^
ecelerity.conf:4:25: listen: "foo" is no address such as "*:25", "192.0.2.1:25", "[::1]:25" or a path
    ESMTP_Listener { Listen "foo" { } Peer "x" {} }
                            ^
ecelerity.conf:4:40: peer: "x" is no address or network such as 10.0.0.0/8
    ESMTP_Listener { Listen "foo" { } Peer "x" {} }
                                           ^
ecelerity.conf:5:8: tls: takes no | ifavailable | required, not "maybe"
     tls = maybe
           ^
ecelerity.conf:6:8: domain: bad expression at character 2: missing closing parenthesis
    Domain "/(/" {}
           ^
ecelerity.conf:7:1: domain needs a name
    Domain {}
    ^
ecelerity.conf:8:1: stanza peer is not possible in the global scope; it belongs to: listen, esmtp_listener, \
control_listener, http_listener, ecstream_listener
    Peer 10.0.0.1 {}
    ^
ecelerity.conf:9:30: outbound_throttle_messages: takes N or N/seconds, not "5/0"
    outbound_throttle_messages = 5/0
                                 ^
ecelerity.conf:10:28: max_outbound_connections: must be at most 1099511627776, not 99999999999999
    max_outbound_connections = 99999999999999
                               ^
ecelerity.conf:11:13: unknown option "mainlogg" of ec_logger; did you mean "mainlog"?
    ec_logger { mainlogg = x }
                ^
ecelerity.conf:12:14: spool_mode: takes permissions in octal such as 0640, not "0999"
    spool_mode = 0999
                 ^
ecelerity.conf:13:26: relay_hosts: "999.0.0.1" is no address or network such as 10.0.0.0/8
    relay_hosts ( 10.0.0.0/8 999.0.0.1 )
                             ^
ecelerity.conf:14:1: context is not possible in the global scope; it belongs to: pathway_group, pathway, \
esmtp_listener, listen, peer
    context [ a = b ]
    ^
16 errors
"""


def test_all_mistakes_of_a_run_are_printed(conf, capsys):
    conf.write(WRONG)
    assert validate_config.main(["-c", "ecelerity.conf"]) == 1
    assert capsys.readouterr().out == GOLDEN


BROKEN = """\
retry_interval = abc
Domain "a.com" {
  max_outbound_connections = ( 1 2
  idle_timeout = x
}
ESMTP_Listener {
  Listen ":2525 {
    pathway = "foo"
  }
}
foo bar baz { x = 1 }
retry_interval == 5
max_retries = 1 )
message_expiration = "abc
Domain "b.com" { retry_interval = "5" }
tls = maybe
pathway = [ a = b
Binding one { Domain "b.com { idle_timeout = 1 } }
Binding two { idle_timeout = y }
"""

BROKEN_GOLDEN = """\
ecelerity.conf:1:18: retry_interval: takes a number, not "abc"
    retry_interval = abc
                     ^
ecelerity.conf:3:30: this "(" is not closed
      max_outbound_connections = ( 1 2
                                 ^
ecelerity.conf:4:18: idle_timeout: takes a number, not "x"
      idle_timeout = x
                     ^
ecelerity.conf:7:10: this string is not closed; it would end in line 8
      Listen ":2525 {
             ^
ecelerity.conf:11:5: "=" or "{" is missing after "foo"
    foo bar baz { x = 1 }
        ^
ecelerity.conf:12:17: "=" is not possible here; expected "(" or "[" or a value
    retry_interval == 5
                    ^
ecelerity.conf:13:17: ")" is not possible here; expected an include or an option or stanza or the end of the file
    max_retries = 1 )
                    ^
ecelerity.conf:14:22: this string is not closed; it would end in line 15
    message_expiration = "abc
                         ^
ecelerity.conf:16:7: tls: takes no | ifavailable | required, not "maybe"
    tls = maybe
          ^
ecelerity.conf:17:11: this "[" is not closed
    pathway = [ a = b
              ^
ecelerity.conf:18:22: this string is not closed
    Binding one { Domain "b.com { idle_timeout = 1 } }
                         ^
ecelerity.conf:19:30: idle_timeout: takes a number, not "y"
    Binding two { idle_timeout = y }
                                 ^
12 errors
"""


def test_mistakes_of_grammar_hide_no_other(conf, capsys):
    conf.write(BROKEN)
    assert validate_config.main(["-c", "ecelerity.conf"]) == 1
    assert capsys.readouterr().out == BROKEN_GOLDEN


def test_mistakes_of_all_files_are_told_in_their_order(conf):
    errors = conf.errors("tls = maybe\ninclude one.conf\ninclude none.conf\nidle_timeout = (\n",
                         one="a = 1\n}\nretry_interval = x\n")
    assert [(e.file, e.line) for e in errors] == [
        ("ecelerity.conf", 1), ("ecelerity.conf", 3), ("ecelerity.conf", 4), ("one.conf", 1), ("one.conf", 2), ("one.conf", 3)]


@pytest.mark.parametrize("text, places", [
    ('retry_intervall = 60\nDomain "a" { tls = maybe }\n}', [(1, 1), (2, 20), (3, 1)]),
    ('} tls = maybe\nDomain "a" { spoolbase = x }', [(1, 1), (1, 9), (2, 14)]),
    ('Domain "a" { spoolbase = x } Domain "b" { spoolbase = y } } ', [(1, 14), (1, 59)]),
    ('tls = maybe\nDomain "a" { tls = maybe\nDomian "b" { }\nspoolbase = x\nmainlogg = x', [(1, 7), (2, 12), (2, 20), (3, 1), (5, 1)]),
    ('Domain "a" { Domain "b" { }\nec_logger { mainlog = x\nDomain "" { }', [(1, 12), (2, 11), (3, 8)]),
    ('ec_logger { mainlog = x\nsnmp { state = maybe }', [(1, 11), (2, 16)]),
    ("retry_interval 60\ntls = maybe", [(1, 16), (2, 7)]),
    ("retry_interval\ntls = maybe", [(1, 1), (2, 7)]),
    ('retry_interval =\nDomain "a" { tls = maybe }', [(1, 1), (2, 20)]),
    ("relay_hosts = ( 127.0.0.1\ntls = maybe\nretry_intervall = 4", [(1, 15), (2, 7), (3, 1)]),
    ("relay_hosts = ( 127.0.0.1\ntls = maybe\nrelay_domains = ( a )\nretry_intervall = 4", [(1, 15), (2, 7), (4, 1)]),
    ("ESMTP_Listener {\n context [ a = b\n c = d\n tls_key = ( )\n}", [(2, 10), (4, 12)]),
    ("tls = may\0be\nretry_interval = \0\nretry_intervall = 4", [(1, 10), (2, 18), (3, 1)]),
    (b"tls = maybe # f\xfcr\nretry_intervall = 4\n\xfc = 1", [(1, 7), (1, 16), (2, 1), (3, 1)]),
    ("Domain x { tls = maybe };\nspool = a", [(1, 18), (1, 25), (2, 1)]),
    ('Domain "a"\n tls = maybe\n}\ntls = maybe\n}', [(1, 8), (2, 8), (4, 7), (5, 1)]),
    ('Binding a { Domain "a"\n tls = maybe\n}\n spoolbase = x }\nretry_intervall = 4', [(1, 20), (2, 8), (5, 1)]),
    ('Domain "a" {{\n tls = maybe\n}\ntls = maybe', [(1, 13), (2, 8), (4, 7)]),
    ("x {" * 40 + "}" * 40 + "\ntls = maybe", [(1, 1), (1, 93), (2, 7)]),
])
def test_mistake_of_grammar_hides_nothing_and_causes_nothing(conf, text, places):
    assert [(e.line, e.column) for e in conf.errors(text)] == places


@pytest.mark.parametrize("text, places", [
    ('Domain "/(/" { tls = maybe spoolbase = x }', [(1, 8), (1, 22), (1, 28)]), ("Domain { tls = maybe }", [(1, 1), (1, 16)]),
    ("Peer 10.0.0.1 { tls = maybe spoolbase = x }", [(1, 1), (1, 23)])])
def test_stanza_that_is_wrong_itself_hides_nothing(conf, text, places):
    assert [(e.line, e.column) for e in conf.errors(text)] == places


def test_what_does_not_fit_together_is_told_with_other_mistakes(conf):
    errors = conf.errors("tls = maybe\nBinding_Group a { Binding x {} } Binding_Group b { Binding x {} }")
    assert [e.line for e in errors] == [1, 2]


@pytest.mark.parametrize("text, wrong", [
    ("relay_hosts = ( 1.2.3.4.5 10.0.0.0/33 foo ::1 )", ["1.2.3.4.5", "10.0.0.0/33", "foo"]),
    ("prohibited_hosts = ( foo, 10.0.0.1, bar )", ["foo", "bar"]),
    ('routes = ( a "b c" "smtp://x?pref=y" d/e )', ['"b c"', '"smtp://x?pref=y"', "d/e"]),
    ("adaptive_retry_interval = ( x y )", ["x", "y"]), ("adaptive_retry_interval = ( x 2 y )", ["( x", "x", "y"]),
    ('exclude_vctx_mess = ( "(" a "[" )', ['"("', '"["']), ('gateway = ( "a b" )', ['"a b"']),
    ('smtp_extensions = ( SIZE "a\\nb" "c\\rd" )', ['"a', '"c'])])
def test_each_wrong_word_of_a_list_is_told(conf, text, wrong):
    inside = f"ESMTP_Listener {{ {text} }}" if text.startswith("smtp") else text
    assert [e.column for e in conf.errors(inside)] == [inside.index(word, inside.index("=")) + 1 for word in wrong]


def test_each_wrong_version_of_tls_is_told(conf):
    assert conf.error("tls_protocols = +TLSv1.2:foo:-bar").message.endswith('not "foo", "-bar"')


BESIDE = """\
Binding b { bind_address = host.invalid }
Security { user = nosuch group = root supplemental_groups ( no-1 root no-2 ) capabilities = cap_fly+ep }
tls_ciphers = GARBAGE
tls_certificate = ecelerity.conf
"""


@pytest.mark.parametrize("wrong", ["tls = maybe", "retry_intervall = 3", "retry_interval = = 3", "foo bar baz { x = 1 }", ""])
def test_what_this_machine_does_not_have_is_told_beside_other_mistakes(conf, capsys, wrong):
    conf.write(f"{BESIDE}{wrong}\n")
    assert validate_config.main(["-c", "ecelerity.conf", "--json"]) == 1
    places = [(e["line"], e["column"]) for e in json.loads(capsys.readouterr().out)["errors"]]
    assert places[:7] == [(1, 28), (2, 19), (2, 61), (2, 71), (2, 93), (3, 15), (4, 19)]
    assert [line for line, _ in places[7:]] == ([5] if wrong else [])


@pytest.mark.parametrize("text", [
    "Security { usr = root group = root }", "Security { user = ( root ) group = root }", "Security { user = = root group = root }",
    "tls_certificate = {cert}\ntls_kye = {key}", "tls_certificate = {cert}\ntls_key = ( {key} {key} )",
    "tls_certificate = {cert}\ntls_key = = {key}", "memory_hwm = 50\nmemory_gaol = 40", "local_changes_only = true\nlocal_change_file = x",
    'ESMTP_Listener { Listen ":25" { } }\nESMTP_Listener { enable = fals  Listen ":25" { } }',
    'ESMTP_Listener { Listen ":25" { } }\nESMTP_Listener { enable = = false  Listen ":25" { } }'])
def test_what_another_mistake_may_have_caused_is_not_told(conf, capsys, text):
    cert, _ = certificate("one.test")
    _, key = certificate("two.test")
    conf.write(text.replace("{cert}", str(cert)).replace("{key}", str(key)))
    assert validate_config.main(["-c", "ecelerity.conf"]) == 1
    assert capsys.readouterr().out.endswith("\n1 error\n")


def test_what_stands_side_by_side_is_told_beside_mistakes_of_grammar(conf):
    errors = conf.errors("tls = = no\nmemory_goal = 90 memory_hwm = 80\nBinding_Group a { Binding x {} } Binding_Group b { Binding x {} }")
    assert [e.line for e in errors] == [1, 3]


def test_value_above_its_bound_is_told_beside_an_unknown_option(conf):
    assert [e.line for e in conf.errors("memory_goal = 90 memory_hwm = 80\nretry_intervall = 3")] == [1, 2]


def test_file_that_is_included_often_is_wrong_once(conf, capsys):
    text = "".join(f"Binding b{i} {{ include one.conf }}\n" for i in range(150)) + "tls = maybe\n"
    one = "retry_interval = x\nbind_address = host.invalid\nDomain a { include none.conf }\ntls_certificate = none.pem\n"
    conf.write(text, one=one)
    assert validate_config.main(["-c", "ecelerity.conf", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [(e["file"], e["line"]) for e in told["errors"]] == [("ecelerity.conf", 151), ("one.conf", 1), ("one.conf", 2), ("one.conf", 3)]
    assert told["notices"] == []
    loaded = conf.load(text.replace("maybe", "no"), one="tls_certificate = none.pem\n")
    assert loaded.notices == ["one.conf:1: tls_certificate: none.pem cannot be read"]


def test_lone_brace_leaves_the_stanzas_of_its_file_unjudged(conf):
    [error] = conf.errors('ESMTP_Listener { Listen ":25" { } }\n  max_recipients_per_message = 5\n}\n')
    assert (error.line, error.message) == (3, '"}" is not possible here')


def test_mistakes_as_json(conf, capsys):
    conf.write("a = 1\ntls = maybe\n")
    assert validate_config.main(["-c", "ecelerity.conf", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["valid"] is False
    places = [(e["file"], e["line"], e["column"]) for e in answer["errors"]]
    assert places == [("ecelerity.conf", 1, 1), ("ecelerity.conf", 2, 7)]


def test_valid_configuration_says_so(conf, capsys):
    conf.write("force_fsync = false\nopendkim { }\n")
    assert validate_config.main(["-c", "ecelerity.conf"]) == 0
    assert capsys.readouterr().out == (
        "notice: ecelerity.conf:1: force_fsync has no effect: mail is always on disk before it is acknowledged\n"
        "notice: ecelerity.conf:2: module opendkim is not built yet\n"
        "Configuration valid\n")


def test_options_that_are_not_read_yet_are_named_once(conf):
    loaded = conf.load('Domain "a.test" { use_dane = true }\nDomain "b.test" { use_dane = true }\nretry_interval = 1\nAlias_Schemes = a')
    assert loaded.notices == ["ecelerity.conf:1: use_dane is not read yet", "ecelerity.conf:4: alias_schemes is not read yet"]


def test_what_cannot_have_an_effect_is_said_once(conf, capsys):
    conf.write("license = /etc\nuse_mmap = true\nlicense = /opt\ntls_engine = openssl\ntls_engine = gnutls\nforce_fsync = true\n")
    assert validate_config.main(["-c", "ecelerity.conf"]) == 0
    assert capsys.readouterr().out == (
        "notice: ecelerity.conf:1: license has no effect: no licence is needed\n"
        "notice: ecelerity.conf:2: use_mmap has no effect: bodies lie in segments of the spool, large ones are streamed from their files\n"
        "notice: ecelerity.conf:5: tls_engine has no effect: TLS is that of OpenSSL\n"
        "Configuration valid\n")


@pytest.mark.parametrize("wrong, meant", [("smnp", "snmp"), ("Datasorce", "datasource"), ("Authorisation", "authorization")])
def test_stanzas_of_parts_that_are_not_built_are_suggested(conf, wrong, meant):
    assert conf.error(f"{wrong} {{ }}").hint == f'did you mean "{meant}"?'


def test_what_installations_have_that_is_not_built_loads_with_one_notice_each(conf, capsys):
    conf.write("""
        Domain sms.example { SMPP_SMSC_Server = sms.test  SMPP_SMSC_Port = "3210"  SMPP_Registered_Delivery = (SMSC_Delivery) }
        Domain two.example { smpp_smsc_port = 1 }
        smpp { debug_level = debug }
        smpp_logger "one" { logfile = "/var/log/smpp"  logmode = 0644  log_tempfail = false }
        sieve "sieve1" { Script data_phase1 { Source = "x.siv" }  hook "core_x" { async = ref } }
        cassandra_native_client { }
    """)
    assert validate_config.main(["-c", "ecelerity.conf"]) == 0
    assert [line.split(": ", 2)[2] for line in capsys.readouterr().out.splitlines()[:-1]] == [
        "smpp_smsc_server is not read yet: module smpp is not built", "smpp_smsc_port is not read yet: module smpp is not built",
        "smpp_registered_delivery is not read yet: module smpp is not built", "module smpp is not built yet",
        "module smpp_logger is not built yet", "module sieve is not built yet", "module cassandra_native_client is not built yet"]
    assert conf.error("Domain x { smpp_smsc_port = many }").message == 'smpp_smsc_port: takes a number, not "many"'


@pytest.mark.parametrize("text, told", [
    ("resolv_conf = resolv", ["resolv_conf: search, ndots in resolv without effect: names are looked up as they are, in DNS alone"]),
    ("resolv_conf = ecelerity.conf", []),
    ('ESMTP_Listener { smtp_extensions = ( "AUTH LOGIN" STARTTLS xremoteip "XCLIENT ADDR" "AUTH=LOGIN" "SIZE 10" xsetcontext ) }',
     ["smtp_extensions: AUTH, xremoteip, xsetcontext not built yet, and not offered"]),
    ("ESMTP_Listener { smtp_extensions = ( ENHANCEDSTATUSCODES STARTTLS always-allow ) always_allow = true proxy_protocol = true }", []),
    ("Control_Listener { Listen :2025 { proxy_protocol = true } }",
     ["proxy_protocol has no effect: the console is for clients on this machine, and speaks to no proxy"]),
    ("Control_Listener { always_allow = true always_deny = true proxy_protocol = false }",
     ["always_allow has no effect: the console is for root and the user of the server alone"]),
    ("Control_Listener { Listen :2025 { Peer 10.0.0.1 { always_deny = true } } }",
     ["always_deny has no effect: a Peer of the console is not looked for; it counts in the listener and its Listen"])])
def test_what_loads_without_effect_is_told(conf, text, told):
    (conf.folder / "resolv").write_text("nameserver 10.0.0.1\nsearch a.test\noptions ndots:2 timeout:1\n")
    assert [notice.split(": ", 1)[1] for notice in conf.load(text).notices] == told


def test_file_that_cannot_be_read_is_named(conf, capsys):
    conf.write("tls_ciphers = ALL\nESMTP_Listener { tls_key = none.key  tls_certificate = '' }\n")
    assert validate_config.main(["-c", "ecelerity.conf"]) == 0
    assert capsys.readouterr().out == "notice: ecelerity.conf:2: tls_key: none.key cannot be read\nConfiguration valid\n"


@pytest.mark.parametrize("text", ["tls_certificate = none tls_key = None", "tls_certificate = none.pem Domain a.test { tls_certificate = NONE }"])
def test_none_is_no_file(conf, capsys, text):
    conf.write(text)
    validate_config.main(["-c", "ecelerity.conf"])
    assert "none " not in (out := capsys.readouterr().out) and "None" not in out and "NONE" not in out


@pytest.mark.parametrize("text", ["tls_certificate = ecelerity.conf", "tls_ciphers = GARBAGE", "Domain a.test { tls_ca = ecelerity.conf }"])
def test_what_openssl_does_not_take_is_told(conf, capsys, text):
    conf.write(text)
    assert validate_config.main(["-c", "ecelerity.conf"]) == 1
    assert "ecelerity.conf:1:" in (out := capsys.readouterr().out) and " cannot be used: error:" in out


@pytest.mark.parametrize("curves", ["P-256::P-384", "P-256:", "P-256:P-256"])
def test_curves_that_openssl_refuses_without_a_reason_are_told(conf, capsys, curves):
    conf.write(f"tls_ec_curve_names = {curves}")
    assert validate_config.main(["-c", "ecelerity.conf"]) == 1
    assert f"tls_ec_curve_names: {curves} cannot be used: OpenSSL does not take it" in capsys.readouterr().out


def test_logs_that_are_not_written_are_named(conf):
    loaded = conf.load("""
        ec_logger "cluster" { mainlog = "cluster:///var/log/mainlog.cluster=>master" paniclog = syslog:x rejectlog = a }
        ec_logger "local" { mainlog = file:///var/log/mainlog  mainlog_mode = 0600  rejectlog = b  log_deliveries = false }
        ec_logger "off" { enabled = false  mainlog = c }
        bounce_logger { bouncelog = "jlog://var/log/bounces=>me" }
    """)
    assert loaded.notices == [
        "ecelerity.conf:2: mainlog is not written: cluster:// is not built yet",
        "ecelerity.conf:2: paniclog is not written: syslog:// is not built yet",
        'ecelerity.conf:3: rejectlog is not written: that of ec_logger "cluster" is',
        "ecelerity.conf:5: bouncelog is not written: jlog:// is not built yet"]
    found = loaded.module("ec_logger")
    assert [found[name] for name in ("mainlog", "mainlog_mode", "rejectlog", "log_deliveries", "log_receptions")] == [
        "/var/log/mainlog", 0o600, "a", False, True]
    assert found["paniclog"] == "/var/log/ecelerity/paniclog.ec" and loaded.module("bounce_logger")["bouncelog"] == ""


def test_way_of_delivery_that_is_not_built_is_named(conf, capsys):
    conf.write("Domain a.test { delivery_method = lmtp }\nDomain b.test { Delivery_Method = ECStream }\n"
               'routes = ( "xfer://10.10.10.10?port=8080" )')
    assert validate_config.main(["-c", "ecelerity.conf"]) == 0
    assert capsys.readouterr().out == (
        "notice: ecelerity.conf:2: delivery_method = ECSTREAM is not built yet: mail goes by ESMTP\n"
        "notice: ecelerity.conf:3: routes = xfer://10.10.10.10?port=8080 is not built yet: mail goes by ESMTP\nConfiguration valid\n")


def test_limits_are_lifted_as_their_pages_say(conf):
    conf.publish("max_resident_active_queue = -1  max_outbound_connections = -1\n"
                 "Host x { max_outbound_connections = -1 }  Domain x { mta_sts_dns_cname_max_depth = 3 }")


@pytest.mark.parametrize("text, message", [
    ('Logs { file_mode = "0640" Manager east { Node west { Subscriber = () } } logfil = x }', 'unknown option "logfil" of logs'),
    ('ECCluster_Listener { Listen "*:4802" { concurrency = many } }', 'concurrency: takes a number, not "many"'),
    ('msgcserver_listener { Listen ":4809" { } enable = maybe }', 'enable: takes'),
    ('XMPP_Listener { Listen ":5222" { Peer 10.0.0.0/8 { idle_tim = 3 } } }', 'unknown option "idle_tim" of xmpp_listener/listen/peer'),
])
def test_stanzas_of_parts_that_are_not_built_are_checked(conf, text, message):
    assert conf.error(text).message.startswith(message)


def test_the_shipped_configuration_is_valid(monkeypatch, capsys):
    monkeypatch.setenv("EC_CONF_SEARCH_PATH", "conf/default")
    assert validate_config.main([]) == 0
    assert capsys.readouterr().out == "Configuration valid\n"


def test_long_line_is_cut_around_the_caret(conf):
    error = conf.error("a" * 5000 + " = 1")
    shown, caret = str(error).splitlines()[1:]
    assert len(shown) <= 104 and caret.strip() == "^"
    error = conf.error("retry_interval = 1 " * 300 + "tls = maybe")
    shown, caret = str(error).splitlines()[1:]
    assert shown[caret.index("^"):].startswith("maybe")


def test_number_of_errors_is_bounded(conf):
    assert len(conf.errors("x = 1\n" * 5000)) == 100


@pytest.mark.parametrize("wrong", ["x = 1\n", "x = = 1\n"])
def test_number_of_errors_that_is_cut_is_said(conf, wrong, capsys):
    conf.write(wrong * 250)
    assert validate_config.main(["-c", "ecelerity.conf"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("notice: only the first 100 errors are shown\n") and out.endswith("\n100 errors\n")
    validate_config.main(["-c", "ecelerity.conf", "--json"])
    assert json.loads(capsys.readouterr().out)["notices"] == ["only the first 100 errors are shown"]


@pytest.mark.parametrize("text, message", [
    ('Binding_Group a { Binding x {} } Binding_Group b { Binding x {} }', 'binding "x" is in group "a" already'),
    ("local_changes_only = true", "local_changes_only: no local_changes_file is set"),
    ('Pathway_Group a { Pathway x {} } Pathway_Group b { Pathway x {} }', 'pathway "x" is in group "a" already'),
    ('ESMTP_Listener { Listen ":25" {} } Control_Listener { Listen "*:25" {} }',
     "0.0.0.0:25 is taken by esmtp_listener at ecelerity.conf:1"),
    ('scriptlet "a" { }\nscriptlet "b" { }', 'a second scriptlet is not possible: there is scriptlet "a" at ecelerity.conf:1'),
    ('cluster "a" { } cluster "a" { }\ncluster "b" { }', 'a second cluster is not possible: there is cluster "a" at ecelerity.conf:1'),
    ('EventLoop "a" {} delivery_pool = b', 'delivery_pool: no EventLoop "b"'),
    ('Binding "a b" {}', "binding: a name has 1 to 255 characters, none of them a blank or colon"),
    ('ESMTP_Listener { Listen "::1:25" {} }', 'listen: "::1" is no address; IPv6 stands in brackets'),
    ('ESMTP_Listener { Listen "*:99999" {} }',
     'listen: "*:99999" is no address such as "*:25", "192.0.2.1:25", "[::1]:25" or a path'),
    (f'Control_Listener {{ Listen "/{"x" * 120}" {{}} }}', "listen: the path of a socket has at most 107 bytes"),
    ('max_command_length = 100', "max_command_length: must be at least 512, not 100"),
    ('retry_interval = (1 2)', "retry_interval: takes a number, not a list"),
    ('adaptive_retry_interval = (5 2)', "adaptive_retry_interval: takes ( low high ), but 5 is above 2"),
    ('retry_interval = -1', "retry_interval: must be at least 1, not -1"),
    ('retry_interval = 99999999999999999999999999', "retry_interval: must be at most 1099511627776, not 99999999999999999999999999"),
    ('pidfile = ""', "pidfile: takes a path, not nothing"),
    ('local_changes_only = true local_changes_file = ""', "local_changes_only: no local_changes_file is set"),
    ('hostname = "a..b"', 'hostname: takes a host name, not "a..b"'), ("ehlo_hostname = -a.b", 'ehlo_hostname: takes a host name, not "-a.b"'),
])
def test_what_does_not_fit_together_is_refused(conf, text, message):
    assert conf.error(text).message == message


@pytest.mark.parametrize("text, more", [
    ('delivery_pool = b\nretry_interval = x\nlocal_changes_only = true', ["no local_changes_file is set", 'no EventLoop "b"']),
    ('delivery_pool = b\nEventLoop "b:c d" { }', []), ('delivery_pool = b\nEvntLoop "b" { }', []),
    ('delivery_pool = b\nBinding b { EventLoop "b" { } }', []), ('delivery_pool = b\nBinding "b c" { }', ['no EventLoop "b"']),
    ('local_changes_only = true\nlocal_changes_file = ( a b )', [])])
def test_what_is_missing_is_said_beside_other_mistakes_but_not_where_they_may_be_the_cause(conf, text, more):
    found = [e.message for e in conf.errors(text)]
    assert [any(said in message for message in found) for said in more] == [True] * len(more)
    assert sum("no EventLoop" in message or "no local_changes_file" in message for message in found) == len(more)
    assert len(found) == len(more) + 1


@pytest.mark.parametrize("text, message", [
    ('exclude_vctx_conn = ( a "(" )', "exclude_vctx_conn: bad expression at character 2: missing closing parenthesis"),
    ('bounce_pattern = "["', "bounce_pattern: bad expression at character 2: missing terminating ] for character class"),
    ('response_transcode_pattern = "("', "response_transcode_pattern: bad expression at character 2: missing closing parenthesis"),
    ('Domain a { ehlo_hostname = "a\\r\\nMAIL" }', 'ehlo_hostname: takes a host name, not "a??MAIL"'),
    ('hostname = "a b"', 'hostname: takes a host name, not "a b"'),
    ("ESMTP_Listener { received_hostname = a@b }", 'received_hostname: takes a host name, not "a@b"'),
    ('ESMTP_Listener { banner_hostname = "é" }', 'banner_hostname: takes a host name, not "é"'),
    ("domain_for_unqualified_sender_address = @a.test", 'domain_for_unqualified_sender_address: takes a host name, not "@a.test"'),
    ('ESMTP_Listener { static_banner = "a\\nb" }', 'static_banner: takes one line without control characters, not "a?b"'),
    ('ESMTP_Listener { reconfig_message = "\x7f" }', 'reconfig_message: takes one line without control characters, not "?"'),
    ('spoolbase = "a\nb"', 'spoolbase: takes one line without control characters, not "a?b"'),
    ('ec_logger { mainlog = "a\nb" }', 'mainlog: takes one line without control characters, not "a?b"'),
    ('relay_domains = ( "a\x01." )', 'relay_domains: takes one line without control characters, not "a?."'),
    ('mailerdaemon = "a <b> c"', 'mailerdaemon: takes an address, or a name and <an address>, not "a <b> c"'),
    ('mailerdaemon = "a, b <c@d>"', 'mailerdaemon: takes an address, or a name and <an address>, not "a, b <c@d>"'),
    ('mailerdaemon = "a b@c"', 'mailerdaemon: takes an address, or a name and <an address>, not "a b@c"'),
    ('mailerdaemon = "<b@c>\\r\\nBcc: x"', 'mailerdaemon: takes one line without control characters, not "<b@c>??Bcc: x"'),
    ('mdn_failures_notify = "not an address"', 'mdn_failures_notify: takes an address such as postmaster@example.com, not "not an address"'),
    ("mdn_failures_notify = postmaster", 'mdn_failures_notify: takes an address such as postmaster@example.com, not "postmaster"'),
    ("mdn_failures_notify = <a@b.test>", 'mdn_failures_notify: takes an address such as postmaster@example.com, not "<a@b.test>"'),
    ("memory_hwm = 80 memory_goal = 90", "memory_goal = 90 is above memory_hwm = 80"),
    ("min_dns_ttl = 61\nmax_dns_ttl = 60", "min_dns_ttl = 61 is above max_dns_ttl = 60")])
def test_what_could_never_be_meant_is_refused(conf, text, message):
    assert conf.error(text).message == message


@pytest.mark.parametrize("text", [
    "hostname = ''", 'hostname = "[192.0.2.1]"', 'ehlo_hostname = "[IPv6:2001:db8::1]"', "ehlo_hostname = __message__", "hostname = a_b-c.test",
    "memory_goal = 90 memory_hwm = 90", "mailerdaemon = ''", "mailerdaemon = postmaster", 'mailerdaemon = "\\"a, b\\" <c@d>"',
    'mailerdaemon = "<a@b.test>"', "mdn_failures_notify = ''", 'mdn_failures_notify = "\\"a b\\"@[192.0.2.1]"',
    'ESMTP_Listener { static_banner = "a\\tb" }', 'relay_domains ( a.test *.a.test *a.test * "[192.0.2.1]" A.TEST. )',
    'Domain "/x*/" { } Domain "[192.0.2.1]" { } Host mx-1.a_b.test { }', "Debug_Flags { debug = ( smtp ALL ) }", "retry_interval = 9"])
def test_what_is_right_has_no_notice(conf, text):
    assert conf.publish(text) and conf.load(text).notices == []


@pytest.mark.parametrize("text, told", [
    ('Domain "*.a.test" { }', 'Domain "*.a.test" matches nothing: its name is that of a domain, or a /regular expression/'),
    ('Binding b { Host "/mx" { } }', 'Host "/mx" matches nothing: its name is that of a host, or a /regular expression/'),
    *((f'relay_domains = ( a.test "{word}" )', f'relay_domains: "{word}" matches nothing: a domain is a name, or *.example.com for all that end so')
      for word in ("a.*", "a*b.test", "/a/", "@a.test", "**.a.test", "*.", "a b", ".a.test", "a.te?t")),
    ("bounce_domains = a.*", 'bounce_domains: "a.*" matches nothing: a domain is a name, or *.example.com for all that end so'),
    ("debug_flags { debug = ( SMTPX SMTP ) }", "debug: no subsystem is called SMTPX"),
    ("memory_hwm = 50", "memory_goal = 90 is above memory_hwm = 50, of which one is the default"),
    ("Domain a { retry_interval = 70 max_retry_interval = 60 }", "retry_interval = 70 is above max_retry_interval: 60 counts"),
    ('Pathway "p" { } ESMTP_Listener { pathway = "P" }', 'no Pathway "P" is declared; did you mean "p"?'),
    ('ESMTP_Listener { pathway = "P" }', 'no Pathway "P" is declared')])
def test_what_matches_nothing_is_told(conf, text, told):
    assert conf.load(text).notices == [f"ecelerity.conf:1: {told}"]


@pytest.mark.parametrize("text, hint", [
    ('Domain = "b.com" { tls = no\n}', 'a stanza has no "=": Domain "b.com" {'), ("ESMTP_Listener = { }", 'a stanza has no "=": ESMTP_Listener {'),
    ("scriptlet = x { }", 'a stanza has no "=": scriptlet "x" {'), ("tls = no {\n}", "expected an include or an option or stanza or the end of the file")])
def test_stanza_with_an_equal_sign(conf, text, hint):
    error = conf.error(text)
    assert (error.message, error.hint) == ('"{" is not possible here', hint)


def test_stanza_with_an_equal_sign_hides_nothing(conf):
    errors = conf.errors('Domain = "b.com" { tls = maybe\n}\nBinding = b { Domain = { }\n retry_interval = x }\ntls = maybe')
    assert [(e.line, e.column) for e in errors] == [(1, 18), (1, 26), (3, 13), (3, 15), (3, 24), (4, 19), (5, 7)]


@pytest.mark.parametrize("text", [
    "bind_address = 300.1.1.1", 'bind_address = "a..b"', "gateway = mail.example.com:99999", 'gateway = "[2001:db8::zz]:25"',
    'gateway = "a b"', 'ha_proxy_server = "[::::]:25"', "tls_protocols = foo", "tls_protocols = -ALL",
    "tls_protocols = -ALL:+TLSv1_2", "tls_protocols = -TLSv1.2:-TLSv1.3", "tls_protocols = +ALL:-ALL:+SSLv3",
    "tls_protocols = TLSv1.2"])
def test_what_could_not_serve_is_refused_with_its_place(conf, text):
    option, _, value = text.partition(" = ")
    inside = f"Binding b {{ {text} }}"
    error = conf.error(inside)
    assert error.message.startswith(f"{option}: ") and (error.line, error.column) == (1, inside.index(value.strip('( )')) + 1)


@pytest.mark.parametrize("text, on", [
    ("+TLSv1.1:-ALL:+TLSv1.2", "1.2"), ("+TLSv1.2", "1.2"), ("+TLSv1.3", "1.3"), ("+TLSv1.2:+TLSv1.3", "1.2 1.3"), ("+ALL", "1.2 1.3"),
    ("+all:-tlsv1.3", "1.2"), ("-TLSv1.3", "1.2"), ("-SSLv3:-TLSv1", "1.2 1.3"), ("+TLSv1:+ALL", "1.0 1.2 1.3"), ("-TLSv1.2:+ALL", "1.2 1.3")])
def test_protocols_are_read_from_left_to_right(conf, text, on):
    values = conf.publish(f"tls_protocols = {text}").globals
    assert values["tls_protocols"] == ":".join(f"+TLSv{version}" for version in on.split())


@pytest.mark.parametrize("text, message, column", [
    ('bind_address = host.invalid', 'bind_address: the host name "host.invalid" stands for no address', 16),
    ('Security { user = "²" group = root }', "security: there is no user ²", 19),
    ('Security { user = root group = nosuch }', "security: there is no group nosuch", 32),
    ('Security { user = root group = root supplemental_groups ( root nosuch ) }', "security: there is no group nosuch", 64),
    ('Security { user = root group = root capabilities = cap_fly+ep }',
     "security: capabilities: no set of capabilities is written cap_fly+ep", 52)])
def test_what_this_machine_does_not_have_is_told_with_its_place(conf, capsys, text, message, column):
    conf.write(text)
    assert validate_config.main(["-c", "ecelerity.conf"]) == 1
    assert capsys.readouterr().out.startswith(f"ecelerity.conf:1:{column}: {message}\n")


def test_reload_tells_where_a_host_name_stands_that_has_no_address(conf):
    with pytest.raises(ConfigErrors) as caught:
        conf.publish("Binding b { bind_address = host.invalid }")
    assert [(e.line, e.column) for e in caught.value.errors] == [(1, 28)]


def test_failure_leaves_the_current_generation(conf):
    before = conf.publish("retry_interval = 77")
    conf.write("retry_interval = x")
    with pytest.raises(ConfigErrors):
        config.publish(config.load("ecelerity.conf", env=conf.env))
    now = current_generation()
    assert now.number == before.number and now.globals["retry_interval"] == 77


def test_random_words_in_random_places_end_in_config_errors(conf):
    rng = random.Random(8)
    words = registry.names() + list(INSIDE) + WRONG.split() + [
        "{", "}", "(", ")", "[", "]", "=", '"/(a/"', '"/(a)*/"', "::/0", "10.0.0.0/8", "[::]:0", "-5", "1/0", "''", "é"]
    for _ in range(400):
        text = " ".join(rng.choice(words) for _ in range(rng.randrange(1, 4)))
        kind = rng.choice(list(INSIDE) + ["threadpool", "security", "ec_logger", "host"])
        option = rng.choice(registry.names())
        raw = rng.choice(["( 1 2 )", "( )", "[ a = b ]", rng.choice(words), "x"])
        label = rng.choice(["", "x", "10.0.0.1", "*:25"])
        try:
            config.publish(conf.load(f'{kind} "{label}" {{ {option} = {raw} }} {text}'))
        except ConfigErrors as e:
            assert all(error.line for error in e.errors)


def test_no_configuration_at_all_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert validate_config.main([]) == 1
    assert capsys.readouterr().out.startswith("No configuration found: there is no ecelerity.conf here, nor along the search path")
    assert validate_config.main(["-c", "none.conf"]) == 1
    assert "none.conf: no such file" in capsys.readouterr().out
