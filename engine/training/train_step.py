"""Stepper: one step of learning, as calls made once: fetch the batch, forward, error, backward, guard, update.

It holds the parameters and all that an optimizer remembers. It chooses neither the examples nor their order, and
knows no epochs: trainer.py does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

import numpy as np

from engine.backends.backend import Backend
from engine.backends.ops import Array, Calls, replay, slices
from engine.nn.layers import ShapeError, Values
from engine.nn.network import Network, Parameters
from engine.nn.plan import Plan
from engine.training.optimizers import Moving
from engine.training.recipe import Recipe

HostArray: TypeAlias = "np.ndarray[Any, Any]"

# What the widest layer may keep busy of the examples worked on at once: about a processor's last cache. More of
# them make longer rows, which gains more than a nearer cache would.
CACHE_BYTES = 40_000_000
# How many parts of a batch may be worked on at the same time; the sums are made in their order.
LANES = 2
# With fewer multiplies (about 0.3 ms), a lane is not worth a thread.
LANE_MULTIPLIES = 2_000_000
# More examples at once are not read faster.
READ_TOGETHER = 64


class Stepper:
    """Learns from a table of examples, a batch a step.

    A batch is cut into chunks of a size that follows from the network and the batch alone, and their gradients are
    summed in a fixed order, so the same seed gives the same bytes whatever else the machine does. A step whose
    error, gradient or result is not finite changes nothing, and nor does any later one: see `fine`. parts: into how
    many chunks a GPU, which works on whole batches otherwise, cuts one, where memory is short.
    """

    def __init__(
        self, network: Network, backend: Backend, recipe: Recipe, parameters: Parameters, parts: int = 1
    ) -> None:
        self.network, self.backend, self.recipe = network, backend, recipe
        self._ops = ops = backend.operations
        self._allocate()
        self._plans: dict[tuple[int, int, int], Plan] = {}
        self._chunk = self._examples_at_once(parts)
        self._reading = self._plan(0, 1)
        self._reading.load(parameters)
        self._fine, self._clock, self._moment = (
            ops.full((1,), 1, np.int32),
            ops.zeros((1,), np.int64),
            ops.zeros((2,), np.uint32),
        )
        self._weights = self._weights_alone()
        self._programs: dict[tuple[int, int], Callable[[], None]] = {}
        self._steps: dict[int, tuple[Calls, list[Calls], Calls]] = {}
        self._together: dict[int, Calls] = {}
        self._fed: HostArray | None = None
        self._whole = False  # whether the last step begun here is made
        self._sizes: tuple[tuple[int, ...], tuple[int, ...]] | None = None

    def _examples_at_once(self, parts: int) -> int:
        if self.backend.name == "cpu":
            return chunk_size(self.network, self.recipe.batch)
        mixed = any(layer.mixes_batch for layer in self.network.layers)
        return self.recipe.batch if mixed else -(-self.recipe.batch // parts)

    def _allocate(self) -> None:
        """Everything that a step changes lies in one vector, so that it is kept and restored in one call."""
        ops, names = self._ops, self.recipe.optimizer.vectors
        learnt = sum(math.prod(shape) for shape in _blocks(self.network, "block_shape"))
        gathered = sum(math.prod(shape) for shape in _blocks(self.network, "state_shape"))
        self._memory: Array = ops.zeros((learnt * (1 + len(names)) + gathered + 1,), np.float32)
        self._before: Array = ops.zeros(self._memory.shape, np.float32)
        ends = [learnt * (place + 1) for place in range(1 + len(names))]
        self._values, *vectors = (self._memory[end - learnt : end] for end in ends)
        self._vectors = dict(zip(names, vectors, strict=True))
        self._state, self._count = self._memory[ends[-1] : -1], self._memory[-1:]
        self._gradients: Array = ops.zeros((learnt,), np.float32)

    # -- what it is fed ----------------------------------------------------------------------------------------

    def feed(self, images: HostArray, shares: HostArray, order: HostArray, rates: HostArray) -> None:
        """Lay out the examples of the next steps.

        images: (examples, C, H, W) float32; shares: (examples, classes) float32, what the votes should be; order:
        (steps, batch) int64, which examples each step sees, in rows of which a last, shorter batch uses the start;
        rates: (steps,), the learning rate of each. The next step is the first row.
        """
        ops = self._ops
        sizes = (images.shape, order.shape)
        if sizes != self._sizes:
            self._programs.clear()
            self._steps.clear()
            self._together.clear()
            self._fed = None
            self._sizes = sizes
            self._images, self._shares = ops.zeros(images.shape, np.float32), ops.zeros(shares.shape, np.float32)
            self._order, self._rates = ops.zeros(order.shape, np.int64), ops.zeros(rates.shape, np.float32)
            self._losses = ops.zeros(rates.shape, np.float32)
        if self._fed is not images:
            ops.upload(images, self._images)
            self._fed = images
        for values, target in ((shares, self._shares), (order, self._order), (rates, self._rates)):
            ops.upload(values, target)
        self.seek(0, self.steps_made)

    def seek(self, row: int, steps_made: int) -> None:
        """The next step sees row `row` of the order, and `steps_made` lie behind it in the run."""
        self._ops.upload(np.array([row], np.int64), self._clock)
        self._ops.upload(np.array([steps_made % 2**32, 0], np.uint32), self._moment)

    # -- steps -------------------------------------------------------------------------------------------------

    def run(self, size: int, times: int = 1) -> None:
        """Make `times` steps with batches of `size`, without waiting for their end."""
        key = (size, times)
        if key not in self._programs:
            first, lanes, last = self._step(size)
            self._programs[key] = self.backend.program([*first, *self._ops.together(lanes), *last], times)
        with _guarded():
            self._programs[key]()
        self._whole = True

    def slices(self, size: int, seconds: float) -> Iterator[None]:
        """As run(size), but stops about every `seconds` while the gradient is being found, so that a large step
        does not hold up whoever makes it. The parameters change at once, at the end."""
        if self.backend.name != "cpu":
            self.run(size)
            return
        self._whole = False
        first, lanes, last = self._step(size)
        # Held, for the thread of a lane lives as long as some calls that use it.
        if size not in self._together:
            self._together[size] = self._ops.together(lanes)
        go_on = self._ops.sliced(lanes)

        def guarded(until: float) -> bool:
            # Never across a yield: what NumPy is told here would hold for whoever is yielded to.
            with _guarded():
                return go_on(until)

        with _guarded():
            replay(first)
        yield from slices(guarded, seconds)
        with _guarded():
            replay(last)
        self._whole = True

    @property
    def fine(self) -> bool:
        """False once a step was refused because a number was not finite; waits for the steps to end."""
        return bool(self._ops.to_host(self._fine)[0])

    @property
    def steps_made(self) -> int:
        """How many steps of the run have been accepted; waits for them to end."""
        return int(self._ops.to_host(self._moment)[0])

    def losses(self, first: int, last: int) -> HostArray:
        """The mean errors of the steps in rows first to last of the order, last excluded."""
        return self._ops.to_host(self._losses[first:last])

    # -- what it holds -----------------------------------------------------------------------------------------

    def parameters(self) -> Values:
        """Host copies of the parameters, and of what layers gathered, by name."""
        return self._reading.parameters()

    def gradients(self) -> Values:
        """Host copies of the last step's gradients by name, l2 and clipping included."""
        return {name: self._ops.to_host(view) for name, view in self._reading.parts(self._gradients).items()}

    def changes(self) -> Values:
        """By how much the last step changed each parameter, by name; nothing before the first, or within one."""
        if not self._whole:
            return {}
        learnt = len(self._values)
        after = self._ops.to_host(self._values)
        moved = after - self._ops.to_host(self._before[:learnt])
        return {name: np.asarray(view) for name, view in self._reading.parts(moved).items()}

    def memory(self) -> Values:
        """Host copies of what the optimizer remembers: each of its vectors laid out as the parameters, such as
        velocity.01-conv2d.weight, and "count" (1,), how many steps it has made."""
        return {name: self._ops.to_host(view) for name, view in self._memory_views().items()}

    def restore(self, parameters: Parameters, memory: Mapping[str, HostArray]) -> None:
        """Go on from what `parameters` and `memory` gave, and forget a refusal; without any memory the optimizer
        starts afresh.

        Raises ShapeError or ValueError for those of another network or optimizer, and for values that are not
        finite; nothing is changed then.
        """
        views = self._memory_views()
        strange = sorted(memory.keys() ^ views.keys()) or [n for n in views if memory[n].shape != views[n].shape]
        if memory and strange:
            raise ShapeError(
                f"The optimizer's memory does not fit at {strange[0]}: it belongs to another network or optimizer; "
                "start it afresh."
            )
        if not all(np.isfinite(values).all() for values in memory.values()):
            raise ValueError("The optimizer's memory holds values that are not finite numbers; start it afresh.")
        self._reading.load(parameters)
        for name, view in views.items():
            self._ops.upload(memory[name] if memory else np.zeros(view.shape, np.float32), view)
        self._ops.upload(np.ones(1, np.int32), self._fine)

    def _memory_views(self) -> dict[str, Array]:
        views: dict[str, Array] = {"count": self._count}
        for kind, vector in self._vectors.items():
            views.update((f"{kind}.{name}", view) for name, view in self._reading.parts(vector).items())
        return views

    # -- the calls ---------------------------------------------------------------------------------------------

    def _step(self, size: int) -> tuple[Calls, list[Calls], Calls]:
        """All calls of one step with a batch of `size`: first, in lanes that may run at the same time, and last."""
        if size not in self._steps:
            errors = self._ops.zeros((size,), np.float32)
            lanes, sums = self._gradient(size, errors)
            self._steps[size] = self._ops.copy(self._memory, self._before), lanes, sums + self._apply(size, errors)
        return self._steps[size]

    def _apply(self, size: int, errors: Array) -> Calls:
        """What is done with the gradient: the update, guarded."""
        ops, recipe = self._ops, self.recipe
        calls: Calls = []
        if recipe.l2:
            calls += ops.penalise(self._values, self._weights, recipe.l2, self._gradients)
        if recipe.clip is not None:
            calls += ops.clip(self._gradients, recipe.clip)
        calls += recipe.optimizer.update(
            ops,
            Moving(
                self._values,
                self._gradients,
                self._weights,
                self._vectors,
                self._count,
                self._rates,
                self._clock,
            ),
        )
        calls += self._hold_frozen()
        if self._chunk >= size:
            calls += self._plan(0, size, size).settle_calls()
        # A gradient that is not finite makes what it moves and what remembers it not finite either.
        calls += ops.check((errors, self._memory), self._fine)
        calls += ops.choose(self._fine, 0, self._before, self._memory)
        calls += ops.record(errors, self._clock, self._losses)
        return calls + ops.advance(self._clock, self._moment, self._fine)

    def _gradient(self, size: int, errors: Array) -> tuple[list[Calls], Calls]:
        """Sum the gradient of the mean error, chunk by chunk, in lanes; and what adds up the lanes' sums."""
        ops = self._ops
        chunks = [(first, min(self._chunk, size - first)) for first in range(0, size, self._chunk)]
        lanes: list[Calls] = []
        sums: list[Array] = []
        for lane in range(min(LANES, len(chunks))):
            total = self._gradients if lane == 0 else ops.zeros(self._gradients.shape, np.float32)
            calls: Calls = []
            for place, (first, count) in enumerate(chunks[lane::LANES]):
                plan = self._plan(lane, count, size)
                calls += self._pass(plan, first, errors)
                calls += ops.copy(plan.gradients, total) if place == 0 else ops.add(total, plan.gradients, total)
            lanes.append(calls)
            sums.append(total)
        return lanes, [call for other in sums[1:] for call in ops.add(self._gradients, other, self._gradients)]

    def _pass(self, plan: Plan, first: int, errors: Array) -> Calls:
        """Fetch a chunk that starts at `first`, pass it forward, and its error backward."""
        ops = self._ops
        calls = ops.gather(self._images, self._order, self._clock, first, plan.input)
        calls += ops.gather(self._shares, self._order, self._clock, first, plan.targets)
        if any(layer.draws for layer in self.network.layers):
            calls += ops.copy(self._moment[:1], plan.moment[:1]) + ops.fill(plan.moment[1:], first)
        for part in (*plan.forward_calls, plan.loss_calls, *plan.backward_calls):
            calls += part
        return calls + ops.copy(plan.errors, errors[first : first + plan.batch])

    def _plan(self, lane: int, size: int, total: int = 0) -> Plan:
        """The plan with which a lane works on chunks of `size` of a batch of `total`."""
        key = (lane, size, total)
        if key not in self._plans:
            self._plans[key] = Plan(
                self.network,
                self.backend,
                size,
                learn=bool(total),
                frozen=self.recipe.frozen,
                seed=self.recipe.seed,
                total=total,
                memory=(self._values, self._state),
            )
        return self._plans[key]

    def _weights_alone(self) -> Array:
        """1 where a value is a weight that learns, 0 for biases, for what only scales, and for frozen layers."""
        weights: Array = self._ops.zeros(self._values.shape, np.float32)
        for name, view in self._reading.parts(weights).items():
            if view.ndim > 1 and not self._is_frozen(name):
                self._ops.upload(np.ones(view.shape, np.float32), view)
        return weights

    def _hold_frozen(self) -> Calls:
        """The calls that put frozen values back: adding 0 would leave all as they are but -0."""
        before, now = self._reading.parts(self._before[: len(self._values)]), self._reading.parts(self._values)
        frozen = [name for name in now if self._is_frozen(name)]
        return [call for name in frozen for call in self._ops.copy(before[name], now[name])]

    def _is_frozen(self, name: str) -> bool:
        """Whether a parameter, such as 01-conv2d.weight, belongs to a frozen layer."""
        return name.split(".")[0] in self.recipe.frozen


