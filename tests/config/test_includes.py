"""Files that include files: where they are looked for, in which order, and where it ends."""
import os

import pytest

from pymomentum import config
from pymomentum.errors import ConfigErrors


def test_later_values_win_through_includes(conf):
    loaded = conf.load('retry_interval = 1\ninclude "a.conf"\nidle_timeout = 1', a="retry_interval = 2 idle_timeout = 2")
    assert loaded.globals["retry_interval"] == 2
    assert loaded.globals["idle_timeout"] == 1


def test_include_inside_a_stanza(conf):
    generation = conf.publish('Domain "x.org" { include a.conf }', a="retry_interval = 9")
    assert generation.lookup_delivery("default", "x.org")["retry_interval"] == 9


def test_folder_is_read_in_order_without_dotfiles(conf):
    folder = conf.folder / "d"
    (folder / "sub").mkdir(parents=True)
    (folder / "b.conf").write_text("retry_interval = 2")
    (folder / "a.conf").write_text("retry_interval = 1")
    (folder / ".c.conf").write_text("garbage {{{")
    (folder / "sub" / "z.conf").write_text("retry_interval = 3")
    assert conf.load('include "d"').globals["retry_interval"] == 2


def test_search_goes_beside_the_file_then_here_then_along_the_path(conf):
    for place, number in ("inner", 1), (".", 2), ("path/node7", 3):
        (conf.folder / place).mkdir(parents=True, exist_ok=True)
        (conf.folder / place / "x.conf").write_text(f"retry_interval = {number}")
    (conf.folder / "inner" / "main.conf").write_text("include x.conf")
    conf.env = {"EC_CONF_SEARCH_PATH": "nowhere:path/{NODENAME}", "NODENAME": "node7"}
    assert conf.load("include inner/main.conf").globals["retry_interval"] == 1
    (conf.folder / "inner" / "x.conf").unlink()
    assert conf.load("include inner/main.conf").globals["retry_interval"] == 2
    (conf.folder / "x.conf").unlink()
    assert conf.load("include inner/main.conf").globals["retry_interval"] == 3
    assert config.load("x.conf", env=conf.env).globals["retry_interval"] == 3


@pytest.mark.parametrize("text, files, place, message", [
    ("include ecelerity.conf", {}, ("ecelerity.conf", 1, 9), "ecelerity.conf includes itself"),
    ("include a.conf", {"a": "\ninclude b.conf", "b": "include a.conf"}, ("b.conf", 1, 9), "a.conf includes itself"),
    ("include no.conf", {}, ("ecelerity.conf", 1, 9), "no such file or folder: no.conf"),
    ("include http://x/y", {}, ("ecelerity.conf", 1, 9), "only files can be included"),
    ("include /dev/zero", {}, ("ecelerity.conf", 1, 9), "/dev/zero is not a regular file"),
    ("tls = no\ninclude a.conf", {"a": "tls = nope"}, ("a.conf", 1, 7),
     'tls: takes no | ifavailable | required, not "nope"'),
])
def test_include_that_cannot_be_followed(conf, text, files, place, message):
    error = conf.error(text, **files)
    assert (error.file, error.line, error.column) == place
    assert error.message == message


def test_mistakes_of_several_files_come_together(conf):
    errors = conf.errors("include a.conf include b.conf tls = x", a="{", b="tls = y")
    assert [(e.file, e.line) for e in errors] == [("ecelerity.conf", 1), ("a.conf", 1), ("b.conf", 1)]


def test_includes_that_multiply_are_bounded(conf):
    files = {f"f{i}": f"include f{i + 1}.conf\n" * 4 for i in range(20)}
    errors = conf.errors("include f0.conf", **files, f20="tls = no")
    assert any("more than 10000 includes" in e.message for e in errors)


def test_readonly_include_marks_what_it_names_and_no_more(conf):
    loaded = conf.load("readonly_include a.conf include c.conf", a="include b.conf", b="tls = no", c="tls = no")
    assert {os.path.basename(path) for path in loaded.readonly} == {"a.conf"}


def test_another_reading_leaves_what_a_configuration_may_write_as_it_is(conf):
    first = conf.load("readonly_include a.conf", a="tls = no")
    (conf.folder / "ecelerity.conf").write_text("include a.conf")
    second = config.load(conf.folder / "ecelerity.conf", before=first)
    assert ({os.path.basename(path) for path in first.readonly}, second.readonly) == ({"a.conf"}, frozenset())


def test_uri_of_a_file_names_it(conf):
    (conf.folder / "one.conf").write_text("idle_timeout = 3")
    (conf.folder / "two.conf").write_text("retry_interval = 4")
    loaded = conf.load(f'include "file://{conf.folder}/one.conf"\nreadonly_include "PERSIST://{conf.folder}/two.conf"')
    assert (loaded.globals["idle_timeout"], loaded.globals["retry_interval"]) == (3, 4)
    assert {os.path.basename(path) for path in loaded.readonly} == {"two.conf"}


def test_files_that_have_not_changed_are_not_parsed_again(conf):
    first = conf.load("include one.conf include two.conf", one="idle_timeout = 3", two="retry_interval = 4")
    (conf.folder / "two.conf").write_text("retry_interval = 5")
    second = config.load("ecelerity.conf", env=conf.env, before=first)
    assert (second.globals["idle_timeout"], second.globals["retry_interval"]) == (3, 5)
    assert second.files[1] is first.files[1] and second.files[2] is not first.files[2]
    conf.write("include one.conf")
    assert config.load("ecelerity.conf", env=conf.env, before=second).globals["retry_interval"] == 1200


def test_missing_and_huge_files_are_told(tmp_path):
    with pytest.raises(ConfigErrors, match="no such file"):
        config.load(tmp_path / "none.conf", env={})
    with pytest.raises(ConfigErrors, match="a folder, not a file"):
        config.load(tmp_path, env={})
    with open(tmp_path / "huge.conf", "wb") as stream:
        stream.truncate(100 * 1024 * 1024)
    with pytest.raises(ConfigErrors, match="larger than"):
        config.load(tmp_path / "huge.conf", env={})
