"""Settings view: everything a run is told, to be changed before it or on the way. It trains nothing: it only
wishes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, Final

from PySide6.QtCore import QPointF, QRectF, QSignalBlocker, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from engine.documents.document import Document
from engine.nn.network import Network
from engine.runtime.protocol import Snapshot
from engine.runtime.training_protocol import Training
from engine.training.optimizers import OPTIMIZERS, Optimizer
from engine.training.recipe import ENDING, LEARNING, SCHEDULES, Recipe, Schedule
from xo_gui.app.theme import DARK, SMALL_PX, Theme, font
from xo_gui.state.commands import Intent, LearnBy
from xo_gui.state.training_controller import ending
from xo_gui.views.network.layer_labels import layer_names
from xo_gui.views.view import View
from xo_gui.widgets.buttons import TickBox
from xo_gui.widgets.form import COMPACT, ChoiceBox, SettingsForm, tr
from xo_gui.widgets.number_text import number
from xo_gui.widgets.thumbnails import scrolled

# So many boxes are made at once; of a thousand layers the others follow while somebody looks, a few at a time.
AT_ONCE = 24


class FrozenLayers(QWidget):
    """boxes: by a layer's name (01-conv2d). chosen(names): these are to be frozen."""

    chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.boxes: dict[str, TickBox] = {}
        self._coming: deque[tuple[str, str]] = deque()
        self._frozen: frozenset[str] = frozenset()
        self._rows = QVBoxLayout(self)
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.setSpacing(3)
        self._soon = QTimer(self, singleShot=True, interval=0)
        self._soon.timeout.connect(self._make_some)

    def show_network(self, network: Network) -> None:
        """The layers of another network."""
        for box in self.boxes.values():
            box.hide()
            box.deleteLater()
        self.boxes = {}
        called = layer_names(network)
        self._coming = deque(
            (network.names[place], called[place]) for place, cost in enumerate(network.costs, 1) if cost.parameters
        )
        self._make_some()

    def show_frozen(self, names: Collection[str]) -> None:
        """These are frozen."""
        self._frozen = frozenset(names)
        for name, box in self.boxes.items():
            with QSignalBlocker(box):
                box.setChecked(name in self._frozen)

    @property
    def all_frozen(self) -> bool:
        """Whether there are layers, and none of them learns."""
        names = [*self.boxes, *(name for name, _ in self._coming)]
        return bool(names) and self._frozen.issuperset(names)

    def showEvent(self, event: QShowEvent) -> None:
        """Somebody looks: the boxes that are not there yet are made."""
        super().showEvent(event)
        self._soon.start()

    def _make_some(self) -> None:
        for _ in range(min(AT_ONCE, len(self._coming))):
            self._make(*self._coming.popleft())
        if self._coming and self.isVisible():
            self._soon.start()

    def _make(self, name: str, called: str) -> None:
        box = TickBox(called, self)
        tip = self.tr("{0} stays as it is, to the last byte, while the others learn").format(called)
        box.setToolTip(tip)
        box.setStatusTip(tip)
        box.setFont(font(SMALL_PX))
        box.setAccessibleName(self.tr("Freeze {0}").format(called))
        box.setChecked(name in self._frozen)
        box.clicked.connect(self._tell)
        self._rows.addWidget(box)
        self.boxes[name] = box

    def _tell(self) -> None:
        ticked = [name for name, box in self.boxes.items() if box.isChecked()]
        self.chosen.emit((*ticked, *(name for name, _ in self._coming if name in self._frozen)))


_POINTS: Final = 160
_CURVE: Final = 30  # pixels
_WORDS: Final = 15
_DOT: Final = 3.5


