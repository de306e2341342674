"""create_ssl_cert: a certificate that openssl agrees with, in files of the right owner."""
import os
import pwd
import ssl
import stat
import subprocess

import pytest

ME = pwd.getpwuid(os.geteuid()).pw_name


def openssl(*arguments):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True).stdout


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_certificate_fits_name_and_key_and_lasts_a_year(tmp_path, run):
    done = run("create_ssl_cert", "msyspg", "db.example.com", str(tmp_path), ME)
    cert, key = tmp_path / "server.crt", tmp_path / "server.key"
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"certificate: {cert}\nkey: {key}\n"
    assert sorted(os.listdir(tmp_path)) == ["server.crt", "server.key"]
    assert (mode(cert), mode(key)) == (0o644, 0o600)
    assert openssl("verify", "-CAfile", cert, "-verify_hostname", "db.example.com", cert) == f"{cert}: OK\n"
    assert openssl("x509", "-in", cert, "-noout", "-pubkey") == openssl("pkey", "-in", key, "-pubout")
    assert openssl("x509", "-in", cert, "-noout", "-subject") == "subject=CN = db.example.com\n"
    first, last = (ssl.cert_time_to_seconds(line.partition("=")[2].strip())
                   for line in openssl("x509", "-in", cert, "-noout", "-dates").splitlines())
    assert last - first == 365 * 86400
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key)


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_certificate_of_an_address(tmp_path, run, address):
    assert run("create_ssl_cert", "ecconfigd", address, str(tmp_path), ME).returncode == 0
    cert = tmp_path / "server.crt"
    assert openssl("verify", "-CAfile", cert, "-verify_ip", address, cert) == f"{cert}: OK\n"


def test_root_gives_the_files_to_the_user_others_keep_them(tmp_path, run):
    assert run("create_ssl_cert", "msyspg", "db.example.com", str(tmp_path), "nobody").returncode == 0
    owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    for name in "server.crt", "server.key":
        status = (tmp_path / name).stat()
        assert (status.st_uid, status.st_gid) == (owner.pw_uid, owner.pw_gid)


def test_user_that_is_not_there_counts_for_root(tmp_path, run):
    done = run("create_ssl_cert", "msyspg", "db.example.com", str(tmp_path), "no-such-user")
    if os.geteuid() == 0:
        assert (done.returncode, done.stdout, done.stderr) == (1, "", "create_ssl_cert: no user no-such-user\n")
        assert os.listdir(tmp_path) == []
    else:
        assert done.returncode == 0 and sorted(os.listdir(tmp_path)) == ["server.crt", "server.key"]


@pytest.mark.parametrize("name", ["server.crt", "server.key"])
def test_nothing_is_overwritten(tmp_path, run, name):
    (tmp_path / name).symlink_to("elsewhere")
    done = run("create_ssl_cert", "msyspg", "db.example.com", str(tmp_path), ME)
    assert (done.returncode, done.stderr) == (1, f"create_ssl_cert: {tmp_path / name} exists; remove it first\n")
    assert os.listdir(tmp_path) == [name]


def test_folder_that_is_not_there(tmp_path, run):
    done = run("create_ssl_cert", "msyspg", "db.example.com", "none", ME)
    assert (done.returncode, done.stderr) == (1, "create_ssl_cert: none is not a folder\n")


def test_openssl_that_is_not_there_or_fails(tmp_path, run):
    done = run("create_ssl_cert", "msyspg", "db.example.com", str(tmp_path), ME, PATH="")
    assert (done.returncode, done.stderr) == (1, "create_ssl_cert: openssl is not installed\n")
    (tmp_path / "openssl").write_text("#!/bin/sh\necho first >&2\necho no luck >&2\nexit 1\n")
    (tmp_path / "openssl").chmod(0o755)
    done = run("create_ssl_cert", "msyspg", "db.example.com", str(tmp_path), ME, PATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (1, "create_ssl_cert: openssl failed: no luck\n")
    assert os.listdir(tmp_path) == ["openssl"]


@pytest.mark.parametrize("service, name, why", [
    ("httpd", "db.example.com", "invalid choice: 'httpd'"),
    ("msyspg", "a/O=b", '"a/O=b" is no host name or address'),
    ("msyspg", "a,DNS:b", '"a,DNS:b" is no host name or address'),
    ("msyspg", "a.b\n", '"a.b\n" is no host name or address'),
    ("msyspg", "", '"" is no host name or address'),
    ("msyspg", f"{'a' * 40}.{'b' * 40}", "a certificate has room for 64 characters, not 81"),
])
def test_wrong_usage(tmp_path, run, service, name, why):
    done = run("create_ssl_cert", service, name, str(tmp_path), ME)
    assert done.returncode == 2 and why in done.stderr
    assert os.listdir(tmp_path) == []


def test_help(run):
    done = run("create_ssl_cert", "--help")
    assert done.returncode == 0 and "PREFIX/server.key" in done.stdout
