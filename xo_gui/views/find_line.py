"""Find line: a line over the network in which a layer's name is typed, and the way from one match to the next. It
moves nothing itself."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QToolButton, QWidget

from engine.nn.network import Network
from xo_gui.app.theme import SMALL_PX, Theme, font
from xo_gui.views.found_layers import Called, called, found_layers
from xo_gui.views.stages import layer_names, number


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
