"""Strip controls: the quiet row that says how the strip's colours are levelled. It knows no values."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QLabel, QLineEdit, QSlider, QToolButton, QWidget

from engine.nn.network import Network
from xo_gui.app.theme import SMALL_PX, Theme, font
from xo_gui.views.network.colour_limits import Mode
from xo_gui.views.network.layer_labels import has_column, layer_names
from xo_gui.widgets.number_text import number

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


@dataclass(frozen=True)
class Called:
    """A layer (0 is the input), its name in the window, all that it can be called, in small letters, and the
    numbers that mean it."""

    layer: int
    name: str
    words: str
    numbers: frozenset[str]

    def fits(self, word: str) -> bool:
        """Whether a word means this layer, among others."""
        return word in self.numbers if word.isdigit() else word in self.words


def called(network: Network) -> tuple[Called, ...]:
    """Every layer with a place in the strip: how the window calls it ("Features 3"), its kind ("Conv2D") and its
    name in files ("05-conv2d"); its number, and the one in its name."""
    names, kinds = layer_names(network), ("input", *(type(layer).__name__ for layer in network.layers))
    return tuple(
        Called(
            layer,
            name.casefold(),
            f"{name} {kind} {key}".casefold(),
            frozenset((str(layer), *filter(str.isdigit, name.split()))),
        )
        for layer, (name, kind, key) in enumerate(zip(names, kinds, network.names, strict=True))
        if has_column(network, layer)
    )


def found_layers(among: tuple[Called, ...], text: str) -> list[int]:
    """The layers that every word of `text` fits, the one that is called just so first; none for no words."""
    words = text.casefold().split()
    found = [one for one in among if words and all(map(one.fits, words))]
    return [one.layer for one in sorted(found, key=lambda one: one.name != " ".join(words))]


class FindLine(QWidget):
    """found: the match that is to be shown, or None. chosen(): it is another one now. closed(): it is not wanted
    any more, and has given the focus back to what it lies on."""

    chosen = Signal()
    closed = Signal()

    def __init__(self, parent: QWidget, over: QWidget) -> None:
        """over: what it takes the place of meanwhile."""
        super().__init__(parent)
        self._over = over
        self._network: Network | None = None
        self._among: tuple[Called, ...] = ()
        self._names: tuple[str, ...] = ()
        self.found: int | None = None
        self._matches: list[int] = []
        self._at = 0
        self.setAutoFillBackground(True)
        self.line, self.count = QLineEdit(), QLabel()
        self.line.setPlaceholderText(self.tr("Find a layer: features 3, pool, conv2d, 17"))
        self.line.setAccessibleName(self.tr("Find a layer"))
        self.line.setToolTip(
            self.tr("A layer's name, kind or number; Enter for the next, Shift+Enter for the one before")
        )
        self.line.textChanged.connect(self._look)
        self.line.installEventFilter(self)
        self.count.setFont(font(SMALL_PX))
        self.count.setMinimumWidth(self.count.fontMetrics().horizontalAdvance("8888 of 8888"))
        self.count.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.before = self._button("‹", self.tr("The match before"), lambda: self._go(-1))
        self.next = self._button("›", self.tr("The next match"), lambda: self._go(1))
        self.close_button = self._button("×", self.tr("Close the search"), self._end)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.line, 1)
        for widget in (self.count, self.before, self.next, self.close_button):
            row.addWidget(widget)
        self.hide()

    def _button(self, sign: str, name: str, does: object) -> QToolButton:
        button = QToolButton()
        button.setText(sign)
        button.setToolTip(name)
        button.setAccessibleName(name)
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        button.clicked.connect(does)
        return button

    def show_network(self, network: Network) -> None:
        """Search in this one from now on."""
        if network is not self._network:
            self._network, self._among, self._names = network, called(network), layer_names(network)
            self._look()

    def place(self, right: float, bottom: float, room: float) -> None:
        """Lie there, as wide as is needed to read it."""
        wide = round(min(room, 400))
        self.setGeometry(round(right) - wide, round(bottom) - 26, wide, 26)

    def open(self) -> None:
        """Be there, with what was typed last to be typed over."""
        self._over.hide()
        self.show()
        self.raise_()
        self.line.setFocus()
        self.line.selectAll()
        self._look()

    def put_away(self) -> None:
        """There is nothing to search any more."""
        if not self.isHidden():
            self._end()

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self.count.setStyleSheet(f"color: {theme.quiet};")

    def _look(self) -> None:
        """Go to the first match of what is typed."""
        if self.isHidden():
            return
        self._matches, self._at = found_layers(self._among, self.line.text()), 0
        self._tell()

    def _go(self, way: int) -> None:
        if self._matches:
            self._at = (self._at + way) % len(self._matches)
            self._tell()

    def _end(self) -> None:
        self.found = None
        self.hide()
        self._over.show()
        if isinstance(under := self.parent(), QWidget):
            under.setFocus()
        self.closed.emit()

    def _tell(self) -> None:
        self.found = found = self._matches[self._at] if self._matches else None
        for button in (self.before, self.next):
            button.setEnabled(len(self._matches) > 1)
        if found is None:
            self.count.setText(self.tr("none") if self.line.text().strip() else "")
            self.line.setAccessibleDescription(self.count.text())
        else:
            place = number(self._at + 1), number(len(self._matches))
            self.count.setText(self.tr("{0} of {1}").format(*place))
            said = self.tr("{0}, layer {1} of {2}; match {3} of {4}")
            last = len(self._names) - 1
            self.line.setAccessibleDescription(said.format(self._names[found], number(found), number(last), *place))
        self.chosen.emit()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Enter goes on, with Shift back; so do the arrows; Esc closes, wherever in the line the focus is."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            key, shift = event.key(), bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self._go(-1 if shift else 1)
                return True
            if key in (Qt.Key.Key_Down, Qt.Key.Key_Up):
                self._go(1 if key == Qt.Key.Key_Down else -1)
                return True
        return super().eventFilter(watched, event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Esc closes."""
        if event.key() == Qt.Key.Key_Escape:
            self._end()
        else:
            super().keyPressEvent(event)
