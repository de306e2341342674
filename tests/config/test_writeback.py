"""Changes written back: one place each, all else byte for byte as it was."""
import os
import pickle
import resource
import signal

import pytest

from pymomentum.config import changed, load, writeback
from pymomentum.config.changes import Change
from pymomentum.config.merged import find, merge
from pymomentum.console.values import value_text
from pymomentum.errors import ConsoleError

MAIN = """# our relay
Message_Expiration = 86400     # a day
include "bindings.conf"

Domain "shop.example" {
\tRetry_Interval = 300   # five minutes
}
Domain small.example { Retry_Interval = 60 }
Relay_Hosts = ( 10.0.0.0/8
                192.168.0.0/16 )   # office
"""
BINDINGS = """Binding_Group "pool" {
    Binding "one" {
        EHLO_Hostname = "one.example"
    }
}
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Files of a site, and a function that makes changes, writes them back and answers the files."""
    monkeypatch.chdir(tmp_path)

    def write(*commands, main=MAIN, **more):
        files = {"ecelerity.conf": main, "bindings.conf": BINDINGS, **{name.replace("_conf", ".conf"): text for name, text in more.items()}}
        for name, text in files.items():
            (tmp_path / name).write_bytes(text.encode())
        loaded = load("ecelerity.conf")
        root = merge(loaded)
        for verb, *words in commands:
            branch, left = find(root, words)
            loaded = changed(loaded, [Change(branch.path, left[0], value_text(" ".join(left[1:])) if verb == "set" else None)])
        before = {name: setting.value.raw() for name, setting in merge(loaded).settings.items()}
        work = writeback.Writeback(loaded)
        work.save()
        left = list(work.left)
        if not left:
            after = merge(load("ecelerity.conf"))
            assert {name: setting.value.raw() for name, setting in after.settings.items()} == before
        assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]
        return {name: (tmp_path / name).read_bytes().decode() for name in os.listdir(tmp_path)}, left
    return write


