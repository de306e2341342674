"""config get, eval, show, showrecurse, locate: what is written, what holds, where."""
import pytest

from pymomentum.config import load, publish
from pymomentum.console.registry import Registry
from pymomentum.core.config.generation import current_generation
from tests.console.conftest import Server

FILE = """
Message_Expiration = 86400       # a day
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
  Binding one { Message_Expiration = 3600  Domain relay.example { EHLO_Hostname = "relay.example" } }
  Binding two { }
}
Domain earthlink.example { Retry_Interval = 30 }
"""


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
    ("get binding_group pool binding two ehlo_hostname", "Option 'Ehlo_Hostname' is not set in scope 'Binding_Group:pool:Binding:two'.\n"),
    ("get esmtp_listener listen :2525 peer 10.0.0.0/8 idle_time", "        Idle_Time = 7\n"),
    ("get mail_loop loops use_ip", "        Use_IP = false\n"),
    ("get mail_loop use_ip", "which mail_loop? there is: loops\n"),
    ("get alias Scheme a:b query", '        query = "SELECT 1"\n'),
    ("eval blackhole", "Blackhole = false\n"),
    ("eval domain other.example message_expiration", "        Message_Expiration = 86400\n"),
    ("eval domain mx12.pool.example message_expiration", "        Message_Expiration = 60\n"),
    ("eval binding one domain earthlink.example message_expiration", "        Message_Expiration = 3600\n"),  # a binding beats a global domain
    ("eval binding two domain earthlink.example message_expiration", "        Message_Expiration = 900\n"),
    ("eval binding_group pool binding two domain slow.example message_expiration", "        Message_Expiration = 5\n"),
    ("eval binding two ehlo_hostname", '        EHLO_Hostname = "pool.example"\n'),
    ("eval esmtp_listener listen :2525 idle_time", "        Idle_Time = 300\n"),
    ("eval esmtp_listener listen :2525 peer 192.0.2.1 idle_time", "        Idle_Time = 300\n"),
    ("show esmtp_listener", 'Listen "0.0.0.0:2525" { ... }\nIdle_Time = 300\n'),
    ("show mail_loop loops", "Use_IP = false\n"),
    ("show message_expiration", "Message_Expiration = 86400\n"),
    ("showrecurse esmtp_listener", 'Esmtp_Listener {\n  Listen "0.0.0.0:2525" {\n    Peer "10.0.0.0/8" {\n      Idle_Time = 7\n    }\n  }\n'
                                   "  Idle_Time = 300\n}\n"),
    ("locate binding", 'Binding "one"\n  is at Binding_Group:pool:Binding:one:\nBinding "two"\n  is at Binding_Group:pool:Binding:two:\n'),
    ("locate scheme ^a", 'Scheme "a:b"\n  is at alias::Scheme:a\\:b:\n'),
    ("locate binding ^three", "no binding stanza\n"),
    ("locate binding (", '"(" is no regular expression: missing ), unterminated subpattern at position 0\n'),
    ("get", "usage: config get [SCOPE...] OPTION\n"),
    ("get domain earthlink.example", "which option of domain earthlink.example?\n"),
    ("get message_expiratio", 'unknown option "message_expiratio" in the global scope; did you mean "message_expiration"?\n'),
    ("get domain x.example relay_hosts", 'unknown option "relay_hosts" in domain\n'),
    ("eval nowhere at_all", '"nowhere" is no stanza in the global scope\n'),
    ("show nothing", '"nothing" is neither a stanza nor an option here\n'),
])
def test_answers(ask, line, text):
    assert ask(f"config {line}").text == text


def test_programs_hear_where_a_value_stands(ask):
    assert ask("config eval binding one domain x.example ehlo_hostname", json=True).data == {
        "option": "ehlo_hostname", "value": "pool.example", "scope": "Binding_Group:pool:", "file": "more.conf", "line": 3}
    whole = ask("config showrecurse", json=True).data
    assert whole["options"]["relay_hosts"] == ["10.0.0.1", "10.0.0.2"]
    assert {stanza["kind"] for stanza in whole["stanzas"]} == {"Domain", "Binding_Group", "Esmtp_Listener", "mail_loop", "alias"}


def test_eval_says_what_delivery_finds(ask):
    """The tree on the console and the compiled lookup are two ways to one answer."""
    publish(load("ecelerity.conf"))
    generation = current_generation()
    for binding in ("one", "two", "default"):
        for domain in ("earthlink.example", "mx7.pool.example", "slow.example", "relay.example", "other.example"):
            told = ask(f"config eval binding {binding} domain {domain} message_expiration", json=True).data
            assert int(told["value"]) == generation.lookup_delivery(binding, domain)["message_expiration"], (binding, domain)
