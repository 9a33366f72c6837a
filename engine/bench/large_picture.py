"""Bands: inference on pictures too large to hold every map of, a few rows at a time.

A band is some rows of the last layer's maps. From the last layer down, every layer says which rows of its input
those rows read; from the first up, only these are computed. At the frame a band has the padding of its layers,
elsewhere the neighbouring rows themselves, so the result equals one pass over the whole picture.
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

from engine.backends import Array, Backend, Calls, HostArray, Ops, choose_backend, one_blas_thread
from engine.bench.contender import Contender, engine_title
from engine.nn import cheapest_order
from engine.nn.layers import (
    Arrays,
    Conv2D,
    Layer,
    LayerArrays,
    MaxPool2D,
    PaddedInput,
    ReLU,
    Shape,
    ShapeError,
    default_ids,
    padding_memory,
    shape_text,
)

# Memory of the widest layer of a band: what stays in a core's cache, or fills a GPU.
BAND_BYTES = {"cpu": 1_000_000, "gpu": 256_000_000}
# Bands computed concurrently.
CONCURRENT_BANDS = 2

Parameters: TypeAlias = "Mapping[str, np.ndarray[Any, Any]]"


@dataclass(frozen=True)
class RowBand:
    """Some rows of the last layer's maps. maps: (F, len(rows), W'), on the host, float32."""

    rows: range
    maps: HostArray


def forward_in_bands(
    layers: Sequence[Layer],
    parameters: Parameters,
    picture: HostArray,
    backend: Backend,
    band_rows: int | None = None,
) -> HostArray:
    """The maps (F, H', W') of the last layer for a picture (C, H, W), float32; see `iter_bands`."""
    maps: HostArray = np.empty(_shapes(layers, picture.shape)[-1], np.float32)
    for band in iter_bands(layers, parameters, picture, backend, band_rows):
        maps[:, band.rows.start : band.rows.stop] = band.maps
    return maps


def iter_bands(
    layers: Sequence[Layer],
    parameters: Parameters,
    picture: HostArray,
    backend: Backend,
    band_rows: int | None = None,
) -> Iterator[RowBand]:
    """The last layer's maps for a picture (C, H, W), float32, as bands of `band_rows` rows from the top down.

    layers: the first ones of a network, up to the last before one that reads the whole picture at once
    parameters: the network's, by name; the picture may be of any size
    band_rows: None for as many as the cache holds
    Memory: that of the bands in progress, beside the picture and what the caller keeps. Raises ShapeError, naming
    the layer, if one does not fit, reads the whole picture or lacks a parameter, ValueError for bands of less than
    one row.
    """
    if band_rows is not None and band_rows < 1:
        raise ValueError(f"A band needs at least 1 row, not {band_rows}.")
    height = _shapes(layers, picture.shape)[-1][1]
    order = cheapest_order(tuple(layers))
    names = default_ids(layers)
    named = [(names[place], layers[place]) for place in order]
    placed = _place_layers(named, picture.shape, parameters, backend.operations)
    step = band_rows or _rows_that_fit(placed, height, BAND_BYTES[backend.name])
    cuts = [range(first, min(first + step, height)) for first in range(0, height, step)]
    key, group = None, None
    while cuts:
        band_plans = [_BandPlan(placed, rows) for rows in cuts[:CONCURRENT_BANDS]]
        alike = [band_plan for band_plan in band_plans if band_plan.key == band_plans[0].key]
        if group is None or key != (band_plans[0].key, len(alike)):
            key, group = (band_plans[0].key, len(alike)), _BandGroup(alike, placed, backend)
        yield from group.run(alike, picture)
        del cuts[: len(alike)]


class _BandGroup:
    """The calls of bands with the same geometry, computed concurrently, made once."""

    def __init__(self, band_plans: Sequence[_BandPlan], placed: Sequence[_PlacedLayer], backend: Backend) -> None:
        self._backend, ops = backend, backend.operations
        first, last = placed[0], placed[-1]
        self._inputs = [
            _RowBuffer(ops, first.shape, band_plan.input_rows[0], first.layer) for band_plan in band_plans
        ]
        self._outputs = [_RowBuffer(ops, last.output, band_plan.output_rows[-1]) for band_plan in band_plans]
        calls = [
            band_plan.calls(ops, below, above)
            for band_plan, below, above in zip(band_plans, self._inputs, self._outputs, strict=True)
        ]
        self._run = backend.program(ops.in_parallel(calls), 1)

    def run(self, band_plans: Sequence[_BandPlan], picture: HostArray) -> Iterator[RowBand]:
        """The bands of plans with the geometry that the calls were made for."""
        ops = self._backend.operations
        for band_plan, below in zip(band_plans, self._inputs, strict=True):
            read = band_plan.input_rows[0]
            ops.upload(picture[:, read.start : read.stop, :, None], below.values)
        self._run()
        for band_plan, above in zip(band_plans, self._outputs, strict=True):
            first = band_plan.rows.start - band_plan.output_rows[-1].start
            yield RowBand(band_plan.rows, ops.to_host(above.values[:, first : first + len(band_plan.rows), :, 0]))


class _BandPlan:
    """The rows that each of a chain of layers must compute for some rows of the last one.

    input_rows: the rows of its input that each layer reads
    output_rows: the rows of its output that it computes, more than needed where it reads the top of the frame
    """

    def __init__(self, placed: Sequence[_PlacedLayer], rows: range) -> None:
        self.placed, self.rows = placed, rows
        self.input_rows: list[range] = []
        self.output_rows: list[range] = []
        self._inner: list[_BandPlan | None] = []
        for placed_layer in reversed(placed):
            inner = _BandPlan(placed_layer.inner, rows) if placed_layer.inner else None
            output_rows = placed_layer.output_rows(rows) if inner is None else rows
            input_rows = (
                placed_layer.input_rows(output_rows) if inner is None else _union(inner.input_rows[0], rows)
            )
            self._inner.insert(0, inner)
            self.output_rows.insert(0, output_rows)
            self.input_rows.insert(0, input_rows)
            rows = input_rows

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for plans with the same geometry: as many rows everywhere, and the frame at the same sides."""
        read = (*self.input_rows[1:], self.rows)
        spans = [
            (of.start - output_rows.start, len(of), len(output_rows))
            for of, output_rows in zip(read, self.output_rows, strict=True)
        ]
        ends = [
            (len(input_rows), input_rows.start == 0, input_rows.stop == placed_layer.height)
            for input_rows, placed_layer in zip(self.input_rows, self.placed, strict=True)
        ]
        return (*spans, *ends, *(inner and inner.key for inner in self._inner))

    def calls(self, ops: Ops, x: _RowBuffer, y: _RowBuffer) -> Calls:
        """The calls that compute y, the rows of the last layer, from x."""
        calls: Calls = []
        for place, placed_layer in enumerate(self.placed):
            out = y
            if place + 1 < len(self.placed):
                out = _RowBuffer(ops, placed_layer.output, self.output_rows[place], self.placed[place + 1].layer)
            calls += self._layer(ops, place, x, out)
            x = out
        return calls

    def _layer(self, ops: Ops, place: int, x: _RowBuffer, y: _RowBuffer) -> Calls:
        placed_layer, inner = self.placed[place], self._inner[place]
        if inner is None:
            seen = x.seen(self.input_rows[place])
            return placed_layer.layer.forward(
                ops, LayerArrays(seen, y.values, parameters=placed_layer.parameters, buffers=placed_layer.buffers)
            )
        stacked = _RowBuffer(ops, placed_layer.output, inner.output_rows[-1])
        rows = self.output_rows[place]
        return inner.calls(ops, x, stacked) + ops.add(stacked.seen(rows).values, x.seen(rows).values, y.values)


