"""A DNS server on loopback, UDP and TCP, that answers from a dict.

    {"example.com": {"MX": [(10, "mx.example.com")], "TTL": 5},     # or ["mx.example.com"]
     "mx.example.com": {"A": ["127.0.0.2"], "AAAA": ["::1"]},
     "alias.example.com": {"CNAME": "mx.example.com"},
     "bad.example.com": {"misbehave": "servfail"}}

NXDOMAIN for other names, no data for other types.  `misbehave` is one of MISBEHAVIOURS,
or a dict of them by type; `delay` is in seconds.  Both stand in a name's entry, or
under "*" for every query.  Questions are counted in `queries` by (name, type).
"""
import collections
import random
import socket
import struct
import threading

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests.harness.wait import until

MISBEHAVIOURS = ("servfail", "refused", "timeout", "truncated", "garbage", "wrong_id", "wrong_question")
DEFAULT_TTL = 60


def _checked(entry):
    faults = entry.get("misbehave")
    for fault in faults.values() if isinstance(faults, dict) else [faults]:
        if fault is not None and fault not in MISBEHAVIOURS:
            raise ValueError(f"unknown misbehaviour {fault!r}")
    return dict(entry)


def _texts(kind, values):
    """Values as the zone file would have them."""
    for value in [values] if isinstance(values, (str, tuple)) else values:
        if kind == "MX":
            preference, host = value if isinstance(value, tuple) else (10, value)
            yield f"{preference} {host.rstrip('.')}."
        elif kind in ("CNAME", "NS", "PTR"):
            yield value.rstrip(".") + "."
        elif kind == "TXT":
            yield " ".join('"' + value[i:i + 255].replace("\\", "\\\\").replace('"', '\\"') + '"'
                           for i in range(0, max(len(value), 1), 255))
        else:
            yield value


