"""Train menu: everything asked of training, with its key, and whether it can be asked now. It only wishes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QInputDialog, QMenu, QSpinBox

from xo_gui.action_maker import ActionMaker
from xo_gui.state.commands import Look, OneEpoch, OneStep, Pause, StartOver, Train, TrainOn, Wish

if TYPE_CHECKING:
    from xo_gui.main_window import MainWindow

LARGEST_SEED = 999_999


class TrainMenu(QObject):
    """Fills `menu`. refresh: to be called whenever the intent or what came of it is another."""

    def __init__(self, window: MainWindow, menu: QMenu, make: ActionMaker) -> None:
        super().__init__(window)
        self._window, self.menu = window, menu
        self._shown: tuple[object, ...] = ()
        tr = self.tr
        self.train = make(menu, "", "", self._train, "Ctrl+Return")
        self.step = make(menu, tr("One &step"), tr("Learn from one batch, then pause"), self._step, "Ctrl+T")
        self.epoch = make(
            menu, tr("One &epoch"), tr("Learn to the end of this pass over all examples, then pause"), self._epoch,
            "Ctrl+E",
        )  # fmt: skip
        menu.addSeparator()
        self.over = make(
            menu, tr("Start &over"), tr("Back to the same start, as a branch of its own; nothing is lost"),
            self._over, "Ctrl+R",
        )  # fmt: skip
        self.new = make(
            menu, tr("&New start…"), tr("Start over from other random weights, those of the seed you give"),
            self._new, "Ctrl+Shift+R",
        )  # fmt: skip
        self.on = make(
            menu, tr("Train on from these &weights"), tr("Begin a run of its own from the weights on the screen"),
            self._on, "Ctrl+Shift+T",
        )  # fmt: skip
        menu.addSeparator()
        self.here = make(
            menu, tr("Continue &from here"), tr("Go on from the moment looked at, as a branch"), self._here,
            "Ctrl+Shift+Return",
        )  # fmt: skip
        self.now = make(menu, tr("&Back to now"), tr("Stop looking back"), self._back, "Ctrl+B")
        self.good = make(
            menu,
            tr("Last &good moment"),
            tr("Look at the last moment before it got worse"),
            self._good,
            "Ctrl+G",
        )
        menu.addSeparator()
        self.command = make(
            menu, tr("&Copy as command"), tr("Copy the xo train command that makes these weights again"),
            self._copy, "Ctrl+Shift+C",
        )  # fmt: skip
        self.refresh()

    def refresh(self) -> None:
        """What can be asked now, and what the first action would do."""
        control = self._window.training
        goal, intent, training = control.goal, control.intent, control.training
        back = intent.look is not None
        stuck = training is not None and training.state in ("diverged", "failed")
        good = training.good if training is not None else None
        state = (intent.running, goal is None, back, stuck, good, control.live)
        if state == self._shown:
            return
        self._shown = state
        self._say_main(intent.running, goal is None or not control.live)
        self.over.setEnabled(goal is not None)
        self.on.setEnabled(not intent.running and not back)
        self.here.setEnabled(back or stuck)
        self.now.setEnabled(back)
        self.good.setEnabled(good is not None and intent.look != good)

    def _say_main(self, running: bool, fresh: bool) -> None:
        text, tip = self.tr("&Train on"), self.tr("Go on with training")
        if running:
            text, tip = self.tr("&Pause"), self.tr("Let training stand still")
        elif fresh:
            text, tip = self.tr("&Train from scratch"), self.tr("Train from fresh weights, and see features form")
        self.train.setText(text)
        self.train.setStatusTip(tip)

    # -- what the person asks ----------------------------------------------------------------------------------

    def _wish(self, wish: Wish) -> None:
        self._window.training.wish(wish)

    def _train(self) -> None:
        self._wish(Pause() if self._window.training.intent.running else Train())

    def _step(self) -> None:
        self._wish(OneStep())

    def _epoch(self) -> None:
        self._wish(OneEpoch())

    def _over(self) -> None:
        self._wish(StartOver())

    def _on(self) -> None:
        self._wish(TrainOn())

    def _here(self) -> None:
        self._wish(Train())

    def _back(self) -> None:
        self._wish(Look(None))

    def _good(self) -> None:
        training = self._window.training.training
        if training is not None and training.good is not None:
            self._wish(Look(training.good))

    def _new(self) -> None:
        """Ask for a seed; the window goes on meanwhile."""
        seed = self._window.training.intent.recipe.seed
        dialog = QInputDialog(self._window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setWindowTitle(self.tr("New start"))
        dialog.setLabelText(self.tr("Seed, which the first weights, the drawings and their order follow"))
        dialog.setInputMode(QInputDialog.InputMode.IntInput)
        dialog.setIntRange(0, LARGEST_SEED)
        dialog.setIntValue(seed % LARGEST_SEED + 1)
        for box in dialog.findChildren(QSpinBox):
            box.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        dialog.intValueSelected.connect(self._seeded)
        dialog.open()

    def _seeded(self, seed: int) -> None:
        self._wish(StartOver(seed))

    def _copy(self) -> None:
        """Put the command on the clipboard, and say what it does not hold."""
        try:
            told = self._window.training.told(self._window.device_name)
        except ValueError as error:
            self._window.say(str(error))
            return
        QGuiApplication.clipboard().setText(told.command)
        said = self.tr("Copied: it makes the whole run.")
        if told.step is not None:
            said = self.tr("Copied: it makes these weights, those of step {0}.").format(told.step)
        if told.lacks:
            said += self.tr(" It does not hold {0}.").format("; ".join(told.lacks))
        self._window.say(said)
