"""Options of sockets: what the kernel holds of them while the server has them."""
import errno
import os
import select
import signal
import socket
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from pymomentum import watch
from pymomentum.commands.ec_ctl import Control
from pymomentum.console import framing
from tests.harness.extension import extension
from tests.harness.port import free_port
from tests.harness.smtp import SMTPClient
from tests.harness.taken import opened, polls, taken
from tests.harness.wait import fastest, until

TCP_NOTSENT_LOWAT = 25


def accepted(mta, what, *more):
    """An option of the socket on which the server serves a client."""
    with mta.smtp():
        [sock] = taken(mta.process.pid, mta.port).values()
        with sock:
            return sock.getsockopt(*what, *more)


@contextmanager
def stopped(mta):
    tasks = Path(f"/proc/{mta.start().process.pid}/task")
    os.kill(mta.process.pid, signal.SIGSTOP)
    try:
        until(lambda: all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in tasks.glob("*/stat")))
        yield
    finally:
        os.kill(mta.process.pid, signal.SIGCONT)


def waiting(mta, n=12):
    """How many of n clients the kernel connects while the server does not accept."""
    with stopped(mta), ExitStack() as stack:
        clients = [stack.enter_context(socket.socket()) for _ in range(n)]
        for client in clients:
            client.setblocking(False)
            assert client.connect_ex(("127.0.0.1", mta.port)) in (0, errno.EINPROGRESS)
        time.sleep(0.3)
        return len(select.select([], clients, [], 0)[1])


@pytest.mark.shows("listen_backlog")
def test_backlog_is_how_many_wait(mta):
    mta.config('ESMTP_Listener { listen_backlog = 100 Listen "127.0.0.1:$port" { } }')
    assert waiting(mta) == 12
    mta.config('ESMTP_Listener { Listen "127.0.0.1:$port" { listen_backlog = 2 } }')
    assert waiting(mta) in (3, 4)               # the kernel takes one or two more


@pytest.mark.shows("tcp_recv_buffer_size", "tcp_send_buffer_size")
@pytest.mark.parametrize("name, what", [("tcp_recv_buffer_size", socket.SO_RCVBUF), ("tcp_send_buffer_size", socket.SO_SNDBUF)])
def test_buffers_of_sessions(mta, name, what):
    mta.config()
    usual = accepted(mta, (socket.SOL_SOCKET, what))
    mta.config(f'ESMTP_Listener {{ {name} = 12000 Listen "127.0.0.1:$port" {{ }} }}')
    assert accepted(mta, (socket.SOL_SOCKET, what)) == 24000 != usual      # the kernel doubles it
    mta.restart()
    assert accepted(mta, (socket.SOL_SOCKET, what)) == 24000


@pytest.mark.shows("disable_nagle_algorithm")
def test_nagle_in_and_out(mta):
    sink = mta.route(delay={"body": 0.5})
    for asked in ("true", "false"):
        mta.config(f"disable_nagle_algorithm = {asked}\nmax_deliveries_per_connection = 1")
        assert (accepted(mta, (socket.IPPROTO_TCP, socket.TCP_NODELAY)) != 0) == (asked == "true")
        assert (outbound(mta, sink, (socket.IPPROTO_TCP, socket.TCP_NODELAY)) != 0) == (asked == "true")
    mta.config('disable_nagle_algorithm = true\nESMTP_Listener { Listen "127.0.0.1:$port" { disable_nagle_algorithm = false } }')
    assert accepted(mta, (socket.IPPROTO_TCP, socket.TCP_NODELAY)) == 0


def outbound(mta, sink, what):
    """An option of the socket by which a mail goes out."""
    known = len(sink.messages)
    mta.send()
    until(lambda: opened(mta.process.pid, mta.sink_port), what="connection")
    time.sleep(0.05)                    # it is set up behind the connect
    [sock] = opened(mta.process.pid, mta.sink_port).values()
    with sock:
        value = sock.getsockopt(*what)
    sink.wait(messages=known + 1)
    until(lambda: not opened(mta.process.pid, mta.sink_port), what="end of the connection")
    return value


@pytest.mark.shows("tcp_buffer_size")
def test_unsent_bytes_of_a_connection(mta):
    sink = mta.route(delay={"body": 0.3})
    mta.config("max_deliveries_per_connection = 1")
    assert outbound(mta, sink, (socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT)) == 0       # the system's
    mta.config("max_deliveries_per_connection = 1\ntcp_buffer_size = 20000")
    assert outbound(mta, sink, (socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT)) == 20000


