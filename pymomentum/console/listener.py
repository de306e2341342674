"""The control listener: sockets of ec_console, and the commands that Python answers.

core/control/listener accepts, sees who is there and answers by itself what must
come even while a module keeps the GIL.  Only root and the user the server runs as
may speak: a unix socket tells who connects; for a TCP connection from this
machine the kernel's table does, and from elsewhere nobody comes in.  Here the
sockets are bound, and every other request has a thread of its own.
"""
import os
import socket
import threading

from pymomentum.console import framing
from pymomentum.core.control.listener import Console
from pymomentum.errors import ConsoleError, MomentumError
from pymomentum.listeners import tune
from pymomentum.sockets import Bound

MAX_CLIENTS = 32
SESSIONS = 64           # connections whose transactions are kept
PREPARED = ("pid", "version", "shutdown")       # answers that never change


class Listener:
    """Accepts console clients and answers them from a Registry."""

    def __init__(self, registry, max_clients=MAX_CLIENTS):
        self.registry = registry
        self.endpoints = {}             # as written -> Endpoint
        self.sessions = {}              # of connections, the least lately used first
        self.lock = threading.Lock()    # of sessions
        self.console = Console(max_clients)
        for name in PREPARED:
            answers = [registry.run(name), registry.run(name, json=True), registry.run(name, xml=True)]
            self.console.prepare(name, [framing.answer(a.text, a.data, a.status) for a in answers],
                                 [name == "shutdown" and a.status == 0 for a in answers])
        self.thread = threading.Thread(target=self.dispatch, name="console commands", daemon=True)

    def start(self, listens):
        """Open the addresses and begin to accept; raises ConsoleError with the first that cannot be had."""
        self.listen(listens)
        self.console.start()
        self.thread.start()

    def listen(self, listens):
        """Have exactly these addresses open, from now on."""
        self.adopt(listens, self.prepare(listens))

    def prepare(self, listens):
        """Open what is new; answers {name: Endpoint}, raises ConsoleError with the first that cannot be had.

        What is taken by one of ours that is to be closed waits for that.
        """
        wanted = {listen.name: listen for listen in listens}
        leaving = {endpoint.port for name, endpoint in self.endpoints.items() if name not in wanted}
        made = {}
        for name in [name for name in wanted if name not in self.endpoints]:
            try:
                made[name] = self.open(wanted[name])
            except ConsoleError:
                if wanted[name].port not in leaving:
                    self.drop(made)
                    raise
        return made

    def open(self, listen):
        endpoint = Endpoint(listen)
        try:
            endpoint.number = self.console.open(endpoint.socket.fileno(), listen.setting("timeout"), listen.setting("always_deny"))
        except ValueError as e:
            endpoint.close()
            raise ConsoleError(f"cannot listen on {listen.name}: {e}") from None
        return endpoint

    def drop(self, made):
        """Close what was opened in vain."""
        for endpoint in made.values():
            self.console.close(endpoint.number)
            endpoint.close()

    def adopt(self, listens, made):
        """Have exactly these addresses open, some of which are made; sockets that stay go on."""
        wanted = {listen.name: listen for listen in listens}
        self.drop({name: self.endpoints.pop(name) for name in self.endpoints.keys() - wanted.keys()})
        for name, listen in wanted.items():
            if name in self.endpoints:
                self.endpoints[name].tune(listen)
                self.console.change(self.endpoints[name].number, listen.setting("timeout"), listen.setting("always_deny"))
            else:
                self.endpoints[name] = made.get(name) or self.open(listen)

    def stop(self):
        """Close all sockets, those of clients too."""
        self.console.stop()
        if self.thread.is_alive():
            self.thread.join()
        for endpoint in self.endpoints.values():
            endpoint.close()
        self.endpoints.clear()

    @property
    def stop_fd(self):
        """Readable once a client has asked for the end of the server."""
        return self.console.stop_fd

    def noticed(self):
        """Somebody sees to the end of the server: the listener need not begin with it."""
        self.console.noticed()

    def dispatch(self):
        while (taken := self.console.take()) is not None:
            number, fd, request, timeout = taken
            client = socket.socket(fileno=fd)
            try:
                threading.Thread(target=self.serve, args=(number, client, request, timeout), name="console client",
                                 daemon=True).start()
            except RuntimeError:
                client.close()
                self.console.give_back(number, False)

    def serve(self, number, client, request, timeout):
        keep = False
        with client:
            try:
                client.settimeout(timeout or None)
                self.answer(client, framing.parse(request))
                keep = True
            except framing.FramingError as e:
                refuse(client, str(e))
            except OSError:             # it reads too slowly, or is gone
                pass
            finally:
                self.console.give_back(number, keep)

    def session(self, client):
        """What a connection's commands keep for those that follow; the kernel never gives a socket's number again."""
        number = os.fstat(client.fileno()).st_ino
        with self.lock:
            self.sessions[number] = session = self.sessions.pop(number, {})
            while len(self.sessions) > SESSIONS:
                del self.sessions[next(iter(self.sessions))]
        return session

    def answer(self, client, request):
        command = request.get("command")
        if not isinstance(command, str):
            raise framing.FramingError("a request without a command")
        answer = self.registry.run(command, json=request.get("json") is True, xml=request.get("xml") is True, session=self.session(client))
        try:
            framing.send_answer(client, answer.text, answer.data, answer.status)
        finally:
            if answer.after:
                answer.after()


class Endpoint:
    """One address that clients connect to."""

    def __init__(self, listen):
        self.name = listen.name
        self.port = listen.path or listen.port
        self.number = None              # in the core's listener
        try:
            self.bound = Bound(listen, listen.setting("file_mode"))
            self.socket = self.bound.socket
            self.tune(listen)
        except OSError as e:
            raise ConsoleError(f"cannot listen on {self.name}: {e.strerror or e}") from None
        except MomentumError as e:
            raise ConsoleError(str(e)) from None
        self.socket.setblocking(False)

    def tune(self, listen):
        tune(self.socket, listen, nodelay=False)
        self.socket.listen(listen.setting("listen_backlog"))

    def close(self):
        self.bound.close()


def refuse(client, reason):
    """Tell a client why it is not served."""
    try:
        framing.send_answer(client, reason + "\n", None, 1)
        client.shutdown(socket.SHUT_WR)
    except OSError:
        pass
