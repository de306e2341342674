"""Build: one extension per core/**/*.pyx, ids generated from the rows that declare them.

`python setup.py build_ext --inplace` compiles what changed.  EC_BUILD=debug
adds assertions and sanitizers; EC_EXTENSION names one .pyx to compile instead.  C output goes to build/cython, objects to
build/temp; the shared objects stand beside their sources.
"""
import os
import sys
from pathlib import Path

from setuptools import Extension, setup

ROOT = Path(__file__).resolve().parent
GEN = ROOT / "build" / "gen"
DEBUG = os.environ.get("EC_BUILD") == "debug"

# import name -> path; an sdist turns the links into folders and those stay.
LINKS = {"core": "../core", "modules": "../modules", "lua": "../lua", "conf": "../conf"}

CFLAGS = ["-g1", "-O2", "-fno-semantic-interposition", "-D_GNU_SOURCE", "-Wno-unused-function"]
LDFLAGS = ["-Wl,-O1"]
if DEBUG:
    CFLAGS = ["-g", "-O1", "-D_GNU_SOURCE", "-DEC_DEBUG=1", "-fno-omit-frame-pointer",
              "-fsanitize=address,undefined", "-Wno-unused-function"]
    LDFLAGS = ["-fsanitize=address,undefined"]

LIBRARIES = {
    "loop": ["uv"], "net": ["uv", "ssl", "crypto"], "tls": ["ssl", "crypto"], "dns": ["uv", "cares"],
    "config": ["pcre2-8"], "spool": ["uv"], "queue": ["uv"], "smtp": ["uv", "ssl", "crypto", "pcre2-8"],
    "control": ["uv"], "log": ["uv"], "message": ["uv"], "policy": ["uv"],
}


def restore_links():
    for name, target in LINKS.items():
        link = ROOT / "pymomentum" / name
        if not os.path.lexists(link):
            link.symlink_to(target)


def generate():
    """Write build/gen from the declaring rows; files that do not change keep their time."""
    sys.path.insert(0, str(ROOT))
    from pymomentum import idgen
    GEN.mkdir(parents=True, exist_ok=True)
    for name, text in idgen.files().items():
        path = GEN / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def extensions():
    if "EC_EXTENSION" in os.environ:
        source = Path(os.environ["EC_EXTENSION"])
        return [Extension(".".join(source.with_suffix("").parts), [str(source)], libraries=["uv"], extra_compile_args=CFLAGS,
                          extra_link_args=LDFLAGS, include_dirs=[str(GEN)])]
    found = []
    for pyx in sorted((ROOT / "core").rglob("*.pyx")):
        parts = pyx.relative_to(ROOT).with_suffix("").parts
        name = ".".join(("pymomentum", *parts))
        source = str(Path("pymomentum", *parts[:-1], pyx.name))
        libraries = LIBRARIES.get(parts[1], []) if len(parts) > 2 else []
        found.append(Extension(name, [source], libraries=libraries, extra_compile_args=CFLAGS,
                               extra_link_args=LDFLAGS, include_dirs=[str(GEN)]))
    return found


def cythonized():
    from Cython.Build import cythonize
    from Cython.Compiler import Errors

    # A `nogil` function without `noexcept` takes the GIL after every call: refuse it.
    def refuse(position, message, env=None):
        Errors.error(position, "not allowed here: " + message)
    import Cython.Compiler.Nodes as Nodes
    for place in (Errors, Nodes):
        if hasattr(place, "performance_hint"):
            place.performance_hint = refuse
    return cythonize(
        extensions(), build_dir="build/cython", nthreads=os.cpu_count() or 1, include_path=[str(GEN), "."],
        language_level=3, show_all_warnings=False,
        compiler_directives={
            "boundscheck": False, "wraparound": False, "initializedcheck": False, "cdivision": True,
            "nonecheck": False, "embedsignature": False, "binding": False, "freethreading_compatible": False,
        })


def parallel_build():
    if "--parallel" not in " ".join(sys.argv) and "build_ext" in sys.argv:
        sys.argv.append(f"--parallel={os.cpu_count() or 1}")
        sys.argv.append("--build-temp=build/temp")


if __name__ == "__main__":
    restore_links()
    generate()
    parallel_build()
    setup(
        name="pymomentum", version=(ROOT / "pymomentum" / "VERSION").read_text().strip(),
        packages=[], ext_modules=cythonized(), zip_safe=False,
    )
