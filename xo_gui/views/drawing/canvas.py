"""Canvas: the square drawing area for mouse, tablet pen and keyboard.

Finished strokes, the current stroke and the network's input are all rendered from Stroke.path, so that the canvas
shows what the network reads.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QEnterEvent,
    QFocusEvent,
    QHideEvent,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPointingDevice,
    QTabletEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from engine.data import class_phrase
from engine.documents import Document
from engine.drawings import WHOLE_FRAME, Box, Drawing, DrawingTransform
from xo_gui.app import current_theme
from xo_gui.views.drawing.canvas_painting import (
    CellRenderer,
    LiveStrokePainter,
    PenStroke,
    paint_cell,
    paint_cells,
    paint_crosshair,
    paint_edge,
    paint_grid,
    paint_pen,
    paint_placeholder,
)
from xo_gui.views.drawing.cropping import CropRectangle

FramePoint = tuple[float, float]

_KEY_STEPS: Final = 32  # key presses across a smooth canvas
_SHIFT_FACTOR: Final = 4
_MOVES: Final = {
    Qt.Key.Key_Left: (-1, 0), Qt.Key.Key_Right: (1, 0), Qt.Key.Key_Up: (0, -1), Qt.Key.Key_Down: (0, 1),
    Qt.Key.Key_Home: (-1, -1), Qt.Key.Key_PageUp: (1, -1), Qt.Key.Key_End: (-1, 1), Qt.Key.Key_PageDown: (1, 1),
}  # fmt: skip
_CANVAS_KEYS: Final = (Qt.Key.Key_Space, Qt.Key.Key_E, Qt.Key.Key_P, Qt.Key.Key_Delete, Qt.Key.Key_Backspace)
_CROP_KEYS: Final = (Qt.Key.Key_Escape, Qt.Key.Key_Return, Qt.Key.Key_Enter)
_COMMANDS: Final = (
    Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.MetaModifier
)

MAX_GRID = 16  # the largest input side that is drawn cell by cell
DEFAULT_PEN, MIN_PEN, MAX_PEN = 0.08, 0.02, 0.3
PEN_FACTOR = 1.2
MIN_SIDE, PREFERRED_SIDE, MAX_SIDE = 96, 240, 360
MIN_GRID_SIDE = 112  # in a grid, whose networks have further buttons under it
_EDGE = 1
_MIN_PRESSURE_FACTOR = 0.4

_KEY_FOCUS_REASONS = (
    Qt.FocusReason.TabFocusReason,
    Qt.FocusReason.BacktabFocusReason,
    Qt.FocusReason.ShortcutFocusReason,
)
_PEN_TYPES = (QPointingDevice.PointerType.Pen, QPointingDevice.PointerType.Eraser)


class Canvas(QWidget):
    """Shows a Document's drawing and lets the user draw.

    stroke_changed(drawing): the current stroke has grown.
    stroke_done(drawing): it has ended.
    stroke_cancelled: it was discarded, and the canvas shows the drawing before it.
    pen_changed: the pen's diameter or the tool has changed.
    clear_requested: the Delete key.
    cropped(box): the part of the picture to keep was chosen; None: the choice was cancelled.
    """

    stroke_changed = Signal(object)
    stroke_done = Signal(object)
    stroke_cancelled = Signal()
    pen_changed = Signal()
    clear_requested = Signal()
    cropped = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._drawing = Drawing()
        self._side, self._fit, self._pixels_shown = 32, False, False
        self._placeholder = self._placeholder_text(())
        self._pen, self._erasing = DEFAULT_PEN, False
        self._stroke: PenStroke | None = None
        self._device = _Device.LEFT
        self._growing = self._drawing  # with the current stroke
        self._ink, self._cells = LiveStrokePainter(), CellRenderer()
        self._mouse: tuple[float, float] | None = None
        self._keys = KeyboardPen()
        self._crop: CropRectangle | None = None
        self._uncropped = self._drawing  # what is shown while cropping
        self._focused_by_key = False
        self.setMouseTracking(True)
        self.setTabletTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMaximumSize(MAX_SIDE, MAX_SIDE)
        self.setAccessibleName(self.tr("Canvas"))
        # No tooltip, because it would cover the drawing.
        self.setStatusTip(
            self.tr("Draw with the left button, erase with the right; [ and ] change the pen's size.")
        )
        self.setWhatsThis(
            self.tr(
                "Draw here. The right button, or the other end of a tablet's pen, erases. Keys: P pen, "
                "E eraser, [ and ] size, Del clears, Esc cancels the current stroke. Without a mouse: the "
                "arrow keys move the pen (Home, End, Page Up and Page Down diagonally, Shift further), Space "
                "puts it down and lifts it."
            )
        )

    # --- what is shown

    @property
    def grid(self) -> int:
        """The side in cells of a pixel canvas, whose pen fills whole cells; 0 for a smooth pen."""
        return self._side if self._side <= MAX_GRID else 0

    @property
    def pen_diameter(self) -> float:
        """The pen's diameter relative to the frame."""
        return self._pen

    @property
    def is_erasing(self) -> bool:
        """Whether the left button and the keyboard pen erase."""
        return self._erasing

    @property
    def current_drawing(self) -> Drawing:
        """The drawing on the canvas, including the current stroke."""
        return self._growing

    @property
    def is_drawing(self) -> bool:
        return self._stroke is not None

    @property
    def is_behind(self) -> bool:
        """Whether the canvas still paints an intricate drawing, and shows the one before."""
        return self._ink.is_behind

    def set_document(self, document: Document) -> None:
        """Show the Document's input, a drawing; one that did not come from this canvas ends the current stroke."""
        network, grid = document.models[0].network, self.grid
        self._side, self._fit = network.input_shape[1], document.fit_to_frame
        if grid != self.grid:
            self.updateGeometry()
        self._placeholder = self._placeholder_text(network.classes)
        drawing = document.input.source
        is_own = drawing is self._drawing or drawing is self._growing
        if self._stroke is None or not is_own or grid != self.grid:
            self._stroke = None
            if drawing is not self._drawing:
                self.end_crop()
            self._drawing = self._growing = drawing
        self.update()

    def set_pixels_shown(self, shown: bool) -> None:
        """Set whether the network's input is shown instead of the drawing."""
        self._pixels_shown = shown
        self.update()

    def set_pen_diameter(self, diameter: float) -> None:
        """Set the pen's diameter relative to the frame, clipped to its limits."""
        self._pen = min(max(diameter, MIN_PEN), MAX_PEN)
        self.pen_changed.emit()
        self.update()

    def set_erasing(self, erasing: bool) -> None:
        """Set whether the left button and the keyboard pen erase."""
        self._erasing = erasing
        self.pen_changed.emit()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(PREFERRED_SIDE, MAX_SIDE)

    def minimumSizeHint(self) -> QSize:
        side = MIN_GRID_SIDE if self.grid else MIN_SIDE
        return QSize(side, side)

    def _placeholder_text(self, classes: tuple[str, ...]) -> str:
        phrases = [class_phrase(name) for name in classes]
        if len(classes) != 2 or set(phrases) & set(classes):
            return self.tr("Draw something")
        return self.tr("Draw {0} or {1}").format(*phrases)

    # --- cropping

    @property
    def is_cropping(self) -> bool:
        return self._crop is not None

    def start_crop(self) -> None:
        """Show the whole picture, and let the user choose the part to keep."""
        self.finish_stroke()
        image, transform = self._drawing.image, self._drawing.transform
        if image is None:
            return
        self._uncropped = self._drawing.with_transform(DrawingTransform(invert=transform.invert))
        height, width = (length / max(image.shape) for length in image.shape)
        room = (1 - width) / 2, (1 - height) / 2, (1 + width) / 2, (1 + height) / 2
        self._crop = CropRectangle(room, None if transform.crop == WHOLE_FRAME else transform.crop)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setFocus()
        self.update()

    def end_crop(self) -> None:
        """Cancel the choice of the part to keep, if there is one."""
        if self._crop is not None:
            self._finish_crop(None)

    def _finish_crop(self, box: Box | None) -> None:
        self._crop = None
        self.unsetCursor()
        self.update()
        self.cropped.emit(box)

    # --- coordinates

    def frame(self) -> QRectF:
        """The drawing square in widget coordinates."""
        side = max(min(self.width(), self.height()) - 2 * _EDGE, 1)
        return QRectF((self.width() - side) // 2, _EDGE, side, side)

    def _to_frame(self, position: QPointF) -> tuple[float, float]:
        frame = self.frame()
        return (position.x() - frame.left()) / frame.width(), (position.y() - frame.top()) / frame.width()

    def _to_widget(self, place: tuple[float, float]) -> QPointF:
        frame = self.frame()
        return QPointF(frame.left() + place[0] * frame.width(), frame.top() + place[1] * frame.width())

    # --- strokes

    def _begin(self, place: tuple[float, float], diameter: float, erase: bool, device: _Device) -> None:
        self._stroke, self._device = PenStroke(self._drawing.transform, erase, self.grid), device
        self._extend(place, diameter)

    def _extend(self, place: tuple[float, float], diameter: float) -> None:
        if self._stroke is not None and self._stroke.add(*place, diameter):
            self._growing = self._drawing.with_stroke(self._stroke.stroke())
            self.stroke_changed.emit(self._growing)
            self.update()

    def drop_stroke(self) -> None:
        """End the current stroke, if there is one, without its drawing, and the choice of the part to keep."""
        self._stroke, self._growing = None, self._drawing
        self.end_crop()

    def finish_stroke(self) -> None:
        """End the current stroke, if there is one."""
        if self._stroke is None:
            return
        self._stroke, self._drawing = None, self._growing
        self.update()
        self.stroke_done.emit(self._drawing)

    def _cancel(self) -> None:
        self._stroke, self._growing = None, self._drawing
        self.update()
        self.stroke_cancelled.emit()

    # --- mouse

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Start a stroke; the right button erases."""
        if event.button() not in (_Device.LEFT.value, _Device.RIGHT.value):
            event.ignore()
            return
        if self._crop is not None:
            self._crop.press(self._to_frame(event.position()))
            return
        self._move_pointer(event.position())
        if self._stroke is not None and self._device is _Device.KEYS:
            self.finish_stroke()
        self._keys.place = None
        if self._stroke is None and not self._from_tablet(event):
            device = _Device(event.button())
            self._begin(
                self._to_frame(event.position()), self._pen, self._erasing or device is _Device.RIGHT, device
            )

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Extend the stroke, also beyond the frame, while the button is held."""
        if self._crop is not None:
            self._crop.drag(self._to_frame(event.position()))
            self.update()
            return
        self._move_pointer(event.position())
        if self._stroke is None or not isinstance(self._device.value, Qt.MouseButton):
            return
        if event.buttons() & self._device.value:
            self._extend(self._to_frame(event.position()), self._pen)
        else:  # the release went elsewhere
            self.finish_stroke()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._crop is not None:
            self._crop.drag(self._to_frame(event.position()))
            self.update()
            if self._crop.release():
                self._finish_crop(self._crop.box)
            return
        if self._stroke is not None and event.button() == self._device.value:
            self._extend(self._to_frame(event.position()), self._pen)
            self.finish_stroke()

    def leaveEvent(self, event: QEvent) -> None:
        self._mouse = None
        self.update()

    def enterEvent(self, event: QEnterEvent) -> None:
        self._move_pointer(event.position())

    def _move_pointer(self, position: QPointF) -> None:
        """Show the pen instead of the system's cursor inside the frame."""
        if self._crop is not None:
            return
        inside = self.frame().contains(position)
        self._mouse = self._to_frame(position) if inside or self._stroke is not None else None
        shape = Qt.CursorShape.BlankCursor if inside else Qt.CursorShape.ArrowCursor
        if self.cursor().shape() != shape:
            self.setCursor(shape)
        self.update()

    @staticmethod
    def _from_tablet(event: QMouseEvent) -> bool:
        """Whether this mouse event was synthesized from a tablet event, which was already handled."""
        device = event.pointingDevice()
        return device is not None and device.pointerType() in _PEN_TYPES

    # --- tablet

    def tabletEvent(self, event: QTabletEvent) -> None:
        """Draw with a tablet pen: pressure sets the width, and the other end erases."""
        if self._crop is not None:  # Qt then makes a mouse event of it
            event.ignore()
            return
        event.accept()
        self._move_pointer(event.position())
        place, diameter = self._to_frame(event.position()), self._pen * (_MIN_PRESSURE_FACTOR + event.pressure())
        if event.type() == QEvent.Type.TabletPress and self._stroke is None:
            is_eraser = event.pointerType() == QPointingDevice.PointerType.Eraser
            right = event.button() == Qt.MouseButton.RightButton
            self._begin(place, diameter, self._erasing or is_eraser or right, _Device.TABLET)
        elif self._stroke is None or self._device is not _Device.TABLET:
            return
        elif event.type() == QEvent.Type.TabletMove:
            self._extend(place, diameter)
        elif event.type() == QEvent.Type.TabletRelease:
            self.finish_stroke()

    # --- keys

    def event(self, event: QEvent) -> bool:
        """Accept the canvas's keys before the window's shortcuts do."""
        if (
            event.type() == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and (_is_canvas_key(event, self.is_drawing) or (self.is_cropping and event.key() in _CROP_KEYS))
        ):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = event.key()
        if self._crop is not None:
            self._crop_key(self._crop, event)
        elif not _is_canvas_key(event, self.is_drawing):
            super().keyPressEvent(event)
        elif self._keys.move(event, self.grid):
            if self._device is _Device.KEYS:
                self._extend(self._keys.ensure_place(self.grid), self._pen)
            self.update()
        elif key == Qt.Key.Key_Space:
            if not event.isAutoRepeat():
                self._toggle_keyboard_stroke()
        elif _is_cancel_key(event):
            self._cancel()
        elif event.text() in ("[", "]"):
            self.set_pen_diameter(self._pen * (PEN_FACTOR if event.text() == "]" else 1 / PEN_FACTOR))
        elif key in (Qt.Key.Key_E, Qt.Key.Key_P):
            self.set_erasing(key == Qt.Key.Key_E)
        elif not self.is_drawing:
            self.clear_requested.emit()

    def _crop_key(self, crop: CropRectangle, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.end_crop()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._finish_crop(crop.box)
        elif crop.move(event):
            self.update()
        else:
            event.ignore()

    def _toggle_keyboard_stroke(self) -> None:
        place = self._keys.ensure_place(self.grid)
        if not self.is_drawing:
            self._begin(place, self._pen, self._erasing, _Device.KEYS)
        elif self._device is _Device.KEYS:
            self.finish_stroke()

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._focused_by_key = event.reason() in _KEY_FOCUS_REASONS
        super().focusInEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """End a keyboard stroke when the focus is lost."""
        if self._device is _Device.KEYS:
            self.finish_stroke()
        self._keys.place = None
        super().focusOutEvent(event)

    def hideEvent(self, event: QHideEvent) -> None:
        """End the current stroke, because a hidden widget gets no release event."""
        self.finish_stroke()
        self.end_crop()
        super().hideEvent(event)

    # --- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the drawing, the placeholder, the pen and the frame."""
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            frame = self.frame()
            if self._crop is not None:
                ratio = self.devicePixelRatioF()
                self._ink.paint(painter, frame, self._uncropped, None, current_theme(), ratio)
                self._crop.paint(painter, frame)
            elif self.grid or self._pixels_shown:
                self._paint_cells(painter, frame)
            else:
                ratio = self.devicePixelRatioF()
                self._ink.paint(painter, frame, self._drawing, self._stroke, current_theme(), ratio)
                if self._ink.is_behind:
                    self.update()
            if self._growing.is_empty:
                second = self.tr("or drop a picture here")
                paint_placeholder(painter, frame, self._placeholder, second, current_theme())
            self._paint_pen(painter, frame)
            focused = self.hasFocus()
            paint_edge(
                painter,
                frame,
                current_theme(),
                focused,
                focused and (self._focused_by_key or self._keys.place is not None),
            )

    def _paint_cells(self, painter: QPainter, frame: QRectF) -> None:
        ratio = self.devicePixelRatioF()
        fit = self._fit and self._pixels_shown
        if self._stroke is not None and self.grid and not fit:
            picture = self._cells.render_with_stroke(self._drawing, self._growing.strokes[-1])
        else:
            picture = self._cells.render(self._growing, self._side, fit)
        paint_cells(painter, frame.topLeft(), picture, current_theme(), round(frame.width() * ratio))
        if self.grid:
            paint_grid(painter, frame, self.grid, current_theme())

    def _paint_pen(self, painter: QPainter, frame: QRectF) -> None:
        place = self._keys.place or self._mouse
        if place is None or self.is_cropping:
            return
        painter.save()
        painter.setClipRect(frame)
        erase = self._stroke.erase if self._stroke is not None else self._erasing
        if self._keys.place is not None:
            paint_crosshair(painter, frame, self._to_widget(place), current_theme())
        if self.grid:
            paint_cell(painter, frame, self.grid, place, current_theme())
        else:
            paint_pen(painter, self._to_widget(place), self._pen * frame.width(), current_theme(), erase)
        painter.restore()


class KeyboardPen:
    """The pen that the arrow keys move; Home, End, Page Up and Page Down move it diagonally, Shift further.

    place: in frame units; None while the keyboard is not in use.
    """

    def __init__(self) -> None:
        self.place: FramePoint | None = None

    def ensure_place(self, grid: int) -> FramePoint:
        """The position, initially the middle of the frame, or of its middle cell if grid > 0."""
        if self.place is None:
            middle = (grid // 2 + 0.5) / grid if grid else 0.5
            self.place = middle, middle
        return self.place

    def move(self, event: QKeyEvent, grid: int) -> bool:
        """Move by a key within the frame; returns False for other keys."""
        if event.key() not in _MOVES:
            return False
        right, down = _MOVES[Qt.Key(event.key())]
        shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        step = (_SHIFT_FACTOR if shift else 1) / (grid or _KEY_STEPS)
        edge = 0.5 / grid if grid else 0.0
        x, y = self.ensure_place(grid)
        self.place = min(max(x + right * step, edge), 1 - edge), min(max(y + down * step, edge), 1 - edge)
        return True


class _Device(Enum):
    """The device of the current stroke; the others are ignored until it ends."""

    LEFT = Qt.MouseButton.LeftButton
    RIGHT = Qt.MouseButton.RightButton
    TABLET = "tablet"
    KEYS = "keys"


def _is_canvas_key(event: QKeyEvent, is_drawing: bool) -> bool:
    """Whether the canvas handles a key itself rather than leaving it to the window."""
    if event.text() in ("[", "]"):  # AltGr, which types them on some keyboards, looks like a command
        return True
    if _is_cancel_key(event):
        return is_drawing
    if event.modifiers() & _COMMANDS:
        return False
    return event.key() in _CANVAS_KEYS or event.key() in _MOVES


def _is_cancel_key(event: QKeyEvent) -> bool:
    """Whether a key cancels the current stroke: Esc, or undo, which would otherwise also undo the stroke before."""
    return event.key() == Qt.Key.Key_Escape or event.matches(QKeySequence.StandardKey.Undo)
