"""The control listener over real sockets."""
import os
import socket
import stat
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from pymomentum.config import load
from pymomentum.console import framing, listener
from pymomentum.console.client import Client, parse
from pymomentum.console.listener import Listener
from pymomentum.errors import ConsoleError
from tests.harness.wait import until

ROOT = Path(__file__).resolve().parents[2]


def control(loaded):
    return [listen for listen in loaded.listens if listen.kind == "control_listener"]


@pytest.fixture
def console(registry, server):
    running = Listener(registry, max_clients=3)
    running.start(control(server.loaded))
    yield running
    running.stop()


def raw(data):
    """Send bytes to the socket and answer what comes back until it closes."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        sock.connect("run/2025")
        sock.sendall(data)
        received = b""
        while piece := sock.recv(65536):
            received += piece
    return received


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


def test_a_client_that_stops_in_a_frame_is_let_go(console, server):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect("run/2025")
        sock.sendall(struct.pack("!I", 100) + b"{")
        until(lambda: console.clients, what="client")
    until(lambda: not console.clients, what="end of the client")


def test_a_silent_client_is_closed_after_the_timeout(console, server):
    console.endpoints["run/2025"].timeout = 0.2
    assert raw(b"") == b""
    assert raw(struct.pack("!I", 100) + b"{") == b""


def test_too_many_clients_are_told(console):
    clients = [Client("run/2025") for _ in range(3)]
    for client in clients:
        client.connect()
    until(lambda: len(console.clients) == 3, what="third client")
    assert b"there are 3 console clients already" in raw(b"")
    clients[0].close()
    until(lambda: len(console.clients) == 2, what="place")
    with Client("run/2025") as client:
        assert client.ask("pid")[1] == 0
    for client in clients:
        client.close()


def test_an_idle_connection_is_made_again(console):
    with Client("run/2025") as client:
        assert client.ask("pid")[1] == 0
        with console.lock:
            [theirs] = console.clients
            theirs.shutdown(socket.SHUT_RDWR)
        until(lambda: not console.clients, what="end of the client")
        assert client.ask("pid")[1] == 0


def test_other_users_are_refused_before_any_command(console, monkeypatch):
    monkeypatch.setattr(listener, "peer_uid", lambda client: 4711)
    for _ in range(20):
        with Client("run/2025") as client:
            assert client.ask("pid") == ("Not authorized: the console is for root and the user of the server\n", 1)
        until(lambda: not console.clients, what="end of the client")
    assert b"Not authorized" in raw(b"")


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
        until(lambda: not running.clients, what="end of the client")
        with socket.socket(family) as ours:
            ours.connect((host, int(endpoint.rpartition(":")[2])))
            until(lambda: running.clients, what="client")
            [theirs] = running.clients
            assert listener.peer_uid(theirs) == os.getuid()
    finally:
        running.stop()


def test_socket_files(console, registry, server):
    with pytest.raises(ConsoleError, match="another server does"):
        Listener(registry).start(control(server.loaded))
    console.listen([])
    assert not os.path.exists("run/2025")
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind("run/2025")
    console.listen(control(server.loaded))
    with Client("run/2025") as client:
        assert client.ask("pid")[1] == 0
    console.listen([])
    Path("run/2025").write_text("precious")
    with pytest.raises(ConsoleError, match="not a socket"):
        console.listen(control(server.loaded))
    assert Path("run/2025").read_text() == "precious"


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
    assert ec_console("run/2025", stdin="nope\npid\n").returncode == 1
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
