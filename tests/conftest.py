"""Fixtures: `mta` is a whole server (tests/harness/mta.py).

Tests of delivery and of the SMTP server run in variants of it: one each, by a hash of the test's name, or with
`--variants all` in every one.  Those marked `variants` always run in all.
"""
import zlib

import pytest

from tests.harness.mta import Mta

VARIANTS = {"plain": {}, "3-loops": {"loops": 3}, "suspend": {"suspend": "random"}, "remote-lease": {"lease": "remote"}}
VARIED = ("delivery", "smtp")       # folders whose tests all have variants


def pytest_addoption(parser):
    parser.addoption("--variants", choices=["spread", "all", *VARIANTS], default="spread",
                     help="of the server: one for each test (spread, the default), all for each, or that one")


def pytest_configure(config):
    config.addinivalue_line("markers", "variants: run with 1 and 3 loops, with random suspension, with remote leases")


def variants_of(metafunc):
    """Names of the variants that a test runs in."""
    how = metafunc.config.getoption("variants")
    always = metafunc.definition.get_closest_marker("variants")
    if how == "all" or how == "spread" and always:
        return list(VARIANTS)
    if how == "spread":
        return [list(VARIANTS)[zlib.crc32(metafunc.function.__qualname__.encode()) % len(VARIANTS)]]
    return [how]


def pytest_generate_tests(metafunc):
    varied = metafunc.definition.path.parent.name in VARIED or metafunc.definition.get_closest_marker("variants")
    if "mta" in metafunc.fixturenames and varied:
        names = variants_of(metafunc)
        metafunc.parametrize("mta", [VARIANTS[name] for name in names], ids=names, indirect=True)


@pytest.fixture
def mta(tmp_path, request):
    name = request.node.originalname or request.node.name
    mta = Mta(tmp_path, name, **getattr(request, "param", {}))
    yield mta
    mta.close()
