"""Plan: a network bound to a backend, a batch size and a dtype, with every buffer and call made once.

A pass replays the prepared calls and allocates nothing. A plan has its own copy of the parameters; optimizers and
the training loop read and write its flat vectors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from time import perf_counter
from typing import Any

import numpy as np

from engine.backends import Array, Backend, Calls, HostArray, HostInput, HostOutput, iter_slices, replay
from engine.nn.layers import (
    Arrays,
    Layer,
    LayerArrays,
    PaddedInput,
    Shape,
    ShapeError,
    derive_rng_key,
    shape_text,
)
from engine.nn.network import GIBIBYTE, IMAGE_BYTES_LIMIT, Network, Parameters

# A batch of one in float64 always fits.
PLAN_BYTES_LIMIT = 2 * IMAGE_BYTES_LIMIT
# Bytes of a plan with a backward pass, which keeps a gradient of every output, for each of one without.
LEARNING_BYTES = 2


class Plan:
    """Passes of `network` over batches of exactly `batch` images.

    keep_outputs: make every layer's output readable after a pass (`outputs`). Otherwise a layer that commutes with
        the maximum, such as ReLU, may run after the max pool that follows it, on a quarter of the values: scores
        and gradients are the same.
    learn: also prepare the backward pass
    input_gradient: compute the gradient down to the input
    training: whether dropout and batch norm are in training mode (default: `learn`)
    frozen: names of layers (conv2d-1) whose parameters get no gradient and whose buffers are not updated
    seed: of the layers' random numbers
    total_examples: the examples that the gradient is the mean over, if `batch` is a slice of them
    shared_parameters: `parameter_vector` and `buffer_vector` of another plan of the same network, to use
        instead of vectors of its own
    """

    def __init__(
        self,
        network: Network,
        backend: Backend,
        batch: int,
        *,
        dtype: Any = np.float32,
        keep_outputs: bool = False,
        learn: bool = False,
        input_gradient: bool = False,
        training: bool | None = None,
        frozen: Collection[str] = (),
        seed: int = 0,
        total_examples: int | None = None,
        shared_parameters: tuple[Array, Array] | None = None,
    ) -> None:
        self.network, self.backend, self.batch, self.dtype = network, backend, batch, _float_dtype(dtype)
        _check_size(network, batch, self.dtype)
        self._ops = backend.operations
        self._order, self._layers = _in_order(network.layers) if keep_outputs else _fused(network.layers)
        self._keep, self._seed = keep_outputs, seed
        self._learn, self._training = learn, learn if training is None else training
        self._frozen = network.layer_indices(frozen)
        self.rng_counter: Array = self._ops.zeros((2,), np.uint32)
        self._allocate_parameters(shared_parameters, learn)
        self.layer_arrays = self._layer_arrays()
        self.forward_calls: list[Calls] = [
            [] if layer.traits.reshapes else layer.forward(self._ops, arrays)
            for layer, arrays in zip(self._layers, self.layer_arrays, strict=True)
        ]
        self._pass: Callable[[], None] | None = None
        self._inlet: HostInput
        self._pass_with_outputs: tuple[Callable[[], None], HostInput, HostOutput] | None = None
        self._loss: Array | None = None
        if learn:
            self._prepare_backward(input_gradient, total_examples or batch)

    # -- building ----------------------------------------------------------------------------------------------

    def _allocate_parameters(self, memory: tuple[Array, Array] | None, learn: bool) -> None:
        """All parameters in one flat vector, all gradients in another, so that an update is a few calls; all
        buffers in a third."""
        network, ops = self.network, self._ops
        pairs = list(zip(network.layers, network.shapes, strict=False))
        blocks = [layer.parameter_shape(shape) for layer, shape in pairs]
        states = [layer.buffer_shape(shape) for layer, shape in pairs]
        sizes = ((_total_size(blocks),), (_total_size(states),))
        self.parameter_vector, self.buffer_vector = memory or tuple(ops.zeros(size, self.dtype) for size in sizes)
        if (self.parameter_vector.shape, self.buffer_vector.shape) != sizes:
            raise ShapeError("The shared parameters belong to a plan of another network.")
        self.gradient_vector: Array = ops.zeros((_total_size(blocks) if learn else 0,), self.dtype)
        self._parameter_arrays, self._buffer_arrays = (
            _split(self.parameter_vector, blocks),
            _split(self.buffer_vector, states),
        )
        self._gradient_arrays = _split(self.gradient_vector, blocks) if learn else [None] * len(blocks)

    def _layer_arrays(self) -> list[LayerArrays]:
        buffers = self._buffers()
        self.input: Array = buffers[0].values
        self._image_view: Array = self.input.transpose(3, 0, 1, 2)
        self.scores: Array = buffers[-1].values
        return [
            LayerArrays(
                buffers[position],
                buffers[position + 1].values,
                self._parameter_arrays[index],
                None if index in self._frozen else self._gradient_arrays[index],
                self._buffer_arrays[index],
                self._training and index not in self._frozen,
                self._learn,
                derive_rng_key(self._seed, index + 1),
                self.rng_counter,
            )
            for position, index in enumerate(self._order)
        ]

    def _buffers(self) -> list[PaddedInput]:
        """Memory for every layer's input, laid out as the layer wants it, and for the scores; a reshape shares its
        input's memory."""
        shapes: list[Shape] = [self.network.input_shape]
        for layer in self._layers:
            shapes.append(layer.output_shape(shapes[-1]))
        plain = self._ops.zeros((*shapes[-1], self.batch), self.dtype)
        buffers = [PaddedInput(plain, plain)]
        for layer, shape in zip(reversed(self._layers), reversed(shapes[:-1]), strict=True):
            if layer.traits.reshapes:
                same = buffers[-1].values.reshape(*shape, self.batch)
                buffers.append(PaddedInput(same, same))
            else:
                buffers.append(layer.allocate_input(self._ops, shape, self.batch, self.dtype))
        return buffers[::-1]

    def _prepare_backward(self, input_gradient: bool, total: int) -> None:
        """The calls from the loss down to the lowest layer with a gradient, or to the input."""
        ops = self._ops
        self.targets: Array = ops.zeros(self.scores.shape, self.dtype)
        self.votes: Array = ops.zeros(self.scores.shape, self.dtype)
        self._loss = ops.zeros((self.batch,), self.dtype)
        dy: Array = ops.zeros(self.scores.shape, self.dtype)
        self.loss_calls = ops.softmax_cross_entropy(self.scores, self.targets, self.votes, self._loss, dy, total)
        layers = self._layers
        learning = [
            position for position, arrays in enumerate(self.layer_arrays) if arrays.parameter_gradient is not None
        ]
        lowest = 0 if input_gradient else min(learning, default=len(layers))
        self.backward_calls: list[Calls] = []
        for position in range(len(layers) - 1, lowest - 1, -1):
            layer, arrays = layers[position], self.layer_arrays[position]
            arrays.dy = dy
            if position > lowest or input_gradient:
                shape = arrays.x.values.shape
                dy = arrays.dx = dy.reshape(shape) if layer.traits.reshapes else ops.zeros(shape, self.dtype)
            if not layer.traits.reshapes:
                self.backward_calls.append(layer.backward(ops, arrays))

    def update_statistics_calls(self) -> Calls:
        """The calls that update the buffers with the statistics of the last forward pass, for an accepted step."""
        pairs = zip(self._layers, self.layer_arrays, strict=True)
        return [
            call
            for layer, arrays in pairs
            if arrays.training
            for call in layer.update_running_statistics(self._ops, arrays)
        ]

    # -- parameters --------------------------------------------------------------------------------------------

    def load(self, parameters: Parameters) -> None:
        """Copy the parameters in. Raises ShapeError or ValueError unless they are this network's."""
        self.network.check_parameters(parameters)
        for name, view in self.named_arrays().items():
            self._ops.upload(parameters[name], view)

    def parameters(self) -> Arrays:
        """Host copies of the parameters and buffers, by name."""
        return {name: self._ops.to_host(view) for name, view in self.named_arrays().items()}

    def parameter_gradients(self) -> Arrays:
        """Host copies of the last backward pass's gradients by name; 0 for frozen layers."""
        return {name: self._ops.to_host(view) for name, view in self.split_vector(self.gradient_vector).items()}

    def named_arrays(self) -> dict[str, Array]:
        """The parameters and buffers by name, as views of `parameter_vector` and `buffer_vector`."""
        views: dict[str, Array] = {}
        network = self.network
        arrays = zip(self._parameter_arrays, self._buffer_arrays, strict=True)
        layers = zip(network.names[1:], network.layers, network.shapes, arrays, strict=False)
        for name, layer, shape, (block, state) in layers:
            parts = {} if block is None else layer.parameter_views(block, shape)
            parts |= {} if state is None else layer.buffer_views(state, shape)
            views.update((f"{name}.{part}", view) for part, view in parts.items())
        return views

    def split_vector(self, vector: Array) -> dict[str, Array]:
        """Views by parameter name of a flat vector laid out as `parameter_vector`, such as the gradients."""
        parts: dict[str, Array] = {}
        network = self.network
        blocks = [
            layer.parameter_shape(shape) for layer, shape in zip(network.layers, network.shapes, strict=False)
        ]
        for name, layer, shape, block in zip(
            network.names[1:], network.layers, network.shapes, _split(vector, blocks), strict=False
        ):
            if block is not None:
                parts.update((f"{name}.{part}", view) for part, view in layer.parameter_views(block, shape).items())
        return parts

    # -- passes ------------------------------------------------------------------------------------------------

    def set_input(self, images: HostArray) -> None:
        """Copy a batch (N, C, H, W) into the input. Raises ShapeError unless it fits, ValueError unless it is
        numeric. The caller checks that it is finite: here that would cost time in every pass."""
        self._check_images(images)
        self._ops.upload(images, self._image_view)

    def forward(self, images: HostArray) -> Array:
        """One pass; returns the scores (classes, N) on the device, overwritten by the next pass."""
        self._check_images(images)
        if self._pass is None:
            self._inlet = self._ops.host_input(self._image_view)
            self._pass = self.backend.program(self._inlet.calls + self._all_forward(), 1)
        self._inlet.write(images)
        self._pass()
        return self.scores

    def forward_outputs(self, images: HostArray) -> list[HostArray]:
        """One pass, and what `outputs` returns after it; a GPU copies them as part of the pass.

        Raises ValueError unless the plan keeps outputs.
        """
        outputs = self._kept_outputs()
        self._check_images(images)
        if self._pass_with_outputs is None:
            inlet, outlet = self._ops.host_input(self._image_view), self._ops.host_output(outputs)
            calls = inlet.calls + self._all_forward() + outlet.calls
            self._pass_with_outputs = self.backend.program(calls, 1), inlet, outlet
        run, inlet, outlet = self._pass_with_outputs
        inlet.write(images)
        run()
        return [_batch_first(array) for array in outlet.read()]

    def _check_images(self, images: HostArray) -> None:
        expected = self._image_view.shape
        if images.shape != expected:
            raise ShapeError(
                f"This plan needs pictures {shape_text(expected)}, but got {shape_text(images.shape)}."
            )
        if images.dtype.kind not in "fiub":
            raise ValueError(f"This plan needs pictures of real numbers, but got {images.dtype}.")

    def _all_forward(self) -> Calls:
        return [call for calls in self.forward_calls for call in calls]

    def iter_slices(self, images: HostArray, seconds: float, layers: int | None = None) -> Iterator[None]:
        """A forward pass that yields about every `seconds`; the scores are complete when it ends. On a GPU it never
        yields.

        layers: how many of the first layers are enough, of a plan that keeps outputs; all if None.
        """
        if self.backend.name != "cpu":
            self.forward(images)
            return
        self.set_input(images)
        calls = [call for calls in self.forward_calls[:layers] for call in calls]
        yield from iter_slices(self._ops.in_slices([calls]), seconds)

    def forward_timed(self, images: HostArray) -> list[float]:
        """One pass; returns the seconds of each layer, in the order of the network."""
        self.set_input(images)
        marks = [perf_counter()]
        for calls in self.forward_calls:
            replay(calls)
            self.backend.synchronize()
            marks.append(perf_counter())
        return list(np.diff(marks))

    def backward(self, targets: HostArray) -> None:
        """Compute the gradients and losses for target votes (N, classes), after a forward pass.

        The gradient is of the sum of the losses divided by `total_examples`. The loss is softmax cross-entropy of
        the scores, whatever the network's vote is. Raises ValueError unless the plan was made to learn.
        """
        if self._loss is None:
            raise ValueError("Only a plan made with learn=True has a backward pass.")
        self._ops.upload(targets.T, self.targets)
        replay(self.loss_calls)
        for calls in self.backward_calls:
            replay(calls)

    @property
    def losses(self) -> Array:
        """The loss of each example of the last backward pass, (N,), on the device.

        Raises ValueError unless the plan was made to learn.
        """
        if self._loss is None:
            raise ValueError("Only a plan made with learn=True has the loss of its examples.")
        return self._loss

    @property
    def host_losses(self) -> HostArray:
        """A host copy of `losses`. Raises ValueError unless the plan was made to learn."""
        return self._ops.to_host(self.losses)

    def outputs(self) -> list[HostArray]:
        """Copies on the host of the input and every layer's output of the last pass, (N, C, H, W) or (N, n).

        Raises ValueError unless the plan keeps outputs.
        """
        return [_batch_first(self._ops.to_host(array)) for array in self._kept_outputs()]

    def partial_outputs(self, channels: Mapping[int, range]) -> dict[int, HostArray]:
        """Some channels of some layers (0 is the input) of `outputs`; nothing else is copied from the device.
        Raises ValueError unless the plan keeps outputs."""
        outputs = self._kept_outputs()
        return {
            layer: _batch_first(self._ops.to_host(outputs[layer][maps.start : maps.stop]))
            for layer, maps in channels.items()
        }

    def _kept_outputs(self) -> list[Array]:
        if not self._keep:
            raise ValueError("Only a plan made with keep_outputs=True keeps the outputs of its layers.")
        return [self.input, *(arrays.y for arrays in self.layer_arrays)]

    def input_gradient(self) -> HostArray:
        """The last backward pass's gradient in the input, (N, C, H, W), on the host.

        Raises ValueError unless the plan computes it.
        """
        first = self.layer_arrays[0].dx
        if first is None:
            raise ValueError("Only a plan made with input_gradient=True computes the gradient in the picture.")
        return np.ascontiguousarray(np.moveaxis(self._ops.to_host(first), -1, 0))


