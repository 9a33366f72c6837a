"""Value page: the inspector page with the arithmetic of one value, the sliding window, and its contributions."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from engine.explain import Explanation, ExplanationQuery, cell_index
from engine.nn import Prediction
from xo_gui.app import translate
from xo_gui.state import CellRef
from xo_gui.views.inspector.sheet import Sheet, SheetScrollArea
from xo_gui.views.inspector.sheet_blocks import ClassBar, ClassBars, Heading, HeatMap, Paragraph, SheetBlock
from xo_gui.views.inspector.sliding import SlidingControls
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
from xo_gui.widgets import CheckBox, fixed_text

# The most classes that a contribution is listed for.
MAX_CLASSES = 10


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
        self.controls = SlidingControls(self)
        self.animation = self.controls.animation
        self.animation.moved.connect(self.stepped_to)
        self.sheet = Sheet(self)
        self.sheet.cell_clicked.connect(self.cell_clicked)
        self.sheet.part_clicked.connect(self._select_part)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(SheetScrollArea(self.sheet))
        column.addSpacing(2)
        column.addWidget(self.controls)
        column.addSpacing(2)
        self.truncate_box = CheckBox(self.tr("Truncate to 2 decimals"), self)
        self.truncate_box.setToolTip(
            self.tr("As the article does: show 5 ÷ 9 as 0.55 instead of 0.56; only the display changes")
        )
        self.truncate_box.toggled.connect(self.changed)
        column.addWidget(self.truncate_box)

    @property
    def truncate(self) -> bool:
        return self.truncate_box.isChecked()

    def set_pinned(self, prediction: Prediction | None, pinned: CellRef | None) -> None:
        """Set the pinned cell, from which the window can slide; None of both disables sliding."""
        can_slide = prediction is not None and pinned is not None
        self.controls.set_position(
            prediction.model.network if prediction and can_slide else None, pinned if can_slide else None
        )

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
            ClassBars(bars, are_scores=True),
        ]

    # --- user actions

    def toggle_playing(self) -> None:
        self.controls.toggle_playing()

    def step(self) -> None:
        self.controls.step()

    def _select_part(self, part: int) -> None:
        """Show this map of the window, also while the window slides over the same map; or more rows of a list."""
        if part == SHOW_MORE:
            self._max_rows = min(4 * self._max_rows, MAX_ROWS_EXPANDED)
            self.changed.emit()
        elif self._cell is not None:
            self._selected_map = (_map_of(self._cell), part)
            self.changed.emit()


def _map_of(cell: CellRef) -> CellRef:
    """Identifies a map by its first cell."""
    return CellRef(cell.layer, cell.channel, model_index=cell.model_index)
