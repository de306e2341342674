"""The control listener: sockets of ec_console, a thread for accepting and one per client.

Only root and the user the server runs as may speak.  A unix socket tells who
connects; for a TCP connection from this machine the kernel's table does, and
from elsewhere nobody comes in.  No loop of the engine is involved, so the
console answers when they are busy.
"""
import os
import selectors
import socket
import stat
import struct
import sys
import threading
from ipaddress import ip_address

from pymomentum.console import framing
from pymomentum.errors import ConsoleError

MAX_CLIENTS = 32
BACKLOG = 16
ESTABLISHED = "01"


class Listener:
    """Accepts console clients and answers them from a Registry."""

    def __init__(self, registry, max_clients=MAX_CLIENTS):
        self.registry = registry
        self.max_clients = max_clients
        self.endpoints = {}             # as written -> Endpoint
        self.clients = set()            # sockets
        self.lock = threading.Lock()
        self.selector = selectors.DefaultSelector()
        self.wake, waker = os.pipe()
        self.waker = os.fdopen(waker, "wb", buffering=0)
        self.selector.register(self.wake, selectors.EVENT_READ)
        self.thread = threading.Thread(target=self.accept_all, name="console", daemon=True)

    def start(self, listens):
        """Open the addresses and begin to accept; raises ConsoleError with the first that cannot be had."""
        self.listen(listens)
        self.thread.start()

    def listen(self, listens):
        """Have exactly these addresses open, from now on; sockets that stay are not touched."""
        wanted = {listen.name: listen for listen in listens}
        for name in self.endpoints.keys() - wanted.keys():
            endpoint = self.endpoints.pop(name)
            self.selector.unregister(endpoint.socket)
            endpoint.close()
        for name, listen in wanted.items():
            if name in self.endpoints:
                self.endpoints[name].timeout = listen.setting("timeout")
            else:
                endpoint = self.endpoints[name] = Endpoint(listen)
                self.selector.register(endpoint.socket, selectors.EVENT_READ, endpoint)

    def stop(self):
        """Close all sockets, those of clients too."""
        self.waker.close()
        if self.thread.is_alive():
            self.thread.join()
        for endpoint in self.endpoints.values():
            endpoint.close()
        self.endpoints.clear()
        with self.lock:
            for client in self.clients:
                try:
                    client.shutdown(socket.SHUT_RDWR)
                except OSError:         # it went first
                    pass
        self.selector.close()
        os.close(self.wake)

    def accept_all(self):
        while True:
            for key, _ in self.selector.select():
                if key.fd == self.wake:
                    return
                self.accept(key.data)

    def accept(self, endpoint):
        try:
            client, _ = endpoint.socket.accept()
        except OSError:                 # gone again, or the listen was closed meanwhile
            return
        with self.lock:
            full = len(self.clients) >= self.max_clients
            if not full:
                self.clients.add(client)
        if full:
            refuse(client, f"there are {self.max_clients} console clients already")
            return
        try:
            threading.Thread(target=self.serve, args=(client, endpoint), name="console client", daemon=True).start()
        except RuntimeError:
            self.forget(client)

    def serve(self, client, endpoint):
        try:
            client.settimeout(endpoint.timeout or None)
            if peer_uid(client) not in (0, os.getuid()):
                return refuse(client, "Not authorized: the console is for root and the user of the server")
            while True:
                request = framing.receive(client, framing.MAX_REQUEST, endpoint.timeout)
                if request is None:
                    return None
                self.answer(client, request)
        except framing.FramingError as e:
            refuse(client, str(e))
        except OSError:                 # silent for too long, or gone
            pass
        finally:
            self.forget(client)

    def answer(self, client, request):
        command = request.get("command")
        if not isinstance(command, str):
            raise framing.FramingError("a request without a command")
        answer = self.registry.run(command, json=request.get("json") is True, xml=request.get("xml") is True)
        try:
            framing.send_answer(client, answer.text, answer.data, answer.status)
        finally:
            if answer.after:
                answer.after()

    def forget(self, client):
        with self.lock:
            self.clients.discard(client)
            client.close()


class Endpoint:
    """One address that clients connect to."""

    def __init__(self, listen):
        self.name = listen.name
        self.path = listen.path
        self.timeout = listen.setting("timeout")
        self.inode = None
        try:
            self.socket = self.unix(listen.setting("file_mode")) if self.path else tcp(listen.host, listen.port)
            self.socket.listen(BACKLOG)
        except OSError as e:
            raise ConsoleError(f"cannot listen on {self.name}: {e.strerror or e}") from None
        self.socket.setblocking(False)

    def unix(self, mode):
        os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)
        remove_stale(self.path)
        sock = socket.socket(socket.AF_UNIX)
        os.fchmod(sock.fileno(), mode)  # the file is never more open than that
        sock.bind(self.path)
        os.chmod(self.path, mode)
        self.inode = os.stat(self.path).st_ino
        return sock

    def close(self):
        self.socket.close()
        if self.path:
            try:
                if os.stat(self.path).st_ino == self.inode:
                    os.unlink(self.path)
            except OSError:             # already gone, or the folder became read-only: nothing to do about it
                pass


def tcp(host, port):
    address = ip_address(host or "0.0.0.0")
    sock = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if address.version == 6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind((str(address), port))
    return sock


def remove_stale(path):
    """Remove a socket that nobody listens on; raises ConsoleError where somebody does, or it is no socket."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise ConsoleError(f"cannot listen on {path}: there is a file that is not a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
    raise ConsoleError(f"cannot listen on {path}: another server does")


def refuse(client, reason):
    """Say why, and close."""
    try:
        client.settimeout(1)
        framing.send_answer(client, reason + "\n", None, 1)
        client.shutdown(socket.SHUT_WR)
        client.recv(framing.MAX_REQUEST, socket.MSG_DONTWAIT)       # what is left unread turns the close into a reset
    except OSError:
        pass
    finally:
        client.close()


def peer_uid(client):
    """Answer the uid of the user at the other end, or None where it is another machine."""
    if client.family == socket.AF_UNIX:
        credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return struct.unpack("3i", credentials)[1]
    table = "/proc/net/tcp" if client.family == socket.AF_INET else "/proc/net/tcp6"
    ends = [kernel_name(*client.getpeername()[:2]), kernel_name(*client.getsockname()[:2]), ESTABLISHED]
    with open(table) as lines:
        for line in lines:
            fields = line.split()
            # a socket in any other state may have lost its owner, and then says 0
            if fields[1:4] == ends:
                return int(fields[7])
    return None


def kernel_name(host, port):
    """Write an address as /proc/net/tcp does: words of the machine's byte order."""
    packed = ip_address(host.partition("%")[0]).packed
    words = (int.from_bytes(packed[i:i + 4], sys.byteorder) for i in range(0, len(packed), 4))
    return "".join(f"{word:08X}" for word in words) + f":{port:04X}"