@dataclass(frozen=True)
class _PlacedLayer:
    """A layer with the shape of its whole input, its stored parameters and buffers, and the layers inside a
    residual block."""

    layer: Layer
    shape: Shape
    parameters: Array | None
    buffers: Array | None
    inner: tuple[_PlacedLayer, ...]

    @property
    def height(self) -> int:
        return self.shape[1]

    @property
    def output(self) -> Shape:
        return self.layer.output_shape(self.shape)

    def input_rows(self, rows: range) -> range:
        """The rows of the input that rows of the output read, at least one."""
        read = self._read(rows)
        stop = max(read.stop, 1)
        return range(min(read.start, stop - 1), stop)

    def output_rows(self, rows: range) -> range:
        """Those rows, and, where they read the frame's first row, all above them, so that the padding there is
        complete. Rows that read only the bottom padding take along one that reads more."""
        first = rows.start
        while first and self._read(range(first, first + 1)).start >= self.height:
            first -= 1
        return range(first if self.input_rows(range(first, rows.stop)).start else 0, rows.stop)

    def _read(self, rows: range) -> range:
        """As given by the layer: clipped to the frame, and with stop before start where there is only padding."""
        read = self.layer.receptive_range(self.shape, rows, range(1))
        assert read is not None
        return read[0]


