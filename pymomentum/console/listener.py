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
from pymomentum.doors import Doors
from pymomentum.errors import MomentumError
from pymomentum.sockets import Bound

MAX_CLIENTS = 32
SESSIONS = 64           # those whose transactions are kept
LOST = "the transaction is gone: the server was started anew, or others began many since. Nothing was done, nor will be before config rollback or config begin\n"
PREPARED = ("pid", "version", "shutdown")       # answers that never change


class Listener(Doors):
    """Accepts console clients and answers them from a Registry."""

    MOST = 64

    def __init__(self, registry, max_clients=MAX_CLIENTS):
        super().__init__()
        self.registry = registry
        self.sessions = {}              # by the names of clients, or by connections: what has begun, the least lately used first
        self.lock = threading.Lock()    # of sessions
        self.console = Console(max_clients)
        for name in PREPARED:
            answers = [registry.run(name), registry.run(name, json=True), registry.run(name, xml=True)]
            self.console.prepare(name, [framing.answer(a.text, a.data, a.status) for a in answers],
                                 [name == "shutdown" and a.status == 0 for a in answers])
        self.thread = threading.Thread(target=self.dispatch, name="console commands", daemon=True)

    def start(self, listens):
        """Open the addresses and begin to accept; raises MomentumError with the first that cannot be had."""
        self.change(listens)
        self.console.start()
        self.thread.start()

    def make(self, listen):
        return Endpoint(listen, self.console)

    def tune(self, door):
        door.tune()

    def end(self, door):
        door.close()

    def stop(self):
        """Close all sockets, those of clients too."""
        self.console.stop()
        if self.thread.is_alive():
            self.thread.join()
        self.close()

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

    def session(self, name):
        """What commands of a session keep for those that follow."""
        with self.lock:
            return self.sessions.get(name, {})

    def keep(self, name, session):
        with self.lock:
            self.sessions.pop(name, None)
            if session:
                self.sessions[name] = session
            while len(self.sessions) > SESSIONS:
                del self.sessions[next(iter(self.sessions))]

    def answer(self, client, request):
        command = request.get("command")
        if not isinstance(command, str):
            raise framing.FramingError("a request without a command")
        name = request.get("session") or os.fstat(client.fileno()).st_ino      # the kernel never gives a socket's number again
        if not isinstance(name, (str, int)) or len(str(name)) > 64:
            raise framing.FramingError("a request with a session that is none")
        session = self.session(name)
        words = command.lower().split()
        if request.get("transaction") is True and not session and words[:1] == ["config"] and words[1:2] != ["begin"]:
            ended = words == ["config", "rollback"]         # until then the client is to think that it goes on
            framing.send_answer(client, "" if ended else LOST, None, not ended, transaction=not ended)
            return
        answer = self.registry.run(command, json=request.get("json") is True, xml=request.get("xml") is True, session=session)
        self.keep(name, session)
        try:
            framing.send_answer(client, answer.text, answer.data, answer.status, transaction=bool(session))
        finally:
            if answer.after:
                answer.after()


class Endpoint:
    """One address that clients connect to, served from the start."""

    def __init__(self, listen, console):
        self.listen = listen
        self.console = console
        self.bound = Bound(listen, nodelay=False)
        try:
            self.number = console.open(self.bound.socket.fileno(), listen.setting("timeout"), listen.setting("always_deny"))
        except ValueError as e:
            self.bound.close()
            raise MomentumError(f"cannot listen on {listen.name}: {e}") from None

    def tune(self):
        self.console.change(self.number, self.listen.setting("timeout"), self.listen.setting("always_deny"))
        self.bound.tune(self.listen, nodelay=False)

    def close(self):
        self.console.close(self.number)
        self.bound.close()


def refuse(client, reason):
    """Tell a client why it is not served."""
    try:
        framing.send_answer(client, reason + "\n", None, 1)
        client.shutdown(socket.SHUT_WR)
    except OSError:
        pass
