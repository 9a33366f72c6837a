"""Plan: a network bound to a backend, a batch size and a dtype, with every buffer and call made once.

A pass replays the prepared calls; nothing is allocated and no layer is asked anything again. A plan holds its own
copy of the parameters. It does not train: optimizers and the training loop read and write its flat vectors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from engine.backends.backend import Backend
from engine.backends.ops import Array, Calls, HostArray, Inlet, Operations, Outlet, replay, slices
from engine.nn.layers import Buffer, Conv2D, Layer, MaxPool2D, Shape, ShapeError, Stage, Values, shape_text
from engine.nn.layers.conv2d import Conv2D as PooledConv2DConv2D
from engine.nn.layers.layer import Buffer as PooledConv2DBuffer
from engine.nn.layers.layer import Layer as PooledConv2DLayer
from engine.nn.layers.layer import Shape as PooledConv2DShape
from engine.nn.layers.layer import Stage as PooledConv2DStage
from engine.nn.layers.layer import key_of
from engine.nn.layers.pooling import MaxPool2D as PooledConv2DMaxPool2D
from engine.nn.network import GIBIBYTE, PICTURE_LIMIT, Network, Parameters


@dataclass(frozen=True)
class PooledConv2D(PooledConv2DLayer):
    """What both layers give one after the other; see Operations.convolution_max_pool."""

    convolution: PooledConv2DConv2D
    pool: PooledConv2DMaxPool2D

    def output_shape(self, shape: PooledConv2DShape) -> PooledConv2DShape:
        """The pool's."""
        return self.pool.output_shape(self.convolution.output_shape(shape))

    def block_shape(self, shape: PooledConv2DShape) -> PooledConv2DShape:
        """The convolution's."""
        return self.convolution.block_shape(shape)

    def buffer(self, ops: Operations, shape: PooledConv2DShape, batch: int, dtype: Any) -> PooledConv2DBuffer:
        """As the convolution wants it."""
        return self.convolution.buffer(ops, shape, batch, dtype)

    def forward(self, ops: Operations, stage: PooledConv2DStage) -> Calls:
        """The largest match in each window."""
        layer = self.convolution
        between = layer.output_shape(stage.x.values.shape[:-1])
        stage.work = ops.convolution_max_pool(
            stage.x.full,
            stage.block,
            stage.y,
            layer.size,
            layer.stride,
            layer.margin,
            layer.divisor(stage.x.values.shape[:-1]),
            between,
            self.pool.size,
            self.pool.stride,
            stage.learning,
        )
        calls: Calls = stage.work.forward()
        return calls

    def backward(self, ops: Operations, stage: PooledConv2DStage) -> Calls:
        """Gradients of features, biases and input."""
        calls: Calls = stage.work.backward(stage.dy, stage.dx, stage.dblock)
        return calls


# One picture in float64 always fits.
PLAN_LIMIT = 2 * PICTURE_LIMIT


