"""Thumbnails: a list of small labelled images, in rows of as many as there is room for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QPointF,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QFocusEvent,
    QFontMetricsF,
    QImage,
    QKeyEvent,
    QPainter,
    QPen,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QListView,
    QScrollArea,
    QSizePolicy,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from engine.backends import HostArray
from engine.data import class_symbol
from xo_gui.app import SMALL_PX, current_theme, font, theme_service
from xo_gui.widgets.class_symbols import elided_text, paint_class_name, paint_class_symbol
from xo_gui.widgets.map_images import picture_atlas

TILE_SIDE, GAP, CAPTION_HEIGHT = 40, 5, 15
_SYMBOL, _CAPTION_GAP = 9.0, 4
_MAX_PIXELS = 128  # a side: larger images are subsampled before they are painted
_MOVES = frozenset(
    {
        Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Home, Qt.Key.Key_End,
        Qt.Key.Key_PageUp, Qt.Key.Key_PageDown,
    }
)  # fmt: skip
_ACTIVATES = frozenset({Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space})
_Index = QModelIndex | QPersistentModelIndex
_ROOT = QModelIndex()


class Thumbnails(QListView):
    """A list of thumbnails, side by side.

    picked(index): a thumbnail is activated. chosen: another thumbnail is the current one. key_pressed: a key
    without a meaning here. menu_requested(index, position): a context menu is requested.
    """

    picked = Signal(int)
    chosen = Signal()
    key_pressed = Signal(QKeyEvent)
    menu_requested = Signal(int, QPoint)

    def __init__(
        self,
        name: str,
        tip: str,
        parent: QWidget,
        *,
        click_selects: bool = False,
        side: int = TILE_SIDE,
        scrolls: bool = True,
    ) -> None:
        """name: the accessible name.
        tip: what activating does.
        click_selects: whether a click only selects, and a double click or Return activates.
        side: of each image, in pixels.
        scrolls: whether it scrolls; if not, it is as high as its rows need.
        """
        super().__init__(parent)
        theme_service.changed.connect(self._repaint)
        self.side, self._scrolls = side, scrolls
        self._tiles = ThumbnailModel(tip, self)
        self.setModel(self._tiles)
        self.setItemDelegate(ThumbnailDelegate(side, click_selects, self))
        self.setAccessibleName(name)
        self.setStatusTip(tip)
        self._lay_out()
        (self.doubleClicked if click_selects else self.clicked).connect(self._pick)

    def _lay_out(self) -> None:
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setMovement(QListView.Movement.Static)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setUniformItemSizes(True)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._set_pitch()
        if not self._scrolls:
            self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
            policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
            policy.setHeightForWidth(True)
            self.setSizePolicy(policy)

    @property
    def tiles(self) -> tuple[Thumbnail, ...]:
        """The thumbnails shown."""
        return self._tiles.tiles

    def show_tiles(self, tiles: Sequence[Thumbnail]) -> None:
        """Show these thumbnails; those that are the same objects as before stay as they are."""
        count = len(self.tiles)
        self._tiles.show(tiles)
        self._set_pitch()
        if count != len(self.tiles):
            self.updateGeometry()
        if self.tiles and not self.currentIndex().isValid():
            self.set_current(0)

    @property
    def current(self) -> int:
        """The index of the current thumbnail; -1 for none."""
        return self.currentIndex().row()

    def set_current(self, at: int) -> None:
        """Make a thumbnail the current one."""
        self.setCurrentIndex(self._tiles.index(at))

    def currentChanged(self, current: _Index, previous: _Index) -> None:
        super().currentChanged(current, previous)
        self.chosen.emit()

    def _pick(self, index: QModelIndex) -> None:
        self.picked.emit(index.row())

    def _repaint(self) -> None:
        self.viewport().update()

    # --- geometry

    @property
    def columns(self) -> int:
        """The number of thumbnails in a row."""
        bar = self.verticalScrollBar().sizeHint().width() if self._scrolls else 0
        return self._columns(self.maximumViewportSize().width() - bar)

    def _columns(self, width: int) -> int:
        return max(1, width // self.gridSize().width())

    def _set_pitch(self) -> None:
        """Set the distance of images: the label and caption of each have room, up to twice their side."""
        metrics = QFontMetricsF(font(SMALL_PX))
        widest = 0.0
        for tile in self.tiles:
            if tile.caption:
                label = metrics.horizontalAdvance(tile.label if class_symbol(tile.label) else "?")
                widest = max(widest, _SYMBOL + 5 + label + _CAPTION_GAP + metrics.horizontalAdvance(tile.caption))
        pitch = min(max(self.side, math.ceil(widest)), 2 * self.side) + GAP
        if pitch != self.gridSize().width():
            self.setGridSize(QSize(pitch, self.side + CAPTION_HEIGHT + GAP))
            self.updateGeometry()

    def tile_rect(self, at: int) -> QRect:
        """The rectangle of a thumbnail's image, in the viewport."""
        return image_rect(self.visualRect(self._tiles.index(at)), self.side)

    def hasHeightForWidth(self) -> bool:
        return not self._scrolls

    def heightForWidth(self, width: int) -> int:
        return max(1, -(-len(self.tiles) // self._columns(width))) * self.gridSize().height()

    def sizeHint(self) -> QSize:
        width = 4 * self.gridSize().width()
        return QSize(width, self.heightForWidth(width))

    def minimumSizeHint(self) -> QSize:
        """One thumbnail, and the scroll bar."""
        bar = self.verticalScrollBar().sizeHint().width() if self._scrolls else 0
        return QSize(self.gridSize().width() + bar, self.side + CAPTION_HEIGHT)

    # --- input

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Request a menu for the thumbnail under the mouse, or by key for the current one."""
        by_mouse = event.reason() == QContextMenuEvent.Reason.Mouse
        index = self.indexAt(event.pos()) if by_mouse else self.currentIndex()
        if index.isValid():
            self.setCurrentIndex(index)
            middle = self.viewport().mapToGlobal(self.tile_rect(index.row()).center())
            self.menu_requested.emit(index.row(), event.globalPos() if by_mouse else middle)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrow keys, Home, End and the page keys select; Return, Enter and Space activate."""
        if self.tiles and event.key() in _ACTIVATES:
            self.picked.emit(self.current)
        elif event.key() in _MOVES and not event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            super().keyPressEvent(event)
        else:
            event.ignore()
            self.key_pressed.emit(event)

    def moveCursor(self, action: QAbstractItemView.CursorAction, modifiers: Qt.KeyboardModifier) -> QModelIndex:
        """Down reaches the last thumbnail also where its row is shorter than the one above, and Up the first."""
        ends = {
            QAbstractItemView.CursorAction.MoveUp: 0,
            QAbstractItemView.CursorAction.MoveDown: len(self.tiles) - 1,
        }
        index = super().moveCursor(action, modifiers)
        return self._tiles.index(ends[action]) if action in ends and index == self.currentIndex() else index

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.scrollTo(self.currentIndex())


class ThumbnailModel(QAbstractListModel):
    """The thumbnails of a list; what is said of each is its tooltip and its name for screen readers."""

    def __init__(self, tip: str, parent: QWidget) -> None:
        """tip: what activating does."""
        super().__init__(parent)
        self._tip = tip
        self.tiles: tuple[Thumbnail, ...] = ()

    def show(self, tiles: Sequence[Thumbnail]) -> None:
        """Replace the thumbnails; rows that are the same objects before and after are not touched."""
        before, after = self.tiles, tuple(tiles)
        common = min(len(before), len(after))
        first = _same(before, after, common)
        last = _same(reversed(before), reversed(after), common - first)
        at, added = common - last, len(after) - len(before)
        if added > 0:
            self.beginInsertRows(_ROOT, at, at + added - 1)
            self.tiles = after
            self.endInsertRows()
        elif added < 0:
            self.beginRemoveRows(_ROOT, at, at - added - 1)
            self.tiles = after
            self.endRemoveRows()
        self.tiles = after
        if first < at:
            self.dataChanged.emit(self.index(first), self.index(at - 1))

    def rowCount(self, parent: _Index = _ROOT) -> int:
        return 0 if parent.isValid() else len(self.tiles)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> str | None:
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return _text(self.tiles[index.row()])
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{_text(self.tiles[index.row()])}\n{self._tip}"
        return None


class ThumbnailDelegate(QStyledItemDelegate):
    """Paints thumbnails; their images are made when they are first seen."""

    def __init__(self, side: int, click_selects: bool, view: QListView) -> None:
        super().__init__(view)
        self._view, self._side, self._click_selects = view, side, click_selects
        self._images: WeakKeyDictionary[Thumbnail, QImage] = WeakKeyDictionary()
        theme_service.changed.connect(self._discard_images)

    def _discard_images(self) -> None:
        self._images.clear()

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:
        return self._view.gridSize()

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        theme, model = current_theme(), index.model()
        assert isinstance(model, ThumbnailModel)
        tile, box = model.tiles[index.row()], image_rect(option.rect, self._side)
        painter.save()
        painter.setFont(font(SMALL_PX))
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, max(tile.picture.shape) > self._side)
        painter.setOpacity(0.4 if tile.faded else 1.0)
        painter.drawImage(box, self._image(tile))
        painter.setOpacity(1.0)
        is_current = index == self._view.currentIndex()
        idle = theme.text if is_current and self._click_selects else theme.border
        has_focus = bool(option.state & QStyle.StateFlag.State_HasFocus)
        painter.setPen(QPen(QColor(theme.o if has_focus else idle), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(box.adjusted(-1, -1, 0, 0))
        if tile.highlight is not None:
            self._paint_patch(painter, tile, box)
        if tile.badge:
            self._paint_badge(painter, tile.badge, box)
        width = self._view.gridSize().width() - GAP
        self._paint_label(painter, tile, QRectF(box.left(), box.bottom() + 2, width, CAPTION_HEIGHT - 2))
        painter.restore()

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
            label = "?" if tile.caption or self._side < TILE_SIDE else tile.label
            painter.drawText(place, left, label)
            room.setLeft(place.left() + painter.fontMetrics().horizontalAdvance(label) + _CAPTION_GAP)
        painter.setPen(QColor(theme.secondary_text))
        caption = elided_text(tile.caption, room.width())
        painter.drawText(room, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, caption)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def _image(self, tile: Thumbnail) -> QImage:
        image = self._images.get(tile)
        if image is None:
            thin = max(1, max(tile.picture.shape) // _MAX_PIXELS)
            image = self._images[tile] = picture_atlas(tile.picture[None, ::thin, ::thin], current_theme())
        return image


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


def image_rect(cell: QRect, side: int) -> QRect:
    """The rectangle of the image in the cell of a thumbnail."""
    return QRect(cell.left() + 1, cell.top() + 1, side, side)


def _same(before: Iterable[Thumbnail], after: Iterable[Thumbnail], limit: int) -> int:
    """How many of the first `limit` thumbnails are the same objects."""
    pairs = zip(range(limit), before, after, strict=False)
    return next((at for at, one, other in pairs if one is not other), limit)
