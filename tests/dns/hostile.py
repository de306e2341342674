"""A name server whose every answer is made by a function, well formed or not."""
import socket
import struct
import threading

import dns.message
import dns.rdatatype

TIMEOUT = 5


class HostileServer:
    """`answer(query, transport)` gets a dns.message and answers bytes or a list of them; None is silence."""

    def __init__(self, answer=None, tcp=True):
        self.answer = answer
        self.seen = []                  # (name, type, transport, edns)
        self.tcp = None
        self._bind(tcp)
        if tcp:
            threading.Thread(target=self._serve_tcp, daemon=True).start()
        threading.Thread(target=self._serve_udp, daemon=True).start()

    def _bind(self, tcp):
        """A port that is free for both."""
        while True:
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.bind(("127.0.0.1", 0))
            self.port = self.udp.getsockname()[1]
            if not tcp:
                return
            try:
                self.tcp = socket.create_server(("127.0.0.1", self.port))
                return
            except OSError:
                self.udp.close()

    def close(self):
        self.udp.sendto(b"", ("127.0.0.1", self.port))
        if self.tcp:
            self.tcp.shutdown(socket.SHUT_RDWR)
            self.tcp.close()

    def resolv_conf(self):
        return f"nameserver 127.0.0.1:{self.port}\n"

    def _answers(self, data, transport):
        query = dns.message.from_wire(data)
        question = query.question[0]
        self.seen.append((question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype),
                          transport, query.edns >= 0))
        made = self.answer(query, transport)
        return made if isinstance(made, list) else [] if made is None else [made]

    def _serve_udp(self):
        while True:
            data, peer = self.udp.recvfrom(4096)
            if not data:
                self.udp.close()
                return
            for packet in self._answers(data, "udp"):
                self.udp.sendto(packet, peer)

    def _serve_tcp(self):
        while True:
            try:
                conn, _ = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_stream, args=(conn,), daemon=True).start()

    def _serve_stream(self, conn):
        conn.settimeout(TIMEOUT)
        with conn, conn.makefile("rb") as stream:
            try:
                while len(head := stream.read(2)) == 2:
                    for packet in self._answers(stream.read(struct.unpack("!H", head)[0]), "tcp"):
                        conn.sendall(struct.pack("!H", len(packet)) + packet)
            except OSError:
                pass
