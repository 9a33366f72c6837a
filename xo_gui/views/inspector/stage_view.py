"""StageView: one value and how it comes about, in one large picture that can be read from the back of a room."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QHideEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from engine.nn import Prediction
from engine.runtime import Snapshot
from xo_gui.app import colours, current_theme, font, theme_service, to_qimage
from xo_gui.state import CellRef, Selection
from xo_gui.views.inspector.sheet_blocks import Paragraph, SheetBlock
from xo_gui.views.inspector.sheet_painting import (
    ClickTarget,
    PaintContext,
    block_height,
    least_width,
    paint_block,
    paint_outline,
)
from xo_gui.views.inspector.sliding import SlidingControls
from xo_gui.views.inspector.stage_scene import STAGE_ROWS, StageMap, StageScene, stage_scene
from xo_gui.views.inspector.value_text import ValueContext
from xo_gui.views.network import explained_cell, has_cell, lettered_place
from xo_gui.views.view import View
from xo_gui.widgets import FocusFrameWidget, cell_text, elided_text, fixed_text, needs_black_text

_MARGIN, _GAP, _TITLE, _UNDER_TABS = 16, 20, 24, 34
_PLACE_PX, _VALUE_PX, _TITLE_PX = 15, 40, 14
# The share of the width that the maps have, beside the arithmetic.
_MAPS_SHARE = 0.29
# How much larger than in the inspector at most, in a window of 1280 × 800.
_LARGEST, _ROOM = 3.6, QSize(950, 680)
# A number is written into a cell that is this high, and this many times as wide as a digit.
_LEAST_NUMBER, _NUMBER_SHARE, _LARGEST_NUMBER = 9, 0.36, 24
# The longest list whose values are written below their bars.
_MOST_NUMBERS = 12
_SPARE = 4.0
_MARK_SCALE = 1.4  # of the lines that mark cells of the maps
# Values per second up to which the arithmetic of each is revealed part by part.
_SLOW = 2.5
_DIRECTIONS = {
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
}


class StageView(View):
    """The pinned value: the map that its layer reads, the arithmetic, and the map that fills.

    leave_requested: Esc, or the button, while it is alone on the window.
    """

    title = "Stage"
    leave_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._predictions: tuple[Prediction, ...] = ()
        self._selection = Selection()
        self._phase: int | None = None
        self._selected_map: int | None = None  # of a window over several
        self._phases = 1
        self._is_alone = False
        self._phase_timer = QTimer(self)
        self._phase_timer.setSingleShot(True)
        self._phase_timer.timeout.connect(self._reveal)
        self._build()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Stage"))
        self.setWhatsThis(
            self.tr(
                "Shows how the pinned value comes about, large enough for the back of a room: what its layer "
                "reads, the arithmetic, and the map that fills. Play moves the window over the map; the drawing "
                "is followed meanwhile."
            )
        )

    def _build(self) -> None:
        self.place_label, self.value_label = QLabel(self), QLabel(self)
        self.place_label.setFont(font(_PLACE_PX))
        self.place_label.setWordWrap(True)
        self.place_label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.value_label.setFont(font(_VALUE_PX, strong=True))
        self.maps = StageMaps(self)
        self.maps.cell_clicked.connect(self.pinned)
        self.sheet = StageSheet(self)
        self.sheet.cell_clicked.connect(self.pinned)
        self.sheet.part_clicked.connect(self._select_map)
        self.controls = StageControls(self)
        self.controls.animation.moved.connect(self._move_to)
        self.leave_button = QPushButton(self.tr("Back to all panels (Esc)"), self)
        self.leave_button.clicked.connect(self.leave_requested)
        self.leave_button.setVisible(False)
        left = QVBoxLayout()
        left.setSpacing(4)
        for widget in (self.place_label, self.value_label):
            left.addWidget(widget)
        left.addWidget(self.maps, 1)
        left.addWidget(self.controls)
        left.addWidget(self.leave_button)
        self._row = QHBoxLayout(self)
        self._row.setSpacing(_GAP)
        self._row.addLayout(left, round(100 * _MAPS_SHARE))
        self._row.addWidget(self.sheet, round(100 * (1 - _MAPS_SHARE)))
        self.set_alone(False)

    def minimumSizeHint(self) -> QSize:
        return QSize(420, 320)

    # --- state

    def set_alone(self, alone: bool) -> None:
        """Set whether nothing but the input is beside the stage."""
        self._is_alone = alone
        self.leave_button.setVisible(alone)
        self._row.setContentsMargins(_MARGIN, 10 if alone else _UNDER_TABS, _MARGIN, 10)

    def set_snapshot(self, snapshot: Snapshot) -> None:
        if snapshot.predictions:
            self._predictions = snapshot.predictions
            self._refresh()

    def set_selection(self, selection: Selection) -> None:
        before, after = self._selection.pinned, selection.pinned
        if after != before and not selection.animating:
            self._phase = None
        if before is None or after is None or (before.layer, before.channel) != (after.layer, after.channel):
            self._selected_map = None
        self._selection = selection
        self._refresh()

    def set_on_top(self, on_top: bool) -> None:
        super().set_on_top(on_top)
        self._refresh()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        if self.controls.animation.is_playing:
            self.controls.animation.pause()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._refresh()

    def _shown(self) -> tuple[CellRef, Prediction] | None:
        """The pinned value, with its prediction."""
        return explained_cell(self._predictions, self._selection.pinned)

    def _refresh(self) -> None:
        shown = self._shown()
        self.controls.set_position(shown[1].model.network if shown else None, shown[0] if shown else None)
        if shown is None:
            self.place_label.setText("")
            self.value_label.setText("")
            self.maps.set_scene(None)
            waiting = self._selection.pinned is not None and self._predictions
            self.sheet.set_blocks([Paragraph(self.tr("Computing…") if waiting else self._empty_text())])
            return
        cell, prediction = shown
        context = ValueContext(prediction, cell, self._selected_map, max_rows=STAGE_ROWS, expands=False)
        scene = stage_scene(context, self._phase, self._selection.animating)
        self._phases = scene.phases
        place = lettered_place(self._predictions, cell)
        is_whole = self._phase is None or self._phase >= self._phases - 1
        self.place_label.setText(place)
        self.value_label.setText(fixed_text(context.value) if is_whole else "?")
        self.maps.set_scene(scene)
        self.sheet.set_blocks(scene.blocks)
        self.setAccessibleDescription(f"{place}: {fixed_text(context.value)}")

    def _empty_text(self) -> str:
        return self.tr(
            "Double-click any value of the network, or press F5: how it comes about is shown here, large."
        )

    # --- user actions

    def _select_map(self, part: int) -> None:
        """Show this map of the window."""
        self._selected_map = part
        self._refresh()

    def _move_to(self, cell: CellRef) -> None:
        """Follow the animation; where it is slow, reveal the arithmetic part by part."""
        animation = self.controls.animation
        slow = not animation.is_playing or animation.speed <= _SLOW
        self._phase = 0 if slow else None
        if slow and animation.is_playing:
            self._phase_timer.start(self._phase_milliseconds())
        self.stepped_to.emit(cell)

    def _phase_milliseconds(self) -> int:
        return round(1000 / self.controls.animation.speed / (self._phases + 1))

    def _reveal(self) -> None:
        if self.reveal_next() and self.controls.animation.is_playing:
            self._phase_timer.start(self._phase_milliseconds())

    def reveal_next(self) -> bool:
        """Reveal the next part of the arithmetic; False if all of it is shown."""
        if self._phase is None or self._phase >= self._phases - 1:
            return False
        self._phase += 1
        self._refresh()
        return True

    def toggle_playing(self) -> None:
        self.controls.toggle_playing()

    def step(self) -> None:
        self.controls.step()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows move the window over the map, Space plays, Enter steps, Esc leaves."""
        key, shown = Qt.Key(event.key()), self._shown()
        if key == Qt.Key.Key_Escape and self._is_alone:
            self.leave_requested.emit()
        elif shown is None:
            super().keyPressEvent(event)
        elif key in _DIRECTIONS:
            if (moved := _neighbour(shown[1], shown[0], *_DIRECTIONS[key])) is not None:
                self.pinned.emit(moved)
        elif key == Qt.Key.Key_Space:
            self.toggle_playing()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.step()
        else:
            super().keyPressEvent(event)


