"""Settings view: everything a run is told, to be changed before it or on the way. It trains nothing: it only
wishes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from PySide6.QtCore import QSignalBlocker, QSize, Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from engine.documents.document import Document
from engine.nn.network import Network
from engine.runtime.protocol import Snapshot
from engine.runtime.training_protocol import Training
from engine.training.optimizers import OPTIMIZERS, Optimizer
from engine.training.recipe import ENDING, LEARNING, SCHEDULES, Recipe, Schedule
from xo_gui.app.theme import SMALL_PX, Theme, font
from xo_gui.state.commands import Intent, LearnBy
from xo_gui.state.training_controller import ending
from xo_gui.views.canvas_buttons import TickBox
from xo_gui.views.choice_box import ChoiceBox
from xo_gui.views.frozen_layers import FrozenLayers
from xo_gui.views.rate_curve import RateCurve
from xo_gui.views.settings_form import COMPACT, SettingsForm, tr
from xo_gui.views.thumbnails import scrolled
from xo_gui.views.view import View

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
