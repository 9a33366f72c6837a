"""Layer strip widget: shows the values of every layer as strips of columns, one strip for each prediction.

It is the base of the network view and the compare view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QObject, QRect, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QScrollBar, QWidget

from engine.nn.inference import Reading, Wanted
from engine.nn.network import Network
from engine.runtime.protocol import Snapshot
from xo_gui.app.theme import DARK, TEXT_PX, Theme, font
from xo_gui.state.commands import Intent
from xo_gui.state.selection import Cell, Focus
from xo_gui.views.network.colour_limits import Pace
from xo_gui.views.network.dead_features import DeadMarks
from xo_gui.views.network.folding import Folds, leads, way_at
from xo_gui.views.network.layer_labels import foldable
from xo_gui.views.network.layout import Box, Column, Strip
from xo_gui.views.network.map_zoom import LargeMap
from xo_gui.views.network.strip_painting import (
    ABOVE,
    BELOW,
    Header,
    StripPainter,
    hint,
    paint_looked,
    paint_readout,
    summary,
)
from xo_gui.views.network.strip_state import ShownStrip
from xo_gui.views.network.toolbar import FindLine, StripControls
from xo_gui.views.network.trace import is_in
from xo_gui.views.network.value_text import Readout, say_cell, say_weight
from xo_gui.views.view import View

# A weight: the model, the layer, and its (feature, channel, row, column).
Weight = tuple[int, int, tuple[int, int, int, int]]

MARGIN, TOP, UNDER_TABS, READOUT_HEIGHT = 16.0, 28.0, 6.0, 24.0
# Update intervals of times and descriptions, slow enough to be read; longer while training runs, because painting
# slows it down.
CALM_MS, CALMER_MS = 700, 2000


class StripsPanel(View):
    """Shows every layer as a column of tiles, from the input to the votes, of one or more models."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._strips: list[ShownStrip] = []
        self._networks: list[Network] = []
        self._generation = -1
        self._folds = Folds()
        self._looked: Cell | None = None
        self._pinned: Cell | None = None
        self._sliding = False
        self._weight: Weight | None = None
        self._header: Header | None = None
        self._pointed = -1.0, -1.0
        self._pressed: tuple[Cell | None, ShownStrip | None] = None, None
        self._by_keyboard = False
        self._still: QPixmap | None = None
        self._pace = Pace()
        self._live = False
        self._dead = DeadMarks(self, self._first_strip)
        self._in_view = InView(self)
        self._in_view.changed.connect(self.viewed)
        self._controls = StripControls(self)
        self._controls.changed.connect(self._apply_limits)
        self._controls.gathered.connect(self._folds.gather)
        self._controls.gathered.connect(self._lay_out)
        self._find = FindLine(self, self._controls)
        self._find.closed.connect(self._lay_out)
        self._large = LargeMap(self, self._marked, lambda: self._pressed, self._map_area)
        self._bar = StripScroll(MARGIN, self)
        self._bar.valueChanged.connect(self._scrolled)
        self._calm = QTimer(self, singleShot=True, interval=CALM_MS)
        self._calm.timeout.connect(self._say_calmly)
        # The cached pixmap covers the widget, so that no background needs painting.
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Network"))
        self.set_theme(DARK)

    def sizeHint(self) -> QSize:
        return QSize(1000, 690)

    def minimumSizeHint(self) -> QSize:
        return QSize(420, 300)

    # --- what is shown

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Show the predictions of a snapshot; keep the last image if it has none."""
        readings = self._shown(snapshot)
        if not readings:
            return
        replaced = snapshot.generation != self._generation
        adapt = replaced or (snapshot.settled and not self._pace.holds(snapshot.training))
        self._generation = snapshot.generation
        if self._networks != [reading.subject.network for reading in readings]:
            self._networks = [reading.subject.network for reading in readings]
            self._reset_strips(readings)
        elif self._take(readings, adapt, replaced):
            self._still = None
        if not self._calm.isActive():
            running = snapshot.training is not None and snapshot.training.state == "running"
            self._calm.start(CALMER_MS if running else CALM_MS)
        self._dead.take(snapshot.training, snapshot.readings[0].subject.network, self._live)
        self._large.follow()
        self.update(self._map_area())

    def _shown(self, snapshot: Snapshot) -> tuple[Reading, ...]:
        """The predictions that get a strip."""
        return snapshot.readings[:1]

    def _made(self, readings: Sequence[Reading]) -> list[ShownStrip]:
        """Create the strips for predictions of other networks."""
        return [ShownStrip(reading) for reading in readings]

    def _take(self, readings: Sequence[Reading], adapt: bool, replaced: bool) -> bool:
        """Show other values of the same networks; returns whether a legend has changed."""
        changed = [
            strip.take(reading, adapt, replaced) for strip, reading in zip(self._strips, readings, strict=True)
        ]
        return any(changed)

    def show_intent(self, settings: Intent) -> None:
        self._live = settings.live

    def _map_area(self) -> QRect:
        """The area that changes with the values: all below the row of tabs and controls."""
        return QRect(0, int(self._top + UNDER_TABS), self.width(), self.height())

    def _first_strip(self) -> tuple[Strip, float] | None:
        layout = self._strips[0].strip if self._strips else None
        return None if layout is None else (layout, self._bar.value())

    def show_focus(self, selection: Focus) -> None:
        if selection != Focus(self._looked, self._pinned, self._sliding):
            pin_changed = selection.pinned != self._pinned
            self._looked, self._pinned, self._sliding = selection.hovered, selection.pinned, selection.sliding
            if pin_changed:
                self._keep_in_view()
            self.update()

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self._controls.set_theme(theme)
        self._find.set_theme(theme)
        self._large.set_theme(theme)
        for strip in self._strips:
            strip.repaint()
        self._still = None
        self.update()

    def readout(self) -> Readout | None:
        """The summary of the selected value or weight for the line at the bottom; None if nothing is selected."""
        if self._weight is not None:
            subject, layer, place = self._weight
            return say_weight(self._strips[subject].reading, layer, place)
        cell, strip = self._marked()
        return None if cell is None or strip is None else say_cell(strip.reading, cell)

    def _reset_strips(self, readings: Sequence[Reading]) -> None:
        """Reset everything for other networks."""
        self._strips = self._made(readings)
        self._folds.clear()
        self._weight = self._header = None
        self._large.put_away()
        self._find.show_network(readings[0].subject.network)
        self._apply_limits()
        self._lay_out()
        self._say_calmly()

    def _apply_limits(self) -> None:
        for strip in self._strips:
            strip.set_levels(self._controls.mode, self._controls.gain)
        self._still = None
        self.update()

    def _say_calmly(self) -> None:
        """Update the texts that change slowly: times, and the description for screen readers."""
        self._still = None
        self.update()
        self.setAccessibleDescription("; ".join(filter(None, (summary(self._strips), self._dead.said()))))

    # --- layout

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._lay_out()
        self._keep_in_view()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.LanguageChange):
            self._lay_out()

    def _lay_out(self) -> None:
        self._controls.overview.setVisible(self._folds.opened is not None)
        self._find.place(self.width() - MARGIN, self._top, self.width() - 2 * MARGIN)
        size = self._controls.sizeHint()
        self._controls.setGeometry(int(self.width() - MARGIN - size.width()), int(self._top) - 22, size.width(), 22)
        width = self.width() - 2 * MARGIN
        top, scroll = self._top + UNDER_TABS, 12 if self._bar.isVisible() else 0
        widest = self._place(Box(MARGIN, top, width, self.height() - top - READOUT_HEIGHT - scroll))
        if self._bar.fit(widest, width, self.height() - READOUT_HEIGHT):
            self._lay_out()
            return
        self._scrolled()

    def _place(self, area: Box) -> float:
        """Lay the strips out in `area`; returns the width of the widest."""
        inner = Box(area.x, round(area.y + ABOVE), area.width, round(area.height - ABOVE - BELOW))
        return max((self._laid(strip, inner).width for strip in self._strips), default=0.0)

    def _laid(self, strip: ShownStrip, area: Box) -> Strip:
        return strip.lay_out(area, self.devicePixelRatioF(), self._folds)

    @property
    def _top(self) -> float:
        """The top of the strips; in a tall panel it lines up with the other panels' titles."""
        return TOP + min(max(self.height() - 700, 0), 4)

    def _scrolled(self) -> None:
        """Update the visible maps after scrolling."""
        self._still = None
        self.update()
        self._in_view.tell(self._strips, self._bar.value(), self._bar.value() + self.width())

    # --- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the cached static parts, then the values, then the marks of the selected cell."""
        ratio = self.devicePixelRatioF()
        if any(strip.strip is None or strip.strip.ratio != ratio for strip in self._strips):
            self._lay_out()
        if self._still is None:
            self._still = self._paint_still(ratio)
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._still)
        painter.save()
        painter.setClipRect(
            QRectF(MARGIN - 3, TOP, self.width() - 2 * MARGIN + 6, self.height() - TOP - READOUT_HEIGHT)
        )
        painter.translate(-self._bar.value(), 0)
        for strip in self._strips:
            self._painter_of(painter, strip).values()
        self._dead.paint(painter, self._theme)
        self._paint_looked(painter)
        painter.restore()
        self._paint_readout(painter)
        painter.end()

    def _painter_of(self, painter: QPainter, strip: ShownStrip) -> StripPainter:
        return StripPainter(painter, self._theme, strip)

    def _paint_still(self, ratio: float) -> QPixmap:
        pixmap = QPixmap(QSize(round(self.width() * ratio), round(self.height() * ratio)))
        pixmap.setDevicePixelRatio(ratio)
        pixmap.fill(QColor(self._theme.ground))
        painter = QPainter(pixmap)
        self._paint_waking(painter)
        painter.setClipRect(QRectF(MARGIN - 3, TOP, self.width() - 2 * MARGIN + 6, self.height()))
        painter.translate(-self._bar.value(), 0)
        for at, strip in enumerate(self._strips):
            pointed = self._header if self._header and self._header.subject == at else None
            self._painter_of(painter, strip).still(pointed, self._find.found)
        painter.end()
        return pixmap

    def _paint_waking(self, painter: QPainter) -> None:
        if not self._strips:
            painter.setPen(QColor(self._theme.quiet))
            painter.setFont(font(TEXT_PX))
            text = self.tr("Loading the network…")
            painter.drawText(QRectF(self.rect()), Qt.AlignmentFlag.AlignCenter, text)

    def _paint_looked(self, painter: QPainter) -> None:
        cell, strip = self._marked()
        if cell is not None and strip is not None and self._weight is None:
            paint_looked(painter, strip, cell, self._theme, self._sliding and cell == self._pinned)

    def _paint_readout(self, painter: QPainter) -> None:
        """Paint the line at the bottom: place, value and receptive field, or a hint."""
        theme = self._theme
        if self.hasFocus() and self._by_keyboard:
            painter.setPen(QPen(QColor(theme.o), 1.0))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1.5, 1.5, -1.5, -1.5), 4, 4)
        line = self.readout() or (Readout(hint(self._strips, self._header), "") if self._strips else None)
        if line is not None:
            paint_readout(painter, theme, line, MARGIN, self.width() - MARGIN, self.height() - 9.0)

    # --- selection

    def _marked(self) -> tuple[Cell | None, ShownStrip | None]:
        """The hovered cell, or else the pinned one, and its strip; None where there is no such cell."""
        for cell in Focus(self._looked, self._pinned, self._sliding).cells:
            if cell.subject < len(self._strips):
                strip = self._strips[cell.subject]
                if is_in(strip.reading.subject.network, cell):
                    return cell, strip
        return None, None

    def _keep_in_view(self) -> None:
        """Keep the pinned cell visible after a resize, or when it was pinned in another panel."""
        if self._pinned is not None and self._marked()[1] is not None and self._pinned.subject < len(self._strips):
            self._scroll_to(self._pinned)

    def _scroll_to(self, cell: Cell) -> None:
        """Make a cell visible: expand its run, turn to its page, scroll."""
        layout = self._strips[cell.subject].strip
        if layout is not None and self._folds.reveal(layout, cell.layer, cell.channel):
            self._lay_out()
        layout = self._strips[cell.subject].strip
        self._bar.show_column(layout.column_of(cell.layer) if layout else None, self.width())


