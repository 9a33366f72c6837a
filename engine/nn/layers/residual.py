"""Residual: layers with a skip connection; their output is added to their input."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from engine.backends import Array, Calls, HostArray, Ops
from engine.nn.layers.description import LayerText, Phrase, Traits
from engine.nn.layers.identity import VALID_IDS, are_ids, default_ids
from engine.nn.layers.layer import (
    Arrays,
    ChildLayer,
    Layer,
    LayerArrays,
    PaddedInput,
    Shape,
    ShapeError,
    derive_rng_key,
    group_by_layer,
    require,
    shape_text,
)
from engine.nn.layers.value_formulas import CellIndex, SkipSum, flat_index

# Deeper nesting cannot be displayed.
MAX_NESTING = 8


@dataclass(frozen=True)
class Residual(Layer):
    """y = x + stack(x), where the stack keeps the shape; dx = dy + the stack's gradient (He et al. 2016).

    The parameters are those of the layers inside, named by their ids: conv2d-1.weight, conv2d-2.bias.

    ids: the identity of each layer inside, as in a Network
    """

    kind: ClassVar[str] = "residual"
    layers: tuple[Layer, ...]
    ids: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        """Raises ValueError without layers, for invalid ids, or for nesting deeper than MAX_NESTING."""
        for name in ("layers", "ids"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        are_layers = isinstance(self.layers, tuple) and all(isinstance(layer, Layer) for layer in self.layers)
        require(self, "layers", are_layers and bool(self.layers), "a tuple of one or more layers")
        require(self, "layers", self.depth <= MAX_NESTING, f"nested at most {MAX_NESTING} deep")
        if self.ids == ():
            object.__setattr__(self, "ids", default_ids(self.layers))
        require(self, "ids", are_ids(self.ids, self.layers), VALID_IDS)

    @cached_property
    def traits(self) -> Traits:
        return Traits(
            connects_channels=any(layer.traits.connects_channels for layer in self.layers),
            changes_scale=any(layer.traits.changes_scale for layer in self.layers),
            sign="any" if self._stack_can_be_negative(False) else "input",
            is_stochastic=any(layer.traits.is_stochastic for layer in self.layers),
            uses_batch_statistics=any(layer.traits.uses_batch_statistics for layer in self.layers),
        )

    @cached_property
    def text(self) -> LayerText:
        return LayerText(
            "Residual",
            Phrase("input + {0} layers", (len(self.layers),))
            if len(self.layers) > 1
            else Phrase("input + 1 layer"),
            "skip connection. The input is added to the output of the layers in between.",
            "the gradient comes back both ways, around the layers and through them.",
        )

    @property
    def inner_layers(self) -> tuple[tuple[str, Layer], ...]:
        return tuple(zip(self.ids, self.layers, strict=True))

    def with_inner(self, change: Callable[[Layer], Layer]) -> Residual:
        return replace(self, layers=tuple(map(change, self.layers)))

    @property
    def depth(self) -> int:
        """The levels of nested residual blocks, 1 without any inside."""
        return 1 + max(layer.depth if isinstance(layer, Residual) else 0 for layer in self.layers)

    @property
    def pad_width(self) -> int:
        return self.layers[0].pad_width

    @property
    def pad_value(self) -> float:
        return self.layers[0].pad_value

    def _stack_can_be_negative(self, input_negative: bool) -> bool:
        inside = input_negative
        for layer in self.layers:
            inside = layer.traits.can_be_negative(inside)
        return inside

    def output_shape(self, shape: Shape) -> Shape:
        """The input's shape. Raises ShapeError if the layers change it, or do not fit each other."""
        output = self._shapes(shape)[-1]
        if output != shape:
            raise ShapeError(
                f"its stack turns {shape_text(shape)} into {shape_text(output)}, which cannot be added to the "
                'input; keep the shape (padding "same", stride 1, as many features)'
            )
        return shape

    def parameter_shape(self, shape: Shape) -> Shape | None:
        """(n,): the parameters of the layers inside, one after the other."""
        return self._total_size([layer.parameter_shape(inner) for layer, inner in self._inner_layers(shape)])

    def buffer_shape(self, shape: Shape) -> Shape | None:
        """(n,): the buffers of the layers inside, one after the other."""
        return self._total_size([layer.buffer_shape(inner) for layer, inner in self._inner_layers(shape)])

    def parameter_views(self, array: Array, shape: Shape) -> dict[str, Array]:
        views: dict[str, Array] = {}
        for (name, layer, inner), part in zip(
            self._named_layers(shape), self._inner_parameters(array, shape), strict=True
        ):
            if part is not None:
                views |= {f"{name}.{key}": view for key, view in layer.parameter_views(part, inner).items()}
        return views

    def buffer_views(self, array: Array, shape: Shape) -> dict[str, Array]:
        views: dict[str, Array] = {}
        for (name, layer, inner), part in zip(
            self._named_layers(shape), self._inner_buffers(array, shape), strict=True
        ):
            if part is not None:
                views |= {f"{name}.{key}": view for key, view in layer.buffer_views(part, inner).items()}
        return views

    def initial_parameters(self, shape: Shape, rng: np.random.Generator) -> Arrays:
        values: Arrays = {}
        for name, layer, inner in self._named_layers(shape):
            values |= {f"{name}.{key}": array for key, array in layer.initial_parameters(inner, rng).items()}
        return values

    def multiplies(self, shape: Shape) -> int:
        return sum(layer.multiplies(inner) for layer, inner in self._inner_layers(shape))

    def gradient_multiplies(self, shape: Shape) -> tuple[int, int]:
        """Sums of the layers inside; for the input, the first layer's alone, since the others' input gradients are
        always computed."""
        costs = [layer.gradient_multiplies(inner) for layer, inner in self._inner_layers(shape)]
        return sum(map(sum, costs)) - costs[0][1], costs[0][1]

    def children(self, arrays: LayerArrays) -> list[ChildLayer]:
        """The layers inside; available after `forward`."""
        titles = [f"layer {index} ({type(layer).__name__}) in it" for index, layer in enumerate(self.layers, 1)]
        return list(map(ChildLayer, self.ids, titles, self.layers, arrays.context))

    def workspace_bytes(self, shape: Shape) -> int:
        return max(layer.workspace_bytes(inner) for layer, inner in self._inner_layers(shape))

    def plan_bytes(self, shape: Shape) -> int:
        """Those of the layers inside, each with memory of its own, and the sum."""
        return sum(layer.plan_bytes(inner) for layer, inner in self._inner_layers(shape)) + 4 * math.prod(shape)

    def check_parameters(self, parameters: Mapping[str, np.ndarray[Any, Any]]) -> None:
        inside = group_by_layer(parameters)
        for name, layer in zip(self.ids, self.layers, strict=True):
            try:
                layer.check_parameters(inside.get(name, {}))
            except ValueError as error:
                raise ValueError(f"{name}.{error}") from error

    def preferred_batch(self, shape: Shape) -> int:
        return max(layer.preferred_batch(inner) for layer, inner in self._inner_layers(shape))

    def receptive_range(self, shape: Shape, rows: range, columns: range) -> tuple[range, range] | None:
        read: tuple[range, range] | None = (rows, columns)
        for layer, inner in reversed(self._inner_layers(shape)):
            if read is not None and read[0] and read[1]:
                read = layer.receptive_range(inner, *read)
        if read is None:
            return None
        # A range wholly in the padding adds nothing to what the skip connection reads.
        return (_hull(read[0], rows), _hull(read[1], columns)) if read[0] and read[1] else (rows, columns)

    def receptive_mask(self, shape: Shape, mask: HostArray) -> HostArray:
        inside = mask
        for layer, inner in reversed(self._inner_layers(shape)):
            inside = layer.receptive_mask(inner, inside)
        return mask | inside

    def influence_mask(self, shape: Shape, mask: HostArray) -> HostArray:
        inside = mask
        for layer, inner in self._inner_layers(shape):
            inside = layer.influence_mask(inner, inside)
        return mask | inside

    def value_formula(self, x: HostArray, index: CellIndex, y: float, parameters: Arrays) -> SkipSum:
        return SkipSum(flat_index(index, x.shape), float(x[index]), y - float(x[index]))

    def allocate_input(self, ops: Ops, shape: Shape, batch: int, dtype: Any) -> PaddedInput:
        return self.layers[0].allocate_input(ops, shape, batch, dtype)

    def forward(self, ops: Ops, arrays: LayerArrays) -> Calls:
        inner_arrays = self._inner_arrays(ops, arrays)
        arrays.context = inner_arrays
        calls = [
            call
            for layer, inner in zip(self.layers, inner_arrays, strict=True)
            for call in layer.forward(ops, inner)
        ]
        return calls + ops.add(inner_arrays[-1].y, arrays.x.values, arrays.y)

    def backward(self, ops: Ops, arrays: LayerArrays) -> Calls:
        shape, batch = arrays.x.values.shape[:-1], arrays.x.values.shape[-1]
        shapes, gradients = self._shapes(shape), self._inner_parameters(arrays.parameter_gradient, shape)
        calls: Calls = []
        dy = arrays.dy
        for index in reversed(range(len(self.layers))):
            layer, inner = self.layers[index], arrays.context[index]
            inner.dy, inner.parameter_gradient = dy, gradients[index]
            if index:
                inner.dx = ops.zeros((*shapes[index], batch), arrays.x.values.dtype)
                dy = inner.dx
            else:
                inner.dx = arrays.dx
            calls += layer.backward(ops, inner)
        if arrays.dx is not None:
            calls += ops.add(arrays.dx, arrays.dy, arrays.dx)
        return calls

    def update_running_statistics(self, ops: Ops, arrays: LayerArrays) -> Calls:
        return [
            call
            for layer, inner in zip(self.layers, arrays.context, strict=True)
            for call in layer.update_running_statistics(ops, inner)
        ]

    def _inner_arrays(self, ops: Ops, arrays: LayerArrays) -> list[LayerArrays]:
        """The arrays of each layer inside; each output is allocated the way the next layer wants its input."""
        shape, batch, dtype = arrays.x.values.shape[:-1], arrays.x.values.shape[-1], arrays.x.values.dtype
        shapes = self._shapes(shape)
        parameters = self._inner_parameters(arrays.parameters, shape)
        buffers = self._inner_buffers(arrays.buffers, shape)
        inner_arrays, x = [], arrays.x
        for index in range(len(self.layers)):
            if index + 1 < len(self.layers):
                y = self.layers[index + 1].allocate_input(ops, shapes[index + 1], batch, dtype)
            else:
                plain = ops.zeros((*shape, batch), dtype)
                y = PaddedInput(plain, plain)
            inner_arrays.append(
                replace(
                    arrays,
                    x=x,
                    y=y.values,
                    parameters=parameters[index],
                    buffers=buffers[index],
                    rng_key=derive_rng_key(arrays.rng_key, index + 1),
                    context=None,
                )
            )
            x = y
        return inner_arrays

    def _shapes(self, shape: Shape) -> list[Shape]:
        shapes = [shape]
        for index, layer in enumerate(self.layers, 1):
            try:
                shapes.append(layer.output_shape(shapes[-1]))
            except ShapeError as error:
                kind = type(layer).__name__
                raise ShapeError(f"layer {index} ({kind}) of its stack does not fit: {error}") from error
        return shapes

    def _inner_layers(self, shape: Shape) -> list[tuple[Layer, Shape]]:
        return list(zip(self.layers, self._shapes(shape), strict=False))

    def _named_layers(self, shape: Shape) -> list[tuple[str, Layer, Shape]]:
        return list(zip(self.ids, self.layers, self._shapes(shape), strict=False))

    def _total_size(self, shapes: list[Shape | None]) -> Shape | None:
        sizes = [math.prod(shape) for shape in shapes if shape is not None]
        return (sum(sizes),) if sizes else None

    def _inner_parameters(self, block: Array | None, shape: Shape) -> list[Array | None]:
        return _split(block, [layer.parameter_shape(inner) for layer, inner in self._inner_layers(shape)])

    def _inner_buffers(self, block: Array | None, shape: Shape) -> list[Array | None]:
        return _split(block, [layer.buffer_shape(inner) for layer, inner in self._inner_layers(shape)])


def _split(block: Array | None, shapes: list[Shape | None]) -> list[Array | None]:
    """`block` (n,) split into views of these shapes, None where there is none."""
    parts: list[Array | None] = []
    start = 0
    for shape in shapes:
        size = 0 if shape is None else math.prod(shape)
        parts.append(None if shape is None or block is None else block[start : start + size].reshape(shape))
        start += size
    return parts


def _hull(first: range, second: range) -> range:
    """The smallest range that contains both."""
    return range(min(first.start, second.start), max(first.stop, second.stop))
