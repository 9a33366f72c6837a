"""Film view: a layer's features at some moments of the training, from its start until now. It trains nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QComboBox, QToolTip, QVBoxLayout, QWidget

from engine.nn.model import Moment
from engine.runtime.protocol import Snapshot
from engine.runtime.training_protocol import Frame, Training
from xo_gui.app.theme import DARK, SMALL_PX, Theme, font
from xo_gui.state.commands import Intent, Look
from xo_gui.views.network.colour_limits import calm
from xo_gui.views.network.dead_features import paint_dead
from xo_gui.views.network.layer_labels import layer_names
from xo_gui.views.training.histogram_rows import dead_tip
from xo_gui.views.view import View
from xo_gui.widgets.map_images import HostArray, kernel_atlas

_GAP, _WORDS, _LEAST_WIDE, _PAD = 8.0, 16.0, 44.0, 4.0
_TALLEST = 2.4  # a frame's height in widths
_MOST_SLICES = 16  # channels of a feature that are drawn


@dataclass(frozen=True)
class Place:
    """A frame as it is painted."""

    box: QRectF
    frame: Frame


class FilmView(View):
    """Frames side by side; a click looks back at one. The layer is chosen at the top."""

    title = "Features over time"
    calm = True

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.chooser = QComboBox(self)
        self.chooser.setAccessibleName(self.tr("Layer whose features are shown"))
        self.chooser.setToolTip(self.tr("Which layer's features are shown"))
        self.chooser.setFont(font(SMALL_PX))
        self.chooser.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.strip = FilmStrip(self)
        self.chooser.currentIndexChanged.connect(self._chosen)
        self.strip.picked.connect(self.wished)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.chooser, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self.strip, 1)
        self._training: Training | None = None
        self._network: object = None
        self.setFocusProxy(self.strip)

    def sizeHint(self) -> QSize:
        """Half a dozen frames."""
        return QSize(250, 200)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """The frames there are now."""
        if snapshot.readings and snapshot.readings[0].subject.network is not self._network:
            self._offer(snapshot)
        if snapshot.training is not self._training:
            self._training = snapshot.training
            training = self._training
            frames, now = ((), None) if training is None else (training.frames, training.now)
            self.strip.show_frames(frames, now)
            self._show_dead()

    def show_intent(self, intent: Intent) -> None:
        """The moment looked at stands out."""
        self.strip.show_look(intent.look)

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self.strip.set_theme(theme)

    def _offer(self, snapshot: Snapshot) -> None:
        """The layers of the network on the screen that have weights."""
        network = snapshot.readings[0].subject.network
        same, self._network = network == self._network, network
        if same:
            return
        names = layer_names(network)
        self.chooser.blockSignals(True)
        self.chooser.clear()
        for place, key in enumerate(network.names):
            if f"{key}.weight" in network.parameter_shapes and len(network.parameter_shapes[f"{key}.weight"]) > 1:
                self.chooser.addItem(names[place], f"{key}.weight")
        self.chooser.blockSignals(False)
        self._chosen()

    def _chosen(self) -> None:
        self.strip.show_layer(self.chooser.currentData() or "")
        self._show_dead()

    def _show_dead(self) -> None:
        """The dead features of the layer shown, as they were found last."""
        found = None if self._training is None else self._training.statistics
        if found is None:
            self.strip.show_dead((), 0)
            return
        layer = str(self.chooser.currentData() or "").partition(".")[0]
        dead = (each.channels for each in found.dead if found.network.names[each.layer] == layer)
        self.strip.show_dead(next(dead, ()), found.examples)


class FilmStrip(QWidget):
    """The frames themselves. picked(wish): look at one."""

    picked = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme, self._layer = DARK, ""
        self._look: Moment | None = None
        self._now: Moment | None = None
        self._dead: tuple[int, ...] = ()
        self._examples = 0
        self._frames: tuple[Frame, ...] = ()
        self._images: dict[Moment, QImage] = {}
        self._level = 1.0
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("Features over time"))

    def show_frames(self, frames: tuple[Frame, ...], now: Moment | None) -> None:
        """Show these, as many as there is room for. now: where training stands."""
        self._now = now
        known = {frame.moment for frame in frames}
        if known != {frame.moment for frame in self._frames}:
            self._frames = frames
            self._images = {moment: image for moment, image in self._images.items() if moment in known}
            self.setAccessibleDescription(
                ", ".join(self.tr("step {0}").format(frame.moment.step) for frame in frames)
            )
            self._relevel()

    def show_dead(self, channels: tuple[int, ...], examples: int) -> None:
        """Mark these features in the frame of the moment looked at. examples: on how many drawings they are 0."""
        if (channels, examples) != (self._dead, self._examples):
            self._dead, self._examples = channels, examples
            self.update()

    def show_layer(self, layer: str) -> None:
        """Show the features of this layer, named as its weight."""
        self._layer = layer
        self._images.clear()
        self._relevel()

    def show_look(self, look: Moment | None) -> None:
        """The moment looked at."""
        self._look = look
        self.update()

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self._theme = theme
        self._images.clear()
        self.update()

    def places(self) -> list[Place]:
        """Which frames are painted, and where: the first, the last, and what fits between."""
        frames = [frame for frame in self._frames if self._layer in frame.parameters]
        most = max(2, int((self.width() + _GAP) // (_LEAST_WIDE + _GAP)))
        if len(frames) > most:
            frames = [frames[round(at)] for at in np.linspace(0, len(frames) - 1, most)]
        wide = min((self.width() + _GAP) / max(len(frames), 1) - _GAP, 84.0)
        high = min(float(self.height()), wide * _TALLEST + _WORDS)
        boxes = (QRectF(place * (wide + _GAP), 0, wide, high) for place in range(len(frames)))
        return [Place(box, frame) for box, frame in zip(boxes, frames, strict=True)]

    # -- the person --------------------------------------------------------------------------------------------

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Look back at the frame under the mouse."""
        place = self._under(event.position())
        if place is not None:
            self._pick(place.frame)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Left and right go from frame to frame; Esc to now."""
        turn = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()))
        if event.key() == Qt.Key.Key_Escape:
            self.picked.emit(Look(None))
        elif turn is None or not self._frames:
            super().keyPressEvent(event)
        else:
            at = self._current(self._frames)
            self._pick(self._frames[min(max(at + turn, 0), len(self._frames) - 1)])

    def event(self, event: QEvent) -> bool:
        """The tooltip names the step."""
        if event.type() == QEvent.Type.ToolTip:
            place = self._under(QPointF(event.pos()))  # type: ignore[attr-defined]
            text = "" if place is None else self._tip(place)
            QToolTip.showText(event.globalPos(), text, self)  # type: ignore[attr-defined]
            return True
        return super().event(event)

    def _tip(self, place: Place) -> str:
        """The step, and in the frame looked at what is dead."""
        said = self.tr("Look back at step {0}").format(place.frame.moment.step)
        frames = [each.frame for each in self.places()]
        if self._dead and place.frame is frames[self._current(frames)]:
            return said + "\n\n" + dead_tip(self._dead, self._examples)
        return said

    def _pick(self, frame: Frame) -> None:
        self.picked.emit(Look(None if frame.moment == self._now else frame.moment))

    def _under(self, at: QPointF) -> Place | None:
        return next((place for place in self.places() if place.box.contains(at)), None)

    def _current(self, frames: Sequence[Frame]) -> int:
        """Which of the frames is nearest to the moment looked at."""
        if self._look is None:
            return len(frames) - 1
        step = self._look.step
        return min(range(len(frames)), key=lambda at: abs(frames[at].moment.step - step))

    # -- painting ----------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        """The frames with their steps, or what to do."""
        painter, theme = QPainter(self), self._theme
        painter.setFont(font(SMALL_PX))
        places = self.places()
        if not places:
            painter.setPen(QColor(theme.quiet))
            words = self.tr("Train, and what the features were like is kept here.")
            painter.drawText(self.rect(), Qt.TextFlag.TextWordWrap, words)
            return
        current = places[self._current([place.frame for place in places])]
        for place in places:
            self._paint_frame(painter, place, place is current)

    def _paint_frame(self, painter: QPainter, place: Place, current: bool) -> None:
        theme, box = self._theme, place.box
        if current:
            painter.setPen(QColor(theme.o) if self.hasFocus() else Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme.control))
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), 5, 5)
        image = self._image(place.frame)
        room = box.adjusted(_PAD, _PAD, -_PAD, -_WORDS - _PAD)
        scale = min(room.width() / image.width(), room.height() / image.height())
        wide, high = image.width() * scale, image.height() * scale
        spot = QRectF(room.x() + (room.width() - wide) / 2, room.y(), wide, high)
        painter.drawImage(spot, image)
        if current:
            self._paint_dead(painter, spot, place.frame)
        painter.setPen(QColor(theme.text if current else theme.quiet))
        words = QRectF(box.x(), box.bottom() - _WORDS, box.width(), _WORDS)
        painter.drawText(words, Qt.AlignmentFlag.AlignCenter, str(place.frame.moment.step))
        if current and self._dead and spot.bottom() < words.top() - _WORDS + 4:
            said = self.tr("{0} dead").format(len(self._dead))
            painter.drawText(words.translated(0, 4 - _WORDS), Qt.AlignmentFlag.AlignCenter, said)

    def _paint_dead(self, painter: QPainter, spot: QRectF, frame: Frame) -> None:
        """The sign on every dead feature; a list's weights are one picture, whose words must do."""
        shape = frame.parameters[self._layer].shape
        if len(shape) < 4:
            return
        across = _across(shape)
        high = spot.height() / -(-shape[0] // across)
        for channel in self._dead:
            down, right = divmod(channel, across)
            side = min(10.0, high - 1)
            left = spot.x() + right * spot.width() / across
            middle = QPointF(left + high / 2 - 1, spot.y() + (down + 0.5) * high - 1)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(self._theme.ground))
            painter.drawEllipse(middle, side / 2 + 1.5, side / 2 + 1.5)
            paint_dead(painter, self._theme, middle, side)

    def _image(self, frame: Frame) -> QImage:
        if frame.moment not in self._images:
            weights = _slices(frame.parameters[self._layer])
            self._images[frame.moment] = kernel_atlas(weights, self._level, self._theme)
        return self._images[frame.moment]

    def _relevel(self) -> None:
        """One scale for all frames, so that growing weights are seen to grow."""
        arrays = [frame.parameters[self._layer] for frame in self._frames if self._layer in frame.parameters]
        finite = [np.abs(array[np.isfinite(array)]).max(initial=0.0) for array in arrays]
        level = calm(float(max(finite, default=1.0)))
        if level != self._level:
            self._level = level
            self._images.clear()
        self.update()


def _slices(weights: HostArray) -> HostArray:
    """Weights as kernel_atlas wants them, (rows, columns, high, wide), with a margin of zeros around each feature.

    Features of one channel stand in two columns; a list's weights are one picture.
    """
    if weights.ndim == 2:
        return weights[None, None]
    padded = np.pad(weights[:, :_MOST_SLICES], ((0, 0), (0, 0), (0, 1), (0, 1)))
    return padded.reshape(-1, 2, *padded.shape[2:]) if _across(weights.shape) == 2 else padded


def _across(shape: tuple[int, ...]) -> int:
    """How many features stand side by side."""
    return 2 if shape[1] == 1 and shape[0] % 2 == 0 else 1
