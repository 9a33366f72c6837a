"""Strip controls: the quiet row that says how the strip's colours are levelled. It knows no values."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QLabel, QSlider, QToolButton, QWidget

from xo_gui.app.theme import SMALL_PX, Theme, font
from xo_gui.views.levels import Mode

MODES: tuple[Mode, ...] = ("shared", "layer", "map")
MOST_GAIN = 16


class StripControls(QWidget):
    """Three buttons for whose largest value sets the colours, and a slider that lifts the faint ones.

    overview: the button that is there while gathered layers are open; gathered: it was clicked.
    """

    changed = Signal()
    gathered = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._labels = [QLabel(self.tr("levels")), QLabel(self.tr("gain"))]
        self._buttons = QButtonGroup(self)
        self.gain_slider = QSlider(Qt.Orientation.Horizontal)
        # Quarters of a doubling: 0 is 1x, 16 is 16x.
        self.gain_slider.setRange(0, 16)
        self.gain_slider.setFixedSize(QSize(72, 18))
        self.gain_slider.setAccessibleName(self.tr("Gain of the colours"))
        self.gain_slider.setToolTip(self.tr("Lift faint values: the colours end at a smaller value, up to 1/16"))
        self.gain_slider.valueChanged.connect(self._tell)
        self._row()
        self._buttons.idClicked.connect(self._tell)

    @property
    def mode(self) -> Mode:
        """Whose largest value sets the levels."""
        return MODES[self._buttons.checkedId()]

    @property
    def gain(self) -> float:
        """By how much faint values are lifted, 1 to MOST_GAIN."""
        return float(MOST_GAIN ** (self.gain_slider.value() / 16))

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours: no boxes, the chosen word is the one in full text colour."""
        self.setStyleSheet(
            f"QLabel {{ color: {theme.quiet}; }}"
            f"QToolButton {{ color: {theme.quiet}; background: transparent; padding: 1px 5px; }}"
            f"QToolButton:hover {{ color: {theme.text}; background: {theme.raised}; }}"
            f"QToolButton:checked {{ color: {theme.text}; background: {theme.control}; "
            f"border-color: transparent; }}"
            f"QToolButton:focus {{ border-color: {theme.o}; }}"
        )

    def _row(self) -> None:
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        names = (self.tr("shared"), self.tr("layer"), self.tr("map"))
        tips = (
            self.tr("A layer and what follows from it share their colours: equal colour is equal value"),
            self.tr("Every layer has colours of its own: its largest value is the strongest"),
            self.tr("Every map has colours of its own: compare places, not maps"),
        )
        self.overview = QToolButton()
        self.overview.setText(self.tr("overview"))
        self.overview.setToolTip(self.tr("Gather the opened layers again, so that the whole network is seen"))
        self.overview.setAccessibleName(self.tr("Overview of the network"))
        self.overview.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.overview.setFont(font(SMALL_PX))
        self.overview.clicked.connect(self.gathered)
        self.overview.hide()
        row.addWidget(self.overview)
        row.addWidget(self._labels[0])
        row.addSpacing(4)
        for at, (name, tip) in enumerate(zip(names, tips, strict=True)):
            button = QToolButton()
            button.setText(name)
            button.setToolTip(tip)
            button.setCheckable(True)
            button.setChecked(at == 0)
            button.setAccessibleName(self.tr("Levels: {0}").format(name))
            button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            button.setFont(font(SMALL_PX))
            self._buttons.addButton(button, at)
            row.addWidget(button)
        row.addSpacing(10)
        row.addWidget(self._labels[1])
        row.addSpacing(4)
        row.addWidget(self.gain_slider)
        for label in self._labels:
            label.setFont(font(SMALL_PX))

    def _tell(self, _: int = 0) -> None:
        self.changed.emit()
