"""The control listener over real sockets."""
import contextlib
import json
import os
import re
import select
import socket
import stat
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pymomentum.config import load
from pymomentum.console import framing
from pymomentum.console.client import Client, parse
from pymomentum.console.listener import Listener
from pymomentum.core.control import summary
from pymomentum.core.control.listener import may_come
from pymomentum.errors import MomentumError
from tests.harness.wait import until

ROOT = Path(__file__).resolve().parents[2]


def control(loaded):
    return [listen for listen in loaded.listens if listen.kind == "control_listener"]


@pytest.fixture
def console(registry, server, engine):
    engine.summary = summary
    running = Listener(registry, max_clients=3)
    running.start(control(server.loaded))
    yield running
    running.stop()


def raw(data):
    """Send bytes to the socket and answer what comes back until it closes."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        sock.connect("run/2025")
        with contextlib.suppress(BrokenPipeError):      # why it closed is there to read
            sock.sendall(data)
        received = b""
        while piece := sock.recv(65536):
            received += piece
    return received


def test_transaction_goes_on_over_another_connection(console, server):
    with Client("run/2025") as client, Client("run/2025") as other:
        assert client.ask("config begin") == ("", 0)
        assert client.ask("config set max_retries 7") == ("Max_Retries = 7\n", 0)
        client.close()                  # as the server does with who is silent
        assert client.ask("config set message_expiration 8")[1] == 0
        assert client.ask("config replay")[0] == "config set Max_Retries 7\nconfig set Message_Expiration 8\n"
        assert other.ask("config eval max_retries")[0] != "Max_Retries = 7\n"


def test_transaction_that_is_gone_is_told_and_nothing_is_done(console, server):
    with Client("run/2025") as client:
        client.ask("config begin")
        for other in [Client("run/2025") for _ in range(64)]:
            assert other.ask("config begin") == ("", 0)
            other.close()
            until(lambda: clients(console) <= 1)
        for line in ("config set max_retries 7", "config set max_retries 7", "config commit"):
            text, status = client.ask(line)
            assert text.startswith("the transaction is gone: ") and status == 1
        assert client.ask("help pid")[1] == 0
        assert client.ask("config begin") == ("", 0)
        assert client.ask("config eval max_retries")[0] != "Max_Retries = 7\n"


def test_rollback_of_a_transaction_that_is_gone_ends_it(console, server):
    with Client("run/2025") as client:
        client.ask("config begin")
        client.ask("config set max_retries 7")
        console.sessions.clear()
        assert client.ask("config get max_retries")[1] == 1
        assert client.ask("config rollback") == ("", 0)
        assert client.ask("config get max_retries")[1] == 0


def test_always_deny_of_an_address_refuses_its_clients(console, server):
    [listen] = control(server.loaded)
    listen.scope.values["always_deny"] = True
    console.change([listen])
    with Client("run/2025") as client:
        assert client.ask("pid") == ("Not authorized: always_deny is set for this address\n", 1)
    listen.scope.values["always_deny"] = False
    console.change([listen])
    with Client("run/2025") as client:
        assert client.ask("pid") == (f"{os.getpid()}\n", 0)


def test_answers_over_a_unix_socket_with_the_mode_of_the_option(console):
    assert stat.S_IMODE(os.stat("run/2025").st_mode) == 0o600
    with Client("run/2025") as client:
        assert client.ask("pid") == (f"{os.getpid()}\n", 0)
        assert client.ask("pid", json=True) == ({"pid": os.getpid()}, 0)
        assert client.ask("pidd") == ('unknown command "pidd"; did you mean "pid"?\n', 1)


def test_long_answers_come_in_pieces(console, engine):
    body = bytes(range(256)) * 4000
    engine.message_body = lambda id: body
    with Client("run/2025") as client:
        pieces = list(client.run("message details body x"))
    assert len(pieces) > 10
    assert "".join(text for text, _, _ in pieces).encode("utf-8", "surrogateescape") == body


@pytest.mark.parametrize("data, said", [
    (b"GET / HTTP/1.0\r\n\r\n", b"at most 65536 are taken"),
    (struct.pack("!I", 5) + b"{nope", b"not JSON"),
    (struct.pack("!I", 60000) + b"[" * 60000, b"not JSON"),
    (struct.pack("!I", 2) + b"[]", b"not a JSON object"),
    (struct.pack("!I", 14) + b'{"command": 1}', b"without a command"),
    (struct.pack("!I", 2) + b"{}", b"without a command"),
])
def test_refuses_what_is_no_request(console, data, said):
    assert said in raw(data)


def clients(console):
    return console.console.clients()


def test_a_client_that_stops_in_a_frame_is_let_go(console, server):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect("run/2025")
        sock.sendall(struct.pack("!I", 100) + b"{")
        until(lambda: clients(console), what="client")
        sock.shutdown(socket.SHUT_WR)
        assert b"closed inside a frame" in sock.recv(1000)
    until(lambda: not clients(console), what="end of the client")


def test_a_silent_client_is_closed_after_the_timeout(console, server):
    console.console.change(console.doors["run/2025"].number, 0.2)
    assert raw(b"") == b""
    assert raw(struct.pack("!I", 100) + b"{") == b""


def test_too_many_clients_are_told(console):
    several = [Client("run/2025") for _ in range(3)]
    for client in several:
        client.connect()
    until(lambda: clients(console) == 3, what="third client")
    assert b"there are 3 console clients already" in raw(b"")
    several[0].close()
    until(lambda: clients(console) == 2, what="place")
    with Client("run/2025") as client:
        assert client.ask("pid")[1] == 0
    for client in several:
        client.close()


def test_an_idle_connection_is_made_again(console):
    with Client("run/2025") as client:
        assert client.ask("pid")[1] == 0
        console.console.cut()
        until(lambda: not clients(console), what="end of the client")
        assert client.ask("pid")[1] == 0


def frame(**request):
    data = json.dumps(request).encode()
    return struct.pack("!I", len(data)) + data


@pytest.mark.parametrize("request_", [
    {"command": "pid"}, {"command": " Pid\t"}, {"command": "pid", "json": None, "xml": False},       # answered by the core
    {"command": "pid", "session": "abc", "transaction": True},
    {"command": '"pid"'}, {"command": "p'id'"}, {"command": "pid", "more": [1, {}]}, {"json": False, "command": "\u0070id"}])
def test_both_sides_answer_alike(console, request_):
    """The core knows simple requests, Python the others, and tells of transactions."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect("run/2025")
        for piece in (frame(**request_)[:5], frame(**request_)[5:]):
            sock.sendall(piece)
        answer = framing.receive(sock, 1000)
        assert answer.pop("transaction", False) is False
        assert answer == {"text": f"{os.getpid()}\n", "data": None, "status": 0, "last": True}


