"""A raw SMTP client, and a load generator that knows what was acknowledged.

    with SMTPClient(port=2525) as c:
        c.expect("220 *")
        c.command("EHLO test")
        c.expect("250 *")
        c.send_mail("a@test", ["b@example.com"], b"Subject: x\\r\\n\\r\\nbody\\r\\n")
        c.expect("250 2.0.0 *")
"""
import fnmatch
import re
import socket
import threading
import time

from tests.harness.cert import client_context


class SMTPClient:
    """`send_mail` greets by itself, and leaves the reply that settles the message for `expect`."""

    def __init__(self, host="127.0.0.1", port=25, *, timeout=10, source=None, greet=True, name="test"):
        self.host, self.port, self.timeout, self.source, self.name = host, port, timeout, source, name
        self.greet = greet          # connect reads the banner and says EHLO
        self.sock = None
        self.reply = []             # lines of the last reply
        self.extensions = []

    def __enter__(self):
        self.connect()
        return self

    def __exit__(self, *failure):
        self.close()

    def connect(self):
        self.sock = socket.create_connection((self.host, self.port), self.timeout,
                                             source_address=(self.source, 0) if self.source else None)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.input = b""
        self.pending = False        # a reply was read and no one has asked for it yet
        if self.greet:
            self.read_reply()
            self.expect("220*", unread=False)
            self.ehlo()
        return self

    def close(self):
        if self.sock:
            self.sock.close()
            self.sock = None

    def ehlo(self):
        self.command(f"EHLO {self.name}")
        self.expect("250*")
        self.extensions = [line[4:] for line in self.reply[1:]]

    def starttls(self):
        self.command("STARTTLS")
        self.expect("220 *")
        self.sock = client_context().wrap_socket(self.sock, server_hostname=self.host)
        self.ehlo()

    # bytes

    def send(self, data):
        self.pending = False
        self.sock.sendall(data)

    def command(self, line):
        self.send(line.encode("utf-8", "surrogateescape") + b"\r\n")

    def line(self):
        """One line without its end; ConnectionError at the end of the stream."""
        while b"\n" not in self.input:
            data = self.sock.recv(65536)
            if not data:
                raise ConnectionError(f"connection closed, left unread: {self.input!r}")
            self.input += data
        line, _, self.input = self.input.partition(b"\n")
        return line.rstrip(b"\r").decode("utf-8", "surrogateescape")

    def lines(self):
        """The lines of one reply."""
        found = []
        while True:
            line = self.line()
            found.append(line)
            if line[3:4] != "-":
                return found

    def read_reply(self):
        """Read one reply; answers its code."""
        self.reply = self.lines()
        self.pending = True
        return int(self.reply[-1][:3])

    def expect(self, *patterns, unread=True):
        """Match the last line of the next reply with one of the wildcard patterns; answers the line.

        The reply that send_mail left counts as next."""
        if unread and not self.pending:
            self.read_reply()
        self.pending = False
        last = self.reply[-1]
        # "[" is plain text here, as replies hold address literals
        if not any(fnmatch.fnmatchcase(last, p.replace("[", "[[]")) for p in patterns):
            raise AssertionError(f"wanted {' or '.join(map(repr, patterns))}, got {self.reply!r}")
        return last

    def expect_closed(self):
        """The server closes, saying nothing more."""
        data = self.input + self.sock.recv(65536)
        if data:
            raise AssertionError(f"wanted the end of the connection, got {data!r}")

    # mail

    def send_mail(self, sender, rcpts, data=b"Subject: test\r\n\r\ntest\r\n", args=""):
        """MAIL, RCPT each, DATA, body, one at a time; stops at MAIL or DATA refused.  Answers the codes of the RCPTs."""
        codes = []
        self.command(f"MAIL FROM:<{sender}>{args and ' ' + args}")
        if self.read_reply() != 250:
            return codes
        for rcpt in [rcpts] if isinstance(rcpts, str) else rcpts:
            self.command(f"RCPT TO:<{rcpt}>")
            codes.append(self.read_reply())
        if not any(code in (250, 251) for code in codes):
            return codes                        # the last RCPT's reply is the one to expect
        self.command("DATA")
        if self.read_reply() == 354:
            self.send(stuff(data) + b".\r\n")
            self.read_reply()
        return codes

    def quit(self):
        self.command("QUIT")
        self.expect("221*")
        self.close()


