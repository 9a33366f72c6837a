"""Residual: layers with a skip connection; their output is added to their input."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from engine.backends.ops import Array, Calls, HostArray, Operations
from engine.nn.layers.layer import (
    Buffer,
    Layer,
    Shape,
    ShapeError,
    Stage,
    Values,
    by_layer,
    key_of,
    need,
    shape_text,
)
from engine.nn.layers.value_formulas import Place, Skipped, flat_place

# Deeper nesting cannot be displayed.
DEEPEST = 8


@dataclass(frozen=True)
class Residual(Layer):
    """y = x + stack(x), where the stack keeps the shape; dx = dy + the stack's gradient (He et al. 2016).

    The parameters are those of the layers inside, named by their position: 1-conv2d.weight, 3-conv2d.bias.
    """

    kind: ClassVar[str] = "residual"
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        """Raises ValueError without layers, or for nesting deeper than MAX_NESTING."""
        are_layers = isinstance(self.layers, tuple) and all(isinstance(layer, Layer) for layer in self.layers)
        need(self, "layers", are_layers and bool(self.layers), "a tuple of one or more layers")
        need(self, "layers", self.depth <= DEEPEST, f"nested at most {DEEPEST} deep")

    @property
    def depth(self) -> int:
        """The levels of nested residual blocks, 1 without any inside."""
        return 1 + max(layer.depth if isinstance(layer, Residual) else 0 for layer in self.layers)

    @property
    def margin(self) -> int:
        return self.layers[0].margin

    @property
    def mixes_batch(self) -> bool:
        return any(layer.mixes_batch for layer in self.layers)

    @property
    def mixes_maps(self) -> bool:
        return any(layer.mixes_maps for layer in self.layers)

    @property
    def rescales(self) -> bool:
        return any(layer.rescales for layer in self.layers)

    def signed(self, below: bool) -> bool:
        inside = below
        for layer in self.layers:
            inside = layer.signed(inside)
        return below or inside

    @property
    def draws(self) -> bool:
        return any(layer.draws for layer in self.layers)

    def output_shape(self, shape: Shape) -> Shape:
        """The input's shape. Raises ShapeError if the layers change it, or do not fit each other."""
        output = self._shapes(shape)[-1]
        if output != shape:
            raise ShapeError(
                f"its stack turns {shape_text(shape)} into {shape_text(output)}, which cannot be added to the "
                'input; keep the shape (padding "same", stride 1, as many features)'
            )
        return shape

    def block_shape(self, shape: Shape) -> Shape | None:
        """(n,): the parameters of the layers inside, one after the other."""
        return self._total_size([layer.block_shape(inner) for layer, inner in self._inner_layers(shape)])

    def state_shape(self, shape: Shape) -> Shape | None:
        """(n,): the buffers of the layers inside, one after the other."""
        return self._total_size([layer.state_shape(inner) for layer, inner in self._inner_layers(shape)])

    def parameters(self, block: Array, shape: Shape) -> dict[str, Array]:
        views: dict[str, Array] = {}
        for (name, layer, inner), part in zip(
            self._named_layers(shape), self._inner_parameters(block, shape), strict=True
        ):
            if part is not None:
                views |= {f"{name}.{key}": view for key, view in layer.parameters(part, inner).items()}
        return views

    def state(self, block: Array, shape: Shape) -> dict[str, Array]:
        views: dict[str, Array] = {}
        for (name, layer, inner), part in zip(
            self._named_layers(shape), self._inner_buffers(block, shape), strict=True
        ):
            if part is not None:
                views |= {f"{name}.{key}": view for key, view in layer.state(part, inner).items()}
        return views

    def initial(self, shape: Shape, rng: np.random.Generator) -> Values:
        values: Values = {}
        for name, layer, inner in self._named_layers(shape):
            values |= {f"{name}.{key}": array for key, array in layer.initial(inner, rng).items()}
        return values

    def multiplies(self, shape: Shape) -> int:
        return sum(layer.multiplies(inner) for layer, inner in self._inner_layers(shape))

    def gradient_multiplies(self, shape: Shape) -> tuple[int, int]:
        """Sums of the layers inside; for the input, the first layer's alone, since the others' input gradients are
        always computed."""
        costs = [layer.gradient_multiplies(inner) for layer, inner in self._inner_layers(shape)]
        return sum(map(sum, costs)) - costs[0][1], costs[0][1]

    def stack(self, arrays: Stage) -> list[tuple[str, Layer, Stage]]:
        """The layers inside; available after `forward`."""
        titles = [f"layer {index} ({type(layer).__name__}) in it" for index, layer in enumerate(self.layers, 1)]
        return list(zip(titles, self.layers, arrays.work, strict=True))

    def work_bytes(self, shape: Shape) -> int:
        return max(layer.work_bytes(inner) for layer, inner in self._inner_layers(shape))

    def pass_bytes(self, shape: Shape) -> int:
        """Those of the layers inside, each with memory of its own, and the sum."""
        return sum(layer.pass_bytes(inner) for layer, inner in self._inner_layers(shape)) + 4 * math.prod(shape)

    def check(self, values: Mapping[str, np.ndarray[Any, Any]]) -> None:
        inside = by_layer(values)
        for index, layer in enumerate(self.layers, 1):
            name = f"{index}-{layer.kind}"
            try:
                layer.check(inside.get(name, {}))
            except ValueError as error:
                raise ValueError(f"{name}.{error}") from error

    def together(self, shape: Shape) -> int:
        return max(layer.together(inner) for layer, inner in self._inner_layers(shape))

    def reads(self, shape: Shape, rows: range, columns: range) -> tuple[range, range] | None:
        read: tuple[range, range] | None = (rows, columns)
        for layer, inner in reversed(self._inner_layers(shape)):
            if read is not None and read[0] and read[1]:
                read = layer.reads(inner, *read)
        if read is None:
            return None
        # A range wholly in the padding adds nothing to what the skip connection reads.
        return (_hull(read[0], rows), _hull(read[1], columns)) if read[0] and read[1] else (rows, columns)

    def reads_of(self, shape: Shape, mask: HostArray) -> HostArray:
        inside = mask
        for layer, inner in reversed(self._inner_layers(shape)):
            inside = layer.reads_of(inner, inside)
        return mask | inside

    def reached_from(self, shape: Shape, mask: HostArray) -> HostArray:
        inside = mask
        for layer, inner in self._inner_layers(shape):
            inside = layer.reached_from(inner, inside)
        return mask | inside

    def arithmetic(self, x: HostArray, index: Place, y: float, values: Values) -> Skipped:
        return Skipped(flat_place(index, x.shape), float(x[index]), y - float(x[index]))

    def buffer(self, ops: Operations, shape: Shape, batch: int, dtype: Any) -> Buffer:
        return self.layers[0].buffer(ops, shape, batch, dtype)

    def forward(self, ops: Operations, arrays: Stage) -> Calls:
        inner_arrays = self._inner_arrays(ops, arrays)
        arrays.work = inner_arrays
        calls = [
            call
            for layer, inner in zip(self.layers, inner_arrays, strict=True)
            for call in layer.forward(ops, inner)
        ]
        return calls + ops.add(inner_arrays[-1].y, arrays.x.values, arrays.y)

    def backward(self, ops: Operations, arrays: Stage) -> Calls:
        shape, batch = arrays.x.values.shape[:-1], arrays.x.values.shape[-1]
        shapes, gradients = self._shapes(shape), self._inner_parameters(arrays.dblock, shape)
        calls: Calls = []
        dy = arrays.dy
        for index in reversed(range(len(self.layers))):
            layer, inner = self.layers[index], arrays.work[index]
            inner.dy, inner.dblock = dy, gradients[index]
            if index:
                inner.dx = ops.zeros((*shapes[index], batch), arrays.x.values.dtype)
                dy = inner.dx
            else:
                inner.dx = arrays.dx
            calls += layer.backward(ops, inner)
        if arrays.dx is not None:
            calls += ops.add(arrays.dx, arrays.dy, arrays.dx)
        return calls

    def settle(self, ops: Operations, arrays: Stage) -> Calls:
        return [
            call for layer, inner in zip(self.layers, arrays.work, strict=True) for call in layer.settle(ops, inner)
        ]

    def _inner_arrays(self, ops: Operations, arrays: Stage) -> list[Stage]:
        """The arrays of each layer inside; each output is allocated the way the next layer wants its input."""
        shape, batch, dtype = arrays.x.values.shape[:-1], arrays.x.values.shape[-1], arrays.x.values.dtype
        shapes = self._shapes(shape)
        parameters = self._inner_parameters(arrays.block, shape)
        buffers = self._inner_buffers(arrays.state, shape)
        inner_arrays, x = [], arrays.x
        for index in range(len(self.layers)):
            if index + 1 < len(self.layers):
                y = self.layers[index + 1].buffer(ops, shapes[index + 1], batch, dtype)
            else:
                plain = ops.zeros((*shape, batch), dtype)
                y = Buffer(plain, plain)
            inner_arrays.append(
                replace(
                    arrays,
                    x=x,
                    y=y.values,
                    block=parameters[index],
                    state=buffers[index],
                    key=key_of(arrays.key, index + 1),
                    work=None,
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
        return [
            (f"{index}-{layer.kind}", layer, inner)
            for index, (layer, inner) in enumerate(self._inner_layers(shape), 1)
        ]

    def _total_size(self, shapes: list[Shape | None]) -> Shape | None:
        sizes = [math.prod(shape) for shape in shapes if shape is not None]
        return (sum(sizes),) if sizes else None

    def _inner_parameters(self, block: Array | None, shape: Shape) -> list[Array | None]:
        return _split(block, [layer.block_shape(inner) for layer, inner in self._inner_layers(shape)])

    def _inner_buffers(self, block: Array | None, shape: Shape) -> list[Array | None]:
        return _split(block, [layer.state_shape(inner) for layer, inner in self._inner_layers(shape)])


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
