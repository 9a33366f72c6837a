"""Faults before the window is on the screen: one sentence in the terminal, the trace in the log, and an end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
RUN = "import sys; from xo_gui.__main__ import main; sys.exit(main(['--device', 'cpu', {arguments}]))"
BROKEN_IMPORT = "import sys; sys.modules['xo_gui.views.votes'] = None\n"
BROKEN_VIEW = """
from xo_gui.views.votes import VotesView
def broken(self, *arguments):
    raise ValueError("planted while building")
VotesView.{method} = broken
"""


def run_with_fault(tmp_path: Path, fault: str, arguments: str = "") -> tuple[subprocess.CompletedProcess[str], str]:
    """Start with a planted fault; returns what the process did, and its log."""
    variables = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    command = [sys.executable, "-c", fault + RUN.format(arguments=arguments)]
    result = subprocess.run(
        command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False, timeout=60
    )
    return result, "".join(path.read_text() for path in tmp_path.rglob("xo-gui.log"))


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (BROKEN_IMPORT, "ModuleNotFoundError: import of xo_gui.views.votes"),
        (BROKEN_VIEW.format(method="__init__"), "ValueError: planted while building"),
    ],
)
def test_a_fault_at_import_or_while_building_is_said_and_logged(tmp_path: Path, fault: str, reason: str) -> None:
    result, log = run_with_fault(tmp_path, fault)
    assert result.returncode == 1
    assert result.stderr.startswith("The window cannot be opened. The log in ")
    assert reason in result.stderr
    assert "Traceback" not in result.stderr
    assert "Traceback" in log
    assert reason in log


def test_a_fault_in_what_qt_calls_while_building_is_logged_and_the_window_opens(tmp_path: Path) -> None:
    picture = tmp_path / "window.png"
    broken = BROKEN_VIEW.format(method="showEvent")
    result, log = run_with_fault(tmp_path, broken, f"'--screenshot', {str(picture)!r}")
    assert result.returncode == 0, result.stderr
    assert picture.exists()
    assert "Traceback" not in result.stderr
    assert "planted while building" in result.stderr
    assert "ValueError: planted while building" in log
