"""Fixture: run a command as a process of its own."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(tmp_path):
    """Run a command in an empty folder, without a terminal; answers the CompletedProcess."""
    def run(name, *arguments, input="", **env):
        done = subprocess.run([sys.executable, "-m", f"pymomentum.commands.{name}", *arguments], cwd=tmp_path, timeout=60,
                              input=input, capture_output=True, text=True, errors="surrogateescape", start_new_session=True,
                              env={**os.environ, "PYTHONPATH": str(ROOT), "EC_CONF_SEARCH_PATH": "", **env})
        assert "Traceback" not in done.stderr
        return done
    return run