class Plan:
    """Passes of `network` over batches of exactly `batch` pictures.

    keep=True leaves every layer's output readable after a pass (`outputs`). keep=False may run a layer that
    commutes with the maximum, such as ReLU, after the max pool that follows it, on a quarter of the values: scores
    and gradients are the same. learn=True also prepares the backward pass; input_gradient=True carries it down to
    the picture. training: whether dropout and batch norm behave as while learning (unless told, if it learns).
    frozen: names of layers (01-conv2d) whose parameters get no gradient and whose statistics stand still. seed: of
    the layers' random choices. total: the examples that the gradient is the mean over, if `batch` is a part of
    them. memory: `values` and `state` of another plan of the same network, to read instead of vectors of its own.
    """

    def __init__(
        self,
        network: Network,
        backend: Backend,
        batch: int,
        *,
        dtype: Any = np.float32,
        keep: bool = False,
        learn: bool = False,
        input_gradient: bool = False,
        training: bool | None = None,
        frozen: Collection[str] = (),
        seed: int = 0,
        total: int | None = None,
        memory: tuple[Array, Array] | None = None,
    ) -> None:
        self.network, self.backend, self.batch, self.dtype = network, backend, batch, _real(dtype)
        _check_size(network, batch, self.dtype)
        self._ops = backend.operations
        self._order, self._layers = _as_shown(network.layers) if keep else _joined(network.layers)
        self._keep, self._seed = keep, seed
        self._learn, self._training = learn, learn if training is None else training
        self._frozen = network.places(frozen)
        self.moment: Array = self._ops.zeros((2,), np.uint32)
        self._allocate_parameters(memory, learn)
        self.stages = self._stages()
        self.forward_calls: list[Calls] = [
            [] if layer.reshapes else layer.forward(self._ops, stage)
            for layer, stage in zip(self._layers, self.stages, strict=True)
        ]
        self._pass: Callable[[], None] | None = None
        self._inlet: Inlet
        self._reading: tuple[Callable[[], None], Inlet, Outlet] | None = None
        self._loss: Array | None = None
        if learn:
            self._prepare_backward(input_gradient, total or batch)

    # -- building ----------------------------------------------------------------------------------------------

    def _allocate_parameters(self, memory: tuple[Array, Array] | None, learn: bool) -> None:
        """All parameters in one flat vector, all gradients in another, so that an update is a few calls; and what
        layers gather in a third."""
        network, ops = self.network, self._ops
        pairs = list(zip(network.layers, network.shapes, strict=False))
        blocks = [layer.block_shape(shape) for layer, shape in pairs]
        states = [layer.state_shape(shape) for layer, shape in pairs]
        sizes = ((_total(blocks),), (_total(states),))
        self.values, self.state = memory or tuple(ops.zeros(size, self.dtype) for size in sizes)
        if (self.values.shape, self.state.shape) != sizes:
            raise ShapeError("The memory belongs to a plan of another network.")
        self.gradients: Array = ops.zeros((_total(blocks) if learn else 0,), self.dtype)
        self._blocks, self._states = _cut(self.values, blocks), _cut(self.state, states)
        self._dblocks = _cut(self.gradients, blocks) if learn else [None] * len(blocks)

    def _stages(self) -> list[Stage]:
        """A stage for each layer."""
        buffers = self._buffers()
        self.input: Array = buffers[0].values
        self._shown: Array = self.input.transpose(3, 0, 1, 2)
        self.scores: Array = buffers[-1].values
        return [
            Stage(
                buffers[place],
                buffers[place + 1].values,
                self._blocks[at],
                None if at in self._frozen else self._dblocks[at],
                self._states[at],
                self._training and at not in self._frozen,
                self._learn,
                key_of(self._seed, at + 1),
                self.moment,
            )
            for place, at in enumerate(self._order)
        ]

    def _buffers(self) -> list[Buffer]:
        """Memory for every layer's input, the way it wants it, and for the scores; what only gets another shape is
        the same memory."""
        shapes: list[Shape] = [self.network.input_shape]
        for layer in self._layers:
            shapes.append(layer.output_shape(shapes[-1]))
        plain = self._ops.zeros((*shapes[-1], self.batch), self.dtype)
        buffers = [Buffer(plain, plain)]
        for layer, shape in zip(reversed(self._layers), reversed(shapes[:-1]), strict=True):
            if layer.reshapes:
                same = buffers[-1].values.reshape(*shape, self.batch)
                buffers.append(Buffer(same, same))
            else:
                buffers.append(layer.buffer(self._ops, shape, self.batch, self.dtype))
        return buffers[::-1]

    def _prepare_backward(self, input_gradient: bool, total: int) -> None:
        """The calls from the scores' error down to the lowest layer that learns, or to the picture."""
        ops = self._ops
        self.targets: Array = ops.zeros(self.scores.shape, self.dtype)
        self.votes: Array = ops.zeros(self.scores.shape, self.dtype)
        self._loss = ops.zeros((self.batch,), self.dtype)
        dy: Array = ops.zeros(self.scores.shape, self.dtype)
        self.loss_calls = ops.softmax_cross_entropy(self.scores, self.targets, self.votes, self._loss, dy, total)
        layers = self._layers
        learning = [place for place, stage in enumerate(self.stages) if stage.dblock is not None]
        lowest = 0 if input_gradient else min(learning, default=len(layers))
        self.backward_calls: list[Calls] = []
        for place in range(len(layers) - 1, lowest - 1, -1):
            layer, stage = layers[place], self.stages[place]
            stage.dy = dy
            if place > lowest or input_gradient:
                shape = stage.x.values.shape
                dy = stage.dx = dy.reshape(shape) if layer.reshapes else ops.zeros(shape, self.dtype)
            if not layer.reshapes:
                self.backward_calls.append(layer.backward(ops, stage))

    def settle_calls(self) -> Calls:
        """The calls that carry what the last forward pass gathered into `state`, for an accepted step."""
        stages = zip(self._layers, self.stages, strict=True)
        return [call for layer, stage in stages if stage.training for call in layer.settle(self._ops, stage)]

    # -- parameters --------------------------------------------------------------------------------------------

    def load(self, parameters: Parameters) -> None:
        """Copy the parameters in. Raises ShapeError or ValueError if they are not this network's."""
        self.network.check(parameters)
        for name, view in self.views().items():
            self._ops.upload(parameters[name], view)

    def parameters(self) -> Values:
        """Host copies of the parameters, and of what layers gathered, by name."""
        return {name: self._ops.to_host(view) for name, view in self.views().items()}

    def parameter_gradients(self) -> Values:
        """Host copies of the last backward pass's gradients by name; 0 for frozen layers."""
        return {name: self._ops.to_host(view) for name, view in self.parts(self.gradients).items()}

    def views(self) -> dict[str, Array]:
        """The parameters, and what layers gather, by name, as views of `values` and `state`."""
        views: dict[str, Array] = {}
        network = self.network
        for name, layer, shape, block, state in zip(
            network.names[1:], network.layers, network.shapes, self._blocks, self._states, strict=False
        ):
            parts = {} if block is None else layer.parameters(block, shape)
            parts |= {} if state is None else layer.state(state, shape)
            views.update((f"{name}.{part}", view) for part, view in parts.items())
        return views

    def parts(self, vector: Array) -> dict[str, Array]:
        """A flat vector laid out as `values` is, such as the gradients, seen as parameters by name."""
        parts: dict[str, Array] = {}
        network = self.network
        blocks = [layer.block_shape(shape) for layer, shape in zip(network.layers, network.shapes, strict=False)]
        for name, layer, shape, block in zip(
            network.names[1:], network.layers, network.shapes, _cut(vector, blocks), strict=False
        ):
            if block is not None:
                parts.update((f"{name}.{part}", view) for part, view in layer.parameters(block, shape).items())
        return parts

    # -- passes ------------------------------------------------------------------------------------------------

    def show(self, images: HostArray) -> None:
        """Lay a batch (N, C, H, W) into the input. Raises ShapeError unless it fits, ValueError unless it holds
        real numbers. That they are finite is for whoever brings the picture to check: here it would cost every
        pass."""
        self._need(images)
        self._ops.upload(images, self._shown)

    def forward(self, images: HostArray) -> Array:
        """One pass; returns the scores (classes, N) on the device, overwritten by the next pass."""
        self._need(images)
        if self._pass is None:
            self._inlet = self._ops.inlet(self._shown)
            self._pass = self.backend.program(self._inlet.calls + self._all_forward(), 1)
        self._inlet.put(images)
        self._pass()
        return self.scores

    def read(self, images: HostArray) -> list[HostArray]:
        """One pass, and what `outputs` gives after it, which a GPU carries over as part of the pass.

        Raises ValueError unless the plan was made to keep them.
        """
        kept = self._kept()
        self._need(images)
        if self._reading is None:
            inlet, outlet = self._ops.inlet(self._shown), self._ops.outlet(kept)
            calls = inlet.calls + self._all_forward() + outlet.calls
            self._reading = self.backend.program(calls, 1), inlet, outlet
        run, inlet, outlet = self._reading
        inlet.put(images)
        run()
        return [_batch_first(array) for array in outlet.take()]

    def _need(self, images: HostArray) -> None:
        if images.shape != self._shown.shape:
            raise ShapeError(
                f"This plan reads pictures {shape_text(self._shown.shape)}, but got {shape_text(images.shape)}."
            )
        if images.dtype.kind not in "fiub":
            raise ValueError(f"This plan reads pictures of real numbers, but got {images.dtype}.")

    def _all_forward(self) -> Calls:
        return [call for calls in self.forward_calls for call in calls]

    def slices(self, images: HostArray, seconds: float) -> Iterator[None]:
        """As forward, but stops about every `seconds`; the scores are there when it ends. On a GPU it does not
        stop."""
        if self.backend.name != "cpu":
            self.forward(images)
            return
        self.show(images)
        yield from slices(self._ops.sliced([self._all_forward()]), seconds)

    def forward_timed(self, images: HostArray) -> list[float]:
        """One pass that also says how many seconds each layer took, in the network's order."""
        self.show(images)
        marks = [perf_counter()]
        for calls in self.forward_calls:
            replay(calls)
            self.backend.wait()
            marks.append(perf_counter())
        return list(np.diff(marks))

    def backward(self, targets: HostArray) -> None:
        """After a forward pass: fill `gradients` and `loss` for target shares (N, classes).

        The gradient is of the sum of the errors divided by the plan's `total`. The last layer's scores are taken
        through softmax cross-entropy whatever the network's vote is. Raises ValueError unless the plan was made to
        learn.
        """
        if self._loss is None:
            raise ValueError("Only a plan made with learn=True has a backward pass.")
        self._ops.upload(targets.T, self.targets)
        replay(self.loss_calls)
        for calls in self.backward_calls:
            replay(calls)

    @property
    def errors(self) -> Array:
        """The error of each example of the last backward pass, (N,), on the device.

        Raises ValueError unless the plan was made to learn.
        """
        if self._loss is None:
            raise ValueError("Only a plan made with learn=True knows the error of its examples.")
        return self._loss

    @property
    def loss(self) -> HostArray:
        """A host copy of `errors`. Raises ValueError unless the plan was made to learn."""
        return self._ops.to_host(self.errors)

    def outputs(self) -> list[HostArray]:
        """The input and every layer's output of the last pass, on the host, (N, C, H, W) or (N, n), copies.

        Raises ValueError unless the plan was made to keep them.
        """
        return [_batch_first(self._ops.to_host(array)) for array in self._kept()]

    def outputs_of(self, wanted: Mapping[int, range]) -> dict[int, HostArray]:
        """Of `outputs`, only some maps or values of some layers (0 is the input), so that nothing else is carried
        over from the device. Raises ValueError unless the plan was made to keep them."""
        kept = self._kept()
        return {
            layer: _batch_first(self._ops.to_host(kept[layer][maps.start : maps.stop]))
            for layer, maps in wanted.items()
        }

    def _kept(self) -> list[Array]:
        if not self._keep:
            raise ValueError("Only a plan made with keep=True can show what its layers gave.")
        return [self.input, *(stage.y for stage in self.stages)]

    def input_gradient(self) -> HostArray:
        """The last backward pass's gradient in the picture, (N, C, H, W), on the host.

        Raises ValueError unless the plan was made to carry it there.
        """
        first = self.stages[0].dx
        if first is None:
            raise ValueError("Only a plan made with input_gradient=True carries the gradient to the picture.")
        return np.ascontiguousarray(np.moveaxis(self._ops.to_host(first), -1, 0))


