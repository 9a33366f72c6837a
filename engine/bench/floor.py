"""Floor: the least time that work can take on a device, from what the device was measured to do at best."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from engine.backends.backend import Backend
from engine.backends.ops import Calls
from engine.bench.contender import Contender
from engine.bench.nets import Net
from engine.bench.report import Floor
from engine.bench.timing import measure
from engine.network import Network

# Of the probes: calls in a row, values copied, and rows of the square matrices multiplied, by device.
CALLS = 200
VALUES = {"cpu": 1 << 24, "gpu": 1 << 26}
ROWS = {"cpu": 1024, "gpu": 4096}
SECONDS = 0.5


@dataclass(frozen=True)
class Limits:
    """What a device does at best: seconds to start one more call, bytes read or written a second, multiplies a
    second."""

    call: float
    bytes: float
    multiplies: float


def limits(backend: Backend, seconds: float = SECONDS) -> Limits:
    """Measured with the backend's own operations: many tiny calls, one large copy, one large product."""
    ops, values, rows = backend.operations, VALUES[backend.name], ROWS[backend.name]
    # Each needs what the one before it made for another place, so that no two can be made one.
    ring = ops.zeros((CALLS + 1,), np.float32)
    links = [(ring[place : place + 1], ring[place + 1 : place + 2]) for place in range(CALLS)]
    chain = [call for source, target in links for call in ops.copy(source, target)]
    source, target = ops.zeros((values,), np.float32), ops.zeros((values,), np.float32)
    left, right, product = (ops.full((rows, rows), 1, np.float32) for _ in range(3))
    probes: list[Calls] = [
        chain,
        ops.copy(source, target),
        ops.product(left, right, product),
    ]
    contenders = [
        Contender(str(place), "yardstick", backend.program(calls, 1), None, wait=backend.wait)
        for place, calls in enumerate(probes)
    ]
    calls, copied, multiplied = (min(samples) for samples in measure(contenders, seconds))
    return Limits(calls / CALLS, 8 * values / copied, rows**3 / multiplied)


def floor(of: Limits, calls: int, moved: int, multiplies: int) -> Floor:
    """Every call's start, then the longer of moving the bytes and multiplying."""
    seconds = calls * of.call + max(moved / of.bytes, multiplies / of.multiplies)
    return Floor(calls, moved, multiplies, seconds)


def live_bytes(network: Network) -> int:
    """Bytes of a live pass: the parameters read, the picture and every map written once and read once."""
    maps = sum(math.prod(shape) for shape in network.shapes)
    return 4 * (2 * maps + sum(cost.parameters for cost in network.costs))


def train_bytes(net: Net) -> int:
    """Bytes of a step: every map and its gradient written once and read once, for each picture of the batch; and
    of every parameter its value, gradient and velocity read and written."""
    maps = sum(math.prod(shape) for shape in net.network.shapes)
    return 4 * (4 * maps * net.recipe.batch + 6 * sum(cost.parameters for cost in net.network.costs))


def train_multiplies(net: Net) -> int:
    """Multiplies of a step: those of the pass, as many again for the parameters' gradient, and as many again for
    the gradient in the layer's input, which the lowest layer with parameters is not asked for."""
    costs = net.network.costs
    lowest = next((cost.multiplies for cost in costs if cost.parameters), 0)
    return net.recipe.batch * (3 * sum(cost.multiplies for cost in costs) - lowest)
