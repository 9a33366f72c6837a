"""The "Features over time" panel: a layer's kernels at several keyframes of the training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, QSizeF, Qt, Signal
from PySide6.QtGui import QColor, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QComboBox, QToolTip, QVBoxLayout, QWidget

from engine.backends import HostArray
from engine.nn import RunPoint
from engine.runtime import AnyQuery, DeadFeaturesQuery, Keyframe, Snapshot, TrainingReport
from engine.training import NetworkStatistics
from xo_gui.app import SMALL_PX, current_theme, font, theme_service
from xo_gui.state import ShowPoint, TrainingSettings
from xo_gui.views.network import layer_names, paint_dead_mark, rounded_limit
from xo_gui.views.training.histogram_rows import dead_tooltip
from xo_gui.views.view import View
from xo_gui.widgets import kernel_atlas, paint_empty

_GAP, _TEXT_HEIGHT, _MIN_WIDTH, _PAD = 8.0, 16.0, 44.0, 4.0
_MAX_SCALE = 14.0  # logical pixels of a weight
_MAX_CHANNELS = 16  # input channels of a kernel that are drawn


@dataclass(frozen=True)
class KeyframeBox:
    """A keyframe and its rectangle."""

    box: QRectF
    keyframe: Keyframe


class FeatureHistoryView(View):
    """Keyframes side by side; a click shows the network at one. The layer is chosen at the top."""

    title = "Features over time"
    is_throttled = True

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.chooser = QComboBox(self)
        self.chooser.setAccessibleName(self.tr("Layer whose features are shown"))
        self.chooser.setToolTip(self.tr("Which layer's features are shown"))
        self.chooser.setFont(font(SMALL_PX))
        self.chooser.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.strip = KeyframeStrip(self)
        self.chooser.currentIndexChanged.connect(self._on_layer_chosen)
        self.strip.commanded.connect(self.commanded)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.chooser, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self.strip, 1)
        self._training: TrainingReport | None = None
        self._statistics: NetworkStatistics | None = None
        self._network: object = None
        self.setFocusProxy(self.strip)

    def sizeHint(self) -> QSize:
        return QSize(250, 200)

    def set_snapshot(self, snapshot: Snapshot) -> None:
        if snapshot.predictions and snapshot.predictions[0].model.network is not self._network:
            self._fill_chooser(snapshot)
        if snapshot.training is not self._training:
            self._training = snapshot.training
            training = self._training
            keyframes, current = ((), None) if training is None else (training.keyframes, training.current_point)
            self.strip.set_keyframes(keyframes, current)
        self._statistics = snapshot.result(DeadFeaturesQuery())
        self._update_dead_features()

    def queries(self) -> frozenset[AnyQuery]:
        return frozenset({DeadFeaturesQuery()})

    def set_training(self, settings: TrainingSettings) -> None:
        self.strip.set_shown_point(settings.shown_point)

    def _fill_chooser(self, snapshot: Snapshot) -> None:
        """List the layers with weights of the network shown."""
        network = snapshot.predictions[0].model.network
        same, self._network = network == self._network, network
        if same:
            return
        names = layer_names(network)
        self.chooser.blockSignals(True)
        self.chooser.clear()
        for number, key in enumerate(network.names):
            if f"{key}.weight" in network.parameter_shapes and len(network.parameter_shapes[f"{key}.weight"]) > 1:
                self.chooser.addItem(names[number], f"{key}.weight")
        self.chooser.blockSignals(False)
        self._on_layer_chosen()

    def _on_layer_chosen(self) -> None:
        self.strip.set_layer(self.chooser.currentData() or "")
        self._update_dead_features()

    def _update_dead_features(self) -> None:
        statistics = self._statistics
        if statistics is None:
            self.strip.set_dead_features((), 0)
            return
        layer = str(self.chooser.currentData() or "").partition(".")[0]
        dead = (each.channels for each in statistics.dead if statistics.network.names[each.layer] == layer)
        self.strip.set_dead_features(next(dead, ()), statistics.examples)


class KeyframeStrip(QWidget):
    """The keyframes. commanded(ShowPoint): one was clicked."""

    commanded = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        theme_service.changed.connect(self._discard_images)
        self._layer = ""
        self._shown_point: RunPoint | None = None
        self._current_point: RunPoint | None = None
        self._dead: tuple[int, ...] = ()
        self._examples = 0
        self._keyframes: tuple[Keyframe, ...] = ()
        self._images: dict[RunPoint, QImage] = {}
        self._columns = 1
        self._limit = 1.0
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Features over time"))

    def set_keyframes(self, keyframes: tuple[Keyframe, ...], current_point: RunPoint | None) -> None:
        """Show these keyframes, as many as there is room for."""
        self._current_point = current_point
        known = {keyframe.point for keyframe in keyframes}
        if known != {keyframe.point for keyframe in self._keyframes}:
            self._keyframes = keyframes
            self._images = {point: image for point, image in self._images.items() if point in known}
            self.setAccessibleDescription(
                ", ".join(self.tr("step {0}").format(keyframe.point.step) for keyframe in keyframes)
            )
            self._update_limit()

    def set_dead_features(self, channels: tuple[int, ...], examples: int) -> None:
        """Mark these features in the keyframe shown. examples: number of drawings on which they are 0."""
        if (channels, examples) != (self._dead, self._examples):
            self._dead, self._examples = channels, examples
            self.update()

    def set_layer(self, layer: str) -> None:
        """Show the kernels of a layer, given by the name of its weight."""
        self._layer = layer
        self._images.clear()
        self._update_limit()

    def set_shown_point(self, point: RunPoint | None) -> None:
        """Highlight the keyframe nearest to the point shown; None for the current one."""
        self._shown_point = point
        self.update()

    def _discard_images(self) -> None:
        self._images.clear()
        self.update()

    def keyframe_boxes(self) -> list[KeyframeBox]:
        """The painted keyframes and their rectangles: the first, the last, and what fits between."""
        keyframes = [keyframe for keyframe in self._keyframes if self._layer in keyframe.parameters]
        most = max(2, int((self.width() + _GAP) // (_MIN_WIDTH + _GAP)))
        if len(keyframes) > most:
            keyframes = [keyframes[round(index)] for index in np.linspace(0, len(keyframes) - 1, most)]
        if not keyframes:
            return []
        width = (self.width() + _GAP) / len(keyframes) - _GAP
        room = QSizeF(width - 2 * _PAD, self.height() - _TEXT_HEIGHT - 2 * _PAD)
        columns, scale = _largest_layout(keyframes[0].parameters[self._layer].shape, room)
        if columns != self._columns:
            self._columns = columns
            self._images.clear()
        size = _atlas_size(keyframes[0].parameters[self._layer].shape, columns)
        width = min(width, max(size.width() * scale + 2 * _PAD, _MIN_WIDTH))
        height = min(float(self.height()), size.height() * scale + 2 * _PAD + _TEXT_HEIGHT)
        boxes = (QRectF(index * (width + _GAP), 0, width, height) for index in range(len(keyframes)))
        return [KeyframeBox(box, keyframe) for box, keyframe in zip(boxes, keyframes, strict=True)]

    # -- input -------------------------------------------------------------------------------------------------

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        box = self._box_at(event.position())
        if box is not None:
            self._show(box.keyframe)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Left and right move between keyframes; Esc shows the current step."""
        move = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()))
        if event.key() == Qt.Key.Key_Escape:
            self.commanded.emit(ShowPoint(None))
        elif move is None or not self._keyframes:
            super().keyPressEvent(event)
        else:
            index = self._shown_index(self._keyframes)
            self._show(self._keyframes[min(max(index + move, 0), len(self._keyframes) - 1)])

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip:
            box = self._box_at(QPointF(event.pos()))  # type: ignore[attr-defined]
            text = "" if box is None else self._tip(box)
            QToolTip.showText(event.globalPos(), text, self)  # type: ignore[attr-defined]
            return True
        return super().event(event)

    def _tip(self, box: KeyframeBox) -> str:
        """The step, and the dead features in the keyframe shown."""
        text = self.tr("Show step {0}").format(box.keyframe.point.step)
        keyframes = [each.keyframe for each in self.keyframe_boxes()]
        if self._dead and box.keyframe is keyframes[self._shown_index(keyframes)]:
            return text + "\n\n" + dead_tooltip(self._dead, self._examples)
        return text

    def _show(self, keyframe: Keyframe) -> None:
        self.commanded.emit(ShowPoint(None if keyframe.point == self._current_point else keyframe.point))

    def _box_at(self, position: QPointF) -> KeyframeBox | None:
        return next((box for box in self.keyframe_boxes() if box.box.contains(position)), None)

    def _shown_index(self, keyframes: Sequence[Keyframe]) -> int:
        """The index of the keyframe nearest to the point shown."""
        if self._shown_point is None:
            return len(keyframes) - 1
        step = self._shown_point.step
        return min(range(len(keyframes)), key=lambda index: abs(keyframes[index].point.step - step))

    # -- painting ----------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            painter.setFont(font(SMALL_PX))
            boxes = self.keyframe_boxes()
            if not boxes:
                text = self.tr("Train, and the features of earlier steps are kept here.")
                paint_empty(painter, QRectF(self.rect()), text, "film")
                return
            current = boxes[self._shown_index([box.keyframe for box in boxes])]
            for box in boxes:
                self._paint_keyframe(painter, box, box is current)

    def _paint_keyframe(self, painter: QPainter, place: KeyframeBox, current: bool) -> None:
        theme, box = current_theme(), place.box
        if current:
            painter.setPen(QColor(theme.o) if self.hasFocus() else Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme.control))
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), 5, 5)
        image = self._image(place.keyframe)
        room = box.adjusted(_PAD, _PAD, -_PAD, -_TEXT_HEIGHT - _PAD)
        scale = min(room.width() / image.width(), room.height() / image.height())
        width, height = image.width() * scale, image.height() * scale
        target = QRectF(room.x() + (room.width() - width) / 2, room.y(), width, height)
        painter.drawImage(target, image)
        if current:
            self._paint_dead_marks(painter, target, place.keyframe)
        painter.setPen(QColor(theme.text if current else theme.secondary_text))
        label = QRectF(box.x(), box.bottom() - _TEXT_HEIGHT, box.width(), _TEXT_HEIGHT)
        painter.drawText(label, Qt.AlignmentFlag.AlignCenter, str(place.keyframe.point.step))
        if current and self._dead and target.bottom() < label.top() - _TEXT_HEIGHT + 4:
            text = self.tr("{0} dead").format(len(self._dead))
            painter.drawText(label.translated(0, 4 - _TEXT_HEIGHT), Qt.AlignmentFlag.AlignCenter, text)

    def _paint_dead_marks(self, painter: QPainter, target: QRectF, keyframe: Keyframe) -> None:
        """A mark on every dead feature; the weights of a dense layer are one image without marks."""
        shape = keyframe.parameters[self._layer].shape
        if len(shape) < 4:
            return
        columns = self._columns
        height = target.height() / -(-shape[0] // columns)
        for channel in self._dead:
            down, right = divmod(channel, columns)
            side = min(10.0, height - 1)
            left = target.x() + right * target.width() / columns
            middle = QPointF(left + height / 2 - 1, target.y() + (down + 0.5) * height - 1)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(current_theme().background))
            painter.drawEllipse(middle, side / 2 + 1.5, side / 2 + 1.5)
            paint_dead_mark(painter, current_theme(), middle, side)

    def _image(self, keyframe: Keyframe) -> QImage:
        if keyframe.point not in self._images:
            weights = _kernel_grid(keyframe.parameters[self._layer], self._columns)
            self._images[keyframe.point] = kernel_atlas(weights, self._limit, current_theme())
        return self._images[keyframe.point]

    def _update_limit(self) -> None:
        """One colour scale for all keyframes, so that growing weights are visible."""
        arrays = [kept.parameters[self._layer] for kept in self._keyframes if self._layer in kept.parameters]
        finite = [np.abs(array[np.isfinite(array)]).max(initial=0.0) for array in arrays]
        limit = rounded_limit(float(max(finite, default=1.0)))
        if limit != self._limit:
            self._limit = limit
            self._images.clear()
        self.update()