@pytest.mark.parametrize("line", ["summary", "summary --json", "xml summary", "pid --json", "xml pid", "version", "xml version",
                                  "version --json", "xml shutdown", "--json xml pid", "pid pid", "xml", "--json", ""])
def test_the_core_answers_as_the_registry_does(console, registry, line):
    def steady(answer):
        return re.sub(r"(Last ?Reset|Uptime)\W+\d+", "", json.dumps(answer))
    expected = registry.run(line)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect("run/2025")
        sock.sendall(frame(command=line, json=False, xml=False))
        answer = framing.receive(sock, 100000)
    assert steady([answer["text"], answer["data"], answer["status"]]) == steady([expected.text, expected.data, expected.status])


def test_requests_in_a_row_are_answered_in_their_order(console):
    lines = ["pid", "help pid", "pid --json", "nope", "version"] * 20
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect("run/2025")
        sock.sendall(b"".join(frame(command=line) for line in lines))
        answers = [framing.receive(sock, 1000) for _ in lines]
    assert [a["text"][:7] for a in answers] == [f"{os.getpid()}\n"[:7], "pid  sh", "", "unknown", "Eceleri"] * 20


def test_a_client_that_does_not_read_holds_up_nobody(console):
    console.console.change(console.doors["run/2025"].number, 1)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect("run/2025")
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            for _ in range(10000):
                sock.send(frame(command="summary"))
        with Client("run/2025") as client:
            assert client.ask("pid")[1] == 0
        until(lambda: not clients(console), what="end of the client that does not read")


def test_shutdown_is_said_by_a_descriptor(console, server):
    def asked():
        return select.select([console.stop_fd], [], [], 0)[0] != []
    with Client("run/2025") as client:
        assert client.ask("xml shutdown") == ("shutdown has no XML form\n", 1)
        assert not asked() and server.asked == []
        assert client.ask("shutdown") == ("shutting down.\n", 0)
    until(asked, what="word to the server")


