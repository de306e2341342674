"""A scripted SMTP (or LMTP) server that records all it is told.

    sink = Sink("127.0.0.2", 2525, rcpt="452 4.2.2 full", delay={"data": 0.5}).start()
    sink.wait(rcpts=1)

A reply is a str ("550-one\\n550 two" for two lines), None for no answer, a list used
up one by one whose last one stays, or a callable that answers one of these: it gets the
address for mail and rcpt, the Message for body, the arguments for other verbs.
"""
import re
import socket
import struct
import threading
import time
from dataclasses import dataclass, field

from tests.harness.cert import server_context
from tests.harness.wait import until

EXTENSIONS = ("PIPELINING", "8BITMIME", "SIZE 100000000", "ENHANCEDSTATUSCODES")
REPLIES = {
    "banner": "220 sink ESMTP", "helo": "250 sink", "mail": "250 2.1.0 OK", "rcpt": "250 2.1.5 OK",
    "data": "354 go ahead", "body": "250 2.0.0 taken", "bdat": "250 2.0.0 chunk", "rset": "250 2.0.0 OK", "noop": "250 2.0.0 OK",
    "quit": "221 2.0.0 bye", "starttls": "220 2.0.0 go ahead", "auth": "235 2.7.0 OK", "xclient": "220 sink ESMTP",
    "vrfy": "252 2.5.0 maybe", "help": "214 help", "unknown": "500 5.5.1 what",
}
EHLO_LIKE = ("ehlo", "lhlo")


class Cut(Exception):
    """The script closes this connection now."""


@dataclass
class Message:
    mailfrom: str
    rcpts: list
    peer: tuple
    connection: int             # its number, from 0
    tls: bool
    mail_args: str              # behind MAIL FROM:<...>
    raw: bytes = b""            # wire form, without the final dot; the chunks as they came for BDAT
    data: bytes = b""           # content
    at: float = 0.0             # monotonic time of the final reply


@dataclass
class Connection:
    number: int
    peer: tuple
    at: float
    commands: list = field(default_factory=list)
    violations: list = field(default_factory=list)  # lines not ended by CR LF, bytes sent before a banner
    tls: bool = False
    auth: list = field(default_factory=list)
    closed: bool = False
    left: bool = False          # said QUIT: counted as open no more


class Sink:
    """Listens from `start` to `stop`, one thread per connection; also a context manager.

    Faults, each on the first `times` connections (all by default):
    cut_after=N    close when N bytes were written to the client
    cut_at=VERB    close instead of answering it; "banner" and "body" too
    cut_body=N     close when N bytes of a body were read
    silent=True    accept and say nothing
    endless=VERB   answer it with continuation lines for ever
    reset=True     close by RST

    tls=True offers STARTTLS, with a certificate of "localhost" or of the name given instead.
    """

    def __init__(self, address="127.0.0.1", port=0, *, extensions=EXTENSIONS, tls=False, lmtp=False, delay=None,
                 cut_after=None, cut_at=None, cut_body=None, silent=False, endless=None, reset=False, times=None, **replies):
        unknown = set(replies) - set(REPLIES) - set(EHLO_LIKE)
        if unknown:
            raise TypeError(f"no such verb: {', '.join(sorted(unknown))}")
        self.address, self.port = address, port
        self.extensions = list(extensions) + (["STARTTLS"] if tls else [])
        self.tls, self.lmtp, self.delay = tls, lmtp, dict(delay or {})
        self.cut_after, self.cut_at, self.cut_body = cut_after, cut_at, cut_body
        self.silent, self.endless, self.reset, self.times = silent, endless, reset, times
        self.replies = {**REPLIES, **replies}
        self.connections, self.messages = [], []
        self.open = self.peak = 0               # connections now, and at most
        self._lock = threading.Lock()
        self._live = set()
        self._stopping = False

    # what was seen

    @property
    def commands(self):
        """All command lines, by connection."""
        return [line for c in list(self.connections) for line in list(c.commands)]

    def seen(self, verb):
        """Command lines of that verb."""
        return [line for line in self.commands if line.split(" ")[0].upper() == verb.upper()]

    def wait(self, messages=0, rcpts=0, connections=0, timeout=10):
        """Block until that many messages were taken, RCPTs seen, connections accepted."""
        until(lambda: (len(self.messages) >= messages and len(self.connections) >= connections
                       and (not rcpts or len(self.seen("RCPT")) >= rcpts)), timeout,
              lambda: f"{messages} messages, {rcpts} RCPTs, {connections} connections: {len(self.messages)}, "
                      f"{len(self.seen('RCPT'))}, {len(self.connections)}")

    def set(self, **replies):
        """Change replies while running."""
        self.replies.update(replies)

    # life

    def start(self):
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((self.address, self.port))
        self._listener.listen(1024)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="sink", daemon=True).start()
        return self

    def stop(self):
        self._stopping = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            live = list(self._live)
        for sock in live:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass                            # closed meanwhile

    def __enter__(self):
        return self.start()

    def __exit__(self, *failure):
        self.stop()

    def _accept(self):
        while not self._stopping:
            try:
                sock, peer = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                connection = Connection(len(self.connections), peer, time.monotonic())
                self.connections.append(connection)
                self._live.add(sock)
                self.open += 1
                self.peak = max(self.peak, self.open)
            threading.Thread(target=self._serve, args=(sock, connection), name="sink session", daemon=True).start()

    def _serve(self, sock, connection):
        session = _Session(self, sock, connection)
        try:
            session.run()
        except (Cut, OSError):
            pass                                # the script, or the peer, ended it
        finally:
            if not (self.reset and session.faulty):
                session.shut()
            with self._lock:
                self._live.discard(sock)
                if not connection.left:
                    self.open -= 1
            if self.reset and session.faulty:
                session.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            session.sock.close()
            connection.closed = True

    def reply_for(self, verb, argument, default):
        """What the script says to verb now."""
        reply = self.replies.get(verb, default)
        if isinstance(reply, list):
            with self._lock:
                reply = reply.pop(0) if len(reply) > 1 else reply[0]
        return reply(argument) if callable(reply) else reply