def _neighbour(prediction: Prediction, cell: CellRef, down: int, across: int) -> CellRef | None:
    """The value beside `cell` in its map or list; None beyond the edge."""
    if len(prediction.activations.shapes[cell.layer]) == 1:
        moved = CellRef(cell.layer, cell.channel + down + across, model_index=cell.model_index)
    else:
        moved = CellRef(cell.layer, cell.channel, cell.row + down, cell.column + across, cell.model_index)
    return moved if has_cell(prediction.model.network, moved) else None


class StageControls(SlidingControls):
    """The buttons of the sliding window, of which *Step* reveals the next part of the arithmetic."""

    def __init__(self, stage: StageView) -> None:
        super().__init__(stage)
        self._stage = stage
        self.speed_slider.setValue(12)
        self.step_button.setToolTip(self.tr("Reveal the next part of the arithmetic, and then move on"))

    def step(self) -> None:
        if self.animation.is_playing or not self._stage.reveal_next():
            super().step()


class StageSheet(FocusFrameWidget):
    """The arithmetic, scaled up to fill the widget.

    cell_clicked(CellRef), part_clicked(int): what a number leads to, or another map of a window over several.
    """

    cell_clicked = Signal(object)
    part_clicked = Signal(int)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.blocks: tuple[SheetBlock, ...] = ()
        self._targets: list[ClickTarget] = []
        self.scale = 1.0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(self.tr("Arithmetic, large"))

    def set_blocks(self, blocks: list[SheetBlock] | tuple[SheetBlock, ...]) -> None:
        self.blocks = tuple(blocks)
        self.scale = self._fitting_scale()
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.scale = self._fitting_scale()

    def _fitting_scale(self) -> float:
        """The largest scale at which all blocks are visible."""
        room = min(self.width() / (_ROOM.width() * (1 - _MAPS_SHARE)), self.height() / _ROOM.height())
        scale = _LARGEST * max(room, 0.4)
        needed = max((least_width(block) for block in self.blocks), default=0.0)
        while scale > 0.7 and (self._height(scale) > self.height() or needed * scale > self._room):
            scale *= 0.995
        return scale

    def _height(self, scale: float) -> float:
        return scale * sum(block_height(block, self._room / scale) for block in self.blocks)

    @property
    def _room(self) -> float:
        """The width for the blocks: scaled up, a text may be a little wider than its metrics."""
        return max(self.width() - _SPARE, 1.0)

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.TextAntialiasing)
            painter.translate(0, max((self.height() - self._height(self.scale)) / 3, 0))
            painter.scale(self.scale, self.scale)
            context = PaintContext(painter, current_theme(), self._room / self.scale, False)
            top = 0.0
            for block in self.blocks:
                paint_block(block, top, context)
                top += block_height(block, context.width)
            transform = painter.worldTransform()
            self._targets = [
                ClickTarget(transform.mapRect(target.box), target.cell, target.part_index)
                for target in context.targets
            ]

    def mousePressEvent(self, event: QMouseEvent) -> None:
        target = next((one for one in self._targets if one.box.contains(event.position())), None)
        if target is None or event.button() != Qt.MouseButton.LeftButton:
            event.ignore()
        elif target.cell is not None:
            self.cell_clicked.emit(target.cell)
        elif target.part_index is not None:
            self.part_clicked.emit(target.part_index)


