"""conf/default and the sites in conf/examples: they pass the check without a notice, start, and relay mail.

Only what lies outside of the test is another than in their files (tests/harness/site.py).
"""
import pytest

from pymomentum import config
from pymomentum.commands import validate_config
from tests.harness.mta import ROOT
from tests.harness.provided import provide
from tests.harness.site import Site
from tests.harness.wait import until

EXAMPLES = [path.parent for path in sorted(ROOT.glob("conf/examples/*/ecelerity.conf"))]
SITES = [ROOT / "conf" / "default", *EXAMPLES]
OUTSIDE = "127.0.0.9"           # in nobody's relay_hosts


@pytest.fixture
def site(mta):
    """Serve by a site of conf; answers its Site."""
    def serve(name):
        [folder] = [folder for folder in SITES if folder.name == name]
        mta.site = Site(folder / "ecelerity.conf")
        return mta.site
    return serve


def send(mta, rcpt, source=None, sender="a@world.test"):
    """Send a mail; answers the reply that settles it."""
    with mta.smtp(source=source) as c:
        c.send_mail(sender, rcpt)
        return c.expect("*")


def refused(mta, rcpt, source=OUTSIDE):
    return send(mta, rcpt, source) == "550 5.7.1 relaying denied"


def accepted(mta, rcpt, source=None):
    return send(mta, rcpt, source).startswith("250 2.0.0 OK ")


