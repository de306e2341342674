"""Commands are found, helped, refused and shaped."""
import json
import os
import xml.etree.ElementTree as ElementTree

import pytest

from pymomentum.console.registry import element
from pymomentum.errors import ConfigError, ConfigErrors, ConsoleError


@pytest.mark.parametrize("line, name, args", [
    ("summary", "summary", []),
    ("summary reset", "summary reset", []),
    ("Summary RESET", "summary reset", []),
    ("domain example.com", "domain", ["example.com"]),
    ("domain all", "domain all", []),
    ("message details full 1/2-3-4", "message details", ["full", "1/2-3-4"]),
])
def test_the_longest_name_wins(registry, line, name, args):
    command, left = registry.find(line.split())
    assert (command.name, left) == (name, args)


@pytest.mark.parametrize("line, said", [
    ("sumary", 'unknown command "sumary"; did you mean "summary"?'),
    ("mesage details X", 'unknown command "mesage details x"; did you mean "message details"?'),
    ("quarantine", 'unknown command "quarantine"; there is: quarantine delete, quarantine list, quarantine release'),
    ("xyzzy", 'unknown command "xyzzy"; try "help"'),
    ("z" * 5000, f'unknown command "{"z" * 57}..."; try "help"'),
    ("domain", "usage: domain DOMAIN"),
    ("pid now", "usage: pid"),
    ("active many", "usage: active THRESHOLD"),
    ("active -1", "usage: active THRESHOLD"),
    ("mailq --limit x", "usage: mailq [--domain|-d NAME...] [--binding|-b NAME...] [--limit|-l N]"),
    ('domain "a', "a quote is not closed"),
    ("xml shutdown", "shutdown has no XML form"),
])
def test_errors_are_one_line(registry, line, said):
    answer = registry.run(line)
    assert (answer.text, answer.status) == (said + "\n", 1)


def test_empty_line_does_nothing(registry):
    assert (registry.run("  ").text, registry.run("").status) == ("", 0)


def test_every_command_has_help(registry):
    text = registry.run("help").text
    for command in registry.commands.values():
        assert command.doc and command.synopsis.startswith(command.name)
        assert command.synopsis in text and command.doc in text
    assert registry.run("help domain").text.splitlines() == [
        "domain DOMAIN               show a domain's hosts, queues and connections",
        "domain all                  show all domains with their connections and queues"]
    assert registry.run("help summry").status == 1


def test_server_actions(registry, server):
    assert registry.run("pid").text == f"{os.getpid()}\n"
    assert registry.run("reopen logs").status == 0
    assert registry.run("config reload").text == "configuration reloaded.\n"
    answer = registry.run("shutdown")
    assert server.asked == ["reopen logs", "reload"]
    answer.after()
    assert server.asked[-1] == "shutdown"


def test_failed_reload_shows_every_mistake(registry, server):
    def reload():
        raise ConfigErrors([ConfigError("no such option", file="a.conf"), ConfigError("too large", file="b.conf")])
    server.reload = reload
    answer = registry.run("config reload")
    assert (answer.text, answer.status) == ("Reconfigure failed\na.conf: no such option\nb.conf: too large\n", 1)


def test_json_may_be_asked_for_in_the_line(registry):
    answer = registry.run("pid --json")
    assert (answer.text, answer.data) == ("", {"pid": os.getpid()})
    assert registry.run("reopen logs", json=True).data == {"message": "logs reopened."}


def test_xml_is_well_formed(registry, engine):
    engine.domains = lambda: [("a&b.com", 1, 2, 3, 4), ("c.com", 0, 9, 0, 0)]
    root = ElementTree.fromstring(registry.run("xml active 1").text)
    assert [e.text for e in root.findall("DomainSummary/Name")] == ["a&b.com", "c.com"]
    ElementTree.fromstring(element("x", "\x00\x1b<\udc80\uffff"))


def test_keys_that_are_no_xml_names_are_attributes():
    data = {"a b": 1, "1st": {"x<\"&\x00": 2}, "": 3, "plain": 4}
    root = ElementTree.fromstring(element("Config", data))
    assert [(e.tag, e.get("name")) for e in root] == [("item", "a b"), ("item", "1st"), ("item", ""), ("plain", None)]
    assert root[1][0].get("name") == 'x<"&?'


def test_a_command_that_fails_unexpectedly_does_not_show_its_traceback(registry, engine):
    def broken():
        raise ZeroDivisionError("secret")
    engine.mailq = broken
    answer = registry.run("mailq")
    assert (answer.text, answer.status) == ("internal error; the paniclog has the details\n", 1)


def test_quarantine(registry, server, tmp_path):
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "quarantine").write_text("17 2\nrubbish\n99 3\n")
    rows = registry.run("quarantine list", json=True).data["Message"]
    assert rows == [{"sequence": 17, "crashes": 2, "deleted": False}, {"sequence": 99, "crashes": 3, "deleted": False}]
    assert registry.run("quarantine release 17").status == 0
    assert registry.run("quarantine delete 99").text == "message 99 is deleted at the next start.\n"
    assert registry.run("quarantine release 17").text == "message 17 is not in quarantine\n"
    assert (tmp_path / "spool" / "quarantine").read_text() == "99 3 delete\n"
    assert registry.run("quarantine list").text == "            Sequence  Crashes\n" + f"{99:>20}{3:>9}  to be deleted\n"


def test_paniclog_shows_its_last_ten_lines(registry, tmp_path):
    assert "cannot read" in registry.run("paniclog").text
    (tmp_path / "paniclog.ec").write_text("".join(f"1700000000:SPOOL line {i}\n" for i in range(5000)))
    lines = registry.run("paniclog").text.splitlines()
    assert [line.split()[-1] for line in lines] == [str(i) for i in range(4990, 5000)]


def test_registry_answers_are_json(registry, engine):
    json.dumps(registry.run("help", json=True).data)
    with pytest.raises(ConsoleError):
        registry.find(["nothing"])
