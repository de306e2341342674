import pytest

from pymomentum.core.smtp.path import PathError, parse_address, parse_mail, parse_rcpt
from tests.fuzz.targets import path as check_path
from tests.harness.mutate import mutants

STRICT = ("pedantic", "literal")
LOOSE = ("space", "literal", "unqualified", "utf8")

MAILBOXES = [
    (b"a@b", b"a", b"b"),
    (b"first.last+tag@mx-1.example.com", b"first.last+tag", b"mx-1.example.com"),
    (b"!#$%&'*+-/=?^_`{|}~@example.com", b"!#$%&'*+-/=?^_`{|}~", b"example.com"),
    (b'"a b"@example.com', b'"a b"', b"example.com"),
    (b'"a\\"b>@"@example.com', b'"a\\"b>@"', b"example.com"),
    (b'""@example.com', b'""', b"example.com"),
    (b"a@[192.0.2.1]", b"a", b"[192.0.2.1]"),
    (b"a@[IPv6:2001:db8::1]", b"a", b"[IPv6:2001:db8::1]"),
    (b"a@under_score.example.com", b"a", b"under_score.example.com"),
    (b"x" * 64 + b"@" + b".".join([b"y" * 63] * 3), b"x" * 64, b".".join([b"y" * 63] * 3)),
]
BROKEN = [
    b"", b"<", b">", b"<<a@b>>", b"<a@b", b"a@b>", b"<a b@c>", b"<a@>", b"<@b>", b"<a@b.>", b"<a@.b>", b"<a@b..c>", b"<a@-b>",
    b"<a@b->", b"<.a@b>", b"<a@b@c>", b'<"a@b>', b'<"a"b@c>', b'<a"b"@c>', b"<a@[1.2.3]>", b"<a@[1.2.3.256]>", b"<a@[::1]>",
    b"<a@[IPv6:1.2.3.4]>", b"<a@[IPv6::::]>", b"<a@[1.2.3.4>", b"<a@[" + b"1" * 300 + b"]>", b"<@a,b:c@d>", b"<@a,:c@d>",
    b"<@a:>", b"<@a@b>", b"<a\0@b>", b"<a@b\0>", b"<a@[1.2.3.4\0]>", b"<a@b>x", b"<a@b>SIZE=1", b"<a(c)@b>", b'<"a\x01"@b>',
    b'<"a\\', b"<a\r@b>", b"<a@b\n>",
]


@pytest.mark.parametrize("whole, local, domain", MAILBOXES)
def test_mailbox_is_taken_apart(whole, local, domain):
    path, _ = parse_mail(b"FROM:<" + whole + b">", STRICT)
    assert (path.local, path.domain, path.whole) == (local, domain, whole)
    assert path.literal == domain.startswith(b"[") and path.quoted == local.startswith(b'"')
    assert parse_rcpt(b"to:<" + whole + b">", STRICT)[0] == path
    assert parse_address(whole, STRICT) == path


@pytest.mark.parametrize("path", BROKEN)
def test_malformed_path_is_refused_in_every_mode(path):
    for flags in STRICT, LOOSE, LOOSE + ("pedantic",):
        for parse, verb in (parse_mail, b"FROM:"), (parse_rcpt, b"TO:"):
            if path == b"a@b>" and "pedantic" not in flags:
                continue
            with pytest.raises(PathError) as failure:
                parse(verb + path, flags)
            assert failure.value.reason == "syntax"


def test_null_path_is_for_mail_only():
    path, _ = parse_mail(b"FROM:<>")
    assert path.null_path and path.whole == b""
    assert parse_mail(b"FROM:<> SIZE=9")[1].size == 9
    with pytest.raises(PathError):
        parse_rcpt(b"TO:<>")


@pytest.mark.parametrize("route", [b"@a:", b"@a.example,@b:", b"@[192.0.2.1]:"])
def test_source_route_is_stripped(route):
    path, _ = parse_rcpt(b"TO:<" + route + b"user@dom>")
    assert path.whole == b"user@dom" and path.local == b"user"


@pytest.mark.parametrize("args, flag", [
    (b"FROM:<a..b@x>", "-pedantic"), (b"FROM:<ab.@x>", "-pedantic"), (b"FROM:a@x", "-pedantic"), (b"FROM:a@x SIZE=1", "-pedantic"),
    (b"FROM: <a@b>", "space"), (b"FROM:< a@b >", "space"), (b"FROM:<a@[192.0.2.1]>", "literal"),
    (b"FROM:<a>", "unqualified"), (b"FROM:<\xc3\xa9@b> SMTPUTF8", "utf8"), (b"FROM:<a@\xc3\xa9.example> SMTPUTF8", "utf8"),
])
def test_flag_permits_a_form(args, flag):
    without, with_ = (("pedantic",), ()) if flag == "-pedantic" else (("pedantic",), ("pedantic", flag))
    parse_mail(args, with_)
    with pytest.raises(PathError):
        parse_mail(args, without)


def test_unwelcome_form_is_refused_not_malformed():
    for args in b"FROM:<a@[192.0.2.1]>", b"FROM:<a>", b"FROM:<\xc3\xa9@b>":
        with pytest.raises(PathError) as failure:
            parse_mail(args, ("pedantic",))
        assert (failure.value.reason, failure.value.parameter) == ("refused", b"")


