"""Trying: one value nudged up and down as the article does it, beside what backpropagation says of it. The value
stays as it is."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import numpy as np

from engine.backends.backend import choose_backend
from engine.dissection.dissection import HostArray, Nudged, Place
from engine.dissection.passes import even_share
from engine.network import Network, Parameters
from engine.nudge import Nudge, Probe
from engine.nudge.kinks import Kink, Kinks
from engine.plan import Plan

# How far to each side the slope is tried, and what examples tried together may keep busy.
STEP = 1e-5
TOGETHER_BYTES = 8_000_000


class Trying:
    """Tries values of one network on batches, some examples at a time, in float64."""

    def __init__(self, network: Network, batch: int) -> None:
        """Raises ValueError for what does not fit into memory."""
        self._network, self.batch = network, batch
        # Two changes at once, two bytes for one of float32, and the network as it is beside them.
        self._chunk = even_share(batch, TOGETHER_BYTES // (6 * network.picture_bytes))
        self._probe = Probe(network, self._chunk, 2)
        self._back = Plan(
            network, choose_backend("cpu"), self._chunk, dtype=np.float64, keep=True, learn=True, training=False,
            total=1,
        )  # fmt: skip
        self._positions = self._probe.base.parts(np.arange(len(self._probe.values)))

    def nudged(
        self,
        place: Place,
        parameters: Parameters,
        images: HostArray,
        shares: HostArray,
        size: float,
        turn: tuple[int, int, tuple[int, ...]],
    ) -> Generator[None, None, Nudged]:
        """What becomes of one value, in pieces. images: (N, C, H, W); shares: (N, classes). turn: the number of the
        step, of the epoch, both from 1, and the examples' places."""
        name, index = place
        position = int(self._positions[name][index])
        layer = self._network.names.index(name.partition(".")[0]) - 1
        self._probe.base.load(parameters)
        self._back.load(parameters)
        value = float(self._probe.values[position])
        moves = (0.0, size, -size, STEP, -STEP)
        errors = np.zeros((len(moves), len(images)))
        slope, kink = 0.0, None
        for start in range(0, len(images), self._chunk):
            part = slice(start, start + self._chunk)
            errors[0, part] = self._probe.show(images[part], shares[part])
            yield
            for first in (1, 3):
                changes = [(position, value + move) for move in moves[first : first + 2]]
                errors[first : first + 2, part] = self._probe.errors(layer, changes)
                yield
            kink = kink or self._kink(layer, start)
            slope += self._slope(name, index, images[part], shares[part])
            yield
        mean, up, down, above, below = (float(row.mean()) for row in errors)
        number, epoch, examples = turn
        nudge = Nudge(number, epoch, examples, name, index, value, size, mean, up, down)
        at_rest = any(each.draws or each.mixes_batch for each in self._network.layers)
        central = (above - below) / (2 * STEP)
        return Nudged(nudge, slope / len(images), central, STEP, kink, at_rest)

    def _kink(self, layer: int, start: int) -> str | None:
        """The first kink between the two closest changes, which were the last to be tried."""
        found: Kink | None = Kinks(self._probe).found(layer, 1).get(0)
        if found is None:
            return None
        return replace(found, example=start + (found.example or 0)).sentence

    def _slope(self, name: str, index: tuple[int, ...], images: HostArray, shares: HostArray) -> float:
        """The gradient of the summed errors of these examples."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            self._back.forward(images)
            self._back.backward(shares)
        return float(self._back.parameter_gradients()[name][index])