def as_user(uid, work):
    """What a function answers in a process of that user."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            os.write(write, pickle.dumps(work()))
        finally:
            os._exit(0)
    os.close(write)
    with open(read, "rb") as answer:
        data = answer.read()
    os.waitpid(child, 0)
    return pickle.loads(data)


def test_value_is_replaced_where_it_stands(site):
    files, _ = site(("set", "message_expiration", "3600"))
    assert files["ecelerity.conf"] == MAIN.replace("= 86400  ", "= 3600  ")
    assert files["bindings.conf"] == BINDINGS


def test_value_in_an_included_file_changes_there(site):
    files, _ = site(("set", "binding_group", "pool", "binding", "one", "ehlo_hostname", "uno.example"))
    assert files == {"ecelerity.conf": MAIN, "bindings.conf": BINDINGS.replace('"one.example"', "uno.example")}


def test_list_over_two_lines_is_replaced_whole(site):
    files, _ = site(("set", "relay_hosts", "(", "127.0.0.1", ")"))
    assert files["ecelerity.conf"] == MAIN.replace("( 10.0.0.0/8\n                192.168.0.0/16 )", "( 127.0.0.1 )")


LIST = """Relay_Hosts = (
    # the office
    10.0.0.0/8        # its net
    192.168.0.0/16
    /* the shop */ 172.16.0.0/12
)
"""


@pytest.mark.parametrize("words, old, new", [
    ("10.0.0.0/8 192.168.0.0/16 172.16.0.0/12", "", ""),
    ("10.0.0.0/8 192.168.0.0/16 ::1 172.16.0.0/12", "192.168.0.0/16\n", '192.168.0.0/16\n    ::1\n'),
    ("10.0.0.0/8 ::1 ::2 192.168.0.0/16 172.16.0.0/12", "# its net\n", '# its net\n    ::1\n    ::2\n'),
    ("10.0.0.0/8 192.168.0.0/16 172.16.0.0/12 ::1", "172.16.0.0/12\n", '172.16.0.0/12\n    ::1\n'),
    ("::1 10.0.0.0/8 192.168.0.0/16 172.16.0.0/12", "(\n", '(\n    ::1\n'),
    ("10.0.0.0/8 172.16.0.0/12", "    192.168.0.0/16\n", ""),
    ("192.168.0.0/16 172.16.0.0/12", "10.0.0.0/8        ", "        "),
    ("10.0.0.0/8 ::1 172.16.0.0/12", "192.168.0.0/16", '::1'),
    ("10.0.0.0/8 192.168.0.0/16", "172.16.0.0/12", ""),
    ("", "10.0.0.0/8        # its net\n    192.168.0.0/16\n    /* the shop */ 172.16.0.0/12", "        # its net\n    /* the shop */ "),
])
def test_of_a_list_over_several_lines_only_what_differs_changes(site, words, old, new):
    files, _ = site(("set", "relay_hosts", "(", *words.split(), ")"), main=LIST)
    assert files["ecelerity.conf"].replace(" \n", "\n") == LIST.replace(old, new).replace(" \n", "\n")


@pytest.mark.parametrize("old, words, new", [
    ("(\n  a,\n  b\n)", "a b c", "(\n  a,\n  b,\n  c\n)"),
    ("(\n  a,\n  b\n)", "c a b", "(\n  c,\n  a,\n  b\n)"),
    ("(\n  a, # x\n  b,\n)", "a c b d", "(\n  a, # x\n  c,\n  b,\n  d\n)"),
    ("(\n  a,\n  b\n)", "b", "(\n  b\n)"),
    ("( a /* x */ b )", "a c d", "( a /* x */ c d )"),
    ("( a /* x */ b c )", "a c", "( a /* x */ c )"),
    ("( a\n  b )", "b", "(\n  b )"),
    ("( a\n  b )", "c a b", "( c a\n  b )"),
    ("( a\n  b )", "a b c", "( a\n  b\n  c )"),
    ("(\r\n\ta\r\n)", "a b", "(\r\n\ta\r\n\tb\r\n)"),
    ("(\n  # none yet\n)", "a b", "(\n  a\n  b\n  # none yet\n)"),
    ("(a /* x\n*/\"b\"c\n)", "a d c", "(a /* x\n*/d c\n)"),
    ("( a b )", "a c", "( a c )"),
    ('(\n  "a"\n  "b"\n)', "a b c", '(\n  "a"\n  "b"\n  "c"\n)'),
])
def test_lists_keep_their_style(site, old, words, new):
    files, _ = site(("set", "relay_domains", "(", *words.split(), ")"), main=f"Relay_Domains {old}")
    assert files["ecelerity.conf"] == f"Relay_Domains {new}"


def test_dictionary_over_several_lines_keeps_its_comments(site):
    old = 'ESMTP_Listener {\n  context = [\n    a = "1"   # first\n    b = "2"\n  ]\n}\n'
    files, _ = site(("set", "esmtp_listener", "context", "[", "a", "=", "3", "c", "=", "4", "]"), main=old)
    assert files["ecelerity.conf"] == old.replace('"1"', "3").replace('b = "2"', "c = 4")


EXPRESSIONS = r"""Domain "/^\d+a/" { Retry_Interval = 1 }
Domain "/^\D+a/" { Retry_Interval = 2 }
"""


@pytest.mark.parametrize("command, old, new", [
    (("set", "domain", r"/^\D+a/", "retry_interval", "9"), "= 2", "= 9"),
    (("set", "domain", r"/^\d+a/", "retry_interval", "9"), "= 1", "= 9"),
    (("unset", "domain", r"/^\D+a/", "retry_interval"), "Retry_Interval = 2 ", ""),
])
def test_expressions_that_differ_in_case_are_told_apart(site, command, old, new):
    files, _ = site(command, main=EXPRESSIONS)
    assert files["ecelerity.conf"] == EXPRESSIONS.replace(old, new)


def test_new_option_joins_its_stanza(site):
    files, _ = site(("set", "domain", "shop.example", "Max_Retries", "9"))
    assert files["ecelerity.conf"] == MAIN.replace("# five minutes\n}", "# five minutes\n\tMax_Retries = 9\n}")
    files, _ = site(("set", "binding_group", "pool", "binding", "one", "Max_Retries", "9"))
    assert files["bindings.conf"] == BINDINGS.replace('.example"\n', '.example"\n        Max_Retries = 9\n')


def test_new_option_of_a_stanza_on_one_line(site):
    files, _ = site(("set", "domain", "small.example", "Max_Retries", "9"))
    assert files["ecelerity.conf"] == MAIN.replace("= 60 }", "= 60 Max_Retries = 9 }")


@pytest.mark.parametrize("old, new", [
    ("Domain a.example\n{ retry_interval = 5\n}\n", "Domain a.example\n{ retry_interval = 5\n  Max_Retries = 3\n}\n"),
    ("Domain a.example {\n  /* five */ retry_interval = 5\n}\n", "Domain a.example {\n  /* five */ retry_interval = 5\n  Max_Retries = 3\n}\n"),
    ("Domain a.example { retry_interval = 5 # five\n\ttls = no\n}\n",
     "Domain a.example { retry_interval = 5 # five\n\ttls = no\n\tMax_Retries = 3\n}\n"),
    ("Domain a.example { retry_interval = 5}", "Domain a.example { retry_interval = 5 Max_Retries = 3 }"),
])
def test_only_blanks_of_a_neighbour_are_copied(site, old, new):
    files, _ = site(("set", "domain", "a.example", "Max_Retries", "3"), main=old)
    assert files["ecelerity.conf"] == new


@pytest.mark.parametrize("old, words, new", [
    ('hostname="a"tls = no\n', ("hostname", "b"), "hostname=b tls = no\n"),
    ("relay_domains(a)tls = no\n", ("relay_domains", "b.example"), "relay_domains = b.example tls = no\n"),
    ("relay_domains /* = */ ( a )\n", ("relay_domains", "b.example"), "relay_domains /* = */ = b.example\n"),
])
def test_new_value_does_not_grow_together_with_its_neighbours(site, old, words, new):
    files, _ = site(("set", *words), main=old)
    assert files["ecelerity.conf"] == new


def test_new_stanza_and_global_option_go_to_the_end(site):
    files, _ = site(("set", "domain", "new.example", "Max_Retries", "9"), ("set", "Max_Retries", "7"))
    assert files["ecelerity.conf"] == MAIN + 'domain "new.example" {\n  Max_Retries = 9\n}\nMax_Retries = 7\n'


@pytest.mark.parametrize("main, expected", [
    ("Retry_Interval = 5\r\n# end\r\n", "Retry_Interval = 5\r\n# end\r\nMax_Retries = 7\r\n"),
    ("Retry_Interval = 5", "Retry_Interval = 5\nMax_Retries = 7\n"),
    ("", "Max_Retries = 7\n"),
    ("\ufeffRetry_Interval = 5\n", "\ufeffRetry_Interval = 5\nMax_Retries = 7\n"),
])
def test_ends_of_lines_and_of_files(site, main, expected):
    files, _ = site(("set", "Max_Retries", "7"), main=main)
    assert files["ecelerity.conf"] == expected


def test_unset_takes_the_line_but_leaves_comments(site):
    files, _ = site(("unset", "domain", "small.example", "retry_interval"), ("unset", "message_expiration"))
    assert files["ecelerity.conf"] == MAIN.replace("Retry_Interval = 60 ", "").replace("Message_Expiration = 86400     #", "     #")
    files, _ = site(("unset", "retry_interval"), main="# a\nRetry_Interval = 5\n# b\n")
    assert files["ecelerity.conf"] == "# a\n# b\n"


def test_read_only_files_are_passed_by(site):
    main = 'readonly_include "fixed.conf"\nDomain fixed.example { }\n'
    files, _ = site(("set", "domain", "fixed.example", "Max_Retries", "9"), main=main, fixed_conf="Domain fixed.example { Max_Retries = 1 }\n")
    assert files["fixed.conf"] == "Domain fixed.example { Max_Retries = 1 }\n"
    assert files["ecelerity.conf"] == main.replace("{ }", "{ Max_Retries = 9 }")


def test_value_changes_where_it_was_read_last(site):
    main = 'include "inc.conf"\nmax_retries = 2\n'
    files, _ = site(("set", "max_retries", "9"), main=main, inc_conf="max_retries = 1\n")
    assert (files["ecelerity.conf"], files["inc.conf"]) == (main.replace("2", "9"), "max_retries = 1\n")


def test_value_goes_to_a_stanza_behind_the_one_that_cannot_be_written(site):
    main = 'Domain a.example { }\nreadonly_include "fixed.conf"\nDomain a.example { tls = no }\n'
    files, _ = site(("set", "domain", "a.example", "max_retries", "9"), main=main, fixed_conf="Domain a.example { max_retries = 1 }\n")
    assert files["ecelerity.conf"] == main.replace("tls = no }", "tls = no max_retries = 9 }")


def test_file_included_by_one_that_may_not_be_written_may_be(site):
    """The example of conf-overview in the manual."""
    main = 'readonly_include "foo.conf"\ninclude "baz.conf"\n'
    foo = 'Domain yahoo.example {\n  Gateway = "server.yahoo.example"\n  include "bar.conf"\n}\n'
    files, _ = site(("set", "domain", "yahoo.example", "Gateway", "server2.yahoo.example"), ("set", "domain", "yahoo.example", "Max_Retries", "9"),
                    main=main, foo_conf=foo, bar_conf="# bar\n", baz_conf="Domain yahoo.example { }\n")
    assert (files["ecelerity.conf"], files["foo.conf"], files["baz.conf"]) == (main, foo, "Domain yahoo.example { }\n")
    assert files["bar.conf"] == "# bar\nGateway = server2.yahoo.example\nMax_Retries = 9\n"


def test_what_a_read_only_file_says_cannot_be_unset(site):
    files, left = site(("unset", "domain", "fixed.example", "max_retries"), main='readonly_include "fixed.conf"\n',
                       fixed_conf="Domain fixed.example { Max_Retries = 1 }\n")
    assert files["fixed.conf"] == "Domain fixed.example { Max_Retries = 1 }\n"
    assert [change.command for change in left] == ["config unset Domain fixed.example max_retries"]


def test_what_is_unset_again_leaves_nothing_behind(site):
    files, left = site(("set", "domain", "tmp.example", "max_retries", "3"), ("unset", "domain", "tmp.example", "max_retries"))
    assert (files["ecelerity.conf"], left) == (MAIN, [])


@pytest.mark.parametrize("only, expected", [("true", "Max_Retries = 7\n"), ("false", None)])
def test_local_changes_file(site, only, expected):
    main = f'local_changes_file = "local.conf"\nlocal_changes_only = {only}\nMax_Retries = 3\n'
    files, _ = site(("set", "Max_Retries", "7"), main=main)
    assert files.get("local.conf") == expected
    assert files["ecelerity.conf"] == (main if only == "true" else main.replace("= 3", "= 7"))


def test_file_that_was_edited_meanwhile_is_not_overwritten(site, tmp_path):
    site()
    loaded = load("ecelerity.conf")
    loaded = changed(loaded, [Change((), "Max_Retries", "7")])
    (tmp_path / "ecelerity.conf").write_text(MAIN + "# by hand\n")
    with pytest.raises(ConsoleError, match="has changed since it was read"):
        writeback.Writeback(loaded).loaded_anew()


def test_permissions_stay(site, tmp_path):
    site()
    (tmp_path / "ecelerity.conf").chmod(0o604)
    loaded = changed(load("ecelerity.conf"), [Change((), "Message_Expiration", "7")])
    work = writeback.Writeback(loaded)
    assert not work.left and work.save() == ["ecelerity.conf"]
    assert (tmp_path / "ecelerity.conf").stat().st_mode & 0o777 == 0o604


def test_disk_that_is_full_changes_no_file(site, tmp_path):
    """A limit of the process stands for the disk's."""
    site()
    loaded = changed(load("ecelerity.conf"), [Change((), "Message_Expiration", "7"),
                                              Change((("Binding_Group", "pool"), ("Binding", "one")), "EHLO_Hostname", "uno.example")])
    work = writeback.Writeback(loaded)
    assert not work.left
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(MAIN) - 50, old[1]))      # room for the one, not for the other
    try:
        with pytest.raises(ConsoleError, match="cannot write .*File too large"):
            work.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, ignored)
    assert (tmp_path / "ecelerity.conf").read_text() == MAIN and (tmp_path / "bindings.conf").read_text() == BINDINGS
    assert sorted(os.listdir(tmp_path)) == ["bindings.conf", "ecelerity.conf"]


