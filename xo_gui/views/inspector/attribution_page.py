"""Attribution page: the inspector page with a heat map of the pixels that change the predicted class."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QProgressBar, QPushButton, QVBoxLayout, QWidget

from engine.backends import HostArray
from engine.explain import (
    SLOW_KINDS,
    VALUE_KINDS,
    Counterfactual,
    Explanation,
    ExplanationKind,
    ExplanationQuery,
    cell_index,
)
from engine.nn import Prediction
from xo_gui.state import CellRef
from xo_gui.views.inspector.sheet import Sheet, SheetScrollArea
from xo_gui.views.inspector.sheet_blocks import Heading, HeatMap, Paragraph, SheetBlock, TextLine, TextLines
from xo_gui.views.inspector.value_text import TIMES
from xo_gui.views.network import cell_summary, rounded_limit
from xo_gui.widgets import WrappingRow, operands, percent_text, short_text, vote_text


class AttributionPage(QWidget):
    """Chooses a method and a class, and shows the heat map.

    Signals: query_changed(); draw_requested(image, text), an image (H, W) for the canvas and the undo text.
    """

    query_changed = Signal()
    draw_requested = Signal(object, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._classes: tuple[str, ...] = ()
        self._pinned: CellRef | None = None
        self._stopped_query: ExplanationQuery | None = None
        self._query: ExplanationQuery | None = None
        self.method_box, self.target_box = QComboBox(self), QComboBox(self)
        self.method_box.setAccessibleName(self.tr("Method"))
        self.method_box.setToolTip(self.tr("How to find what in the drawing changes the predicted class"))
        self.target_box.setAccessibleName(self.tr("Class"))
        self.target_box.setToolTip(self.tr("The class whose score is explained, or the pinned value"))
        for kind, (name, _) in self._methods().items():
            self.method_box.addItem(name, kind)
        self.method_box.currentIndexChanged.connect(self._settings_changed)
        self.target_box.currentIndexChanged.connect(self._settings_changed)
        self.stop_button = QPushButton(self.tr("Stop"), self)
        self.stop_button.setToolTip(self.tr("Stop; choose a method to start again"))
        self.stop_button.clicked.connect(self._stop)
        self.progress_bar = QProgressBar(self)
        self.progress_bar.setRange(0, 100)
        self.progress_bar.setAccessibleName(self.tr("Progress"))
        self.draw_button = QPushButton(self.tr("Put it on the canvas"), self)
        self.draw_button.setToolTip(
            self.tr("Replace the drawing with the changed one and see the predicted class change")
        )
        self.draw_button.clicked.connect(self._draw_counterfactual)
        self._counterfactual: HostArray | None = None
        self.sheet = Sheet(self)
        choices = WrappingRow((self.method_box, self.target_box), self)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addSpacing(4)
        column.addWidget(choices)
        column.addWidget(SheetScrollArea(self.sheet))
        feet = (self.progress_bar, self.stop_button, self.draw_button)
        column.addWidget(WrappingRow(feet, self))
        for widget in feet:
            widget.hide()

    def _methods(self) -> dict[ExplanationKind, tuple[str, str]]:
        """The name and the explanation of every method."""
        return {
            "gradient": (
                self.tr("Gradient"),
                self.tr("How the score changes if a pixel gets brighter: green raises it, violet lowers it."),
            ),
            "gradient_times_input": (
                self.tr("Gradient × input"),
                self.tr("The contribution of each pixel to the score: its value times its gradient."),
            ),
            "grad_cam": (
                self.tr("Grad-CAM"),
                self.tr("Where the last feature maps support the class, enlarged to the size of the drawing."),
            ),
            "occlusion": (
                self.tr("Occlusion"),
                self.tr("A patch of background slides over the drawing: green where covering lowers the score."),
            ),
            "flip": (
                self.tr("Smallest change"),
                self.tr(
                    "The smallest change found with which the network predicts another class, past its threshold."
                ),
            ),
        }

    def _value_texts(self) -> dict[ExplanationKind, str]:
        """The explanation of the methods that explain a pinned value."""
        return {
            "gradient": self.tr(
                "How the value changes if a pixel gets brighter: green raises it, violet lowers it."
            ),
            "gradient_times_input": self.tr(
                "The contribution of each pixel to the value: the pixel's own value times its gradient."
            ),
        }

    def query(self, prediction: Prediction, model: int, pinned: CellRef | None) -> ExplanationQuery | None:
        """The attribution query; None after Stop. pinned: a value of the prediction, which is explained unless a
        class is chosen, where the method can."""
        self._set_classes(prediction.model.network.classes)
        target, kind = self.target_box.currentData(), self.method_box.currentData()
        self._pinned = pinned if kind in VALUE_KINDS and target is None else None
        self.target_box.setItemText(0, self.tr("predicted") if self._pinned is None else self.tr("pinned"))
        if self._pinned is not None:
            cell = self._pinned
            place = cell_index(prediction.model.network, cell.layer, cell.channel, cell.row, cell.column)
            self._query = ExplanationQuery(kind, model, cell.layer, place)
        else:
            self._query = ExplanationQuery(kind, model, target=target if kind != "flip" else None)
        return None if self._query == self._stopped_query else self._query

    def set_result(self, prediction: Prediction, result: Explanation | None, fit: bool = False) -> None:
        """Show the result known so far. fit: whether the network sees the drawing fitted to the frame, unlike the
        canvas."""
        kind: ExplanationKind = self.method_box.currentData()
        self.target_box.setEnabled(kind != "flip")
        explanation = self._methods()[kind][1] if self._pinned is None else self._value_texts()[kind]
        blocks: list[SheetBlock] = [Heading(self._heading(prediction, kind)), Paragraph(explanation)]
        busy = result is not None and result.progress < 1
        if result is not None and result.message:
            blocks.append(Paragraph(result.message))
        elif result is not None and result.map is not None:
            if fit:
                note = self.tr(
                    "It is not shown over the canvas, because the network sees the drawing fitted to the frame."
                )
                blocks.append(Paragraph(note))
            blocks += self._heat_map_blocks(prediction, result)
        elif self._query is not None and self._query == self._stopped_query:
            blocks.append(Paragraph(self.tr("Stopped. Choose a method to start again.")))
        elif kind in SLOW_KINDS:
            blocks.append(Paragraph(self.tr("Starts when you stop drawing.")))
        self.progress_bar.setVisible(busy)
        self.stop_button.setVisible(busy)
        if busy and result is not None:
            self.progress_bar.setValue(round(100 * result.progress))
        found = result.counterfactual if result is not None and not busy else None
        self._counterfactual = found.picture if found is not None and found.new_class is not None else None
        self.draw_button.setVisible(self._counterfactual is not None)
        self.sheet.set_blocks(blocks, False)

    def _heading(self, prediction: Prediction, kind: ExplanationKind) -> str:
        """What the map is of: the pinned value, or a score."""
        if self._pinned is not None:
            return self.tr("of the pinned value {0}").format(cell_summary(prediction, self._pinned).place)
        if kind == "flip":
            return self.tr("of the predicted class")
        target = self.target_box.currentData()
        top = int(prediction.votes.argmax()) if target is None else target
        return self.tr("of the score of {0}").format(prediction.model.network.classes[top])

    def _heat_map_blocks(self, prediction: Prediction, result: Explanation) -> list[SheetBlock]:
        assert result.map is not None
        name = prediction.model.network.classes[result.target]
        known = np.nan_to_num(result.map)
        title = self.tr("for {0}").format(name) if not result.query.cell else self.tr("for the pinned value")
        if result.query.kind == "flip":
            title = self.tr("changed pixels")
        done = result.progress >= 1 and result.query.kind == "flip"
        text = self._counterfactual_blocks(prediction, result) if done else []
        return [*text, HeatMap(title, known, rounded_limit(float(np.abs(known).max())))]

    def _counterfactual_blocks(self, prediction: Prediction, result: Explanation) -> list[SheetBlock]:
        found, model = result.counterfactual, prediction.model
        assert found is not None
        before, after = (model.network.classes[at] for at in (result.target, found.target))
        vote = vote_text(model.network, found.vote)
        if found.new_class is not None:
            text = self.tr("With this change added, the network predicts {0} ({2}) instead of {1}.")
        elif found.target == result.target or not found.change.any():
            return [Paragraph(self.tr("No change of the pixels was found that changes the predicted class."))]
        elif model.threshold is not None and model.network.vote == "softmax":
            text = self.tr(
                "No change was found with which the network predicts another class than {1}: {0} came to {2}, and "
                "needs {3}."
            )
        else:
            text = self.tr(
                "No change was found with which the network predicts another class than {1}: {0} came to {2}."
            )
        needed = percent_text(model.threshold or 0.0)
        return [Paragraph(text.format(after, before, vote, needed)), TextLines(self._distance_lines(found))]

    def _distance_lines(self, found: Counterfactual) -> tuple[TextLine, ...]:
        """The size of the change, beside that of the shortest one to the decision boundary."""
        name, largest = self.tr("distance (L2 norm)"), short_text(float(np.abs(found.change).max()))
        last = TextLine(self.tr("largest change of one pixel"), largest)
        if found.boundary_distance <= 0:
            return TextLine(name, short_text(found.distance)), last
        times = f"{found.distance / found.boundary_distance:.2f}"
        shown = operands(
            (found.distance, found.boundary_distance),
            lambda numbers: numbers[0] / numbers[1],
            lambda ratio: f"{ratio:.2f}",
            times,
            short_text,
        )
        return (
            TextLine(name, shown.texts[0]),
            TextLine(self.tr("to the decision boundary (equal votes)"), shown.texts[1]),
            TextLine(self.tr("as many times that"), f"{TIMES} {shown.result(times)}"),
            last,
        )

    def _set_classes(self, classes: tuple[str, ...]) -> None:
        if classes == self._classes:
            return
        self._classes = classes
        before = self.target_box.blockSignals(True)
        self.target_box.clear()
        self.target_box.addItem(self.tr("predicted"), None)
        for at, name in enumerate(classes):
            self.target_box.addItem(name, at)
        self.target_box.blockSignals(before)

    def _settings_changed(self) -> None:
        self._stopped_query = None
        self.query_changed.emit()

    def _stop(self) -> None:
        self._stopped_query = self._query
        self.query_changed.emit()

    def _draw_counterfactual(self) -> None:
        if self._counterfactual is not None:
            self.draw_requested.emit(self._counterfactual, self.tr("Smallest change"))
