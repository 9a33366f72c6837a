"""One training step as backend calls, made once and replayed: batch, forward, loss, backward, update, check.

TrainStep holds the parameters and the optimizer state; trainer.py chooses the examples and their order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager

import numpy as np

from engine.backends import Array, Backend, Calls, HostArray, UpdateArrays, iter_slices, replay
from engine.nn import Network, Parameters, Plan, largest_batch
from engine.nn.layers import Arrays, ShapeError
from engine.training.config import TrainingConfig

# Work memory of the widest layer for one chunk: about a processor's last cache. More examples make longer rows,
# which gains more than a nearer cache would.
CACHE_BYTES = 40_000_000
# Parts of a batch computed in parallel; their gradients are summed in order.
PARALLEL_PARTS = 2
# With fewer multiplications (about 0.3 ms) a part is not worth a thread.
MIN_PARALLEL_MULTIPLIES = 2_000_000
# Larger batches are not faster in inference.
MAX_INFERENCE_BATCH = 64


class TrainStep:
    """Training steps on the loaded examples of an epoch, one batch each.

    A batch is cut into chunks, and their gradients are summed in a fixed order. On a processor the chunks follow
    from the network and the batch alone, so the same seed gives the same bytes. A GPU takes the whole batch, or,
    where its free memory is short, one chunk after the other in the same buffers; the sums then round otherwise.
    Batches of a network with batch statistics are never cut. A step whose loss, gradient or result is not finite
    changes nothing, and neither does any later one: see `is_finite`.
    """

    def __init__(self, network: Network, backend: Backend, config: TrainingConfig, parameters: Parameters) -> None:
        self.network, self.backend, self.config = network, backend, config
        self._ops = ops = backend.operations
        self._allocate()
        self._plans: dict[tuple[int, int, int], Plan] = {}
        self._chunks: dict[int, int] = {}  # by the size of the batch
        self._inference_plan = self._plan(0, 1)
        self._inference_plan.load(parameters)
        self._is_finite, self._step_index, self._rng_counter = (
            ops.full((1,), 1, np.int32),
            ops.zeros((1,), np.int64),
            ops.zeros((2,), np.uint32),
        )
        self._decay_mask = self._make_decay_mask()
        self._programs: dict[tuple[int, int], Callable[[], None]] = {}
        self._steps: dict[int, tuple[Calls, list[Calls], Calls]] = {}
        self._parallel_calls: dict[int, Calls] = {}
        self._loaded: HostArray | None = None
        self._complete = False  # whether the last step begun here is made
        self._sizes: tuple[tuple[int, ...], tuple[int, ...]] | None = None

    def _chunk_of(self, size: int) -> int:
        """The examples of a chunk of a batch of `size`, decided once, when the examples of an epoch are loaded."""
        if size not in self._chunks:
            self._chunks[size] = self._decided_chunk(size)
        return self._chunks[size]

    def _decided_chunk(self, size: int) -> int:
        if not can_cut(self.network):
            return size
        most = largest_batch(self.network, self.backend, size, learn=True)
        if self.backend.name == "cpu":
            return min(chunk_size(self.network, self.config.batch), size, most)
        return next(chunk for chunk in iter_even_chunks(size) if chunk == 1 or chunk + size % chunk <= most)

    def _allocate(self) -> None:
        """Everything a step changes lies in one vector, so that one call saves or restores it."""
        ops, names = self._ops, self.config.optimizer.state_names
        pairs = list(zip(self.network.layers, self.network.shapes, strict=False))
        parameters = _total_size(layer.parameter_shape(shape) for layer, shape in pairs)
        buffers = _total_size(layer.buffer_shape(shape) for layer, shape in pairs)
        self._everything: Array = ops.zeros((parameters * (1 + len(names)) + buffers + 1,), np.float32)
        self._before: Array = ops.zeros(self._everything.shape, np.float32)
        ends = [parameters * (index + 1) for index in range(1 + len(names))]
        self._values, *vectors = (self._everything[end - parameters : end] for end in ends)
        self._vectors = dict(zip(names, vectors, strict=True))
        self._buffers, self._count = self._everything[ends[-1] : -1], self._everything[-1:]
        self._gradients: Array = ops.zeros((parameters,), np.float32)

    # -- examples ----------------------------------------------------------------------------------------------

    def load_epoch(self, images: HostArray, shares: HostArray, order: HostArray, rates: HostArray) -> None:
        """Load the examples of an epoch; the next step is the first row of `order`.

        images: (examples, C, H, W) float32.
        shares: (examples, classes) float32, the target probabilities.
        order: (steps, batch) int64, indices into the examples; a last, shorter batch uses the start of its row.
        rates: (steps,), the learning rates.
        """
        ops = self._ops
        sizes = (images.shape, order.shape)
        if sizes != self._sizes:
            self._programs.clear()
            self._steps.clear()
            self._parallel_calls.clear()
            self._loaded = None
            self._sizes = sizes
            self._images, self._shares = ops.zeros(images.shape, np.float32), ops.zeros(shares.shape, np.float32)
            self._order, self._rates = ops.zeros(order.shape, np.int64), ops.zeros(rates.shape, np.float32)
            self._losses = ops.zeros(rates.shape, np.float32)
        if self._loaded is not images:
            ops.upload(images, self._images)
            self._loaded = images
        for values, target in ((shares, self._shares), (order, self._order), (rates, self._rates)):
            ops.upload(values, target)
        self.set_position(0, self.steps_made)

    def set_position(self, row: int, steps_made: int) -> None:
        """Set the row of the order that the next step uses, and how many steps of the run precede it."""
        self._ops.upload(np.array([row], np.int64), self._step_index)
        self._ops.upload(np.array([steps_made % 2**32, 0], np.uint32), self._rng_counter)

    # -- steps -------------------------------------------------------------------------------------------------

    def run(self, size: int, times: int = 1) -> None:
        """Make `times` steps with batches of `size`; a GPU is not waited for."""
        key = (size, times)
        if key not in self._programs:
            first, parallel, last = self._step(size)
            self._programs[key] = self.backend.program([*first, *self._ops.in_parallel(parallel), *last], times)
        with _no_warnings():
            self._programs[key]()
        self._complete = True

    def iter_slices(self, size: int, seconds: float) -> Iterator[None]:
        """As run(size), but yields about every `seconds` while the gradient is computed, so that the caller can do
        other work. The parameters change at the end, all at once."""
        if self.backend.name != "cpu":
            self.run(size)
            return
        self._complete = False
        first, parallel, last = self._step(size)
        # Referenced, because a worker thread lives as long as the calls that use it.
        if size not in self._parallel_calls:
            self._parallel_calls[size] = self._ops.in_parallel(parallel)
        run_until = self._ops.in_slices(parallel)

        def guarded(until: float) -> bool:
            # Never across a yield: NumPy's error state would apply to the caller.
            with _no_warnings():
                return run_until(until)

        with _no_warnings():
            replay(first)
        yield from iter_slices(guarded, seconds)
        with _no_warnings():
            replay(last)
        self._complete = True

    @property
    def is_finite(self) -> bool:
        """False once a step was rejected because a number was not finite; waits for the steps to end."""
        return bool(self._ops.to_host(self._is_finite)[0])

    @property
    def steps_made(self) -> int:
        """Number of accepted steps of the run; waits for them to end."""
        return int(self._ops.to_host(self._rng_counter)[0])

    def losses(self, first: int, last: int) -> HostArray:
        """The mean losses of the steps in rows first to last of the order, last excluded."""
        return self._ops.to_host(self._losses[first:last])

    # -- state -------------------------------------------------------------------------------------------------

    def parameters(self) -> Arrays:
        """Host copies of the parameters and buffers, by name."""
        return self._inference_plan.parameters()

    def gradients(self) -> Arrays:
        """Host copies of the last step's gradients by name, L2 penalty and clipping included."""
        views = self._inference_plan.split_vector(self._gradients)
        return {name: self._ops.to_host(view) for name, view in views.items()}

    def changes(self) -> Arrays:
        """The last step's change of each parameter, by name; empty before the first step and within one."""
        if not self._complete:
            return {}
        after = self._ops.to_host(self._values)
        change = after - self._ops.to_host(self._before[: len(self._values)])
        return {name: np.asarray(view) for name, view in self._inference_plan.split_vector(change).items()}

    def optimizer_state(self) -> Arrays:
        """Host copies of the optimizer state: its vectors shaped as the parameters, such as
        velocity.conv2d-1.weight, and "count" (1,), its number of steps."""
        return {name: self._ops.to_host(view) for name, view in self._state_views().items()}

    def restore(self, parameters: Parameters, state: Mapping[str, HostArray]) -> None:
        """Continue from parameters and optimizer state, and accept steps again; an empty state is a new optimizer.

        Raises ShapeError or ValueError for those of another network or optimizer, and for values that are not
        finite; nothing is changed then.
        """
        views = self._state_views()
        unfit = sorted(state.keys() ^ views.keys()) or [n for n in views if state[n].shape != views[n].shape]
        if state and unfit:
            raise ShapeError(
                f"The optimizer state does not fit at {unfit[0]}: it belongs to another network or optimizer; "
                "start it afresh."
            )
        if not all(np.isfinite(values).all() for values in state.values()):
            raise ValueError("The optimizer state holds values that are not finite numbers; start it afresh.")
        self._inference_plan.load(parameters)
        for name, view in views.items():
            self._ops.upload(state[name] if state else np.zeros(view.shape, np.float32), view)
        self._ops.upload(np.ones(1, np.int32), self._is_finite)

    def _state_views(self) -> dict[str, Array]:
        views: dict[str, Array] = {"count": self._count}
        for kind, vector in self._vectors.items():
            views.update(
                (f"{kind}.{name}", view) for name, view in self._inference_plan.split_vector(vector).items()
            )
        return views

    # -- calls -------------------------------------------------------------------------------------------------

    def _step(self, size: int) -> tuple[Calls, list[Calls], Calls]:
        """All calls of a step with a batch of `size`: the first ones, lists to run in parallel, the last ones."""
        if size not in self._steps:
            losses = self._ops.zeros((size,), np.float32)
            parallel, sums = self._gradient_calls(size, losses)
            first = self._ops.copy(self._everything, self._before)
            self._steps[size] = first, parallel, sums + self._update_calls(size, losses)
        return self._steps[size]

    def _update_calls(self, size: int, losses: Array) -> Calls:
        """Apply the gradient, and undo the update if a number is not finite."""
        ops, config = self._ops, self.config
        calls: Calls = []
        if config.l2:
            calls += ops.add_l2_gradient(self._values, self._decay_mask, config.l2, self._gradients)
        if config.clip is not None:
            calls += ops.clip_norm(self._gradients, config.clip)
        calls += config.optimizer.update(
            ops,
            UpdateArrays(
                self._values,
                self._gradients,
                self._decay_mask,
                self._vectors,
                self._count,
                self._rates,
                self._step_index,
            ),
        )
        calls += self._restore_frozen()
        if self._chunk_of(size) == size:
            calls += self._plan(0, size, size).update_statistics_calls()
        # A gradient that is not finite makes the parameters or the optimizer state not finite.
        calls += ops.check_finite((losses, self._everything), self._is_finite)
        calls += ops.restore_if(self._is_finite, 0, self._before, self._everything)
        calls += ops.store_loss(losses, self._step_index, self._losses)
        return calls + ops.advance_counters(self._step_index, self._rng_counter, self._is_finite)

    def _gradient_calls(self, size: int, losses: Array) -> tuple[list[Calls], Calls]:
        """Sum the gradient of the mean loss chunk by chunk, in parallel parts, and then the parts' sums."""
        ops = self._ops
        chunk = self._chunk_of(size)
        chunks = [(first, min(chunk, size - first)) for first in range(0, size, chunk)]
        # A GPU computes one chunk after the other, so a second set of buffers would take memory only.
        lanes = PARALLEL_PARTS if self.backend.name == "cpu" else 1
        parallel: list[Calls] = []
        sums: list[Array] = []
        for part in range(min(lanes, len(chunks))):
            total = self._gradients if part == 0 else ops.zeros(self._gradients.shape, np.float32)
            calls: Calls = []
            for index, (first, count) in enumerate(chunks[part::lanes]):
                plan = self._plan(part, count, size)
                calls += self._pass_calls(plan, first, losses)
                calls += (
                    ops.copy(plan.gradient_vector, total)
                    if index == 0
                    else ops.add(total, plan.gradient_vector, total)
                )
            parallel.append(calls)
            sums.append(total)
        return parallel, [call for other in sums[1:] for call in ops.add(self._gradients, other, self._gradients)]

    def _pass_calls(self, plan: Plan, first: int, losses: Array) -> Calls:
        """Fetch the chunk that starts at `first`; forward and backward pass."""
        ops = self._ops
        calls = ops.gather_batch(self._images, self._order, self._step_index, first, plan.input)
        calls += ops.gather_batch(self._shares, self._order, self._step_index, first, plan.targets)
        if any(layer.traits.is_stochastic for layer in self.network.layers):
            calls += ops.copy(self._rng_counter[:1], plan.rng_counter[:1]) + ops.fill(plan.rng_counter[1:], first)
        for part in (*plan.forward_calls, plan.loss_calls, *plan.backward_calls):
            calls += part
        return calls + ops.copy(plan.losses, losses[first : first + plan.batch])

    def _plan(self, part: int, size: int, total: int = 0) -> Plan:
        """The plan of a parallel part for chunks of `size` of a batch of `total`; inference if that is 0."""
        key = (part, size, total)
        if key not in self._plans:
            self._plans[key] = Plan(
                self.network,
                self.backend,
                size,
                learn=bool(total),
                frozen=self.config.frozen,
                seed=self.config.seed,
                total_examples=total,
                shared_parameters=(self._values, self._buffers),
            )
        return self._plans[key]

    def _make_decay_mask(self) -> Array:
        """1 for weights that are trained, 0 for biases, scale factors and frozen layers."""
        mask: Array = self._ops.zeros(self._values.shape, np.float32)
        for name, view in self._inference_plan.split_vector(mask).items():
            if view.ndim > 1 and not self._is_frozen(name):
                self._ops.upload(np.ones(view.shape, np.float32), view)
        return mask

    def _restore_frozen(self) -> Calls:
        """Copy frozen parameters back: an update of 0 would change -0 to 0."""
        before = self._inference_plan.split_vector(self._before[: len(self._values)])
        current = self._inference_plan.split_vector(self._values)
        frozen = [name for name in current if self._is_frozen(name)]
        return [call for name in frozen for call in self._ops.copy(before[name], current[name])]

    def _is_frozen(self, name: str) -> bool:
        """Whether a parameter, such as conv2d-1.weight, belongs to a frozen layer."""
        return name.split(".")[0] in self.config.frozen