def _kernel_grid(weights: HostArray, columns: int) -> HostArray:
    """Weights as (rows, columns, height, width) for kernel_atlas, with a margin of zeros after each kernel.

    Kernels of one channel are in so many columns; the weights of a dense layer are one image.
    """
    if weights.ndim == 2:
        return weights[None, None]
    padded = np.pad(weights[:, :_MAX_CHANNELS], ((0, 0), (0, 0), (0, 1), (0, 1)))
    return padded.reshape(-1, columns * padded.shape[1], *padded.shape[2:])


def _atlas_size(shape: tuple[int, ...], columns: int) -> QSizeF:
    """The size of the image of a layer's weights, in weights, with so many features side by side."""
    if len(shape) == 2:
        return QSizeF(shape[1], shape[0])
    channels = min(shape[1], _MAX_CHANNELS)
    return QSizeF(columns * channels * (shape[3] + 1), shape[0] // columns * (shape[2] + 1))


def _largest_layout(shape: tuple[int, ...], room: QSizeF) -> tuple[int, float]:
    """How many features side by side make the image the largest in this room, and logical pixels of a weight."""
    choices = [
        count for count in range(1, shape[0] + 1) if shape[0] % count == 0 and len(shape) == 4 and shape[1] == 1
    ]

    def scale(columns: int) -> float:
        size = _atlas_size(shape, columns)
        return min(room.width() / size.width(), room.height() / size.height(), _MAX_SCALE)

    columns = max(choices or [1], key=scale)
    return columns, max(scale(columns), 0.0)
