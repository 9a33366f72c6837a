"""This engine as a contender: a live pass with every map kept, and a training step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from engine.backends.backend import Backend
from engine.backends.cuda import fused
from engine.backends.ops import Calls, HostArray
from engine.bench.contender import Contender
from engine.bench.nets import Net, parameters, pictures
from engine.losses import targets
from engine.plan import Plan
from engine.stepper import Stepper

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
