"""ec_md5passwd - set a password in a digest password file

    ec_md5passwd [-f FILE] [-r REALM] [USERNAME [PASSWORD]]

FILE has a line user:realm:digest for each user of a realm, as htdigest writes it; lines that begin with # are
comments.  The digest is the MD5 of "user:realm:password".  The line of the same user and realm is replaced, else one is
added; other lines, the owner and the permissions stay.  A FILE that is not there is made, for its owner only: that
should be the user who runs the server.  The server need not be restarted.

Without -f the line is printed, to be put into such a file.

What is not given is asked for, a password twice; it may come from a pipe.  Other users of the machine may see a
PASSWORD on the command line.

Environment, which the file /opt/msys/ecelerity/etc/environment may set:
  EC_DIGEST_REALM  the realm where -r names none; default: Momentum Console

Ends with 0, with 1 where the password is not set, with 2 for wrong usage.
"""
import argparse
import getpass
import hashlib
import os
import stat
import sys
from pathlib import Path

from pymomentum.commands import run
from pymomentum.commands.ec_ctl import environment
from pymomentum.errors import MomentumError
from pymomentum.files import put_in_place, written_beside

REALM = "Momentum Console"


def field(what, text):
    """Answer the bytes of a field, or raise MomentumError where a line cannot hold it."""
    data = os.fsencode(text)
    if not data or b":" in data or any(byte < 0x20 or byte == 0x7f for byte in data):
        raise MomentumError(f"the {what} is empty, or holds a colon or a control character")
    return data


def ask(prompt, secret=False):
    """Read a line; a terminal does not show what is secret."""
    if secret and sys.stdin.isatty():
        try:
            return getpass.getpass(prompt)
        except EOFError:
            return ""
    print(prompt, end="", file=sys.stderr, flush=True)
    return os.fsdecode(sys.stdin.buffer.readline().removesuffix(b"\n"))


def ask_password():
    first, second = ask("Password: ", secret=True), ask("Password again: ", secret=True)
    if first != second:
        raise MomentumError("the two passwords differ")
    return first


def line_of(options):
    """Answer the line of the user, asking for what is not given."""
    realm = field("realm", environment().get("EC_DIGEST_REALM") or REALM if options.realm is None else options.realm)
    user = field("user name", ask("Username: ") if options.username is None else options.username)
    if user.startswith(b"#"):
        raise MomentumError("a user name that begins with # would be a comment")
    password = os.fsencode(ask_password() if options.password is None else options.password)
    if not password:
        raise MomentumError("the password is empty")
    digest = hashlib.md5(b":".join([user, realm, password])).hexdigest()
    return b":".join([user, realm, digest.encode()])


def update(path, line):
    """Put a line into a file in place of the one of the same user and realm, or behind all others."""
    path = Path(os.path.realpath(path))
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise MomentumError(f"{path} is not a regular file")
        content = path.read_bytes()
    except FileNotFoundError:
        content = b""
    lines = content.removesuffix(b"\n").split(b"\n") if content else []
    owner = line[:line.rindex(b":") + 1]
    place = next((n for n, other in enumerate(lines) if other.startswith(owner)), len(lines))
    lines = [other for other in lines if not other.startswith(owner)]
    lines.insert(place, line)
    new = written_beside(path, b"".join(other + b"\n" for other in lines))
    put_in_place(new, path)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="ec_md5passwd", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-f", metavar="FILE", dest="file", help="password file to change")
    parser.add_argument("-r", metavar="REALM", dest="realm", help="realm that the user is in")
    parser.add_argument("username", metavar="USERNAME", nargs="?")
    parser.add_argument("password", metavar="PASSWORD", nargs="?")
    options = parser.parse_args(arguments)
    try:
        line = line_of(options)
        if options.file is not None:
            update(options.file, line)
            print("Password updated.")
        else:
            print("Put this line into the password file, in place of the user's old one:", file=sys.stderr, flush=True)
            sys.stdout.buffer.write(line + b"\n")
            sys.stdout.buffer.flush()
    except MomentumError as e:
        print(f"ec_md5passwd: {e}", file=sys.stderr)
        return 1
    except UnicodeDecodeError as e:
        print(f"ec_md5passwd: what was typed is no text in {e.encoding}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        raise
    except OSError as e:
        print(f"ec_md5passwd: {options.file or 'standard output'}: {e.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    run(main)
