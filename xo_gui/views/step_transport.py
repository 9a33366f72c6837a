"""Step transport: the row of buttons and the slider that go through a step. It plays nothing itself."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QToolButton, QWidget

from xo_gui.app.theme import SMALL_PX, font
from xo_gui.views.sliders import ThinSlider


class StepTransport(QWidget):
    """Play or pause, next, the four acts, and how far the step has come.

    played: play or pause was asked for; next_asked: one beat on. act_chosen(act): one of the four, from 0.
    slid(at): the person moved to this beat.
    """

    played = Signal()
    next_asked = Signal()
    act_chosen = Signal(int)
    slid = Signal(int)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        tip = self.tr("Go through the step, make it, and go on with the next (Space)")
        self.play_button = self._button("", tip)
        self.play_button.clicked.connect(self.played)
        tip = self.tr("One layer on; after the update, make the step")
        self.next_button = self._button(self.tr("Next"), tip)
        self.next_button.clicked.connect(self.next_asked)
        self._group = QButtonGroup(self)
        self.acts: list[QToolButton] = []
        names = (self.tr("Forward"), self.tr("Error"), self.tr("Backward"), self.tr("Update"))
        tips = (
            self.tr("The values of every layer"),
            self.tr("How far the votes are from what they should be"),
            self.tr("How fast the error rises with every value"),
            self.tr("The change of every weight, before it is made"),
        )
        for at, (name, tip) in enumerate(zip(names, tips, strict=True)):
            button = self._button(name, tip)
            button.setCheckable(True)
            self._group.addButton(button, at)
            self.acts.append(button)
        self._group.idClicked.connect(self.act_chosen)
        self.slider = ThinSlider(self)
        self.slider.setPageStep(1)
        self.slider.setMinimumWidth(70)
        self.slider.setMaximumWidth(220)
        self.slider.setAccessibleName(self.tr("How far the step has come"))
        self.slider.setToolTip(self.tr("Layer by layer through the step"))
        self.slider.valueChanged.connect(self.slid)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(3)
        row.addStretch(1)
        for each in (self.play_button, self.next_button, *self.acts, self.slider):
            row.addWidget(each)
        self.show_playing(False)

    def set_beats(self, count: int) -> None:
        """So many beats are gone through."""
        before = self.slider.blockSignals(True)
        self.slider.setRange(0, count - 1)
        self.slider.blockSignals(before)

    def set_there(self, there: bool) -> None:
        """Whether there is a step to go through."""
        for each in (*self.acts, self.slider, self.play_button):
            each.setEnabled(there)

    def show_beat(self, at: int, act: int) -> None:
        """Where the step is."""
        before = self.slider.blockSignals(True)
        self.slider.setValue(at)
        self.slider.blockSignals(before)
        self.acts[act].setChecked(True)

    def show_playing(self, playing: bool) -> None:
        """What the first button would do."""
        self.play_button.setText("❚❚" if playing else "▶")
        self.play_button.setAccessibleName(self.tr("Pause") if playing else self.tr("Play"))

    def _button(self, text: str, tip: str) -> QToolButton:
        button = QToolButton(self)
        button.setText(text)
        button.setToolTip(tip)
        button.setStatusTip(tip)
        button.setFont(font(SMALL_PX))
        button.setStyleSheet("padding: 4px 7px")
        return button
