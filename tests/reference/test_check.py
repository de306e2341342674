"""The check of a manual's examples, on pages of our own; and our own pages of options."""
import subprocess
import sys
from pathlib import Path

import pytest

from pymomentum.reference import __main__ as command_line
from pymomentum.reference.check import check
from pymomentum.reference.examples import alternatives, read
from pymomentum.reference.pages import texts
from tests.harness.mta import ROOT

PAGES = Path(__file__).parent / "pages"


def test_examples_are_found_by_line_and_load():
    results = [check(example) for example in read(PAGES / "good.md")]
    assert [r.example.line for r in results] == [6, 20, 28, 28, 33]
    assert all(r.loads for r in results), [r.errors for r in results]
    assert [r.example.text for r in results[2:4]] == ["Tls = ifavailable", "Tls = required"]


def test_other_languages_are_left_alone():
    assert read(PAGES / "other-languages.md") == []


def test_each_mistake_is_told():
    results = [check(example) for example in read(PAGES / "wrong.md")]
    assert [r.errors[0].message for r in results] == [
        'unknown option "retry_intervall"', 'max_received_headers: takes a number, not "many"',
        'unknown option "colour" of alias/scheme', 'this "{" is not closed']


@pytest.mark.parametrize("line, found", [
    ('a = "no|yes"', ["a = no", "a = yes"]), ("a = true|false", ["a = true", "a = false"]), ('a = "X"|"Y"', ["a = X", "a = Y"]),
    ('a = "x|y z"', ['a = "x|y z"']), ("a = 5", ["a = 5"])])
def test_alternatives_of_a_synopsis(line, found):
    assert alternatives(line) == found


@pytest.mark.parametrize("page, code, told", [("good.md", 0, "5 examples, 5 load (100.0 %), 0 do not"),
                                              ("wrong.md", 1, "4 examples, 0 load (0.0 %), 4 do not"),
                                              ("other-languages.md", 1, "no configuration examples under")])
def test_command(tmp_path, page, code, told):
    (tmp_path / page).write_text((PAGES / page).read_text())
    run = subprocess.run([sys.executable, "-m", "pymomentum.reference", "--check", tmp_path], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == code and told in run.stdout + run.stderr


def test_example_that_is_known_to_be_wrong_is_no_failure(tmp_path, monkeypatch, capsys):
    (tmp_path / "wrong.md").write_text((PAGES / "wrong.md").read_text())
    lines = [example.line for example in read(PAGES / "wrong.md")]
    monkeypatch.setattr(command_line, "ERRATA", tmp_path / "errata")
    for listed, code in ((lines[:-1], 1), (lines, 0)):
        (tmp_path / "errata").write_text(f"| wrong | {', '.join(map(str, listed))} | much |\n")
        assert command_line.main(["--check", str(tmp_path)]) == code
        told = capsys.readouterr().out
        assert f"{len(listed)} of these are in" in told and ("wrong.md:" in told) == bool(code)


def test_pages_of_options_are_what_the_rows_say():
    """Run ./build.sh manual after a change."""
    folder = ROOT / "docs"
    assert {path: (folder / path).read_text() for path, _ in texts() if (folder / path).exists()} == dict(texts())
    assert {p.name for p in (folder / "options").iterdir()} == {path.name for path, _ in texts() if path.parent.name == "options"}
