"""`python3 -m tests`: sets up what is missing, then runs every check. Its last line is pytest's summary.

Arguments go to pytest; `--nightly` runs the long versions. Style, types and floors are tests like any other.
"""

import sys

from xo_gui.bootstrap import ensure_environment, ensure_system_libraries


def main() -> int:
    """Run pytest with the arguments of the command line and return its exit code.

    Raises SystemExit with one sentence if the environment cannot be set up.
    """
    ensure_environment(("test",), "tests")
    ensure_system_libraries(screen=False)
    import pytest

    print(f"== Tests, style, types and floors, on Python {sys.version.split()[0]} ==", flush=True)
    return int(pytest.main(sys.argv[1:]))


if __name__ == "__main__":
    raise SystemExit(main())
