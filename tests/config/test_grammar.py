"""The language: what parses to what, positions and comments, and every way to be wrong."""
import random
import time
import tracemalloc

import pytest

from pymomentum.config import grammar
from pymomentum.config.grammar import MAX_BYTES, parse, read
from pymomentum.config.lexer import MAX_DEPTH
from pymomentum.config.tree import Setting
from pymomentum.errors import ConfigError


def shape(nodes):
    return [(n.name, n.value.raw()) if isinstance(n, Setting) else
            (n.name, n.label.text if n.label else None, shape(n.body)) for n in nodes]


@pytest.mark.parametrize("text, expected", [
    ("", []),
    ("a = 1", [("a", "1")]),
    ("a=1 b=2", [("a", "1"), ("b", "2")]),
    ("A_b.c-d = x", [("A_b.c-d", "x")]),
    ("a = var/spool/x", [("a", "var/spool/x")]),
    ("a = /x/y", [("a", "/x/y")]),
    ("a = 10/60", [("a", "10/60")]),
    ("a = x,y", [("a", "x,y")]),
    ("a = +ALL:-SSLv3", [("a", "+ALL:-SSLv3")]),
    ('a = "b c"', [("a", "b c")]),
    ("a = 'b \"c\"'", [("a", 'b "c"')]),
    (r'a = "x\"y\\z\n"', [("a", 'x"y\\z\n')]),
    (r'a = "\d+\.x"', [("a", r"\d+\.x")]),
    ('a = ""', [("a", "")]),
    ('a = "two\nlines"', [("a", "two\nlines")]),
    ("a = (1 2 3)", [("a", ["1", "2", "3"])]),
    ("a (1, 2,3,)", [("a", ["1", "2", "3"])]),
    ("a ()", [("a", [])]),
    ("a = [k = v, x = y]", [("a", {"k": "v", "x": "y"})]),
    ("a [k v x y]", [("a", {"k": "v", "x": "y"})]),
    ("a (k = v x = y)", [("a", {"k": "v", "x": "y"})]),
    ("a []", [("a", {})]),
    ("s {}", [("s", None, [])]),
    ("s x { a = 1 t 'y z' { b (2) } c = 3 }", [("s", "x", [("a", "1"), ("t", "y z", [("b", ["2"])]), ("c", "3")])]),
    ("Listen *:25 {}", [("Listen", "*:25", [])]),
    ('Domain "/^mx\\d+/" {}', [("Domain", "/^mx\\d+/", [])]),
    ("# one\na = 1 # two\n/* b = 2\n */ c = 3", [("a", "1"), ("c", "3")]),
    ("a = x#y", [("a", "x")]),
    ("a = x/*y*/", [("a", "x")]),
    ("\ufeffa = 1\r\nb = 2\r\n", [("a", "1"), ("b", "2")]),
    ("a = é", [("a", "é")]),
])
def test_text_parses_to(text, expected):
    assert shape(parse("f", text.encode()).body) == expected


def test_nodes_know_their_place():
    text = "# head\nDomain example.com {\n  a = \"x\ny\"  # tail\n}\n"
    file = parse("f", text.encode())
    [stanza] = file.body
    [setting] = stanza.body
    assert (stanza.line, stanza.column, stanza.end_line) == (2, 1, 5)
    assert text[setting.start:setting.end] == 'a = "x\ny"'
    assert (setting.value.line, setting.value.column, setting.value.end_line) == (3, 7, 4)
    assert file.text == text


