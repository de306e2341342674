"""The house rules that the compiler does not check."""
import re
from pathlib import Path

CORE = Path(__file__).resolve().parents[2] / "core"

# cimports go from later to earlier only
LAYERS = ["base", "c", "loop", "config", "message", "mime", "log", "net", "tls", "dns", "spool", "policy", "queue", "smtp",
          "control"]
CIMPORT = re.compile(r"^\s*from\s+(\.*)([\w.]*)\s+cimport|^\s*cimport\s+pymomentum\.core\.(\w+)", re.M)


def sources():
    return sorted(path for path in CORE.rglob("*.p[yx][xd]") if path.parent != CORE)


def cimported(path):
    """Layers that a file cimports from."""
    here = path.relative_to(CORE).parent.parts
    for dots, name, whole in CIMPORT.findall(path.read_text()):
        if whole:
            yield whole
        elif not dots and name.startswith("pymomentum.core."):
            yield name.split(".")[2]
        elif dots:
            base = list(here[:len(here) - len(dots) + 1]) + (name.split(".") if name else [])
            if base:
                yield base[0]


def test_cimports_go_down_only():
    wrong = []
    for path in sources():
        own = LAYERS.index(path.relative_to(CORE).parts[0])
        wrong += [f"{path.relative_to(CORE)} cimports {layer}" for layer in cimported(path) if layer in LAYERS
                  and LAYERS.index(layer) > own]
    assert wrong == []


def test_the_engine_takes_the_gil_nowhere():
    taken = [f"{path.relative_to(CORE)}:{n}" for path in sources() for n, line in enumerate(path.read_text().splitlines(), 1)
             if re.search(r"\bwith gil\b", line.split("#")[0]) and not line.lstrip().startswith(('"', "'"))]
    assert taken == []


def test_every_file_says_what_it_holds():
    silent = [str(path.relative_to(CORE)) for path in CORE.rglob("*.pyx") if not path.read_text().startswith('"""')]
    assert silent == []


def test_the_core_knows_nothing_of_the_package_around_it():
    wrong = [str(path.relative_to(CORE)) for path in sources()
             if re.search(r"^\s*(?:from|import)\s+pymomentum\.(?!core\b)", path.read_text(), re.M)]
    assert wrong == []
