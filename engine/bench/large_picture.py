"""Bands: passes over pictures too large to hold every map of, a few rows at a time. They learn nothing.

A band is some rows of the last layer's maps. Going down, every layer says which rows of its input those rows read;
going up, only these are computed. Where a band touches the frame its layers meet their margin of zeros, elsewhere
the neighbouring rows themselves, so what comes out is what one pass over the whole picture would give.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from engine.backends.backend import Backend, choose_backend, one_blas_thread
from engine.backends.ops import Array, Calls, HostArray, Operations
from engine.bench.contender import Contender, title
from engine.nn.layers import (
    Buffer,
    Conv2D,
    Layer,
    MaxPool2D,
    ReLU,
    Residual,
    Shape,
    ShapeError,
    Stage,
    Values,
    shape_text,
)
from engine.nn.network import layer_names
from engine.nn.plan import cheapest_order

# What the widest layer of a band may keep busy: what stays in a core's cache, or fills a GPU.
BAND_BYTES = {"cpu": 1_000_000, "gpu": 256_000_000}
# How many bands may be worked on at the same time.
LANES = 2

Parameters: TypeAlias = "Mapping[str, np.ndarray[Any, Any]]"


@dataclass(frozen=True)
class Band:
    """rows: which rows of the last layer's maps; maps: (F, len(rows), W'), on the host, float32."""

    rows: range
    maps: HostArray


def forward_in_bands(
    layers: Sequence[Layer],
    parameters: Parameters,
    picture: HostArray,
    backend: Backend,
    band_rows: int | None = None,
) -> HostArray:
    """The maps (F, H', W') that `layers` make of a picture (C, H, W), float32; see bands."""
    maps: HostArray = np.empty(_shapes(layers, picture.shape)[-1], np.float32)
    for band in bands(layers, parameters, picture, backend, band_rows):
        maps[:, band.rows.start : band.rows.stop] = band.maps
    return maps


def bands(
    layers: Sequence[Layer],
    parameters: Parameters,
    picture: HostArray,
    backend: Backend,
    band_rows: int | None = None,
) -> Iterator[Band]:
    """The maps that `layers` make of a picture (C, H, W), float32, as bands of `band_rows` rows from the top down.

    layers: the first ones of a network, down to the last that does not read the whole picture at once. parameters:
    the network's, by name; the picture may be of any size. band_rows: None for as many as the cache holds. Memory:
    that of the bands worked on, beside the picture and what the caller keeps. Raises ShapeError, naming the layer,
    if one does not fit, reads the whole picture or lacks a parameter, ValueError for bands of less than one row.
    """
    if band_rows is not None and band_rows < 1:
        raise ValueError(f"A band needs at least 1 row, not {band_rows}.")
    height = _shapes(layers, picture.shape)[-1][1]
    order = cheapest_order(tuple(layers))
    names = layer_names(layers)
    named = [(names[place], layers[place]) for place in order]
    placed = _placed(named, picture.shape, parameters, backend.operations)
    step = band_rows or _rows_that_fit(placed, height, BAND_BYTES[backend.name])
    cuts = [range(first, min(first + step, height)) for first in range(0, height, step)]
    key, lanes = None, None
    while cuts:
        stacks = [_Stack(placed, rows) for rows in cuts[:LANES]]
        alike = [stack for stack in stacks if stack.key == stacks[0].key]
        if lanes is None or key != (stacks[0].key, len(alike)):
            key, lanes = (stacks[0].key, len(alike)), _Lanes(alike, placed, backend)
        yield from lanes.run(alike, picture)
        del cuts[: len(alike)]


class _Lanes:
    """The calls of bands that lie alike in the frame, to be worked on at the same time, made once."""

    def __init__(self, stacks: Sequence[_Stack], placed: Sequence[_Placed], backend: Backend) -> None:
        self._backend, ops = backend, backend.operations
        first, last = placed[0], placed[-1]
        self._inputs = [_Rows(ops, first.shape, stack.need[0], first.layer.margin) for stack in stacks]
        self._outputs = [_Rows(ops, last.output, stack.made[-1], 0) for stack in stacks]
        lanes = [
            stack.calls(ops, below, above)
            for stack, below, above in zip(stacks, self._inputs, self._outputs, strict=True)
        ]
        self._run = backend.program(ops.together(lanes), 1)

    def run(self, stacks: Sequence[_Stack], picture: HostArray) -> Iterator[Band]:
        """The bands of the stacks, which lie as those do that the calls were made for."""
        ops = self._backend.operations
        for stack, below in zip(stacks, self._inputs, strict=True):
            read = stack.need[0]
            ops.upload(picture[:, read.start : read.stop, :, None], below.values)
        self._run()
        for stack, above in zip(stacks, self._outputs, strict=True):
            first = stack.rows.start - stack.made[-1].start
            yield Band(stack.rows, ops.to_host(above.values[:, first : first + len(stack.rows), :, 0]))


class _Stack:
    """Layers one after the other, with the rows that each must make for some rows of the last.

    need: the rows of its input that each layer reads; made: the rows of its output that it makes, which are more
    than those needed where it reads the frame's top.
    """

    def __init__(self, placed: Sequence[_Placed], rows: range) -> None:
        self.placed, self.rows = placed, rows
        self.need: list[range] = []
        self.made: list[range] = []
        self._inner: list[_Stack | None] = []
        for each in reversed(placed):
            inner = _Stack(each.inner, rows) if each.inner else None
            made = each.made(rows) if inner is None else rows
            need = each.need(made) if inner is None else _hull(inner.need[0], rows)
            self._inner.insert(0, inner)
            self.made.insert(0, made)
            self.need.insert(0, need)
            rows = need

    @property
    def key(self) -> tuple[object, ...]:
        """The same for stacks that lie alike: as many rows everywhere, and the frame at the same sides."""
        read = (*self.need[1:], self.rows)
        spans = [(of.start - made.start, len(of), len(made)) for of, made in zip(read, self.made, strict=True)]
        ends = [
            (len(need), need.start == 0, need.stop == each.height)
            for need, each in zip(self.need, self.placed, strict=True)
        ]
        return (*spans, *ends, *(inner and inner.key for inner in self._inner))

    def calls(self, ops: Operations, x: _Rows, y: _Rows) -> Calls:
        """The calls that fill y, which holds the rows the last layer makes, from x."""
        calls: Calls = []
        for place, each in enumerate(self.placed):
            out = y
            if place + 1 < len(self.placed):
                out = _Rows(ops, each.output, self.made[place], self.placed[place + 1].layer.margin)
            calls += self._layer(ops, place, x, out)
            x = out
        return calls

    def _layer(self, ops: Operations, place: int, x: _Rows, y: _Rows) -> Calls:
        each, inner = self.placed[place], self._inner[place]
        if inner is None:
            seen = x.seen(self.need[place])
            return each.layer.forward(ops, Stage(seen, y.values, block=each.block, state=each.state))
        stacked = _Rows(ops, each.output, inner.made[-1], 0)
        rows = self.made[place]
        return inner.calls(ops, x, stacked) + ops.add(stacked.seen(rows).values, x.seen(rows).values, y.values)


@dataclass(frozen=True)
class _Placed:
    """A layer in its place. shape: of its whole input; block, state: its parameters; inner: the layers of a stack
    with a skip."""

    layer: Layer
    shape: Shape
    block: Array | None
    state: Array | None
    inner: tuple[_Placed, ...]

    @property
    def height(self) -> int:
        return self.shape[1]

    @property
    def output(self) -> Shape:
        return self.layer.output_shape(self.shape)

    def need(self, rows: range) -> range:
        """The rows of the input that rows of the output read, at least one."""
        read = self._read(rows)
        stop = max(read.stop, 1)
        return range(min(read.start, stop - 1), stop)

    def made(self, rows: range) -> range:
        """Those rows, and, where they read the frame's first row, all above them, so that the margin there is met
        whole. Rows that read nothing but the margin below take one along that reads more."""
        first = rows.start
        while first and self._read(range(first, first + 1)).start >= self.height:
            first -= 1
        return range(first if self.need(range(first, rows.stop)).start else 0, rows.stop)

    def _read(self, rows: range) -> range:
        """As the layer says it: cut off at the frame, and inverted where there is nothing but margin."""
        read = self.layer.reads(self.shape, rows, range(1))
        assert read is not None
        return read[0]


class _Rows:
    """Some rows in memory: `have` of those of `shape`, inside `margin` zeros where they end at the frame."""

    def __init__(self, ops: Operations, shape: Shape, have: range, margin: int) -> None:
        channels, height, width = shape
        self._height, self._have, self._margin = height, have, margin
        self._above = margin if have.start == 0 else 0
        below = margin if have.stop == height else 0
        self._full: Array = ops.zeros(
            (channels, self._above + len(have) + below, width + 2 * margin, 1), np.float32
        )
        self.values = self._cells(have)

    def seen(self, rows: range) -> Buffer:
        """As a layer finds them that reads only `rows`."""
        first = self._place(rows.start) if rows.start else 0
        last = self._place(rows.stop) if rows.stop < self._height else self._full.shape[1]
        return Buffer(self._full[:, first:last], self._cells(rows))

    def _cells(self, rows: range) -> Array:
        width = self._full.shape[2] - 2 * self._margin
        return self._full[:, self._place(rows.start) : self._place(rows.stop), self._margin : self._margin + width]

    def _place(self, row: int) -> int:
        return self._above + row - self._have.start


def _shapes(layers: Sequence[Layer], shape: Shape) -> list[Shape]:
    """The picture's shape and every layer's output. Raises ShapeError."""
    if len(shape) != 3 or min(shape) < 1:
        raise ShapeError(f"A picture is channels × height × width, not {shape!r}.")
    if not layers:
        raise ValueError("There are no layers that could read the picture.")
    shapes: list[Shape] = [shape]
    for place, layer in enumerate(layers, 1):
        title = f"layer {place} ({type(layer).__name__})"
        try:
            shapes.append(layer.output_shape(shapes[-1]))
        except ShapeError as error:
            raise ShapeError(f"The network's {title} does not fit on {shape_text(shapes[-1])}: {error}.") from error
        if layer.reads(shapes[-2], range(1), range(1)) is None:
            raise ShapeError(
                f"The network's {title} reads the whole picture at once, so no band can be worked on by itself; "
                "leave it and what follows out."
            )
    return shapes


def _placed(
    named: Sequence[tuple[str, Layer]], shape: Shape, parameters: Parameters, ops: Operations
) -> list[_Placed]:
    """Layers, each with its parameters, which are found by its name."""
    found = []
    for name, layer in named:
        inner: list[_Placed] = []
        block = state = None
        if isinstance(layer, Residual):
            inside = [(f"{name}.{place}-{each.kind}", each) for place, each in enumerate(layer.layers, 1)]
            inner = _placed(inside, shape, parameters, ops)
        else:
            block = _loaded(name, layer.block_shape(shape), layer.parameters, shape, parameters, ops)
            state = _loaded(name, layer.state_shape(shape), layer.state, shape, parameters, ops)
        found.append(_Placed(layer, shape, block, state, tuple(inner)))
        shape = layer.output_shape(shape)
    return found


def _loaded(
    name: str,
    block_shape: Shape | None,
    views_of: Callable[[Array, Shape], dict[str, Array]],
    shape: Shape,
    parameters: Parameters,
    ops: Operations,
) -> Array | None:
    """A layer's block, filled from the parameters by name. Raises ShapeError unless they are there and fit."""
    if block_shape is None:
        return None
    block: Array = ops.zeros(block_shape, np.float32)
    for part, view in views_of(block, shape).items():
        values = parameters.get(f"{name}.{part}")
        if values is None or values.shape != view.shape:
            found = "missing" if values is None else shape_text(values.shape)
            raise ShapeError(f"The network needs {name}.{part} ({shape_text(view.shape)}), but it is {found}.")
        ops.upload(values, view)
    return block