def _batch_first(array: HostArray) -> HostArray:
    """A copy with the batch as the first axis."""
    return np.ascontiguousarray(np.moveaxis(array, -1, 0))


def _real(dtype: Any) -> np.dtype[Any]:
    """The dtype as NumPy's. Raises ValueError unless it is float32 or float64."""
    try:
        found: np.dtype[Any] = np.dtype(dtype)
    except TypeError as error:
        raise ValueError(f"A plan computes in float32 or float64, not {dtype!r}.") from error
    if found not in (np.float32, np.float64):
        raise ValueError(f"A plan computes in float32 or float64, not {found}.")
    return found


def _check_size(network: Network, batch: int, dtype: np.dtype[Any]) -> None:
    """Raises ValueError for a batch that is none, or takes more memory than PLAN_LIMIT."""
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise ValueError(f"A plan reads a whole number of pictures, at least 1, at a time, not {batch!r}.")
    most = PLAN_LIMIT // (network.picture_bytes * dtype.itemsize // 4)
    if batch > most:
        raise ValueError(
            f"Reading {batch:,} pictures at a time would take more than {PLAN_LIMIT // GIBIBYTE} GiB; "
            f"this network can read {most:,}, so make the batch smaller."
        )


def _total(shapes: list[Shape | None]) -> int:
    """How many values blocks of these shapes hold."""
    return sum(math.prod(shape) for shape in shapes if shape is not None)


