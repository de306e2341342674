"""create_ssl_cert - make a self-signed certificate for a service

    create_ssl_cert SERVICE HOSTNAME PREFIX [USER]

SERVICE is msyspg, the PostgreSQL server, or ecconfigd, the configuration server.  HOSTNAME is the name, or the address,
that clients connect to.  The certificate is valid for a year from now; its key is an elliptic one on P-256.

Files:
  PREFIX/server.crt  the certificate, for all to read
  PREFIX/server.key  its key, for its owner only

Nothing is overwritten: stop the service and remove the old files first.  Root gives the files to USER; for others the
files stay their own.  The program openssl makes them.

Ends with 0, with 1 where no certificate was made, with 2 for wrong usage.
"""
import argparse
import os
import pwd
import re
import subprocess
import sys
import tempfile
from ipaddress import ip_address
from pathlib import Path

from pymomentum.commands import run
from pymomentum.errors import MomentumError

SERVICES = ("msyspg", "ecconfigd")
USER = "ecuser"
DAYS = 365
MODES = {"server.key": 0o600, "server.crt": 0o644}
LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
MAX_COMMON_NAME = 64        # RFC 5280, appendix A.1


def subject(text):
    """Check a host name or address; answers what the certificate says of it."""
    try:
        return f"IP:{ip_address(text)}"
    except ValueError:
        pass
    if not re.fullmatch(rf"{LABEL}(\.{LABEL})*", text, re.I):
        raise argparse.ArgumentTypeError(f'"{text}" is no host name or address')
    if len(text) > MAX_COMMON_NAME:
        raise argparse.ArgumentTypeError(f"a certificate has room for {MAX_COMMON_NAME} characters, not {len(text)}")
    return f"DNS:{text}"


def made(name):
    """Have openssl make a certificate and its key; answers their texts by file name."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-sha256",
                   "-days", str(DAYS), "-subj", f"/CN={name.partition(':')[2]}", "-addext", f"subjectAltName={name}",
                   "-keyout", "server.key", "-out", "server.crt"]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL)
        except FileNotFoundError:
            raise MomentumError("openssl is not installed") from None
        if done.returncode:
            raise MomentumError(f"openssl failed: {(done.stderr.strip().splitlines() or ['it does not say why'])[-1]}")
        return {file: Path(folder, file).read_bytes() for file in MODES}


def create(path, content, mode, owner):
    """Write a new file; FileExistsError where there is one."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(handle, "wb") as stream:
            stream.write(content)
            if owner is not None:
                os.fchown(handle, owner.pw_uid, owner.pw_gid)
            os.fchmod(handle, mode)
            stream.flush()
            os.fsync(handle)
    except BaseException:
        os.unlink(path)
        raise


def owner_of(user):
    """Answer whom the files are given to; None where that is not ours to say."""
    if os.geteuid():
        return None
    try:
        return pwd.getpwnam(user)
    except KeyError:
        raise MomentumError(f"no user {user}") from None


def install(prefix, name, owner):
    """Make both files or none."""
    for file in MODES:
        if os.path.lexists(prefix / file):
            raise MomentumError(f"{prefix / file} exists; remove it first")
    if not prefix.is_dir():
        raise MomentumError(f"{prefix} is not a folder")
    texts, done = made(name), []
    try:
        for file, mode in MODES.items():
            create(prefix / file, texts[file], mode, owner)
            done.append(file)
    except OSError as e:
        for file in done:
            os.unlink(prefix / file)
        raise MomentumError(f"{prefix / file}: {e.strerror}") from None


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="create_ssl_cert", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("service", metavar="SERVICE", choices=SERVICES, help=" or ".join(SERVICES))
    parser.add_argument("hostname", metavar="HOSTNAME", type=subject, help="name or address of the machine")
    parser.add_argument("prefix", metavar="PREFIX", type=Path, help="folder of the files")
    parser.add_argument("user", metavar="USER", nargs="?", default=USER, help="owner of the files; default: %(default)s")
    options = parser.parse_args(arguments)
    try:
        install(options.prefix, options.hostname, owner_of(options.user))
    except MomentumError as e:
        print(f"create_ssl_cert: {e}", file=sys.stderr)
        return 1
    print(f"certificate: {options.prefix / 'server.crt'}\nkey: {options.prefix / 'server.key'}")
    return 0


if __name__ == "__main__":
    run(main)