def _batch_first(array: HostArray) -> HostArray:
    """A copy with the batch as the first axis."""
    return np.ascontiguousarray(np.moveaxis(array, -1, 0))


def _float_dtype(dtype: Any) -> np.dtype[Any]:
    """The dtype as NumPy's. Raises ValueError unless it is float32 or float64."""
    try:
        checked: np.dtype[Any] = np.dtype(dtype)
    except TypeError as error:
        raise ValueError(f"A plan computes in float32 or float64, not {dtype!r}.") from error
    if checked not in (np.float32, np.float64):
        raise ValueError(f"A plan computes in float32 or float64, not {checked}.")
    return checked


def _check_size(network: Network, batch: int, dtype: np.dtype[Any]) -> None:
    """Raises ValueError for an invalid batch, or one that needs more memory than PLAN_BYTES_LIMIT."""
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise ValueError(f"A plan's batch must be a whole number of pictures, at least 1, not {batch!r}.")
    most = PLAN_BYTES_LIMIT // (network.image_bytes * dtype.itemsize // 4)
    if batch > most:
        raise ValueError(
            f"A batch of {batch:,} pictures would take more than {PLAN_BYTES_LIMIT // GIBIBYTE} GiB; "
            f"this network can process {most:,}, so make the batch smaller."
        )