@pytest.mark.shows("event_loop")
@pytest.mark.parametrize("option, pools", [("", 3), ("event_loop = some", 2), ("event_loop = one", 1)])
def test_sessions_run_in_the_pool_of_their_listener(mta, option, pools):
    mta.config(f"""
        EventLoop "one" {{ concurrency = 1 }}
        EventLoop "some" {{ concurrency = 2 }}
        ESMTP_Listener {{ {option} Listen "127.0.0.1:$port" {{ }} }}
    """)
    with ExitStack() as stack:
        for _ in range(6):
            stack.enter_context(mta.smtp())
        fds = set(taken(mta.process.pid, mta.port))
        assert len(fds) == 6
        assert len([poll for poll in polls(mta.process.pid) if poll & fds]) == pools


@pytest.mark.parametrize("options, loops", [
    pytest.param("", (3, 3), id="neither"),
    pytest.param("delivery_pool = some", (2, 2), id="delivery"),
    pytest.param("maintainer_pool = one", (1, 1), id="maintainer"),
    pytest.param("maintainer_pool = one\ndelivery_pool = some", (2, 2), id="both")])
@pytest.mark.shows("delivery_pool", "maintainer_pool")
def test_mail_goes_out_by_the_loops_that_the_options_name(mta, options, loops):
    """Which poll has the connections: without delivery_pool, that of the loop which has the domain."""
    names = [f"d{i}.test" for i in range(24)]
    mta.dns({name: {"A": ["127.0.0.2"]} for name in names})
    sink = mta.sink("127.0.0.2")
    mta.config(f"""
        EventLoop "one" {{ concurrency = 1 }}
        EventLoop "some" {{ concurrency = 2 }}
        ESMTP_Listener {{ event_loop = one Listen "127.0.0.1:$port" {{ }} }}
        idle_timeout = 60
        migrate_connections_between_sibling_domains = false
        {options}
    """)
    for name in names:
        mta.send(rcpts=f"b@{name}")
    sink.wait(messages=len(names))
    until(lambda: len(opened(mta.process.pid, mta.sink_port)) == len(names))
    with mta.smtp():
        fds, [client] = set(opened(mta.process.pid, mta.sink_port)), taken(mta.process.pid, mta.port)
        with_mail = [poll for poll in polls(mta.process.pid) if poll & fds]
        assert loops[0] <= len(with_mail) <= loops[1]
        assert any(client in poll for poll in with_mail) == ("some" not in options)      # the first loop is that of `one`


@pytest.mark.shows("stack_size")
@pytest.mark.parametrize("asked, made", [(0, None), (344064, 344064), (5000, 65536)])
def test_stack_of_pool_threads(mta, asked, made):
    mta.config(f'ThreadPool "SwapIn" {{ concurrency = 7 stack_size = {asked} }}')
    pid = mta.start().process.pid
    sizes = [stack_of(pid, task) for task in Path(f"/proc/{pid}/task").iterdir() if name_of(task) == "SwapIn"]
    assert len(sizes) == 7
    assert all(size == made if made else size > 1048576 for size in sizes)


def name_of(task):
    try:
        return (task / "comm").read_text().strip()
    except OSError:                     # it has just ended
        return ""


def stack_of(pid, task):
    """Bytes of the mapping in which a thread's stack pointer lies."""
    pointer = int((task / "syscall").read_text().split()[-2], 16)
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        start, end = (int(word, 16) for word in line.split()[0].split("-"))
        if start <= pointer < end:
            return end - start


@pytest.mark.shows("enable")
def test_address_that_is_not_enabled_is_closed(mta):
    other = free_port()
    listens = f'ESMTP_Listener {{ Listen "127.0.0.1:$port" {{ }} Listen "127.0.0.1:{other}" {{ enable = %s }} }}'
    for asked, answer in (("true", 0), ("false", errno.ECONNREFUSED), ("true", 0)):
        mta.config(listens % asked)
        mta.start()
        with socket.socket() as sock:
            until(lambda: sock.connect_ex(("127.0.0.1", other)) == answer, what=f"enable = {asked}")


