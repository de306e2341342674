"""A proxy that reads a PROXY header of version 2, then joins the client with whom that names.

    with Proxy() as proxy:
        ... proxy.seen: (source, destination, destination port) of each connection
"""
import socket
import struct
import threading

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


class Proxy:
    def __init__(self, address="127.0.0.1"):
        self.address, self.seen = address, []
        self.stopping = False

    def __enter__(self):
        self.listener = socket.create_server((self.address, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, name="proxy", daemon=True).start()
        return self

    def __exit__(self, *failure):
        self.stopping = True
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self):
        while not self.stopping:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), name="proxy session", daemon=True).start()

    def serve(self, client):
        with client:
            head = client.recv(16, socket.MSG_WAITALL)
            assert head[:13] == SIGNATURE + b"\x21", head
            family, length = socket.AF_INET if head[13] == 0x11 else socket.AF_INET6, struct.unpack("!H", head[14:])[0]
            body = client.recv(length, socket.MSG_WAITALL)
            size = 4 if family == socket.AF_INET else 16
            source, destination = (socket.inet_ntop(family, body[at:at + size]) for at in (0, size))
            [port] = struct.unpack("!H", body[2 * size + 2:2 * size + 4])
            self.seen.append((source, destination, port))
            with socket.create_connection((destination, port)) as peer:
                back = threading.Thread(target=pump, args=(peer, client), daemon=True)
                back.start()
                pump(client, peer)
                back.join(5)


def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass                                    # the other side has gone
