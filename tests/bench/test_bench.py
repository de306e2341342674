"""The load programs count what they send; a row is shown and written down with its targets."""
import json
import sys

import pytest

from tests.bench import __main__ as bench
from tests.bench.row import Target
from tests.bench.table import verdicts
from tests.bench.tools import BenchError, Sink, source
from tests.harness.cert import certificate
from tests.harness.sink import Sink as Scripted


@pytest.mark.parametrize("tls", [False, True])
def test_sink_counts_what_source_sends(tmp_path, tls):
    sink = Sink(tmp_path, certificate("sink.bench.test") if tls else None)
    try:
        source(sink.port, 7, 500, 5000, *(["-t"] if tls else []), "-p", "-d", 3)
        source(sink.port, 2, 3, 3000000, *(["-t"] if tls else []))
        assert sink.counts()[:2] == (503, 9)
    finally:
        sink.stop()


def test_source_sends_mail_to_each_domain_in_its_turn():
    with Scripted() as sink:
        source(sink.port, 1, 6, 700, "-d", 2, "-n", 2)
        assert [m.rcpts for m in sink.messages] == [[f"r@d{i}.bench.test"] for i in (0, 0, 1, 1, 0, 0)]
        assert all(700 <= len(m.data) < 800 and m.data.endswith(b"x\r\n") for m in sink.messages)
        assert not any(c.violations for c in sink.connections)


def test_source_stops_at_a_refusal():
    with Scripted(rcpt="550 5.1.1 no") as sink, pytest.raises(BenchError):
        source(sink.port, 1, 6, 700)


def test_medians_are_held_against_targets():
    runs = [{"rate": 10, "cpu": 5}, {"rate": 30, "cpu": 1}, {"rate": 20, "cpu": 9}]
    assert [v["met"] for v in verdicts((Target("rate", ">=", 20), Target("rate", ">=", 21), Target("cpu", "<=", 5)), runs)] == [
        True, False, True]


def test_a_row_is_shown_and_written_down(tmp_path, monkeypatch, capsys):
    path = tmp_path / "figures"
    monkeypatch.setattr(sys, "argv", ["bench", "--rows", "idle10k", "--quick", "--runs", "1", "--json", str(path)])
    assert bench.main() == 0
    line = json.loads(path.read_text())
    assert line["row"] == "idle10k" and line["quick"] and line["runs"][0]["memory"] > 0
    each = line["runs"][0]["bytes"]
    assert line["targets"] == [{"figure": "bytes", "target": "<= 3000", "median": each, "met": each <= 3000}]
    out = capsys.readouterr().out
    assert out.startswith("idle10k: 10,000 sessions idle after EHLO\n") and f"target bytes each <= 3000: {each:.0f}, " in out