class DNSServer:
    """Runs in its own threads from `start` to `stop`; also a context manager."""

    def __init__(self, zones=None, address="127.0.0.1", port=0):
        self.address = address
        self.port = port
        self.queries = collections.Counter()
        self.log = []                   # (name, type, transport) in order
        self.ports = []                 # that questions by UDP came from
        self._lock = threading.Lock()
        self._zones = {}
        self._stopping = False
        self.set(zones or {})

    def set(self, zones):
        """Replace everything known."""
        zones = {name.lower().rstrip("."): _checked(entry) for name, entry in zones.items()}
        with self._lock:
            self._zones = zones

    def zones(self):
        """Everything known."""
        with self._lock:
            return dict(self._zones)

    def update(self, zones):
        """Replace the entries of these names; None removes a name."""
        with self._lock:
            known = dict(self._zones)
            for name, entry in zones.items():
                known.pop(name.lower().rstrip("."), None)
                if entry is not None:
                    known[name.lower().rstrip(".")] = _checked(entry)
            self._zones = known

    def count(self, name, kind):
        with self._lock:
            return self.queries[name.lower().rstrip("."), kind]

    def wait(self, name, kind, count=1, timeout=10):
        """Block until `count` questions for (name, kind) came."""
        until(lambda: self.count(name, kind) >= count, timeout, f"{count} questions for {name} {kind}")

    def start(self):
        for _ in range(20):             # one port number for both transports
            self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._udp.bind((self.address, self.port))
            port = self._udp.getsockname()[1]
            self._tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self._tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                self._tcp.bind((self.address, port))
                break
            except OSError:
                self._udp.close()
                self._tcp.close()
        else:
            raise OSError("no port free for both UDP and TCP")
        self.port = port
        self._tcp.listen(64)
        for serve in self._serve_udp, self._serve_tcp:
            threading.Thread(target=serve, name="dns", daemon=True).start()
        return self

    def stop(self):
        self._stopping = True
        self._tcp.shutdown(socket.SHUT_RDWR)                        # wakes accept
        self._udp.sendto(b"", (self.address, self.port))            # wakes recvfrom
        self._tcp.close()
        self._udp.close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *failure):
        self.stop()

    def resolv_conf(self):
        """Text of a resolv.conf that points here."""
        return f"nameserver {self.address}:{self.port}\n"

    def _serve_udp(self):
        while not self._stopping:
            try:
                data, peer = self._udp.recvfrom(4096)
            except OSError:
                return
            if data:
                self.ports.append(peer[1])
                self._answer(data, "udp", lambda answer, peer=peer: self._udp.sendto(answer, peer))

    def _serve_tcp(self):
        while not self._stopping:
            try:
                conn, _ = self._tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_stream, args=(conn,), name="dns tcp", daemon=True).start()

    def _serve_stream(self, conn):
        with conn, conn.makefile("rb") as stream:
            while True:
                head = stream.read(2)
                data = stream.read(struct.unpack("!H", head)[0]) if len(head) == 2 else b""
                if not data:
                    return
                self._answer(data, "tcp", lambda answer: conn.sendall(struct.pack("!H", len(answer)) + answer))

    def _answer(self, data, transport, send):
        try:
            query = dns.message.from_wire(data)
        except dns.exception.DNSException:
            return
        if not query.question:
            return
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        with self._lock:
            zones = self._zones
            self.queries[name, kind] += 1
            self.log.append((name, kind, transport))
        answer, delay = self._compose(query, name, kind, transport, zones)
        if answer is None:
            return
        if delay:                       # others are served meanwhile
            threading.Timer(delay, self._send, (send, answer)).start()
        else:
            self._send(send, answer)

    @staticmethod
    def _send(send, answer):
        try:
            send(answer)
        except OSError:
            pass                        # the asker has gone, or we are stopping

    def _compose(self, query, name, kind, transport, zones):
        """Bytes of the answer, None for silence; and the delay."""
        entry = zones.get(name, {})
        wild = zones.get("*", {})
        delay = entry.get("delay", wild.get("delay", 0))
        fault = entry.get("misbehave", wild.get("misbehave"))
        if isinstance(fault, dict):
            fault = fault.get(kind)
        if fault == "timeout":
            return None, 0
        if fault == "garbage":
            return random.Random(len(name)).randbytes(40), delay
        response = dns.message.make_response(query, recursion_available=True)
        if fault == "servfail":
            response.set_rcode(dns.rcode.SERVFAIL)
        elif fault == "refused":
            response.set_rcode(dns.rcode.REFUSED)
        elif fault == "truncated" and transport == "udp":
            response.flags |= dns.flags.TC
        else:
            self._fill(response, name, kind, zones)
        if fault == "wrong_id":
            response.id ^= 0x5555
        if fault == "wrong_question":
            response.question[0].name = dns.name.from_text("other.invalid.")
        return self._wire(response, query, transport), delay

    @staticmethod
    def _fill(response, name, kind, zones):
        """Follow CNAMEs, then give the records asked for."""
        for _ in range(16):
            entry = zones.get(name)
            if entry is None:
                response.set_rcode(dns.rcode.NXDOMAIN)
                return
            kind_here = "CNAME" if "CNAME" in entry and kind != "CNAME" else kind
            if entry.get(kind_here):
                response.answer.append(dns.rrset.from_text_list(
                    dns.name.from_text(name), entry.get("TTL", DEFAULT_TTL), "IN", kind_here,
                    list(_texts(kind_here, entry[kind_here]))))
            if kind_here == kind:
                return
            name = entry["CNAME"].lower().rstrip(".")

    @staticmethod
    def _wire(response, query, transport):
        if transport == "tcp":
            return response.to_wire()
        room = query.payload if query.edns >= 0 else 512
        try:
            return response.to_wire(max_size=max(room, 512))
        except dns.exception.TooBig:
            response.answer.clear()
            response.flags |= dns.flags.TC
            return response.to_wire()
