"""Stroke to picture in the real window: `python3 -m tests.benchmarks.live_window [--rounds N]`.

Draws strokes with real mouse events on the default network and prints, in milliseconds, the time from each mouse
event to the painted maps and votes, and the engine's own part of it. It only measures.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from tests.benchmarks.real_window import EVENT_SECONDS, draw, last_snapshot, open_window, set_up, strokes, wait

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication

SIZES = ((1280, 800), (1920, 1080))


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="drawings of an X and an O for each size")
    args, app = set_up(
        "tests.benchmarks.live_window",
        parser,
        f"default network; a mouse event every {1000 * EVENT_SECONDS:.0f} ms",
    )
    import numpy as np

    print("| window | part | events | median ms | p95 ms | max ms |")
    print("|---|---|---|---|---|---|")
    for size in SIZES:
        whole, engine = measure(app, size, args.rounds)
        for name, seconds in (("stroke to painted picture", whole), ("of which the engine", engine)):
            low, high = (1000 * np.percentile(seconds, share) for share in (50, 95))
            print(
                f"| {size[0]} × {size[1]} | {name} | {len(seconds)} "
                f"| {low:.2f} | {high:.2f} | {1000 * max(seconds):.2f} |"
            )
    return 0


def measure(app: QApplication, size: tuple[int, int], rounds: int) -> tuple[list[float], list[float]]:
    """Seconds from event to painted picture, and the engine's part, one for each picture painted."""
    window = open_window(app, "default", f"{size[0]}x{size[1]}")
    whole: list[float] = []
    engine: list[float] = []

    def note(latency: float) -> None:
        whole.append(latency)
        engine.append(last_snapshot(window).engine_seconds)

    window.shown.connect(note)
    window.show()
    wait(0.5)
    whole.clear()
    engine.clear()
    for _ in range(rounds):
        window.drawing_view.clear()
        wait(0.05)
        for stroke in strokes():
            draw(window.drawing_view.canvas, stroke)
    wait(0.2)
    window.close()
    return whole, engine


if __name__ == "__main__":
    sys.exit(main())
