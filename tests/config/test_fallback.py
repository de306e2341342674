"""Which stanza answers: delivery, hosts, reception."""
from random import Random

import pytest

DOCUMENTED = """
    message_expiration = 86400
    Domain "example.com" { message_expiration = 120 }
    Binding "example1" { Domain "example.com" { message_expiration = 300 } message_expiration = 3600 }
    Binding "example2" { message_expiration = 7200 }
    Binding "example3" { }
    Binding_Group "group1" {
      message_expiration = 1800
      Domain "example.net" { message_expiration = 30 }
      Binding "in1" { }
      Binding "in2" { message_expiration = 900  Domain "example.org" { message_expiration = 10 } }
    }
"""


@pytest.mark.parametrize("binding, domain, expected", [
    ("example2", "example.com", 7200),      # a binding's own value beats a global domain's
    ("example3", "example.com", 120),
    ("example1", "example.com", 300),
    ("example1", "other.com", 3600),
    ("example3", "other.com", 86400),
    ("default", "example.com", 120),
    ("default", "other.com", 86400),
    ("in1", "example.com", 1800),           # so does its group's
    ("in1", "example.net", 30),
    ("in2", "example.net", 30),
    ("in2", "example.org", 10),
    ("in2", "EXAMPLE.Org", 10),
    ("in2", "other.com", 900),
    ("in1", "example.org", 1800),
])
def test_delivery_falls_back(conf, binding, domain, expected):
    assert conf.publish(DOCUMENTED).lookup_delivery(binding, domain)["message_expiration"] == expected


def test_every_level_of_delivery_in_turn(conf):
    levels = ["g::b::d", "b::d", "g::d", "g::b", "b", "g", "d", "global"]
    for first in range(len(levels) + 1):
        def own(level):
            place = levels.index(level)
            return f"retry_interval = {place + 1}" if place >= first else ""
        generation = conf.publish(f"""
            {own("global")}
            Domain x.org {{ {own("d")} }}
            Binding b {{ {own("b")}  Domain x.org {{ {own("b::d")} }} }}
            Binding_Group g {{ {own("g")}  Domain x.org {{ {own("g::d")} }}
              Binding b {{ {own("g::b")}  Domain x.org {{ {own("g::b::d")} }} }} }}
        """)
        expected = first + 1 if first < len(levels) else 1200
        assert generation.lookup_delivery("b", "x.org")["retry_interval"] == expected


def test_layers_answer_in_the_documented_order_whatever_is_set_where(conf):
    """Three options, each set anywhere by chance: what is compiled is what the order says."""
    chance = Random(7)
    levels = ["g::b::d", "b::d", "g::d", "g::b", "b", "g", "d", "global"]
    defaults = {"retry_interval": 1200, "idle_timeout": 5, "max_retries": -1}
    for _ in range(150):
        said = {level: {name: chance.randint(1, 99) for name in defaults if chance.random() < 0.35} for level in levels}
        text = {level: " ".join(f"{name} = {value}" for name, value in of.items()) for level, of in said.items()}
        generation = conf.publish(f"""
            {text["global"]}
            Domain {chance.choice(('x.org', '"/^x/"'))} {{ {text["d"]} }}
            Binding b {{ {text["b"]}  Domain "/org$/" {{ {text["b::d"]} }} }}
            Binding_Group g {{ {text["g"]}  Domain x.org {{ {text["g::d"]} }}
              Binding b {{ {text["g::b"]}  Domain x.org {{ {text["g::b::d"]} }} }} }}
        """)
        for binding, domain, asked in (
                ("b", "x.org", levels), ("b", "y.com", ["g::b", "b", "g", "global"]),
                ("b", "y.org", ["b::d", "g::b", "b", "g", "global"]), ("default", "x.org", ["d", "global"])):
            values = generation.lookup_delivery(binding, domain)
            for name, default in defaults.items():
                expected = next((said[level][name] for level in asked if name in said[level]), default)
                assert values[name] == expected, (binding, domain, name, said)


def test_exact_names_before_expressions_in_their_order(conf):
    generation = conf.publish(r"""
        Domain "/^mx\d+\./" { retry_interval = 1 }
        Domain "/example/" { retry_interval = 2 }
        Domain "/./" { idle_timeout = 9 }
        Domain "mx1.example.com" { retry_interval = 3 }
    """)
    asked = [generation.lookup_delivery("default", d) for d in (
        "mx1.example.com", "mx2.example.com", "MX2.EXAMPLE.COM", "www.example.org", "other.net", "x" * 1023, "x" * 1024)]
    assert [v["retry_interval"] for v in asked] == [3, 1, 1, 2, 1200, 1200, 1200]
    assert [v["idle_timeout"] for v in asked] == [5, 5, 5, 5, 9, 9, 5]