@pytest.mark.parametrize("before, new, after", [
    ("relay_hosts = (\n  127.0.0.1\n  10.0.0.1\n  10.0.0.2)\n", "( 127.0.0.1 )", "relay_hosts = (\n  127.0.0.1\n)\n"),
    ("relay_domains = (\r\n  a.test\r\n  b.test c.test d.test)\r\n", "( d.test )", "relay_domains = (\r\n d.test)\r\n"),
    ("relay_hosts = (\n  10.0.0.1  \n  10.0.0.2 ) max_retries = 5\n", "( 10.0.0.1 )", "relay_hosts = (\n  10.0.0.1 ) max_retries = 5\n"),
    ('relay_domains = (\n\th.test,  \na.b "c.d" # n\n)\n', "( )", "relay_domains = (\n # n\n)\n"),
    ("relay_hosts = (\n  10.0.0.1 10.0.0.2\n  10.0.0.3\n)\n", "( 10.0.0.9 )", "relay_hosts = (\n  10.0.0.9\n)\n"),
])
def test_several_items_leave_a_list(site, before, new, after):
    option = before.split()[0]
    files, left = site(("set", option, *new.split()), main=before)
    assert (files["ecelerity.conf"], left) == (after, [])


GROUPS = 'Binding_Group "g" {\n  Binding "b" {\n    max_retries = 1\n  }\n}\n'