class StripScroll(QScrollBar):
    """The horizontal scroll bar of the strips, hidden if everything fits."""

    def __init__(self, margin: float, parent: QWidget) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._margin = margin
        self.setAccessibleName(self.tr("Scroll the network"))
        self.hide()

    def fit(self, content: float, width: float, bottom: float) -> bool:
        """Set the range for content of this width and place the bar; returns whether it was shown or hidden."""
        needed = content > width + 0.5
        self.setGeometry(int(self._margin), int(bottom - 11), int(width), 10)
        self.setRange(0, max(0, round(content - width)))
        self.setPageStep(int(width))
        self.setSingleStep(40)
        if needed != self.isHidden():
            return False
        self.setVisible(needed)
        return True

    def turn_wheel(self, event: QWheelEvent) -> None:
        """Scroll by a wheel event in either direction."""
        delta = event.angleDelta().x() or event.angleDelta().y()
        if self.isHidden() or not delta:
            event.ignore()
            return
        self.setValue(self.value() - delta)

    def show_column(self, column: Column | None, width: float) -> None:
        """Scroll as little as makes a column visible in `width`, its left edge with priority."""
        if column is not None and not self.isHidden():
            low, high = round(column.right - width + self._margin), round(column.x - self._margin)
            self.setValue(min(max(self.value(), low), high))


