"""A name server for many domains: nsd, from its Debian package, on a generated zone."""
import shutil
import subprocess
import time
from pathlib import Path

import dns.exception
import dns.message
import dns.query

from tests.bench.tools import BenchError
from tests.harness.port import free_port

CONFIG = """
server:
  server-count: 1
  ip-address: 127.0.0.1@{port}
  do-ip6: no
  username: ""
  chroot: ""
  zonesdir: "{folder}"
  logfile: "{folder}/nsd.log"
  pidfile: "{folder}/nsd.pid"
  xfrdfile: "{folder}/xfrd.state"
  zonelistfile: "{folder}/zone.list"
  database: ""
remote-control:
  control-enable: no
zone:
  name: bench.test
  zonefile: bench.zone
"""
HEAD = """$ORIGIN bench.test.
$TTL 86400
@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
mx A 127.0.0.2
"""


def own_address(i):
    """127.1.0.1 and upwards, none that ends in 0 or 255."""
    return f"127.{1 + i // 254 // 254}.{1 + i // 254 % 254}.{1 + i % 254}"


class Zone:
    """d0.bench.test to d<domains-1>.bench.test: with the same MX, or with an MX and an address each."""

    def __init__(self, folder, domains, own):
        self.folder, self.port = Path(folder, "dns"), free_port()
        self.folder.mkdir()
        with open(self.folder / "bench.zone", "w") as f:
            f.write(HEAD)
            f.writelines(f"d{i} MX 10 m{i}\nm{i} A {own_address(i)}\n" if own else f"d{i} MX 10 mx\n" for i in range(domains))
        (self.folder / "nsd.conf").write_text(CONFIG.format(folder=self.folder, port=self.port))
        self.process = subprocess.Popen([shutil.which("nsd", path="/usr/sbin:/usr/bin"), "-d", "-c", self.folder / "nsd.conf"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        query, end = dns.message.make_query(f"d{domains - 1}.bench.test", "MX"), time.monotonic() + 60
        while not self.answers(query):
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise BenchError("nsd does not answer")
        self.options = f'resolv_conf = "{self.folder}/resolv.conf"\n'
        (self.folder / "resolv.conf").write_text(f"nameserver 127.0.0.1:{self.port}\n")

    def answers(self, query):
        try:
            return bool(dns.query.udp(query, "127.0.0.1", port=self.port, timeout=0.5).answer)
        except (OSError, dns.exception.Timeout):
            time.sleep(0.1)
            return False

    def stop(self):
        self.process.terminate()            # its children go with it
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.stop()
