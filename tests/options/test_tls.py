"""Options of TLS, two values each, on the way in and out."""
import ssl

import pytest

from pymomentum.console.client import Client
from tests.harness.cert import certificate, client_context
from tests.smtp.test_server_replies import talk


def secure(mta, options=""):
    cert, key = certificate("mta.test")
    mta.config(f'tls_certificate = "{cert}"\ntls_key = "{key}"\n{options}')


def secured(mta):
    """What a client gets of STARTTLS: its socket's certificate, protocol and cipher."""
    with mta.smtp() as c:
        talk(c, ("STARTTLS", "220 *"))
        c.sock = client_context().wrap_socket(c.sock)
        talk(c, ("NOOP", "250 *"))
        return c.sock.getpeercert(binary_form=True), c.sock.version(), c.sock.cipher()[0]


@pytest.mark.shows("tls_certificate")
def test_client_is_shown_the_certificate_of_the_option(mta):
    for name in ("one.test", "two.test"):
        cert, key = certificate(name)
        mta.config(f'tls_certificate = "{cert}"\ntls_key = "{key}"')
        assert secured(mta)[0] == ssl.PEM_cert_to_DER_cert(cert.read_text())


@pytest.mark.shows("tls_key")
@pytest.mark.parametrize("which, reply", [(0, "220 *"), (1, "502 *")])
def test_key_is_that_of_the_option(mta, which, reply):
    mta.expect_panic("TLS cannot use key *")
    (cert, key), (_, other) = certificate("one.test"), certificate("two.test")
    mta.config(f'tls_certificate = "{cert}"\ntls_key = "{(key, other)[which]}"')
    with mta.smtp() as c:
        c.command("STARTTLS")
        c.expect(reply)


@pytest.mark.parametrize("none", ["none", "None"])
def test_certificate_none_delivers_by_tls_without_one(mta, none):
    secure(mta, f"Domain example.com {{ tls = required tls_certificate = {none} }}")
    sink = mta.route(tls=True)
    mta.send()
    mta.wait_log("D")
    assert sink.messages[0].tls


def test_certificate_none_offers_no_starttls(mta):
    secure(mta, 'ESMTP_Listener { Listen "127.0.0.1:$port" { tls_certificate = none } }')
    with mta.smtp() as c:
        c.command("STARTTLS")
        c.expect("502 *")


def test_key_none_is_that_in_the_certificate_file(mta, tmp_path):
    cert, key = certificate("one.test")
    (tmp_path / "both").write_text(cert.read_text() + key.read_text())
    mta.config(f'tls_key = /nowhere/key\nESMTP_Listener {{ tls_certificate = {tmp_path}/both tls_key = NONE Listen "127.0.0.1:$port" {{ }} }}')
    assert secured(mta)[0] == ssl.PEM_cert_to_DER_cert(cert.read_text())


@pytest.mark.parametrize("option, place", [
    ("tls_certificate = $folder/paniclog", "tls_certificate"), ("tls_key = /nowhere/key", "tls_key"),
    ("tls_ciphers = GARBAGE", "tls_ciphers"), ("tlsv13_ciphersuites = GARBAGE", "tlsv13_ciphersuites"),
    ("tls_ec_curve_names = GARBAGE", "tls_ec_curve_names"), ("tls_client_ca = /nowhere/ca", "tls_client_ca"),
    ("tls_dhparams_file = /nowhere/dh", "tls_dhparams_file"),
    ('ESMTP_Listener { Listen "127.0.0.1:$port" { Peer 127.0.0.2 { tls_key = /nowhere/key } } }', "tls_key")])
def test_reload_that_would_break_tls_leaves_the_old_one_serving(mta, option, place):
    cert, key = certificate("one.test")
    works = f"tls_certificate = {cert}\ntls_key = {key}\n"
    mta.config(works)
    mta.start()
    mta.text = works + option
    mta.write_config()
    with Client(str(mta.folder / "console")) as client:
        answer, status = client.ask("config reload")
    assert status == 1 and f"{place}: " in answer and " cannot be used: " in answer and "ecelerity.conf:" in answer
    assert secured(mta)[0] == ssl.PEM_cert_to_DER_cert(cert.read_text())


