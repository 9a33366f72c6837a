"""Gives every panel many sizes, docked and floating, in a child process to be watched.

`python -m tests.xo_gui.window.panel_sizes STEP [SECONDS]`: sizes are STEP pixels apart, and every size near the
least one of each panel. With STEP above 1, a size of the grid is tried either docked or floating. Each panel and
size is printed before it is tried. SECONDS: when to end before all is done.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import time
from collections.abc import Iterator
from itertools import groupby, product

from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from xo_gui.__main__ import build_window, parse_arguments
from xo_gui.window.docks import ScrolledPanelFrame

LEAST, MOST, PAINTED_STEP = 60, 600, 135
NEAR = range(-20, 5)  # around the least size: scroll bars come and go, one by one
FROZEN_SECONDS, SIZES_PER_WATCH = 60, 20


def sizes(panel: QWidget, step: int, docked: bool) -> Iterator[tuple[int, int]]:
    """The grid, and the sizes at which scroll bars come and go."""
    steps = range(LEAST, MOST + 1, step)
    for width, height in product(steps, steps):
        if step == 1 or (width + height) // step % 2 == docked:
            yield width, height
    frame = getattr(panel, "widget", lambda: None)()
    if isinstance(frame, ScrolledPanelFrame):
        least = frame.needed_size + panel.size() - frame.size()
        yield from ((least.width() + across, least.height() + down) for across, down in product(NEAR, NEAR))


def sweep(panel: QWidget, step: int, docked: bool, end: float) -> int:
    """Try all sizes of a panel; returns how many there were.

    Painting, which changes no size and takes most of the time, is tried at a few.
    """
    count = 0
    for painted in (True, False):
        panel.setUpdatesEnabled(painted)
        for _, row in groupby(sizes(panel, PAINTED_STEP if painted else step, docked), lambda size: size[0]):
            for size in row:
                if count % SIZES_PER_WATCH == 0:  # each watch starts a thread
                    faulthandler.dump_traceback_later(FROZEN_SECONDS, exit=True)
                print(
                    panel.objectName() or type(panel).__name__,
                    "docked" if docked else "floating",
                    *size,
                    flush=True,
                )
                panel.resize(*size)
                for _ in range(2):  # the second for what the first has asked for
                    QApplication.sendPostedEvents()
                count += 1
            if time.monotonic() > end:
                break
    panel.setUpdatesEnabled(True)
    return count


def main(step: int, seconds: float) -> None:
    app = QApplication([])
    window = build_window(app, parse_arguments(["--device", "cpu", "--size", "1280x800"]))
    window.show()
    QTest.qWait(300)  # until all panels have something to show
    count, end = 0, time.monotonic() + seconds
    docks = window.panels.all
    for at, dock in enumerate(docks):
        dock.show()
        dock.raise_()
        for docked in (True, False):
            dock.setFloating(not docked)
            app.processEvents()
            share = time.monotonic() + (end - time.monotonic()) / (2 * (len(docks) - at) - (not docked))
            count += sweep(dock, step, docked, share)
        dock.setFloating(False)
    for view in window.views:
        if window.central_tabs.isAncestorOf(view):
            window.central_tabs.show_view(type(view))
            count += sweep(view, step, True, end)
    faulthandler.cancel_dump_traceback_later()
    print(f"{count} sizes", flush=True)
    print("done", flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 1e9)