def test_an_expression_says_what_the_stanza_of_the_name_does_not(conf):
    """The manual's example of regex domains, and the same of Hosts and in a binding."""
    inner = r"""
        Domain "shop.test" { max_outbound_connections = 20 }
        Domain "/(?:^|[.])shop[.](?:test|co[.]test)$/" { max_outbound_connections = 15 max_deliveries_per_connection = 5
                                                         outbound_throttle_messages = 10/1 }
        Host "mx.test" { max_outbound_connections = 3 }
        Host "/test$/" { max_outbound_connections = 4 outbound_throttle_connections = 7/1 }
    """
    generation = conf.publish(inner + "Binding b { max_deliveries_per_connection = 9 " + inner + "}")
    for binding in ("default", "b"):
        values = [generation.lookup_delivery(binding, name) for name in ("shop.test", "shop.co.test", "www.shop.test")]
        assert [v["max_outbound_connections"] for v in values] == [20, 15, 15]
        assert [v["max_deliveries_per_connection"] for v in values] == [5, 5, 5]
        assert len({v["outbound_throttle_messages"] for v in values}) == 1      # one bucket for all that match
        hosts = [generation.lookup_host(binding, name) for name in ("mx.test", "mx2.test")]
        assert [v["max_outbound_connections"] for v in hosts] == [3, 4]
        assert hosts[0]["outbound_throttle_connections"] == hosts[1]["outbound_throttle_connections"]


def test_expression_that_exhausts_its_limits_does_not_match(conf):
    generation = conf.publish(r'Domain "/^(a+)+$/" { retry_interval = 1 }')
    assert generation.lookup_delivery("default", "a" * 30)["retry_interval"] == 1
    assert generation.lookup_delivery("default", "a" * 200 + "!")["retry_interval"] == 1200


def test_repeated_stanzas_merge_and_later_values_win(conf):
    generation = conf.publish("""
        DOMAIN Example.COM { retry_interval = 1 idle_timeout = 1 }
        domain example.com { Retry_Interval = 2 }
    """)
    values = generation.lookup_delivery("default", "example.com")
    assert (values["retry_interval"], values["idle_timeout"]) == (2, 1)


def test_host_scope_answers_only_for_itself(conf):
    generation = conf.publish("""
        max_outbound_connections = 5
        outbound_throttle_messages = 9
        Host mx.example.com { max_outbound_connections = 3 }
        Host "/^mx/" { rollup_mx_name = joined }
        Binding_Group g { Host mx.example.com { max_outbound_connections = 2 }
          Binding b { Host mx.example.com { max_outbound_connections = 1 } }
          Binding c { } }
    """)
    def limit(binding, host):
        return generation.lookup_host(binding, host)["max_outbound_connections"]
    assert [limit("b", "mx.example.com"), limit("c", "mx.example.com"), limit("default", "mx.example.com")] == [1, 2, 3]
    assert limit("b", "mx2.example.com") == -1
    assert generation.lookup_host("b", "mx2.example.com")["rollup_mx_name"] == "joined"
    assert generation.lookup_host("b", "mx2.example.com")["outbound_throttle_messages"] is None


def test_hosts_of_the_group_come_before_those_of_the_binding_outside(conf):
    levels = ["g::b", "g", "b", "global"]
    for first in range(len(levels) + 1):
        host = {level: f"Host mx.test {{ {f'max_outbound_connections = {n + 1}' if n >= first else ''} }}"
                for n, level in enumerate(levels)}
        generation = conf.publish(f"""
            {host["global"]}
            Binding b {{ {host["b"]} }}
            Binding_Group g {{ {host["g"]}  Binding b {{ {host["g::b"]} }} }}
        """)
        expected = first + 1 if first < len(levels) else -1
        assert generation.lookup_host("b", "mx.test")["max_outbound_connections"] == expected


RECEPTION = """
    command_timeout = 1
    Pathway_Group pg { command_timeout = 2  Pathway p { max_message_size = 1000 } }
    Pathway q { command_timeout = 3 }
    ESMTP_Listener {
      max_recipients_per_message = 50
      Peer 10.0.0.0/8 { open_relay = true  max_message_size = 5 }
      Listen "*:25" {
        Peer 10.1.0.0/16 { always_allow = true }
        Peer 10.1.2.0/24 { max_message_size = 7  pathway = q }
        Peer 2001:db8::/32 { command_timeout = 8 }
      }
      Listen "[::1]:2525" { pathway = p  max_recipients_per_message = 60 }
      Listen "/tmp/unix" { enable = false }
    }
    Control_Listener { enable = false  Listen "var/run/c" { } }
"""