class InView(QObject):
    """Tracks which maps are visible. changed(maps): (Network, Wanted) for each model; empty for a hidden widget."""

    changed = Signal(object)

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self._strips: Sequence[ShownStrip] = ()
        self._is_shown = False
        self._last: tuple[tuple[Network, Wanted], ...] = ()
        widget.installEventFilter(self)

    def tell(self, strips: Sequence[ShownStrip], left: float, right: float) -> None:
        """Set the visible span of the strips, from `left` to `right`."""
        self._strips = strips
        for strip in strips:
            strip.look((left, right))
        if self._is_shown:
            self._notify()

    def _notify(self) -> None:
        maps = tuple(
            (strip.reading.subject.network, strip.maps_in_view() if self._is_shown else {})
            for strip in self._strips
        )
        if maps != self._last:
            self._last = maps
            self.changed.emit(maps)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.Show, QEvent.Type.Hide):
            self._is_shown = event.type() == QEvent.Type.Show
            self._notify()
        return super().eventFilter(watched, event)


@dataclass(frozen=True)
class Under:
    """What lies at a point: at most one of a cell, a weight and a clickable header."""

    cell: Cell | None = None
    weight: Weight | None = None
    header: Header | None = None


def under(strips: Sequence[ShownStrip], x: float, y: float) -> Under:
    """Find what lies at a point in strip coordinates."""
    for subject, strip in enumerate(strips):
        column = strip.strip.column_at(x) if strip.strip else None
        if strip.strip is None or column is None:
            continue
        in_header, display = strip.around.header and -ABOVE <= y - strip.strip.area.y < -8, column.stage
        if display.kind == "group":
            is_inside = in_header or column.tile(0).holds(x, y)
            return Under(header=Header(subject, display.shown) if is_inside else None)
        part = way_at(column, column.y - ABOVE, x, y) if strip.around.header else None
        if part is not None and leads(column, part):
            return Under(header=Header(subject, display.shown, part))
        if place := column.find(x, y):
            return Under(cell=Cell(column.stage.shown, *place, subject=subject))
        if weight := column.find_weight(x, y):
            return Under(weight=(subject, column.stage.shown, weight))
        if in_header:
            relu = folding(strip, column)
            return Under(header=None if relu is None else Header(subject, display.shown, folds=relu))
    return Under()


def middle_of(strips: Sequence[ShownStrip], weight: Weight) -> Cell:
    """The centre of the map that the kernel of this weight produces."""
    subject, layer, (feature, *_) = weight
    shape = strips[subject].reading.subject.network.shapes[layer]
    return Cell(layer, feature, shape[1] // 2, shape[2] // 2, subject)


def folding(strip: ShownStrip, column: Column) -> int | None:
    """The layer, such as a ReLU, that a click on this column's header folds or unfolds; None for none."""
    layer = column.stage.layers[-1]
    return layer if layer in foldable(strip.reading.subject.network) else None


def header_of(strip: ShownStrip, cell: Cell) -> Header | None:
    """The header of the column that shows a cell, None if it folds nothing."""
    column = strip.strip.column_of(cell.layer) if strip.strip else None
    relu = folding(strip, column) if column is not None else None
    return None if column is None or relu is None else Header(cell.subject, column.stage.shown, folds=relu)