class RateCurve(QWidget):
    """From the first step at the left to the last one at the right, from 0 at the foot to the greatest rate."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._recipe: Recipe | None = None
        self._steps_an_epoch, self._now = 1, 0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self.tr("Learning rate over the run"))
        tip = self.tr(
            "The learning rate over the run, as schedule and epochs have it; the dot is where training is"
        )
        self.setToolTip(tip)
        self.setStatusTip(tip)

    def sizeHint(self) -> QSize:
        """A low strip, and a line of words."""
        return QSize(120, _CURVE + _WORDS)

    def show_run(self, recipe: Recipe, steps_an_epoch: int, now: int) -> None:
        """recipe: of the run; now: how many steps are made."""
        state = (recipe, max(1, steps_an_epoch), now)
        if state != (self._recipe, self._steps_an_epoch, self._now):
            self._recipe, self._steps_an_epoch, self._now = state
            self.setAccessibleDescription(self.words)
            self.update()

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self._theme = theme
        self.update()

    @property
    def words(self) -> str:
        """The rate of the next step, and where in the run that is."""
        if self._recipe is None:
            return ""
        return self.tr("now {0} · step {1} of {2}").format(
            f"{self._rate(self._now / self._last):.3g}", number(self._now), number(self._last)
        )

    @property
    def _last(self) -> int:
        """How many steps the run has, if nothing else ends it."""
        return self._steps_an_epoch * (1 if self._recipe is None else self._recipe.epochs)

    def _rate(self, done: float) -> float:
        recipe = self._recipe
        return 0.0 if recipe is None else recipe.optimizer.rate * recipe.schedule.factor(min(done, 1.0))

    def paintEvent(self, event: QPaintEvent) -> None:
        """The curve, what lies behind in strong, and a dot."""
        if self._recipe is None:
            return
        painter, theme = QPainter(self), self._theme
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        shares = [place / _POINTS for place in range(_POINTS + 1)]
        rates = [self._rate(share) for share in shares]
        top, wide, high = max(rates) or 1.0, self.width() - 2 * _DOT, _CURVE - 2 * _DOT
        points = [
            QPointF(_DOT + wide * share, _DOT + high * (1 - rate / top))
            for share, rate in zip(shares, rates, strict=True)
        ]
        done = min(self._now / self._last, 1.0)
        here = QPointF(_DOT + wide * done, _DOT + high * (1 - self._rate(done) / top))
        painter.setPen(QPen(QColor(theme.line), 1))
        painter.drawLine(QPointF(0, _CURVE - 0.5), QPointF(self.width(), _CURVE - 0.5))
        painter.setPen(QPen(QColor(theme.quiet), 1.2))
        painter.drawPolyline(QPolygonF(points))
        self._paint_stop(painter, wide)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.text))
        painter.drawEllipse(here, _DOT, _DOT)
        painter.setFont(font(SMALL_PX))
        painter.setPen(QColor(theme.quiet))
        box = QRectF(0, _CURVE, self.width(), _WORDS)
        words = painter.fontMetrics().elidedText(self.words, Qt.TextElideMode.ElideRight, self.width())
        painter.drawText(box, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, words)

    def _paint_stop(self, painter: QPainter, wide: float) -> None:
        """A dashed line where a limit of steps ends the run before its epochs do."""
        steps = None if self._recipe is None else self._recipe.steps
        if steps is not None and steps < self._last:
            painter.setPen(QPen(QColor(self._theme.quiet), 1, Qt.PenStyle.DashLine))
            x = _DOT + wide * steps / self._last
            painter.drawLine(QPointF(x, 0), QPointF(x, _CURVE))


# Which setting of a recipe is behind each end.
_BEHIND = {"epochs": "epochs", "steps": "steps", "patience": "patience", "target": "target", "seconds": "seconds"}


class SettingsView(View):
    """The rate over the run; optimizer, schedule, batch and weights, frozen layers, and what ends the run."""

    title = "Settings"

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._intent: Intent | None = None
        self._training: Training | None = None
        self._network: Network | None = None
        # What was last chosen of each kind, so that trying another one loses nothing.
        self._kept: dict[str, Optimizer | Schedule] = {}
        self.curve = RateCurve(self)
        self.words = QLabel(self)
        self.words.setWordWrap(True)
        self.words.setFont(font(SMALL_PX))
        self._make_parts()
        self._lay_out()

    def sizeHint(self) -> QSize:
        """As wide as the panel it lies behind."""
        return QSize(210, 210)

    # -- what is shown -----------------------------------------------------------------------------------------

    @property
    def layers(self) -> dict[str, TickBox]:
        """The box of every layer that may be frozen, by the layer's name."""
        return self._frozen.boxes

    def show_document(self, document: Document) -> None:
        """The layers that may be frozen."""
        network = document.subjects[0].network
        if network is not self._network and network != self._network:
            self._network = network
            self._frozen.show_network(network)
            self._show_frozen()

    def show_intent(self, intent: Intent) -> None:
        """The settings as they are."""
        before, self._intent = self._intent, intent
        if before is None or before.recipe != intent.recipe:
            self._show_recipe(intent.recipe)
        self._show_run()

    def _show_recipe(self, recipe: Recipe) -> None:
        for choice, form, part in (
            (self.optimizer, self.of_optimizer, recipe.optimizer),
            (self.schedule, self.of_schedule, recipe.schedule),
        ):
            self._kept[part.kind] = part
            with QSignalBlocker(choice):
                choice.setCurrentIndex(choice.findData(part.kind))
            choice.setAccessibleDescription(tr(part.summary))
            form.show_settings(part)
        self.learning.show_settings(recipe)
        self.ending.show_settings(recipe)
        self._show_frozen()

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Where training stands, and what ended it."""
        if snapshot.training is not self._training:
            self._training = snapshot.training
            self._show_run()

    def set_theme(self, theme: Theme) -> None:
        """Wear these colours."""
        self.curve.set_theme(theme)

    def _show_run(self) -> None:
        intent = self._intent
        if intent is None:
            return
        training = self._training if intent.live else None
        lesson = intent.lesson.count if intent.lesson is not None else intent.data.count
        now = 0 if training is None else training.now.step if intent.look is None else intent.look.step
        self.curve.show_run(intent.recipe, -(-lesson // intent.recipe.batch), now)
        ended = training.ended if training is not None and intent.look is None else None
        for name, row in self.ending.rows.items():
            row.mark(name == _BEHIND.get(ended or ""))
        self._say(ending(training) if training is not None and ended is not None else "")

    def _say(self, text: str) -> None:
        if not text and self._frozen.all_frozen:
            text = self.tr("Every layer is frozen: nothing will be learnt.")
        self.words.setText(text)
        self.words.setVisible(bool(text))

    def _show_frozen(self) -> None:
        frozen = () if self._intent is None else self._intent.recipe.frozen
        self._frozen.show_frozen(frozen)

    # -- what the person does ----------------------------------------------------------------------------------

    def _wish(self, change: Callable[[Recipe], Recipe]) -> None:
        """Another recipe; one that cannot be is one sentence, and changes nothing."""
        if self._intent is None:
            return
        try:
            recipe = change(self._intent.recipe)
        except ValueError as error:
            self.said.emit(str(error))
            self._show_recipe(self._intent.recipe)
            return
        if recipe != self._intent.recipe:
            self.wished.emit(LearnBy(recipe))

    def _refused(self, text: str) -> None:
        self.said.emit(self.tr("“{0}” is not a number that can be here; type one such as 0.01 or 20.").format(text))

    def _of_optimizer(self, name: str, value: object) -> None:
        self._wish(lambda recipe: replace(recipe, optimizer=replace(recipe.optimizer, **_one(name, value))))

    def _of_schedule(self, name: str, value: object) -> None:
        self._wish(lambda recipe: replace(recipe, schedule=replace(recipe.schedule, **_one(name, value))))

    def _of_recipe(self, name: str, value: object) -> None:
        self._wish(lambda recipe: replace(recipe, **_one(name, value)))

    def _optimizer_chosen(self, place: int) -> None:
        kind = self.optimizer.itemData(place)
        chosen = self._kept.get(kind) or OPTIMIZERS[kind]()
        self._wish(lambda recipe: replace(recipe, **_one("optimizer", chosen)))

    def _schedule_chosen(self, place: int) -> None:
        kind = self.schedule.itemData(place)
        chosen = self._kept.get(kind) or SCHEDULES[kind]()
        self._wish(lambda recipe: replace(recipe, **_one("schedule", chosen)))

    def _frozen_chosen(self, frozen: tuple[str, ...]) -> None:
        self._wish(lambda recipe: replace(recipe, frozen=frozen))

    # -- what it is made of ------------------------------------------------------------------------------------

    def _make_parts(self) -> None:
        tip = self.tr("How the values move against the slope of the error")
        self.optimizer = self._choice(self.tr("Optimizer"), tip, OPTIMIZERS, self._optimizer_chosen)
        tip = self.tr("How the learning rate changes over the run")
        self.schedule = self._choice(self.tr("Schedule"), tip, SCHEDULES, self._schedule_chosen)
        self.of_optimizer = self._form("", self._of_optimizer)
        self.of_schedule = self._form("", self._of_schedule)
        self.learning = self._form(LEARNING, self._of_recipe)
        self.ending = self._form(ENDING, self._of_recipe)
        self._frozen = FrozenLayers(self)
        self._frozen.chosen.connect(self._frozen_chosen)

    def _choice(
        self, name: str, tip: str, kinds: Mapping[str, type[Any]], slot: Callable[[int], None]
    ) -> ChoiceBox:
        choice = ChoiceBox(self)
        choice.setStyleSheet(COMPACT)
        choice.setAccessibleName(name)
        choice.setToolTip(tip)
        choice.setStatusTip(tip)
        choice.setFont(font(SMALL_PX))
        for place, (kind, made) in enumerate(kinds.items()):
            choice.addItem(tr(made.title), kind)
            choice.setItemData(place, tr(made.summary), Qt.ItemDataRole.ToolTipRole)
        choice.activated.connect(slot)
        return choice

    def _form(self, group: str, slot: Callable[[str, object], None]) -> SettingsForm:
        form = SettingsForm(group, self)
        form.chosen.connect(slot)
        form.refused.connect(self._refused)
        return form

    def _lay_out(self) -> None:
        inside = QWidget(self)
        rows = QVBoxLayout(inside)
        rows.setContentsMargins(0, 0, 6, 0)
        rows.setSpacing(4)
        for title, *parts in (
            (self.tr("Optimizer"), self.optimizer, self.of_optimizer, self.learning),
            (self.tr("Schedule"), self.schedule, self.of_schedule),
            (self.tr("Freeze"), self._frozen),
            (self.tr("Stop"), self.ending),
        ):
            if rows.count():
                rows.addSpacing(8)
            head = QLabel(title, inside)
            head.setFont(font(SMALL_PX, strong=True))
            line = QHBoxLayout()
            line.addWidget(head)
            if isinstance(parts[0], ChoiceBox):
                choice = parts.pop(0)
                head.setBuddy(choice)
                line.addWidget(choice, 1)
            rows.addLayout(line)
            for part in parts:
                rows.addWidget(part)
        rows.addStretch()
        scroll = scrolled(inside, self)
        scroll.verticalScrollBar().setAccessibleName(self.tr("Scroll through the settings"))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.curve)
        column.addWidget(self.words)
        column.addWidget(scroll, 1)


def _one(name: str, value: object) -> dict[str, Any]:
    """One setting by its name, whatever its type."""
    return {name: value}
