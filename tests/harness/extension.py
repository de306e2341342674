"""Extensions that live with the tests: compiled when a test asks for one, by the flags of the engine in use."""
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STAMPS = ROOT / "build" / "stamps"


def extension(name):
    """Compile tests/harness/<name>.pyx where it is older than what it is made of; answers its import name."""
    source = ROOT / "tests" / "harness" / f"{name}.pyx"
    kind = "debug" if (STAMPS / "debug").exists() else "release"
    stamp = STAMPS / f"{name}-{kind}"
    made_of = [source, *(ROOT / "core").rglob("*.pxd"), *(ROOT / "build" / "gen").iterdir()]
    if not stamp.exists() or stamp.stat().st_mtime < max(path.stat().st_mtime for path in made_of):
        # an instrumented process preloads what no compiler wants
        env = {key: value for key, value in os.environ.items() if key not in ("LD_PRELOAD", "PYTHONMALLOC")}
        done = subprocess.run([sys.executable, "setup.py", "-q", "build_ext", "--inplace", "--force"], cwd=ROOT, text=True,
                              capture_output=True, env={**env, "EC_EXTENSION": str(source.relative_to(ROOT)),
                                                        "EC_BUILD": kind.replace("release", "")})
        assert done.returncode == 0, done.stdout + done.stderr
        for other in STAMPS.glob(f"{name}-*"):
            other.unlink()
        stamp.touch()
    return f"tests.harness.{name}"
