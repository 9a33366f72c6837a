"""Real window: what the benchmarks of the window share: the program set up, strokes drawn as a hand would, and how
figures are printed. It measures nothing."""

from __future__ import annotations

import argparse
import math
import os
import platform
import sys
from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING

from xo_gui.bootstrap import ensure_environment

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication, QWidget

    from engine.runtime import Snapshot
    from xo_gui.window import MainWindow

EVENT_SECONDS = 0.008


def set_up(module: str, parser: argparse.ArgumentParser, about: str) -> tuple[argparse.Namespace, QApplication]:
    """The arguments and the application; the machine and `about`, filled in from the arguments, are printed."""
    ensure_environment((), module)
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    args = parser.parse_args()
    import numpy as np
    from PySide6.QtWidgets import QApplication

    app = QApplication(sys.argv[:1])
    print(
        f"Python {platform.python_version()}, NumPy {np.__version__}, {os.cpu_count()} cores, {platform.machine()};"
    )
    print(f"Qt platform {app.platformName()}; {about.format(**vars(args))}\n")
    return args, app


def open_window(app: QApplication, preset: str, size: str) -> MainWindow:
    """The program's window with a network on the CPU, not yet shown."""
    from xo_gui.__main__ import build_window, parse_arguments

    arguments = ["--preset", preset, "--device", "cpu", "--size", size, "--theme", "dark"]
    return build_window(app, parse_arguments(arguments))


def last_snapshot(window: MainWindow) -> Snapshot:
    """The snapshot that the window shows."""
    assert window.last is not None, "nothing has been painted yet"
    return window.last


def strokes() -> list[list[tuple[float, float]]]:
    """The lines of an X and an O in shares of the canvas, 60 points each."""
    along = [i / 59 for i in range(60)]
    return [
        [(0.15 + 0.7 * t, 0.15 + 0.7 * t) for t in along],
        [(0.85 - 0.7 * t, 0.15 + 0.7 * t) for t in along],
        [(0.5 + 0.35 * math.cos(6.6 * t), 0.5 + 0.35 * math.sin(6.6 * t)) for t in along],
    ]


def draw(canvas: QWidget, points: list[tuple[float, float]]) -> None:
    """One stroke with the left button, at the pace of a real mouse."""
    from PySide6.QtCore import QPoint, Qt
    from PySide6.QtTest import QTest

    places = [QPoint(round(x * canvas.width()), round(y * canvas.height())) for x, y in points]
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=places[0])
    for place in places[1:]:
        due = perf_counter() + EVENT_SECONDS
        QTest.mouseMove(canvas, place)
        wait(max(0.0, due - perf_counter()))
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=places[-1])


def wait(seconds: float) -> None:
    """Let the window live for a while, asleep between events as it is in real use."""
    from PySide6.QtCore import QEventLoop, Qt, QTimer

    loop, timer = QEventLoop(), QTimer()
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.setSingleShot(True)
    timer.timeout.connect(loop.quit)
    timer.start(round(1000 * seconds))
    loop.exec()


def table(what: str, seconds: Sequence[float]) -> None:
    """One line of figures."""
    import numpy as np

    median, high, higher = (1000 * np.percentile(seconds, share) for share in (50, 95, 99))
    print(f"{what}: {len(seconds)}; median {median:.1f}, p95 {high:.1f}, p99 {higher:.1f}, "
          f"most {1000 * max(seconds):.1f} ms")  # fmt: skip