class _RowBuffer:
    """Some rows in memory: `have` of those of `shape`, with the padding of their reader where they touch the
    frame."""

    def __init__(self, ops: Ops, shape: Shape, have: range, reader: Layer | None = None) -> None:
        channels, height, width = shape
        margin, value = (0, 0.0) if reader is None else (reader.pad_width, reader.pad_value)
        self._height, self._have, self._margin = height, have, margin
        self._above = margin if have.start == 0 else 0
        below = margin if have.stop == height else 0
        full = (channels, self._above + len(have) + below, width + 2 * margin, 1)
        self._full: Array = padding_memory(ops, full, value, np.float32)
        self.values = self._cells(have)

    def seen(self, rows: range) -> PaddedInput:
        """The input of a layer that reads only `rows`."""
        first = self._place(rows.start) if rows.start else 0
        last = self._place(rows.stop) if rows.stop < self._height else self._full.shape[1]
        return PaddedInput(self._full[:, first:last], self._cells(rows))

    def _cells(self, rows: range) -> Array:
        width = self._full.shape[2] - 2 * self._margin
        return self._full[:, self._place(rows.start) : self._place(rows.stop), self._margin : self._margin + width]

    def _place(self, row: int) -> int:
        return self._above + row - self._have.start


def _shapes(layers: Sequence[Layer], shape: Shape) -> list[Shape]:
    """The picture's shape and every layer's output shape. Raises ShapeError."""
    if len(shape) != 3 or min(shape) < 1:
        raise ShapeError(f"A picture is channels × height × width, not {shape!r}.")
    if not layers:
        raise ValueError("There are no layers to run on the picture.")
    shapes: list[Shape] = [shape]
    for place, layer in enumerate(layers, 1):
        title = f"layer {place} ({type(layer).__name__})"
        try:
            shapes.append(layer.output_shape(shapes[-1]))
        except ShapeError as error:
            raise ShapeError(f"The network's {title} does not fit on {shape_text(shapes[-1])}: {error}.") from error
        if layer.receptive_range(shapes[-2], range(1), range(1)) is None:
            raise ShapeError(
                f"The network's {title} needs the whole picture at once, so bands cannot be computed separately; "
                "leave it and what follows out."
            )
    return shapes


def _place_layers(
    named: Sequence[tuple[str, Layer]], shape: Shape, parameters: Parameters, ops: Ops
) -> list[_PlacedLayer]:
    """Layers, each with its parameters, found by name."""
    placed = []
    for name, layer in named:
        inner: list[_PlacedLayer] = []
        stored = buffers = None
        if layer.inner_layers:
            inside = [(f"{name}.{own}", placed_layer) for own, placed_layer in layer.inner_layers]
            inner = _place_layers(inside, shape, parameters, ops)
        else:
            stored = _load_array(name, layer.parameter_shape(shape), layer.parameter_views, shape, parameters, ops)
            buffers = _load_array(name, layer.buffer_shape(shape), layer.buffer_views, shape, parameters, ops)
        placed.append(_PlacedLayer(layer, shape, stored, buffers, tuple(inner)))
        shape = layer.output_shape(shape)
    return placed


