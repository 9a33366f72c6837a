"""Contender: somebody who computes what others compute too, ready to be timed. Not the timing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from engine.backends.backend import Backend
from engine.backends.cuda import fused
from engine.backends.ops import Calls, HostArray
from engine.bench.cases import Net, parameters, pictures
from engine.nn.losses import targets
from engine.nn.plan import Plan
from engine.training.train_step import Stepper

Family: TypeAlias = Literal["engine", "pytorch", "onnxruntime", "yardstick"]


class BenchError(ValueError):
    """A measurement would be worth nothing; the message says why."""


def nothing() -> None:
    """For contenders that need no preparation, or do not work behind the caller's back."""


@dataclass(frozen=True)
class Contender:
    """run: does the work `units` times over, perhaps behind the caller's back; wait: until it is done.

    before: called before every sample and not timed, such as choosing how many threads there are. answer: does the
    work once and gives what was computed, by name, for comparison; None for a yardstick, whose work is its own.
    """

    name: str
    family: Family
    run: Callable[[], object]
    answer: Callable[[], Mapping[str, HostArray]] | None
    units: int = 1
    wait: Callable[[], object] = nothing
    before: Callable[[], object] = nothing


@dataclass(frozen=True)
class Entry:
    """A contender that has not been put together yet, which may fail for one that comes from elsewhere."""

    name: str
    make: Callable[[], Contender]


def gathered(engine: Contender, others: Sequence[Entry], tolerance: float) -> tuple[list[Contender], list[str]]:
    """The engine and those others that work, each after it has computed once; and a sentence for each other.

    tolerance: how far a value may be off the engine's, as a share of the largest of its array. Raises BenchError,
    naming the contender, if it computes something else.
    """
    engine.before()
    expected = engine.answer() if engine.answer is not None else {}
    found, notes = [engine], []
    for entry in others:
        # Whatever another's library raises where it cannot be used means the same: the row goes on without it.
        try:
            contender = entry.make()
            contender.before()
            given = None if contender.answer is None else contender.answer()
        except Exception as error:  # noqa: BLE001
            words = str(error).strip() or type(error).__name__
            notes.append(f"{entry.name} did not run: {words.splitlines()[0].rstrip('.')}.")
            continue
        if given is not None:
            check_same(contender.name, given, expected, tolerance)
        found.append(contender)
    return found, notes


def check_same(
    name: str, given: Mapping[str, HostArray], expected: Mapping[str, HostArray], tolerance: float
) -> None:
    """Raises BenchError unless what `name` gives is what is expected, as `gathered` says."""
    if set(given) != set(expected):
        odd = sorted(set(given) ^ set(expected))[0]
        raise BenchError(f"{name} cannot be compared: only one side gives {odd}.")
    for part, values in expected.items():
        _compare(name, part, given[part], values, tolerance)


def _compare(who: str, name: str, given: HostArray, expected: HostArray, tolerance: float) -> None:
    if given.shape != expected.shape:
        raise BenchError(f"{who} computes something else: its {name} is {given.shape}, not {expected.shape}.")
    largest = float(np.abs(expected).max(initial=0.0))
    # Written so that a value that is not a number fails too.
    off = float(np.abs(given.astype(np.float64) - expected).max(initial=0.0))
    if not off <= tolerance * largest + 1e-9:
        raise BenchError(
            f"{who} computes something else: its {name} is off by {off:.2g}, where values go up to {largest:.2g}."
        )


# Steps between two looks at the list of batches, and how many a GPU is given at once.
ROWS, AT_ONCE = 1024, 16
# Different batches that are gone through.
BATCHES = 8


def live(net: Net, backend: Backend) -> tuple[Contender, Callable[[], int]]:
    """One picture at a time, every intermediate value kept and the picture waited for, as a window needs it.

    Returns with the contender how many calls are started for a pass, known once it has made one.
    """
    counts: list[int] = []
    plan = Plan(net.network, _counting(backend, counts), 1, keep=True)
    plan.load(parameters(net))
    image = pictures(net, 1)[0]

    def run() -> None:
        plan.forward(image)
        backend.wait()

    def answer() -> dict[str, HostArray]:
        run()
        return dict(zip(net.network.names[1:], plan.outputs()[1:], strict=True))

    return Contender(title(backend), "engine", run, answer), lambda: counts[0]


def train(net: Net, backend: Backend) -> tuple[Contender, Callable[[], int]]:
    """Whole steps on batches of the recipe's size: fetched, forward, error, backward, guarded and applied.

    The answer is how far one step moves every parameter, divided by the rate. Returns with the contender how many
    calls are started for a step, known once it has made one.
    """
    counts: list[int] = []
    start, batch = parameters(net), net.recipe.batch
    images, labels = pictures(net, BATCHES * batch)
    stepper = Stepper(net.network, _counting(backend, counts), net.recipe, start)
    order = np.resize(np.arange(len(images)), (ROWS, batch))
    rates = np.full(ROWS, net.recipe.optimizer.rate, np.float32)
    stepper.feed(images, targets(labels, len(net.network.classes)), order, rates)
    at_once = AT_ONCE if backend.name == "gpu" else 1
    row = 0

    def run() -> None:
        nonlocal row
        if row + at_once > ROWS:
            stepper.seek(0, 0)
            row = 0
        stepper.run(batch, at_once)
        row += at_once

    def answer() -> dict[str, HostArray]:
        stepper.run(batch, 1)
        stepper.seek(0, 0)
        after = stepper.parameters()
        return {name: (after[name] - values) / net.recipe.optimizer.rate for name, values in start.items()}

    return Contender(title(backend), "engine", run, answer, at_once, backend.wait), lambda: counts[0]


def title(backend: Backend) -> str:
    """How a table names the engine."""
    return f"this engine, {backend.title}"


def _counting(backend: Backend, counts: list[int]) -> Backend:
    """The backend, which now writes down how many calls every program has that it makes; on a GPU, launches."""

    def program(calls: Calls, times: int) -> Callable[[], None]:
        counts.append(len(fused(calls) if backend.name == "gpu" else calls))
        return backend.program(calls, times)

    return replace(backend, program=program)


SIDE, COPIED = 256, 1 << 20


def yardstick(backend: Backend) -> Contender:
    """A product of two 256 × 256 matrices and the copying of a million float32 values.

    On the processor by NumPy itself, so that it stays the same whatever becomes of the engine; on a GPU by the
    engine's operations.
    """
    rng = np.random.default_rng(3)
    left, right = (rng.standard_normal((SIDE, SIDE)).astype(np.float32) for _ in range(2))
    source = rng.standard_normal(COPIED).astype(np.float32)
    if backend.name == "cpu":
        product, target = np.empty((SIDE, SIDE), np.float32), np.empty(COPIED, np.float32)

        def run() -> None:
            np.matmul(left, right, out=product)
            np.copyto(target, source)

        return Contender("yardstick (NumPy product and copy)", "yardstick", run, None)
    ops = backend.operations
    calls = ops.product(ops.from_host(left), ops.from_host(right), ops.zeros((SIDE, SIDE), np.float32))
    calls += ops.copy(ops.from_host(source), ops.zeros((COPIED,), np.float32))
    return Contender(
        "yardstick (product and copy)", "yardstick", backend.program(calls, 1), None, wait=backend.wait
    )