def _guarded() -> AbstractContextManager[None]:
    """What overflows in a step is caught by its own guard instead of a warning."""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")


def _blocks(network: Network, which: str) -> list[tuple[int, ...]]:
    """The shapes of all layers' blocks of one sort."""
    pairs = zip(network.layers, network.shapes, strict=False)
    shapes = [getattr(layer, which)(shape) for layer, shape in pairs]
    return [shape for shape in shapes if shape is not None]


def chunk_size(network: Network, batch: int) -> int:
    """How many examples are learnt from at once: a lane's share of the batch, or all of it where that is little
    work or a layer mixes its examples; of a share that does not fit the cache, a half, a quarter, and so on. If
    some layer is worth more, as many as leave work for every lane."""
    if any(layer.mixes_batch for layer in network.layers):
        return batch
    share = -(-batch // LANES)
    pairs = zip(network.layers, network.shapes, strict=False)
    little = share * sum(layer.multiplies(shape) for layer, shape in pairs) < LANE_MULTIPLIES
    return max(cached_examples(network, batch if little else share), _worthwhile(network, share))


def reading_size(network: Network, most: int) -> int:
    """How many examples are read at once, at most `most`."""
    return max(cached_examples(network, min(most, READ_TOGETHER)), _worthwhile(network, most))


def cached_examples(network: Network, most: int) -> int:
    """How many examples keep no more busy than the cache holds: `most`, or half of it, or a quarter, and so on."""
    widest = max(layer.work_bytes(shape) for layer, shape in zip(network.layers, network.shapes, strict=False))
    while most > 1 and most * widest > CACHE_BYTES:
        most = -(-most // 2)
    return most


def _worthwhile(network: Network, most: int) -> int:
    """What the layers ask for at once, at most `most`, at least 1."""
    asked = max(layer.together(shape) for layer, shape in zip(network.layers, network.shapes, strict=False))
    return max(1, min(asked, most))