def _cut(vector: Array, shapes: list[Shape | None]) -> list[Array | None]:
    """The vector (n,) cut into blocks of these shapes, None where there is none."""
    blocks: list[Array | None] = []
    start = 0
    for shape in shapes:
        if shape is None:
            blocks.append(None)
        else:
            size = math.prod(shape)
            blocks.append(vector[start : start + size].reshape(shape))
            start += size
    return blocks


def cheapest_order(layers: tuple[Layer, ...]) -> list[int]:
    """The layers' places in the order that costs least: a max pool goes before what commutes with it below it."""
    order = list(range(len(layers)))
    for place in range(len(order) - 1):
        below, above = layers[order[place]], layers[order[place + 1]]
        if below.commutes_with_max and isinstance(above, MaxPool2D):
            order[place], order[place + 1] = order[place + 1], order[place]
    return order


def _as_shown(layers: tuple[Layer, ...]) -> tuple[list[int], list[Layer]]:
    """The layers and their places, as they stand."""
    return list(range(len(layers))), list(layers)


def _joined(layers: tuple[Layer, ...]) -> tuple[list[int], list[Layer]]:
    """The layers in the order that costs least, a convolution joined with the max pool after it; and the place of
    each, of the two the convolution's."""
    places: list[int] = []
    stages: list[Layer] = []
    for place in cheapest_order(layers):
        layer = layers[place]
        if stages and isinstance(layer, MaxPool2D) and isinstance(stages[-1], Conv2D):
            stages[-1] = PooledConv2D(stages[-1], layer)
        else:
            places.append(place)
            stages.append(layer)
    return places, stages
