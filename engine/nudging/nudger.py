"""Nudger: learning as the article tells it, one value after the other. It knows no gradient."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, TypeAlias

import numpy as np

from engine.backends.ops import HostArray
from engine.data.pool import Source
from engine.nn.layers import Values
from engine.nn.losses import targets
from engine.nn.network import Network, Parameters
from engine.nudging.probe import Probe
from engine.training.evaluation import check_fit

Kept: TypeAlias = Literal["up", "down", "same"]


@dataclass(frozen=True)
class Nudging:
    """How values are nudged.

    size: how far up and down. shrink: what each further time through all examples makes of the size, as a factor.
    shuffled: whether the values take turns in an order drawn for each batch; otherwise as they stand, the first
    layer's first. batch: examples whose mean error is looked at, 1 as the article tells it. frozen: names of layers
    (01-conv2d) whose values stay. seed: of the order of the examples, and of the values if shuffled.
    Raises ValueError for numbers that mean nothing.
    """

    size: float = 0.1
    shrink: float = 1.0
    shuffled: bool = False
    batch: int = 1
    frozen: tuple[str, ...] = ()
    seed: int = 1

    def __post_init__(self) -> None:
        """Checks the numbers."""
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
    """What became of one value in one turn.

    number: of the nudge, from 1; epoch: how often all examples have had their turn, from 1; examples: which of the
    epoch's examples are looked at. name, index: of the value. before: what it was; size: how far it was moved.
    error, error_up, error_down: the mean error of the examples with the value as it was, higher, and lower.
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
    def kept(self) -> Kept:
        """What was kept: whichever makes the error least, and of equals the value as it was, then the higher."""
        if self.error_down < self.error and not self.error_up <= self.error_down:
            return "down"
        return "up" if self.error_up < self.error else "same"

    @property
    def after(self) -> float:
        """The value that was kept."""
        return self.before + {"up": self.size, "same": 0.0, "down": -self.size}[self.kept]

    @property
    def error_after(self) -> float:
        """The error with the value that was kept."""
        return {"up": self.error_up, "same": self.error, "down": self.error_down}[self.kept]


@dataclass(frozen=True, eq=False)
class NudgeState:
    """Where a Nudger stands: from here it goes on to the same bytes as if it had never stopped.

    parameters: by name; nudges: made so far; error: of the examples whose turn it is, as they are now.
    """

    parameters: Values
    nudges: int
    error: float