def _no_warnings() -> AbstractContextManager[None]:
    """NumPy without overflow warnings: a step checks for numbers that are not finite itself."""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")


def _total_size(shapes: Iterable[tuple[int, ...] | None]) -> int:
    return sum(math.prod(shape) for shape in shapes if shape is not None)


def can_cut(network: Network) -> bool:
    """Whether a batch can be cut into chunks: not if a layer mixes its examples."""
    return not any(layer.traits.uses_batch_statistics for layer in network.layers)


def chunk_size(network: Network, batch: int) -> int:
    """Number of examples per chunk of a training batch.

    A parallel part of the batch, or all of it where that is little work or a layer uses batch statistics; halved
    until it fits the cache, unless a layer prefers more, up to a parallel part.
    """
    if not can_cut(network):
        return batch
    share = -(-batch // PARALLEL_PARTS)
    pairs = zip(network.layers, network.shapes, strict=False)
    little = share * sum(layer.multiplies(shape) for layer, shape in pairs) < MIN_PARALLEL_MULTIPLIES
    return max(cache_batch_size(network, batch if little else share), _preferred_batch(network, share))


def iter_even_chunks(size: int) -> Iterator[int]:
    """The chunk sizes by which a batch of `size` is cut into 1, 2, 3 and more chunks, all but the last of which are
    equal."""
    return (-(-size // count) for count in range(1, size + 1))


def inference_batch_size(network: Network, most: int) -> int:
    """Batch size for inference, at most `most`."""
    return max(cache_batch_size(network, min(most, MAX_INFERENCE_BATCH)), _preferred_batch(network, most))


def cache_batch_size(network: Network, most: int) -> int:
    """The largest of `most`, half of it, a quarter and so on whose work memory fits the cache."""
    widest = max(layer.workspace_bytes(shape) for layer, shape in zip(network.layers, network.shapes, strict=False))
    while most > 1 and most * widest > CACHE_BYTES:
        most = -(-most // 2)
    return most


def _preferred_batch(network: Network, most: int) -> int:
    """The batch the layers prefer, from 1 to `most`."""
    preferred = max(
        layer.preferred_batch(shape) for layer, shape in zip(network.layers, network.shapes, strict=False)
    )
    return max(1, min(preferred, most))
