"""Fixtures of the console tests."""
from types import SimpleNamespace

import pytest

from pymomentum.config import load
from pymomentum.console.registry import Registry


class Server:
    """What a registry needs of a server, and what it was asked to do."""

    def __init__(self, loaded):
        self.loaded = loaded
        self.asked = []

    def shutdown(self, fast=False):
        self.asked.append("shutdown")

    def reload(self, path=None):
        self.asked.append(f"reload {path}" if path else "reload")
        return 2

    def restart_needed(self):
        return []

    def reopen_logs(self):
        self.asked.append("reopen logs")


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test.conf").write_text("""
        spoolbase = spool
        Control_Listener { Listen "run/2025" { file_mode = 0600 } }
        ec_logger { paniclog = paniclog.ec }
        Domain hotmail.com {
          max_outbound_connections = 20
        }
    """)
    return Server(load("test.conf"))


@pytest.fixture
def engine():
    """Queries with answers that a test puts in."""
    return SimpleNamespace()


@pytest.fixture
def registry(server, engine):
    return Registry(server, engine)
