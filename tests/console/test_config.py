"""config get, eval, show, showrecurse, locate: what is written, what holds, where."""
import re
from random import Random
from socket import gethostname

import pytest

from pymomentum.commands.ec_console import command_line
from pymomentum.config import load, publish
from pymomentum.config.built_in import loops
from pymomentum.config.merged import merge, same
from pymomentum.console.registry import Registry
from pymomentum.core.config.view import current_generation
from pymomentum.errors import ConsoleError
from pymomentum.words import quoted
from tests.console.conftest import Server
from tests.harness.port import free_port
from tests.harness.smtp import SMTPClient
from tests.harness.wait import until

FILE = """
Message_Expiration = 86400       # a day
Hostname = foo.example
Relay_Hosts = ( 10.0.0.1 10.0.0.2 )
Domain earthlink.example { Message_Expiration = 900 }
Domain "/^mx\\d+\\.pool\\.example$/" { Message_Expiration = 60 }
include "more.conf"
Esmtp_Listener {
  Listen ":2525" {
    Peer "10.0.0.0/8" { Idle_Time = 7 }
  }
  Idle_Time = 300
}
mail_loop "loops" {
  Use_IP = false
}
alias { Scheme "a:b" { query = "SELECT 1" } }
"""
MORE = """
Binding_Group "pool" {
  EHLO_Hostname = "pool.example"
  Domain slow.example { Message_Expiration = 5 }
  Domain %s { Retry_Interval = 5 }
  Binding one { Message_Expiration = 3600  Domain relay.example { EHLO_Hostname = "relay.example" } }
  Binding two { }
}
Domain earthlink.example { Retry_Interval = 30 }
""" % ("a" * 40 + "!")