@pytest.mark.parametrize("listen, address, expected", [
    (0, "192.0.2.1", (0, 0, 1, 0, 50)),
    (0, "10.9.9.9", (1, 0, 1, 5, 50)),
    (0, "10.1.9.9", (1, 1, 1, 5, 50)),
    (0, "10.1.2.3", (1, 1, 3, 7, 50)),
    (0, "::ffff:10.1.2.3", (1, 1, 3, 7, 50)),
    (0, "2001:db8::1", (0, 0, 8, 0, 50)),
    (1, "10.1.2.3", (1, 0, 2, 5, 60)),
    (1, "192.0.2.1", (0, 0, 2, 1000, 60)),
])
def test_reception_falls_back(conf, listen, address, expected):
    values = conf.publish(RECEPTION).lookup_reception(listen, address)
    names = ("open_relay", "always_allow", "command_timeout", "max_message_size", "max_recipients_per_message")
    assert tuple(values[name] for name in names) == expected


def test_answers_without_a_peer_are_not_given_to_peers(conf):
    generation = conf.publish(RECEPTION)
    asked = [generation.lookup_reception(0, a)["open_relay"] for a in ("192.0.2.1", "10.0.0.1", "192.0.2.1", "10.0.0.1")]
    assert asked == [0, 1, 0, 1]


def test_switched_off_listeners_are_not_opened(conf):
    assert conf.publish(RECEPTION).listens() == [(0, "0.0.0.0:25", False), (0, "[::1]:2525", False)]


def test_values_of_every_kind(conf):
    generation = conf.publish("""
        relay_hosts ( 10.0.0.0/8 ::1 127.0.0.1 )
        spool_mode = 0600  tls = ifavailable  max_retries = none  hostname = mta.example.com
        gateway ( a.example.com )
        ESMTP_Listener { Listen :25 { smtp_extensions ( "8BITMIME" "SIZE 10" ) context [ a = b c = d ] } }
    """)
    g = generation.globals
    assert [(address[-4:], bits) for address, bits in g["relay_hosts"]] == [
        (b"\0\0\0\1", 128), (b"\x7f\0\0\1", 128), (b"\x0a\0\0\0", 104)]
    assert (g["spool_mode"], g["tls"], g["max_retries"], g["hostname"]) == (0o600, 1, -2, "mta.example.com")
    assert g["gateway"] == "a.example.com"
    assert g["tls_certificate"] is None and g["enable_dane"] == -1 and g["relay_domains"] is None
    listen = generation.lookup_reception(0, "192.0.2.1")
    assert listen["smtp_extensions"] == ["8BITMIME", "SIZE 10"]
    assert listen["context"] == ["a", "b", "c", "d"]


def test_throttle_is_shared_from_where_it_is_declared(conf):
    generation = conf.publish("""
        outbound_throttle_messages = 100/60
        Domain a.com { outbound_throttle_messages = 100/60 }
        Domain "/^x/" { outbound_throttle_messages = 5 }
        Domain free.com { outbound_throttle_messages = 0 }
    """)
    a, b, c, x1, x2, free = (generation.lookup_delivery("default", d)["outbound_throttle_messages"]
                             for d in ("a.com", "b.com", "c.com", "x1.com", "x2.com", "free.com"))
    assert b == c == (600_000_000, 60_000_000_000, b[2])
    assert a[:2] == b[:2] and a[2] != b[2]
    assert x1 == x2 == (200_000_000, 1_000_000_000, x1[2])
    assert free is None


CASES = r"""
    Binding "News" { outbound_throttle_messages = 9 }  Binding "news" { outbound_throttle_messages = 9 }
    Pathway "Fast" { inbound_throttle_messages = 9 }  Pathway "fast" { inbound_throttle_messages = 9 }
    Domain "/^\d+a/" { outbound_throttle_messages = 9 }  Domain "/^\D+a/" { outbound_throttle_messages = 9 }
    Host "/^\w+b/" { max_outbound_connections = 1 outbound_throttle_messages = 9 }
    Host "/^\W+b/" { max_outbound_connections = 2 outbound_throttle_messages = 9 }
    DOMAIN Example.COM { outbound_throttle_messages = 9 }
    ESMTP_Listener {
      Listen "/tmp/A/s" { listener_sessions = 9 }  Listen "/tmp/a/s" { listener_sessions = 9 }
      Listen "127.0.0.1:2525" { pathway = "Fast"  Peer 10.0.0.0/8 { pathway = "fast" } }
    }
"""


