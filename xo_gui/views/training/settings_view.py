"""The Settings panel: optimizer, schedule, frozen layers and stop conditions, before and during training."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, Final

from PySide6.QtCore import QPointF, QRectF, QSignalBlocker, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from engine.documents import Document
from engine.nn import Network
from engine.runtime import Snapshot, TrainingReport
from engine.training import LEARNING, OPTIMIZERS, SCHEDULES, STOPPING, Optimizer, Schedule, TrainingConfig
from xo_gui.app import SMALL_PX, current_theme, engine_text, font
from xo_gui.state import SetConfig, TrainingSettings, stop_reason_text
from xo_gui.views.network import layer_names
from xo_gui.views.view import View
from xo_gui.widgets import COMPACT_STYLE, CheckBox, ComboBox, SettingsForm, integer_text, scroll_area

# Check boxes created at once; those of a very deep network follow in slices while visible.
BOXES_PER_SLICE = 24


class FrozenLayers(QWidget):
    """A check box per layer with parameters.

    boxes: by layer name (conv2d-1). chosen(names): the user set the frozen layers.
    """

    chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.boxes: dict[str, CheckBox] = {}
        self._pending: deque[tuple[str, str]] = deque()
        self._frozen: frozenset[str] = frozenset()
        self._rows = QVBoxLayout(self)
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.setSpacing(3)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._create_boxes)

    def set_network(self, network: Network) -> None:
        """Show the layers of another network."""
        for box in self.boxes.values():
            box.hide()
            box.deleteLater()
        self.boxes = {}
        labels = layer_names(network)
        self._pending = deque(
            (network.names[number], labels[number])
            for number, cost in enumerate(network.costs, 1)
            if cost.parameters
        )
        self._create_boxes()

    def set_frozen(self, names: Collection[str]) -> None:
        """Check the boxes of these layers."""
        self._frozen = frozenset(names)
        for name, box in self.boxes.items():
            with QSignalBlocker(box):
                box.setChecked(name in self._frozen)

    @property
    def all_frozen(self) -> bool:
        """Whether there are layers, and all of them are frozen."""
        names = [*self.boxes, *(name for name, _ in self._pending)]
        return bool(names) and self._frozen.issuperset(names)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._timer.start()

    def _create_boxes(self) -> None:
        for _ in range(min(BOXES_PER_SLICE, len(self._pending))):
            self._create_box(*self._pending.popleft())
        if self._pending and self.isVisible():
            self._timer.start()

    def _create_box(self, name: str, label: str) -> None:
        box = CheckBox(label, self)
        tip = self.tr("Freeze {0}: its weights do not change while the other layers learn").format(label)
        box.setToolTip(tip)
        box.setStatusTip(tip)
        box.setFont(font(SMALL_PX))
        box.setAccessibleName(self.tr("Freeze {0}").format(label))
        box.setChecked(name in self._frozen)
        box.clicked.connect(self._emit_chosen)
        self._rows.addWidget(box)
        self.boxes[name] = box

    def _emit_chosen(self) -> None:
        checked = [name for name, box in self.boxes.items() if box.isChecked()]
        self.chosen.emit((*checked, *(name for name, _ in self._pending if name in self._frozen)))


_POINTS: Final = 160
_CURVE_HEIGHT: Final = 30  # logical pixels, as the next ones
_TEXT_HEIGHT: Final = 15
_DOT_RADIUS: Final = 3.5


class RateCurve(QWidget):
    """The learning rate over the steps of the run, from 0 to its maximum."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._config: TrainingConfig | None = None
        self._steps_per_epoch, self._step = 1, 0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self.tr("Learning rate over the run"))
        tip = self.tr("The learning rate over the run, by schedule and epochs; the dot is the current step")
        self.setToolTip(tip)
        self.setStatusTip(tip)

    def sizeHint(self) -> QSize:
        return QSize(120, _CURVE_HEIGHT + _TEXT_HEIGHT)

    def set_run(self, config: TrainingConfig, steps_per_epoch: int, step: int) -> None:
        """Show the rate of a run after `step` steps."""
        state = (config, max(1, steps_per_epoch), step)
        if state != (self._config, self._steps_per_epoch, self._step):
            self._config, self._steps_per_epoch, self._step = state
            self.setAccessibleDescription(self.text)
            self.update()

    @property
    def text(self) -> str:
        """The rate and the number of the current step."""
        if self._config is None:
            return ""
        return self.tr("now {0} · step {1} of {2}").format(
            f"{self._rate(self._step / self._last):.3g}", integer_text(self._step), integer_text(self._last)
        )

    @property
    def _last(self) -> int:
        """The number of steps of all epochs."""
        return self._steps_per_epoch * (1 if self._config is None else self._config.epochs)

    def _rate(self, done: float) -> float:
        config = self._config
        return 0.0 if config is None else config.optimizer.rate * config.schedule.factor(min(done, 1.0))

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._config is None:
            return
        theme = current_theme()
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            shares = [index / _POINTS for index in range(_POINTS + 1)]
            rates = [self._rate(share) for share in shares]
            top, wide, high = max(rates) or 1.0, self.width() - 2 * _DOT_RADIUS, _CURVE_HEIGHT - 2 * _DOT_RADIUS
            points = [
                QPointF(_DOT_RADIUS + wide * share, _DOT_RADIUS + high * (1 - rate / top))
                for share, rate in zip(shares, rates, strict=True)
            ]
            done = min(self._step / self._last, 1.0)
            dot = QPointF(_DOT_RADIUS + wide * done, _DOT_RADIUS + high * (1 - self._rate(done) / top))
            painter.setPen(QPen(QColor(theme.border), 1))
            painter.drawLine(QPointF(0, _CURVE_HEIGHT - 0.5), QPointF(self.width(), _CURVE_HEIGHT - 0.5))
            painter.setPen(QPen(QColor(theme.secondary_text), 1.2))
            painter.drawPolyline(QPolygonF(points))
            self._paint_stop(painter, wide)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme.text))
            painter.drawEllipse(dot, _DOT_RADIUS, _DOT_RADIUS)
            painter.setFont(font(SMALL_PX))
            painter.setPen(QColor(theme.secondary_text))
            box = QRectF(0, _CURVE_HEIGHT, self.width(), _TEXT_HEIGHT)
            text = painter.fontMetrics().elidedText(self.text, Qt.TextElideMode.ElideRight, self.width())
            painter.drawText(box, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, text)

    def _paint_stop(self, painter: QPainter, wide: float) -> None:
        """A dashed line where the step limit ends the run before its epochs do."""
        steps = None if self._config is None else self._config.steps
        if steps is not None and steps < self._last:
            painter.setPen(QPen(QColor(current_theme().secondary_text), 1, Qt.PenStyle.DashLine))
            x = _DOT_RADIUS + wide * steps / self._last
            painter.drawLine(QPointF(x, 0), QPointF(x, _CURVE_HEIGHT))


