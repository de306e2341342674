"""A large site that is reloaded while mail flows: how long it takes, and what the mail notices."""
import time
from dataclasses import dataclass
from pathlib import Path

from pymomentum.console.client import Client
from tests.bench.row import Row, tenth
from tests.bench.server import Folder, Server
from tests.bench.tools import EndlessSource, PlainSink, Probe, percentile

RELOADS = 5


@dataclass(frozen=True)
class Reload(Row):
    domains: int = 10000
    bindings: int = 500
    sessions: int = 4           # they leave a part of the CPUs; with as many as there is room for, whatever else runs is felt

    def site(self, options, domains):
        """Every Binding and every Domain says something of its own."""
        text = options + 'Binding_Group "bulk" {\n'
        text += "".join(f'  Binding "b{n}" {{ EHLO_Hostname = "m{n}.example.com"  Max_Recipients_Per_Batch = {n % 50 + 1} }}\n'
                        for n in range(self.bindings)) + "}\n"
        return text + "".join(
            f'Domain "d{n}.example" {{\n  Max_Outbound_Connections = {n % 50 + 1}\n  Outbound_Throttle_Messages = "{n % 100 + 1}/1"\n'
            f"  Retry_Interval = {600 + n % 600}\n}}\n" for n in range(domains))

    def measure(self, quick):
        domains = tenth(self.domains, quick)
        with Folder() as folder:
            sink = PlainSink(folder)
            try:
                site = self.site(f'gateway = "127.0.0.1:{sink.port}"\n', domains)
                with Server(folder, site) as server:
                    return self.drive(server, f"{folder}/ecelerity.conf")
            finally:
                sink.stop()

    def drive(self, server, path):
        load = EndlessSource(server.port, self.sessions)
        load.start()
        time.sleep(1)
        alone, beside, took = [], [], []
        for number in range(RELOADS):
            probe = Probe(server.port)
            probe.start()
            time.sleep(2)
            alone += probe.stop()
            with open(path, "a") as site:       # nothing that was parsed before can be used again
                site.write(f"# {number}\n")
            probe = Probe(server.port)
            probe.start()
            begin = time.monotonic()
            with Client(f"{Path(path).parent}/2025") as client:
                client.ask("config reload", json=True)
            took.append(time.monotonic() - begin)
            time.sleep(0.5)                     # domain records take the new one up
            beside += probe.stop()
        load.stop()
        before, after = percentile(sorted(alone), 99), percentile(sorted(beside), 99)
        return {"reload": max(took), "p99_alone": before, "p99": after,
                "rise": (after - before) / max(before / 4, 2)}

