"""Which tests show which options: the marks `shows`, read from the sources of the tests.

`python -m tests.harness.shown [OPTION ...]` runs each claim with its option ignored (ignoring.py), and names the
tests that pass all the same: they show nothing.  Without names it runs all, which takes some minutes.
"""
import ast
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
MARK = "pytest.mark.shows"
AT_ONCE = 4                     # they wait more than they work


def marks(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == MARK]


def claims():
    """Answer (test, option) of every mark, a test as pytest names it; ValueError where a mark is on no test."""
    found = []
    for path in sorted(TESTS.rglob("test_*.py")):
        text = path.read_text()
        if MARK not in text:
            continue
        tree = ast.parse(text)
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
        on_tests = [(function, mark) for function in functions for decorator in function.decorator_list for mark in marks(decorator)]
        if len(on_tests) != len(marks(tree)):
            raise ValueError(f"{path}: a mark `shows` is on no test")
        place = path.relative_to(TESTS.parent)
        found += [(f"{place}::{function.name}", ast.literal_eval(option)) for function, mark in on_tests for option in mark.args]
    return found


def shows_nothing(test, option):
    """Whether all of a test passes while the option is ignored."""
    run = subprocess.run([sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test], cwd=TESTS.parent,
                         env={**os.environ, "EC_IGNORE": option}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return run.returncode == 0


def main(wanted):
    asked = [claim for claim in claims() if not wanted or claim[1] in wanted]
    vacuous = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for (test, option), bad in zip(asked, pool.map(lambda claim: shows_nothing(*claim), asked)):
            vacuous += bad
            print(f"{'NOTHING' if bad else 'shown  '} {option} {test}", flush=True)
    return vacuous > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
