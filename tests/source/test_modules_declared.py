"""Every option of the table of modules is known where the module, or its place inside others, is read."""
import csv
from pathlib import Path

import pytest

from pymomentum.options import modules, registry, unbuilt
from pymomentum.options.types import Boolean, Decimal, Dict, Enum, List, Number, Octal, Range, Text

TABLE = Path(__file__).resolve().parents[1] / "spec" / "module_options.tsv"
TYPES = {"string": (Text, Enum), "number": (Number, Decimal), "boolean": Boolean, "octal": Octal, "list": List, "dictionary": Dict, "range": Range,
         "enum": (Enum, Text)}
INSIDE = {              # the table's word for a place -> paths under the module
    "module": [""], "": [""], "Scheme": ["/scheme"], "Scheme::Authenticate": ["/scheme/authenticate"],
    "Scheme::Authenticate,QueryGroups": ["/scheme/authenticate", "/scheme/querygroups"],
    "Scheme::QueryGroups,EnumGroups": ["/scheme/querygroups", "/scheme/enumgroups"],
    "Scheme::Authenticate,QueryGroups,EnumGroups": ["/scheme/authenticate", "/scheme/querygroups", "/scheme/enumgroups"],
    **{f"module,{inner}": ["", f"/{inner}"] for inner in ("dkim_domain", "dk_domain")},
    **{inner: [f"/{inner.lower()}"] for inner in ("Replicate", "Topology", "dk_domain", "dkim_domain", "server", "node", "match_header", "script")},
}
TOP = {"Datasource": "datasource", "adaptive_sweep_rule": "adaptive_sweep_rule"}    # stanzas that stand for themselves


def rows():
    with open(TABLE, encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["type"] in TYPES and row["module"] != "(all modules)":
                yield row


def paths(row):
    if row["scopes"] in TOP:
        return [TOP[row["scopes"]]]
    return [row["module"] + inner for inner in INSIDE.get(row["scopes"], ())]


ROWS = [row for row in rows() if paths(row)]
CORE = [row for row in rows() if set(row["scopes"].split(",")) <= set(registry.SCOPES)]


def test_what_neither_stands_in_a_stanza_nor_in_a_scope_is_of_other_files():
    others = {row["scopes"] for row in rows() if row not in ROWS and row not in CORE}
    assert others == {"ds_ldap", "ds_ldap URI", "pipe URI", "syslog URI", "cidr_maintain.conf", "liveupdate.conf", "msys.beta.rcptto_proxy.query"}


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['module']}.{row['option']}" for row in ROWS])
def test_option_of_a_module_is_known(row):
    name = row["option"].lower()
    for path in paths(row):
        built = modules.OPTIONS.get(path)
        type = built[name].type if built else unbuilt.options_of(path)[name]
        assert isinstance(type, TYPES[row["type"]])


@pytest.mark.parametrize("row", CORE, ids=[f"{row['module']}.{row['option']}" for row in CORE])
def test_option_of_a_module_in_a_scope_is_known(row):
    for scope in row["scopes"].split(","):
        assert registry.find(row["option"].lower(), scope)