def test_utf8_address_needs_smtputf8_and_good_utf8():
    with pytest.raises(PathError):
        parse_mail(b"FROM:<\xc3\xa9@b>", ("utf8",))
    for bad in b"\xc3", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xe0\x80\x80", b"\xf4\x90\x80\x80", b"\xf0\x8f\xbf\xbf":
        with pytest.raises(PathError):
            parse_mail(b"FROM:<" + bad + b"@b> SMTPUTF8", ("utf8",))


def test_postmaster_needs_no_domain_in_rcpt():
    assert parse_rcpt(b"TO:<Postmaster>")[0].domain == b""
    with pytest.raises(PathError):
        parse_mail(b"FROM:<Postmaster>")
    with pytest.raises(PathError):
        parse_rcpt(b"TO:<webmaster>")


@pytest.mark.parametrize("address", [
    b"x" * 65 + b"@b", b"a@" + b"y" * 64, b"a@" + b".".join([b"y" * 63] * 4) + b".z",
    b"@" + b",@".join([b"y" * 60] * 17) + b":a@b",
])
def test_length_limits(address):
    with pytest.raises(PathError) as failure:
        parse_mail(b"FROM:<" + address + b">")
    assert failure.value.reason == "limit"


def test_mail_parameters():
    _, params = parse_mail(b"FROM:<a@b> SIZE=123 BODY=8bitmime RET=HDRS ENVID=QQ+3D1 AUTH=<> SMTPUTF8", ("utf8",))
    assert params == (123, "8BITMIME", "HDRS", b"QQ+3D1", b"<>", True)
    assert parse_mail(b"FROM:<a@b>")[1] == (None, None, None, b"", b"", False)


def test_rcpt_parameters():
    assert parse_rcpt(b"TO:<a@b> NOTIFY=NEVER")[1].notify == {"NEVER"}
    _, params = parse_rcpt(b"TO:<a@b> NOTIFY=success,Delay ORCPT=rfc822;a+2Bc@b")
    assert params == ({"SUCCESS", "DELAY"}, b"rfc822;a+2Bc@b")


@pytest.mark.parametrize("parse, args, reason, parameter", [
    (parse_mail, b"FROM:<a@b> FOO=1", "refused", b"FOO=1"),
    (parse_mail, b"FROM:<a@b> SIZE=1 X-Y", "refused", b"X-Y"),
    (parse_mail, b"FROM:<a@b> NOTIFY=NEVER", "refused", b"NOTIFY=NEVER"),
    (parse_mail, b"FROM:<a@b> SMTPUTF8", "refused", b"SMTPUTF8"),
    (parse_rcpt, b"TO:<a@b> SIZE=1", "refused", b"SIZE=1"),
    (parse_mail, b"FROM:<a@b> SIZE=x", "syntax", b"SIZE=x"),
    (parse_mail, b"FROM:<a@b> SIZE", "syntax", b"SIZE"),
    (parse_mail, b"FROM:<a@b> SIZE=", "syntax", b"SIZE="),
    (parse_mail, b"FROM:<a@b> SIZE=1 SIZE=2", "syntax", b"SIZE=2"),
    (parse_mail, b"FROM:<a@b> BODY=BINARYMIME", "syntax", b"BODY=BINARYMIME"),
    (parse_mail, b"FROM:<a@b> RET=ALL", "syntax", b"RET=ALL"),
    (parse_mail, b"FROM:<a@b> ENVID=a+3d", "syntax", b"ENVID=a+3d"),
    (parse_mail, b"FROM:<a@b> ENVID=" + b"x" * 101, "limit", b"ENVID=" + b"x" * 101),
    (parse_mail, b"FROM:<a@b> =1", "syntax", b"=1"),
    (parse_mail, b"FROM:<a@b> -A=1", "syntax", b"-A=1"),
    (parse_mail, b"FROM:<a@b> A=b=c", "syntax", b"A=b=c"),
    (parse_rcpt, b"TO:<a@b> NOTIFY=NEVER,DELAY", "syntax", b"NOTIFY=NEVER,DELAY"),
    (parse_rcpt, b"TO:<a@b> NOTIFY=DELAY,", "syntax", b"NOTIFY=DELAY,"),
    (parse_rcpt, b"TO:<a@b> ORCPT=a@b", "syntax", b"ORCPT=a@b"),
    (parse_rcpt, b"TO:<a@b> ORCPT=rfc822;a+", "syntax", b"ORCPT=rfc822;a+"),
])
def test_parameter_at_fault_is_named(parse, args, reason, parameter):
    with pytest.raises(PathError) as failure:
        parse(args)
    assert (failure.value.reason, failure.value.parameter) == (reason, parameter)


SAMPLES = [b"FROM:<" + whole + b">" for whole, _, _ in MAILBOXES] + [b"FROM:" + path for path in BROKEN] + [
    b"FROM:<@a,@b:c@d> SIZE=123 BODY=8BITMIME RET=HDRS ENVID=QQ+3D AUTH=<> SMTPUTF8", b"FROM:<\xc3\xa9@\xc3\xa9> SMTPUTF8"]
SAMPLES += [args.replace(b"FROM:", b"TO:", 1) for args in SAMPLES] + [b"TO:<a@b> NOTIFY=success,Delay ORCPT=rfc822;a+2Bc@b"]


def test_truncated_arguments_parse_or_are_refused():
    for args in SAMPLES:
        for end in range(len(args)):
            check_path(args[:end])


def test_mutated_arguments_never_yield_a_foreign_path():
    for args in mutants(SAMPLES, 20000):
        check_path(args)