def test_names_and_expressions_that_differ_in_case_share_no_throttle_or_limit(conf):
    def buckets(text):
        generation = conf.publish(text)
        asked = [
            *(generation.lookup_delivery(binding, "x.org")["outbound_throttle_messages"] for binding in ("News", "news")),
            *(generation.lookup_delivery("default", name)["outbound_throttle_messages"] for name in ("1a", "xa", "example.com")),
            *(generation.lookup_host("default", name)["outbound_throttle_messages"] for name in ("bb", "..b")),
            *(generation.lookup_reception(n, "127.0.0.1")["listener_sessions"] for n in (0, 1)),
            *(generation.lookup_reception(2, address)["inbound_throttle_messages"] for address in ("127.0.0.1", "10.0.0.1"))]
        assert [generation.lookup_host("default", name)["max_outbound_connections"] for name in ("bb", "..b")] == [1, 2]
        return [bucket[-1] for bucket in asked]

    first = buckets(CASES)
    assert len(set(first)) == len(first)
    for again in (CASES, CASES.replace("Example.COM", "example.com").replace("Binding", "BINDING")):
        assert buckets(again) == first          # and a reload keeps them


@pytest.mark.parametrize("said, expected", [
    ('Domain "192.0.43.10" { retry_interval = 2 }', (2, 2)),
    ('Domain "[192.0.43.10]" { retry_interval = 3 }', (3, 1)),
    ('Domain "[192.0.43.10]" { retry_interval = 3 } Domain "192.0.43.10" { retry_interval = 2 }', (3, 2)),
    ('Domain "[192.0.43.10]" { } Domain "192.0.43.10" { retry_interval = 2 }', (2, 2)),
    ('Domain "192.0.43.10" { } Domain "/^.192/" { retry_interval = 4 }', (4, 1)),
    ('Domain "/^192/" { retry_interval = 4 } Domain "192.0.43.10" { }', (1, 4)),
])
def test_domain_of_an_address_counts_for_its_literal(conf, said, expected):
    for place, binding in ("%s", "default"), ("Binding b { %s }", "b"), ("Binding_Group g { %s Binding b { } }", "b"):
        generation = conf.publish("retry_interval = 1\n" + place % said)
        asked = [generation.lookup_delivery(binding, name)["retry_interval"] for name in ("[192.0.43.10]", "192.0.43.10")]
        assert tuple(asked) == expected


def test_address_and_its_literal_share_a_throttle(conf):
    generation = conf.publish('Domain "192.0.43.10" { outbound_throttle_messages = 9 }')
    asked = {generation.lookup_delivery("default", name)["outbound_throttle_messages"] for name in ("[192.0.43.10]", "192.0.43.10")}
    assert len(asked) == 1 and None not in asked


def test_what_peers_of_the_listener_say_beats_the_listen(conf):
    """The manual's situation: ceilings in listener and Listen, and for some networks others."""
    generation = conf.publish("""
        ESMTP_Listener {
          command_timeout = 70  max_bad_commands = 7
          Peer 10.0.0.0/8 { command_timeout = 400 }
          Peer 0.0.0.0/0 { command_timeout = 20 }
          Listen "*:25" { command_timeout = 60  max_bad_commands = 6  Peer 10.9.0.0/16 { command_timeout = 5 } }
        }
    """)
    asked = [generation.lookup_reception(0, address) for address in ("10.9.1.1", "10.1.1.1", "192.0.2.1", "2001:db8::1")]
    assert [values["command_timeout"] for values in asked] == [5, 400, 20, 60]
    assert [values["max_bad_commands"] for values in asked] == [6, 6, 6, 6]


def test_name_with_the_dot_of_the_root_is_the_name(conf):
    generation = conf.publish('Domain "Foo.example." { retry_interval = 7 }')
    assert generation.lookup_delivery("default", "foo.example")["retry_interval"] == 7


def test_networks_in_ipv6_clothes_are_one_with_the_plain_ones(conf):
    loaded = conf.load('ESMTP_Listener { Peer 10.0.0.0/8 { idle_time = 1 } Peer "::ffff:10.0.0.0/104" { idle_time = 2 } Listen ":25" { } }')
    [listener] = loaded.root.inside("esmtp_listener")
    assert [(peer.label, peer.value("idle_time")) for peer in listener.inside("peer")] == [("10.0.0.0/8", 2)]
