import pytest

from pymomentum.core.dns.resolvconf import parse_resolvconf, without_effect


@pytest.mark.parametrize("text, servers", [
    ("nameserver 10.0.0.1\nnameserver ::1\n", ["10.0.0.1:53", "[::1]:53"]),
    ("nameserver 127.0.0.1:5353\nnameserver [::1]:5353", ["127.0.0.1:5353", "[::1]:5353"]),
    ("  nameserver\t10.0.0.1 # ours\r\n", ["10.0.0.1:53"]),
    ("#nameserver 10.0.0.1\n;nameserver 10.0.0.2\n", ["127.0.0.1:53"]),
    ("nameserver\nnameserver x\nnameserver 10.0.0.1:\nnameserver 10.0.0.1:0\nnameserver 10.0.0.1:65536\n"
     "nameserver :53\nnameserver []:53\nnameserver 10.0.0.2", ["10.0.0.2:53"]),
    ("", ["127.0.0.1:53"]),
    ("\n".join(f"nameserver 10.0.0.{i}" for i in range(20)), [f"10.0.0.{i}:53" for i in range(8)]),
])
def test_name_servers(text, servers):
    assert parse_resolvconf(text.encode())["servers"] == servers


@pytest.mark.parametrize("line, timeout_ms, attempts", [
    ("", 5000, 2), ("options timeout:1 attempts:3", 1000, 3), ("options rotate timeout:99 attempts:99", 30000, 5),
    ("options retrans:3 retry:4", 3000, 4), ("options RETRANS:1\noptions retry:1", 1000, 1), ("options timeout:0 attempts:0", 1000, 1), ("options timeout:x attempts:", 5000, 2), ("options timeout", 5000, 2),
])
def test_options(line, timeout_ms, attempts):
    r = parse_resolvconf(line.encode())
    assert (r["timeout_ms"], r["attempts"]) == (timeout_ms, attempts)


@pytest.mark.parametrize("text, words", [
    ("nameserver 10.0.0.1\noptions timeout:1 retry:2", []), ("# search a\n; domain b\n", []),
    ("search a.test b.test\ndomain a.test\nsortlist 10.0.0.0\nlookup bf", ["search", "domain", "sortlist", "lookup"]),
    ("options ndots:1 timeout:5 rotate\noptions ndots:2", ["ndots", "rotate"])])
def test_words_that_mail_does_not_follow(text, words):
    assert without_effect(text.encode()) == words
