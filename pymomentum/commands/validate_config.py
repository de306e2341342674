"""validate_config - check a configuration without serving it

    validate_config [-c FILE] [--json]

Prints every mistake of one run and ends with 1, or "Configuration valid" and 0.  Host names, users,
groups and certificates are those of this machine; root is told which files others may write, too, as the server does not start with them.
"""
import argparse
import json
import os

from pymomentum import security, trust
from pymomentum.commands import run
from pymomentum.config import load, unresolved
from pymomentum.config.tree import Loader
from pymomentum.errors import ConfigError, ConfigErrors

DEFAULT = "ecelerity.conf"


def report(errors, notices, as_json, out=None):
    """Print what was found, to standard output where `out` names nothing else."""
    if as_json:
        print(json.dumps({"valid": not errors, "errors": [e.as_dict() for e in errors], "notices": notices}), file=out)
        return
    for notice in notices:
        print(f"notice: {notice}", file=out)
    for error in errors:
        print(error, file=out)
    print(f"{len(errors)} error{'s' * (len(errors) != 1)}" if errors else "Configuration valid", file=out)


def trusted(loaded):
    """Files that cannot be read are told in notices."""
    return trust.mistakes(loaded, unread=False)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="validate_config", description="Check a configuration without serving it.")
    parser.add_argument("-c", "--config", metavar="FILE", help=f"file to check, found along the search path; default: {DEFAULT}")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    errors = []
    if options.config is None and Loader(os.environ).search(DEFAULT, []) is None:
        report([ConfigError(f"No configuration found: there is no {DEFAULT} here, nor along the search path; -c names one")], [], options.json)
        return 1
    try:
        notices = load(options.config or DEFAULT, further=(unresolved, trusted, security.mistakes, security.rootless)).notices
    except ConfigErrors as e:
        errors, notices = e.errors, [e.notice] if e.notice else []
    report(errors, notices, options.json)
    return 1 if errors else 0


if __name__ == "__main__":
    run(main)