class StageMaps(FocusFrameWidget):
    """The map that is read, above the map that fills. cell_clicked(CellRef): of a value that was clicked."""

    cell_clicked = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._maps: list[tuple[StageMap, QRectF]] = []
        self._scene: StageScene | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(120, 120)
        self.setAccessibleName(self.tr("What is read, and the map that fills"))
        theme_service.changed.connect(self.update)

    def set_scene(self, scene: StageScene | None) -> None:
        self._scene = scene
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        self._maps = []
        if self._scene is None:
            return
        shown = [one for one in (self._scene.reads, self._scene.fills) if one is not None]
        tall = (self.height() - _GAP * (len(shown) - 1)) / len(shown)
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.TextAntialiasing)
            for at, one in enumerate(shown):
                box = QRectF(0, at * (tall + _GAP), self.width(), tall)
                self._maps.append((one, self._paint(painter, one, box)))

    def _paint(self, painter: QPainter, one: StageMap, box: QRectF) -> QRectF:
        """Paint a map with its title, and return the rectangle of its values."""
        theme = current_theme()
        painter.setFont(font(_TITLE_PX))
        painter.setPen(QColor(theme.secondary_text))
        title = QRectF(box.left(), box.top(), box.width(), _TITLE)
        painter.drawText(title, Qt.AlignmentFlag.AlignVCenter, elided_text(one.title, box.width(), _TITLE_PX))
        room = box.adjusted(2, _TITLE, -2, -2)
        return _paint_list(painter, one, room) if one.values.ndim == 1 else _paint_map(painter, one, room)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        for one, box in self._maps:
            if event.button() == Qt.MouseButton.LeftButton and box.contains(event.position()):
                self.cell_clicked.emit(one.cell(_index_at(one, box, event.position())))
                return
        event.ignore()


