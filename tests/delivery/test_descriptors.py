"""When file descriptors run out: no host is to blame, no loop spins, and mail goes on when there are some again."""
import socket
import time

import pytest

DOMAINS = 300
FEW = "server_max_file_descriptors = 200\nidle_timeout = 2\nretry_interval = 600"


def cpu(mta):
    """Seconds that the server has worked."""
    return time.clock_gettime(~mta.process.pid << 3 | 2)


@pytest.mark.variants("plain", "3-loops", "remote-lease")      # parking 300 messages takes long and shows nothing more
def test_mail_waits_for_descriptors_and_no_host_is_blamed(mta):
    mta.dns({f"d{i}.test": {"A": [f"127.9.{i // 250}.{1 + i % 250}"]} for i in range(DOMAINS)})
    sink = mta.sink("0.0.0.0")
    mta.config(FEW)
    mta.expect_panic("CONNECT out of file descriptors *")
    mta.expect_panic("LISTENER *")
    with mta.smtp() as c:
        for i in range(DOMAINS):
            c.send_mail("a@test", f"b@d{i}.test")
            c.expect("250 2.0.0 OK *")
    sink.wait(messages=DOMAINS, timeout=40)
    assert not mta.mainlog("T")


def test_accepting_rests_without_descriptors(mta):
    mta.config("server_max_file_descriptors = 100")
    mta.expect_panic("LISTENER *out of file descriptors *")
    mta.start()
    clients = [socket.create_connection(("127.0.0.1", mta.port)) for _ in range(150)]
    time.sleep(0.5)
    before = cpu(mta)
    time.sleep(1)
    used = cpu(mta) - before
    for client in clients:
        client.close()
    assert used < 0.2, f"{used:.2f} s of work in a second without descriptors"
    assert len([line for line in mta.paniclog() if line.startswith("LISTENER")]) == 1
    mta.route()
    assert mta.send()