@pytest.fixture
def ask(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ecelerity.conf").write_text(FILE)
    (tmp_path / "more.conf").write_text(MORE)
    registry = Registry(Server(load("ecelerity.conf")), None)
    return registry.run


@pytest.mark.parametrize("line, text", [
    ("get message_expiration", "Message_Expiration = 86400\n"),
    ("get relay_hosts", "Relay_Hosts = (\n  10.0.0.1\n  10.0.0.2\n)\n"),
    ("get blackhole", "Option 'Blackhole' is not set in scope ''.\n"),
    ("get domain EARTHLINK.example message_expiration", "        Message_Expiration = 900\n"),
    ("get domain earthlink.example retry_interval", "        Retry_Interval = 30\n"),        # merged with the one in the first file
    ("get binding_group pool binding one domain relay.example ehlo_hostname", '        EHLO_Hostname = "relay.example"\n'),
    ("get binding_group pool binding two ehlo_hostname", "Option 'EHLO_Hostname' is not set in scope 'Binding_Group:pool:Binding:two'.\n"),
    ("get esmtp_listener listen :2525 peer 10.0.0.0/8 idle_time", "        Idle_Time = 7\n"),
    ("get mail_loop loops use_ip", "        Use_IP = false\n"),
    ("get mail_loop use_ip", "which mail_loop? there is: loops\n"),
    ("get alias Scheme a:b query", '        query = "SELECT 1"\n'),
    ("eval blackhole", "Blackhole = false\n"),
    ("eval mailerdaemon", 'Mailerdaemon = mailer-daemon@foo.example\n'),
    ("eval threadpool SwapOut concurrency", "        Concurrency = 20\n"),
    ("eval threadpool mine concurrency", "        Concurrency = 0\n"),
    ("eval eventloop default concurrency", f"        Concurrency = {loops()}\n"),
    ("eval local_changes_file", 'Local_Changes_File = ""\n'),
    ("eval http_listener listen :80 tcp_recv_buffer_size", "        TCP_Recv_Buffer_Size = 32768\n"),
    ("eval esmtp_listener listen :2525 tcp_recv_buffer_size", "        TCP_Recv_Buffer_Size = 4096\n"),
    ("locate domain ^mx", "no domain stanza\n"),
    ("locate domain (a+)+$", f'"(a+)+$" cannot be searched for: it takes too long: match limit exceeded\n'),
    ("locate listen :2525", 'Listen ":2525"\n  is at Esmtp_Listener::Listen:\\:2525:\n'),
    ("show esmtp_listener listen 0.0.0.0:2525", 'Peer "10.0.0.0/8" { ... }\n'),
    ("eval domain other.example message_expiration", "        Message_Expiration = 86400\n"),
    ("eval domain mx12.pool.example message_expiration", "        Message_Expiration = 60\n"),
    ("eval binding one domain earthlink.example message_expiration", "        Message_Expiration = 3600\n"),  # a binding beats a global domain
    ("eval binding two domain earthlink.example message_expiration", "        Message_Expiration = 900\n"),
    ("eval binding_group pool binding two domain slow.example message_expiration", "        Message_Expiration = 5\n"),
    ("eval binding two ehlo_hostname", '        EHLO_Hostname = "pool.example"\n'),
    ("eval esmtp_listener listen :2525 idle_time", "        Idle_Time = 300\n"),
    ("eval esmtp_listener listen :2525 peer 192.0.2.1 idle_time", "        Idle_Time = 300\n"),
    ("show esmtp_listener", 'Listen ":2525" { ... }\nIdle_Time = 300\n'),
    ("show mail_loop loops", "Use_IP = false\n"),
    ("show message_expiration", "Message_Expiration = 86400\n"),
    ("showrecurse esmtp_listener", 'Esmtp_Listener {\n  Listen ":2525" {\n    Peer "10.0.0.0/8" {\n      Idle_Time = 7\n    }\n  }\n'
                                   "  Idle_Time = 300\n}\n"),
    ("locate binding", 'Binding "one"\n  is at Binding_Group:pool:Binding:one:\nBinding "two"\n  is at Binding_Group:pool:Binding:two:\n'),
    ("locate scheme ^a", 'Scheme "a:b"\n  is at alias::Scheme:a\\:b:\n'),
    ("locate binding ^three", "no binding stanza\n"),
    ("locate binding (", '"(" cannot be searched for: missing closing parenthesis\n'),
    ("get", "usage: config get [SCOPE...] OPTION\n"),
    ("get domain earthlink.example", "which option of domain earthlink.example?\n"),
    ("get message_expiratio", 'unknown option "message_expiratio" in the global scope; did you mean "message_expiration"?\n'),
    ("get domain x.example relay_hosts", 'unknown option "relay_hosts" in domain\n'),
    ("eval nowhere at_all", '"nowhere" is no stanza in the global scope\n'),
    ("show nothing", '"nothing" is neither a stanza nor an option here\n'),
    ("show domain", 'Domain "earthlink.example" { ... }\nDomain "/^mx\\\\d+\\\\.pool\\\\.example$/" { ... }\n'),
    ("show host", "host needs a name; there is none yet\n"),
    ("show domain typo", "there is no stanza 'domain:typo'\n"),
    ("show binding b domain typo", "there is no stanza 'binding:b:domain:typo'\n"),
    ("show domain earthlink.example idle_timeout", "Option 'Idle_Timeout' is not set in scope 'Domain:earthlink.example'.\n"),
    ("showrecurse domain typo", "there is no stanza 'domain:typo'\n"),
    ("showrecurse binding_group", 'binding_group needs a name; there is: "pool"\n'),
    ("get domain", 'domain needs a name; there is: "earthlink.example", "/^mx\\d+\\.pool\\.example$/"\n'),
    ("get domain typo tls", "Option 'TLS' is not set in scope 'domain:typo'.\n"),
    ("eval domain typo tls", "        TLS = no\n"),
    ("eval mail-loop loops use_ip", "        Use_IP = false\n"),
    ("locate mail-loop", 'mail_loop "loops"\n  is at mail_loop:loops:\n'),
])
def test_answers(ask, line, text):
    assert ask(f"config {line}").text == text


def test_programs_hear_where_a_value_stands(ask):
    assert ask("config eval binding one domain x.example ehlo_hostname", json=True).data == {
        "option": "ehlo_hostname", "value": "pool.example", "scope": "Binding_Group:pool:", "file": "more.conf", "line": 3}
    whole = ask("config showrecurse", json=True).data
    assert whole["options"]["relay_hosts"] == ["10.0.0.1", "10.0.0.2"]
    assert {stanza["kind"] for stanza in whole["stanzas"]} == {"domain", "binding_group", "esmtp_listener", "mail_loop", "alias"}


def test_eval_says_what_delivery_finds(ask):
    """The tree on the console and the compiled lookup are two ways to one answer."""
    publish(load("ecelerity.conf"))
    generation = current_generation()
    for binding in ("one", "two", "default"):
        for domain in ("earthlink.example", "mx7.pool.example", "slow.example", "relay.example", "other.example"):
            told = ask(f"config eval binding {binding} domain {domain} message_expiration", json=True).data
            assert int(told["value"]) == generation.lookup_delivery(binding, domain)["message_expiration"], (binding, domain)


# ---- changes, on a whole server

def test_set_and_unset_count_at_once(mta, session):
    sink = mta.route()
    ask = session()
    assert ask("config set suspend_delivery = true") == "Suspend_Delivery = true\n"
    mta.send()
    until(lambda: mta.counters()["ActiveQueueSize"] == 1)
    assert ask("config set domain example.com suspend_delivery false") == "        Suspend_Delivery = false\n"
    sink.wait(messages=1)
    assert ask("config unset suspend_delivery") == '"Suspend_Delivery" has been unset. Effective value is now:\n        Suspend_Delivery = false\n'
    assert ask("config unset domain example.com message_expiration") == (
        '"message_expiration" has been unset. Effective value is now:\n        message_expiration = 86400\n')
    ask("config reload")
    assert ask("config get domain example.com message_expiration") == "        message_expiration = 900\n"


def test_transaction_is_its_sessions_alone_until_it_is_committed(session):
    mine, other = session(), session()
    mine("config begin")
    mine('config set relay_hosts ( 10.0.0.1 "192.168.0.0/16" )')
    mine("config set domain example.com message_expiration 60")
    assert mine("config replay") == ('config set Relay_Hosts ( 10.0.0.1 "192.168.0.0/16" )\n'
                                     "config set Domain example.com Message_Expiration 60\n")
    assert mine("config eval domain example.com message_expiration") == "        Message_Expiration = 60\n"
    assert other("config eval domain example.com message_expiration") == "        message_expiration = 900\n"
    mine("config commit")
    assert other("config eval domain example.com message_expiration") == "        Message_Expiration = 60\n"
    assert other("config get relay_hosts") == 'Relay_Hosts = (\n  10.0.0.1\n  "192.168.0.0/16"\n)\n'


def test_of_two_transactions_the_second_to_commit_loses(session):
    first, second = session(), session()
    for ask in first, second:
        ask("config begin")
        ask("config set retry_interval 77")
    first("config commit")
    with pytest.raises(ConsoleError, match="the configuration has changed since; config replay shows .* config rollback .* config begin begins again"):
        second("config commit")
    assert second("config replay") == "config set Retry_Interval 77\n"
    second("config rollback")
    assert second("config replay") == first("config replay") == "config set Retry_Interval 77\n"     # on top of the files
    with pytest.raises(ConsoleError, match="there is no transaction"):
        second("config commit")


@pytest.mark.parametrize("line, told", [
    ("config set retry_interval soon", 'retry_interval: takes a number, not "soon"'),
    ("config set retry_intervall 5", 'unknown option "retry_intervall" in the global scope; did you mean "retry_interval"?'),
    ("config set relay_hosts ( 10.0.0.1", "this \"(\" is not closed"),
    ("config set retry_interval", "usage: config set"),
    ("config set bind_address 192.0.2.1 } x", "bind_address:"),
    ("config set datasource d cache_live 3", 'unknown option "Cache_Live" of datasource'),
    ("config unset retry_interval", "Option 'Retry_Interval' is not set in scope ''."),
    ("config commit", "there is no transaction; config begin begins one"),
])
def test_a_mistake_changes_nothing(session, line, told):
    ask = session()
    before = ask("config showrecurse")
    with pytest.raises(ConsoleError, match=re.escape(told)):
        ask(line)
    assert ask("config showrecurse") == before


def test_stanza_is_unset_with_all_in_it(mta, session):
    ask = session()
    more = mta.folder / "more.conf"
    more.write_text("# one\nDomain gone.example { retry_interval = 9 }\nBinding b { Domain gone.example { retry_interval = 8 } }\n")
    mta.config('include "$folder/more.conf"\nDomain gone.example {\n  idle_timeout = 3\n}\n')
    before = mta.path.read_text()
    assert ask("config unset domain gone.example") == "'Domain:gone.example' has been unset.\n"
    assert ask("config eval domain gone.example retry_interval") == "        Retry_Interval = 1200\n"
    assert ask("config eval binding b domain gone.example retry_interval") == "        retry_interval = 8\n"
    ask("config writeback")
    assert more.read_text() == "# one\nBinding b { Domain gone.example { retry_interval = 8 } }\n"
    assert mta.path.read_text() == before.replace("Domain gone.example {\n  idle_timeout = 3\n}\n", "")
    for line, told in (("config unset", "the global scope cannot be unset as a whole"),
                       ("config unset domain gone.example", "there is no stanza 'domain:gone.example'")):
        with pytest.raises(ConsoleError, match=told):
            ask(line)


def test_unset_listen_is_closed(mta, session):
    ask = session()
    port = free_port()
    ask(f"config set esmtp_listener listen 127.0.0.1:{port} banner_hostname second.test")
    with SMTPClient(port=port, greet=False) as client:
        client.expect("220 2.0.0 second.test *")
        ask(f"config unset esmtp_listener listen 127.0.0.1:{port}")
        client.command("NOOP")              # who is in already stays
        client.expect("250 *")
    with pytest.raises(ConnectionRefusedError):
        SMTPClient(port=port).connect()


def test_transaction_from_scratch_has_nothing_but_what_it_sets(mta, session):
    ask, other = session(), session()
    ask("config begin from scratch")
    assert ask("config showrecurse") == ""
    for line in (f"esmtp_listener listen 127.0.0.1:{mta.port} banner_hostname scratch.test", f"spoolbase {mta.folder}/spool",
                 f"control_listener listen {mta.folder}/console file_mode 0600"):
        ask(f"config set {line}")
    assert other("config eval domain example.com message_expiration") == "        message_expiration = 900\n"
    ask("config commit")
    with mta.smtp(greet=False) as client:
        client.expect("220 2.0.0 scratch.test *")
    assert "message_expiration" not in other("config showrecurse")
    with pytest.raises(ConsoleError, match="config writeback FILE"):
        other("config writeback")
    other(f"config writeback {mta.folder}/scratch.conf")
    assert load(mta.folder / "scratch.conf").listens[0].port == mta.port
    other("config reload")
    assert other("config eval domain example.com message_expiration") == "        message_expiration = 900\n"


def test_another_file_serves_until_the_next_reload(mta, session):
    ask = session()
    other = mta.folder / "other.conf"
    other.write_text(mta.path.read_text() + "idle_timeout = 77\n")
    assert ask(f"config reload {other}").startswith("configuration reloaded.\n")
    assert ask("config get idle_timeout") == "idle_timeout = 77\n"
    with pytest.raises(ConsoleError, match="Reconfigure failed\\n.*none.conf: no such file"):
        ask(f"config reload {mta.folder}/none.conf")
    assert ask("config get idle_timeout") == "idle_timeout = 77\n"
    ask("config reload")
    assert ask("config get idle_timeout") == "Option 'Idle_Timeout' is not set in scope ''.\n"


def test_what_counts_after_a_restart_only_is_told(mta, session):
    ask = session()
    assert ask("config set spool_mode 0600") == "Spool_Mode = 0600\nspool_mode has changed: it counts after a restart only\n"
    assert ask("config set retry_interval 60") == "Retry_Interval = 60\n"
    ask("config begin")
    ask("config set spool_mode 0640")
    ask("config set eventloop default concurrency 3")
    assert ask("config commit") == "eventloop default concurrency has changed: it counts after a restart only\n"
    mta.config("spool_mode = 0600")
    assert mta.data("config reload")["restart"] == ["spool_mode"]


def test_module_instance_is_made_by_the_first_option_that_is_set(session):
    ask = session()
    assert ask("config set mail_loop loop1 use_ip false") == "        Use_IP = false\nnotice: module mail_loop is not built yet\n"
    assert ask("config set spf enabled false").startswith("        Enabled = false\n")
    assert ask('config set alias scheme one query "SELECT 1"').startswith('        Query = "SELECT 1"\n')
    shown = ask("config showrecurse")
    assert 'mail_loop "loop1" {\n  Use_IP = false\n}\n' in shown and "spf {\n  Enabled = false\n}\n" in shown
    assert 'alias {\n  scheme "one" {\n    Query = "SELECT 1"\n  }\n}\n' in shown
    ask("config unset mail_loop loop1 use_ip")
    ask("config unset spf")
    assert "spf" not in ask("config showrecurse")
    with pytest.raises(ConsoleError, match='unknown option "use_ipp" in mail_loop'):
        ask("config set mail_loop loop1 use_ipp false")


@pytest.mark.parametrize("stanza, setting", [
    ("snmp", "address = 127.0.0.1"),
    ("datasource d", "cache_life = 3"),
    ("datasource", "cache_life = 3"),
    ("adaptive_sweep_rule r", "codes = ( 10 )"),
    ("domain a.example adaptive_sweep_rule r", "codes = ( 10 )"),
    ("authorization role admins", "allow = ( x )"),
    ("snmp_traps destination 192.0.2.1", "community = public"),
])
def test_stanza_that_files_accept_is_made_by_the_first_option(ask, stanza, setting):
    name = f"{stanza} {setting.split()[0]}"
    ask("config begin from scratch", session=(session := {}))
    answer = ask(f"config set {stanza} {setting}", session=session)
    assert answer.status == 0, answer.text
    said, noticed = answer.text.split("notice: ")
    assert "is not built yet" in noticed
    assert ask(f"config eval {name}", session=session).text == said
    assert ask(f"config get {name}", session=session).text == said
    assert ask(f"config unset {name}", session=session).status == 0


def test_write_config_shows_what_serves_whole(mta, session):
    ask = session()
    ask("config set idle_timeout 8")
    ask("config begin")
    ask("config set idle_timeout 9")
    text = ask("write config")
    assert "Idle_Timeout = 8\n" in text and "Idle_Timeout = 9" not in text
    ask(f"write config {mta.folder}/copy.conf")
    assert (mta.folder / "copy.conf").read_text() == text
    with pytest.raises(ConsoleError, match="a file needs a name"):
        ask('write config ""')
    with pytest.raises(ConsoleError, match="cannot write /nonexistent/copy.conf: No such file"):
        ask("write config /nonexistent/copy.conf")
    with pytest.raises(ConsoleError, match="is there already"):
        ask(f"write config {mta.folder}/copy.conf")


def test_generations_are_listed_while_a_session_holds_them(mta, session):
    ask = session()
    with mta.smtp() as client:
        client.command("EHLO here.test")
        client.lines()
        ask("config reload")
        ask("config reload")
        until(lambda: len(ask("config generations").splitlines()) == 3)     # the current one, and the session's
        new, old = mta.data("config generations")["Generation"]
        assert new["generation"] == 3 and new["replaced"] is None
        assert old["generation"] == 1 and old["holders"] == 1 and 0 <= old["replaced"] <= old["age"]
    until(lambda: len(ask("config generations").splitlines()) == 2)


PASTED = [      # as typed, as the tree has it
    ('relay_domains ( "b.com", "c.com" )', ["b.com", "c.com"]),
    ('relay_domains ("b.com","c.com")', ["b.com", "c.com"]),
    ("relay_domains = ( b.com, c.com )   # both", ["b.com", "c.com"]),
    ("relay_domains ( b.com /* one */ c.com )", ["b.com", "c.com"]),
    ("relay_domains ( )", []),
    ("relay_domains ( 'it\\'s' )", ["it's"]),
    ('esmtp_listener context [ a = "x y", d = "1" ]', {"a": "x y", "d": "1"}),
    ('esmtp_listener context [ a = "" ]', {"a": ""}),
    ('esmtp_listener context [ a = "x=y" ]', {"a": "x=y"}),
    ('esmtp_listener context [ a "e]" ]', {"a": "e]"}),
    ('esmtp_listener context [a="\\"(" b=\'\\n\']', {"a": '"(', "b": "\n"}),
    ('esmtp_listener static_banner "a # b"', "a # b"),
    ('response_transcode_replace = "a\\"b"', 'a"b'),
    ("hostname ='a.test'", "a.test"),
    ('hostname "a.test"    # ours', "a.test"),
    ("hostname a.test", "a.test"),
    ("license \"\"", ""),
    ("relay_domains ( b.com, 'c d,' )", ["b.com", "c d,"]),
    ("relay_domains('b.com')", ["b.com"]),
    ("hostname=a.test", "a.test"),
    ("hostname= a.test# ours", "a.test"),
    ("ehlo_hostname a.b # don't", "a.b"),
    (r"license a\tb", r"a\tb"),
    (r'license "a\\b\tc"', "a\\b\tc"),
    (r"license a\b 'c\d'", r"a\b c\d"),
    ("mailerdaemon 'it'\"'\"'s'@a.test", "it's@a.test"),
    ("hostname --json a.test", "a.test"),
    ('relay_domains ( "b.com" ) --json', ["b.com"]),
]


@pytest.mark.parametrize("typed, said", PASTED)
def test_value_is_taken_as_a_file_has_it(ask, typed, said):
    ask("config begin from scratch", session=(session := {}))
    answer = ask(f"config set {typed}", session=session)
    assert answer.status == 0, answer.text
    name = re.match(r"(esmtp_listener )?\w+", typed)[0].split()
    assert ask(f"config get {' '.join(name)}", json=True, session=session).data["value"] == said


@pytest.mark.parametrize("typed, told", [
    ("relay_domains ( a ) retry_interval = 5", "one value is set at a time\n"),
    ("relay_domains ( a ) }", '"}" is not possible here\n'),
    ("relay_domains ( , a )", "is not possible here"),
    ('relay_domains ( "a )', "a quote is not closed"),
    ("mailerdaemon =", "usage: config set"),
    ("mailerdaemon # note", "usage: config set"),
    ("mailerdaemon = = a", '"=" is not possible here'),
    ('hostname "a', "a quote is not closed\n"),
])
def test_value_that_no_file_would_have_is_refused(ask, typed, told):
    answer = ask(f"config set {typed}", session={})
    assert answer.status == 1 and told in answer.text


def test_backslashes_outside_of_quotes_stay(ask):
    assert ask(r"config locate domain ^mx\\d\+\.pool").text == ask(r'config locate domain "^mx\\\\d\+\.pool"').text
    assert "Domain:/^mx" in ask(r"config locate domain ^/\^mx\\d\+").text


NAMES = (r"/^a\.b$/", r"/^\\d x$/", '/a"b/', "/it's/", "/#x/", "a.test", "--json", "#x", r"a\b")


def some_value(chance):
    """A value in quotes, with all that needs them."""
    return quoted("".join(chance.choice("ab \\\"'#=()[],/\n\t{}") for _ in range(chance.randrange(9))))


def some_change(chance):
    place = chance.choice(["", "domain NAME ", "binding b domain NAME ", "mail_loop NAME "]).replace("NAME", quoted(chance.choice(NAMES)))
    if place.startswith("mail_loop"):
        return f"config set {place}use_ip {chance.choice(['true', 'no'])}"
    if chance.random() < 0.2:
        return f"config unset {place}outbound_smtp_auth_user"
    if chance.random() < 0.3:
        return f"config set esmtp_listener context [ {some_value(chance)} = {some_value(chance)} b = c ]"
    if chance.random() < 0.3:
        return f"config set relay_domains ( {some_value(chance)}, d.test {some_value(chance)} )"
    return f"config set {place}outbound_smtp_auth_user {chance.choice([some_value(chance), 'a@b.test'])}"


@pytest.mark.parametrize("seed", range(30))
def test_replay_is_taken_again_and_means_the_same(ask, seed):
    chance, first, again = Random(seed), {}, {}
    for session in first, again:
        ask("config begin", session=session)
    for _ in range(12):
        ask(some_change(chance), session=first)
    assert first["transaction"].changes
    for line in ask("config replay", session=first).text.splitlines():
        answer = ask(line, session=again)
        assert answer.status == 0, (line, answer.text)
    ours, theirs = (merge(session["transaction"].base, session["transaction"].changes) for session in (first, again))
    assert same(ours, theirs) and same(ours, first["transaction"].tree)
    assert ask("config replay", session=again).text == ask("config replay", session=first).text


@pytest.mark.parametrize("words, line", [
    (["config", "set", "relay_hosts", "( 1.1.1.1 '::1' )"], "config set relay_hosts ( 1.1.1.1 '::1' )"),
    (["config", "set", "relay_hosts", "(", "a b", ")"], 'config set relay_hosts ( "a b" )'),
    (["config", "set", "tls", "=", "no"], "config set tls = no"),
    (["config", "set", "mailerdaemon", "it's # \\n\n"], 'config set mailerdaemon "it\'s # \\\\n\\n"'),
    (["config", "locate", "domain", "(a b)+"], 'config locate domain "(a b)+"'),
    (["config", "locate", "domain", r"^d\d$"], r"config locate domain ^d\d$"),
    (["config", "set", "relay_hosts = ( 127.0.0.1 )"], "config set relay_hosts = ( 127.0.0.1 )"),
    (["config", "set", "hostname", '"x.y"'], 'config set hostname "x.y"'),
    (["config", "set", "domain", '"/a\\.c/"', "tls=no"], 'config set domain "/a\\.c/" tls=no'),
    (["xml", "domain", "", "--json"], 'xml domain "" --json'),
])
def test_words_of_a_shell_are_sent_as_they_would_be_typed(words, line):
    assert command_line(words) == line


@pytest.mark.parametrize("line, told", [
    ("tls bogus", "tls: takes no | ifavailable | required, not \"bogus\"\n"),
    ('domain "a b" tls no', "domain: a name has 1 to 1023 characters, none of them a blank\n"),
    ('domain "/(/" tls no', "domain: bad expression at character 2: missing closing parenthesis\n"),
    ("esmtp_listener listen foo banner_hostname a.test", "listen: "),
    ("esmtp_listener peer foo open_relay no", "peer: "),
    ("esmtp_listener peer 10.0.0.0/8 open_relay maybe", "open_relay: takes "),
    ("datasource d cache_live 3", 'unknown option "Cache_Live" of datasource'),
])
def test_change_in_a_transaction_is_checked_when_it_is_made(ask, line, told):
    ask("config begin", session=(session := {}))
    answer = ask(f"config set {line}", session=session)
    assert answer.status == 1 and answer.text.startswith(told)
    assert ask("config replay", session=session).text == ""


ODD = ("domain", '"a b"', '"/(/"', '""', "esmtp_listener", "listen", "foo", ":25", "peer", "10.0.0.1", "binding", "tls", "open_relay", "no", "=", "(", "[", "{",
       "mail_loop", "loops", "use_ip", "host", "retry_interval", "5", "pathway", "ec-logger", "heartbeat", "#", "\\", "threadpool", "CPU", "concurrency", "alias",
       "scheme", "datasource", "::ffff:10.0.0.1", "hostname", "[", "a", "]")


@pytest.mark.parametrize("seed", range(40))
def test_no_line_ends_in_an_internal_error(ask, seed):
    chance, session = Random(seed), {}
    ask("config begin" if seed % 2 else "config begin from scratch", session=session)
    for _ in range(60):
        line = " ".join(["config", chance.choice(["set", "set", "unset", "get", "eval", "show", "showrecurse", "locate"]),
                         *(chance.choice(ODD) for _ in range(chance.randrange(1, 7)))])
        assert "internal error" not in ask(line, session=session).text, line
    assert ask("config replay", session=session).status == 0


def test_notices_are_told_by_the_change_that_brings_them(mta, session):
    ask = session()
    mta.text = "use_dane = true"
    mta.write_config()
    before = mta.data("config reload")
    assert [notice.split(": ", 1)[1] for notice in before["notices"]] == ["use_dane is not read yet"]
    assert ask("config set domain a.test adaptive_enabled true") == "        Adaptive_Enabled = true\nnotice: adaptive_enabled is not read yet\n"
    assert ask("config set domain b.test adaptive_enabled true") == "        Adaptive_Enabled = true\n"
    listen = f"esmtp_listener listen 127.0.0.1:{mta.port}"
    assert ask(f"config set {listen} peer 127.0.0.1 pathway nosuch").endswith('notice: no Pathway "nosuch" is declared\n')
    ask("config begin")
    assert ask("config set resolv_conf /nope").endswith("notice: resolv_conf: /nope cannot be read\n")
    assert ask(f"config set {listen} pathway none") == "        Pathway = none\n"
    assert ask("config commit") == 'notice: resolv_conf: /nope cannot be read\nnotice: no Pathway "none" is declared\n'
    assert ask("config reload") == "configuration reloaded.\n"


def test_change_that_closes_the_last_console_says_so(mta, session):
    ask = session()
    told = ask(f"config unset control_listener listen {mta.folder}/console")
    assert told.endswith("notice: no Control_Listener is left, and the console closes; SIGHUP reads the files again\n")


def test_empty_hostname_is_the_machines(ask):
    ask("config begin", session=(session := {}))
    ask('config set hostname ""', session=session)
    assert ask("config eval hostname", session=session).text == f"Hostname = {gethostname()}\n"
    assert ask("config eval mailerdaemon", session=session).text == f"Mailerdaemon = mailer-daemon@{gethostname()}\n"


def test_address_is_shown_and_written_as_it_was_first(ask):
    ask("config begin", session=(session := {}))
    assert ask("config set esmtp_listener Listen *:2600 banner_hostname a.test", session=session).status == 0
    assert ask("config set esmtp_listener listen :2600 idle_time 5", session=session).status == 0
    assert ask("config set esmtp_listener listen 0.0.0.0:2525 idle_time 5", session=session).status == 0
    assert ask("config locate listen :2600$", session=session).text == 'Listen "*:2600"\n  is at Esmtp_Listener::Listen:*\\:2600:\n'
    assert ask("config replay", session=session).text.splitlines() == [
        "config set Esmtp_Listener Listen *:2600 Banner_Hostname a.test", "config set Esmtp_Listener Listen *:2600 Idle_Time 5",
        "config set Esmtp_Listener Listen :2525 Idle_Time 5"]


def test_hyphen_in_the_name_of_a_module_is_an_underscore(ask):
    ask("config begin", session=(session := {}))
    assert ask("config set ec-logger heartbeat = 30", session=session).status == 0
    assert ask("config get ec_logger heartbeat", session=session).text == "        Heartbeat = 30\n"


def test_commit_that_fails_leaves_no_logs_behind(mta, session):
    ask = session()
    (mta.folder / "taken").mkdir()
    before = sorted(mta.folder.rglob("*"))
    ask("config begin")
    ask(f"config set ec_logger mainlog {mta.folder}/new/deep/mainlog")
    ask(f"config set ec_logger rejectlog {mta.folder}/new/rejectlog")
    ask("config set esmtp_listener listen 192.0.2.1:2525 banner_hostname a.test")
    with pytest.raises(ConsoleError, match="cannot listen on"):
        ask("config commit")
    assert sorted(mta.folder.rglob("*")) == before
    ask("config rollback")
    with pytest.raises(ConsoleError, match="cannot write paniclog"):
        ask(f"config set ec_logger paniclog {mta.folder}/taken")
    assert sorted(mta.folder.rglob("*")) == before
