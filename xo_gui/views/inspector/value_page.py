"""Value page: the inspector page with the arithmetic of one value, the sliding window, and its contributions."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtWidgets import QPushButton, QSlider, QVBoxLayout, QWidget

from engine.explain import Explanation, ExplanationQuery, cell_index
from engine.nn import Network, Prediction
from xo_gui.app import translate
from xo_gui.state import CellRef
from xo_gui.views.inspector.sheet import Sheet, SheetScrollArea
from xo_gui.views.inspector.sheet_blocks import ClassBar, ClassBars, Heading, HeatMap, Paragraph, SheetBlock
from xo_gui.views.inspector.value_text import (
    MAX_ROWS,
    MAX_ROWS_EXPANDED,
    SHOW_MORE,
    ValueContext,
    downstream_text,
    value_blocks,
)
from xo_gui.views.inspector.vote_breakdown import contribution_table, layer_table
from xo_gui.views.network import cell_summary, place_text, rounded_limit
from xo_gui.widgets import CheckBox, WrappingRow, fixed_text

# The most classes that a contribution is listed for.
MAX_CLASSES = 10
# Milliseconds between two timer ticks: a faster animation skips values.
TICK_MS = 33
SLOWEST, FASTEST = 1.0, 400.0  # values per second


class ValuePage(QWidget):
    """Shows how one value was computed.

    Signals: cell_clicked(Cell) for a value of the sum; stepped_to(Cell) when the window has moved; changed() when
    the page has to be shown again.
    """

    cell_clicked = Signal(object)
    stepped_to = Signal(object)
    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._selected_map: tuple[CellRef, int] | None = None
        self._cell: CellRef | None = None
        self._max_rows = MAX_ROWS
        self.animation = WindowAnimation(self)
        self.animation.moved.connect(self.stepped_to)
        self.animation.stopped.connect(self._show_playing)
        self.sheet = Sheet(self)
        self.sheet.cell_clicked.connect(self.cell_clicked)
        self.sheet.part_clicked.connect(self._select_part)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(SheetScrollArea(self.sheet))
        column.addSpacing(2)
        column.addWidget(self._play_row())
        column.addSpacing(2)
        self.truncate_box = CheckBox(self.tr("Truncate to 2 decimals"), self)
        self.truncate_box.setToolTip(
            self.tr("As the article does: show 5 ÷ 9 as 0.55 instead of 0.56; only the display changes")
        )
        self.truncate_box.toggled.connect(self.changed)
        column.addWidget(self.truncate_box)

    def _play_row(self) -> WrappingRow:
        self.play_button, self.step_button = QPushButton(self), QPushButton(self.tr("Step"), self)
        self.speed_slider = QSlider(Qt.Orientation.Horizontal, self)
        self.speed_slider.setRange(0, 100)
        self.speed_slider.setValue(
            round(100 * math.log(self.animation.speed / SLOWEST) / math.log(FASTEST / SLOWEST))
        )
        self.speed_slider.setAccessibleName(self.tr("Speed of the sliding window"))
        self.speed_slider.setToolTip(self.tr("How many values per second the window moves on"))
        self.speed_slider.valueChanged.connect(self._set_speed)
        self.play_button.setToolTip(self.tr("Slide the window over its map, value by value"))
        self.step_button.setToolTip(self.tr("Move on by one value"))
        self.step_button.setAccessibleName(self.tr("Step the window"))
        self.play_button.clicked.connect(self.toggle_playing)
        self.step_button.clicked.connect(self.animation.advance)
        self._show_playing()
        return WrappingRow((self.play_button, self.step_button, self.speed_slider), self)

    @property
    def truncate(self) -> bool:
        return self.truncate_box.isChecked()

    def set_pinned(self, prediction: Prediction | None, pinned: CellRef | None) -> None:
        """Set the pinned cell, from which the window can slide; None of both disables sliding."""
        can_slide = prediction is not None and pinned is not None
        self.animation.set_position(
            prediction.model.network if prediction and can_slide else None, pinned if can_slide else None
        )
        for widget in (self.play_button, self.step_button, self.speed_slider):
            widget.setEnabled(can_slide)

    @staticmethod
    def query(prediction: Prediction, pinned: CellRef) -> ExplanationQuery:
        """The contribution query for the pinned cell."""
        place = cell_index(prediction.model.network, pinned.layer, pinned.channel, pinned.row, pinned.column)
        return ExplanationQuery("worth", pinned.model_index, pinned.layer, place)

    def show_cell(self, prediction: Prediction, cell: CellRef, pinned: bool, result: Explanation | None) -> None:
        """Show the arithmetic of a cell. result: its contributions, None while unknown."""
        if self._cell is None or _map_of(cell) != _map_of(self._cell):
            self._max_rows = MAX_ROWS
        self._cell = cell
        selected = self._selected_map
        selected_map = selected[1] if selected and selected[0] == _map_of(cell) else None
        blocks = value_blocks(ValueContext(prediction, cell, selected_map, self.truncate, self._max_rows))
        if downstream := downstream_text(prediction, cell, self.truncate):
            blocks.append(Paragraph(downstream))
        if pinned:
            blocks += self._contribution_blocks(prediction, cell, result)
        blocks += self._receptive_field_blocks(prediction, cell, result if pinned else None)
        self.sheet.set_blocks(blocks, self.truncate)

    def show_message(self, message: str) -> None:
        """Show a message instead of a cell."""
        self._cell = None
        self.sheet.set_blocks([Paragraph(message)], self.truncate)

    def _receptive_field_blocks(
        self, prediction: Prediction, cell: CellRef, result: Explanation | None
    ) -> list[SheetBlock]:
        """The receptive field in the drawing, and the contribution of each of its pixels."""
        reads = cell_summary(prediction, cell).detail
        if not reads or cell.layer == 0 or (cell.layer == len(prediction.activations) - 1 and result is None):
            return []
        text = reads[0].upper() + reads[1:] + "."
        blocks: list[SheetBlock] = [Heading(translate("Inspector", "in the drawing"))]
        if result is None or result.map is None:
            return [*blocks, Paragraph(text)]
        contributions = result.map
        if not contributions.any():
            return [
                *blocks,
                Paragraph(text + " " + translate("Inspector", "At present no pixel of it contributes anything.")),
            ]
        row, column = np.unravel_index(np.abs(contributions).argmax(), contributions.shape)
        largest = fixed_text(float(contributions[row, column]), self.truncate)
        text += " " + translate("Inspector", "Largest contribution: {0} from {1}.").format(
            largest, place_text(int(row), int(column))
        )
        limit = rounded_limit(float(np.abs(contributions).max()))
        heat_map = HeatMap(translate("Inspector", "contribution of each pixel"), contributions, limit)
        return [*blocks, Paragraph(text), *([heat_map] if cell.layer > 1 else [])]

    def _contribution_blocks(
        self, prediction: Prediction, cell: CellRef, result: Explanation | None
    ) -> list[SheetBlock]:
        """The contribution to each class's score; for a score, where all of it comes from."""
        network = prediction.model.network
        names = network.classes[:MAX_CLASSES]
        if cell.layer == len(network.layers):
            blocks = contribution_table(prediction, cell, self.truncate)
            if result is not None and result.layer_totals:
                blocks += layer_table(prediction, cell, result, self.truncate)
            return blocks
        known = result is not None and bool(result.contributions)
        contributions = result.contributions if result is not None and known else (0.0,) * len(network.classes)
        largest = max(map(abs, contributions)) or 1.0
        bars = tuple(
            ClassBar(
                at,
                name,
                fixed_text(contributions[at], self.truncate) if known else "…",
                contributions[at] / largest,
            )
            for at, name in enumerate(names)
        )
        return [
            Heading(translate("Inspector", "contribution to the score of each class")),
            ClassBars(bars, has_negative_side=True),
        ]

    # --- user actions

    def _select_part(self, part: int) -> None:
        """Show this map of the window, also while the window slides over the same map; or more rows of a list."""
        if part == SHOW_MORE:
            self._max_rows = min(4 * self._max_rows, MAX_ROWS_EXPANDED)
            self.changed.emit()
        elif self._cell is not None:
            self._selected_map = (_map_of(self._cell), part)
            self.changed.emit()

    def toggle_playing(self) -> None:
        if self.animation.is_playing:
            self.animation.pause()
        else:
            self.animation.play()
            self._show_playing()

    def _show_playing(self) -> None:
        playing = self.animation.is_playing
        self.play_button.setText(self.tr("❚❚ Pause") if playing else self.tr("▶ Slide the window"))
        self.play_button.setAccessibleName(self.tr("Pause the window") if playing else self.tr("Slide the window"))

    def _set_speed(self, position: int) -> None:
        self.animation.speed = SLOWEST * (FASTEST / SLOWEST) ** (position / 100)