@pytest.mark.parametrize("words, expected", [
    ("binding_group g binding b domain d.test", GROUPS.replace("1\n  }", '1\n    domain "d.test" {\n      tls = no\n    }\n  }')),
    ("binding_group g binding other", GROUPS.replace("  }\n}", '  }\n  binding "other" {\n    tls = no\n  }\n}'))])
def test_new_stanza_goes_into_the_file_of_the_one_around_it(site, words, expected):
    """conf-overview: a binding has its file, and keeps it."""
    main = "include groups.conf\nretry_interval = 60\n"
    files, left = site(("set", *words.split(), "tls", "no"), main=main, groups_conf=GROUPS)
    assert (files["groups.conf"], files["ecelerity.conf"], left) == (expected, main, [])


@pytest.mark.parametrize("first, second", [("groups.conf", "more.conf"), ("more.conf", "groups.conf")])
def test_new_expression_goes_behind_the_others(site, first, second):
    """The first that fits counts."""
    more = 'Binding_Group "g" { Binding "b" { Domain "/d/" { tls = no } } }\n'
    files, left = site(("set", *"binding_group g binding b domain /test/ tls required".split()),
                       main=f"include {first}\ninclude {second}\n", groups_conf=GROUPS, more_conf=more)
    assert "/test/" in files[second] and "/test/" not in files[first] and not left


