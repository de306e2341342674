"""Fixtures of the console tests."""
from types import SimpleNamespace

import pytest

from pymomentum.config import load
from pymomentum.console.client import Client
from pymomentum.console.registry import Registry
from pymomentum.errors import ConsoleError


class Server:
    """What a registry needs of a server, and what it was asked to do."""

    def __init__(self, loaded):
        self.loaded = loaded
        self.asked = []
        self.unusable = ()

    def shutdown(self, fast=False):
        self.asked.append("shutdown")

    def reload(self, path=None):
        self.asked.append(f"reload {path}" if path else "reload")
        return 2

    def restart_needed(self, before=None):
        return []

    def write_back(self, work):
        self.loaded, files = work.loaded_anew(), work.save()
        return files

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


def said(client, line):
    """The answer; ConsoleError where it is an error."""
    text, status = client.ask(line)
    if status:
        raise ConsoleError(text.strip())
    return text


@pytest.fixture
def session(mta):
    """One console connection after the other: a function that opens one and answers how it is asked."""
    mta.config("message_expiration = 86400\nDomain example.com { message_expiration = 900 }\n")
    mta.start()
    opened = []

    def connect():
        client = Client(str(mta.folder / "console"))
        client.__enter__()
        opened.append(client)
        return lambda line: said(client, line)
    yield connect
    for client in opened:
        client.__exit__(None, None, None)
