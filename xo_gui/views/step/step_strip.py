"""Step strip: the columns of a step taken apart, to be looked at, clicked, and paged through. It plays nothing."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPoint, QPointF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QToolTip, QWidget

from engine.explain.step_trace import Dissection, Place
from engine.nn.layers import shape_text
from xo_gui.app.theme import DARK, SMALL_PX, TITLE_PX, Theme, font
from xo_gui.views.network import column_painting as draw
from xo_gui.views.network.layer_labels import Stage, layer_names, stages_of
from xo_gui.views.step.painting import HEADER, LEAST_TILE, StepColumn, StepPainter, StepPictures, lay_out
from xo_gui.views.step.phases import Beat, reached
from xo_gui.widgets import number_text

_PAD = 8


class StepStrip(QWidget):
    """All columns side by side, wider than its window as a rule. picked(place): a weight was clicked."""

    picked = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._found: Dissection | None = None
        self._pictures: StepPictures | None = None
        self._beat = Beat("forward", 0)
        self._weight: Place | None = None
        self._hovered: Place | None = None
        self._pages: dict[int, int] = {}
        self._most = 64
        self.stages: tuple[Stage, ...] = ()
        self._names: tuple[str, ...] = ()
        self.columns: tuple[StepColumn, ...] = ()
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("The step, layer by layer"))

    # -- what is shown -----------------------------------------------------------------------------------------

    def show_step(self, found: Dissection, most: int) -> None:
        """This step; `most` maps of each layer are known."""
        anew = self._found is None or self._found.network != found.network
        self._found, self._most = found, most
        if anew:
            self.stages, self._names = stages_of(found.network), layer_names(found.network)
            self._pages.clear()
            self._hovered = None
        self._pictures = StepPictures(found, self._theme)
        if anew:
            self._lay_out()
        self.update()

    def show_beat(self, beat: Beat) -> None:
        """As far as this."""
        self._beat = beat
        self.update()

    def show_weight(self, place: Place | None) -> None:
        """Outline this weight, and bring its feature into view."""
        self._weight = place
        for column in self.columns:
            if place is not None and place[0] == self._weight_name(column) and not column.weight_box(place[1], 0):
                self._pages[column.stage.shown] = (
                    place[1][0] if place[1][0] < min(column.stage.count, self._most) else 0
                )
                self._lay_out()
        self.update()

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self._theme = theme
        if self._found is not None and self._found.seen is not None:
            self._pictures = StepPictures(self._found, theme)
        self.update()

    def sizeHint(self) -> QSize:
        """As wide as the columns are."""
        return QSize(int(self.columns[-1].right) + 2 * _PAD if self.columns else 200, self._least)

    def minimumSizeHint(self) -> QSize:
        """As narrow as it is wide, for it is scrolled; two rows of the smallest maps."""
        return QSize(self.sizeHint().width(), self._least)

    @property
    def _least(self) -> int:
        return int(HEADER + 2 * (2 * LEAST_TILE + 20))

    def span(self, column: int) -> tuple[int, int]:
        """From which x to which a column lies."""
        if not self.columns:
            return 0, 0
        found = self.columns[min(column, len(self.columns) - 1)]
        return int(found.x), int(found.right) + 2 * _PAD

    def middle_of(self, place: Place) -> QPoint | None:
        """Where the middle of a weight lies; None if it is not shown."""
        for column in self.columns:
            box = column.weight_box(place[1], 0) if self._weight_name(column) == place[0] else None
            if box is not None:
                return QPoint(round(box.centre[0]) + _PAD, round(box.centre[1]))
        return None

    def rows(self) -> tuple[float, float]:
        """Where the two rows begin, y."""
        return self.columns[0].tops if self.columns else (HEADER, HEADER)

    # -- where it lies -----------------------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Maps as large as there is room for."""
        super().resizeEvent(event)
        if event.size().height() != event.oldSize().height():
            self._lay_out()

    def _lay_out(self) -> None:
        if self._found is None:
            return
        self.columns = lay_out(self.stages, self.height() - 2.0, self._header_width, self._pages, self._most)
        self.updateGeometry()
        self.setMinimumWidth(self.sizeHint().width())
        self.update()

    def _header_width(self, stage: Stage) -> float:
        small, strong = draw.kept_font(SMALL_PX)[1], draw.kept_font(TITLE_PX, True)[1]
        title = self._names[stage.shown]
        return max(strong.horizontalAdvance(title), small.horizontalAdvance(self._widest_line(stage)))

    def _widest_line(self, stage: Stage) -> str:
        return shape_text(stage.shape) if len(stage.shape) == 3 else self.tr("{0} values").format(stage.shape[0])

    def line(self, column: StepColumn) -> str:
        """What stands under a column's title: its shape, or how many more there are."""
        if column.more <= 0 or column.stage.kind == "votes":
            return self._widest_line(column.stage)
        return self.tr("{0}, +{1} more").format(
            number_text.span(range(column.first, column.first + column.shown)), column.more
        )

    def _weight_name(self, column: StepColumn) -> str:
        assert self._found is not None
        return f"{self._found.network.names[column.stage.shown]}.weight"

    # -- painting ----------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        """The columns in view."""
        painter = QPainter(self)
        painter.setFont(font(SMALL_PX))
        painter.fillRect(event.rect(), QColor(self._theme.ground))
        if self._pictures is None or not self.columns:
            return
        painter.translate(_PAD, 0)
        first, last = event.rect().left() - 2 * _PAD, event.rect().right()
        brush = draw.Brush(painter, self._theme, self.devicePixelRatioF())
        step = StepPainter(brush, self._pictures, self._beat)
        for at, column in enumerate(self.columns):
            if column.right > first and column.x < last:
                step.column(column, at, self._names[column.stage.shown], self.line(column))
        step.arrows(self.columns)
        step.mark(self.columns, self._hovered, self._theme.quiet)
        step.mark(self.columns, self._weight, self._theme.text)

    # -- the person --------------------------------------------------------------------------------------------

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Outline the weight under the mouse."""
        place = self._weight_at(event.position())
        hand = place is not None or self._header_at(event.position()) is not None
        self.setCursor(Qt.CursorShape.PointingHandCursor if hand else Qt.CursorShape.ArrowCursor)
        if place != self._hovered:
            self._hovered = place
            self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Look at the weight under the mouse; on a header with more, show the next ones."""
        if event.button() != Qt.MouseButton.LeftButton:
            return
        place, column = self._weight_at(event.position()), self._header_at(event.position())
        if place is not None:
            self.picked.emit(place)
        elif column is not None:
            self._turn(column)

    def leaveEvent(self, event: QEvent) -> None:
        """No weight is under the mouse."""
        self._hovered = None
        self.update()
        super().leaveEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Return shows the next maps of the column the step has come to."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.columns:
            self._turn(self.columns[self._beat.column])
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        """The tooltip says what lies there."""
        if event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), self._tip(QPointF(event.pos())), self)  # type: ignore[attr-defined]
            return True
        return super().event(event)

    def _tip(self, at: QPointF) -> str:
        place = self._weight_at(at)
        if place is not None and self._found is not None and self._found.update is not None:
            value = float(self._found.update.before[place[0]][place[1]])
            return self.tr("{0}: click to see its arithmetic").format(number_text.figures(value))
        if (said := self._value(at.x() - _PAD, at.y())) is not None:
            return said
        return self.tr("Show the next ones") if self._header_at(at) is not None else ""

    def _value(self, x: float, y: float) -> str | None:
        """What the value at a point is, as far as the step has come to it."""
        for number, column in enumerate(self.columns):
            found = column.value_at(x, y)
            if found is None or self._pictures is None:
                continue
            row, place = found
            if not reached(self._beat, "forward" if row == 0 else "backward", number):
                return None
            value = number_text.figures(float(self._pictures.values(column.stage, row)[place]))
            return self.tr("value {0}").format(value) if row == 0 else self.tr("gradient {0}").format(value)
        return None

    def _turn(self, column: StepColumn) -> None:
        if column.more > 0:
            self._pages[column.stage.shown] = column.first + column.shown
            self._lay_out()

    def _weight_at(self, at: QPointF) -> Place | None:
        if self._found is None:
            return None
        for column in self.columns:
            index = column.weight_at(at.x() - _PAD, at.y())
            if index is not None:
                return self._weight_name(column), index
        return None

    def _header_at(self, at: QPointF) -> StepColumn | None:
        if at.y() > HEADER:
            return None
        x = at.x() - _PAD
        return next(
            (c for c in self.columns if c.x <= x < c.right and c.more > 0 and c.stage.kind != "votes"), None
        )
