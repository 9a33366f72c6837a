"""Plan: a network bound to a backend, a batch size and a dtype, with every buffer and call made once.

A pass replays the prepared calls; nothing is allocated and no layer is asked anything again. A plan holds its own
copy of the parameters. It does not train: optimizers and the training loop read and write its flat vectors.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any, TypeAlias

import numpy as np

from engine.backend import Backend
from engine.layers import Buffer, Layer, MaxPool2D, ReLU, Shape, ShapeError, Stage, Values, shape_text
from engine.network import Network, Parameters
from engine.operations import Array, Calls, replay

HostArray: TypeAlias = "np.ndarray[Any, Any]"


class Plan:
    """Passes of `network` over batches of exactly `batch` pictures.

    keep=True leaves every layer's output readable after a pass (`outputs`). keep=False may run a ReLU after the
    max pool that follows it, on a quarter of the values: the maximum of cut values is the cut maximum, so scores
    and gradients are the same. learn=True also prepares the backward pass; input_gradient=True carries it down to
    the picture. share: another plan of the same network whose parameters this one reads instead of its own.
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
        share: Plan | None = None,
    ) -> None:
        self.network, self.backend, self.batch, self.dtype = network, backend, batch, np.dtype(dtype)
        self._ops = backend.operations
        self._order = list(range(len(network.layers))) if keep else _cheapest_order(network.layers)
        self._keep = keep
        self._allocate_parameters(share)
        self.stages = self._stages()
        self.forward_calls: list[Calls] = [
            layer.forward(self._ops, stage) for layer, stage in zip(self._layers, self.stages, strict=True)
        ]
        self._loss: Array | None = None
        if learn:
            self._prepare_backward(input_gradient)

    # -- building ----------------------------------------------------------------------------------------------

    @property
    def _layers(self) -> list[Layer]:
        return [self.network.layers[place] for place in self._order]

    def _allocate_parameters(self, share: Plan | None) -> None:
        """All parameters in one flat vector, all gradients in another, so that an update is a few calls."""
        network, xp = self.network, self._ops.xp
        shapes = [layer.block_shape(shape) for layer, shape in zip(network.layers, network.shapes, strict=False)]
        sizes = [0 if shape is None else int(np.prod(shape)) for shape in shapes]
        self.values: Array = xp.zeros(sum(sizes), self.dtype) if share is None else share.values
        self.gradients: Array = xp.zeros(sum(sizes), self.dtype)
        starts = np.cumsum([0, *sizes])
        self._blocks: list[Array | None] = []
        self._dblocks: list[Array | None] = []
        for shape, start, size in zip(shapes, starts, sizes, strict=False):
            part = slice(int(start), int(start) + size)
            self._blocks.append(None if shape is None else self.values[part].reshape(shape))
            self._dblocks.append(None if shape is None else self.gradients[part].reshape(shape))

    def _stages(self) -> list[Stage]:
        """Every layer's output is allocated the way the next layer wants its input."""
        shape: Shape = self.network.input_shape
        layers = self._layers
        buffer = layers[0].buffer(self._ops, shape, self.batch, self.dtype)
        self._input = buffer.values
        stages = []
        for place, layer in enumerate(layers):
            shape = layer.output_shape(shape)
            if place + 1 < len(layers):
                following = layers[place + 1].buffer(self._ops, shape, self.batch, self.dtype)
            else:
                plain = self._ops.xp.zeros((*shape, self.batch), self.dtype)
                following = Buffer(plain, plain)
            at = self._order[place]
            stages.append(Stage(buffer, following.values, self._blocks[at], self._dblocks[at]))
            buffer = following
        self.scores: Array = buffer.values
        return stages

    def _prepare_backward(self, input_gradient: bool) -> None:
        """The calls from the scores' error down to the lowest layer that has parameters, or to the picture."""
        xp = self._ops.xp
        self.targets: Array = xp.zeros(self.scores.shape, self.dtype)
        self.votes: Array = xp.zeros(self.scores.shape, self.dtype)
        self._loss = xp.zeros(self.batch, self.dtype)
        self._dscores: Array = xp.zeros(self.scores.shape, self.dtype)
        self.loss_calls = self._ops.softmax_cross_entropy(
            self.scores, self.targets, self.votes, self._loss, self._dscores
        )
        layers = self._layers
        learning = [place for place, layer in enumerate(layers) if self._blocks[self._order[place]] is not None]
        lowest = 0 if input_gradient or not learning else learning[0]
        self.backward_calls: list[Calls] = []
        dy = self._dscores
        for place in range(len(layers) - 1, lowest - 1, -1):
            layer, stage = layers[place], self.stages[place]
            stage.dy = dy
            if place > lowest or input_gradient:
                stage.dx = layer.buffer(self._ops, stage.x.values.shape[:-1], self.batch, self.dtype)
                dy = stage.dx.values
            self.backward_calls.append(layer.backward(self._ops, stage))

    # -- parameters --------------------------------------------------------------------------------------------

    def load(self, parameters: Parameters) -> None:
        """Copy the parameters in. Raises ShapeError or ValueError if they are not this network's."""
        self.network.check(parameters)
        for name, view in self._views(self._blocks).items():
            view[...] = self.backend.from_host(parameters[name].astype(self.dtype, copy=False))

    def parameters(self) -> Values:
        """Host copies of the parameters by name."""
        return {name: self._host(view) for name, view in self._views(self._blocks).items()}

    def parameter_gradients(self) -> Values:
        """Host copies of the last backward pass's gradients by name."""
        return {name: self._host(view) for name, view in self._views(self._dblocks).items()}

    def _views(self, blocks: list[Array | None]) -> dict[str, Array]:
        network = self.network
        views: dict[str, Array] = {}
        for name, layer, shape, block in zip(
            network.names[1:], network.layers, network.shapes, blocks, strict=False
        ):
            if block is not None:
                views |= {f"{name}.{part}": view for part, view in layer.parameters(block, shape).items()}
        return views

    # -- passes ------------------------------------------------------------------------------------------------

    def show(self, images: Array) -> None:
        """Lay a batch (N, C, H, W), host or device, into the input. Raises ShapeError unless it fits."""
        wanted = (self.batch, *self.network.input_shape)
        if images.shape != wanted:
            raise ShapeError(f"This plan reads pictures {shape_text(wanted)}, but got {shape_text(images.shape)}.")
        self._ops.xp.copyto(self._input, self._ops.xp.asarray(images).transpose(1, 2, 3, 0))

    def forward(self, images: Array) -> Array:
        """One pass; returns the scores (classes, N) on the device, overwritten by the next pass."""
        self.show(images)
        for calls in self.forward_calls:
            replay(calls)
        return self.scores

    def forward_timed(self, images: Array) -> list[float]:
        """One pass that also says how many seconds each layer took, in the network's order."""
        self.show(images)
        marks = [perf_counter()]
        for calls in self.forward_calls:
            replay(calls)
            self.backend.wait()
            marks.append(perf_counter())
        return list(np.diff(marks))

    def backward(self, targets: HostArray, total: int | None = None) -> None:
        """After a forward pass: fill `gradients` and `loss` for target shares (N, classes).

        The gradient is of the mean error over `total` examples, by default this plan's batch. The last layer's
        scores are taken through softmax cross-entropy whatever the network's vote is. Raises ValueError unless the
        plan was made to learn.
        """
        if self._loss is None:
            raise ValueError("Only a plan made with learn=True has a backward pass.")
        xp = self._ops.xp
        xp.copyto(self.targets, xp.asarray(targets.astype(self.dtype, copy=False)).T)
        replay(self.loss_calls)
        xp.divide(self._dscores, self.dtype.type(total or self.batch), out=self._dscores)
        for calls in self.backward_calls:
            replay(calls)

    @property
    def loss(self) -> HostArray:
        """The error of each example of the last backward pass, (N,), on the host.

        Raises ValueError unless the plan was made to learn.
        """
        if self._loss is None:
            raise ValueError("Only a plan made with learn=True knows the error of its examples.")
        return self._host(self._loss)

    def outputs(self) -> list[HostArray]:
        """The input and every layer's output of the last pass, on the host, (N, C, H, W) or (N, n), copies.

        Raises ValueError unless the plan was made to keep them.
        """
        if not self._keep:
            raise ValueError("Only a plan made with keep=True can show what its layers gave.")
        kept = [self._input, *(stage.y for stage in self.stages)]
        return [np.ascontiguousarray(np.moveaxis(self._host(array), -1, 0)) for array in kept]

    def input_gradient(self) -> HostArray:
        """The last backward pass's gradient in the picture, (N, C, H, W), on the host.

        Raises ValueError unless the plan was made to carry it there.
        """
        first = self.stages[0].dx
        if first is None:
            raise ValueError("Only a plan made with input_gradient=True carries the gradient to the picture.")
        return np.ascontiguousarray(np.moveaxis(self._host(first.values), -1, 0))

    def _host(self, array: Array) -> HostArray:
        return np.array(self.backend.to_host(array))


def _cheapest_order(layers: tuple[Layer, ...]) -> list[int]:
    """The layers' places in the order that costs least: every max pool goes before a ReLU just below it."""
    order = list(range(len(layers)))
    for place in range(len(order) - 1):
        if isinstance(layers[order[place]], ReLU) and isinstance(layers[order[place + 1]], MaxPool2D):
            order[place], order[place + 1] = order[place + 1], order[place]
    return order
