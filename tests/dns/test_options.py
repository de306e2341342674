"""Options of the resolver, two values each."""
import contextlib
import socket

import pytest

from tests.dns.packet import A, CNAME, QUESTION, answer, name, record
from tests.dns.test_resolver import ADDRESS_ONLY, IP, plain
from tests.harness.taken import held
from tests.harness.wait import until


def asked_for(engine, server, **settings):
    engine.use(server, **settings)
    return engine.lookup("a.test", ADDRESS_ONLY)


@pytest.mark.shows("dns_max_answers")
@pytest.mark.parametrize("most", [1, 3])
def test_addresses_of_one_answer(engine, hostile, most):
    records = [record(QUESTION, A, bytes([10, 0, 0, i])) for i in range(5)]
    server = hostile(lambda query, transport: answer(query, None, records))
    assert len(asked_for(engine, server, dns_max_answers=most)["hosts"][0][2]) == most


@pytest.mark.shows("dns_max_cname")
@pytest.mark.parametrize("most, status", [(2, "failed"), (3, "ok")])
def test_length_of_a_chain_of_cnames(engine, hostile, most, status):
    chain = [record(QUESTION, CNAME, name("c1.test")), record("c1.test", CNAME, name("c2.test")), record("c2.test", CNAME, name("c3.test")),
             record("c3.test", A, IP)]
    server = hostile(lambda query, transport: answer(query, None, chain))
    assert asked_for(engine, server, dns_max_cname=most)["status"] == status


@pytest.mark.shows("dns_max_pending")
@pytest.mark.parametrize("most", [3, 5])
def test_queries_under_way(engine, hostile, most):
    server = hostile(lambda query, transport: None)
    engine.use(server, "options timeout:1 attempts:1", dns_max_pending=most)
    engine.lookup_all([f"a{i}.test" for i in range(20)], ADDRESS_ONLY, timeout=0.2)
    assert len(server.seen) == most


@pytest.mark.shows("dns_cache_size")
@pytest.mark.parametrize("most", [10, 20])
def test_answers_in_the_cache(engine, hostile, most):
    engine.use(hostile(plain), dns_cache_size=most)
    engine.lookup_all([f"a{i}.test" for i in range(50)], ADDRESS_ONLY)
    assert engine.stats()["entries"] == most


@pytest.mark.shows("dns_cache_purge_interval")
@pytest.mark.parametrize("interval, entries", [(1, 0), (60, 10)])
def test_expired_answers_leave_the_cache(engine, hostile, interval, entries):
    engine.use(hostile(lambda query, transport: answer(query, None, [record(QUESTION, A, IP, ttl=1)])), dns_cache_purge_interval=interval)
    engine.lookup_all([f"a{i}.test" for i in range(10)], ADDRESS_ONLY)
    with contextlib.suppress(AssertionError):
        until(lambda: engine.stats()["entries"] == 0, 2.2)
    assert engine.stats()["entries"] == entries


@pytest.mark.shows("min_dns_ttl", "max_dns_ttl")
@pytest.mark.parametrize("settings, ttl", [({"min_dns_ttl": 70}, 70), ({"min_dns_ttl": 10}, 50), ({"max_dns_ttl": 20}, 20), ({"max_dns_ttl": 90}, 50)])
def test_life_of_an_answer(engine, hostile, settings, ttl):
    server = hostile(lambda query, transport: answer(query, None, [record(QUESTION, A, IP, ttl=50)]))
    assert asked_for(engine, server, **settings)["ttl"] == ttl


@pytest.mark.shows("resolv_conf")
def test_name_servers_are_those_of_the_file(engine, hostile, tmp_path):
    servers = [hostile(plain), hostile(plain)]
    for i, server in enumerate(servers):
        (tmp_path / f"{i}.conf").write_text(server.resolv_conf())
        engine.call("configure", f'resolv_conf = "{tmp_path}/{i}.conf"\n')
        assert engine.lookup(f"a{i}.test", ADDRESS_ONLY)["status"] == "ok"
        assert [seen[0] for seen in server.seen] == [f"a{i}.test"]


@pytest.mark.parametrize("options, asked", [("options retrans:1 retry:1", 1), ("options retrans:1 retry:2", 2)])
def test_a_mute_server_is_asked_as_often_as_the_file_says(engine, hostile, options, asked):
    server = hostile(lambda query, transport: None)
    engine.use(server, options)
    assert engine.lookup("a.test", ADDRESS_ONLY, timeout=4)["status"] == "failed"
    assert len(server.seen) == asked


def udp_sockets(process):
    for _, sock in held(process.pid):
        with sock:
            if sock.type == socket.SOCK_DGRAM:
                yield sock


@pytest.mark.shows("dns_udp_rcvbuf_size", "dns_udp_sndbuf_size")
@pytest.mark.parametrize("option, size", [("dns_udp_rcvbuf_size", 20000), ("dns_udp_rcvbuf_size", 40000),
                                          ("dns_udp_sndbuf_size", 20000), ("dns_udp_sndbuf_size", 40000)])
def test_buffers_of_the_resolvers_sockets(engine, hostile, option, size):
    engine.use(hostile(lambda query, transport: None), "options timeout:2 attempts:1", **{option: size})
    engine.lookup_all(["a.test"], ADDRESS_ONLY, timeout=0.1)
    which = socket.SO_RCVBUF if "rcv" in option else socket.SO_SNDBUF
    assert {sock.getsockopt(socket.SOL_SOCKET, which) for sock in udp_sockets(engine.process)} == {2 * size}   # socket(7): doubled
