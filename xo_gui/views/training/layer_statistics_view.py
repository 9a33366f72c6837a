"""Inside view: how each layer's weights, values and gradients are spread, how fast it learns, and what of it is
dead. It counts nothing itself, and has it counted only while somebody looks."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QHBoxLayout, QLabel, QScrollArea, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from engine.runtime.protocol import Snapshot
from engine.training.layer_statistics import Statistics
from xo_gui.app.theme import DARK, SMALL_PX, Theme, font
from xo_gui.state.commands import LookInside
from xo_gui.views.training.histogram_rows import InsideHead, InsideRows
from xo_gui.views.view import View


class InsideView(View):
    """A row for each layer: weights, values, gradients, and the course of the gradient's size. Hovering, or the
    arrow keys, says the numbers."""

    title = "Inside"
    calm = True

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: Statistics | None = None
        self.rows = InsideRows(self)
        self.rows.said_here.connect(self._say)
        self._make_head()
        self.value = QLabel(self)
        self.value.setFont(font(SMALL_PX))
        self.value.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.value.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._area = area = QScrollArea(self)
        area.setWidget(self.rows)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setStyleSheet("QScrollArea, QScrollArea > QWidget > QWidget { background: transparent; }")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(self._head)
        column.addWidget(self._names)
        column.addWidget(area, 1)
        column.addWidget(self.value)
        self.setFocusProxy(self.rows)
        self.rows.chosen.connect(self._reveal)
        self.set_theme(DARK)
        self._say("")
        self._say_when()

    def sizeHint(self) -> QSize:
        """Three small histograms side by side."""
        return QSize(300, 200)

    # -- what is shown -----------------------------------------------------------------------------------------

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """What was found last, if it was found in the network on the screen."""
        if not snapshot.readings:
            return
        found = None if snapshot.training is None else snapshot.training.statistics
        if found is not None and found.network != snapshot.readings[0].subject.network:
            found = None
        if found is not self._shown:
            self._shown = found
            self.rows.show_statistics(found)
            self._say_when()

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self.rows.set_theme(theme)
        self._names.set_theme(theme)
        self.log_button.setStyleSheet(
            f"QToolButton {{ color: {theme.quiet}; background: transparent; padding: 1px 5px; }}"
            f"QToolButton:checked {{ color: {theme.text}; background: {theme.control}; "
            f"border-color: transparent; }} QToolButton:focus {{ border-color: {theme.o}; }}"
        )

    def _say_when(self) -> None:
        found = self._shown
        rows = found is not None and bool(found.rows)
        said = ""
        if found is not None and rows:
            said = self.tr("step {0} · {1} held-out drawings").format(found.at.step, found.examples)
        self._when.setText(said)
        self._names.setVisible(rows)
        self.log_button.setVisible(rows)
        self.value.setVisible(rows)

    def _say(self, text: str) -> None:
        self.value.setText(text or self.tr("Point at a layer to read its numbers."))

    def _reveal(self, top: int, bottom: int) -> None:
        """Scroll so that the row chosen by keyboard is seen."""
        self._area.ensureVisible(0, (top + bottom) // 2, 0, (bottom - top) // 2)

    # -- whether somebody looks --------------------------------------------------------------------------------

    def set_seen(self, seen: bool) -> None:
        """Have it counted, or no longer."""
        self.wished.emit(LookInside(seen))

    # -- what it is made of ------------------------------------------------------------------------------------

    def _make_head(self) -> None:
        self.log_button = QToolButton(self)
        self.log_button.setText(self.tr("log"))
        self.log_button.setCheckable(True)
        self.log_button.setFont(font(SMALL_PX))
        self.log_button.setAccessibleName(self.tr("Logarithmic counts"))
        tip = self.tr("Heights by the logarithm of the count: rare values can be seen beside frequent ones")
        self.log_button.setToolTip(tip)
        self.log_button.setStatusTip(tip)
        self.log_button.toggled.connect(self.rows.set_log)
        self._when = QLabel(self)
        self._when.setFont(font(SMALL_PX))
        self._when.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self._when.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._head = QHBoxLayout()
        self._head.setSpacing(4)
        self._head.addWidget(self._when, 1)
        self._head.addWidget(self.log_button)
        self._names = InsideHead(self.rows, self)
