"""Strip toolbar: the controls of the strip's colour limits, and the layer search."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QPalette
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QLabel, QLineEdit, QSlider, QToolButton, QWidget

from engine.nn import Network
from xo_gui.app import SMALL_PX, font
from xo_gui.views.network.colour_limits import LimitMode
from xo_gui.views.network.layer_labels import has_column, layer_names
from xo_gui.widgets import HeaderButton, integer_text

LIMIT_MODES: tuple[LimitMode, ...] = ("shared", "layer", "map")
MAX_GAIN = 16
_LINE_PADDING = 8


class StripControls(QWidget):
    """Buttons for how colour limits are shared, and a slider for the gain.

    overview_button: visible while a run is expanded; collapse_requested: it was clicked.
    """

    changed = Signal()
    collapse_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._labels = [QLabel(self.tr("colours")), QLabel(self.tr("gain"))]
        self._buttons = QButtonGroup(self)
        self.gain_slider = QSlider(Qt.Orientation.Horizontal)
        # Four steps double the gain: 0 is 1x, 16 is 16x.
        self.gain_slider.setRange(0, 16)
        self.gain_slider.setFixedSize(QSize(72, 18))
        self.gain_slider.setAccessibleName(self.tr("Gain of the colours"))
        self.gain_slider.setToolTip(
            self.tr("Strengthen faint values: the colours end at a smaller value, up to 1/16")
        )
        self.gain_slider.valueChanged.connect(self._emit_changed)
        self._make_row()
        self._buttons.idClicked.connect(self._emit_changed)

    @property
    def mode(self) -> LimitMode:
        """How colour limits are shared."""
        return LIMIT_MODES[self._buttons.checkedId()]

    @property
    def gain(self) -> float:
        """The factor that strengthens faint values, 1 to MAX_GAIN."""
        return float(MAX_GAIN ** (self.gain_slider.value() / 16))

    def fit_to(self, room: float) -> None:
        """In little room, leave out what says least: the names of the controls, then the slider."""
        for widget in (*self._labels, self.gain_slider):
            widget.show()
        for widget in (self._labels[1], self._labels[0], self.gain_slider):
            if self.sizeHint().width() <= room:
                break
            widget.hide()

    def _make_row(self) -> None:
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        names = (self.tr("shared"), self.tr("layer"), self.tr("map"))
        tips = (
            self.tr("A layer and the ReLU and pooling after it share their colours: equal colour is equal value"),
            self.tr("Every layer has its own colours: its largest value gets the strongest"),
            self.tr("Every map has its own colours: compare places, not maps"),
        )
        tip = self.tr("Collapse the expanded layers, to show the whole network")
        self.overview_button = HeaderButton(self.tr("overview"), tip, self, self.tr("Overview of the network"))
        self.overview_button.clicked.connect(self.collapse_requested)
        self.overview_button.hide()
        row.addWidget(self.overview_button)
        row.addWidget(self._labels[0])
        row.addSpacing(4)
        for at, (name, tip) in enumerate(zip(names, tips, strict=True)):
            button = HeaderButton(name, tip, self, self.tr("Colours: {0}").format(name))
            button.setCheckable(True)
            button.setChecked(at == 0)
            self._buttons.addButton(button, at)
            row.addWidget(button)
        row.addSpacing(10)
        row.addWidget(self._labels[1])
        row.addSpacing(4)
        row.addWidget(self.gain_slider)
        for label in self._labels:
            label.setFont(font(SMALL_PX))
            label.setForegroundRole(QPalette.ColorRole.PlaceholderText)

    def _emit_changed(self, _: int = 0) -> None:
        self.changed.emit()


class LayerSearch(QWidget):
    """The layer search. match: the current match, None if there is none.

    match_changed(): the match has changed. closed(): the search was closed, and the focus is back on the parent.
    """

    match_changed = Signal()
    closed = Signal()

    def __init__(self, parent: QWidget, over: QWidget) -> None:
        """over: the widget that is hidden while the search is open."""
        super().__init__(parent)
        self._hidden_widget = over
        self._network: Network | None = None
        self._entries: tuple[LayerEntry, ...] = ()
        self._names: tuple[str, ...] = ()
        self.match: int | None = None
        self._matches: list[int] = []
        self._at = 0
        self.setAutoFillBackground(True)
        self.line, self.count_label = QLineEdit(), QLabel()
        self.line.setPlaceholderText(self.tr("Find a layer: features 3, pool, conv2d, 17"))
        self.line.setAccessibleName(self.tr("Find a layer"))
        self.line.setToolTip(
            self.tr("A layer's name, kind or number; Enter for the next, Shift+Enter for the previous match")
        )
        self.line.textChanged.connect(self._update_matches)
        self.line.installEventFilter(self)
        self.count_label.setFont(font(SMALL_PX))
        self.count_label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.count_label.setMinimumWidth(self.count_label.fontMetrics().horizontalAdvance("8888 of 8888"))
        self.count_label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.previous_button = self._button("‹", self.tr("Previous match"), lambda: self._go(-1))
        self.next_button = self._button("›", self.tr("Next match"), lambda: self._go(1))
        self.close_button = self._button("×", self.tr("Close the search"), self._close)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.line, 1)
        for widget in (self.count_label, self.previous_button, self.next_button, self.close_button):
            row.addWidget(widget)
        self.hide()

    def _button(self, text: str, name: str, on_click: object) -> QToolButton:
        button = QToolButton()
        button.setText(text)
        button.setToolTip(name)
        button.setAccessibleName(name)
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        button.clicked.connect(on_click)
        return button

    def show_network(self, network: Network) -> None:
        """Search in this network."""
        if network is not self._network:
            self._network, self._entries, self._names = network, layer_entries(network), layer_names(network)
            self._update_matches()

    def sizeHint(self) -> QSize:
        """Wide enough for the hint in the line."""
        hint = self.line.fontMetrics().horizontalAdvance(self.line.placeholderText())
        more = super().sizeHint().width() - self.line.sizeHint().width()
        return QSize(hint + 2 * _LINE_PADDING + more, 26)

    def place_at(self, right: float, bottom: float, room: float) -> None:
        """Set the bottom right corner; `room` limits the width."""
        width = round(min(room, self.sizeHint().width()))
        self.setGeometry(round(right) - width, round(bottom) - 26, width, 26)

    def open(self) -> None:
        """Open the search with the last text selected."""
        self._hidden_widget.hide()
        self.show()
        self.raise_()
        self.line.setFocus()
        self.line.selectAll()
        self._update_matches()

    def dismiss(self) -> None:
        """Close the search if it is open."""
        if not self.isHidden():
            self._close()

    def _update_matches(self) -> None:
        """Find the matches of the text, and go to the first."""
        if self.isHidden():
            return
        self._matches, self._at = find_layers(self._entries, self.line.text()), 0
        self._show_match()

    def _go(self, offset: int) -> None:
        if self._matches:
            self._at = (self._at + offset) % len(self._matches)
            self._show_match()

    def _close(self) -> None:
        self.match = None
        self.hide()
        self._hidden_widget.show()
        if isinstance(under := self.parent(), QWidget):
            under.setFocus()
        self.closed.emit()

    def _show_match(self) -> None:
        self.match = found = self._matches[self._at] if self._matches else None
        for button in (self.previous_button, self.next_button):
            button.setEnabled(len(self._matches) > 1)
        if found is None:
            self.count_label.setText(self.tr("none") if self.line.text().strip() else "")
            self.line.setAccessibleDescription(self.count_label.text())
        else:
            position = integer_text(self._at + 1), integer_text(len(self._matches))
            self.count_label.setText(self.tr("{0} of {1}").format(*position))
            text = self.tr("{0}, layer {1} of {2}; match {3} of {4}")
            place = integer_text(found), integer_text(len(self._names) - 1)
            self.line.setAccessibleDescription(text.format(self._names[found], *place, *position))
        self.match_changed.emit()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Go to the next or previous match by Enter, Shift+Enter and the arrow keys."""
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
        if event.key() == Qt.Key.Key_Escape:
            self._close()
        else:
            super().keyPressEvent(event)


