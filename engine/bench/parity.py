"""Parity: whether a device computes the same numbers as NumPy on the CPU, over all layers and networks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from engine.backends import Backend, HostArray
from engine.bench.cases import (
    LAYER_CASES,
    REFERENCE_NETS,
    BenchNet,
    case_id,
    hanuschkin_net,
    network_around,
    noise_batch,
    random_parameters,
    start_parameters,
)
from engine.bench.report import ParityResult
from engine.documents import WALKTHROUGH
from engine.nn import Network, Plan, targets
from engine.nn.layers import Arrays, Layer, Shape
from engine.training import SGD, TrainingConfig, TrainStep

# Tolerances: of two summation orders in float32, and after ten consecutive steps.
ABSOLUTE, RELATIVE, AFTER_STEPS = 1e-5, 1.3e-6, 1e-4
STEPS, BATCH, READINGS = 10, 3, 3
# Of a pass: a second on a processor for all that is compared.
QUICK_MULTIPLIES = 1.2e8
CONFIG = TrainingConfig(SGD(0.01, momentum=0.9), batch=BATCH)
# Replaces a difference that is not finite, which JSON cannot represent.
NOT_FINITE = 1e30

Cases = Sequence[tuple[Layer, Shape]]


def compared_nets() -> list[BenchNet]:
    """The networks compared whole: those that are timed, and the presets."""
    return [*REFERENCE_NETS, hanuschkin_net(), BenchNet(WALKTHROUGH.name, WALKTHROUGH.network, CONFIG)]


def parity(
    backend: Backend, reference: Backend, cases: Cases = LAYER_CASES, compared: Sequence[BenchNet] | None = None
) -> Iterator[ParityResult]:
    """All comparisons, one after the other, in float32.

    For every layer and network: outputs, also as a live pass reads them, gradients, the gradient in the input, and
    the parameters after ten steps of SGD. Networks that are quick also in batches as they are trained in, for which
    a GPU chooses other tiles.
    """
    for case in cases:
        network, rng = network_around(*case), np.random.default_rng(5)
        values = {name: array.astype(np.float32) for name, array in random_parameters(network, rng).items()}
        images = rng.normal(0, 1, (BATCH, *network.input_shape)).astype(np.float32)
        yield from _compare(case_id(case), network, values, images, (backend, reference))
    nets = compared_nets() if compared is None else compared
    sizes = [(net, net.name, BATCH) for net in nets]
    sizes += [
        (net, f"{net.name}, batches of {net.config.batch}", net.config.batch) for net in nets if _is_quick(net)
    ]
    for net, name, batch in sizes:
        yield from _compare(
            name, net.network, start_parameters(net), noise_batch(net, batch)[0], (backend, reference)
        )


def _is_quick(net: BenchNet) -> bool:
    multiplies = sum(cost.multiplies for cost in net.network.costs)
    return net.config.batch > BATCH and net.config.batch * multiplies <= QUICK_MULTIPLIES


def _compare(
    model: str, network: Network, values: Arrays, images: HostArray, sides: tuple[Backend, Backend]
) -> Iterator[ParityResult]:
    shares = targets(np.arange(len(images)) % len(network.classes), len(network.classes))
    passes = [_pass(network, values, images, shares, backend) for backend in sides]
    for what, actual in passes[0].items():
        yield _difference(model, what, actual, passes[1][what], ABSOLUTE, RELATIVE)
    actual, expected = (_trained(network, values, images, shares, backend) for backend in sides)
    yield _difference(model, f"parameters after {STEPS} steps", actual, expected, AFTER_STEPS, 0)


def _pass(
    network: Network, values: Arrays, images: HostArray, shares: HostArray, backend: Backend
) -> dict[str, list[HostArray]]:
    """The results of a forward and backward pass in training mode, and the scores of a pass at inference."""
    batch = len(images)
    training = Plan(network, backend, batch, keep_outputs=True, learn=True, input_gradient=True)
    inference = Plan(network, backend, batch)
    for plan in (training, inference):
        plan.load(values)
        plan.forward(images)
    training.backward(shares)
    # On a GPU the first reading is launched call by call, the second captured, the third a graph.
    read = Plan(network, backend, batch, keep_outputs=True)
    read.load(values)
    readings = [read.forward_outputs(np.roll(images, number, axis=0)) for number in range(READINGS)]
    return {
        "outputs": training.outputs()[1:],
        "scores at inference": [backend.operations.to_host(inference.scores)],
        f"outputs read {READINGS} times in a row": [array for reading in readings for array in reading[1:]],
        "errors": [training.host_losses],
        "gradients": list(training.parameter_gradients().values()),
        "gradient in the picture": [training.input_gradient()],
    }


def _trained(
    network: Network, values: Arrays, images: HostArray, shares: HostArray, backend: Backend
) -> list[HostArray]:
    batch = len(images)
    stepper = TrainStep(network, backend, replace(CONFIG, batch=batch), values)
    order = np.array([np.roll(np.arange(batch), step) for step in range(STEPS)])
    stepper.load_epoch(images, shares, order, np.full(STEPS, CONFIG.optimizer.rate, np.float32))
    # On a GPU the first half is launched call by call, the second as a graph.
    for _ in range(2):
        stepper.run(batch, STEPS // 2)
    backend.synchronize()
    return list(stepper.parameters().values())


def _difference(
    model: str,
    what: str,
    actual: Sequence[HostArray],
    expected: Sequence[HostArray],
    absolute: float,
    relative: float,
) -> ParityResult:
    """The largest difference, and the largest relative to what is allowed."""
    difference = share = 0.0
    for value, reference in zip(actual, expected, strict=True):
        off = np.abs(value.astype(np.float64) - reference)
        difference = max(difference, _largest(off))
        share = max(share, _largest(off / (absolute + relative * np.abs(reference.astype(np.float64)))))
    return ParityResult(model, what, difference, share)


def _largest(values: HostArray) -> float:
    largest = float(values.max(initial=0.0))
    return largest if largest <= NOT_FINITE else NOT_FINITE
