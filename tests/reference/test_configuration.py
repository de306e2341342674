"""docs/configuration.md: its examples load, and what it says of them is so."""
import json
import re

import pytest

from pymomentum import config
from pymomentum.commands import ec_dump_config, validate_config
from pymomentum.config import load
from pymomentum.core.config.view import Generation
from pymomentum.reference.examples import FENCE
from tests.harness.mta import ROOT

PAGE = (ROOT / "docs" / "configuration.md").read_text()
BLOCKS = [(PAGE.count("\n", 0, m.start()) + 1, *re.match(r"\s*```(\w+) ?(.*)", m[0]).groups(), m["body"]) for m in FENCE.finditer(PAGE)]
EXAMPLES = [(line, name, body) for line, language, name, body in BLOCKS if language == "conf"]
WRONG = 'Domain "example.com" {\n  retry_intervall = 60\n  tls = maybe\n}\n'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with the files that the page names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EC_CONF_SEARCH_PATH", "")
    for _, name, body in EXAMPLES:
        if name:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(body)
    return tmp_path


def printed(language):
    [text] = [body for _, kind, _, body in BLOCKS if kind == language]
    return text


def generation(path):
    config.publish(load(path))
    return Generation()


@pytest.mark.parametrize("body", [pytest.param(body, id=f"line {line}") for line, _, body in EXAMPLES])
def test_example_loads_and_all_of_it_has_effect(folder, body):
    (folder / "ecelerity.conf").write_text(body)
    assert load("ecelerity.conf").notices == []


def test_files_are_read_where_they_are_included(folder):
    [text] = [body for _, _, body in EXAMPLES if "readonly_include" in body]
    (folder / "ecelerity.conf").write_text(text)
    loaded = load("ecelerity.conf")
    assert [file.path for file in loaded.files] == ["ecelerity.conf", "domains.conf", "conf.d/limits.conf", "common.conf", "domain.conf"]
    assert loaded.readonly == {str(folder / "common.conf")}


def test_fallback_is_as_the_table_says(folder):
    asked = generation("fallback.conf")
    rows = re.findall(r"^\| (\w+) \| ([\w.]+) \| (\d+) \|$", PAGE, re.M)
    assert len(rows) == 6
    assert [(b, d, asked.lookup_delivery(b, d)["message_expiration"]) for b, d, _ in rows] == [(b, d, int(n)) for b, d, n in rows]


def test_one_stanza_counts_of_those_that_stand_for_a_name(folder):
    asked = generation("expressions.conf")
    names = ("www.example.com", "example.net", "a.EXAMPLE.com", "badexample.com")
    assert [asked.lookup_delivery("default", name)["max_outbound_connections"] for name in names] == [5, 5, 5, 32]


def test_smallest_network_that_says_something_counts(folder):
    asked = generation("peers.conf")
    found = [asked.lookup_reception(0, peer) for peer in ("192.0.2.1", "10.2.0.1", "10.1.0.1", "::ffff:10.2.0.1")]
    assert [(v["max_message_size"], v["open_relay"]) for v in found] == [(10000000, 0), (50000000, 1), (50000000, 0), (50000000, 1)]


def test_mistakes_are_printed_as_shown(folder, capsys):
    (folder / "wrong.conf").write_text(WRONG)
    assert validate_config.main(["-c", "wrong.conf"]) == 1
    assert capsys.readouterr().out == printed("text")


def test_dumps_are_as_shown(folder):
    for format, name in ([], "xml"), (["--json"], "json"):
        assert ec_dump_config.main(["-c", "dump.conf", "-f", name, *format]) == 0
    assert (folder / "xml").read_text() == printed("xml")
    assert json.loads((folder / "json").read_text()) == json.loads(printed("json"))
