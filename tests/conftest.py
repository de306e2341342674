"""Fixtures: `mta` is a whole server (tests/harness/mta.py); `variants` marks tests that run in every way it can."""
import pytest

from tests.harness.mta import Mta

VARIANTS = [pytest.param({}, id="plain"), pytest.param({"loops": 3}, id="3-loops"),
            pytest.param({"suspend": "random"}, id="suspend"), pytest.param({"lease": "remote"}, id="remote-lease")]


def pytest_configure(config):
    config.addinivalue_line("markers", "variants: run with 1 and 3 loops, with random suspension, with remote leases")


def pytest_generate_tests(metafunc):
    if "mta" in metafunc.fixturenames and metafunc.definition.get_closest_marker("variants"):
        metafunc.parametrize("mta", VARIANTS, indirect=True)


@pytest.fixture
def mta(tmp_path, request):
    name = request.node.originalname or request.node.name
    mta = Mta(tmp_path, name, **getattr(request, "param", {}))
    yield mta
    mta.close()
