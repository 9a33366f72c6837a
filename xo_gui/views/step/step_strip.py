"""Step strip: the widget with the columns of one training step, whose weights can be clicked and maps paged."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPoint, QPointF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QToolTip, QWidget

from engine.explain import ParameterIndex, StepTrace
from engine.nn.layers import shape_text
from xo_gui.app import SMALL_PX, TITLE_PX, current_theme, font, theme_service
from xo_gui.views.network import Brush, DisplayColumn, cached_font, display_columns, layer_names
from xo_gui.views.step.painting import HEADER, MIN_TILE, StepColumn, StepImages, StepPainter, layout_columns
from xo_gui.views.step.phases import PhaseStep, has_reached
from xo_gui.widgets import four_digit_text, range_text

_PAD = 8


class StepStrip(QWidget):
    """All columns side by side, usually wider than the visible area. Signal: weight_clicked(its name and index)."""

    weight_clicked = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        theme_service.changed.connect(self._renew_images)
        self._trace: StepTrace | None = None
        self._images: StepImages | None = None
        self._position = PhaseStep("forward", 0)
        self._weight: ParameterIndex | None = None
        self._hovered: ParameterIndex | None = None
        self._first_maps: dict[int, int] = {}
        self._max_maps = 64
        self.display_columns: tuple[DisplayColumn, ...] = ()
        self._titles: tuple[str, ...] = ()
        self.columns: tuple[StepColumn, ...] = ()
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("The step, layer by layer"))

    # --- what is shown

    def set_step(self, trace: StepTrace, max_maps: int) -> None:
        """Show a step, of which the trace holds at most `max_maps` maps of each layer."""
        is_new_network = self._trace is None or self._trace.network != trace.network
        self._trace, self._max_maps = trace, max_maps
        if is_new_network:
            self.display_columns, self._titles = display_columns(trace.network), layer_names(trace.network)
            self._first_maps.clear()
            self._hovered = None
        self._images = StepImages(trace, current_theme())
        if is_new_network:
            self._lay_out()
        self.update()

    def set_phase_step(self, position: PhaseStep) -> None:
        self._position = position
        self.update()

    def set_weight(self, weight: ParameterIndex | None) -> None:
        """Outline this weight, and page to its kernel."""
        self._weight = weight
        for column in self.columns:
            if (
                weight is not None
                and weight[0] == self._weight_name(column)
                and not column.weight_box(weight[1], 0)
            ):
                self._first_maps[column.display_column.layer] = (
                    weight[1][0] if weight[1][0] < min(column.display_column.count, self._max_maps) else 0
                )
                self._lay_out()
        self.update()

    def _renew_images(self) -> None:
        if self._trace is not None and self._trace.example_pass is not None:
            self._images = StepImages(self._trace, current_theme())
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(int(self.columns[-1].right) + 2 * _PAD if self.columns else 200, self._min_height)

    def minimumSizeHint(self) -> QSize:
        """The full width, which is scrolled, and the height of two rows of the smallest maps."""
        return QSize(self.sizeHint().width(), self._min_height)

    @property
    def _min_height(self) -> int:
        return int(HEADER + 2 * (2 * MIN_TILE + 20))

    def column_span(self, column: int) -> tuple[int, int]:
        """The first and last x of a column."""
        if not self.columns:
            return 0, 0
        shown = self.columns[min(column, len(self.columns) - 1)]
        return int(shown.x), int(shown.right) + 2 * _PAD

    def weight_centre(self, weight: ParameterIndex) -> QPoint | None:
        """The centre of a weight; None if it is not shown."""
        for column in self.columns:
            box = column.weight_box(weight[1], 0) if self._weight_name(column) == weight[0] else None
            if box is not None:
                return QPoint(round(box.centre[0]) + _PAD, round(box.centre[1]))
        return None

    def row_tops(self) -> tuple[float, float]:
        """The y of the two rows."""
        return self.columns[0].tops if self.columns else (HEADER, HEADER)

    # --- layout

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.size().height() != event.oldSize().height():
            self._lay_out()

    def _lay_out(self) -> None:
        if self._trace is None:
            return
        self.columns = layout_columns(
            self.display_columns, self.height() - 2.0, self._header_width, self._first_maps, self._max_maps
        )
        self.updateGeometry()
        self.setMinimumWidth(self.sizeHint().width())
        self.update()

    def _header_width(self, column: StepColumn) -> float:
        """The width of the title and of the longest line below it, whichever maps are shown."""
        small, strong = cached_font(SMALL_PX)[1], cached_font(TITLE_PX, True)[1]
        stage, lines = column.display_column, [self._shape_line(column.display_column)]
        if self._is_paged(column):
            lines.append(self._page_line(range(stage.count - column.shown, stage.count), column.hidden_count))
        return max(strong.horizontalAdvance(self._titles[stage.layer]), *map(small.horizontalAdvance, lines))

    def _shape_line(self, stage: DisplayColumn) -> str:
        return shape_text(stage.shape) if len(stage.shape) == 3 else self.tr("{0} values").format(stage.shape[0])

    def subtitle(self, column: StepColumn) -> str:
        """The line below a column's title: its shape, or which of its maps are shown."""
        if not self._is_paged(column):
            return self._shape_line(column.display_column)
        maps = range(column.first_channel, column.first_channel + column.shown)
        return self._page_line(maps, column.hidden_count)

    @staticmethod
    def _is_paged(column: StepColumn) -> bool:
        return column.hidden_count > 0 and column.display_column.kind != "votes"

    def _page_line(self, maps: range, hidden: int) -> str:
        return self.tr("{0}, +{1} more").format(range_text(maps), hidden)

    def _weight_name(self, column: StepColumn) -> str:
        assert self._trace is not None
        return f"{self._trace.network.names[column.display_column.layer]}.weight"

    # --- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            painter.setFont(font(SMALL_PX))
            painter.fillRect(event.rect(), QColor(current_theme().background))
            if self._images is None or not self.columns:
                return
            painter.translate(_PAD, 0)
            first, last = event.rect().left() - 2 * _PAD, event.rect().right()
            brush = Brush(painter, current_theme(), self.devicePixelRatioF())
            step_painter = StepPainter(brush, self._images, self._position)
            for at, column in enumerate(self.columns):
                if column.right > first and column.x < last:
                    step_painter.paint_column(
                        column, at, self._titles[column.display_column.layer], self.subtitle(column)
                    )
            step_painter.paint_arrows(self.columns)
            step_painter.outline_weight(self.columns, self._hovered, current_theme().secondary_text)
            step_painter.outline_weight(self.columns, self._weight, current_theme().text)

    # --- mouse and keys

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Outline the weight under the mouse."""
        weight = self._weight_at(event.position())
        is_clickable = weight is not None or self._header_at(event.position()) is not None
        self.setCursor(Qt.CursorShape.PointingHandCursor if is_clickable else Qt.CursorShape.ArrowCursor)
        if weight != self._hovered:
            self._hovered = weight
            self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Select the weight under the mouse; on the header of a column with more maps, show the next ones."""
        if event.button() != Qt.MouseButton.LeftButton:
            return
        weight, column = self._weight_at(event.position()), self._header_at(event.position())
        if weight is not None:
            self.weight_clicked.emit(weight)
        elif column is not None:
            self._show_next_maps(column)

    def leaveEvent(self, event: QEvent) -> None:
        self._hovered = None
        self.update()
        super().leaveEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Return shows the next maps of the current column."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.columns:
            self._show_next_maps(self.columns[self._position.column])
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), self._tooltip(QPointF(event.pos())), self)  # type: ignore[attr-defined]
            return True
        return super().event(event)

    def _tooltip(self, at: QPointF) -> str:
        weight = self._weight_at(at)
        if weight is not None and self._trace is not None and self._trace.update is not None:
            value = float(self._trace.update.before[weight[0]][weight[1]])
            return self.tr("weight {0}: click to see its update").format(four_digit_text(value))
        if (text := self._value_text(at.x() - _PAD, at.y())) is not None:
            return text
        return self.tr("Show the next ones") if self._header_at(at) is not None else ""

    def _value_text(self, x: float, y: float) -> str | None:
        """The value or gradient at a point; None where the step has not reached it."""
        for number, column in enumerate(self.columns):
            value_at = column.value_at(x, y)
            if value_at is None or self._images is None:
                continue
            row, index = value_at
            if not has_reached(self._position, "forward" if row == 0 else "backward", number):
                return None
            value = four_digit_text(float(self._images.values(column.display_column, row)[index]))
            return self.tr("value {0}").format(value) if row == 0 else self.tr("gradient {0}").format(value)
        return None

    def _show_next_maps(self, column: StepColumn) -> None:
        if column.hidden_count > 0:
            self._first_maps[column.display_column.layer] = column.first_channel + column.shown
            self._lay_out()

    def _weight_at(self, at: QPointF) -> ParameterIndex | None:
        if self._trace is None:
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
            (
                c
                for c in self.columns
                if c.x <= x < c.right and c.hidden_count > 0 and c.display_column.kind != "votes"
            ),
            None,
        )
