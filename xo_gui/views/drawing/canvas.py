"""Canvas: the square on which a person draws, with a mouse, a tablet's pen or the keyboard. It edits no Document.

What is seen is what is read: finished strokes, the stroke under way and the engine's pictures all come from
Stroke.path.
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

from engine.documents.document import Document
from engine.drawings.drawing import Drawing
from xo_gui.app.theme import DARK, Theme
from xo_gui.views.drawing.canvas_painting import (
    Cells,
    GrowingInk,
    PenStroke,
    paint_cell,
    paint_cells,
    paint_cross_hair,
    paint_edge,
    paint_grid,
    paint_invitation,
    paint_pen,
)

Place = tuple[float, float]

_STEPS: Final = 32  # from side to side of a smooth canvas
_FAR: Final = 4
_MOVES: Final = {
    Qt.Key.Key_Left: (-1, 0), Qt.Key.Key_Right: (1, 0), Qt.Key.Key_Up: (0, -1), Qt.Key.Key_Down: (0, 1),
    Qt.Key.Key_Home: (-1, -1), Qt.Key.Key_PageUp: (1, -1), Qt.Key.Key_End: (-1, 1), Qt.Key.Key_PageDown: (1, 1),
}  # fmt: skip
_OWN: Final = (Qt.Key.Key_Space, Qt.Key.Key_E, Qt.Key.Key_P, Qt.Key.Key_Delete, Qt.Key.Key_Backspace)
_COMMANDS: Final = (
    Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.MetaModifier
)


def is_taking_back(event: QKeyEvent) -> bool:
    """Whether this key takes a stroke under way back; undo would else take the one before with it."""
    return event.key() == Qt.Key.Key_Escape or event.matches(QKeySequence.StandardKey.Undo)


def is_own(event: QKeyEvent, stroke_under_way: bool) -> bool:
    """Whether the canvas answers this key; what it leaves goes to the window."""
    if event.text() in ("[", "]"):  # on some keyboards AltGr writes them, which looks like a command
        return True
    if is_taking_back(event):
        return stroke_under_way
    if event.modifiers() & _COMMANDS:
        return False
    return event.key() in _OWN or event.key() in _MOVES


class KeyPen:
    """The pen that the arrow keys move; Home, End, Page Up and Page Down move it slantwise, Shift further.

    place: in frame units; None while the keys are not in use.
    """

    def __init__(self) -> None:
        """Not in use."""
        self.place: Place | None = None

    def take(self, grid: int) -> Place:
        """Where it is; at first in the middle, of a cell if there are cells (grid above 0)."""
        if self.place is None:
            middle = (grid // 2 + 0.5) / grid if grid else 0.5
            self.place = middle, middle
        return self.place

    def move(self, event: QKeyEvent, grid: int) -> bool:
        """Go where the key says, within the frame. False if it is no such key."""
        if event.key() not in _MOVES:
            return False
        right, down = _MOVES[Qt.Key(event.key())]
        far = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        step = (_FAR if far else 1) / (grid or _STEPS)
        edge = 0.5 / grid if grid else 0.0
        x, y = self.take(grid)
        self.place = min(max(x + right * step, edge), 1 - edge), min(max(y + down * step, edge), 1 - edge)
        return True


PIXEL_CANVAS = 16  # networks that read at most this many pixels a side are drawn for cell by cell
PEN, THINNEST_PEN, WIDEST_PEN = 0.08, 0.02, 0.3
PEN_STEP = 1.2
LEAST_SIDE, BEST_SIDE, MOST_SIDE = 140, 240, 360
_EDGE = 1
_LIGHTEST_PRESSURE = 0.4

_TABS = (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason, Qt.FocusReason.ShortcutFocusReason)
_PEN_KINDS = (QPointingDevice.PointerType.Pen, QPointingDevice.PointerType.Eraser)


class _Hand(Enum):
    """What holds the pen during a stroke: others are ignored until it lets go."""

    LEFT = Qt.MouseButton.LeftButton
    RIGHT = Qt.MouseButton.RightButton
    TABLET = "tablet"
    KEYS = "keys"


class Canvas(QWidget):
    """Shows a Document's drawing and lets a person draw.

    stroke_changed(drawing) while a stroke moves, stroke_done(drawing) at its end, or stroke_cancelled, after which
    the canvas shows what was there before. pen_changed: the pen's size or the tool. clear_asked: the Delete key.
    """

    stroke_changed = Signal(object)
    stroke_done = Signal(object)
    stroke_cancelled = Signal()
    pen_changed = Signal()
    clear_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._drawing = Drawing()
        self._side, self._fit, self._pixels_shown = 32, False, False
        self._invitation = self._invite(("X", "O"))
        self._pen, self._erasing = PEN, False
        self._stroke: PenStroke | None = None
        self._hand = _Hand.LEFT
        self._growing = self._drawing  # with the stroke under way
        self._ink, self._cells = GrowingInk(), Cells()
        self._mouse: tuple[float, float] | None = None
        self._keys = KeyPen()
        self._by_tab = False
        self.setMouseTracking(True)
        self.setTabletTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMaximumSize(MOST_SIDE, MOST_SIDE)
        self.setAccessibleName(self.tr("Canvas"))
        # No tooltip: it would cover what is being drawn.
        self.setStatusTip(
            self.tr("Draw with the left button, erase with the right; [ and ] change the pen's size.")
        )
        self.setWhatsThis(
            self.tr(
                "Draw here. The right button, or the other end of a tablet's pen, erases. Keys: P pen, "
                "E eraser, [ and ] size, Del clears, Esc takes back the stroke under way. Without a mouse: the "
                "arrow keys move the pen (Home, End, Page Up and Page Down slantwise, Shift further), Space "
                "puts it down and lifts it."
            )
        )

    # --- what is shown

    @property
    def grid(self) -> int:
        """The side of a pixel canvas, whose pen fills whole cells; 0 where the pen is smooth."""
        return self._side if self._side <= PIXEL_CANVAS else 0

    @property
    def pen(self) -> float:
        """The pen's diameter, as a share of the frame."""
        return self._pen

    @property
    def erasing(self) -> bool:
        """Whether the left button erases."""
        return self._erasing

    @property
    def growing(self) -> Drawing:
        """What is on the canvas, a stroke under way included."""
        return self._growing

    @property
    def busy(self) -> bool:
        """Whether a stroke is under way."""
        return self._stroke is not None

    def show_document(self, document: Document) -> None:
        """Show its drawing. One that is not this canvas's own puts an end to a stroke under way."""
        network, grid = document.subjects[0].network, self.grid
        self._side, self._fit = network.input_shape[1], document.fit
        self._invitation = self._invite(network.classes)
        own = document.drawing is self._drawing or document.drawing is self._growing
        if self._stroke is None or not own or grid != self.grid:
            self._stroke = None
            self._drawing = self._growing = document.drawing
        self.update()

    def show_pixels(self, shown: bool) -> None:
        """Show what the network sees instead of what was drawn, or no longer."""
        self._pixels_shown = shown
        self.update()

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self._theme = theme
        self.update()

    def set_pen(self, diameter: float) -> None:
        """The pen's diameter, as a share of the frame, within what is sensible."""
        self._pen = min(max(diameter, THINNEST_PEN), WIDEST_PEN)
        self.pen_changed.emit()
        self.update()

    def set_erasing(self, erasing: bool) -> None:
        """Let the left button and the keyboard's pen erase, or draw."""
        self._erasing = erasing
        self.pen_changed.emit()
        self.update()

    def sizeHint(self) -> QSize:
        """As in the look, and as high as it may become: the panel's width is the limit, see DrawingView."""
        return QSize(BEST_SIDE, MOST_SIDE)

    def minimumSizeHint(self) -> QSize:
        """Below this nobody can draw."""
        return QSize(LEAST_SIDE, LEAST_SIDE)

    def _invite(self, classes: tuple[str, ...]) -> str:
        return self.tr("Draw an X or an O") if classes == ("X", "O") else self.tr("Draw something")

    # --- places

    def frame(self) -> QRectF:
        """The square that is drawn on, in the widget's own pixels."""
        side = max(min(self.width(), self.height()) - 2 * _EDGE, 1)
        return QRectF((self.width() - side) // 2, _EDGE, side, side)

    def _to_frame(self, position: QPointF) -> tuple[float, float]:
        frame = self.frame()
        return (position.x() - frame.left()) / frame.width(), (position.y() - frame.top()) / frame.width()

    def _to_widget(self, place: tuple[float, float]) -> QPointF:
        frame = self.frame()
        return QPointF(frame.left() + place[0] * frame.width(), frame.top() + place[1] * frame.width())

    # --- strokes

    def _begin(self, place: tuple[float, float], diameter: float, erase: bool, hand: _Hand) -> None:
        self._stroke, self._hand = PenStroke(self._drawing.transform, erase, self.grid), hand
        self._extend(place, diameter)

    def _extend(self, place: tuple[float, float], diameter: float) -> None:
        if self._stroke is not None and self._stroke.add(*place, diameter):
            self._growing = self._drawing.with_stroke(self._stroke.stroke())
            self.stroke_changed.emit(self._growing)
            self.update()

    def finish(self) -> None:
        """End the stroke under way, if there is one, where it is."""
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
        """Put the pen down; a right button's pen erases."""
        if event.button() not in (_Hand.LEFT.value, _Hand.RIGHT.value):
            event.ignore()
            return
        self._point_at(event.position())
        if self._stroke is not None and self._hand is _Hand.KEYS:
            self.finish()
        self._keys.place = None
        if self._stroke is None and not self._from_tablet(event):
            hand = _Hand(event.button())
            self._begin(self._to_frame(event.position()), self._pen, self._erasing or hand is _Hand.RIGHT, hand)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Draw on, also beyond the frame, while the button is held."""
        self._point_at(event.position())
        if self._stroke is None or not isinstance(self._hand.value, Qt.MouseButton):
            return
        if event.buttons() & self._hand.value:
            self._extend(self._to_frame(event.position()), self._pen)
        else:  # the release went elsewhere
            self.finish()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Lift the pen."""
        if self._stroke is not None and event.button() == self._hand.value:
            self._extend(self._to_frame(event.position()), self._pen)
            self.finish()

    def leaveEvent(self, event: QEvent) -> None:
        """No pen without a mouse."""
        self._mouse = None
        self.update()

    def enterEvent(self, event: QEnterEvent) -> None:
        """The pen is back."""
        self._point_at(event.position())

    def _point_at(self, position: QPointF) -> None:
        """Show the pen there instead of the system's arrow, which stays beside the frame."""
        inside = self.frame().contains(position)
        self._mouse = self._to_frame(position) if inside or self._stroke is not None else None
        shape = Qt.CursorShape.BlankCursor if inside else Qt.CursorShape.ArrowCursor
        if self.cursor().shape() != shape:
            self.setCursor(shape)
        self.update()

    @staticmethod
    def _from_tablet(event: QMouseEvent) -> bool:
        """Whether the system made this mouse event up from one of a tablet's pen, which was heard already."""
        device = event.pointingDevice()
        return device is not None and device.pointerType() in _PEN_KINDS

    # --- tablet

    def tabletEvent(self, event: QTabletEvent) -> None:
        """A tablet's pen: its pressure is felt and its other end erases."""
        event.accept()
        self._point_at(event.position())
        place, diameter = self._to_frame(event.position()), self._pen * (_LIGHTEST_PRESSURE + event.pressure())
        if event.type() == QEvent.Type.TabletPress and self._stroke is None:
            turned = event.pointerType() == QPointingDevice.PointerType.Eraser
            right = event.button() == Qt.MouseButton.RightButton
            self._begin(place, diameter, self._erasing or turned or right, _Hand.TABLET)
        elif self._stroke is None or self._hand is not _Hand.TABLET:
            return
        elif event.type() == QEvent.Type.TabletMove:
            self._extend(place, diameter)
        elif event.type() == QEvent.Type.TabletRelease:
            self.finish()

    # --- keys

    def event(self, event: QEvent) -> bool:
        """Claim the canvas's own keys before the window's shortcuts take them."""
        if (
            event.type() == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and is_own(event, self.busy)
        ):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """The canvas's own keys; any other goes on to the window."""
        key = event.key()
        if not is_own(event, self.busy):
            super().keyPressEvent(event)
        elif self._keys.move(event, self.grid):
            if self._hand is _Hand.KEYS:
                self._extend(self._keys.take(self.grid), self._pen)
            self.update()
        elif key == Qt.Key.Key_Space:
            if not event.isAutoRepeat():
                self._press_keys()
        elif is_taking_back(event):
            self._cancel()
        elif event.text() in ("[", "]"):
            self.set_pen(self._pen * (PEN_STEP if event.text() == "]" else 1 / PEN_STEP))
        elif key in (Qt.Key.Key_E, Qt.Key.Key_P):
            self.set_erasing(key == Qt.Key.Key_E)
        elif not self.busy:
            self.clear_asked.emit()

    def _press_keys(self) -> None:
        place = self._keys.take(self.grid)
        if not self.busy:
            self._begin(place, self._pen, self._erasing, _Hand.KEYS)
        elif self._hand is _Hand.KEYS:
            self.finish()

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Show strongly that the keyboard draws here, if it was the keyboard that came here."""
        self._by_tab = event.reason() in _TABS
        super().focusInEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """The keyboard's pen is lifted when the keyboard goes elsewhere."""
        if self._hand is _Hand.KEYS:
            self.finish()
        self._keys.place = None
        super().focusOutEvent(event)

    def hideEvent(self, event: QHideEvent) -> None:
        """What is hidden gets no release: the stroke ends here."""
        self.finish()
        super().hideEvent(event)

    # --- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """The drawing, then what helps to draw."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        frame = self.frame()
        if self.grid or self._pixels_shown:
            self._paint_cells(painter, frame)
        else:
            ratio = self.devicePixelRatioF()
            self._ink.paint(painter, frame, self._drawing, self._stroke, self._theme, ratio)
        if self._growing.is_empty:
            second = self.tr("or drop a picture here")
            paint_invitation(painter, frame, self._invitation, second, self._theme)
        self._paint_pen(painter, frame)
        focused = self.hasFocus()
        paint_edge(painter, frame, self._theme, focused, focused and (self._by_tab or self._keys.place is not None))
        painter.end()

    def _paint_cells(self, painter: QPainter, frame: QRectF) -> None:
        ratio = self.devicePixelRatioF()
        fit = self._fit and self._pixels_shown
        if self._stroke is not None and self.grid and not fit:
            picture = self._cells.growing(self._drawing, self._growing.strokes[-1])
        else:
            picture = self._cells.picture(self._growing, self._side, fit)
        paint_cells(painter, frame.topLeft(), picture, self._theme, round(frame.width() * ratio))
        if self.grid:
            paint_grid(painter, frame, self.grid, self._theme)

    def _paint_pen(self, painter: QPainter, frame: QRectF) -> None:
        place = self._keys.place or self._mouse
        if place is None:
            return
        painter.save()
        painter.setClipRect(frame)
        erase = self._stroke.erase if self._stroke is not None else self._erasing
        if self._keys.place is not None:
            paint_cross_hair(painter, frame, self._to_widget(place), self._theme)
        if self.grid:
            paint_cell(painter, frame, self.grid, place, self._theme)
        else:
            paint_pen(painter, self._to_widget(place), self._pen * frame.width(), self._theme, erase)
        painter.restore()