def plan_image_bytes(network: Network, *, learn: bool = False) -> int:
    """Approximate bytes of a float32 plan for each image; learn: of one with a backward pass."""
    return network.image_bytes * (LEARNING_BYTES if learn else 1)


def largest_batch(network: Network, backend: Backend, most: int, *, learn: bool = False) -> int:
    """At most `most` images, as many as a plan may hold (PLAN_BYTES_LIMIT), and on a GPU as many as its free memory
    and LONGEST_SUBMISSION allow; at least 1. learn: for a plan with a backward pass."""
    costs = (layer.multiplies(shape) for layer, shape in zip(network.layers, network.shapes, strict=False))
    on_device = backend.largest_batch(plan_image_bytes(network, learn=learn), max(costs))
    return max(1, int(min(most, PLAN_BYTES_LIMIT // network.image_bytes, on_device)))


def _total_size(shapes: list[Shape | None]) -> int:
    """The number of values in arrays of these shapes."""
    return sum(math.prod(shape) for shape in shapes if shape is not None)


def _split(vector: Array, shapes: list[Shape | None]) -> list[Array | None]:
    """The vector (n,) split into arrays of these shapes, None where there is none."""
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
    """The indices of the layers in the cheapest order: a max pool before the layer below it, if that commutes with
    the maximum."""
    order = list(range(len(layers)))
    for position in range(len(order) - 1):
        below, above = layers[order[position]], layers[order[position + 1]]
        if below.traits.commutes_with_max and above.traits.takes_maximum:
            order[position], order[position + 1] = order[position + 1], order[position]
    return order


def _in_order(layers: tuple[Layer, ...]) -> tuple[list[int], list[Layer]]:
    """The layers and their indices, unchanged."""
    return list(range(len(layers))), list(layers)


def _fused(layers: tuple[Layer, ...]) -> tuple[list[int], list[Layer]]:
    """The layers in the cheapest order, fused where two can be; and the index of each, of a fused pair the
    first's."""
    indices: list[int] = []
    fused: list[Layer] = []
    for position in cheapest_order(layers):
        layer = layers[position]
        both = fused[-1].fused_with(layer) if fused else None
        if both is not None:
            fused[-1] = both
        else:
            indices.append(position)
            fused.append(layer)
    return indices, fused
