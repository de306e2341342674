"""ec_dump_config: what all files say together, as XML and JSON, and the list of options."""
import json
import os
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from pymomentum.options import registry
from tests.commands.conftest import ROOT

MAIN = """
Retry_Interval = 1
Relay_Hosts ( 10.0.0.0/8 "::1" )
response_transcode_replace = "<a> & 'b'\\n\\tc \\"d\\" é"
Domain "Example.com" { retry_interval = 5 }
include "more.conf"
retry_interval = 3
ESMTP_Listener {
  context [ can_relay = "a b"  x = y ]
  Listen ":2525" { Peer 10.0.0.0/8 { idle_time = 7 } }
}
scriptlet "scriptlet" {
  script "one" { source = "msys.one" }
  include "script.conf"
}
dk_sign { DK_Domain "a.example" { selector = s1 } }
dk-sign { dk_domain "a.example" { selector = s2  key = "k" } headerlist = ( From To ) }
authorization { role "admin" { allow = ( "a" "b" ) } }
ec_logger { mainlog = main.ec }
"""
MORE = 'Domain "example.COM" { remote_smtp_port = 26 }\nBinding_Group g { Binding b { Domain x.org { } } }\nec_logger { heartbeat = 0 }\n'
SCRIPT = 'script "two" { source = "msys.two" }\n'


@pytest.fixture
def site(tmp_path):
    for name, text in {"ecelerity": MAIN, "more": MORE, "script": SCRIPT}.items():
        (tmp_path / f"{name}.conf").write_text(text)
    return tmp_path


def data_of(element):
    """An element as the JSON has it."""
    options, stanzas = {}, []
    for child in element:
        if child.tag == "stanza":
            stanzas.append({"kind": child.get("kind"), "name": child.get("name", ""), **data_of(child)})
        elif child.get("type") == "list":
            options[child.get("name")] = [item.get("value") for item in child]
        elif child.get("type") == "dictionary":
            options[child.get("name")] = {item.get("key"): item.get("value") for item in child}
        else:
            options[child.get("name")] = child.get("value")
    return {"options": options, "stanzas": stanzas}


def stanza(kind, name, stanzas=(), **options):
    return {"kind": kind, "name": name, "options": options, "stanzas": list(stanzas)}


EXPECTED = {
    "options": {"retry_interval": "3", "relay_hosts": ["10.0.0.0/8", "::1"], "response_transcode_replace": "<a> & 'b'\n\tc \"d\" é"},
    "stanzas": [
        stanza("domain", "example.com", retry_interval="5", remote_smtp_port="26"),
        stanza("binding_group", "g", [stanza("binding", "b", [stanza("domain", "x.org")])]),
        stanza("ec_logger", "", heartbeat="0", mainlog="main.ec"),
        stanza("esmtp_listener", "", [stanza("listen", "0.0.0.0:2525", [stanza("peer", "10.0.0.0/8", idle_time="7")])],
               context={"can_relay": "a b", "x": "y"}),
        stanza("scriptlet", "scriptlet", [stanza("script", "one", source="msys.one"), stanza("script", "two", source="msys.two")]),
        stanza("dk_sign", "", [stanza("dk_domain", "a.example", selector="s2", key="k")], headerlist=["From", "To"]),
        stanza("authorization", "", [stanza("role", "admin", allow=["a", "b"])]),
    ],
}


def test_xml_holds_all_that_the_files_say(site, run):
    done = run("ec_dump_config")
    assert (done.returncode, done.stderr) == (0, "")
    root = ElementTree.fromstring(done.stdout.encode())
    assert root.tag == "configuration" and data_of(root) == EXPECTED


def test_json_is_the_same_tree(site, run):
    done = run("ec_dump_config", "--json", "-c", str(site / "ecelerity.conf"), "-e", "/nowhere")
    assert (done.returncode, json.loads(done.stdout)) == (0, EXPECTED)
    assert done.stdout.count("\n") == 1


