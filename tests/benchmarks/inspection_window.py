"""Looking into the network in the real window: `python3 -m tests.benchmarks.inspection_window [--rounds N]`.

Clicks values all over the default network with real mouse events and prints, in milliseconds, the time from each
click to the painted arithmetic, and to what it contributes; from choosing a method to its painted picture, of
slow ones the first, and from Stop to there being none; from each point of a stroke to the painted picture, with a
selected value and without; and the clicks again while training runs at full speed. It only measures.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING

from tests.benchmarks.real_window import draw, last_snapshot, open_window, set_up, strokes, table, wait

if TYPE_CHECKING:
    from PySide6.QtCore import QPoint
    from PySide6.QtWidgets import QApplication

    from engine.explain import Explanation
    from xo_gui.state import CellRef
    from xo_gui.views.network import ColumnLayout

GIVE_UP = 20.0
QUICK, SLOW = ("gradient", "gradient_times_input", "grad_cam"), ("occlusion", "flip")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=4, help="of strokes with and without a selected value, in turns"
    )
    parser.add_argument("--clicks", type=int, default=150)
    parser.add_argument("--size", default="1280x800")
    parser.add_argument("--preset", default="default")
    args, app = set_up("tests.benchmarks.inspection_window", parser, "{preset} network; {size}")
    bench = Bench(app, args.preset, args.size)
    bench.click("", args.clicks)
    bench.explain()
    bench.draw(args.rounds)
    bench.train()
    bench.click(" while training", args.clicks)
    bench.close()
    return 0


class Bench:
    """The window, and what is done with it."""

    def __init__(self, app: QApplication, preset: str, size: str) -> None:
        from xo_gui.views.inspector import InspectorView

        self.app = app
        self.window = open_window(app, preset, size)
        self.panel = next(view for view in self.window.views if isinstance(view, InspectorView))
        self.network = self.window.network_view
        self.window.show()
        wait(1.0)
        for stroke in strokes()[:2]:
            draw(self.window.drawing_view.canvas, stroke)
        self.window.session.pin(self._cell(random.Random(0)))
        wait(0.5)

    def close(self) -> None:
        """End it."""
        self.window.close()

    def until(self, what: Callable[[], bool]) -> float:
        """Let the window live until something is so and painted; how long that took, in seconds."""
        begun = perf_counter()
        while not what() and perf_counter() - begun < GIVE_UP:
            self.app.processEvents()
        self.app.processEvents()
        return perf_counter() - begun

    # --- clicks

    def click(self, when: str, count: int) -> None:
        """Values of all layers, one after the other."""
        from PySide6.QtCore import Qt
        from PySide6.QtTest import QTest

        rng = random.Random(1)
        shown: list[float] = []
        contribution: list[float] = []
        self.panel.tabs.setCurrentIndex(0)
        for _ in range(count):
            cell = self._cell(rng)
            place = self._place(cell)
            wait(0.03)
            begun = perf_counter()
            QTest.mousePress(self.network, Qt.MouseButton.LeftButton, pos=place)
            self.app.processEvents()
            shown.append(perf_counter() - begun)
            QTest.mouseRelease(self.network, Qt.MouseButton.LeftButton, pos=place)
            self.until(self._is_contribution_known)
            contribution.append(perf_counter() - begun)
        table(f"click to painted arithmetic{when}", shown)
        table(f"click to its contribution{when}", contribution)

    def _cell(self, rng: random.Random) -> CellRef:
        """Some value of a column that is shown."""
        from xo_gui.state import CellRef

        shapes = last_snapshot(self.window).predictions[0].model.network.shapes
        layer = rng.choice([at for at in range(len(shapes)) if self._column(at) is not None])
        return CellRef(layer, *(rng.randrange(side) for side in shapes[layer]))

    def _column(self, layer: int) -> ColumnLayout | None:
        strip = self.network._strips[0].layout
        return strip.column_of(layer) if strip is not None else None

    def _place(self, cell: CellRef) -> QPoint:
        """Where it lies in the panel, which is scrolled there."""
        from PySide6.QtCore import QPointF

        self.network._scroll_to(cell)
        column = self._column(cell.layer)
        assert column is not None, "cells of shown columns only"
        rows, columns = range(cell.row, cell.row + 1), range(cell.column, cell.column + 1)
        x, y = column.tile(cell.channel).sub_box(column.cells, rows, columns).centre
        return QPointF(x - self.network._bar.value(), y).toPoint()

    def _is_contribution_known(self) -> bool:
        """Of the selected value, in the picture last painted."""
        result = self._result
        return result is not None and result.query == self.panel._query and result.progress >= 1

    @property
    def _result(self) -> Explanation | None:
        return last_snapshot(self.window).result_of_type(Explanation)

    # --- methods

    def explain(self) -> None:
        """Every method, for both classes in turn."""
        self.panel.tabs.setCurrentIndex(2)
        page = self.panel.attribution_page
        quick: list[float] = []
        for round_ in range(10):
            page.target_box.setCurrentIndex(1 + round_ % 2)
            for kind in QUICK:
                wait(0.03)
                begun = perf_counter()
                page.method_box.setCurrentIndex(page.method_box.findData(kind))
                self._wait_for(kind)
                quick.append(perf_counter() - begun)
        table("method to painted picture", quick)
        for kind in SLOW:
            self._slow(kind)
        page.method_box.setCurrentIndex(0)
        self.panel.tabs.setCurrentIndex(0)

    def _slow(self, kind: str) -> None:
        from PySide6.QtCore import Qt
        from PySide6.QtTest import QTest

        page = self.panel.attribution_page
        first: list[float] = []
        whole: list[float] = []
        stopped: list[float] = []
        for _ in range(8):
            page.method_box.setCurrentIndex(0)
            self._wait_for("gradient")
            begun = perf_counter()
            page.method_box.setCurrentIndex(page.method_box.findData(kind))
            self._wait_for(kind)
            first.append(perf_counter() - begun)
            if not self._is_whole() and len(stopped) < 4:
                begun = perf_counter()
                QTest.mouseClick(page.stop_button, Qt.MouseButton.LeftButton)
                self.until(lambda: self._result is None)
                stopped.append(perf_counter() - begun)
            else:
                self.until(self._is_whole)
                whole.append(perf_counter() - begun)
        table(f"{kind} to the first picture", first)
        for what, seconds in ((f"{kind} to the last", whole), (f"{kind}, Stop to nothing", stopped)):
            if seconds:
                table(what, seconds)

    def _is_whole(self) -> bool:
        return self._result is not None and self._result.progress >= 1

    def _wait_for(self, kind: str) -> None:
        self.until(lambda: self._is_there(kind))

    def _is_there(self, kind: str) -> bool:
        result = self._result
        return result is not None and result.query == self.panel._query and result.query.kind == kind

    # --- strokes

    def draw(self, rounds: int) -> None:
        """Strokes with a selected value and without, in turns."""
        from xo_gui.state import CellRef

        cells = (CellRef(1, 2, 11, 20), CellRef(4, 9, 6, 5), CellRef(8, 3), None)
        found: dict[CellRef | None, list[float]] = {cell: [] for cell in cells}
        now: list[float] = []
        asked = [0.0]

        def note(latency: float) -> None:
            """Of all pictures that answer one event, the first counts."""
            requested_at = last_snapshot(self.window).requested_at
            if requested_at != asked[0]:
                asked[0] = requested_at
                now.append(latency)

        self.window.shown.connect(note)
        for _ in range(rounds):
            for cell in cells:
                self.window.session.pin(cell)
                self.window.drawing_view.clear()
                wait(0.1)
                now.clear()
                for stroke in strokes():
                    draw(self.window.drawing_view.canvas, stroke)
                found[cell] += now
        self.window.shown.disconnect(note)
        for cell, seconds in found.items():
            what = "nothing selected" if cell is None else f"a value of layer {cell.layer} selected"
            table(f"stroke to painted picture, {what}", seconds)

    def train(self) -> None:
        """Press Train, and let it run."""
        from xo_gui.state import Start

        self.window.training.execute(Start())
        wait(1.0)


if __name__ == "__main__":
    sys.exit(main())