def _load_array(
    name: str,
    array_shape: Shape | None,
    views_of: Callable[[Array, Shape], dict[str, Array]],
    shape: Shape,
    parameters: Parameters,
    ops: Ops,
) -> Array | None:
    """A layer's stored array, filled from the parameters by name. Raises ShapeError unless they are present and
    fit."""
    if array_shape is None:
        return None
    array: Array = ops.zeros(array_shape, np.float32)
    for part, view in views_of(array, shape).items():
        values = parameters.get(f"{name}.{part}")
        if values is None or values.shape != view.shape:
            found = "missing" if values is None else shape_text(values.shape)
            raise ShapeError(f"The network needs {name}.{part} ({shape_text(view.shape)}), but it is {found}.")
        ops.upload(values, view)
    return array


def _rows_that_fit(placed: Sequence[_PlacedLayer], height: int, limit: int) -> int:
    """The number of rows of the last layer per band, a power of two, at least 1."""
    rows = 1
    while 2 * rows <= height and _widest_bytes(placed, 2 * rows, height) <= limit:
        rows *= 2
    return rows


def _widest_bytes(placed: Sequence[_PlacedLayer], rows: int, height: int) -> int:
    """The bytes of a band of `rows` in the middle, in the layer where they are most."""
    first = (height - rows) // 2
    input_rows_by_layer = _BandPlan(placed, range(first, first + rows)).input_rows
    shapes = [
        (placed_layer.shape[0], len(input_rows) + 2 * placed_layer.layer.pad_width, placed_layer.shape[2])
        for placed_layer, input_rows in zip(placed, input_rows_by_layer, strict=True)
    ]
    return max(
        placed_layer.layer.workspace_bytes(shape) for placed_layer, shape in zip(placed, shapes, strict=True)
    )


def _union(first: range, second: range) -> range:
    return range(min(first.start, second.start), max(first.stop, second.stop))


PHOTO_LAYERS: tuple[Layer, ...] = (Conv2D(16, 5, padding="same"), ReLU(), MaxPool2D())
PHOTO_SIZE = (2448, 3264)


def make_photograph(height: int, width: int) -> HostArray:
    """A synthetic picture (1, height, width) of float32 from -1 to 1: soft light, hard edges and noise, always the
    same.

    Made row by row, so that it takes no more memory than its own.
    """
    rng = np.random.default_rng(11)
    picture: HostArray = np.empty((1, height, width), np.float32)
    across = np.linspace(0, 1, width, dtype=np.float32)
    for down, row in zip(np.linspace(0, 1, height, dtype=np.float32), picture[0], strict=True):
        light = 0.5 * np.sin(9 * down + 4 * np.sin(5 * across))
        edges = 0.3 * np.sign(np.sin(40 * down) * np.sin(60 * across))
        row[:] = light + edges + 0.05 * rng.standard_normal(width, np.float32)
    return picture


def photo_parameters() -> Arrays:
    """Parameters of PHOTO_LAYERS, always the same."""
    layer, shape = PHOTO_LAYERS[0], (1, *PHOTO_SIZE)
    return {
        f"conv2d-1.{name}": values
        for name, values in layer.initial_parameters(shape, np.random.default_rng(1)).items()
    }


def photo_multiplies(sides: tuple[int, int] = PHOTO_SIZE) -> int:
    """Multiplications for one picture."""
    return PHOTO_LAYERS[0].multiplies((1, *sides))


def band_contender(backend: Backend, sides: tuple[int, int] = PHOTO_SIZE) -> Contender:
    """This engine, one band after the other."""
    picture, parameters = make_photograph(*sides), photo_parameters()

    def run() -> HostArray:
        return forward_in_bands(PHOTO_LAYERS, parameters, picture, backend)

    return Contender(engine_title(backend), "engine", run, lambda: {"maps": run()})


def memory_growth(sides: tuple[int, int] = PHOTO_SIZE) -> int | None:
    """The peak growth in bytes of a fresh process that holds the picture while it computes all maps on the CPU.
    None if unknown."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_growth, sides).result()


def _growth(sides: tuple[int, int]) -> int | None:
    run = band_contender(choose_backend("cpu"), sides).run
    before = _peak()
    with one_blas_thread():
        run()
    after = _peak()
    return None if before is None or after is None else after - before


def _peak() -> int | None:
    """The peak resident memory of this process, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # Linux's getrusage includes the process before it started this program.
        found = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text("utf-8"), re.MULTILINE)
        return None if found is None else 1024 * int(found[1])
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return None