def _rows_that_fit(placed: Sequence[_Placed], height: int, limit: int) -> int:
    """How many rows of the last layer can be worked on at once, a power of two, at least 1."""
    rows = 1
    while 2 * rows <= height and _widest(placed, 2 * rows, height) <= limit:
        rows *= 2
    return rows


def _widest(placed: Sequence[_Placed], rows: int, height: int) -> int:
    """The bytes that a band of `rows` in the middle keeps busy in the layer where they are most."""
    first = (height - rows) // 2
    needs = _Stack(placed, range(first, first + rows)).need
    shapes = [
        (each.shape[0], len(need) + 2 * each.layer.margin, each.shape[2])
        for each, need in zip(placed, needs, strict=True)
    ]
    return max(each.layer.work_bytes(shape) for each, shape in zip(placed, shapes, strict=True))


def _hull(first: range, second: range) -> range:
    return range(min(first.start, second.start), max(first.stop, second.stop))


LAYERS: tuple[Layer, ...] = (Conv2D(16, 5, padding="same"), ReLU(), MaxPool2D())
SIDES = (2448, 3264)


def photograph(height: int, width: int) -> HostArray:
    """A picture (1, height, width) of float32 from -1 to 1: soft light, hard edges and grain, always the same.

    Made row by row, so that making it takes no more memory than it has.
    """
    rng = np.random.default_rng(11)
    picture: HostArray = np.empty((1, height, width), np.float32)
    across = np.linspace(0, 1, width, dtype=np.float32)
    for down, row in zip(np.linspace(0, 1, height, dtype=np.float32), picture[0], strict=True):
        light = 0.5 * np.sin(9 * down + 4 * np.sin(5 * across))
        edges = 0.3 * np.sign(np.sin(40 * down) * np.sin(60 * across))
        row[:] = light + edges + 0.05 * rng.standard_normal(width, np.float32)
    return picture