class Nudger:
    """Lowers a network's error by nudging, as Rohrer's article tells backpropagation.

    Every value in turn is made a little higher and a little lower, the error is computed each time, and whichever
    is least is kept. When all values of the network have had their turn for one batch, the next batch comes, and
    after the last the first again, in an order drawn anew: as long as one goes on asking. The error is softmax
    cross-entropy in float64, of the network as it reads: see Probe. Batch norm's weights and biases are nudged like
    any other value; its running statistics stay as they are, for they are gathered, not learnt.

    Raises ShapeError or ValueError if the parameters are not the network's.
    """

    def __init__(
        self,
        network: Network,
        source: Source,
        nudging: Nudging,
        start: Parameters | NudgeState,
    ) -> None:
        if source.count < 1:
            raise ValueError("There are no examples to learn from; give some.")
        network.places(nudging.frozen)
        self.network, self.source, self.nudging = network, source, nudging
        self._probes: dict[int, Probe] = {}
        self._main = self._probe(min(nudging.batch, source.count))
        state = start if isinstance(start, NudgeState) else NudgeState(dict(start), 0, 0.0)
        self._main.base.load(state.parameters)
        self._made, self._error = state.nudges, state.error
        self._shown: tuple[int, int] | None = None
        self._list_values()

    def _list_values(self) -> None:
        """Where every value that learns stands, name by name, in the order of the layers."""
        positions = self._main.base.parts(np.arange(len(self._main.values)))
        self._positions = [
            (name, where) for name, where in positions.items() if name.split(".")[0] not in self.nudging.frozen
        ]
        if not self._positions:
            raise ValueError("There is no value to nudge: every layer is frozen, or none has any; free one.")
        self._ends: list[int] = list(accumulate(where.size for _, where in self._positions))
        self._layers = [self.network.names.index(name.split(".")[0]) - 1 for name, _ in self._positions]

    @property
    def values(self) -> int:
        """How many values have a turn for each batch."""
        return self._ends[-1]

    @property
    def batches(self) -> int:
        """How many batches all examples make."""
        return -(-self.source.count // self.nudging.batch)

    @property
    def multiplies(self) -> int:
        """How many this Nudger has made so far; see Probe for what it spares."""
        return sum(probe.multiplies for probe in self._probes.values())

    def parameters(self) -> Values:
        """Copies of the parameters, and of what layers gathered, as they are now, by name."""
        return self._main.base.parameters()

    def state(self) -> NudgeState:
        """Where it stands now."""
        return NudgeState(self.parameters(), self._made, self._error)

    def nudges(self) -> Iterator[Nudge]:
        """Nudges one value at each next(), without end. It may be left and asked for again.

        Raises ValueError, with the parameters as they are, if the error is not a finite number to begin with.
        """
        while True:
            epoch, within = divmod(self._made, self.batches * self.values)
            batch, turn = divmod(within, self.values)
            if self._shown != (epoch, batch):
                self._show(epoch, batch, turn)
            yield self._nudge(epoch, turn)

    def _nudge(self, epoch: int, turn: int) -> Nudge:
        """One value's turn."""
        name, index, layer, position = self._value(int(self._order[turn]))
        probe, size = self._probes[len(self._examples)], self.nudging.size * self.nudging.shrink**epoch
        before = float(probe.values[position])
        up, down = probe.errors(layer, ((position, before + size), (position, before - size))).mean(1)
        made = self._made + 1
        found = Nudge(
            made, epoch + 1, self._examples, name, index, before, size, self._error, float(up), float(down)
        )
        probe.values[position] = found.after
        self._made, self._error = made, found.error_after
        return found

    def _show(self, epoch: int, batch: int, turn: int) -> None:
        """Lay out a batch and the order of its turns, and find its error."""
        seed, size = self.nudging.seed, self.nudging.batch
        given = self.source.epoch(epoch)
        check_fit(self.network, given)
        order = np.random.default_rng((seed, epoch)).permutation(len(given))
        chosen = order[batch * size : (batch + 1) * size]
        probe = self._probe(len(chosen))
        shares = targets(given.labels[chosen], len(self.network.classes), np.float64)
        error = float(probe.show(given.images[chosen], shares).mean())
        if not np.isfinite(error):
            raise ValueError(
                "The error is not a finite number, so no nudge can lower it; begin with smaller weights."
            )
        if turn == 0:
            self._error = error
        self._examples = tuple(int(place) for place in chosen)
        drawn = np.random.default_rng((seed, epoch, batch)).permutation if self.nudging.shuffled else np.arange
        self._order: HostArray = drawn(self.values)
        self._shown = (epoch, batch)

    def _value(self, number: int) -> tuple[str, tuple[int, ...], int, int]:
        """A value's name, index, layer (from 0), and position among all values."""
        owner = bisect_right(self._ends, number)
        name, where = self._positions[owner]
        flat = number - (self._ends[owner] - where.size)
        index = tuple(int(place) for place in np.unravel_index(flat, where.shape))
        return name, index, self._layers[owner], int(where[index])

    def _probe(self, size: int) -> Probe:
        """The probe for batches of `size`; all share their parameters."""
        if size not in self._probes:
            memory = (self._main.base.values, self._main.base.state) if self._probes else None
            self._probes[size] = Probe(self.network, size, memory=memory)
        return self._probes[size]
