"""A process with one event loop that looks names up: one JSON request per line in, one answer per line out."""
import json
import os
import sys
import threading

from pymomentum import config
from pymomentum.core.dns import dig
from pymomentum.core.loop import loop
from tests.harness import ignoring  # noqa: F401  what EC_IGNORE says holds here, too


def configure(text):
    with open("ecelerity.conf", "w") as file:
        file.write(text)
    config.publish(config.load("ecelerity.conf", env={"EC_CONF_SEARCH_PATH": ""}))


CALLS = {"configure": configure, "lookup_all": dig.lookup_all, "stats": dig.stats, "counters": loop.counters}


def main(folder):
    os.chdir(folder)
    loop.create(1)
    thread = threading.Thread(target=loop.run, args=(0,))
    thread.start()
    for line in sys.stdin:
        name, arguments, named = json.loads(line)
        print(json.dumps(CALLS[name](*arguments, **named)), flush=True)
    loop.stop_all()
    thread.join()


if __name__ == "__main__":
    main(sys.argv[1])
