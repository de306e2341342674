"""Networks: parsing, the most specific match, IPv4 in IPv6."""
import random
from ipaddress import ip_address, ip_network

import pytest

from pymomentum.core.base.cidr import Networks


@pytest.mark.parametrize("networks, address, expected", [
    (["10.0.0.0/8"], "10.1.2.3", ["10.0.0.0/8"]),
    (["10.0.0.0/8"], "11.1.2.3", []),
    (["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3"], "10.1.2.3", ["10.1.2.3", "10.1.0.0/16", "10.0.0.0/8"]),
    (["0.0.0.0/0"], "255.255.255.255", ["0.0.0.0/0"]),
    (["::/0"], "192.0.2.1", []),
    (["::/0"], "2001:db8::1", ["::/0"]),
    (["0.0.0.0/0"], "2001:db8::1", []),
    (["127.0.0.0/8"], "::ffff:127.0.0.1", ["127.0.0.0/8"]),
    (["::ffff:127.0.0.0/104"], "127.9.9.9", ["::ffff:127.0.0.0/104"]),
    (["10.1.2.3/8"], "10.200.0.1", ["10.1.2.3/8"]),
    (["2001:db8::/33", "2001:db8::/32"], "2001:db8:8000::", ["2001:db8::/32"]),
    (["::1"], "::1", ["::1"]),
    ([], "::1", []),
])
def test_most_specific_network_wins(networks, address, expected):
    assert [networks[i] for i in Networks(networks).match(address)] == expected


@pytest.mark.parametrize("text", [
    "", "/", "10.0.0.0/", "/8", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/-1", "10.0.0.0/8/8", "host", "1" * 60,
    "10.0.0.0/99999999999999999999", "fe80::1%eth0", "127.0.0.1\0", "[::1]",
])
def test_what_is_no_network_is_refused(text):
    with pytest.raises(ValueError):
        Networks([text])


def test_same_answers_as_the_standard_library():
    rng = random.Random(1)
    nets = [ip_network((rng.getrandbits(6) << 26, rng.randrange(33)), strict=False) for _ in range(300)]
    nets += [ip_network((rng.getrandbits(6) << 122, rng.randrange(129)), strict=False) for _ in range(300)]
    nets = list(dict.fromkeys(nets))
    ours = Networks(map(str, nets))
    for _ in range(500):
        address = ip_address(rng.getrandbits(32) if rng.random() < .5 else rng.getrandbits(128))
        holding = sorted((n for n in nets if address in n), key=lambda n: -n.prefixlen)
        assert [nets[i] for i in ours.match(str(address))] == holding
