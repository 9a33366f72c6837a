"""Workbench: the protocol of window and engine without a window or a thread, one event at a time, in any order.

The test does what EngineThread and MainWindow do with the two mailboxes: it computes a Request, runs a slice of
work, takes a Snapshot. A fake clock that advances at every call makes a slice exactly one piece of work.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from engine.data import PoolSettings
from engine.data.xo import XOSettings
from engine.documents import Document, shipped_model
from engine.drawings import Stroke
from engine.nn import Model, Network
from engine.nn.layers import Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU
from engine.runtime import Request, Runner, Snapshot
from xo_gui.state import Command, Session, SetConfig, SetData, TrainingController
from xo_gui.state.mailbox import Mailbox

NETWORK = Network(
    (1, 8, 8), (Conv2D(2, 3, padding=1), ReLU(), MaxPool2D(), Flatten(), Dropout(0.2), Dense(2)), classes=("X", "O")
)
OTHER = Network((1, 8, 8), (Flatten(), Dense(2)), classes=("X", "O"))
SMALL = PoolSettings(XOSettings(side=8, size=(0.6, 1.0)), 40, 12, seed=3)
BATCH, TICK = 10, 0.001


def subject(network: Network = NETWORK, seed: int = 1) -> Model:
    return Model("Small" if network is NETWORK else "Other", network, network.initial_parameters(seed))


def stroke(x: float) -> Stroke:
    return Stroke(np.array([[x, 0.1, 0.1], [1 - x, 0.9, 0.1]], np.float32))


class Workbench:
    """Session, TrainingController and Runner, and the two mailboxes between them."""

    def __init__(self, patch: pytest.MonkeyPatch, document: Document | None = None) -> None:
        ticks = count(1)
        patch.setattr("engine.runtime.scheduler.perf_counter", lambda: TICK * next(ticks))
        self.session = Session(document or Document.blank(subject()))
        self.control = TrainingController(self.session)
        self.runner = Runner("cpu")
        self.requests: Mailbox[Request] = Mailbox()
        self.snapshots: Mailbox[Snapshot] = Mailbox()
        self.request: Request | None = None
        self.last: Snapshot | None = None
        self.notices: list[str] = []
        self.session.changed.connect(self.ask)
        self.control.changed.connect(self.ask)
        self.session.notice_received.connect(lambda notice: self.notices.append(notice.text))
        self.execute(SetData(SMALL))
        self.execute(SetConfig(replace(self.control.settings.config, batch=BATCH, seed=5)))

    def execute(self, command: Command) -> None:
        self.control.execute(command)

    def ask(self) -> None:
        self.requests.put(self.session.request(self.control.request, self.control.live))

    # -- events that may happen at any time --------------------------------------------------------------------

    def answer(self) -> bool:
        """The engine computes the pending Request; returns whether there was one."""
        request = self.requests.take()
        if request is None:
            return False
        self.request = request
        self.snapshots.put(self.runner.compute(request))
        return True

    def work(self) -> bool:
        """The engine, without a pending Request, runs a slice of work; returns whether there was any."""
        if not self.requests.empty or self.request is None or not self.runner.busy:
            return False
        self.runner.run_for(1.5 * TICK)
        if not self.runner.busy or self.snapshots.empty:
            self.snapshots.put(self.runner.compute(self.request))
        return True

    def take(self) -> bool:
        """The window takes the pending Snapshot; returns whether there was one."""
        snapshot = self.snapshots.take()
        if snapshot is None:
            return False
        self.session.report_notices(snapshot.notices)
        if snapshot.generation >= self.session.generation:
            if snapshot.predictions:
                self.last = snapshot
            self.control.on_snapshot(snapshot)
        return True

    def settle(self, most: int = 5_000) -> Snapshot:
        """Run until all work is done; returns the last Snapshot."""
        for _ in range(most):
            if not (self.take() or self.answer() or self.work()):
                assert self.last is not None
                return self.last
        raise AssertionError("the work does not end")

    def until_step(self, step: int) -> None:
        """Run until a Snapshot shows this step or a later one."""
        for _ in range(5_000):
            if (
                self.last is not None
                and self.last.training is not None
                and self.last.training.current_point.step >= step
            ):
                return
            assert self.take() or self.answer() or self.work()

    @property
    def subject(self) -> Model:
        return self.session.document.models[0]


def model_of_other_classes() -> Model:
    """The default network, for crosses and circles as a folder of pictures may name them."""
    model = shipped_model("default")
    return replace(model, name="Shapes", network=model.network.with_classes(("crosses", "circles")))
