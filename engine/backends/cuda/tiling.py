"""Tiling of matrix products: tiles of thread blocks, split sums (split-k), and the cost model that chooses them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeAlias

import numpy as np

from engine.backends.cuda.arguments import KernelParameter, ints, null_pointer, reads, writes
from engine.backends.cuda.arrays import ArrayView
from engine.backends.cuda.launch import BlockLaunch, KernelCache
from engine.backends.ops import Calls

# Steps along the inner axis loaded into shared memory at a time; the default limit of shared memory for a block.
DEPTHS = (32, 16, 8)
SHARED_BYTES = 48 * 1024
# The longest sum of one thread where possible: the rounding error grows with it.
MAX_SUM_LENGTH = 1024
# The shortest slice of a sum, in steps of DEPTH.
MIN_SLICE_STEPS = 2

VectorWidth: TypeAlias = Literal[1, 4]


@dataclass(frozen=True)
class TileShape:
    """The rows x columns of a product computed by a block, of which each thread computes thread_rows x
    thread_columns."""

    rows: int
    columns: int
    thread_rows: int
    thread_columns: int

    @property
    def threads(self) -> int:
        """Threads of a tile."""
        return self.rows // self.thread_rows * (self.columns // self.thread_columns)

    @property
    def max_threads(self) -> int:
        """The most threads of a block: more values per thread need more registers."""
        values = self.thread_rows * self.thread_columns
        return 256 if values > 32 else 512 if values > 8 else 1024

    def grid(self, rows: int, columns: int) -> tuple[int, int]:
        """The number of blocks that cover rows x columns, as (horizontal, vertical)."""
        return -(-columns // self.columns), -(-rows // self.rows)


TILES = (
    TileShape(8, 32, 1, 4),
    TileShape(8, 64, 2, 4),
    TileShape(8, 128, 4, 4),
    TileShape(8, 256, 4, 8),
    TileShape(16, 64, 4, 4),
    TileShape(16, 128, 4, 8),
    TileShape(16, 256, 4, 16),
    TileShape(32, 32, 4, 4),
    TileShape(32, 64, 4, 8),
    TileShape(32, 128, 8, 8),
    TileShape(32, 256, 4, 16),
    TileShape(64, 64, 8, 4),
    TileShape(64, 128, 8, 8),
    TileShape(128, 64, 8, 8),
    TileShape(128, 128, 8, 8),
)


@dataclass(frozen=True)
class TilingConfig:
    """How a product is divided among blocks and threads.

    groups: thread groups of a block that share each sum.
    slices: blocks that share each sum (split-k).
    depth: steps along the inner axis loaded at a time.
    """

    tile: TileShape
    groups: int
    slices: int
    depth: int

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return self.tile.threads * self.groups

    @property
    def registers(self) -> int:
        """Estimated registers of a thread: its values, a row and a column of operands, and prefetched operands."""
        tile = self.tile
        fetched = self.depth * (tile.rows + tile.columns) / tile.threads
        return int(40 + tile.thread_rows * tile.thread_columns + tile.thread_rows + tile.thread_columns + fetched)

    def options(self, dtype: np.dtype[Any]) -> tuple[str, ...]:
        """Compiler options for this tiling and dtype."""
        tile = self.tile
        sides = {
            "TILE_M": tile.rows,
            "TILE_N": tile.columns,
            "THREAD_M": tile.thread_rows,
            "THREAD_N": tile.thread_columns,
        }
        sides |= {"GROUPS": self.groups, "DEPTH": self.depth}
        return (real_option(dtype), *(f"-D{name}={value}" for name, value in sides.items()))

    def shared_bytes(self, itemsize: int) -> int:
        """Shared memory of a block in bytes, as in tiles.cuh."""
        tile = self.tile
        operands = self.groups * 2 * self.depth * ((tile.rows + tile.columns) * itemsize + 32)
        return max(operands, (self.groups - 1) * tile.rows * tile.columns * itemsize)


def real_option(dtype: np.dtype[Any]) -> str:
    """The compiler option for the type REAL. Raises ValueError for a dtype other than float32 and float64."""
    names = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}
    if dtype not in names:
        raise ValueError(f"Kernels compute in float32 or float64, not {dtype}.")
    return f"-DREAL={names[dtype]}"


@dataclass(frozen=True)
class ProductShape:
    """The dimensions (m, n, k) of a product; vector_widths: values fetched at once, of the left and right
    operand."""

    rows: int
    columns: int
    inner: int
    vector_widths: tuple[VectorWidth, VectorWidth] = (1, 1)


@cache
def best_tiling(size: ProductShape, itemsize: int, processors: int) -> TilingConfig:
    """The tiling with the lowest estimated time."""
    candidates = list(_candidates(size, itemsize, processors))
    short = [tiling for tiling in candidates if size.inner <= MAX_SUM_LENGTH * tiling.groups * tiling.slices]
    return min(short or candidates, key=lambda tiling: estimate_microseconds(tiling, size, itemsize, processors))


def _candidates(size: ProductShape, itemsize: int, processors: int) -> Iterator[TilingConfig]:
    """All tilings that fit a block."""
    for tile in TILES:
        along, down = tile.grid(size.rows, size.columns)
        for groups in (1, 2, 4, 8, 16):
            if groups > 1 and (tile.threads * groups > tile.max_threads or size.inner < groups * 8):
                continue
            for depth in DEPTHS:
                if depth > 8 and size.inner <= depth // 2 * groups:
                    continue
                single = TilingConfig(tile, groups, 1, depth)
                if single.shared_bytes(itemsize) > SHARED_BYTES:
                    continue
                max_slices = size.inner // (MIN_SLICE_STEPS * depth * groups)
                counts = {1, *(times * processors // (along * down) for times in (1, 2, 3, 4, 6, 8))}
                for slices in counts:
                    if 1 <= slices <= max(1, max_slices):
                        yield TilingConfig(tile, groups, slices, depth)


# An H200: clock in MHz; schedulers, threads, registers and bytes of shared memory of a multiprocessor.
CLOCK, SCHEDULERS, MAX_RESIDENT, REGISTERS, SHARED_TOTAL = 1750, 4, 2048, 65536, 228 * 1024
# Fitted to timings of 500 products of the reference networks on an H200 (mean error 16 %; the model's choice takes
# 3 % longer than the best timed). Cycles for each value of a thread, each row or column of its values, each inner
# step, each fetch; at the end for each value; until the first operands arrive, and for every further step of DEPTH.
# Warps wasted by a scheduler that has few, and the exponent of that blend. Microseconds for a launch, for a second
# one, and for a million bytes of partial sums.
VALUE, SIDE, INNER, FETCHED, LAST, FIRST_STEP, STEP = 1.0, 2.27, 2.24, 33.5, 41.5, 900, 483
WASTED, MIXED = 0.82, 2.7
LAUNCH, SECOND_LAUNCH, PARTIAL_SUMS = 1.2, 1.4, 0.41


def estimate_microseconds(tiling: TilingConfig, size: ProductShape, itemsize: int, processors: int) -> float:
    """Estimated time of a product in microseconds.

    A multiprocessor runs its share of the blocks in waves of as many as fit. A wave takes the longer of the issue
    time of all its threads and the latency of one, step by step.
    """
    tile, depth = tiling.tile, tiling.depth
    along, down = tile.grid(size.rows, size.columns)
    steps = -(-size.inner // (tiling.slices * tiling.groups * depth))
    fetches = depth * (tile.rows / size.vector_widths[0] + tile.columns / size.vector_widths[1]) / tile.threads
    step_cycles = (
        depth
        * (VALUE * tile.thread_rows * tile.thread_columns + SIDE * (tile.thread_rows + tile.thread_columns) + INNER)
        + FETCHED * fetches
    )
    last = LAST * tile.thread_rows * tile.thread_columns * (1 + 0.04 * tiling.groups) + 100
    resident = min(
        MAX_RESIDENT // tiling.threads,
        REGISTERS // (tiling.registers * tiling.threads),
        SHARED_TOTAL // tiling.shared_bytes(itemsize),
    )

    def cycles(blocks: int) -> float:
        busy = blocks * tiling.threads / 32 / SCHEDULERS
        issued = (steps * step_cycles + last) * (busy**MIXED + WASTED**MIXED) ** (1 / MIXED) * (itemsize // 4)
        return FIRST_STEP + float(max(issued, steps * (STEP + 0.95 * step_cycles) + 0.95 * last))

    share = -(-along * down * tiling.slices // processors)
    full, rest = divmod(share, max(1, resident))
    total = full * cycles(max(1, resident)) + (cycles(rest) if rest else 0)
    reduction = 0.0
    if tiling.slices > 1:
        reduction = SECOND_LAUNCH + PARTIAL_SUMS * tiling.slices * size.rows * size.columns * itemsize / 1e6
    return LAUNCH + total / CLOCK + reduction


@dataclass(frozen=True)
class TiledProduct:
    """A matrix product by a tiled kernel.

    rows, columns, inner, vector_widths: see ProductShape.
    options: compiler options of the kernel itself.
    before, after: parameters before and after the output pointer, which is `out` or partial sums.
    windows: the height, width and batch of maps of which a thread can compute complete 2 x 2 windows.
    """

    name: str
    rows: int
    columns: int
    inner: int
    vector_widths: tuple[VectorWidth, VectorWidth]
    options: tuple[str, ...]
    before: list[KernelParameter]
    out: ArrayView
    after: list[KernelParameter]
    windows: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class BiasTerm:
    """The bias of element i, array[i // channel_size * step], added by the reduction of split sums."""

    array: ArrayView
    step: int
    channel_size: int


def tiled_product_calls(kernels: KernelCache, product: TiledProduct, bias: BiasTerm | None = None) -> Calls:
    """The launch of a tiled kernel; with split sums, also the launch that reduces them and adds the bias, which the
    kernel itself adds otherwise."""
    rows, columns, dtype = product.rows, product.columns, product.out.dtype
    size = ProductShape(rows, columns, product.inner, product.vector_widths)
    tiling = best_tiling(size, dtype.itemsize, kernels.device.processors)
    parts, windows = tiling.slices, product.windows if tiling.slices == 1 else None
    grid = (*tiling.tile.grid(rows, columns), parts)
    widths = (f"-DLEFT_VECTOR={product.vector_widths[0]}", f"-DRIGHT_VECTOR={product.vector_widths[1]}")
    options = (*tiling.options(dtype), *widths, f"-DWINDOWS={int(windows is not None)}", *product.options)

    def launch(target: list[KernelParameter], count: int) -> BlockLaunch:
        parameters = (*product.before, *target, *product.after)
        return BlockLaunch(kernels, product.name, options, grid, (tiling.threads,), parameters, count, windows)

    if parts == 1:
        return [(launch(writes(product.out), rows * columns), (), {})]
    scratch = kernels.view(kernels.device.zeros((parts, rows * columns), dtype))
    first = launch(writes(scratch, random_access=True), 0)
    return [(first, (), {}), (_reduction(kernels, scratch, parts, product.out, bias), (), {})]


def _reduction(
    kernels: KernelCache, parts: ArrayView, slices: int, out: ArrayView, bias: BiasTerm | None
) -> BlockLaunch:
    """The launch that sums parts (slices, count)."""
    # Many slices need many threads for each value, few do not.
    count, groups = out.size, 8 if slices <= 32 else 32
    parameters = [*reads(parts, random_access=True), *ints(slices, count), *writes(out, strided=True)]
    if bias is None:
        parameters += [*null_pointer(out.dtype), *ints(0, 1)]
    else:
        parameters += [*reads(bias.array, random_access=True), *ints(bias.step, bias.channel_size)]
    options = (real_option(out.dtype), f"-DGROUPS={groups}")
    return BlockLaunch(
        kernels, "reduce_slices", options, (-(-count // 32),), (32, groups), tuple(parameters), count
    )


def vector_width(view: ArrayView, *counts: int) -> VectorWidth:
    """How many values of an array can be fetched at once; counts: its row lengths and strides, in elements."""
    return 4 if view.dtype.itemsize == 4 and view.start % 16 == 0 and all(count % 4 == 0 for count in counts) else 1
