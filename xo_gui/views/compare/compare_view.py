"""Compare view: the activations of two networks on one drawing, one below the other, and their difference, which is
computed only while it is visible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPixmap, QResizeEvent, QShowEvent, QWheelEvent
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QLabel, QPushButton, QScrollBar, QVBoxLayout, QWidget

from engine.documents import PRESETS, Document
from engine.explain import ModelDifference
from engine.nn import Prediction
from engine.runtime import Snapshot
from xo_gui.app import LARGE_PX, SMALL_PX, current_theme, font
from xo_gui.state import (
    CellRef,
    Command,
    CompareWithCurrent,
    CompareWithFile,
    CompareWithPreset,
    StopComparing,
    SwapModels,
)
from xo_gui.views.compare.rows import (
    ComparisonRow,
    DifferencePainter,
    DifferenceStripModel,
    RowToggles,
    comparison_rows,
)
from xo_gui.views.compare.text import difference_summary, difference_text, mismatch_text, weight_difference_summary
from xo_gui.views.network import (
    MARGIN,
    MODEL_LETTERS,
    READOUT_HEIGHT,
    TOP,
    UNDER_TABS,
    Box,
    CellSummary,
    LayerStripView,
    StripModel,
    StripPainter,
    WeightRef,
    cached_font,
    has_cell,
    model_labels,
    paint_ring,
    prediction_text,
)
from xo_gui.widgets import CompactButton, EmptyLabel


class CompareView(LayerStripView):
    """A strip for each network, and one of the difference, second minus first, of the layers that match.

    Hovering a value in any strip shows it for both networks; a click pins it in the network clicked, and for the
    difference in the first. A click on a row's letter collapses the row.
    """

    title = "Compare"

    def __init__(self, parent: QWidget | None = None) -> None:
        self._rows: tuple[ComparisonRow, ...] = ()
        self._rows_area = Box(0, 0, 0, 0)  # what is visible of the rows
        self._names: tuple[str, ...] = ()
        self._hidden_snapshot: Snapshot | None = None  # the latest that came while the view was hidden
        self._difference: ModelDifference | None = None
        super().__init__(parent)
        self.start = CompareStart(self)
        self.start.commanded.connect(self.commanded)
        self._buttons = self._make_buttons()
        self._row_toggles = RowToggles(self)
        self._row_toggles.folding_changed.connect(self._lay_out)
        self._side_bar = QScrollBar(Qt.Orientation.Vertical, self)
        self._side_bar.setAccessibleName(self.tr("Scroll to the other rows"))
        self._side_bar.hide()
        self._side_bar.valueChanged.connect(self._scrolled_vertically)
        self.setAccessibleName(self.tr("Comparison"))
        self._bar.setAccessibleName(self.tr("Scroll the networks"))
        self._set_comparing(False)

    # --- what is shown

    def set_document(self, document: Document) -> None:
        comparing = len(document.models) == 2
        if comparing == self.start.isVisibleTo(self):
            self._set_comparing(comparing)

    def set_snapshot(self, snapshot: Snapshot) -> None:
        """Show both predictions and their difference; while hidden, only store the snapshot."""
        if not self.isVisible():
            self._hidden_snapshot = snapshot
            return
        self._hidden_snapshot = None
        if len(snapshot.predictions) != 2:
            return
        labels = model_labels(snapshot.predictions, snapshot.training, self._live)
        if labels != self._names:
            self._names, self._static_pixmap = labels, None
        super().set_snapshot(snapshot)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self._hidden_snapshot is not None:
            self.set_snapshot(self._hidden_snapshot)

    def _set_comparing(self, comparing: bool) -> None:
        """Show the strips, or else the ways to start a comparison."""
        if not comparing:
            self._map_zoom.dismiss()
            self._search.dismiss()
        self.start.setVisible(not comparing)
        self._buttons.setVisible(comparing)
        self._row_toggles.setVisible(comparing)
        self._controls.setVisible(comparing)
        if not comparing:
            self._strips, self._networks, self._difference = [], [], None
            self._rows, self._names = (), ()
            self._hover(None)
        self._lay_out()

    def _shown_predictions(self, snapshot: Snapshot) -> tuple[Prediction, ...]:
        return snapshot.predictions

    def _make_strips(self, predictions: Sequence[Prediction]) -> list[StripModel]:
        first, second = (StripModel(prediction) for prediction in predictions)
        first.letter, second.letter = MODEL_LETTERS
        self._difference = ModelDifference.between(*predictions)
        if self._alike(predictions):
            first.twin, second.twin = second, first
        below = [DifferenceStripModel(self._difference, first)] if self._difference.layers else []
        return [first, second, *below]

    def _update_strips(self, predictions: Sequence[Prediction], adapt: bool, replaced: bool) -> bool:
        changed = [
            shown.update(one, adapt, replaced) for shown, one in zip(self._strips, predictions, strict=False)
        ]
        self._difference = ModelDifference.between(*predictions)
        for shown in self._strips[2:]:
            assert isinstance(shown, DifferenceStripModel)
            changed.append(shown.update_difference(self._difference, adapt))
        return any(changed)

    @staticmethod
    def _alike(predictions: Sequence[Prediction]) -> bool:
        first, second = (prediction.model.network for prediction in predictions)
        return first == second

    def _update_slow_texts(self) -> None:
        super()._update_slow_texts()
        if self._difference is not None:
            both = zip(MODEL_LETTERS, self._names, self._strips[:2], strict=True)
            texts = [f"{letter} {prediction_text(name, shown.prediction)}" for letter, name, shown in both]
            texts += [difference_text(self._difference), mismatch_text(self._difference)]
            self.setAccessibleDescription("; ".join(filter(None, texts)))

    # --- layout

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        wide = min(self.width() - 2 * MARGIN, 560)
        self.start.setGeometry(int(MARGIN), int(TOP + 32), int(wide), self.height() - int(TOP + 40))

    def _layout_strips(self, area: Box) -> float:
        if len(self._strips) < 2:
            self._side_bar.hide()
            return 0.0
        self._rows_area = area
        alike, differing = self._alike([shown.prediction for shown in self._strips[:2]]), len(self._strips) > 2
        folded = self._row_toggles.folded
        self._update_side_bar(area, comparison_rows(area, alike, differing, folded)[-1].bottom - area.bottom)
        moved = Box(area.x, area.y - self._side_bar.value(), area.width, area.height)
        self._rows, widest = comparison_rows(moved, alike, differing, folded), 0.0
        self._row_toggles.set_rows(self._rows, self._rows_area, differing)
        for shown, row in zip(self._strips, self._rows, strict=False):
            shown.decorations, shown.is_collapsed = row.around, row.folded
            widest = max(widest, self._layout_strip(shown, row.tiles).width)
        size = self._buttons.sizeHint()
        line = self._rows[0].name
        self._buttons.setVisible(area.y <= line.y and line.bottom <= area.bottom)
        self._buttons.setGeometry(
            int(line.right) - size.width(), int(line.y) - 1, size.width(), int(line.height) + 2
        )
        return widest

    def _update_side_bar(self, area: Box, hidden_height: float) -> None:
        bar = self._side_bar
        bar.blockSignals(True)
        bar.setGeometry(self.width() - 12, int(area.y), 10, int(area.height))
        bar.setRange(0, max(0, round(hidden_height)))
        bar.setPageStep(int(area.height))
        bar.setSingleStep(40)
        bar.setVisible(hidden_height > 0.5)
        bar.blockSignals(False)

    def _scrolled_vertically(self, _: int) -> None:
        self._lay_out()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Scroll vertically if the rows do not fit; horizontally with Shift or a horizontal wheel."""
        delta, across = event.angleDelta().y(), bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if self._side_bar.isHidden() or across or not delta:
            super().wheelEvent(event)
        else:
            self._side_bar.setValue(self._side_bar.value() - delta)

    def _scroll_to(self, cell: CellRef) -> None:
        super()._scroll_to(cell)
        if cell.model_index < len(self._rows) and not self._side_bar.isHidden():
            row, bar = self._rows[cell.model_index], self._side_bar
            top, end = self._top + UNDER_TABS, self.height() - READOUT_HEIGHT
            up, down = row.name.y - top, row.bottom - end
            if up < 0 or down > 0:
                bar.setValue(bar.value() + round(up if up < 0 else min(up, down)))

    # --- painting

    def _painter_of(self, painter: QPainter, shown: StripModel) -> StripPainter:
        kind = DifferencePainter if isinstance(shown, DifferenceStripModel) else StripPainter
        return kind(painter, current_theme(), shown)

    def _paint_waiting(self, painter: QPainter) -> None:
        if self.start.isHidden():
            super()._paint_waiting(painter)

    def _paint_static(self, ratio: float) -> QPixmap:
        pixmap = super()._paint_static(ratio)
        if self._difference is not None and self._rows:
            with QPainter(pixmap) as painter:
                below = QRectF(0, self.height() - READOUT_HEIGHT, self.width(), READOUT_HEIGHT)
                painter.fillRect(below, QColor(current_theme().background))  # over rows that do not fit
                painter.setClipRect(QRectF(0, TOP, self.width(), self._strips_bottom - TOP))
                self._paint_names(painter, self._difference)
        return pixmap

    def _paint_names(self, painter: QPainter, difference: ModelDifference) -> None:
        """Write each model's name beside its letter, and a sentence beside that of the difference."""
        face, metrics = cached_font(SMALL_PX + 1)
        painter.setFont(face)
        painter.setPen(QColor(current_theme().secondary_text))
        labels = (*self._names, difference_text(difference))
        for at, (row, label) in enumerate(zip(self._rows, labels, strict=True)):
            if not self._row_toggles.shows(at):
                continue  # the row is scrolled out of view
            x = self._row_toggles.right(at) + 8
            room = row.name.right - x - (self._buttons.width() + 12 if at == 0 else 0)
            text = metrics.elidedText(label, Qt.TextElideMode.ElideRight, room)
            painter.drawText(QRectF(x, row.name.y, room, 18), Qt.AlignmentFlag.AlignVCenter, text)
        if mismatch := mismatch_text(difference):
            self._paint_mismatch(painter, mismatch)

    def _paint_mismatch(self, painter: QPainter, text: str) -> None:
        """Write where the networks do not match beside the last column of the difference."""
        strip = self._strips[2].layout if len(self._strips) > 2 else None
        if strip is None or self._rows[2].folded:
            return
        left = max((column.right for column in strip.columns), default=strip.area.x - 24) + 24 - self._bar.value()
        room = self.width() - MARGIN - left
        painter.setFont(font(SMALL_PX))
        painter.setPen(QColor(current_theme().secondary_text))
        painter.drawText(
            QRectF(left, strip.area.y, min(room, 420.0), strip.area.height),
            Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap,
            text,
        )

    def _paint_selection(self, painter: QPainter) -> None:
        """Paint the selected value with its receptive field, and the same value in the other rows."""
        super()._paint_selection(painter)
        cell, _ = self._selected_cell()
        if cell is None or self._weight is not None or self._difference is None:
            return
        for at, shown in enumerate(self._strips):
            column = shown.layout.column_of(cell.layer) if shown.layout else None
            if column is None or cell.channel not in column.maps or at == cell.model_index:
                continue
            if cell.layer in self._difference.layers:
                painter.save()
                painter.setRenderHint(QPainter.RenderHint.Antialiasing)
                painter.setBrush(Qt.BrushStyle.NoBrush)
                row, col = range(cell.row, cell.row + 1), range(cell.column, cell.column + 1)
                paint_ring(painter, column.outline(cell.channel, row, col), current_theme())
                painter.restore()

    # --- selection

    def selected_summary(self) -> CellSummary | None:
        """The selected value of both networks, and the difference."""
        if self._difference is None:
            return None
        if self._weight is not None:
            return weight_difference_summary(self._difference, *self._weight)
        cell, _ = self._selected_cell()
        return None if cell is None else difference_summary(self._difference, cell)

    def _hover(self, cell: CellRef | None, weight: WeightRef | None = None) -> None:
        """Hover a value; one of the difference counts as the first network's."""
        if cell is not None and cell.model_index == 2:
            cell = replace(cell, model_index=0)
        if weight is not None and weight[0] == 2:
            weight = (0, *weight[1:])
        super()._hover(cell, weight)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Select the same value of the first network with A, of the second with B."""
        at = {Qt.Key.Key_A: 0, Qt.Key.Key_B: 1}.get(Qt.Key(event.key()))
        if at is None or not self._strips:
            super().keyPressEvent(event)
            return
        network, cell = self._strips[at].prediction.model.network, self._selected_cell()[0] or CellRef(0, 0)
        found = replace(cell, model_index=at)
        self._hover(found if has_cell(network, found) else CellRef(0, 0, model_index=at))
        self._scroll_to(self._hovered or found)

    # --- buttons

    def _make_buttons(self) -> QWidget:
        box = QWidget(self)
        row = QHBoxLayout(box)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        self.swap_button = self._button(self.tr("Swap"), self.tr("Swap the two networks"), self._swap)
        self.stop_button = self._button(
            self.tr("Stop comparing"), self.tr("Keep only the first network"), self._stop
        )
        for button in (self.swap_button, self.stop_button):
            row.addWidget(button)
        return box

    def _button(self, text: str, tip: str, slot: Callable[[], object]) -> QPushButton:
        return CompactButton(text, tip, slot, self, (1, 8), small=True)

    def _swap(self) -> None:
        self.commanded.emit(SwapModels())

    def _stop(self) -> None:
        self.commanded.emit(StopComparing())


class CompareStart(QWidget):
    """The ways to start a comparison. commanded(command): a button was clicked."""

    commanded = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.buttons: list[QPushButton] = []
        self._commands: list[Command] = []  # of the buttons
        self._group = QButtonGroup(self)
        self._group.idClicked.connect(self._clicked)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        title = QLabel(self.tr("Compare two networks on your drawing"), self)
        title.setFont(font(LARGE_PX, strong=True))
        text = QLabel(
            self.tr(
                "The feature maps of both networks are shown one below the other, and under them the difference of "
                "every value. Compare with another network, or with a copy of these weights, and resume "
                "training: you see what the training changes."
            ),
            self,
        )
        text.setWordWrap(True)
        for label in (title, text):
            column.addWidget(label)
        column.addLayout(self._row(self.tr("Compare with"), [
            (known.title, self.tr("Run the {0} network on the drawing as well").format(known.title),
             CompareWithPreset(known.name)) for known in PRESETS.values()
        ] + [(self.tr("A model file…"), self.tr("Run the network of a file on the drawing as well"),
              CompareWithFile())]))  # fmt: skip
        tip = self.tr("Keep a copy of the weights shown, and see what further training changes")
        column.addLayout(
            self._row(self.tr("or a copy of"), [(self.tr("These weights"), tip, CompareWithCurrent())])
        )
        column.addSpacing(10)
        column.addWidget(EmptyLabel("", "compare", self), 1)

    def _row(self, title: str, choices: list[tuple[str, str, Command]]) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(6)
        label = QLabel(title, self)
        label.setMinimumWidth(94)
        row.addWidget(label)
        for text, tip, command in choices:
            button = QPushButton(text, self)
            button.setToolTip(tip)
            button.setStatusTip(tip)
            button.setAccessibleName(f"{title} {text}")
            row.addWidget(button)
            self._group.addButton(button, len(self.buttons))
            self.buttons.append(button)
            self._commands.append(command)
        row.addStretch()
        return row

    def _clicked(self, at: int) -> None:
        self.commanded.emit(self._commands[at])
