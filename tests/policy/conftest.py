"""`policy`: a server with the provider of the tests, and where its mail and its reports go."""
import pytest

from tests.harness.provided import provide


@pytest.fixture
def policy(mta):
    mta.provided = provide(mta)
    mta.config("generate_bounces = true")
    mta.home = mta.route("here.test", "127.0.0.1")
    mta.there = mta.route("example.com", "127.0.0.2")
    return mta
