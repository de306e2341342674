"""ec_dump_config - print a configuration as XML or JSON

    ec_dump_config [-c FILE] [-f OUTPUT] [--json]
    ec_dump_config --options [-f OUTPUT] [--json]

All includes are resolved, stanzas of the same name are merged, and of an option that is stated twice the last value
is shown; the file that local_changes_file names comes last.  Values are as written; options that nobody states are not
shown.  Passwords are.

XML: <configuration> holds <option name= value=> and <stanza kind= name=>, a stanza holds the same.  The option of a
list or dictionary has type="list" or type="dictionary" in place of the value, and an <item value=>, or
<item key= value=>, for each of its items.  Kinds and options are in lower case.

JSON: one object with "options", a value by name, and "stanzas", a list of such objects that have "kind" and "name".

With --options no configuration is read.  Each line is name, type, default and scopes of an option, with tabs between;
where scopes have defaults of their own the option has several lines.

Ends with 0, with 1 where the configuration has mistakes (on standard error, as validate_config prints them) or a value
cannot be told in XML, with 2 for wrong usage or where OUTPUT cannot be written.
"""
import argparse
import json
import sys
from pathlib import Path

from pymomentum.commands import run, validate_config
from pymomentum.config import dump, load
from pymomentum.config.merged import as_data, merge
from pymomentum.errors import ConfigErrors, MomentumError


def configuration(path, as_json):
    data = as_data(merge(load(path)))
    return f"{json.dumps(data)}\n".encode() if as_json else dump.as_xml(data)


def known_options(as_json):
    if as_json:
        return f"{json.dumps(list(dump.options()))}\n".encode()
    return "".join(f"{dump.option_line(option)}\n" for option in dump.options()).encode()


def write(text, path):
    if path:
        Path(path).write_bytes(text)
    else:
        sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="ec_dump_config", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-c", "--config", metavar="FILE", default="ecelerity.conf",
                        help="file to read, found along the search path; default: %(default)s")
    parser.add_argument("-e", metavar="EXTDIR", help="accepted and not needed: nothing is loaded from there")
    parser.add_argument("-f", metavar="OUTPUT", dest="output", help="file to write, in place of standard output")
    parser.add_argument("--json", action="store_true", help="JSON on one line, in place of XML or lines")
    parser.add_argument("--options", action="store_true", help="list all options that there are")
    options = parser.parse_args(arguments)
    try:
        write(known_options(options.json) if options.options else configuration(options.config, options.json), options.output)
    except ConfigErrors as e:
        validate_config.report(e.errors, [e.notice] if e.notice else [], options.json, sys.stderr)
        return 1
    except MomentumError as e:
        print(f"ec_dump_config: {e}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        raise
    except OSError as e:
        print(f"ec_dump_config: {options.output or 'standard output'}: {e.strerror}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    run(main)
