"""Parity: whether a device computes what NumPy on the processor computes, over all layers and nets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from engine.backends.backend import Backend
from engine.backends.ops import HostArray
from engine.bench.cases import (
    CASES,
    REFERENCE,
    Net,
    hanuschkin,
    name_of,
    parameters,
    pictures,
    random_values,
    with_head,
)
from engine.bench.report import Parity
from engine.documents.presets import WALKTHROUGH
from engine.nn.layers import Layer, Shape, Values
from engine.nn.losses import targets
from engine.nn.network import Network
from engine.nn.plan import Plan
from engine.training.optimizers import SGD
from engine.training.recipe import Recipe
from engine.training.train_step import Stepper

# What may differ between two orders of summing in float32, and after ten steps that each go on from the last.
ABSOLUTE, RELATIVE, AFTER_STEPS = 1e-5, 1.3e-6, 1e-4
STEPS, BATCH = 10, 3
RECIPE = Recipe(SGD(0.01, momentum=0.9), batch=BATCH)
# Stands for a difference that is not a number, which JSON cannot hold.
BEYOND = 1e30

Cases = Sequence[tuple[Layer, Shape]]


def nets() -> list[Net]:
    """The networks that are compared whole: those that are timed, and the presets."""
    return [*REFERENCE, hanuschkin(), Net(WALKTHROUGH.name, WALKTHROUGH.network, RECIPE)]


def parity(
    backend: Backend, reference: Backend, cases: Cases = CASES, whole: Sequence[Net] | None = None
) -> Iterator[Parity]:
    """Everything that is compared, one after the other: for every layer and net its outputs, its gradients, the
    gradient in the picture, and its parameters after ten steps of SGD, all in float32."""
    for case in cases:
        network, rng = with_head(*case), np.random.default_rng(5)
        values = {name: array.astype(np.float32) for name, array in random_values(network, rng).items()}
        images = rng.normal(0, 1, (BATCH, *network.input_shape)).astype(np.float32)
        yield from _compared(name_of(case), network, values, images, (backend, reference))
    for net in nets() if whole is None else whole:
        yield from _compared(net.name, net.network, parameters(net), pictures(net, BATCH)[0], (backend, reference))


def _compared(
    subject: str, network: Network, values: Values, images: HostArray, sides: tuple[Backend, Backend]
) -> Iterator[Parity]:
    shares = targets(np.arange(BATCH) % len(network.classes), len(network.classes))
    passes = [_pass(network, values, images, shares, backend) for backend in sides]
    for what, given in passes[0].items():
        yield _difference(subject, what, given, passes[1][what], ABSOLUTE, RELATIVE)
    given, expected = (_learnt(network, values, images, shares, backend) for backend in sides)
    yield _difference(subject, f"parameters after {STEPS} steps", given, expected, AFTER_STEPS, 0)


def _pass(
    network: Network, values: Values, images: HostArray, shares: HostArray, backend: Backend
) -> dict[str, list[HostArray]]:
    """What one pass forward and backward gives, as while learning; and the scores of a pass that only reads."""
    learning = Plan(network, backend, BATCH, keep=True, learn=True, input_gradient=True)
    reading = Plan(network, backend, BATCH)
    for plan in (learning, reading):
        plan.load(values)
        plan.forward(images)
    learning.backward(shares)
    return {
        "outputs": learning.outputs()[1:],
        "scores when reading": [backend.operations.to_host(reading.scores)],
        "errors": [learning.loss],
        "gradients": list(learning.parameter_gradients().values()),
        "gradient in the picture": [learning.input_gradient()],
    }


def _learnt(
    network: Network, values: Values, images: HostArray, shares: HostArray, backend: Backend
) -> list[HostArray]:
    stepper = Stepper(network, backend, RECIPE, values)
    order = np.array([np.roll(np.arange(BATCH), step) for step in range(STEPS)])
    stepper.feed(images, shares, order, np.full(STEPS, RECIPE.optimizer.rate, np.float32))
    # The first half is launched one by one on a GPU, the second as a graph.
    for _ in range(2):
        stepper.run(BATCH, STEPS // 2)
    backend.wait()
    return list(stepper.parameters().values())


def _difference(
    subject: str,
    what: str,
    given: Sequence[HostArray],
    expected: Sequence[HostArray],
    absolute: float,
    relative: float,
) -> Parity:
    """The largest difference, and the largest share of what is allowed."""
    difference = share = 0.0
    for mine, other in zip(given, expected, strict=True):
        off = np.abs(mine.astype(np.float64) - other)
        difference = max(difference, _largest(off))
        share = max(share, _largest(off / (absolute + relative * np.abs(other.astype(np.float64)))))
    return Parity(subject, what, difference, share)


def _largest(values: HostArray) -> float:
    largest = float(values.max(initial=0.0))
    return largest if largest <= BEYOND else BEYOND
