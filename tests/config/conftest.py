"""Fixtures of the configuration tests."""
import pytest

from pymomentum import config
from pymomentum.core.config.view import Generation
from pymomentum.errors import ConfigErrors


@pytest.fixture
def conf(tmp_path, monkeypatch):
    """Write ecelerity.conf (and other files) into an empty current folder, then load, publish or fail to."""
    monkeypatch.chdir(tmp_path)
    return Conf(tmp_path)


class Conf:
    def __init__(self, folder):
        self.folder = folder
        self.env = {"EC_CONF_SEARCH_PATH": ""}

    def write(self, text, **files):
        (self.folder / "ecelerity.conf").write_bytes(text if isinstance(text, bytes) else text.encode())
        for name, content in files.items():
            (self.folder / f"{name}.conf").write_text(content)

    def load(self, text, **files):
        self.write(text, **files)
        return config.load("ecelerity.conf", env=self.env)

    def publish(self, text, **files):
        config.publish(self.load(text, **files))
        return Generation()

    def errors(self, text, **files):
        with pytest.raises(ConfigErrors) as caught:
            self.load(text, **files)
        return caught.value.errors

    def error(self, text, **files):
        [error] = self.errors(text, **files)
        return error