def test_xml_is_utf8_whatever_the_locale(site, run):
    done = run("ec_dump_config", "-f", "out.xml", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert (done.returncode, done.stdout) == (0, "")
    text = (site / "out.xml").read_bytes()
    assert text.startswith(b"<?xml version='1.0' encoding='UTF-8'?>\n<configuration>\n") and text.endswith(b"</configuration>\n")
    assert data_of(ElementTree.fromstring(text)) == EXPECTED


def test_local_changes_come_last(tmp_path, run):
    (tmp_path / "ecelerity.conf").write_text("local_changes_file = local.conf\nretry_interval = 1\n")
    (tmp_path / "local.conf").write_text("retry_interval = 2\n")
    assert json.loads(run("ec_dump_config", "--json").stdout)["options"]["retry_interval"] == "2"


def test_empty_configuration(tmp_path, run):
    (tmp_path / "ecelerity.conf").write_text("")
    assert data_of(ElementTree.fromstring(run("ec_dump_config").stdout)) == {"options": {}, "stanzas": []}


def test_empty_and_blank_values_stay(tmp_path, run):
    (tmp_path / "ecelerity.conf").write_text('hostname = ""\nrelay_hosts ( )\nmaildir { basedir = " a\r\n\r b " }\n')
    told = data_of(ElementTree.fromstring(run("ec_dump_config").stdout))
    assert told == json.loads(run("ec_dump_config", "--json").stdout)
    assert told["options"] == {"hostname": "", "relay_hosts": []}
    assert told["stanzas"] == [stanza("maildir", "", basedir=" a\r\n\r b ")]


def test_character_that_xml_does_not_have(tmp_path, run):
    (tmp_path / "ecelerity.conf").write_text('response_transcode_replace = "a\x01b"')
    done = run("ec_dump_config")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == 'ec_dump_config: "a?b" holds a character that XML does not have; JSON does\n'
    assert json.loads(run("ec_dump_config", "--json").stdout)["options"] == {"response_transcode_replace": "a\x01b"}


def test_mistakes_are_told_as_validate_config_tells_them(tmp_path, run):
    (tmp_path / "ecelerity.conf").write_text("invalid_option = 1\ntls = maybe\n")
    told, done = run("validate_config"), run("ec_dump_config", "-f", "out.xml")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", told.stdout)
    assert done.stderr.endswith("2 errors\n") and not (tmp_path / "out.xml").exists()
    assert run("ec_dump_config", "--json").stderr == run("validate_config", "--json").stdout


def test_file_that_is_not_there(run):
    done = run("ec_dump_config", "-c", "none.conf")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "none.conf: no such file\n1 error\n")


def test_output_that_cannot_be_written(site, run):
    done = run("ec_dump_config", "-f", "no/where.xml")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "ec_dump_config: no/where.xml: No such file or directory\n")


@pytest.mark.parametrize("to, code, said", [
    ("| true", 141, ""), ("> /dev/full", 2, "ec_dump_config: standard output: No space left on device\n")])
def test_reader_that_has_enough_or_disk_that_is_full(tmp_path, to, code, said):
    done = subprocess.run(["bash", "-o", "pipefail", "-c", f'"$@" {to}', "bash", sys.executable, "-m",
                           "pymomentum.commands.ec_dump_config", "--options"], env={**os.environ, "PYTHONPATH": str(ROOT)},
                          cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (code, said)


def test_options_are_those_of_the_registry(run):
    lines = [line.split("\t") for line in run("ec_dump_config", "--options").stdout.splitlines()]
    told = json.loads(run("ec_dump_config", "--options", "--json").stdout)
    assert [line[0] for line in lines] == [option["name"] for option in told]
    assert {line[0] for line in lines} == set(registry.OPTIONS)
    for (name, word, default, scopes), option in zip(lines, told, strict=True):
        row = registry.find(name, option["scopes"][0])
        assert (word, option["type"], scopes) == (row.type.word, row.type.word, ",".join(option["scopes"]))
        expected = row.defaults.get(option["scopes"][0], row.default)
        assert (row.type.parse(option["default"]) if option["default"] is not None else None) == expected
        assert default == (option["default"] or "") or default == f"( {' '.join(option['default'])} )"
    places = {(name, scope) for name, _, _, scopes in lines for scope in scopes.split(",")}
    assert places == {(name, scope) for name, rows in registry.OPTIONS.items() for row in rows for scope in row.scopes}


def test_options_as_lines(run):
    lines = run("ec_dump_config", "--options").stdout.splitlines()
    for line in ("file_mode\tpermissions in octal such as 0640\t0660\t"
                 "esmtp_listener,control_listener,http_listener,ecstream_listener,listen",
                 "tcp_recv_buffer_size\ta number\t32768\thttp_listener", "force_fsync\ttrue or false\ttrue\tglobal",
                 "critical\ta list\t( ALL )\tdebug_flags"):
        assert line in lines


def test_help_and_wrong_usage(run):
    done = run("ec_dump_config", "--help")
    assert done.returncode == 0 and "--options" in done.stdout and "Ends with 0" in done.stdout
    assert run("ec_dump_config", "--no").returncode == 2