def test_nothing_is_written_where_another_file_has_changed(site, tmp_path):
    site(main="include a.conf\nretry_interval = 1\n", a_conf="max_retries = 1\n")
    work = writeback.Writeback(changed(load("ecelerity.conf"), [Change((), "Retry_Interval", "7")]))
    (tmp_path / "a.conf").write_text("max_retries = 2\n")
    with pytest.raises(ConsoleError, match="a.conf has changed since it was read, and nothing was written"):
        work.loaded_anew()


@pytest.mark.root
@pytest.mark.parametrize("folder, file, owner", [(0o755, 0o644, 65534), (0o777, 0o666, 0)])
def test_file_that_may_be_written_but_not_replaced_is_written(tmp_path, folder, file, owner):
    """In a folder, or of an owner, that the server has no say in."""
    (tmp_path / "c").mkdir()
    main = tmp_path / "c" / "main.conf"
    main.write_text("retry_interval = 60\n")
    for path, mode, uid in ((main, file, owner), (tmp_path / "c", folder, 0), (tmp_path, 0o755, 0)):
        os.chown(path, uid, uid)
        path.chmod(mode)
    for outer in tmp_path.parents[:3]:
        outer.chmod(0o755)

    def write():
        work = writeback.Writeback(changed(load(main), [Change((), "Retry_Interval", "7")]))
        work.loaded_anew()
        return work.save(), list(work.left)
    assert as_user(65534, write) == ([str(main)], [])
    assert main.read_text() == "retry_interval = 7\n" and main.stat().st_uid == owner
