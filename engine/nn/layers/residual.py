"""Residual: a stack of layers with a skip: what goes in is added to what comes out."""

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

# Stacks within stacks beyond this are no network anyone can look at.
DEEPEST = 8


@dataclass(frozen=True)
class Residual(Layer):
    """y = x + stack(x), where the stack keeps the shape; dx = dy + the stack's own gradient (He et al. 2016).

    Its parameters are those of the layers inside, named by their place: 1-conv2d.weight, 3-conv2d.bias.
    """

    kind: ClassVar[str] = "residual"
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        """Raises ValueError for an empty stack, or stacks within stacks beyond DEEPEST."""
        are_layers = isinstance(self.layers, tuple) and all(isinstance(layer, Layer) for layer in self.layers)
        need(self, "layers", are_layers and bool(self.layers), "a tuple of one or more layers")
        need(self, "layers", self.depth <= DEEPEST, f"stacks within stacks {DEEPEST} deep at most")

    @property
    def depth(self) -> int:
        """How many stacks lie within each other here, 1 without any inside."""
        return 1 + max(layer.depth if isinstance(layer, Residual) else 0 for layer in self.layers)

    @property
    def margin(self) -> int:
        """That of the first layer inside, which reads the same input."""
        return self.layers[0].margin

    @property
    def mixes_batch(self) -> bool:
        """Whether a layer inside does."""
        return any(layer.mixes_batch for layer in self.layers)

    @property
    def mixes_maps(self) -> bool:
        """Whether a layer inside does."""
        return any(layer.mixes_maps for layer in self.layers)

    @property
    def rescales(self) -> bool:
        """Whether a layer inside does."""
        return any(layer.rescales for layer in self.layers)

    def signed(self, below: bool) -> bool:
        """Whether what goes in, or what comes out of the stack, can be."""
        inside = below
        for layer in self.layers:
            inside = layer.signed(inside)
        return below or inside

    @property
    def draws(self) -> bool:
        """Whether a layer inside does."""
        return any(layer.draws for layer in self.layers)

    def output_shape(self, shape: Shape) -> Shape:
        """The input's. Raises ShapeError if the stack changes it, or does not fit on itself."""
        given = self._shapes(shape)[-1]
        if given != shape:
            raise ShapeError(
                f"its stack turns {shape_text(shape)} into {shape_text(given)}, which cannot be added to what goes "
                'in; keep the shape (padding "same", stride 1, as many features)'
            )
        return shape

    def block_shape(self, shape: Shape) -> Shape | None:
        """(n,): the blocks of the layers inside, one after the other."""
        return self._joined([layer.block_shape(inner) for layer, inner in self._inner(shape)])

    def state_shape(self, shape: Shape) -> Shape | None:
        """(n,): the states of the layers inside, one after the other."""
        return self._joined([layer.state_shape(inner) for layer, inner in self._inner(shape)])

    def parameters(self, block: Array, shape: Shape) -> dict[str, Array]:
        """The parameters of the layers inside."""
        found: dict[str, Array] = {}
        for (name, layer, inner), part in zip(self._named(shape), self._blocks(block, shape), strict=True):
            if part is not None:
                found |= {f"{name}.{key}": view for key, view in layer.parameters(part, inner).items()}
        return found

    def state(self, block: Array, shape: Shape) -> dict[str, Array]:
        """The running values of the layers inside."""
        found: dict[str, Array] = {}
        for (name, layer, inner), part in zip(self._named(shape), self._states(block, shape), strict=True):
            if part is not None:
                found |= {f"{name}.{key}": view for key, view in layer.state(part, inner).items()}
        return found

    def initial(self, shape: Shape, rng: np.random.Generator) -> Values:
        """As each layer inside draws its own."""
        found: Values = {}
        for name, layer, inner in self._named(shape):
            found |= {f"{name}.{key}": array for key, array in layer.initial(inner, rng).items()}
        return found

    def multiplies(self, shape: Shape) -> int:
        """Those of the layers inside."""
        return sum(layer.multiplies(inner) for layer, inner in self._inner(shape))

    def gradient_multiplies(self, shape: Shape) -> tuple[int, int]:
        """Those of the layers inside; the input's are those of the first alone, for the others' always flow."""
        costs = [layer.gradient_multiplies(inner) for layer, inner in self._inner(shape)]
        return sum(map(sum, costs)) - costs[0][1], costs[0][1]

    def stack(self, stage: Stage) -> list[tuple[str, Layer, Stage]]:
        """The layers inside; known after `forward`."""
        titles = [f"layer {place} ({type(layer).__name__}) in it" for place, layer in enumerate(self.layers, 1)]
        return list(zip(titles, self.layers, stage.work, strict=True))

    def work_bytes(self, shape: Shape) -> int:
        """The most that a layer inside keeps busy."""
        return max(layer.work_bytes(inner) for layer, inner in self._inner(shape))

    def pass_bytes(self, shape: Shape) -> int:
        """What the layers inside take, each with memory of its own, and the sum."""
        return sum(layer.pass_bytes(inner) for layer, inner in self._inner(shape)) + 4 * math.prod(shape)

    def check(self, values: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Raises ValueError for what a layer inside cannot compute with."""
        inside = by_layer(values)
        for place, layer in enumerate(self.layers, 1):
            name = f"{place}-{layer.kind}"
            try:
                layer.check(inside.get(name, {}))
            except ValueError as error:
                raise ValueError(f"{name}.{error}") from error

    def together(self, shape: Shape) -> int:
        """The most that a layer inside asks for."""
        return max(layer.together(inner) for layer, inner in self._inner(shape))

    def reads(self, shape: Shape, rows: range, columns: range) -> tuple[range, range] | None:
        """What the stack reads, together with the value itself, which the skip reads."""
        seen: tuple[range, range] | None = (rows, columns)
        for layer, inner in reversed(self._inner(shape)):
            if seen is not None and seen[0] and seen[1]:
                seen = layer.reads(inner, *seen)
        if seen is None:
            return None
        # What lies wholly in the padding adds nothing to what the skip reads.
        return (_hull(seen[0], rows), _hull(seen[1], columns)) if seen[0] and seen[1] else (rows, columns)

    def reads_of(self, shape: Shape, mask: HostArray) -> HostArray:
        """What the stack reads, and the values themselves."""
        inside = mask
        for layer, inner in reversed(self._inner(shape)):
            inside = layer.reads_of(inner, inside)
        return mask | inside

    def reached_from(self, shape: Shape, mask: HostArray) -> HostArray:
        """What the stack makes of them, and the values themselves."""
        inside = mask
        for layer, inner in self._inner(shape):
            inside = layer.reached_from(inner, inside)
        return mask | inside

    def arithmetic(self, x: HostArray, place: Place, y: float, values: Values) -> Skipped:
        """What goes in, and what the stack adds to it."""
        return Skipped(flat_place(place, x.shape), float(x[place]), y - float(x[place]))

    def buffer(self, ops: Operations, shape: Shape, batch: int, dtype: Any) -> Buffer:
        """As the first layer inside wants it."""
        return self.layers[0].buffer(ops, shape, batch, dtype)

    def forward(self, ops: Operations, stage: Stage) -> Calls:
        """The stack's passes, then the sum."""
        stages = self._stages(ops, stage)
        stage.work = stages
        calls = [
            call for layer, inner in zip(self.layers, stages, strict=True) for call in layer.forward(ops, inner)
        ]
        return calls + ops.add(stages[-1].y, stage.x.values, stage.y)

    def backward(self, ops: Operations, stage: Stage) -> Calls:
        """The stack's gradients from its end to its start, then the skip's."""
        shape, batch = stage.x.values.shape[:-1], stage.x.values.shape[-1]
        shapes, dblocks = self._shapes(shape), self._blocks(stage.dblock, shape)
        calls: Calls = []
        dy = stage.dy
        for place in reversed(range(len(self.layers))):
            layer, inner = self.layers[place], stage.work[place]
            inner.dy, inner.dblock = dy, dblocks[place]
            if place:
                inner.dx = ops.zeros((*shapes[place], batch), stage.x.values.dtype)
                dy = inner.dx
            else:
                inner.dx = stage.dx
            calls += layer.backward(ops, inner)
        if stage.dx is not None:
            calls += ops.add(stage.dx, stage.dy, stage.dx)
        return calls

    def settle(self, ops: Operations, stage: Stage) -> Calls:
        """The running statistics inside."""
        return [
            call for layer, inner in zip(self.layers, stage.work, strict=True) for call in layer.settle(ops, inner)
        ]

    def _stages(self, ops: Operations, stage: Stage) -> list[Stage]:
        """A stage for each layer inside; each output is allocated the way the next layer wants its input."""
        shape, batch, dtype = stage.x.values.shape[:-1], stage.x.values.shape[-1], stage.x.values.dtype
        shapes, blocks, states = (
            self._shapes(shape),
            self._blocks(stage.block, shape),
            self._states(stage.state, shape),
        )
        stages, x = [], stage.x
        for place in range(len(self.layers)):
            if place + 1 < len(self.layers):
                y = self.layers[place + 1].buffer(ops, shapes[place + 1], batch, dtype)
            else:
                plain = ops.zeros((*shape, batch), dtype)
                y = Buffer(plain, plain)
            stages.append(
                replace(
                    stage,
                    x=x,
                    y=y.values,
                    block=blocks[place],
                    state=states[place],
                    key=key_of(stage.key, place + 1),
                    work=None,
                )
            )
            x = y
        return stages

    def _shapes(self, shape: Shape) -> list[Shape]:
        shapes = [shape]
        for place, layer in enumerate(self.layers, 1):
            try:
                shapes.append(layer.output_shape(shapes[-1]))
            except ShapeError as error:
                kind = type(layer).__name__
                raise ShapeError(f"layer {place} ({kind}) of its stack does not fit: {error}") from error
        return shapes

    def _inner(self, shape: Shape) -> list[tuple[Layer, Shape]]:
        return list(zip(self.layers, self._shapes(shape), strict=False))

    def _named(self, shape: Shape) -> list[tuple[str, Layer, Shape]]:
        return [
            (f"{place}-{layer.kind}", layer, inner) for place, (layer, inner) in enumerate(self._inner(shape), 1)
        ]

    def _joined(self, shapes: list[Shape | None]) -> Shape | None:
        sizes = [math.prod(shape) for shape in shapes if shape is not None]
        return (sum(sizes),) if sizes else None

    def _blocks(self, block: Array | None, shape: Shape) -> list[Array | None]:
        return _parts(block, [layer.block_shape(inner) for layer, inner in self._inner(shape)])

    def _states(self, block: Array | None, shape: Shape) -> list[Array | None]:
        return _parts(block, [layer.state_shape(inner) for layer, inner in self._inner(shape)])


def _parts(block: Array | None, shapes: list[Shape | None]) -> list[Array | None]:
    """`block` (n,) cut into views of these shapes, None where there is nothing."""
    parts: list[Array | None] = []
    start = 0
    for shape in shapes:
        size = 0 if shape is None else math.prod(shape)
        parts.append(None if shape is None or block is None else block[start : start + size].reshape(shape))
        start += size
    return parts


def _hull(first: range, second: range) -> range:
    """The smallest range that holds both."""
    return range(min(first.start, second.start), max(first.stop, second.stop))
