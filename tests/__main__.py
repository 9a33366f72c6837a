"""`python3 -m tests`: sets up the environment, then runs all tests; the last line is pytest's summary.

Arguments are passed to pytest; `--nightly` runs the long versions. Style, types and layering are tests too.
"""

import os
import sys
from collections.abc import Sequence

from xo_gui.bootstrap import ensure_environment, ensure_system_libraries

# Every process has a window, an engine and their threads: more processes slow each other down.
MOST_PROCESSES = 4


def main() -> int:
    """Run pytest with the command line's arguments and return its exit code. Raises SystemExit with one sentence if
    the environment cannot be set up."""
    ensure_environment(("test",), "tests")
    ensure_system_libraries(screen=False)
    import pytest

    print(f"== Tests, style, types and floors, on Python {sys.version.split()[0]} ==", flush=True)
    processes = xdist_options(sys.argv[1:])
    if processes:
        # BLAS threads of several processes would only compete for the cores.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    return int(pytest.main([*processes, *sys.argv[1:]]))


def xdist_options(arguments: Sequence[str]) -> list[str]:
    """Options of pytest-xdist that share all tests among processes, one per core; none if some tests are selected
    (a file, `-k word`), which finish sooner than a second process starts. "worksteal" keeps the tests of a file
    together at first, so that a file's fixtures are mostly created once."""
    if any(not argument.startswith("-") for argument in arguments):
        return []
    return ["--numprocesses", "auto", "--maxprocesses", str(MOST_PROCESSES), "--dist", "worksteal"]


if __name__ == "__main__":
    raise SystemExit(main())
