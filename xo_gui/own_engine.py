"""The command `xo`, and the check that `engine` is this program's package and not another one of that name."""

from __future__ import annotations

import signal
import sys
from importlib.util import find_spec
from pathlib import Path

_OWN_FOLDER = Path(__file__).resolve().parents[1] / "engine"


def foreign_engine_message() -> str:
    """A sentence if another package called `engine` comes first on Python's path, "" otherwise."""
    spec = find_spec("engine")
    if spec is None:
        return f"This program's package engine is missing from {_OWN_FOLDER.parent}; install the program again."
    places = [Path(place) for place in spec.submodule_search_locations or [spec.origin or "?"]]
    if _OWN_FOLDER in [place.resolve() for place in places]:
        return ""
    return (
        f"Another package called engine, {places[0]}, hides this program's; take its folder out of PYTHONPATH, or "
        "uninstall it."
    )


def main() -> int:
    """Run `xo` with the arguments of this process; returns the exit code."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # while it starts, Ctrl+C leaves no traceback
    message = foreign_engine_message()
    if message:
        sys.stderr.write(f"xo: {message}\n")
        return 1
    from engine.cli import start

    return start()