class WindowAnimation(QObject):
    """Slides the window over one map, value by value.

    Signals: moved(Cell); stopped(), at the end of the map or when paused.
    """

    moved = Signal(object)
    stopped = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._network: Network | None = None
        self._cell: CellRef | None = None
        self._pending_steps = 0.0
        self.speed = 6.0
        self._timer = QTimer(self)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)

    @property
    def is_playing(self) -> bool:
        return self._timer.isActive()

    def set_position(self, network: Network | None, cell: CellRef | None) -> None:
        """Set the current cell; a change from outside, such as a click, pauses the animation."""
        if cell != self._cell or network is not self._network:
            if self.is_playing and (cell is None or network != self._network or cell != self._cell):
                self.pause()
            self._network, self._cell = network, cell

    def play(self) -> None:
        """Start the animation, at the end of the map from its first value."""
        if self._network is None or self._cell is None:
            return
        if next_cell(self._network, self._cell) is None:
            self._move_to(first_cell(self._network, self._cell))
        self._pending_steps = 0.0
        self._timer.start()

    def pause(self) -> None:
        self._timer.stop()
        self.stopped.emit()

    def advance(self) -> None:
        """Move on by one value, at the end of the map to its first."""
        if self.is_playing:
            self.pause()
        if self._network is not None and self._cell is not None:
            self._move_to(next_cell(self._network, self._cell) or first_cell(self._network, self._cell))

    def _tick(self) -> None:
        self._pending_steps += self.speed * TICK_MS / 1000
        cell, network = self._cell, self._network
        while self._pending_steps >= 1 and cell is not None and network is not None:
            self._pending_steps -= 1
            after = next_cell(network, cell)
            if after is None:
                break
            cell = after
        if cell is not None and cell != self._cell:
            self._move_to(cell)
        if cell is None or network is None or next_cell(network, cell) is None:
            self.pause()

    def _move_to(self, cell: CellRef) -> None:
        self._cell = cell
        self.moved.emit(cell)


def first_cell(network: Network, cell: CellRef) -> CellRef:
    """The first value of the map or list that holds `cell`."""
    if len(network.shapes[cell.layer]) == 3:
        return replace(cell, row=0, column=0)
    return replace(cell, channel=0)


def next_cell(network: Network, cell: CellRef) -> CellRef | None:
    """The next value of the map in row-major order, or of the list; None at the end."""
    shape = network.shapes[cell.layer]
    if len(shape) == 1:
        return replace(cell, channel=cell.channel + 1) if cell.channel + 1 < shape[0] else None
    if cell.column + 1 < shape[2]:
        return replace(cell, column=cell.column + 1)
    return replace(cell, row=cell.row + 1, column=0) if cell.row + 1 < shape[1] else None


def _map_of(cell: CellRef) -> CellRef:
    """Identifies a map by its first cell."""
    return CellRef(cell.layer, cell.channel, model_index=cell.model_index)
