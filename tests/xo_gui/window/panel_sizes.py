"""Gives every panel many sizes, in a child process to be watched: `python -m tests.xo_gui.window.panel_sizes PART`.

PART: of all sizes in the grid, one of so many is tried. Each panel and size is printed before it is tried.
"""

from __future__ import annotations

import faulthandler
import os
import sys
from collections.abc import Iterator
from itertools import product

from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDockWidget

from xo_gui.__main__ import build_window, parse_arguments
from xo_gui.window.docks import ScrolledPanelFrame

LEAST, MOST, STEP = 60, 600, 7
FROZEN_SECONDS = 20


def sizes(dock: QDockWidget, part: int) -> Iterator[tuple[int, int]]:
    """Sizes from LEAST to MOST, and those at which scroll bars come and go."""
    step = STEP if part > 1 else 1
    steps = range(LEAST, MOST + 1, step)
    yield from (
        (width, height) for width, height in product(steps, steps) if (width + 5 * height) // step % part == 0
    )
    frame = dock.widget()
    if isinstance(frame, ScrolledPanelFrame):
        least = frame.needed_size + dock.size() - frame.size()
        near = range(-24, 9, 3)
        yield from ((least.width() + across, least.height() + down) for across, down in product(near, near))


def main(part: int) -> None:
    app = QApplication([])
    window = build_window(app, parse_arguments(["--device", "cpu", "--size", "1280x800"]))
    window.show()
    QTest.qWait(300)  # until all panels have something to show
    for dock in window.panels.all:
        dock.show()
        dock.setFloating(True)
        app.processEvents()
        for size in sizes(dock, part):
            print(dock.objectName(), *size, flush=True)
            faulthandler.dump_traceback_later(FROZEN_SECONDS, exit=True)
            dock.resize(*size)
            for _ in range(2):  # the second for what the first has asked for
                app.sendPostedEvents()
        dock.setFloating(False)
    faulthandler.cancel_dump_traceback_later()
    print("done", flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
