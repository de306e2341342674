"""Debian packages that are unpacked under build/tools, not installed."""
import fcntl
import os
import subprocess
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[2] / "build" / "tools"


def unpacked(package, path):
    """Where path, a file of the package, is; fetches and unpacks it the first time."""
    found = TOOLS / path
    TOOLS.mkdir(parents=True, exist_ok=True)
    with open(TOOLS / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)            # tests run side by side
        if not found.exists():
            fetch = ["apt-get", "download", "-qq", package]
            if subprocess.run(fetch, cwd=TOOLS, stderr=subprocess.DEVNULL).returncode:
                subprocess.run(["apt-get", "update", "-qq"], check=os.getuid() == 0)
                subprocess.run(fetch, cwd=TOOLS, check=True)
            subprocess.run(["dpkg", "-x", str(next(TOOLS.glob(f"{package}_*.deb"))), str(TOOLS)], check=True)
    return found