def as_stranger(connect):
    """What a process of another user reads."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setuid(65534)
            with connect() as sock:
                os.write(writer, sock.recv(1000))
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        said = stream.read()
    os.waitpid(child, 0)
    return said


def test_other_users_are_refused_before_any_command(registry, tmp_path, monkeypatch):
    """Only root can become somebody else to see it; others look at the rule alone."""
    monkeypatch.chdir(tmp_path)
    port = free_port(socket.AF_INET, "127.0.0.1")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o711)
        (tmp_path / "open.conf").write_text(
            f'Control_Listener {{ Listen "{folder}/2025" {{ file_mode = 0666 }} Listen "127.0.0.1:{port}" {{ }} }}')
        running = Listener(registry)
        running.start(control(load("open.conf")))
        try:
            if os.getuid() == 0:
                def unix():
                    sock = socket.socket(socket.AF_UNIX)
                    sock.connect(f"{folder}/2025")
                    return sock
                for connect in (unix, lambda: socket.create_connection(("127.0.0.1", port))):
                    assert b"Not authorized: the console is for root and the user of the server" in as_stranger(connect)
            until(lambda: not clients(running), what="end of the client")
            assert [may_come(uid) for uid in (0, os.getuid(), 4711, -1)] == [True, True, False, False]
        finally:
            running.stop()


def free_port(family, host):
    with socket.socket(family) as sock:
        sock.bind((host, 0))
        return sock.getsockname()[1]


@pytest.mark.parametrize("family, host, written", [
    (socket.AF_INET, "127.0.0.1", "127.0.0.1:{}"), (socket.AF_INET6, "::1", "[::1]:{}")])
def test_tcp_clients_of_this_machine_are_known_by_the_kernel(registry, tmp_path, monkeypatch, family, host, written):
    monkeypatch.chdir(tmp_path)
    try:
        endpoint = written.format(free_port(family, host))
    except OSError:
        pytest.skip(f"{host} is not there")
    (tmp_path / "tcp.conf").write_text(f'Control_Listener {{ Listen "{endpoint}" {{ }} }}')
    running = Listener(registry)
    running.start(control(load("tcp.conf")))
    try:
        with Client("admin@" + endpoint) as client:
            assert client.ask("pid")[1] == 0
        until(lambda: not clients(running), what="end of the client")
    finally:
        running.stop()


def test_socket_files(console, registry, server):
    with pytest.raises(MomentumError, match="another server does"):
        Listener(registry).start(control(server.loaded))
    console.change([])
    assert not os.path.exists("run/2025")
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind("run/2025")
    console.change(control(server.loaded))
    with Client("run/2025") as client:
        assert client.ask("pid")[1] == 0
    console.change([])
    Path("run/2025").write_text("precious")
    with pytest.raises(MomentumError, match="not a socket"):
        console.change(control(server.loaded))
    assert Path("run/2025").read_text() == "precious"


def test_more_addresses_than_there_is_room_for_are_told(registry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "many.conf").write_text("".join(f'Control_Listener {{ Listen "run/{i}" {{ }} }}\n' for i in range(65)))
    running = Listener(registry)
    with pytest.raises(MomentumError, match="cannot listen on run/64: more than 64 addresses"):
        running.start(control(load("many.conf")))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("endpoint, expected", [
    ("/tmp/2025", (socket.AF_UNIX, "/tmp/2025")),
    ("var/run/2025", (socket.AF_UNIX, "var/run/2025")),
    ("2025", (socket.AF_INET, ("127.0.0.1", 2025))),
    ("me@host.example:2025", (socket.AF_INET, ("host.example", 2025))),
    ("[::1]:2025", (socket.AF_INET, ("::1", 2025))),
])
def test_endpoints(endpoint, expected):
    assert parse(endpoint) == expected


def ec_console(*args, stdin=None):
    return subprocess.run([sys.executable, "-m", "pymomentum.commands.ec_console", *args], input=stdin, timeout=20,
                          capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


def test_ec_console(console, engine):
    engine.domains = lambda: [("evil\x1b[2J.com", 1, 2, 3, 4)]
    done = ec_console("run/2025", "pid")
    assert (done.stdout, done.stderr, done.returncode) == (f"{os.getpid()}\n", "", 0)
    done = ec_console("--json", "run/2025", "help", "pid")
    assert (done.stdout[0], done.returncode) == ("{", 0)
    done = ec_console("run/2025", "nope")
    assert (done.stdout, done.stderr, done.returncode) == ("", 'unknown command "nope"; try "help"\n', 1)
    done = ec_console("run/none", "pid")
    assert (done.stderr, done.returncode) == ("ec_console: cannot connect to run/none: No such file or directory\n", 2)
    assert ec_console("run/2025", stdin="pid\n\npid\n").stdout == f"{os.getpid()}\n" * 2
    assert ec_console("run/2025", stdin="pid\nexit\npid\n").stdout == ec_console("run/2025", stdin="pid\nquit").stdout == f"{os.getpid()}\n"
    done = ec_console("run/2025", stdin="# comment\nnope\npid\n")
    assert (done.stdout, done.stderr, done.returncode) == (f"{os.getpid()}\n", 'unknown command "nope"; try "help"\n', 1)
    assert ec_console("--json", "--", "run/2025", stdin="pid\npid\n").stdout == f'{{"pid": {os.getpid()}}}\n' * 2
    page = ec_console("--man").stdout
    assert [line for line in page.splitlines() if line.isupper()] == [
        "NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "AT THE PROMPT", "FILES", "EXIT STATUS"]
    assert page == ec_console("--help").stdout == ec_console("-h").stdout
    assert ec_console("--version").stdout.startswith("ec_console (PyMomentum) ")
    assert ec_console().returncode == 2
    assert ec_console("--frob", "run/2025").returncode == 2


def test_frames_keep_odd_bytes():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        framing.send(ours, {"text": b"\xff\x00".decode("utf-8", "surrogateescape")})
        assert framing.receive(theirs, 1000)["text"].encode("utf-8", "surrogateescape") == b"\xff\x00"
        ours.sendall(struct.pack("!I", 4) + b"{")
        ours.close()
        with pytest.raises(framing.FramingError, match="closed inside"):
            framing.receive(theirs, 1000)
