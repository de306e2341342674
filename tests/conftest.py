"""Fixtures: `mta` is a whole server (tests/harness/mta.py).

Tests of delivery and of the SMTP server run in variants of it: one each, by a hash of the test's name, or with
`--variants all` in every one.  Those marked `variants` always run in all, or in those that the mark names.
"""
import os
import zlib

import pytest

from tests.harness import ignoring  # noqa: F401  what EC_IGNORE says holds in this process, too
from tests.harness.mta import Mta

VARIANTS = {"plain": {}, "3-loops": {"loops": 3}, "suspend": {"suspend": "random"}, "remote-lease": {"lease": "remote"}}
VARIED = ("delivery", "smtp")       # folders whose tests all have variants


def pytest_addoption(parser):
    parser.addoption("--variants", choices=["spread", "all", *VARIANTS], default="spread",
                     help="of the server: one for each test (spread, the default), all for each, or that one where it applies")


def pytest_configure(config):
    config.addinivalue_line("markers", "variants(*names): run in all variants of the server, or in these")
    config.addinivalue_line("markers", "shows(*options): gives each of them two values, with two outcomes; module.option for one of a module")
    config.addinivalue_line("markers", "root: starts a program that only root can start; left out for others")


def pytest_collection_modifyitems(config, items):
    if os.getuid():
        left = [item for item in items if item.get_closest_marker("root")]
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]


def pytest_terminal_summary(terminalreporter):
    if os.getuid():
        terminalreporter.write_line("Tests that start Postfix were left out: its master serves as root only.")


def variants_of(metafunc):
    """Names of the variants that a test runs in."""
    how = metafunc.config.getoption("variants")
    always = metafunc.definition.get_closest_marker("variants")
    able = [name for name in VARIANTS if not (always and always.args) or name in always.args]
    if how == "all" or how == "spread" and always:
        return able
    if how == "spread":
        return [able[zlib.crc32(metafunc.function.__qualname__.encode()) % len(able)]]
    return [how] if how in able else able


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
