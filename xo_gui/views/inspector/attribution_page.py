"""Gradient page: the inspector's page on what changes the verdict, as a picture of the drawing."""

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
    """changed(): another question is to be asked; drawn(picture, text): this changed drawing is
    wanted on the canvas; `text` names the change."""

    changed = Signal()
    drawn = Signal(object, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._classes: tuple[str, ...] = ()
        self._stopped: Question | None = None
        self._asked: Question | None = None
        self.method, self.target = QComboBox(self), QComboBox(self)
        self.method.setAccessibleName(self.tr("Method"))
        self.method.setToolTip(self.tr("How to find out what changes the verdict"))
        self.target.setAccessibleName(self.tr("Class"))
        self.target.setToolTip(self.tr("The class whose score is explained"))
        for kind, (name, _) in self._methods().items():
            self.method.addItem(name, kind)
        self.method.currentIndexChanged.connect(self._restart)
        self.target.currentIndexChanged.connect(self._restart)
        self.stop_button = QPushButton(self.tr("Stop"), self)
        self.stop_button.setToolTip(self.tr("Give this up; choose a method to begin anew"))
        self.stop_button.clicked.connect(self._stop)
        self.progress = QProgressBar(self)
        self.progress.setRange(0, 100)
        self.progress.setAccessibleName(self.tr("How much is done"))
        self.put_button = QPushButton(self.tr("Put it on the canvas"), self)
        self.put_button.setToolTip(self.tr("Make the changed drawing the drawing, and see the verdict flip"))
        self.put_button.clicked.connect(self._put)
        self._changed_picture: HostArray | None = None
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
        """Every method with its name and what its picture says."""
        return {
            "gradient": (
                self.tr("Gradient"),
                self.tr("How the score moves if a pixel gets brighter: green raises it, violet lowers it."),
            ),
            "gradient_times_input": (
                self.tr("Gradient × input"),
                self.tr("What each pixel is worth to the score as it is now: its value times its gradient."),
            ),
            "grad_cam": (
                self.tr("Grad-CAM"),
                self.tr("Where the last feature maps speak for the class, drawn out over the drawing."),
            ),
            "occlusion": (
                self.tr("Occlusion"),
                self.tr("A patch of background is slid over the drawing: green is where covering it costs score."),
            ),
            "flip": (
                self.tr("Smallest change"),
                self.tr("A change as small as can be found that makes the network read another class."),
            ),
        }

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self.sheet.set_theme(theme)

    def question(self, reading: Reading, subject: int) -> Question | None:
        """What the engine has to be asked; None if that was given up."""
        self._offer(reading.subject.network.classes)
        target = self.target.currentData()
        kind = self.method.currentData()
        self._asked = Question(kind, subject, target=target if kind != "flip" else None)
        return None if self._asked == self._stopped else self._asked

    def show_answer(self, reading: Reading, answer: Answer | None, fit: bool = False) -> None:
        """Show what is known so far. fit: whether the drawing is fitted to the frame, and so is another than the
        canvas shows."""
        kind: Kind = self.method.currentData()
        self.target.setEnabled(kind != "flip")
        blocks: list[Block] = [Note(self._methods()[kind][1])]
        busy = answer is not None and answer.progress < 1
        if answer is not None and answer.words:
            blocks.append(Note(answer.words))
        elif answer is not None and answer.map is not None:
            if fit:
                note = self.tr(
                    "It is not laid over the canvas, for the network sees the drawing fitted to the frame."
                )
                blocks.append(Note(note))
            blocks += self._picture(reading, answer)
        elif self._asked is not None and self._asked == self._stopped:
            blocks.append(Note(self.tr("Stopped. Choose a method to begin anew.")))
        elif kind in SLOW:
            blocks.append(Note(self.tr("Begins when the pen rests.")))
        self.progress.setVisible(busy)
        self.stop_button.setVisible(busy)
        if busy and answer is not None:
            self.progress.setValue(round(100 * answer.progress))
        self._changed_picture = None
        if answer is not None and answer.becomes is not None and answer.map is not None:
            self._changed_picture = (reading.outputs[0][0] + answer.map).astype(np.float32).clip(-1, 1)
        self.put_button.setVisible(self._changed_picture is not None)
        self.sheet.show_blocks(blocks, False)

    def _picture(self, reading: Reading, answer: Answer) -> list[Block]:
        assert answer.map is not None
        name = reading.subject.network.classes[answer.target]
        known = np.nan_to_num(answer.map)
        title = self.tr("for {0}").format(name)
        if answer.question.kind == "flip":
            title = self.tr("what is changed")
        done = answer.progress >= 1 and answer.question.kind == "flip"
        said = self._flipped(reading, answer) if done else []
        return [*said, Picture(title, known, calm(float(np.abs(known).max())))]

    def _flipped(self, reading: Reading, answer: Answer) -> list[Block]:
        if answer.becomes is None:
            return [Note(self.tr("No change of the pixels was found that makes it another class."))]
        assert answer.map is not None
        before, after = (reading.subject.network.classes[at] for at in (answer.target, answer.becomes))
        said = self.tr("With this added, the network reads {0} instead of {1}.").format(after, before)
        distance = Line(self.tr("distance"), short(answer.distance))
        return [
            Note(said),
            Lines((distance, Line(self.tr("most in one pixel"), short(float(np.abs(answer.map).max()))))),
        ]

    def _offer(self, classes: tuple[str, ...]) -> None:
        """The classes to choose from."""
        if classes == self._classes:
            return
        self._classes = classes
        before = self.target.blockSignals(True)
        self.target.clear()
        self.target.addItem(self.tr("winner"), None)
        for at, name in enumerate(classes):
            self.target.addItem(name, at)
        self.target.blockSignals(before)

    def _restart(self) -> None:
        self._stopped = None
        self.changed.emit()

    def _stop(self) -> None:
        self._stopped = self._asked
        self.changed.emit()

    def _put(self) -> None:
        if self._changed_picture is not None:
            self.drawn.emit(self._changed_picture, self.tr("Smallest change"))