@pytest.mark.shows("control_client_timeout")
@pytest.mark.parametrize("seconds, answers", [(1, False), (20, True)])
def test_patience_of_ec_ctl(tmp_path, seconds, answers):
    (tmp_path / "ecelerity.conf").write_text(f'control_client_timeout = {seconds}\nControl_Listener {{ Listen "{tmp_path}/console" {{ }} }}\n')
    with socket.socket(socket.AF_UNIX) as console:
        console.bind(str(tmp_path / "console"))
        console.listen()

        def late():
            client, _ = console.accept()
            with client:
                time.sleep(1.3)
                try:
                    framing.send_answer(client, "1\n", 1, 0)
                except OSError:
                    pass
        thread = threading.Thread(target=late)
        thread.start()
        control = Control({"CONFFILE": str(tmp_path / "ecelerity.conf")})
        control.read()
        assert control.answers() == answers
        thread.join()


def test_reload_that_cannot_bind_leaves_the_old_configuration(mta):
    mta.route()
    mta.config("retry_interval = 60")
    mta.start()
    with socket.create_server(("127.0.0.1", free_port())) as other:
        port, free = other.getsockname()[1], free_port()
        listens = f'ESMTP_Listener {{ Listen "127.0.0.1:{free}" {{ }} Listen "127.0.0.1:{port}" {{ }} }}'
        with pytest.raises(AssertionError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
            mta.config(listens)
        assert mta.send()
        assert socket.socket().connect_ex(("127.0.0.1", free)) == errno.ECONNREFUSED
    mta.config(listens)
    with socket.create_connection(("127.0.0.1", free), 5):
        pass


@pytest.mark.parametrize("wanted", ["203.0.113.9:$port", "*:$port"])
def test_reload_that_cannot_take_over_an_address_leaves_the_old_one_open(mta, wanted):
    """An address of ours gives way; where the new one cannot be had all the same, it serves again."""
    mta.route()
    mta.config("max_retries = 3")
    mta.start()
    with mta.smtp() as c, socket.create_server(("127.0.0.3", mta.port)):
        with pytest.raises(AssertionError, match="cannot listen on "):
            mta.config(f'max_retries = 4\nESMTP_Listener {{ Listen "{wanted}" {{ }} }}')
        assert mta.console("config eval max_retries") == "max_retries = 3\n"
        c.command("NOOP")               # a session goes on
        c.expect("250 *")
    mta.send()
    mta.config(f'max_retries = 4\nESMTP_Listener {{ Listen "*:$port" {{ }} }}')
    until(lambda: socket.socket().connect_ex(("127.0.0.3", mta.port)) == 0, what="listener")


def test_address_moves_between_services(mta):
    other = free_port()
    mta.config(f'Control_Listener {{ file_mode = 0600 Listen "$folder/console" {{ }} Listen "127.0.0.1:{other}" {{ }} }}')
    mta.start()
    mta.config(f'ESMTP_Listener {{ Listen "127.0.0.1:$port" {{ }} Listen "127.0.0.1:{other}" {{ }} }}')
    with SMTPClient(port=other):
        pass


def test_socket_file_has_another_name(mta):
    """By another way to the same file it is ours still."""
    mta.start()
    mta.config('Control_Listener { file_mode = 0600 Listen "$folder/./console" { } }')
    assert mta.console("version")


def test_address_gives_way_to_a_wider_one(mta):
    mta.start()
    mta.config('ESMTP_Listener { Listen "*:$port" { } }')
    until(lambda: mta.console("version") and socket.socket().connect_ex(("127.0.0.2", mta.port)) == 0, what="listener")


def knock(mta, n):
    """Clients that wait for their banners."""
    mta.start()
    return [SMTPClient(port=mta.port, greet=False).connect() for _ in range(n)]


@pytest.mark.shows("concurrency")
def test_accept_phases_at_once(mta):
    mta.extensions.append(extension("slowaccept"))      # 0.4 s for each
    for option, least, most in ("", 0.35, 1.5), ("concurrency = 1", 2.3, 6), ("concurrency = 6", 0.35, 1.5):
        mta.config(f'ESMTP_Listener {{ {option} Listen "127.0.0.1:$port" {{ }} }}')
        mta.start()

        def six():
            for c in knock(mta, 6):
                c.expect("220 *")
                c.close()
        assert least <= fastest(six, most) < most, option


@pytest.mark.shows("accept_queue_backlog")
@pytest.mark.parametrize("option, accepts", [("", 6), ("accept_queue_backlog = 2", 3)])
def test_who_waits_for_the_accept_phase(mta, option, accepts):
    mta.extensions.append(extension("slowaccept"))
    mta.config(f'ESMTP_Listener {{ concurrency = 1 {option} Listen "127.0.0.1:$port" {{ }} }}')
    clients = knock(mta, 6)
    time.sleep(0.2)
    assert len(taken(mta.process.pid, mta.port)) == accepts
    for c in clients:
        c.expect("220 *")
    mta.config('ESMTP_Listener { Listen "127.0.0.1:$port" { } }')
    with mta.smtp():
        pass


def test_those_who_wait_are_let_go_with_their_listener(mta):
    mta.extensions.append(extension("slowaccept"))
    other = free_port()
    listens = 'ESMTP_Listener { concurrency = 1 Listen "127.0.0.1:$port" { } %s }'
    mta.config(listens % f'Listen "127.0.0.1:{other}" {{ }}')
    mta.start()
    clients = [SMTPClient(port=other, greet=False).connect() for _ in range(3)]
    mta.config(listens % "")
    clients[0].expect("220 *")
    for c in clients[1:]:
        with pytest.raises(ConnectionError):
            c.line()


@pytest.mark.shows("events_per_iter")
def test_connections_accepted_in_one_turn(mta):
    page = mta.folder / "watch"
    page.write_bytes(bytes(watch.SIZE))
    mta.env[watch.ENVIRONMENT] = str(page)

    def turns():
        return watch.WORD.unpack_from(page.read_bytes(), 0)[0]
    for option, wanted in ("events_per_iter = 1", True), ("", False), ("events_per_iter = 50", False):
        mta.config(f'ESMTP_Listener {{ {option} Listen "127.0.0.1:$port" {{ }} }}')
        with stopped(mta):
            clients = [SMTPClient(port=mta.port, greet=False).connect() for _ in range(50)]
            before = turns()
        for c in clients:
            c.expect("220 *")
        assert (turns() - before > 40) == wanted        # one that was under way may take two
        for c in clients:
            c.close()


def test_mail_comes_by_a_unix_socket(mta):
    path = mta.folder / "smtp"
    mta.config('ESMTP_Listener { Listen "$folder/smtp" { file_mode = 0600 } Listen "127.0.0.1:$port" { } }')
    sink = mta.route()
    mta.start()
    assert path.stat().st_mode & 0o777 == 0o600
    with socket.socket(socket.AF_UNIX) as sock, sock.makefile("rwb", 0) as stream:
        sock.settimeout(10)
        sock.connect(str(path))
        for line, code in ("", b"220"), ("HELO here", b"250"), ("MAIL FROM:<a@test>", b"250"), ("RCPT TO:<b@example.com>", b"250"), \
                ("DATA", b"354"), ("Subject: x\r\n\r\nx\r\n.", b"250"):
            if line:
                stream.write(line.encode() + b"\r\n")
            assert stream.readline().startswith(code + b" ")
    sink.wait(messages=1)
    assert b"from [127.0.0.1]" in sink.messages[0].data         # relay_hosts and Peer take it for this machine
    mta.config('ESMTP_Listener { Listen "127.0.0.1:$port" { } }')
    assert not path.exists()


@pytest.mark.parametrize("written, then", [(":$port", "*:$port"), ("*:$port", "127.0.0.1:$port"), ("0.0.0.0:$port", ":$port")])
def test_any_address_in_each_way_of_writing_it(mta, written, then):
    for way in written, then:           # an open door stays open where it is only written in another way
        mta.config('ESMTP_Listener { Listen "%s" { } }' % way)
        with mta.smtp() as c:
            c.command("NOOP")
            c.expect("250 *")


def test_both_families_have_a_port(mta):
    addresses = {"127.0.0.1": "*", **({"::1": "[*]"} if os.path.exists("/proc/net/if_inet6") else {})}
    mta.config("ESMTP_Listener { %s }" % " ".join(f'Listen "{host}:$port" {{ }}' for host in addresses.values()))
    mta.start()
    for host in addresses:
        with SMTPClient(host, mta.port) as c:
            c.command("NOOP")
            c.expect("250 *")
