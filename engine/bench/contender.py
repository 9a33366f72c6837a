"""Contender: a library or mode that computes the same work, ready to be timed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from engine.backends import Backend, Calls, HostArray
from engine.backends.cuda import fuse_launches
from engine.bench.cases import BenchNet, noise_batch, start_parameters
from engine.nn import Plan, targets
from engine.training import TrainStep

Family: TypeAlias = Literal["engine", "pytorch", "onnxruntime", "yardstick"]


class BenchError(ValueError):
    """A measurement would be meaningless; the message says why."""


def no_op() -> None:
    """For contenders that need no preparation, or run synchronously."""


@dataclass(frozen=True)
class Contender:
    """Work to be timed.

    run: does the work `units` times, perhaps asynchronously
    outputs: does the work once and returns what was computed, by name, for comparison; None for reference work
    wait: returns when all work is done
    before: called before every sample, untimed, such as to set the number of threads
    """

    name: str
    family: Family
    run: Callable[[], object]
    outputs: Callable[[], Mapping[str, HostArray]] | None
    units: int = 1
    wait: Callable[[], object] = no_op
    before: Callable[[], object] = no_op


@dataclass(frozen=True)
class ContenderEntry:
    """A contender that is not built yet; building one of another library may fail."""

    name: str
    make: Callable[[], Contender]


def check_contenders(
    engine: Contender, others: Sequence[ContenderEntry], tolerance: float
) -> tuple[list[Contender], list[str]]:
    """The engine and those others that work, each after it has computed once; and a sentence for each other.

    tolerance: the largest difference from the engine's values, relative to the largest of the array. Raises
        BenchError, naming the contender, if it computes something else.
    """
    engine.before()
    expected = engine.outputs() if engine.outputs is not None else {}
    contenders, notes = [engine], []
    for entry in others:
        # Any exception of another library means that it cannot be used here: the row goes on without it.
        try:
            contender = entry.make()
            contender.before()
            outputs = None if contender.outputs is None else contender.outputs()
        except Exception as error:  # noqa: BLE001
            message = str(error).strip() or type(error).__name__
            notes.append(f"{entry.name} did not run: {message.splitlines()[0].rstrip('.')}.")
            continue
        if outputs is not None:
            check_equal(contender.name, outputs, expected, tolerance)
        contenders.append(contender)
    return contenders, notes


def check_equal(
    name: str, actual: Mapping[str, HostArray], expected: Mapping[str, HostArray], tolerance: float
) -> None:
    """Raises BenchError unless `actual` equals `expected` within `tolerance`, as in `check_contenders`."""
    if set(actual) != set(expected):
        extra = sorted(set(actual) ^ set(expected))[0]
        raise BenchError(f"{name} cannot be compared: only one side has {extra}.")
    for part, values in expected.items():
        _compare(name, part, actual[part], values, tolerance)


def _compare(contender: str, name: str, actual: HostArray, expected: HostArray, tolerance: float) -> None:
    if actual.shape != expected.shape:
        raise BenchError(
            f"{contender} computes something else: its {name} is {actual.shape}, not {expected.shape}."
        )
    largest = float(np.abs(expected).max(initial=0.0))
    # Written so that NaN fails too.
    difference = float(np.abs(actual.astype(np.float64) - expected).max(initial=0.0))
    if not difference <= tolerance * largest + 1e-9:
        raise BenchError(
            f"{contender} computes something else: its {name} is off by {difference:.2g} of at most {largest:.2g}."
        )


# Steps per schedule of batches, and steps that a GPU is given at once.
SCHEDULE_STEPS, GPU_STEPS_AT_ONCE = 1024, 16
# The number of different batches.
BATCH_COUNT = 8


def live_contender(net: BenchNet, backend: Backend) -> tuple[Contender, Callable[[], int]]:
    """One picture at a time, every activation kept and the pass waited for, as the window does.

    Returns the contender and the number of calls per pass, known after the first one.
    """
    counts: list[int] = []
    plan = Plan(net.network, _counting_backend(backend, counts), 1, keep_outputs=True)
    plan.load(start_parameters(net))
    image = noise_batch(net, 1)[0]

    def run() -> None:
        plan.forward(image)
        backend.synchronize()

    def answer() -> dict[str, HostArray]:
        run()
        return dict(zip(net.network.names[1:], plan.outputs()[1:], strict=True))

    return Contender(engine_title(backend), "engine", run, answer), lambda: counts[0]


def train_contender(net: BenchNet, backend: Backend) -> tuple[Contender, Callable[[], int]]:
    """Whole training steps on batches of the configuration's size: fetch, forward, loss, backward, check, update.

    Its outputs are the change of every parameter in one step, divided by the learning rate. Returns the contender
    and the number of calls per step, known after the first one.
    """
    counts: list[int] = []
    start, batch = start_parameters(net), net.config.batch
    images, labels = noise_batch(net, BATCH_COUNT * batch)
    stepper = TrainStep(net.network, _counting_backend(backend, counts), net.config, start)
    order = np.resize(np.arange(len(images)), (SCHEDULE_STEPS, batch))
    rates = np.full(SCHEDULE_STEPS, net.config.optimizer.rate, np.float32)
    stepper.load_epoch(images, targets(labels, len(net.network.classes)), order, rates)
    at_once = GPU_STEPS_AT_ONCE if backend.name == "gpu" else 1
    row = 0

    def run() -> None:
        nonlocal row
        if row + at_once > SCHEDULE_STEPS:
            stepper.set_position(0, 0)
            row = 0
        stepper.run(batch, at_once)
        row += at_once

    def answer() -> dict[str, HostArray]:
        stepper.run(batch, 1)
        stepper.set_position(0, 0)
        after = stepper.parameters()
        return {name: (after[name] - values) / net.config.optimizer.rate for name, values in start.items()}

    return Contender(engine_title(backend), "engine", run, answer, at_once, backend.synchronize), lambda: counts[0]


def engine_title(backend: Backend) -> str:
    """The name of the engine in tables."""
    return f"this engine, {backend.title}"


def _counting_backend(backend: Backend, counts: list[int]) -> Backend:
    """The backend, recording the number of calls of every program it makes; on a GPU, of launches."""

    def program(calls: Calls, times: int) -> Callable[[], None]:
        counts.append(len(fuse_launches(calls) if backend.name == "gpu" else calls))
        return backend.program(calls, times)

    return replace(backend, program=program)


MATRIX_SIDE, COPIED_VALUES = 256, 1 << 20


def reference_work(backend: Backend) -> Contender:
    """Fixed work to compare with: a product of two 256 × 256 matrices and a copy of 2^20 float32 values.

    On a CPU by NumPy itself, so that it stays the same when the engine changes; on a GPU by the engine's
    operations.
    """
    rng = np.random.default_rng(3)
    shape = (MATRIX_SIDE, MATRIX_SIDE)
    left, right = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
    source = rng.standard_normal(COPIED_VALUES).astype(np.float32)
    if backend.name == "cpu":
        product, target = np.empty(shape, np.float32), np.empty(COPIED_VALUES, np.float32)

        def run() -> None:
            np.matmul(left, right, out=product)
            np.copyto(target, source)

        return Contender("reference work (NumPy product and copy)", "yardstick", run, None)
    ops = backend.operations
    calls = ops.matmul(ops.from_host(left), ops.from_host(right), ops.zeros(shape, np.float32))
    calls += ops.copy(ops.from_host(source), ops.zeros((COPIED_VALUES,), np.float32))
    return Contender(
        "reference work (product and copy)", "yardstick", backend.program(calls, 1), None, wait=backend.synchronize
    )
