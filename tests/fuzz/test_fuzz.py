import os
import signal

import pytest

from tests.fuzz import run
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_corpus_is_parsed(name):
    assert run.samples(name)
    assert run.replay(name) is None


@pytest.mark.parametrize("name", TARGETS)
def test_one_second_of_mutation(name):
    runs, fault = run.fuzz(name, 1)
    assert fault is None and runs > 10


@pytest.mark.parametrize("fault", [lambda data: 1 // 0, lambda data: os.kill(os.getpid(), signal.SIGKILL)])
def test_fault_is_kept(fault, monkeypatch, tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "1").write_bytes(b"sample")
    monkeypatch.setattr(run, "CORPUS", tmp_path)
    monkeypatch.setitem(TARGETS, "bad", lambda data: None if data == b"sample" else fault(data))
    runs, path = run.fuzz("bad", 5)
    assert runs >= 1 and path.name.startswith("fault-") and path.read_bytes() != b"sample"
