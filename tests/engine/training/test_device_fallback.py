"""A failing device: training and prediction continue on the fallback and report it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from engine.backends import Backend, Calls, ComputeDevice, choose_backend, replay
from engine.backends.cuda import DeviceFault
from engine.backends.numpy import NumpyOps
from engine.data import FixedSource, GeneratedSource
from engine.data.xo import XOSettings
from engine.documents import WALKTHROUGH, Document
from engine.documents.presets import handmade_parameters
from engine.drawings import Drawing
from engine.nn import Model, Network
from engine.nn.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU
from engine.runtime import Request, Runner
from engine.training import Evaluated, StepDone, Trainer, TrainingConfig
from engine.training.optimizers import Adam
from tests.samples import drawing_sample

CPU = choose_backend("cpu")
NETWORK = Network(
    (1, 10, 10), (Conv2D(3, 3, padding=1), ReLU(), MaxPool2D(), Flatten(), Dense(2)), classes=("X", "O")
)
EXAMPLES = GeneratedSource(XOSettings(side=10, size=(0.6, 1.0)), 60, 1).epoch(0)
CONFIG = TrainingConfig(Adam(0.01), batch=20, epochs=5)


class Failing(NumpyOps):
    """A NumPy backend posing as a GPU that fails at its `at`-th allocation, transfer or run; for ever if it is
    lost, once if it only lacked memory."""

    def __init__(self, at: int, out_of_memory: bool) -> None:
        super().__init__()
        self.left, self.out_of_memory, self.failures = at, out_of_memory, 0

    def use(self) -> None:
        self.left -= 1
        if self.left == 0 or (self.left < 0 and not self.out_of_memory):
            self.failures += 1
            raise DeviceFault("The GPU stumbled.", self.out_of_memory)

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Any:
        self.use()
        return super().zeros(shape, dtype)

    def from_host(self, values: Any) -> Any:
        self.use()
        return super().from_host(values)

    def to_host(self, array: Any) -> Any:
        self.use()
        return super().to_host(array)

    def upload(self, values: Any, target: Any) -> None:
        self.use()
        super().upload(values, target)

    def program(self, calls: Calls, times: int) -> Callable[[], None]:
        def run() -> None:
            self.use()
            for _ in range(times):
                replay(calls)

        return run


def failing(at: int, out_of_memory: bool) -> tuple[Failing, Backend]:
    operations = Failing(at, out_of_memory)
    return operations, Backend("gpu", "Stumbling GPU", "test", operations, operations.program, lambda: None)


@dataclass
class Run:
    """A run on a device, whose faults are told in `said`."""

    backend: Backend
    config: TrainingConfig = CONFIG
    said: list[str] = field(default_factory=list)
    events: list[StepDone | Evaluated] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.device = ComputeDevice(self.backend, self.said.append)
        self.trainer = self.device.run(
            lambda: Trainer(NETWORK, FixedSource(EXAMPLES), self.config, self.device.backend, held_out=EXAMPLES)
        )
        self.device.moves.append(self.trainer.move_to)

    def advance(self, events: int = 10**6) -> list[int]:
        """Make so many more events, or all; returns the numbers of all so far."""
        wanted = len(self.events) + events

        def go_on() -> None:
            for event in self.trainer.run():
                self.events.append(event)
                if len(self.events) >= wanted:
                    return

        self.device.run(go_on)
        return [event.number for event in self.events]


def finished(backend: Backend) -> Run:
    run = Run(backend)
    run.advance()
    return run


STRAIGHT = finished(CPU)
STEPS = STRAIGHT.events


@pytest.mark.parametrize("out_of_memory", [False, True])
def test_a_fault_at_any_call_loses_nothing_and_is_told(out_of_memory: bool) -> None:
    for at in range(1, 201):
        operations, backend = failing(at, out_of_memory)
        run = finished(backend)
        if not operations.failures:
            assert at > 100
            break
        told = [(type(event), event.number) for event in run.events]
        assert told == [(type(event), event.number) for event in STEPS], at
        assert len(run.said) == 1, at
        assert run.device.backend.name == run.trainer.backend.name == ("gpu" if out_of_memory else "cpu"), at
        for name, values in STRAIGHT.trainer.parameters().items():
            np.testing.assert_allclose(run.trainer.parameters()[name], values, atol=1e-5, err_msg=str(at))


def test_the_second_lack_of_memory_hands_over_to_the_processor() -> None:
    operations, backend = failing(60, True)
    run = Run(backend)
    while not operations.failures:
        run.advance(1)
    operations.left = 3
    assert run.advance()[-1] == 15
    assert run.device.backend.name == "cpu"
    assert run.said == [
        "The GPU lacks memory: it goes on in smaller parts.",
        "The GPU stumbled. The processor computes from now on.",
    ]


def test_a_copy_on_the_host_is_at_most_a_second_old(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("engine.training.trainer.perf_counter", lambda: clock[0])
    operations, backend = failing(10**9, False)
    run = Run(backend)
    for _ in range(9):
        run.advance(1)
        clock[0] += 0.4
    last = run.trainer.steps_made
    operations.left = 1
    with pytest.raises(DeviceFault):
        run.trainer.parameters()
    run.trainer.move_to(CPU)
    assert last - 3 <= run.trainer.steps_made < last
    assert run.advance() == [event.number for event in STEPS]


def test_copies_that_take_long_are_made_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of large weights, so that they take a twentieth of the time."""
    clock = [100.0]
    monkeypatch.setattr("engine.training.trainer.perf_counter", lambda: clock[0])
    _, backend = failing(10**9, False)
    trainer = Run(backend, replace(CONFIG, epochs=30)).trainer
    copied: list[float] = []
    copy = trainer._copy

    def slow_copy() -> object:
        copied.append(clock[0])
        clock[0] += 0.5
        return copy()

    monkeypatch.setattr(trainer, "_copy", slow_copy)
    for _ in trainer.run():
        clock[0] += 0.5
    assert len(copied) > 2
    assert min(np.diff(copied)) >= 10


def test_a_fault_while_copying_does_not_lose_the_place() -> None:
    operations, backend = failing(10**9, False)
    run = Run(backend)
    run.advance(6)
    operations.left = 1
    run.device.run(run.trainer.checkpoint)
    assert run.advance() == [event.number for event in STEPS]


def test_the_drawing_goes_on_being_read(monkeypatch: pytest.MonkeyPatch) -> None:
    operations, backend = failing(40, False)
    monkeypatch.setattr("engine.runtime.runner.choose_backend", lambda device: backend)
    runner = Runner("gpu")
    document = Document(
        drawing_sample(Drawing()), (Model("Walk-through", WALKTHROUGH.network, handmade_parameters()),)
    )
    snapshots = [runner.compute(replace(Request(1, document), requested_at=float(at))) for at in range(30)]
    assert operations.failures == 1
    assert all(snapshot.predictions for snapshot in snapshots)
    assert [notice.text for notice in snapshots[-1].notices] == [
        "The GPU stumbled. The processor computes from now on."
    ]
    assert snapshots[-1].device.title == "CPU"
