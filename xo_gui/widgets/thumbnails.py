"""Thumbnails: a grid of small labelled images with selection by mouse and keyboard."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QFocusEvent,
    QFontMetrics,
    QHelpEvent,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QFrame, QScrollArea, QSizePolicy, QToolTip, QWidget

from engine.backends import HostArray
from engine.data import class_symbol
from xo_gui.app import SMALL_PX, current_theme, font, theme_service
from xo_gui.widgets.buttons import FocusFrameWidget
from xo_gui.widgets.class_symbols import elided_text, paint_class_name, paint_class_symbol
from xo_gui.widgets.map_images import picture_atlas

TILE_SIDE, GAP, CAPTION_HEIGHT = 40, 5, 15
_SYMBOL, _CAPTION_GAP = 9.0, 4
_MARGIN = 4  # at the right, beside a scroll bar
_MAX_PIXELS = 128  # a side: larger images are subsampled before they are painted


class Thumbnails(FocusFrameWidget):
    """A grid of thumbnails that is as high as its rows need.

    picked(index): a thumbnail is activated. chosen: the current thumbnail has changed. key_pressed: a key
    without a meaning here. menu_requested(index, position): a context menu is requested.
    """

    picked = Signal(int)
    chosen = Signal()
    key_pressed = Signal(QKeyEvent)
    menu_requested = Signal(int, QPoint)

    def __init__(
        self, name: str, tip: str, parent: QWidget, *, click_selects: bool = False, side: int = TILE_SIDE
    ) -> None:
        """name: the accessible name.
        tip: what activating does.
        click_selects: whether a click only selects, and a double click or Return activates.
        side: of each image, in pixels.
        """
        super().__init__(parent)
        theme_service.changed.connect(self._discard_images)
        self.side = side
        self._tip, self._click_selects = tip, click_selects
        self.tiles: tuple[Thumbnail, ...] = ()
        self.current = 0
        self._pitch = side + GAP  # from one image to the next, which leaves room for the captions
        self._images: dict[int, QImage] = {}
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(name)
        self.setStatusTip(tip)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def show_tiles(self, tiles: Sequence[Thumbnail]) -> None:
        """Show these thumbnails; images whose picture is the same object as before are reused."""
        before, images, self.tiles = self.tiles, self._images, tuple(tiles)
        self._images = {
            at: images[at]
            for at, tile in enumerate(self.tiles)
            if at in images and at < len(before) and tile.picture is before[at].picture
        }
        self.current = min(self.current, max(len(self.tiles) - 1, 0))
        pitch, self._pitch = self._pitch, self._caption_pitch()
        if len(before) != len(self.tiles) or pitch != self._pitch:
            self.updateGeometry()
        self._describe()
        self.update()

    def set_current(self, at: int) -> None:
        """Make a thumbnail the current one."""
        self.current = at
        self._describe()
        self.update()
        self.chosen.emit()

    def _discard_images(self) -> None:
        self._images.clear()
        self.update()

    def _describe(self) -> None:
        text = self.tr("{0} drawings").format(len(self.tiles))
        if self.tiles and self._click_selects:
            text += self.tr("; selected: {0}, {1}").format(self.current + 1, _text(self.tiles[self.current]))
        if text != self.accessibleDescription():
            self.setAccessibleDescription(text)

    # --- geometry

    @property
    def columns(self) -> int:
        """The number of thumbnails in a row."""
        return self._columns(self.width())

    def _columns(self, width: int) -> int:
        return max(1, (width - _MARGIN + GAP) // self._pitch)

    def _caption_pitch(self) -> int:
        """The distance of images at which the label and caption of each have room, up to twice their side."""
        metrics = QFontMetrics(font(SMALL_PX))
        widest = 0.0
        for tile in self.tiles:
            if tile.caption:
                label = metrics.horizontalAdvance(tile.label if class_symbol(tile.label) else "?")
                widest = max(widest, _SYMBOL + 5 + label + _CAPTION_GAP + metrics.horizontalAdvance(tile.caption))
        return min(max(self.side, math.ceil(widest)), 2 * self.side) + GAP

    def tile_rect(self, at: int) -> QRect:
        """The rectangle of a thumbnail's image."""
        row, column = divmod(at, self.columns)
        return QRect(column * self._pitch + 1, row * (self.side + CAPTION_HEIGHT + GAP) + 1, self.side, self.side)

    def heightForWidth(self, width: int) -> int:
        return max(1, -(-len(self.tiles) // self._columns(width))) * (self.side + CAPTION_HEIGHT + GAP)

    def sizeHint(self) -> QSize:
        width = 4 * self._pitch
        return QSize(width, self.heightForWidth(width))

    def minimumSizeHint(self) -> QSize:
        return QSize(self._pitch - GAP + 2 + _MARGIN, self.side + CAPTION_HEIGHT)

    def tile_at(self, at: QPointF) -> int | None:
        """The index of the thumbnail at a point, its caption included."""
        for index in range(len(self.tiles)):
            if self.tile_rect(index).adjusted(0, 0, 0, CAPTION_HEIGHT).contains(at.toPoint()):
                return index
        return None

    # --- input

    def mousePressEvent(self, event: QMouseEvent) -> None:
        at = self.tile_at(event.position())
        if at is not None:
            self.set_current(at)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        at = self.tile_at(event.position())
        if (
            at is not None
            and at == self.current
            and not self._click_selects
            and event.button() == Qt.MouseButton.LeftButton
        ):
            self.picked.emit(at)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        at = self.tile_at(event.position())
        if at is not None and self._click_selects and event.button() == Qt.MouseButton.LeftButton:
            self.picked.emit(at)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Request a menu for the thumbnail under the mouse, or by key for the current one."""
        by_mouse = event.reason() == QContextMenuEvent.Reason.Mouse
        at = self.tile_at(QPointF(event.pos())) if by_mouse else self.current
        if at is not None and at < len(self.tiles):
            self.set_current(at)
            self.menu_requested.emit(
                at, event.globalPos() if by_mouse else self.mapToGlobal(self.tile_rect(at).center())
            )

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrow keys, Home and End select; Return, Enter and Space activate."""
        step = {
            Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1, Qt.Key.Key_Up: -self.columns, Qt.Key.Key_Down: self.columns,
            Qt.Key.Key_Home: -len(self.tiles), Qt.Key.Key_End: len(self.tiles),
        }.get(Qt.Key(event.key()))  # fmt: skip
        if self.tiles and step is not None and not event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.set_current(min(max(self.current + step, 0), len(self.tiles) - 1))
            self.scroll_to_current()
        elif self.tiles and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.picked.emit(self.current)
        else:
            event.ignore()
            self.key_pressed.emit(event)

    def scroll_to_current(self) -> None:
        """Scroll to the current thumbnail."""
        port = self.parentWidget()
        area = None if port is None else port.parentWidget()
        if isinstance(area, QScrollArea):
            middle = self.tile_rect(self.current).center()
            area.ensureVisible(middle.x(), middle.y(), self.side, self.side)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.scroll_to_current()

    def event(self, event: QEvent) -> bool:
        """Show a tooltip with the label and what activating does."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            at = self.tile_at(QPointF(event.pos()))
            text = "" if at is None else self._tip_of(self.tiles[at])
            QToolTip.showText(event.globalPos(), text, self)
            return True
        return super().event(event)

    def _tip_of(self, tile: Thumbnail) -> str:
        return f"{_text(tile)}\n{self._tip}"

    # --- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            painter.setFont(font(SMALL_PX))
            for at, tile in enumerate(self.tiles):
                box = self.tile_rect(at)
                if box.adjusted(-1, -1, 1, CAPTION_HEIGHT).intersects(event.rect()):
                    self._paint_tile(painter, at, tile, box)

    def _paint_tile(self, painter: QPainter, at: int, tile: Thumbnail, box: QRect) -> None:
        theme = current_theme()
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, max(tile.picture.shape) > self.side)
        painter.setOpacity(0.4 if tile.faded else 1.0)
        painter.drawImage(box, self._image(at, tile))
        painter.setOpacity(1.0)
        is_current = at == self.current
        idle = theme.text if is_current and self._click_selects else theme.border
        edge = theme.o if is_current and self.hasFocus() else idle
        painter.setPen(QPen(QColor(edge), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(box.adjusted(-1, -1, 0, 0))
        if tile.highlight is not None:
            self._paint_patch(painter, tile, box)
        if tile.badge:
            self._paint_badge(painter, tile.badge, box)
        self._paint_label(
            painter, tile, QRectF(box.left(), box.bottom() + 2, self._pitch - GAP, CAPTION_HEIGHT - 2)
        )

    def _paint_patch(self, painter: QPainter, tile: Thumbnail, box: QRect) -> None:
        """Outline the highlighted part, visible on ink and on background; nothing for the whole image."""
        assert tile.highlight is not None
        (rows, columns), (high, wide) = tile.highlight, tile.picture.shape
        if not (rows and columns) or (len(rows), len(columns)) == (high, wide):
            return
        x, y = box.width() / wide, box.height() / high
        left, top = round(box.left() + columns.start * x), round(box.top() + rows.start * y)
        right, bottom = round(box.left() + columns.stop * x), round(box.top() + rows.stop * y)
        frame = QRect(left, top, max(right - left, 2) - 1, max(bottom - top, 2) - 1)
        for colour, out in ((current_theme().background, 1), (current_theme().value_stops[4], 0)):
            painter.setPen(QPen(QColor(colour), 1))
            painter.drawRect(frame.adjusted(-out, -out, out, out))

    def _paint_badge(self, painter: QPainter, text: str, box: QRect) -> None:
        wide = painter.fontMetrics().horizontalAdvance(text) + 6
        place = QRectF(box.right() + 1 - wide, box.top(), wide, CAPTION_HEIGHT)
        painter.fillRect(place, QColor(current_theme().hover))
        painter.setPen(QColor(current_theme().text))
        painter.drawText(place, Qt.AlignmentFlag.AlignCenter, text)

    def _paint_label(self, painter: QPainter, tile: Thumbnail, place: QRectF) -> None:
        """Paint the class's symbol, its name and the caption; "neither" in full where there is room."""
        theme, middle, room = current_theme(), place.center().y(), QRectF(place)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        index = tile.class_index
        if index >= 0:
            centre = QPointF(place.left() + _SYMBOL / 2 + 1, middle)
            paint_class_symbol(painter, theme, index, tile.label, centre, _SYMBOL)
            name = place.adjusted(_SYMBOL + 5, 0, 0, 0)
            if class_symbol(tile.label):
                painter.setPen(QColor(theme.class_colour(index)))
                painter.drawText(name, left, tile.label)
                room.setLeft(name.left() + painter.fontMetrics().horizontalAdvance(tile.label) + _CAPTION_GAP)
            else:
                taken = painter.fontMetrics().horizontalAdvance(tile.caption + " ") if tile.caption else 0
                paint_class_name(painter, theme, index, tile.label, name.adjusted(0, 0, -taken, 0))
                room.setLeft(name.left())
        else:
            painter.setPen(QColor(theme.text))
            label = "?" if tile.caption or self.side < TILE_SIDE else tile.label
            painter.drawText(place, left, label)
            room.setLeft(place.left() + painter.fontMetrics().horizontalAdvance(label) + _CAPTION_GAP)
        painter.setPen(QColor(theme.secondary_text))
        caption = elided_text(tile.caption, room.width())
        painter.drawText(room, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, caption)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def _image(self, at: int, tile: Thumbnail) -> QImage:
        if at not in self._images:
            thin = max(1, max(tile.picture.shape) // _MAX_PIXELS)
            self._images[at] = picture_atlas(tile.picture[None, ::thin, ::thin], current_theme())
        return self._images[at]


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """One image.

    picture: (H, W), -1 to 1.
    label: the name of its class, or "neither".
    caption: text after the label, such as a weight.
    faded: whether it is painted faded, because it is not used.
    badge: a warning text on a corner of the image.
    details: additional text for the tooltip.
    highlight: the (rows, columns) to outline.
    class_index: of the label among the classes of its network; -1 for "neither".
    """

    picture: HostArray
    label: str
    caption: str = ""
    faded: bool = False
    badge: str = ""
    details: str = ""
    highlight: tuple[range, range] | None = None
    class_index: int = -1


def scroll_area(widget: QWidget, parent: QWidget) -> QScrollArea:
    """A vertical scroll area around a widget."""
    area = QScrollArea(parent)
    area.setWidget(widget)
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return area


def _text(tile: Thumbnail) -> str:
    """Everything that is said of a thumbnail: "X ×3, predicted O, 91 %"."""
    first = f"{tile.label} {tile.caption}".strip()
    return f"{first}, {tile.details}" if tile.details else first
