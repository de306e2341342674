"""python -m pymomentum.reference: write the pages of options, or check a manual's examples.

    ./build.sh manual                     write docs/options/ and docs/options-pending.md
    ./build.sh manual --check DIR         load every configuration example under DIR; ends with 1 where one does
                                          not that docs/manual-errata.md does not list
"""
import argparse
import json
import re
import sys
from pathlib import Path

from pymomentum.reference import pages
from pymomentum.reference.check import check_folder

ERRATA = Path("docs/manual-errata.md")
ROW = re.compile(r"^\| (\S+) \| ([0-9, ]+) \|", re.M)


def errata():
    """Answer (page, line) of the examples that are known to be wrong themselves."""
    rows = ROW.findall(ERRATA.read_text()) if ERRATA.exists() else []
    return {(page, int(line)) for page, lines in rows for line in lines.split(",")}


def is_known(example, known):
    page = example.path.with_suffix("").as_posix()
    return any(f"/{page}".endswith(f"/{name}") and line == example.line for name, line in known)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="build.sh manual", description="Write the pages of options, or check the examples of a manual.")
    parser.add_argument("--check", metavar="DIR", help="a checkout of a manual in Markdown; load every configuration example in it")
    parser.add_argument("--json", action="store_true", help="print one JSON object per example that does not load and is not in the errata")
    options = parser.parse_args(arguments)
    if options.check is None:
        print(f"{pages.write(Path('docs'))} pages are in docs/options/")
        return 0
    folder = Path(options.check)
    if not folder.is_dir():
        parser.error(f"{folder} is no folder")
    results = list(check_folder(folder))
    failed = [r for r in results if not r.loads]
    known = errata()
    new = [r for r in failed if not is_known(r.example, known)]
    for result in new:
        tell(result, folder, options.json)
    if not results:
        print(f"no configuration examples under {folder}", file=sys.stderr)
        return 1
    share = 100 * (len(results) - len(failed)) / len(results)
    if not options.json:
        print(f"{len(results)} examples, {len(results) - len(failed)} load ({share:.1f} %), {len(failed)} do not; "
              f"{len(failed) - len(new)} of these are in {ERRATA}")
    return 1 if new else 0


def tell(result, folder, as_json):
    where = f"{result.example.path.relative_to(folder)}:{result.example.line}"
    first = result.errors[0]
    message = f"{first.message}; {first.hint}" if first.hint else first.message
    line = first.excerpt.partition("\n")[0].strip()
    if as_json:
        print(json.dumps({"example": where, "inside": result.place, "error": message, "line": line, "text": result.example.text}))
    else:
        print(f"{where}: {message}\n    {line}")


if __name__ == "__main__":
    sys.exit(main())