def stuff(data):
    """Content to wire form, ending in CR LF; lone line ends stay as they are."""
    if isinstance(data, str):
        data = data.replace("\r\n", "\n").replace("\n", "\r\n").encode()
    if data and not data.endswith(b"\r\n"):
        data += b"\r\n"
    return re.sub(rb"(\A|\r\n)\.", rb"\1..", data)


class Blast:
    """`n` messages over `sessions` pipelining connections, in threads.

    Every message has a header `X-Blast: <id>`.  `acked` holds the ids answered with 250 and
    grows as replies arrive; with `journal`, each id is also a line in that file, written
    before the next message goes out.  A lost connection is counted and, with `reconnect`,
    opened again until `stop`.
    """

    def __init__(self, port, n, sessions=10, size=1024, *, host="127.0.0.1", sender="blast@test",
                 rcpt=lambda i: f"r{i}@example.com", journal=None, reconnect=False, tag="m"):
        self.host, self.port, self.n, self.sessions = host, port, n, sessions
        self.sender, self.rcpt, self.tag, self.reconnect = sender, rcpt, tag, reconnect
        self.body = (b"x" * 76 + b"\r\n") * max(1, size // 78)
        self.acked, self.refused = set(), {}    # ids; id -> reply
        self.sent = set()                       # ids whose final dot went out
        self.lost = 0                           # connections
        self.seconds = 0.0
        self._journal = open(journal, "a", buffering=1) if journal else None
        self._lock = threading.Lock()
        self._ids = iter(range(n))
        self._stop = False
        self._threads = []

    def start(self):
        self._begin = time.monotonic()
        self._threads = [threading.Thread(target=self._session, name="blast", daemon=True) for _ in range(self.sessions)]
        for thread in self._threads:
            thread.start()
        return self

    def stop(self):
        self._stop = True

    def join(self, timeout=60):
        """Wait for the end; answers self."""
        end = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0, end - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads):
            raise AssertionError(f"{len(self.acked)} of {self.n} messages acknowledged after {timeout} s")
        self.seconds = time.monotonic() - self._begin
        if self._journal:
            self._journal.close()
        return self

    def _session(self):
        while not self._stop:
            client = SMTPClient(self.host, self.port, timeout=30)
            try:
                client.connect()
                while not self._stop:
                    with self._lock:
                        i = next(self._ids, None)
                    if i is None:
                        client.quit()
                        return
                    self._message(client, i)
            except (OSError, AssertionError):
                self.lost += 1
                if not self.reconnect:
                    return
                time.sleep(0.05)
            finally:
                client.close()

    def _message(self, client, i):
        name = f"{self.tag}-{i}"
        client.send(f"MAIL FROM:<{self.sender}>\r\nRCPT TO:<{self.rcpt(i)}>\r\nDATA\r\n".encode())
        replies = [client.lines() for _ in range(3)]
        if replies[2][-1].startswith("354"):
            with self._lock:
                self.sent.add(name)
            client.send(b"Subject: blast\r\nX-Blast: %s\r\n\r\n%s.\r\n" % (name.encode(), self.body))
            replies.append(client.lines())
        last = next((r[-1] for r in replies if r[-1][0] in "45"), replies[-1][-1])
        with self._lock:
            if last.startswith("250"):
                self.acked.add(name)
                if self._journal:
                    self._journal.write(name + "\n")
            else:
                self.refused[name] = last
        if not last.startswith("250"):
            client.send(b"RSET\r\n")
            client.lines()


def blast(port, n, sessions=10, size=1024, **more):
    """Send all and answer the finished Blast."""
    return Blast(port, n, sessions, size, **more).start().join()


def blast_id(data):
    """The id in a message's X-Blast header, or None."""
    match = re.search(rb"^X-Blast: (\S+)\r?$", data.partition(b"\r\n\r\n")[0], re.M)
    return match.group(1).decode() if match else None