@pytest.mark.parametrize("folder", SITES, ids=lambda folder: folder.name)
def test_site_is_valid_and_all_of_it_has_effect(folder, capsys):
    assert validate_config.main(["-c", str(folder / "ecelerity.conf")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.endswith("cannot be read")] == ["Configuration valid"]
    assert all(" /etc/ssl/" in line for line in lines[:-1])         # a site's own certificate is nobody else's


@pytest.mark.parametrize("folder", SITES, ids=lambda folder: folder.name)
def test_files_of_a_site_are_all_included(folder):
    loaded = config.load(folder / "ecelerity.conf")
    assert {file.path for file in loaded.files} == {str(path) for path in folder.glob("*.conf")}


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_page_of_a_site_names_its_files(folder):
    page = (folder / "README.md").read_text()
    assert all(f"| `{path.name}` |" in page for path in folder.glob("*.conf"))
    assert f"validate_config -c {folder.relative_to(ROOT)}/ecelerity.conf" in page


def test_default_has_fewer_connections_than_are_built_in(conf):
    shipped = config.load(ROOT / "conf" / "default" / "ecelerity.conf")
    assert shipped.root.value("server_max_outbound_connections") == 20000
    assert conf.load("").root.value("server_max_outbound_connections") == 75000


def test_default_relays_for_this_machine(mta, site):
    site("default")
    sink = mta.route()
    assert accepted(mta, "b@example.com")
    sink.wait(messages=1)
    assert sink.messages[0].rcpts == ["b@example.com"]
    mta.wait_log("D")


def test_default_takes_mail_for_domains_that_are_named(mta, site):
    site("default")
    mta.config('relay_domains = ( example.com )\nDomain "example.com" { gateway = "mailstore.example.com" }\nrelay_hosts = ( 127.0.0.1 )')
    mta.dns({"mailstore.example.com": {"A": ["127.0.0.2"]}})
    sink = mta.sink("127.0.0.2")
    assert accepted(mta, "b@example.com", OUTSIDE)
    assert refused(mta, "b@world.test")
    sink.wait(messages=1)


def test_relay_lets_the_inside_send_to_the_world(mta, site):
    site("relay")
    mta.config("prohibited_hosts = ( 192.0.2.0/24 )")               # the world is on this machine
    sink = mta.route("world.test")
    assert refused(mta, "b@world.test")
    assert accepted(mta, "b@world.test")
    sink.wait(messages=1)
    assert sink.seen("EHLO")[0] == "EHLO relay.example.com"
    [denied] = mta.wait_rejectlog(1)
    assert denied.remote.startswith(OUTSIDE)


def test_relay_hands_mail_of_its_domains_inside(mta, site):
    site("relay")
    mta.config("prohibited_hosts = ( 192.0.2.0/24 )")
    mta.dns({"mailstore.example.com": {"A": ["127.0.0.2"]}, "mailstore.example.net": {"A": ["127.0.0.3"]}})
    com, net = mta.sink("127.0.0.2"), mta.sink("127.0.0.3")
    assert accepted(mta, "b@example.com", OUTSIDE)
    assert accepted(mta, "b@example.net", OUTSIDE)
    assert refused(mta, "b@sub.example.com")
    com.wait(messages=1)
    net.wait(messages=1)
    assert com.messages[0].rcpts == ["b@example.com"] and net.messages[0].rcpts == ["b@example.net"]


def test_inbound_gateway_takes_mail_for_its_domains_alone(mta, site):
    site("inbound-gateway")
    mta.dns({"inside.example.com": {"MX": ["a.inside.test"]}, "a.inside.test": {"A": ["127.0.0.2"]},
             "inside.example.net": {"A": ["127.0.0.3"]}})
    com, net = mta.sink("127.0.0.2"), mta.sink("127.0.0.3")
    assert accepted(mta, "b@example.com") and accepted(mta, "b@example.net") and accepted(mta, "b@sub.example.net")
    assert refused(mta, "b@world.test") and refused(mta, "b@world.test", "127.0.0.1") and refused(mta, "b@sub.example.com")
    com.wait(messages=1)
    net.wait(messages=2)
    assert com.messages[0].rcpts == ["b@example.com"]
    mta.wait_log("D", 3)


def test_inbound_gateway_offers_tls_and_keeps_its_limits(mta, site):
    site("inbound-gateway")
    mta.dns({"inside.example.com": {"A": ["127.0.0.2"]}})
    sink = mta.sink("127.0.0.2")
    with mta.smtp() as c:
        assert "STARTTLS" in c.extensions and "SIZE 36700160" in c.extensions
        c.starttls()
        c.command(f"MAIL FROM:<a@world.test> SIZE={36700161}")
        c.expect("552 *")
        c.send_mail("a@world.test", [f"b{i}@example.com" for i in range(101)])
        c.expect("250 2.0.0 OK *")
    sink.wait(messages=1)
    until(lambda: sum(len(m.rcpts) for m in sink.messages) == 100, what="a hundred recipients, and the one refused")
    assert b"ESMTPS" in sink.messages[0].data


def bulk(mta, site):
    """The bulk sender, with receivers on this machine; answers (its Site, the receiver)."""
    found = site("bulk-sender")
    mta.config("prohibited_hosts = ( )")
    names = ("gmail.com", "hotmail.co.uk", "yahoo.com", "world.test")
    mta.dns({name: {"MX": [f"mx.{name}"]} for name in names} | {f"mx.{name}": {"A": ["127.0.0.2"]} for name in names})
    return found, mta.sink("127.0.0.2")


def test_bulk_sender_sends_from_the_default_binding(mta, site):
    found, sink = bulk(mta, site)
    for domain in ("gmail.com", "hotmail.co.uk", "yahoo.com", "world.test"):
        assert accepted(mta, f"b@{domain}")
    sink.wait(messages=4)
    assert {m.peer[0] for m in sink.messages} == {found.sources["default"]}
    assert set(sink.seen("EHLO")) == {"EHLO out.mail.example.com"}
    assert refused(mta, "b@gmail.com")


def test_bulk_sender_shapes_by_receiver_and_warms_up(mta, site):
    bulk(mta, site)
    asked = {"binding n01 domain hotmail.co.uk outbound_throttle_messages": "500/10",
             "binding w1 domain hotmail.co.uk outbound_throttle_messages": "200/3600",
             "binding w1 domain gmail.com max_outbound_connections": "2", "binding n01 domain gmail.com max_outbound_connections": "20",
             "binding t1 domain gmail.com retry_interval": "120", "binding n12 domain world.test retry_interval": "1800",
             "domain world.test retry_interval": "1200"}
    assert {words: mta.data(f"config eval {words}")["value"] for words in asked} == asked


def test_bulk_sender_sends_from_every_binding(mta, site):
    """The provider of the tests stands for the policy that gives mail to bindings."""
    found, sink = bulk(mta, site)
    provide(mta)
    mta.start()
    bindings = set(found.sources) - {"default"}
    assert len(bindings) == 20
    for name in bindings:
        assert accepted(mta, f"b+validate_set_binding=binding.{name}@world.test")
    sink.wait(messages=20)
    seen = {m.rcpts[0].split("binding.")[1].split("@")[0]: (m.peer[0], sink.connections[m.connection].commands[0]) for m in sink.messages}
    assert seen == {name: (found.sources[name], f"EHLO {name}.mail.example.com") for name in bindings}
    assert {(r.group, r.binding) for r in mta.wait_log("D", 20)} == {
        ({"t": "transactional", "n": "newsletter", "w": "warmup"}[name[0]], name) for name in bindings}