@pytest.mark.parametrize("text, line, column, message", [
    ("a", 1, 2, "the file ends too early"),
    ("a b", 1, 3, '"=" or "{" is missing after "a"'),
    ("a = ", 1, 5, "the file ends too early"),
    ("a = {", 1, 5, '"{" is not possible here'),
    ("a = = 1", 1, 5, '"=" is not possible here'),
    ("x {\n y {\n }", 1, 3, 'this "{" is not closed'),
    ("Domain x { };", 1, 13, '";" is not possible here'),
    ("x =\ny { a = 1 }", 1, 1, '"x" has no value'),
    ("x\ny = 1", 1, 1, '"x" has no value'),
    ("x (\n1 2", 1, 3, 'this "(" is not closed'),
    ("x [1 2", 1, 3, 'this "[" is not closed'),
    ("}", 1, 1, '"}" is not possible here'),
    ("a = 1\n  }", 2, 3, '"}" is not possible here'),
    ("a = 'x", 1, 5, "this string is not closed"),
    ("a = 1\n/* x", 2, 1, "this comment is not closed"),
    ("a = (x y = z)", 1, 6, "values and pairs are mixed in one list"),
    ("a = [x]", 1, 7, '"]" is not possible here'),
    ("a = (1 (2))", 1, 8, '"(" is not possible here'),
    ("5 = a", 1, 1, '"5" is not possible here'),
    ("a = b, c", 1, 9, "the file ends too early"),
    ("é = 1", 1, 1, '"é" is not possible here'),
])
def test_mistake_is_told_with_its_place(text, line, column, message):
    with pytest.raises(ConfigError) as caught:
        parse("f", text.encode())
    error = caught.value
    assert (error.line, error.column, error.message) == (line, column, message)


@pytest.mark.parametrize("data, line, column, message", [
    (b"a = 1\nb = \0", 2, 5, "a NUL byte"),
    (b"a = 1\nb = \xc3\xa9 \xff", 2, 7, "not UTF-8 text"),
    (b"\xff", 1, 1, "not UTF-8 text"),
])
def test_bytes_that_are_no_text_are_refused(data, line, column, message):
    with pytest.raises(ConfigError) as caught:
        parse("f", data)
    assert (caught.value.line, caught.value.column, caught.value.message) == (line, column, message)


def test_size_and_depth_are_bounded(monkeypatch):
    with pytest.raises(ConfigError, match="larger than"):
        parse("f", b"x" * (MAX_BYTES + 1))
    monkeypatch.setattr(grammar, "MAX_NODES", 100)
    with pytest.raises(ConfigError, match="more than 100 statements"):
        parse("f", b"a=1 " * 101)
    parse("f", b"a{" * MAX_DEPTH + b"}" * MAX_DEPTH)


@pytest.mark.parametrize("end", ["", "}" * 1000 + " b = 1"])
def test_stanzas_nested_too_deep_are_one_mistake(end):
    file = read("f", b"Domain x {\n" * 1000 + end.encode())
    deep = [error for error in file.errors if "not closed" not in error.message]
    assert [(e.line, e.column, e.message) for e in deep] == [(MAX_DEPTH + 1, 10, f"nested deeper than {MAX_DEPTH} stanzas")]
    assert len(file.body) == (2 if end else 1)


def test_memory_of_garbage_is_a_small_multiple_of_its_size():
    tracemalloc.start()
    for piece in (b"a{", b"{\n", b"\0 = "):
        assert read("f", (piece * 100_000)[:200_000]).errors
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * 200_000


@pytest.mark.parametrize("text", ["/*" * 500_000, '\\"' * 500_000, "a = (\n" * 150_000, "}\n" * 500_000,
                                  "{" * 1_000_000, "é\n" * 500_000, "= \"x\n/* \\' \n" * 70_000],
                         ids=lambda text: repr(text[:6]))
def test_garbage_ends_soon(text):
    start = time.process_time()
    assert 1 <= len(read("f", text.encode()).errors) <= 100
    assert time.process_time() - start < 6


def test_random_mutations_end_in_a_tree_or_a_config_error():
    rng = random.Random(20)
    seed = (b'include "x"\nBinding_Group "g" { Binding b { a = (1, 2) c [k = "v\\"" d e] # x\n } }\n'
            b"/* c */ Domain '/re/' { r = 10/60 }\n")
    pieces = [b"{", b"}", b"(", b")", b"[", b"]", b"=", b",", b'"', b"'", b"#", b"/*", b"*/", b"\\", b"\n", b"\0",
              b"\xff", b"a", b" ", b"/", "é".encode()]
    start = time.process_time()
    for _ in range(3000):
        data = bytearray(seed)
        for _ in range(rng.randrange(1, 6)):
            at = rng.randrange(len(data) + 1)
            data[at:at + rng.randrange(4)] = rng.choice(pieces) * rng.randrange(3)
        try:
            parse("f", bytes(data))
        except ConfigError as e:
            assert e.line >= 1 and e.column >= 1 and str(e)
    assert time.process_time() - start < 15
