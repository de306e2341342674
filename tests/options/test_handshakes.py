"""Options of TLS: what a client sees of them, and what a server that we deliver to sees."""
import re
import ssl
import subprocess
from contextlib import contextmanager

import pytest

from tests.harness.cert import certificate, client_context
from tests.smtp.test_server_replies import talk

RELAYED = "250 2.0.0 RCPT TO accepted"


def secure(mta, globally="", inside=""):
    cert, key = certificate("mta.test")
    mta.config(f"""
        relay_hosts = ()
        tls_certificate = "{cert}"
        tls_key = "{key}"
        {globally}
        ESMTP_Listener {{ {inside} Listen "127.0.0.1:$port" {{ }} }}
    """)


def starttls(c, context):
    talk(c, ("STARTTLS", "220 *"))
    c.sock = context.wrap_socket(c.sock)
    c.ehlo()


def handshakes(mta, change=None):
    """Whether the handshake of a client with these settings goes through."""
    context = client_context()
    if change:
        change(context)
    with mta.smtp() as c:
        talk(c, ("STARTTLS", "220 *"))
        try:
            c.sock = context.wrap_socket(c.sock)
            talk(c, ("NOOP", "250 *"))      # in TLS 1.3 the server's alert comes behind the handshake
        except (OSError, ConnectionError):
            return False
        return True


def finite(context):
    """Nothing but DHE, up to TLS 1.2."""
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("kDHE+AESGCM:@SECLEVEL=0")


@pytest.fixture(scope="module")
def rsa(tmp_path_factory):
    """A certificate that DHE-RSA ciphers can use, and parameters."""
    folder = tmp_path_factory.mktemp("rsa")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=mta.test",
                    "-keyout", folder / "key.pem", "-out", folder / "cert.pem"], check=True, capture_output=True)
    (folder / "dh.pem").write_text(subprocess.run(["openssl", "genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe3072"],
                                                  check=True, capture_output=True, text=True).stdout)
    return folder


def with_rsa(mta, rsa, more):
    mta.config(f'tls_certificate = "{rsa}/cert.pem"\ntls_key = "{rsa}/key.pem"\n{more}')
    mta.start()


@pytest.mark.shows("tls_enable_dhe_ciphers")
def test_finite_field_diffie_hellman(mta, rsa):
    for asked in True, False:
        with_rsa(mta, rsa, f"tls_enable_dhe_ciphers = {str(asked).lower()}")
        assert handshakes(mta, finite) == asked
        assert handshakes(mta)


def temp_key(mta, *args):
    """What `openssl s_client` says of the server's key."""
    done = subprocess.run(["openssl", "s_client", "-starttls", "smtp", "-connect", f"127.0.0.1:{mta.port}", *args], input="QUIT\n",
                          capture_output=True, text=True, timeout=20)
    found = re.search(r"Server Temp Key: (.*)", done.stdout)
    return found and found[1]


@pytest.mark.shows("tls_dhparams_file")
def test_parameters_of_a_file(mta, rsa):
    dhe = ("-tls1_2", "-cipher", "kDHE:@SECLEVEL=0")
    with_rsa(mta, rsa, "")
    assert temp_key(mta, *dhe) == "DH, 2048 bits"
    with_rsa(mta, rsa, f'tls_dhparams_file = "{rsa}/dh.pem"')
    assert temp_key(mta, *dhe) == "DH, 3072 bits"


@pytest.mark.shows("tls_ec_curve_names")
def test_curves(mta):
    secure(mta)
    assert temp_key(mta.start()).startswith("X25519")
    secure(mta, "tls_ec_curve_names = secp384r1:prime256v1")
    assert temp_key(mta).startswith("ECDH, secp384r1")
    assert handshakes(mta, lambda context: context.set_ecdh_curve("prime256v1"))
    assert not handshakes(mta, lambda context: context.set_ecdh_curve("secp521r1"))


@pytest.mark.parametrize("curves, delivered", [("prime256v1", True), ("nonsense", False)])
def test_curves_on_the_way_out(mta, curves, delivered):
    sink = mta.route(tls=True)
    mta.config(f"tls = required\ntls_ec_curve_names = {curves}")
    mta.expect_panic("TLS cannot use tls_ec_curve_names nonsense*")
    mta.send()
    if delivered:
        sink.wait(messages=1)
    else:
        [t] = mta.wait_log("T")
        assert t.text.startswith("451 4.7.5 [internal]")


def showing(name):
    """A client that shows a certificate."""
    context = client_context()
    context.load_cert_chain(*certificate(name))
    return context


@pytest.mark.shows("tls_verify_mode")
@pytest.mark.parametrize("mode, without, other", [("", True, True), ("tls_verify_mode = none", True, True), ("tls_verify_mode = require", False, True)])
def test_certificate_of_a_client(mta, mode, without, other):
    secure(mta, inside=f'{mode} tls_client_ca = "{certificate("client.test")[0]}"')
    assert handshakes(mta) == without
    for name in "client.test", "other.test":        # one that does not verify is for policy to judge
        assert handshakes(mta, lambda context: context.load_cert_chain(*certificate(name))) == other


@pytest.mark.shows("tls_verified_peer_can_relay", "tls_client_ca")
@pytest.mark.parametrize("option, name, verified_by, relays", [
    ("true", "client.test", "client.test", True), ("false", "client.test", "client.test", False), ("true", "other.test", "client.test", False),
    ("true", "client.test", "other.test", False), ("true", None, "client.test", False)])
def test_client_whose_certificate_verifies_may_relay(mta, option, name, verified_by, relays):
    secure(mta, inside=f'tls_verified_peer_can_relay = {option} tls_client_ca = "{certificate(verified_by)[0]}"')
    with mta.smtp() as c:
        starttls(c, showing(name) if name else client_context())
        talk(c, ("MAIL FROM:<a@test>", "250 *"), ("RCPT TO:<b@elsewhere.example>", RELAYED if relays else "550 5.7.1 *"))


def test_certificate_that_is_not_asked_for_lets_nobody_relay(mta):
    secure(mta, inside=f'tls_verified_peer_can_relay = true tls_verify_mode = none tls_client_ca = "{certificate("client.test")[0]}"')
    with mta.smtp() as c:
        starttls(c, showing("client.test"))
        talk(c, ("MAIL FROM:<a@test>", "250 *"), ("RCPT TO:<b@elsewhere.example>", "550 5.7.1 *"))


@contextmanager
def s_client(mta):
    process = subprocess.Popen(["openssl", "s_client", "-starttls", "smtp", "-tls1_2", "-connect", f"127.0.0.1:{mta.port}"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def renegotiated(mta, times=1):
    """How many of the renegotiations that a client asks for go through."""
    with s_client(mta) as process:
        until_line(process, r"250 .*")          # s_client shows the reply to its own EHLO
        done = 0
        for _ in range(times):
            process.stdin.write("R\n")
            process.stdin.flush()
            if until_line(process, r"RENEGOTIATING") is None:
                break
            process.stdin.write("NOOP\n")
            process.stdin.flush()
            if until_line(process, r"250 2.0.0 OK") is None:
                break
            done += 1
        return done


def until_line(process, pattern):
    for line in process.stdout:
        if re.match(pattern, line):
            return line
    return None


@pytest.mark.shows("tls_allow_renegotiation")
def test_renegotiation(mta):
    secure(mta)
    assert renegotiated(mta.start(), 3) == 3
    assert renegotiated(mta, 20) == 8
    secure(mta, inside="tls_allow_renegotiation = false")
    assert renegotiated(mta) == 0