def features() -> Values:
    """Parameters of LAYERS, always the same."""
    layer, shape = LAYERS[0], (1, *SIDES)
    return {f"01-conv2d.{name}": values for name, values in layer.initial(shape, np.random.default_rng(1)).items()}


def multiplies(sides: tuple[int, int] = SIDES) -> int:
    """Multiplications for one picture."""
    return LAYERS[0].multiplies((1, *sides))


def in_bands(backend: Backend, sides: tuple[int, int] = SIDES) -> Contender:
    """This engine, a band after the other."""
    picture, parameters = photograph(*sides), features()

    def run() -> HostArray:
        return forward_in_bands(LAYERS, parameters, picture, backend)

    return Contender(title(backend), "engine", run, lambda: {"maps": run()})


def growth(sides: tuple[int, int] = SIDES) -> int | None:
    """By how many bytes a fresh process that holds the picture grows at most while it makes all its maps on the
    processor. None where the system does not say."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_growth, sides).result()


def _growth(sides: tuple[int, int]) -> int | None:
    run = in_bands(choose_backend("cpu"), sides).run
    before = _peak()
    with one_blas_thread():
        run()
    after = _peak()
    return None if before is None or after is None else after - before


def _peak() -> int | None:
    """The most bytes of memory that this process has had resident."""
    status = Path("/proc/self/status")
    if status.exists():
        # Linux's getrusage counts what the process was before it began to run this program, too.
        found = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text("utf-8"), re.MULTILINE)
        return None if found is None else 1024 * int(found[1])
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return None
