"""Stroke to picture in the real window: `python3 -m tests.benchmarks.live_window [--rounds N]`.

Draws strokes with real mouse events on the default network and prints, in milliseconds, the time from each mouse
event to the painted maps and votes, and the engine's own part of it. It judges nothing.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import sys
from time import perf_counter

from xo_gui.bootstrap import ensure_environment

SIZES = ((1280, 800), (1920, 1080))
EVENT_SECONDS = 0.008


def main() -> int:
    """Measure and print the table."""
    ensure_environment((), "tests.benchmarks.live_window")
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="drawings of an X and an O for each size")
    rounds = parser.parse_args().rounds
    import numpy as np
    from PySide6.QtWidgets import QApplication

    app = QApplication(sys.argv[:1])
    print(
        f"Python {platform.python_version()}, NumPy {np.__version__}, {os.cpu_count()} cores, {platform.machine()};"
    )
    print(f"Qt platform {app.platformName()}; default network; a mouse event every {1000 * EVENT_SECONDS:.0f} ms\n")
    print("| window | part | events | median ms | p95 ms | max ms |")
    print("|---|---|---|---|---|---|")
    for size in SIZES:
        whole, engine = measure(app, size, rounds)
        for name, seconds in (("stroke to painted picture", whole), ("of which the engine", engine)):
            low, high = (1000 * np.percentile(seconds, share) for share in (50, 95))
            print(
                f"| {size[0]} × {size[1]} | {name} | {len(seconds)} "
                f"| {low:.2f} | {high:.2f} | {1000 * max(seconds):.2f} |"
            )
    return 0


def measure(app: object, size: tuple[int, int], rounds: int) -> tuple[list[float], list[float]]:
    """Seconds from event to painted picture, and the engine's part, one for each picture painted."""
    from xo_gui.__main__ import build, parse

    window = build(app, parse(["--preset", "default", "--size", f"{size[0]}x{size[1]}", "--theme", "dark"]))
    whole: list[float] = []
    engine: list[float] = []
    window.shown.connect(whole.append)
    show = window.network_view.show_snapshot

    def watched(snapshot: object) -> None:
        engine.append(snapshot.engine_seconds)
        show(snapshot)

    window.network_view.show_snapshot = watched
    window.show()
    _wait(0.5)
    whole.clear()
    engine.clear()
    for _ in range(rounds):
        window.drawing_view.clear()
        _wait(0.05)
        for stroke in strokes():
            _draw(window.drawing_view.canvas, stroke)
    _wait(0.2)
    window.close()
    return whole, engine


def strokes() -> list[list[tuple[float, float]]]:
    """The lines of an X and an O in shares of the canvas, 60 points each."""
    along = [i / 59 for i in range(60)]
    return [
        [(0.15 + 0.7 * t, 0.15 + 0.7 * t) for t in along],
        [(0.85 - 0.7 * t, 0.15 + 0.7 * t) for t in along],
        [(0.5 + 0.35 * math.cos(6.6 * t), 0.5 + 0.35 * math.sin(6.6 * t)) for t in along],
    ]


def _draw(canvas: object, points: list[tuple[float, float]]) -> None:
    """One stroke with the left button, at the pace of a real mouse."""
    from PySide6.QtCore import QPoint, Qt
    from PySide6.QtTest import QTest

    places = [QPoint(round(x * canvas.width()), round(y * canvas.height())) for x, y in points]
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=places[0])
    for place in places[1:]:
        due = perf_counter() + EVENT_SECONDS
        QTest.mouseMove(canvas, place)
        _wait(max(0.0, due - perf_counter()))
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=places[-1])


def _wait(seconds: float) -> None:
    """Let the window live for a while, asleep between events as it is in real use."""
    from PySide6.QtCore import QEventLoop, Qt, QTimer

    loop, timer = QEventLoop(), QTimer()
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.setSingleShot(True)
    timer.timeout.connect(loop.quit)
    timer.start(round(1000 * seconds))
    loop.exec()


if __name__ == "__main__":
    sys.exit(main())