# The setting of a configuration behind each stop reason.
_STOP_SETTING = {
    "epochs": "epochs",
    "steps": "steps",
    "patience": "patience",
    "target": "target",
    "seconds": "seconds",
}


class SettingsView(View):
    """The rate over the run; optimizer, schedule, batch, frozen layers and stop conditions."""

    title = "Settings"

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._settings: TrainingSettings | None = None
        self._training: TrainingReport | None = None
        self._network: Network | None = None
        # The last settings of each kind, so that switching kinds loses nothing.
        self._last_of_kind: dict[str, Optimizer | Schedule] = {}
        self.curve = RateCurve(self)
        self.status_label = QLabel(self)
        self.status_label.setWordWrap(True)
        self.status_label.setFont(font(SMALL_PX))
        self._create_parts()
        self._create_layout()

    def sizeHint(self) -> QSize:
        return QSize(210, 210)

    # -- display -----------------------------------------------------------------------------------------------

    @property
    def layer_boxes(self) -> dict[str, CheckBox]:
        """The check boxes that freeze layers, by layer name."""
        return self._frozen.boxes

    def set_document(self, document: Document) -> None:
        network = document.models[0].network
        if network is not self._network and network != self._network:
            self._network = network
            self._frozen.set_network(network)
            self._show_frozen()

    def set_training(self, settings: TrainingSettings) -> None:
        before, self._settings = self._settings, settings
        if before is None or before.config != settings.config:
            self._show_config(settings.config)
        self._show_run()

    def _show_config(self, config: TrainingConfig) -> None:
        for choice, form, part in (
            (self.optimizer, self.optimizer_form, config.optimizer),
            (self.schedule, self.schedule_form, config.schedule),
        ):
            self._last_of_kind[part.kind] = part
            with QSignalBlocker(choice):
                choice.setCurrentIndex(choice.findData(part.kind))
            choice.setAccessibleDescription(engine_text(part.summary))
            form.show_settings(part)
        self.learning_form.show_settings(config)
        self.stop_form.show_settings(config)
        self._show_frozen()

    def set_snapshot(self, snapshot: Snapshot) -> None:
        if snapshot.training is not self._training:
            self._training = snapshot.training
            self._show_run()

    def _show_run(self) -> None:
        settings = self._settings
        if settings is None:
            return
        training = self._training if settings.live else None
        examples = settings.training_data.count if settings.training_data is not None else settings.data.count
        step = (
            0
            if training is None
            else training.current_point.step
            if settings.shown_point is None
            else settings.shown_point.step
        )
        self.curve.set_run(settings.config, -(-examples // settings.config.batch), step)
        ended = training.stop_reason if training is not None and settings.shown_point is None else None
        for name, row in self.stop_form.rows.items():
            row.set_highlighted(name == _STOP_SETTING.get(ended or ""))
        self._show_message(stop_reason_text(training) if training is not None and ended is not None else "")

    def _show_message(self, text: str) -> None:
        if not text and self._frozen.all_frozen:
            text = self.tr("All layers are frozen: training changes nothing.")
        self.status_label.setText(text)
        self.status_label.setVisible(bool(text))

    def _show_frozen(self) -> None:
        frozen = () if self._settings is None else self._settings.config.frozen
        self._frozen.set_frozen(frozen)

    # -- input -------------------------------------------------------------------------------------------------

    def _change_config(self, change: Callable[[TrainingConfig], TrainingConfig]) -> None:
        """Command a changed configuration; an invalid one becomes a message."""
        if self._settings is None:
            return
        try:
            config = change(self._settings.config)
        except ValueError as error:
            self.message.emit(str(error))
            self._show_config(self._settings.config)
            return
        if config != self._settings.config:
            self.commanded.emit(SetConfig(config))

    def _set_in_optimizer(self, name: str, value: object) -> None:
        self._change_config(
            lambda config: replace(config, optimizer=replace(config.optimizer, **_one(name, value)))
        )

    def _set_in_schedule(self, name: str, value: object) -> None:
        self._change_config(lambda config: replace(config, schedule=replace(config.schedule, **_one(name, value))))

    def _set_in_config(self, name: str, value: object) -> None:
        self._change_config(lambda config: replace(config, **_one(name, value)))

    def _choose_optimizer(self, index: int) -> None:
        kind = self.optimizer.itemData(index)
        chosen = self._last_of_kind.get(kind) or OPTIMIZERS[kind]()
        self._change_config(lambda config: replace(config, **_one("optimizer", chosen)))

    def _choose_schedule(self, index: int) -> None:
        kind = self.schedule.itemData(index)
        chosen = self._last_of_kind.get(kind) or SCHEDULES[kind]()
        self._change_config(lambda config: replace(config, **_one("schedule", chosen)))

    def _set_frozen(self, frozen: tuple[str, ...]) -> None:
        self._change_config(lambda config: replace(config, frozen=frozen))

    # -- layout ------------------------------------------------------------------------------------------------

    def _create_parts(self) -> None:
        tip = self.tr("How each step moves the weights against the gradient of the error")
        self.optimizer = self._choice(self.tr("Optimizer"), tip, OPTIMIZERS, self._choose_optimizer)
        tip = self.tr("How the learning rate changes over the run")
        self.schedule = self._choice(self.tr("Schedule"), tip, SCHEDULES, self._choose_schedule)
        self.optimizer_form = self._form("", self._set_in_optimizer)
        self.schedule_form = self._form("", self._set_in_schedule)
        self.learning_form = self._form(LEARNING, self._set_in_config)
        self.stop_form = self._form(STOPPING, self._set_in_config)
        self._frozen = FrozenLayers(self)
        self._frozen.chosen.connect(self._set_frozen)

    def _choice(self, name: str, tip: str, kinds: Mapping[str, type[Any]], slot: Callable[[int], None]) -> ComboBox:
        choice = ComboBox(self)
        choice.setStyleSheet(COMPACT_STYLE)
        choice.setAccessibleName(name)
        choice.setToolTip(tip)
        choice.setStatusTip(tip)
        choice.setFont(font(SMALL_PX))
        for index, (kind, settings) in enumerate(kinds.items()):
            choice.addItem(engine_text(settings.title), kind)
            choice.setItemData(index, engine_text(settings.summary), Qt.ItemDataRole.ToolTipRole)
        choice.activated.connect(slot)
        return choice

    def _form(self, group: str, slot: Callable[[str, object], None]) -> SettingsForm:
        form = SettingsForm(group, self)
        form.chosen.connect(slot)
        form.rejected.connect(self.message)
        return form

    def _create_layout(self) -> None:
        inside = QWidget(self)
        rows = QVBoxLayout(inside)
        rows.setContentsMargins(0, 0, 6, 0)
        rows.setSpacing(4)
        for title, *parts in (
            (self.tr("Optimizer"), self.optimizer, self.optimizer_form, self.learning_form),
            (self.tr("Schedule"), self.schedule, self.schedule_form),
            (self.tr("Freeze"), self._frozen),
            (self.tr("Stop"), self.stop_form),
        ):
            if rows.count():
                rows.addSpacing(8)
            header = QLabel(title, inside)
            header.setFont(font(SMALL_PX, strong=True))
            line = QHBoxLayout()
            line.addWidget(header)
            if isinstance(parts[0], ComboBox):
                choice = parts.pop(0)
                header.setBuddy(choice)
                line.addWidget(choice, 1)
            rows.addLayout(line)
            for part in parts:
                rows.addWidget(part)
        rows.addStretch()
        scroll = scroll_area(inside, self)
        scroll.verticalScrollBar().setAccessibleName(self.tr("Scroll through the settings"))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.curve)
        column.addWidget(self.status_label)
        column.addWidget(scroll, 1)


def _one(name: str, value: object) -> dict[str, Any]:
    """One setting as keyword arguments of replace(), of any type."""
    return {name: value}
