"""Attribution page: the inspector page with a heat map of the pixels that change the predicted class."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from engine.backends.ops import HostArray
from engine.explain.queries import SLOW, Answer, Kind, Question
from engine.nn.inference import Reading
from xo_gui.app.theme import Theme
from xo_gui.views.inspector.sheet import Sheet, SheetArea
from xo_gui.views.inspector.sheet_blocks import Block, Line, Lines, Note, Picture
from xo_gui.views.network.colour_limits import calm
from xo_gui.widgets.number_text import short


class GradientPage(QWidget):
    """Chooses a method and a class, and shows the heat map.

    Signals: query_changed(); draw_requested(image, text), an image (H, W) for the canvas and the undo text.
    """

    changed = Signal()
    drawn = Signal(object, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._classes: tuple[str, ...] = ()
        self._stopped_query: Question | None = None
        self._query: Question | None = None
        self.method, self.target = QComboBox(self), QComboBox(self)
        self.method.setAccessibleName(self.tr("Method"))
        self.method.setToolTip(self.tr("How to find what in the drawing changes the predicted class"))
        self.target.setAccessibleName(self.tr("Class"))
        self.target.setToolTip(self.tr("The class whose score is explained"))
        for kind, (name, _) in self._methods().items():
            self.method.addItem(name, kind)
        self.method.currentIndexChanged.connect(self._settings_changed)
        self.target.currentIndexChanged.connect(self._settings_changed)
        self.stop_button = QPushButton(self.tr("Stop"), self)
        self.stop_button.setToolTip(self.tr("Stop; choose a method to start again"))
        self.stop_button.clicked.connect(self._stop)
        self.progress = QProgressBar(self)
        self.progress.setRange(0, 100)
        self.progress.setAccessibleName(self.tr("Progress"))
        self.put_button = QPushButton(self.tr("Put it on the canvas"), self)
        self.put_button.setToolTip(
            self.tr("Replace the drawing with the changed one and see the predicted class change")
        )
        self.put_button.clicked.connect(self._draw_counterfactual)
        self._counterfactual: HostArray | None = None
        self.sheet = Sheet(self)
        row = QHBoxLayout()
        row.setContentsMargins(0, 6, 0, 2)
        row.addWidget(self.method, 3)
        row.addWidget(self.target, 2)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(row)
        column.addWidget(SheetArea(self.sheet))
        foot = QHBoxLayout()
        for widget in (self.progress, self.stop_button, self.put_button):
            foot.addWidget(widget)
            widget.hide()
        column.addLayout(foot)

    def _methods(self) -> dict[Kind, tuple[str, str]]:
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
                self.tr("The smallest change found that makes the network predict another class."),
            ),
        }

    def set_theme(self, theme: Theme) -> None:
        self.sheet.set_theme(theme)

    def question(self, prediction: Reading, model: int) -> Question | None:
        """The attribution query; None after Stop."""
        self._set_classes(prediction.subject.network.classes)
        target = self.target.currentData()
        kind = self.method.currentData()
        self._query = Question(kind, model, target=target if kind != "flip" else None)
        return None if self._query == self._stopped_query else self._query

    def show_answer(self, prediction: Reading, result: Answer | None, fit: bool = False) -> None:
        """Show the result known so far. fit: whether the network sees the drawing fitted to the frame, unlike the
        canvas."""
        kind: Kind = self.method.currentData()
        self.target.setEnabled(kind != "flip")
        blocks: list[Block] = [Note(self._methods()[kind][1])]
        busy = result is not None and result.progress < 1
        if result is not None and result.words:
            blocks.append(Note(result.words))
        elif result is not None and result.map is not None:
            if fit:
                note = self.tr(
                    "It is not shown over the canvas, because the network sees the drawing fitted to the frame."
                )
                blocks.append(Note(note))
            blocks += self._heat_map_blocks(prediction, result)
        elif self._query is not None and self._query == self._stopped_query:
            blocks.append(Note(self.tr("Stopped. Choose a method to start again.")))
        elif kind in SLOW:
            blocks.append(Note(self.tr("Starts when you stop drawing.")))
        self.progress.setVisible(busy)
        self.stop_button.setVisible(busy)
        if busy and result is not None:
            self.progress.setValue(round(100 * result.progress))
        self._counterfactual = None
        if result is not None and result.becomes is not None and result.map is not None:
            self._counterfactual = (prediction.outputs[0][0] + result.map).astype(np.float32).clip(-1, 1)
        self.put_button.setVisible(self._counterfactual is not None)
        self.sheet.show_blocks(blocks, False)

    def _heat_map_blocks(self, prediction: Reading, result: Answer) -> list[Block]:
        assert result.map is not None
        name = prediction.subject.network.classes[result.target]
        known = np.nan_to_num(result.map)
        title = self.tr("for {0}").format(name)
        if result.question.kind == "flip":
            title = self.tr("changed pixels")
        done = result.progress >= 1 and result.question.kind == "flip"
        text = self._counterfactual_blocks(prediction, result) if done else []
        return [*text, Picture(title, known, calm(float(np.abs(known).max())))]

    def _counterfactual_blocks(self, prediction: Reading, result: Answer) -> list[Block]:
        if result.becomes is None:
            return [Note(self.tr("No change of the pixels was found that changes the predicted class."))]
        assert result.map is not None
        before, after = (prediction.subject.network.classes[at] for at in (result.target, result.becomes))
        text = self.tr("With this change added, the network predicts {0} instead of {1}.").format(after, before)
        distance = Line(self.tr("distance (L2 norm)"), short(result.distance))
        return [
            Note(text),
            Lines((distance, Line(self.tr("largest change of one pixel"), short(float(np.abs(result.map).max()))))),
        ]

    def _set_classes(self, classes: tuple[str, ...]) -> None:
        if classes == self._classes:
            return
        self._classes = classes
        before = self.target.blockSignals(True)
        self.target.clear()
        self.target.addItem(self.tr("predicted"), None)
        for at, name in enumerate(classes):
            self.target.addItem(name, at)
        self.target.blockSignals(before)

    def _settings_changed(self) -> None:
        self._stopped_query = None
        self.changed.emit()

    def _stop(self) -> None:
        self._stopped_query = self._query
        self.changed.emit()

    def _draw_counterfactual(self) -> None:
        if self._counterfactual is not None:
            self.drawn.emit(self._counterfactual, self.tr("Smallest change"))