def test_certificate_is_read_again_behind_a_reload(mta, tmp_path):
    mta.expect_panic("CONFIG *tls_certificate: * cannot be used: *")
    mta.expect_panic("TLS cannot use certificate *")
    for name, seen in (("one.test", "one.test"), ("two.test", "two.test"), (None, "two.test")):
        text = "".join(path.read_text() for path in certificate(name)) if name else "half a file"
        (tmp_path / "pem").write_text(text)
        mta.config(f"tls_certificate = {tmp_path}/pem")
        assert secured(mta)[0] == ssl.PEM_cert_to_DER_cert(certificate(seen)[0].read_text())


def test_console_tells_of_a_certificate_that_was_renewed_before_its_key(mta, tmp_path):
    mta.expect_panic("CONFIG *tls_key: * cannot be used: *")
    mta.expect_panic("TLS cannot use certificate *")
    (cert, key), (other, _) = certificate("one.test"), certificate("two.test")
    (tmp_path / "cert").write_text(cert.read_text())
    mta.config(f"tls_certificate = {tmp_path}/cert\ntls_key = {key}")
    mta.start()
    with Client(str(mta.folder / "console")) as client:
        assert client.ask("config reload") == ("configuration reloaded.\n", 0)
        (tmp_path / "cert").write_text(other.read_text())
        for command in ("config reload", "config set retry_interval 60"):
            answer, status = client.ask(command)
            assert status == 0 and f"tls_key: {key} cannot be used: " in answer and f"{mta.path}:" in answer
        (tmp_path / "cert").write_text(cert.read_text())
        assert client.ask("config reload") == ("configuration reloaded.\n", 0)
    assert secured(mta)[0] == ssl.PEM_cert_to_DER_cert(cert.read_text())


@pytest.mark.shows("tls_protocols")
@pytest.mark.parametrize("protocols, version", [("+ALL:-TLSv1.3", "TLSv1.2"), ("+ALL:-TLSv1.2", "TLSv1.3"), ("-ALL:+TLSv1.2", "TLSv1.2"),
                                                ("+TLSv1.2", "TLSv1.2"), ("-TLSv1.3", "TLSv1.2"), ("+TLSv1.2:+TLSv1.3", "TLSv1.3")])
def test_protocol_is_one_of_the_option(mta, protocols, version):
    secure(mta, f'tls_protocols = "{protocols}"')
    assert secured(mta)[1] == version


@pytest.mark.shows("tls_ciphers", "tlsv13_ciphersuites")
@pytest.mark.parametrize("option, cipher", [
    ("tls_ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"), ("tls_ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384"),
    ("tlsv13_ciphersuites", "TLS_AES_128_GCM_SHA256"), ("tlsv13_ciphersuites", "TLS_CHACHA20_POLY1305_SHA256")])
def test_cipher_is_one_of_the_option(mta, option, cipher):
    secure(mta, f'tls_protocols = "+ALL:-{"TLSv1.3" if option == "tls_ciphers" else "TLSv1.2"}"\n{option} = "{cipher}"')
    assert secured(mta)[2] == cipher


@pytest.mark.shows("tls_verify", "tls_ca")
@pytest.mark.parametrize("verify, authority, kind", [("no", "other.test", "D"), ("ca", "other.test", "T"), ("ca", "localhost", "D"),
                                                     ("host", "localhost", "T")])
def test_certificate_of_the_receiver_is_checked_as_the_options_say(mta, verify, authority, kind):
    """The sink is `localhost`, by a certificate that it signed itself; the MX has another name."""
    cert, _ = certificate(authority)
    mta.config(f'tls = required\ntls_verify = {verify}\ntls_ca = "{cert}"')
    mta.route(tls=True)
    mta.send()
    mta.wait_log(kind)
    assert [r.kind for r in mta.mainlog()] == ["R", kind]