@dataclass(frozen=True)
class LayerEntry:
    """A layer in the search index.

    layer: 0 is the input. name: as displayed. search_text: all its names. numbers: that match it. All text is in
    lower case.
    """

    layer: int
    name: str
    search_text: str
    numbers: frozenset[str]

    def matches(self, word: str) -> bool:
        """Whether a search word matches this layer."""
        return word in self.numbers if word.isdigit() else word in self.search_text


def layer_entries(network: Network) -> tuple[LayerEntry, ...]:
    """The search index of all layers with a column: by displayed name ("Features 3"), kind ("Conv2D"), name in
    files ("conv2d-2"), number, and the number in its name."""
    names, kinds = layer_names(network), ("input", *(type(layer).__name__ for layer in network.layers))
    return tuple(
        LayerEntry(
            layer,
            name.casefold(),
            f"{name} {kind} {key}".casefold(),
            frozenset((str(layer), *filter(str.isdigit, name.split()))),
        )
        for layer, (name, kind, key) in enumerate(zip(names, kinds, network.names, strict=True))
        if has_column(network, layer)
    )


def find_layers(entries: tuple[LayerEntry, ...], text: str) -> list[int]:
    """The layers that match every word of `text`, exact names first; none without words."""
    words = text.casefold().split()
    matches = [entry for entry in entries if words and all(map(entry.matches, words))]
    return [entry.layer for entry in sorted(matches, key=lambda entry: entry.name != " ".join(words))]
