"""Nudger: learning as the article describes it, by trying one parameter after the other, without gradients."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, TypeAlias

import numpy as np

from engine.backends import HostArray
from engine.data import DataSource
from engine.nn import Network, Parameters, targets
from engine.nn.layers import Arrays
from engine.nudging.probe import LossProbe
from engine.training import check_compatible

NudgeDirection: TypeAlias = Literal["up", "down", "same"]


@dataclass(frozen=True)
class NudgingConfig:
    """The hyperparameters of nudging.

    size: the change up and down
    shrink: the factor of the size per epoch
    shuffled: whether the parameters take turns in a random order per batch; otherwise in order, from the first
        layer
    batch: examples per batch, whose mean loss decides; 1 in the article
    frozen: names of layers (conv2d-1) whose parameters are not nudged
    seed: of the order of the examples, and of the parameters if shuffled
    Raises ValueError for invalid values.
    """

    size: float = 0.1
    shrink: float = 1.0
    shuffled: bool = False
    batch: int = 1
    frozen: tuple[str, ...] = ()
    seed: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.size <= 1000:
            raise ValueError(f"A nudge's size must be above 0 and at most 1000, not {self.size!r}.")
        if not 0 < self.shrink <= 1:
            raise ValueError(
                f"The share of its size that a nudge keeps must be above 0, at most 1, not {self.shrink!r}."
            )
        if self.batch < 1:
            raise ValueError(f"Nudging needs a batch of at least 1, not {self.batch}.")
        if self.seed < 0:
            raise ValueError(f"A seed is a whole number from 0 up, not {self.seed}.")


@dataclass(frozen=True)
class Nudge:
    """The nudge of one parameter.

    number: of the nudge, from 1
    epoch: from 1
    examples: indices of the batch's examples in the epoch
    name, index: of the parameter
    before: its value before
    size: the change tried
    error, error_up, error_down: the mean loss of the batch with the value unchanged, higher and lower
    """

    number: int
    epoch: int
    examples: tuple[int, ...]
    name: str
    index: tuple[int, ...]
    before: float
    size: float
    error: float
    error_up: float
    error_down: float

    @property
    def direction(self) -> NudgeDirection:
        """The change kept: the one with the least loss; of equal ones none before "up" before "down"."""
        if self.error_down < self.error and not self.error_up <= self.error_down:
            return "down"
        return "up" if self.error_up < self.error else "same"

    @property
    def after(self) -> float:
        return self.before + {"up": self.size, "same": 0.0, "down": -self.size}[self.direction]

    @property
    def error_after(self) -> float:
        """The loss with the value kept."""
        return {"up": self.error_up, "same": self.error, "down": self.error_down}[self.direction]


@dataclass(frozen=True, eq=False)
class NudgeState:
    """The state of a Nudger; a Nudger started from it continues with the same bytes.

    parameters: by name
    nudge_count: nudges made so far
    error: the present loss of the current batch
    """

    parameters: Arrays
    nudge_count: int
    error: float


class Nudger:
    """Lowers a network's loss by nudging, as Rohrer's article describes backpropagation.

    Every parameter in turn is made a little higher and a little lower, the loss is computed each time, and the
    value with the least is kept. After all parameters the next batch follows, and after the last batch the first
    again, in a new random order, without end. The loss is softmax cross-entropy in float64, of the network in
    inference mode: see LossProbe. Batch norm's weights and biases are nudged like all parameters; its running
    statistics stay.

    Raises ShapeError or ValueError unless the parameters are the network's.
    """

    def __init__(
        self,
        network: Network,
        source: DataSource,
        config: NudgingConfig,
        start: Parameters | NudgeState,
    ) -> None:
        if source.count < 1:
            raise ValueError("There are no examples to train on; give some.")
        network.layer_indices(config.frozen)
        self.network, self.source, self.config = network, source, config
        self._probes: dict[int, LossProbe] = {}
        self._main = self._probe(min(config.batch, source.count))
        state = start if isinstance(start, NudgeState) else NudgeState(dict(start), 0, 0.0)
        self._main.base.load(state.parameters)
        self._count, self._error = state.nudge_count, state.error
        self._loaded: tuple[int, int] | None = None
        self._list_values()

    def _list_values(self) -> None:
        """The position of every trainable parameter, by name, in the order of the layers."""
        positions = self._main.base.split_vector(np.arange(len(self._main.parameter_vector)))
        self._positions = [
            (name, where) for name, where in positions.items() if name.split(".")[0] not in self.config.frozen
        ]
        if not self._positions:
            raise ValueError(
                "There is no parameter to nudge: every layer is frozen, or none has parameters; unfreeze one."
            )
        self._ends: list[int] = list(accumulate(where.size for _, where in self._positions))
        self._layers = [self.network.names.index(name.split(".")[0]) - 1 for name, _ in self._positions]

    @property
    def value_count(self) -> int:
        """The number of parameters nudged per batch."""
        return self._ends[-1]

    @property
    def batch_count(self) -> int:
        """The number of batches per epoch."""
        return -(-self.source.count // self.config.batch)

    @property
    def multiplies(self) -> int:
        """The multiplications made so far; see LossProbe for those it saves."""
        return sum(probe.multiplies for probe in self._probes.values())

    def parameters(self) -> Arrays:
        """Copies of the present parameters and buffers, by name."""
        return self._main.base.parameters()

    def state(self) -> NudgeState:
        return NudgeState(self.parameters(), self._count, self._error)

    def iter_nudges(self) -> Iterator[Nudge]:
        """Nudges one parameter at each next(), without end. It may be abandoned and called again.

        Raises ValueError, with the parameters unchanged, if the loss is not finite.
        """
        while True:
            epoch, within = divmod(self._count, self.batch_count * self.value_count)
            batch, turn = divmod(within, self.value_count)
            if self._loaded != (epoch, batch):
                self._load_batch(epoch, batch, turn)
            yield self._nudge(epoch, turn)

    def _nudge(self, epoch: int, turn: int) -> Nudge:
        name, index, layer, position = self._value(int(self._order[turn]))
        probe, size = self._probes[len(self._examples)], self.config.size * self.config.shrink**epoch
        before = float(probe.parameter_vector[position])
        up, down = probe.perturbed_losses(layer, ((position, before + size), (position, before - size))).mean(1)
        number = self._count + 1
        nudge = Nudge(
            number, epoch + 1, self._examples, name, index, before, size, self._error, float(up), float(down)
        )
        probe.parameter_vector[position] = nudge.after
        self._count, self._error = number, nudge.error_after
        return nudge

    def _load_batch(self, epoch: int, batch: int, turn: int) -> None:
        """Load a batch, draw the order of its turns, and compute its loss."""
        seed, size = self.config.seed, self.config.batch
        examples = self.source.epoch(epoch)
        check_compatible(self.network, examples)
        order = np.random.default_rng((seed, epoch)).permutation(len(examples))
        chosen = order[batch * size : (batch + 1) * size]
        probe = self._probe(len(chosen))
        shares = targets(examples.labels[chosen], len(self.network.classes), np.float64)
        error = float(probe.set_batch(examples.images[chosen], shares).mean())
        if not np.isfinite(error):
            raise ValueError(
                "The error is not a finite number, so no nudge can lower it; begin with smaller weights."
            )
        if turn == 0:
            self._error = error
        self._examples = tuple(int(example) for example in chosen)
        make_order = np.random.default_rng((seed, epoch, batch)).permutation if self.config.shuffled else np.arange
        self._order: HostArray = make_order(self.value_count)
        self._loaded = (epoch, batch)

    def _value(self, number: int) -> tuple[str, tuple[int, ...], int, int]:
        """A parameter's name, index, layer (from 0), and position among all parameters."""
        parameter = bisect_right(self._ends, number)
        name, where = self._positions[parameter]
        flat = number - (self._ends[parameter] - where.size)
        index = tuple(int(axis) for axis in np.unravel_index(flat, where.shape))
        return name, index, self._layers[parameter], int(where[index])

    def _probe(self, size: int) -> LossProbe:
        """The probe for batches of `size`; all share their parameters."""
        if size not in self._probes:
            memory = (self._main.base.parameter_vector, self._main.base.buffer_vector) if self._probes else None
            self._probes[size] = LossProbe(self.network, size, shared_parameters=memory)
        return self._probes[size]
