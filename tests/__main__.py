"""`python3 -m tests`: sets up what is missing, then runs every check. Its last line is pytest's summary.

Arguments go to pytest; `--nightly` runs the long versions. Style, types and floors are tests like any other.
"""

import os
import sys
from collections.abc import Sequence

from xo_gui.bootstrap import ensure_environment, ensure_system_libraries

# Every further process has a window, an engine and its threads: more of them hold up each other's.
MOST_PROCESSES = 4


def main() -> int:
    """Run pytest with the arguments of the command line and return its exit code.

    Raises SystemExit with one sentence if the environment cannot be set up.
    """
    ensure_environment(("test",), "tests")
    ensure_system_libraries(screen=False)
    import pytest

    print(f"== Tests, style, types and floors, on Python {sys.version.split()[0]} ==", flush=True)
    processes = shared_among(sys.argv[1:])
    if processes:
        # Threads of the matrix products of several processes would only wait for each other.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    return int(pytest.main([*processes, *sys.argv[1:]]))


def shared_among(arguments: Sequence[str]) -> list[str]:
    """What tells pytest to share all tests among processes, one a core; nothing where some tests are picked (a
    file, `-k word`), which are run sooner than a second process is there. Half of the files at first for each of
    two, and then whoever is done takes some of the other's, so that what a file prepares is mostly made once."""
    if any(not argument.startswith("-") for argument in arguments):
        return []
    return ["--numprocesses", "auto", "--maxprocesses", str(MOST_PROCESSES), "--dist", "worksteal"]


if __name__ == "__main__":
    raise SystemExit(main())