def _index_at(one: StageMap, box: QRectF, at: QPointF) -> int:
    rows, columns = (1, len(one.values)) if one.values.ndim == 1 else one.values.shape
    row = min(int((at.y() - box.top()) / box.height() * rows), rows - 1)
    column = min(int((at.x() - box.left()) / box.width() * columns), columns - 1)
    return row * columns + column


def _paint_map(painter: QPainter, one: StageMap, room: QRectF) -> QRectF:
    """Paint the values as coloured cells, with numbers where they have room, as large as fits."""
    theme, (high, wide) = current_theme(), one.values.shape
    side = min(room.width() / wide, room.height() / high)
    box = QRectF(room.left(), room.top(), side * wide, side * high)
    table = theme.picture_table if one.colour_scale == "picture" else theme.value_table
    pixels = colours(one.values, -one.limit, one.limit, table)
    if one.filled is not None:
        pixels = pixels.copy()
        pixels.reshape(-1)[one.filled :] = QColor(theme.control).rgb()
    painter.drawImage(box, to_qimage(pixels))
    number = min(round(side * _NUMBER_SHARE), _LARGEST_NUMBER)
    if number >= _LEAST_NUMBER:
        painter.setFont(font(number))
        dark = needs_black_text(pixels)
        for place, value in enumerate(one.values.ravel().tolist()[: one.filled]):
            row, column = divmod(place, wide)
            painter.setPen(QColor("#000000" if dark[row, column] else "#ffffff"))
            cell = QRectF(box.left() + column * side, box.top() + row * side, side, side)
            painter.drawText(cell, Qt.AlignmentFlag.AlignCenter, cell_text(value))
    if one.window is not None:
        _mark(painter, box, *one.window, side, side)
    if one.current is not None:
        row, column = divmod(one.current, wide)
        _mark(painter, box, range(row, row + 1), range(column, column + 1), side, side)
    return box


def _paint_list(painter: QPainter, one: StageMap, room: QRectF) -> QRectF:
    """Paint the values as bars, above or below a line at 0, with numbers if they are few."""
    theme, count = current_theme(), len(one.values)
    numbered = count <= _MOST_NUMBERS
    box = room.adjusted(0, 0, 0, -2 * _TITLE if numbered and one.names else -_TITLE if numbered else 0)
    zero, step, length = box.center().y(), box.width() / count, box.height() / 2 - 2
    painter.setPen(QPen(QColor(theme.disabled_text), 1.0))
    painter.drawLine(QPointF(box.left(), zero), QPointF(box.right(), zero))
    for at, value in enumerate(one.values.tolist()[: one.filled]):
        size = length * min(abs(value) / one.limit, 1.0) if one.limit and value == value else 0.0
        bar = QRectF(box.left() + at * step, zero - size if value > 0 else zero, max(step - 1, 1), size)
        painter.fillRect(bar, QColor(theme.value_stops[4 if value > 0 else 0]))
    if numbered:
        for at, value in enumerate(one.values.tolist()[: one.filled]):
            below = QRectF(box.left() + at * step, box.bottom(), step, _TITLE)
            painter.setFont(font(_PLACE_PX, strong=True))
            painter.setPen(QColor(theme.text))
            painter.drawText(below, Qt.AlignmentFlag.AlignCenter, fixed_text(value))
            if one.names:
                name = elided_text(one.names[at], step, _PLACE_PX)
                painter.drawText(below.translated(0, _TITLE), Qt.AlignmentFlag.AlignCenter, name)
    if one.window is not None:
        _mark(painter, box, *one.window, step, box.height())
    if one.current is not None:
        _mark(painter, box, range(1), range(one.current, one.current + 1), step, box.height())
    return box


def _mark(painter: QPainter, box: QRectF, rows: range, columns: range, wide: float, tall: float) -> None:
    """Outline cells of a map whose cells, `wide` x `tall`, begin at the upper left corner of `box`."""
    left, top = box.left() + columns.start * wide, box.top() + rows.start * tall
    paint_outline(painter, current_theme(), QRectF(left, top, len(columns) * wide, len(rows) * tall), _MARK_SCALE)