class _Session:
    """One connection's side of the dialogue; replies are collected while commands are left to read."""

    def __init__(self, sink, sock, connection):
        self.sink, self.sock, self.connection = sink, sock, connection
        self.faulty = sink.times is None or connection.number < sink.times
        self.input = bytearray()
        self.output = bytearray()
        self.written = 0
        self.reset_transaction()

    def reset_transaction(self):
        self.mailfrom, self.mail_args, self.rcpts, self.chunks = None, "", [], []

    def run(self):
        if self.faulty and self.sink.silent:
            while self.sock.recv(65536):
                pass
            return
        if self.answer("banner", "").startswith("421"):
            self.flush()
            return
        while True:
            line = self.line()
            if line is None:
                return
            if self.command(line):
                return

    def shut(self):
        """End our side so that all written arrives: closing with input unread would send RST and may lose it."""
        end = time.monotonic() + 1
        try:
            self.sock.shutdown(socket.SHUT_WR)
            self.sock.settimeout(1)
            while self.sock.recv(65536) and time.monotonic() < end:
                pass
        except OSError:
            pass                                # the peer has closed, or sits there

    # bytes

    def more(self):
        """Read on, having said what is to be said; False at the end."""
        self.flush()
        data = self.sock.recv(65536)
        self.input += data
        return bool(data)

    def line(self):
        at = 0
        while True:
            end = self.input.find(b"\n", at)
            if end >= 0:
                break
            at = len(self.input)
            if not self.more():
                return None
        line = bytes(self.input[:end + 1])
        del self.input[:end + 1]
        if not line.endswith(b"\r\n") or b"\r" in line[:-2] or b"\0" in line:
            self.connection.violations.append(line)
        return line.rstrip(b"\r\n").decode("utf-8", "surrogateescape")

    def say(self, text):
        self.output += "".join(line + "\r\n" for line in text.split("\n")).encode("utf-8", "surrogateescape")

    def flush(self):
        if not self.output:
            return
        data, self.output = bytes(self.output), bytearray()
        limit = self.sink.cut_after if self.faulty else None
        if limit is not None and self.written + len(data) >= limit:
            self.sock.sendall(data[:limit - self.written])
            raise Cut
        self.sock.sendall(data)
        self.written += len(data)

    def answer(self, verb, argument, default=REPLIES["unknown"]):
        """Say what the script has for verb; answers the text, "" for silence."""
        sink = self.sink
        pause = sink.delay.get(verb)
        if pause:
            self.flush()
            time.sleep(pause)
        if self.faulty and sink.cut_at and sink.cut_at.lower() == verb:
            self.flush()
            raise Cut
        if self.faulty and sink.endless and sink.endless.lower() == verb:
            self.flush()
            while True:
                self.say("250-and so on")
                self.flush()
        reply = sink.reply_for(verb, argument, default)
        if reply is not None:
            self.say(reply)
        return reply or ""

    # commands

    def command(self, line):
        """Handle one command; True: the dialogue is over."""
        self.connection.commands.append(line)
        verb, _, args = line.partition(" ")
        verb = verb.lower()
        if verb == "quit":                      # before the peer can know and open another
            with self.sink._lock:
                self.connection.left = True
                self.sink.open -= 1
        handler = getattr(self, "do_" + verb, None)
        reply = handler(args) if handler else self.answer(verb, args)
        if reply and reply.startswith("421") or verb == "quit":
            self.flush()
            return True
        return False

    def do_ehlo(self, args, verb="ehlo"):
        self.reset_transaction()
        lines = ["sink"] + [e for e in self.sink.extensions if not (e == "STARTTLS" and self.connection.tls)]
        offer = "".join(f"250-{line}\n" for line in lines[:-1]) + f"250 {lines[-1]}"
        return self.answer(verb, args, offer)

    def do_lhlo(self, args):
        return self.do_ehlo(args, "lhlo")

    def do_mail(self, args):
        self.reset_transaction()
        path, self.mail_args = split_path(args)
        reply = self.answer("mail", path)
        if reply.startswith("2"):
            self.mailfrom = path
        return reply

    def do_rcpt(self, args):
        if self.mailfrom is None:
            return self.refuse()
        path, _ = split_path(args)
        reply = self.answer("rcpt", path)
        if reply.startswith("2"):
            self.rcpts.append(path)
        return reply

    def do_rset(self, args):
        self.reset_transaction()
        return self.answer("rset", args)

    def do_data(self, args):
        if not self.rcpts:
            return self.refuse("554 5.5.1 no valid recipients")
        reply = self.answer("data", args)
        if not reply.startswith("3"):
            return reply
        return self.finish(self.read_body(), stuffed=True)

    def do_bdat(self, args):
        size, _, last = args.partition(" ")
        while len(self.input) < int(size):
            if not self.more():
                raise Cut
        self.chunks.append(bytes(self.input[:int(size)]))
        del self.input[:int(size)]
        if not self.rcpts:
            return self.refuse("554 5.5.1 no valid recipients")
        if last.upper() != "LAST":
            return self.answer("bdat", args)
        return self.finish(b"".join(self.chunks), stuffed=False)

    def do_starttls(self, args):
        if "STARTTLS" not in self.sink.extensions or self.connection.tls:
            return self.refuse()
        if self.input:                          # RFC 3207 4: nothing sent in clear may count later
            self.connection.violations.append(bytes(self.input))
            self.input.clear()
        reply = self.answer("starttls", args)
        self.flush()
        if reply.startswith("220"):
            self.sock = server_context(self.sink.tls if isinstance(self.sink.tls, str) else "localhost").wrap_socket(self.sock, server_side=True)
            self.connection.tls = True
            self.reset_transaction()
        return reply

    def do_auth(self, args):
        words = args.split()
        self.connection.auth = words[:]
        prompts = {("LOGIN", 1): 2, ("LOGIN", 2): 1, ("PLAIN", 1): 1, ("XOAUTH2", 1): 1}
        for _ in range(prompts.get((words[0].upper() if words else "", len(words)), 0)):
            self.say("334 ")
            line = self.line()
            if line is None:
                raise Cut
            self.connection.auth.append(line)
        return self.answer("auth", self.connection.auth)

    def refuse(self, text="503 5.5.1 out of order"):
        self.say(text)
        return text

    # the body

    def read_body(self):
        """Wire form up to the final dot line."""
        self.input[:0] = b"\r\n"                # the start counts as behind CR LF
        at = 0
        while True:
            end = self.input.find(b"\r\n.\r\n", at)
            if self.faulty and self.sink.cut_body is not None and len(self.input) - 2 >= self.sink.cut_body:
                raise Cut
            if end >= 0:
                break
            at = max(0, len(self.input) - 4)
            if not self.more():
                raise Cut
        raw = bytes(self.input[2:end + 2])
        del self.input[:end + 5]
        return raw

    def finish(self, raw, stuffed):
        """Final reply, one per recipient for LMTP; the message is recorded where it is taken."""
        data = re.sub(rb"(\A|\r\n)\.", rb"\1", raw) if stuffed else raw
        message = Message(self.mailfrom, self.rcpts, self.connection.peer, self.connection.number, self.connection.tls,
                          self.mail_args, raw, data)
        self.reset_transaction()
        reply = ""
        taken = []
        for rcpt in message.rcpts if self.sink.lmtp else [None]:
            reply = self.answer("body", message)
            if reply.startswith("2"):
                taken += message.rcpts if rcpt is None else [rcpt]
        if taken:
            message.rcpts, message.at = taken, time.monotonic()
            self.sink.messages.append(message)
        return reply


def split_path(args):
    """("FROM:<a@b> SIZE=1") to ("a@b", "SIZE=1")."""
    match = re.match(r"(?:FROM|TO):\s*<(.*?)>\s*(.*)", args, re.I)
    return match.groups() if match else (args, "")
