"""A fault of the GPU at any call: drawing, training and every query of the panels go on; one notice says why."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial
from time import perf_counter
from typing import Any

import numpy as np
import pytest

from engine.data import LabelledSample, PoolSettings
from engine.data.xo import XOSettings
from engine.documents import Document
from engine.drawings import Drawing, Stroke
from engine.explain import ExplanationQuery, StepQuery
from engine.nn import Model, Network, RunPoint
from engine.nn.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU
from engine.runtime import (
    AnyQuery,
    LabelledPredictionsQuery,
    LayerStatisticsQuery,
    Request,
    RobustnessQuery,
    RunEvaluationQuery,
    Runner,
    Snapshot,
    TrainingRequest,
)
from engine.training import SGD, TrainingConfig
from tests.conftest import Effort
from tests.engine import fake_cupy
from tests.engine.backends.cuda.cpu_device import needs_compiler
from tests.samples import drawing_sample

pytestmark = [needs_compiler, pytest.mark.expects_log]
NETWORK = Network(
    (1, 12, 12), (Conv2D(4, 3, padding=1), ReLU(), MaxPool2D(), Flatten(), Dense(2)), classes=("X", "O")
)
MODEL = Model("Small", NETWORK, NETWORK.initial_parameters(1))
DRAWINGS = [Drawing((Stroke(np.array([[0.2, 0.2, 0.1], [end, 0.8, 0.1]], np.float32)),)) for end in (0.4, 0.6, 0.8)]
OWN = tuple(LabelledSample(drawing_sample(drawing), "X") for drawing in DRAWINGS)
DOCUMENT = Document(drawing_sample(DRAWINGS[0]), (MODEL,), labelled_samples=OWN)
TRAINING = TrainingRequest(
    1,
    MODEL,
    "fresh",
    "first",
    TrainingConfig(SGD(0.05), batch=9, epochs=100_000, seed=5),
    PoolSettings(XOSettings(side=12, size=(0.6, 1.0)), 45, 18, seed=3),
    running=True,
)
OF_TRAINING: frozenset[AnyQuery] = frozenset(
    {
        StepQuery(weight=("conv2d-1.weight", (0, 0, 1, 1))),
        LayerStatisticsQuery(),
        LabelledPredictionsQuery(),
        RunEvaluationQuery(),
    }
)
OF_DRAWING: frozenset[AnyQuery] = frozenset(
    {ExplanationQuery("gradient"), LabelledPredictionsQuery(), RobustnessQuery()}
)
PATIENCE = 20.0  # seconds


@dataclass(repr=False)
class Session:
    """A Runner on a fake GPU, and all its snapshots."""

    runner: Runner = field(default_factory=lambda: Runner("gpu"))
    snapshots: list[Snapshot] = field(default_factory=list)

    def play(self, request: Request, is_done: Callable[[Snapshot], bool]) -> None:
        """As the engine thread does, until it is done."""
        end = perf_counter() + PATIENCE
        while perf_counter() < end:
            self.snapshots.append(self.runner.compute(request))
            if is_done(self.snapshots[-1]):
                return
            for _ in range(3):
                self.runner.run_for(0.005)
        said = [notice.text for notice in self.snapshots[-1].notices]
        raise AssertionError(f"not done: {sorted(map(str, self.missing))}, {said}")

    @property
    def missing(self) -> frozenset[AnyQuery]:
        """The queries of training without a result in the last snapshot."""
        return OF_TRAINING - self.snapshots[-1].results.keys()


def step_of(snapshot: Snapshot) -> int:
    return -1 if snapshot.training is None else snapshot.training.current_point.step


def has(queries: frozenset[AnyQuery]) -> Callable[[Snapshot], bool]:
    return lambda snapshot: bool(snapshot.predictions) and queries <= snapshot.results.keys()


def request(training: TrainingRequest | None, queries: frozenset[AnyQuery], drawing: Drawing) -> Request:
    document = DOCUMENT.with_source(drawing)
    return Request(1, document, training=training, live=training is not None, queries=queries)


def train(session: Session) -> None:
    """Past the end of an epoch."""
    asked = request(TRAINING, OF_TRAINING, DRAWINGS[0])
    session.play(asked, lambda snapshot: step_of(snapshot) >= 7 and has(OF_TRAINING)(snapshot))


def prepare(session: Session) -> None:
    """Train some steps, and pause."""
    asked = request(replace(TRAINING, stop_at_step=6), frozenset(), DRAWINGS[0])
    session.play(asked, lambda snapshot: step_of(snapshot) == 6 and state_of(snapshot) == "paused")


def state_of(snapshot: Snapshot) -> str:
    return "" if snapshot.training is None else snapshot.training.state


def pause(session: Session) -> None:
    """Another drawing and all panels while training is paused, then a step more."""
    paused = replace(TRAINING, running=False)
    for drawing in DRAWINGS[1:]:
        session.play(request(paused, OF_TRAINING, drawing), has(OF_TRAINING))
    goal = replace(TRAINING, stop_at_step=7)
    session.play(request(goal, OF_TRAINING, DRAWINGS[0]), lambda snapshot: step_of(snapshot) == 7)


def look_back(session: Session) -> None:
    """At two points of the history, then a step more."""
    for step in (3, 5):
        back = replace(TRAINING, running=False, shown_point=RunPoint(0, step))
        asked = request(back, OF_TRAINING, DRAWINGS[1])
        session.play(asked, partial(shows_all_of, step))
    goal = replace(TRAINING, stop_at_step=7)
    session.play(request(goal, OF_TRAINING, DRAWINGS[0]), lambda snapshot: step_of(snapshot) == 7)


def shows_all_of(step: int, snapshot: Snapshot) -> bool:
    """Whether it shows this step, and answers all queries of training."""
    report = snapshot.training
    is_shown = report is not None and report.is_exact and report.shown_point.step == step
    return is_shown and has(OF_TRAINING)(snapshot)


def draw(session: Session) -> None:
    """Three drawings, each while the pen moves and then at rest."""
    for drawing in DRAWINGS:
        moving = replace(request(None, OF_DRAWING, drawing), settled=False)
        session.play(moving, lambda snapshot: bool(snapshot.predictions))
        session.play(replace(moving, settled=True), has(OF_DRAWING))


def nothing(_: Session) -> None:
    return


SITUATIONS: dict[str, tuple[Callable[[Session], None], Callable[[Session], None]]] = {
    "training": (nothing, train),
    "paused": (prepare, pause),
    "looking back": (prepare, look_back),
    "drawing only": (nothing, draw),
}


@dataclass(repr=False)
class Fault:
    """Lets the GPU fail at its call `at`, from 1: once, or for ever if it is lost."""

    gpu: Any
    at: int
    is_lost: bool

    def __post_init__(self) -> None:
        self.calls, self.call = 0, self.gpu.call
        self.gpu.call = self._call

    def _call(self) -> None:
        self.calls += 1
        if self.calls == self.at and self.is_lost:
            self.gpu.lost = True
        self.call()
        if self.calls == self.at:
            raise fake_cupy.NO_MEMORY


def played(situation: str, at: int, is_lost: bool) -> tuple[Session, Fault]:
    """The situation with a fault at a call, 0 for none."""
    before, during = SITUATIONS[situation]
    cupy: Any = fake_cupy.fake_cupy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "cupy", cupy)
        session = Session()
        before(session)
        session.runner.compute(request(None, frozenset(), DRAWINGS[0]))
        fault = Fault(cupy.gpu, at, is_lost)
        # How many calls a session makes depends on how fast it runs.
        for _ in range(100):
            during(session)
            if fault.calls >= at:
                break
        during(session)
        session.runner.close()
        return session, fault


@cache
def calls_of(situation: str) -> int:
    """How many calls the situation makes without a fault."""
    return played(situation, 0, False)[1].calls


@pytest.mark.parametrize("is_lost", [True, False], ids=["lost", "out of memory"])
@pytest.mark.parametrize("situation", SITUATIONS)
def test_everything_goes_on_after_a_fault_at_any_call(
    situation: str, is_lost: bool, effort: Effort, caplog: pytest.LogCaptureFixture
) -> None:
    """If memory is short while a graph is captured, the GPU itself goes on, and the log says so."""
    count = calls_of(situation)
    assert count > 100
    tried = effort(1, 300)
    for at in sorted({max(1, count * part // (2 * tried)) for part in range(1, tried + 1)}):
        caplog.clear()
        session, fault = played(situation, at, is_lost)
        last = session.snapshots[-1]
        assert fault.calls >= at
        notices = [notice.text for notice in last.notices]
        if is_lost:
            assert len(notices) == 1, at
            assert notices[0].endswith("unspecified launch failure. The processor computes from now on."), at
        else:
            was_capturing = "launched one by one" in caplog.text
            assert notices == ([] if was_capturing else ["The GPU lacks memory: it goes on in smaller parts."]), at
        assert (last.device.title == "CPU") == is_lost, at
        assert all(snapshot.predictions for snapshot in session.snapshots), at
        if last.training is not None:
            (branch,) = last.training.branches
            assert branch.curves.steps.tolist() == list(range(1, branch.end + 1)), at
            assert state_of(last) in ("running", "paused"), at
