"""The other end of the console's wire: connect to an endpoint, send commands."""
import re
import secrets
import socket

from pymomentum.console import framing
from pymomentum.errors import ConsoleError

TIMEOUT = 60            # for an answer


class Client:
    """A connection to a control listener, made again when the server closed it for being idle.

    endpoint: a path, PORT, :PORT, HOST:PORT or [IPV6]:PORT, each with user@ before it or not; the
    server knows its caller from the system, so the name is not sent.
    """

    def __init__(self, endpoint, timeout=TIMEOUT):
        self.endpoint = endpoint
        self.timeout = timeout
        self.socket = None
        self.session = secrets.token_hex(16)    # its transaction goes on over another connection
        self.transaction = False        # whether one has begun

    def __enter__(self):
        self.connect()
        return self

    def __exit__(self, *exception):
        self.close()

    def connect(self):
        """Connect; raises ConsoleError."""
        try:
            family, address = parse(self.endpoint)
            if family == socket.AF_UNIX:
                self.socket = socket.socket(family)
                self.socket.settimeout(self.timeout)
                self.socket.connect(address)
            else:
                self.socket = socket.create_connection(address, self.timeout)
        except OSError as e:
            self.close()
            raise ConsoleError(f"cannot connect to {self.endpoint}: {e.strerror or e}") from None

    def close(self):
        if self.socket:
            self.socket.close()
            self.socket = None

    def run(self, command, *, json=False, xml=False):
        """Send a command and walk its answer: (text, data, status); status is None until the last."""
        request = {"command": command, "json": json, "xml": xml, "session": self.session, "transaction": self.transaction}
        try:
            answer = self.first(request)
            while not answer.get("last"):
                yield answer["text"], None, None
                answer = self.receive()
            self.transaction = answer.get("transaction", self.transaction)
            yield answer["text"], answer["data"], answer["status"]
        except TimeoutError:
            self.close()
            raise ConsoleError(f"{self.endpoint} did not answer within {self.timeout} seconds") from None
        except (OSError, KeyError) as e:
            self.close()
            raise ConsoleError(f"{self.endpoint}: {getattr(e, 'strerror', None) or 'not a console'}") from None

    def ask(self, command, *, json=False):
        """Send a command and answer (text or data, status)."""
        text = ""
        for piece, data, status in self.run(command, json=json):
            text += piece
        return data if json and status == 0 else text, status

    def first(self, request):
        """Send a request and read the first frame; a connection that was closed while idle is made anew."""
        used = self.socket is not None
        if not used:
            self.connect()
        try:
            return self.exchange(request)
        except (ConnectionResetError, EOFError):
            self.close()
        if used:
            self.connect()
            try:
                return self.exchange(request)
            except (ConnectionResetError, EOFError):
                self.close()
        raise ConsoleError(f"{self.endpoint} closed the connection")

    def exchange(self, request):
        try:
            framing.send(self.socket, request)
        except (BrokenPipeError, ConnectionResetError):
            pass                        # why it closed may still be there to read
        return self.receive()

    def receive(self):
        answer = framing.receive(self.socket, framing.MAX_RESPONSE, self.timeout)
        if answer is None:
            raise EOFError
        return answer


def parse(endpoint):
    """Answer (family, address); raises ConsoleError."""
    user, at, rest = endpoint.partition("@")
    if at and re.fullmatch(r"[\w.-]+", user):
        endpoint = rest
    found = re.fullmatch(r"(?:\[([0-9a-fA-F:.%\w]+)\]:|([\w.-]*):)?(\d{1,5})", endpoint)
    if found and "/" not in endpoint:
        return socket.AF_INET, (found[1] or found[2] or "127.0.0.1", int(found[3]))
    if not endpoint or len(endpoint.encode()) > 107:
        raise ConsoleError(f'"{endpoint}" is no endpoint: give a path or HOST:PORT')
    return socket.AF_UNIX, endpoint
