"""Every option of the table is declared with the table's default and scopes."""
import csv
from pathlib import Path
from socket import gethostname

import pytest

from pymomentum.options import registry
from pymomentum.options.types import Octal

TABLE = Path(__file__).resolve().parents[1] / "spec" / "options.tsv"
ON_THIS_MACHINE = {"system hostname": gethostname(), "mailer-daemon@<gethostname>": f"mailer-daemon@{gethostname()}"}

UNSET = ("local_changes_file",)         # where it is not set there is none, whatever the table says


def core_rows():
    with open(TABLE, encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE):
            scopes = frozenset(row["scopes"].split(",")) & set(registry.SCOPES)
            if scopes and row["type"] not in ("scope", "directive"):
                yield row, scopes


ROWS = list(core_rows())


def test_the_table_is_whole():
    assert len(ROWS) == 334


@pytest.mark.parametrize("row, scopes", ROWS, ids=[row["name"] for row, _ in ROWS])
def test_option_is_declared_as_the_table_says(row, scopes):
    option = registry.find(row["name"], min(scopes))
    assert option is not None
    assert option.scopes == scopes
    assert option.page == row["manual_page"]
    assert option.dynamic == (row["dynamic"] != "non-dynamic")
    cell = row["default"]
    if cell in ON_THIS_MACHINE:
        expected = ON_THIS_MACHINE[cell]
    elif cell and row["name"] not in UNSET:
        expected = option.type.parse(cell.split() if option.type.kind == "list" else cell)
    else:
        expected = None
    assert (option.default or None if expected is None else option.default) == expected


def test_options_of_our_own_have_no_manual_page():
    table = {row["name"] for row, _ in ROWS}
    ours = {name for name, rows in registry.OPTIONS.items() if not rows[0].page} - {
        row["name"] for row, _ in ROWS if not row["manual_page"]}
    assert set(registry.OPTIONS) - table == ours


@pytest.mark.parametrize("name", registry.names())
def test_option_row_is_complete(name):
    for row in registry.OPTIONS[name]:
        assert row.scopes
        assert row.doc.endswith(".") and len(row.doc) < 120
        default = row.default
        if isinstance(default, (str, int)):
            assert row.type.parse(f"{default:04o}" if isinstance(row.type, Octal) else str(default)) == default
        row.type.encode(default)
